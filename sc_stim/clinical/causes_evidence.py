"""What the rules of the cause card take in and give out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct

from sc_stim.clinical import reference
from sc_stim.clinical.drugs import Formulary, shipped_formulary
from sc_stim.clinical.pump_record import DrugInPump

Side = Literal["for", "against", "no_data"]
FOR: Final[Side] = "for"
AGAINST: Final[Side] = "against"
NO_DATA: Final[Side] = "no_data"
MOST_POINTS: Final = 12  # of one kind of evidence; the newest


class Span(NamedTuple):
    """What was usual is seen from `usual_since` to `since`; what happened from `since` to `until` may be a cause."""

    usual_since: datetime
    since: datetime
    onset: datetime
    until: datetime

    @property
    def around(self) -> tuple[datetime, datetime]:
        """The time in which the pain changed; onsets are estimates, so from the day before."""
        return self.onset - timedelta(days=1), self.until

    def covers(self, at: datetime) -> bool:
        return self.since <= at <= self.until


class Sample(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sample of a pump or stimulator; None: not reported."""

    at: datetime
    state: str | None = None
    on_s: float | None = None
    program: str | None = None
    amplitude_ma: float | None = None
    battery_pct: float | None = None
    impedance_ohm: list[float | None] | None = None
    flow_ml_per_day: float | None = None


class DeviceEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    at: datetime
    kind: str
    state: str | None = None


class Prescription(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was prescribed from `at` on. `contacts`: those in use, counted from 0; None: not said."""

    at: datetime
    values: dict[str, float | str]
    contacts: list[int] | None = None


class FillOnRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A refill; `is_first`: no earlier fill of this pump is on record."""

    at: datetime
    drugs: list[DrugInPump] = []
    flags: list[str] = []
    expected_ml: float | None = None
    aspirated_ml: float | None = None
    is_first: bool = False


class DeviceRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is on record of one device from `Span.usual_since` on, and before that its last prescription and fill.

    open_ohm, short_ohm: of its model, where they are known
    """

    label: str
    kind: Literal["pump", "stimulator"]
    report_interval_s: int | None = None
    samples: list[Sample] = []
    events: list[DeviceEvent] = []
    prescriptions: list[Prescription] = []
    fills: list[FillOnRecord] = []
    open_ohm: float | None = None
    short_ohm: float | None = None


class Point(Struct, frozen=True):
    """A raw value behind the evidence. `value` None: that something was sent, or was not."""

    at: datetime
    what: str
    value: float | str | None
    unit: str = ""


class Evidence(Struct, frozen=True):
    """`since`: when that which it tells of began."""

    kind: str
    says: Side
    device: str
    sentence: str
    since: datetime
    points: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class CauseRules:
    """The figures of data/causes.json, and the drugs that they are held against."""

    version: str
    formulary: Formulary
    look_back_d: float
    usual_d: float
    gap_h: float
    gap_intervals: float
    off_h: float
    mri_mode_h: float
    usage_ratio: float
    usage_least_h_per_day: float
    low_battery_pct: float
    stability_share: float
    same_within: float
    ranks: dict[str, float]

    def rank(self, evidence: Evidence) -> float:
        """Its place on the card, least first. Only what speaks for a device is ranked."""
        return self.ranks[evidence.kind] if evidence.says == FOR else 0.0

    def is_same(self, old: Any, new: Any) -> bool:
        """Whether two settings are the same but for rounding."""
        if isinstance(old, float | int) and isinstance(new, float | int):
            return abs(old - new) <= self.same_within * abs(old)
        return bool(old == new)


@cache
def shipped_rules() -> CauseRules:
    document = reference.load("causes.json")
    value = {name: reference.figure(entry).value for name, entry in document["figures"].items()}
    ranks = {name.removeprefix("rank_"): value.pop(name) for name in list(value) if name.startswith("rank_")}
    return CauseRules(document["version"], shipped_formulary(), ranks=ranks, **value)


def newest(points: Iterable[Point]) -> tuple[Point, ...]:
    return tuple(points)[-MOST_POINTS:]


def events_of(device: DeviceRecord, kinds: Sequence[str], span: Span) -> list[DeviceEvent]:
    """Those of these kinds that were raised within the span, oldest first."""
    within = (event for event in device.events if event.kind in kinds and span.covers(event.at))
    return sorted((event for event in within if event.state != "cleared"), key=lambda event: event.at)


def as_points(events: Iterable[DeviceEvent]) -> tuple[Point, ...]:
    return newest(Point(event.at, event.kind, event.state) for event in events)


def runs_of_state(samples: Iterable[Sample], states: Sequence[str]) -> Iterator[list[Sample]]:
    """The unbroken runs of samples in one of these states; a sample without a state breaks nothing."""
    run: list[Sample] = []
    for sample in sorted(samples, key=lambda sample: sample.at):
        if sample.state is None:
            continue
        if sample.state in states:
            run.append(sample)
        elif run:
            yield run
            run = []
    if run:
        yield run


Settings = list[tuple[datetime, Mapping[str, Any]]]


def changes(
    device: DeviceRecord, span: Span, rules: CauseRules, fields: Sequence[str]
) -> Iterator[tuple[datetime, str, Any, Any]]:
    """(when, field, before, after) of what was prescribed or reported otherwise than before, within the span."""
    said: Settings = [(one.at, one.values) for one in device.prescriptions]
    reported: Settings = [
        (one.at, {name: getattr(one, name, None) for name in fields}) for one in device.samples
    ]
    for source in (said, reported):
        last: dict[str, Any] = {}
        for at, values in sorted(source, key=lambda pair: pair[0]):
            for name in fields:
                value = values.get(name)
                if value is None:
                    continue
                if name in last and not rules.is_same(last[name], value) and span.covers(at):
                    yield at, name, last[name], value
                last[name] = value
