"""Batteries that are not charged, and devices that near their replacement. Dates come from telemetry alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sc_stim.clinical.alarms import duration
from sc_stim.clinical.therapy_health.history import Day, DeviceHistory
from sc_stim.clinical.therapy_health.rules import TherapyRules
from sc_stim.clinical.therapy_health.runs import Verdict

_DAY = timedelta(days=1)
_FAR_D = 36_500  # nobody asks beyond a century


def is_rechargeable(history: DeviceHistory) -> bool:
    """By the model, or, where that is not known, by the device having told of charging."""
    if history.rechargeable is not None:
        return history.rechargeable
    return any(day.charged_s is not None for day in history.days)


def charge_verdicts(days: Sequence[Day], rules: TherapyRules) -> Iterator[Verdict]:
    """Days on which the battery is empty, or soon will be and its charge is overdue by the patient's own rhythm."""
    charged: Day | None = None
    first: Day | None = None
    before: Day | None = None
    longest: timedelta | None = None
    flat = 0
    for day in days:
        if day.battery_pct is None:
            yield Verdict(day.at, None)
            continue
        first = first or day
        if _was_charged(before, day, rules):
            longest = max(longest or timedelta(), day.at - charged.at) if charged else longest
            charged = day
        flat = flat + 1 if day.battery_pct <= rules.value("flat_pct") else 0
        bad = flat >= rules.value("flat_days") or _charge_is_overdue(
            charged or first, charged is not None, longest, day, rules
        )
        yield Verdict(day.at, bad, day.battery_pct)
        before = day


def empty_at(days: Sequence[Day], rules: TherapyRules) -> datetime | None:
    """When the battery will be empty by its trend since the last charge; None without a fall."""
    known = [day for day in days if day.battery_pct is not None]
    if not known:
        return None
    start = next(
        (
            index
            for index in range(len(known) - 1, 0, -1)
            if _was_charged(known[index - 1], known[index], rules)
        ),
        0,
    )
    return _empty_at(known[start], known[-1])


def last_charge(days: Sequence[Day], rules: TherapyRules) -> datetime | None:
    """The newest day with a charge within the window."""
    known = [day for day in days if day.battery_pct is not None or day.charged_s]
    pairs = zip([None, *known[:-1]], known, strict=True)
    return max((day.at for before, day in pairs if _was_charged(before, day, rules)), default=None)


def _was_charged(before: Day | None, day: Day, rules: TherapyRules) -> bool:
    if day.charged_s:
        return True
    if before is None or before.battery_pct is None or day.battery_pct is None:
        return False
    return day.battery_pct - before.battery_pct >= rules.value("charge_rise_pct")


def _charge_is_overdue(
    since: Day, is_charge: bool, longest: timedelta | None, day: Day, rules: TherapyRules
) -> bool:
    empty = _empty_at(since, day)
    if empty is None or empty - day.at > rules.time("empty_within_h"):
        return False
    own = longest if is_charge else None
    return own is None or day.at - since.at > rules.value("charge_overdue_ratio") * own


def _empty_at(since: Day, day: Day) -> datetime | None:
    if since.battery_pct is None or day.battery_pct is None or day.at - since.at < _DAY:
        return None
    fallen = since.battery_pct - day.battery_pct
    if fallen <= 0:
        return None
    return day.at + (day.at - since.at) * (day.battery_pct / fallen)


def replacement_verdicts(history: DeviceHistory, rules: TherapyRules) -> Iterator[Verdict]:
    """Days on which the replacement date is near: as the device tells it, else by the trend of its battery.

    The trend is that of the percentage, or of the voltage where the replacement voltage of the model is known. A
    battery that is charged has none.
    """
    months = rules.value("replacement_months")
    lead = duration(rules.figures["replacement_months"])
    percent, volts, charged = _Trend(), _Trend(), is_rechargeable(history)
    for day in history.days:
        if day.eri_months is not None:
            yield Verdict(day.at, day.eri_months <= months, {"eri_months": day.eri_months})
            continue
        percent.add(day.at, day.battery_pct)
        volts.add(day.at, day.battery_v)
        ends = None if charged else percent.crosses(0.0, rules)
        if ends is None and not charged and history.replacement_v is not None:
            ends = volts.crosses(history.replacement_v, rules)
        near = None if ends is None else ends - day.at <= lead
        yield Verdict(day.at, near, ends and {"ends_at": ends.isoformat()})


@dataclass(slots=True)
class _Trend:
    """The straight line through points (least squares), as they come: days since the first one, and a value."""

    first: datetime | None = None
    last: datetime | None = None
    n: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def add(self, at: datetime, value: float | None) -> None:
        if value is None:
            return
        self.first, self.last = self.first or at, at
        x = (at - self.first) / _DAY
        self.n, self.x, self.y = self.n + 1, self.x + x, self.y + value
        self.xx, self.xy = self.xx + x * x, self.xy + x * value

    def crosses(self, level: float, rules: TherapyRules) -> datetime | None:
        """Where the line falls to the level; None without a fall over enough days."""
        if self.first is None or self.last is None or self.last - self.first < rules.time("trend_days"):
            return None
        slope = (self.n * self.xy - self.x * self.y) / (self.n * self.xx - self.x * self.x)
        if slope >= 0:
            return None
        at_first = (self.y - slope * self.x) / self.n
        days = (level - at_first) / slope
        return max(self.last, self.first + min(days, _FAR_D) * _DAY)
