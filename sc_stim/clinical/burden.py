"""How much the alerts ask of a clinic, and how much of it was worth asking."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Final

from sc_stim.clinical import reference
from sc_stim.clinical.reference import Figure

YEAR: Final = dt.timedelta(days=365.25)
Span = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True, slots=True)
class Life:
    """An alert of the time looked at. `action_taken` None: not closed yet, or nobody said."""

    kind: str
    severity: str
    opened_at: dt.datetime
    acknowledged_at: dt.datetime | None = None
    action_taken: bool | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """The alerts of one kind and severity; None stands for every one.

    per_patient_year: None without patients. actionable_share: of those where somebody said whether they acted.
    minutes_to_acknowledge: median of those that were acknowledged
    """

    kind: str | None
    severity: str | None
    alerts: int
    per_patient_year: float | None
    acted_on: int
    not_acted_on: int
    actionable_share: float | None
    acknowledged: int
    minutes_to_acknowledge: float | None


@dataclass(frozen=True, slots=True)
class Aim:
    name: str
    better: str
    figure: Figure
    found: float | None

    @property
    def reached(self) -> bool | None:
        """None where there is nothing to compare."""
        if self.found is None:
            return None
        return self.found <= self.figure.value if self.better == "lower" else self.found >= self.figure.value


@dataclass(frozen=True, slots=True)
class Burden:
    patient_years: float
    total: Share
    by_kind_and_severity: tuple[Share, ...]
    aims: tuple[Aim, ...]


def burden(lives: Sequence[Life], patient_years: float) -> Burden:
    """What these alerts of so many patient-years amount to."""
    groups: dict[tuple[str, str], list[Life]] = defaultdict(list)
    for life in lives:
        groups[life.kind, life.severity].append(life)
    shares = [_share(kind, severity, group, patient_years) for (kind, severity), group in groups.items()]
    total = _share(None, None, lives, patient_years)
    high = _share(None, "high", [life for life in lives if life.severity == "high"], patient_years)
    found = {
        "alerts_per_patient_year": total.per_patient_year,
        "high_per_patient_year": high.per_patient_year,
        "actionable_share": total.actionable_share,
        "minutes_to_acknowledge_high": high.minutes_to_acknowledge,
    }
    return Burden(
        patient_years,
        total,
        tuple(sorted(shares, key=lambda share: (-share.alerts, share.kind or "", share.severity or ""))),
        tuple(Aim(name, better, figure, found[name]) for name, better, figure in aims()),
    )


def patient_years(watched: Iterable[Iterable[Span]], window: Span) -> float:
    """Years of watching within the window, over the patients' spans; a patient's spans may overlap."""
    begin, end = window
    total = dt.timedelta()
    for spans in watched:
        reached = begin
        for start, stop in sorted(spans):
            start, stop = max(start, reached), min(stop, end)
            if stop > start:
                total += stop - start
                reached = stop
    return total / YEAR


@cache
def aims() -> tuple[tuple[str, str, Figure], ...]:
    """(name, "lower" or "higher" is better, figure)."""
    return tuple(
        (aim["name"], aim["better"], reference.figure(aim["figure"]))
        for aim in reference.load("burden.json")["aims"]
    )


def _share(kind: str | None, severity: str | None, lives: Sequence[Life], years: float) -> Share:
    said = [life.action_taken for life in lives if life.action_taken is not None]
    waits = [
        (life.acknowledged_at - life.opened_at).total_seconds() / 60
        for life in lives
        if life.acknowledged_at is not None
    ]
    return Share(
        kind=kind,
        severity=severity,
        alerts=len(lives),
        per_patient_year=len(lives) / years if years else None,
        acted_on=sum(said),
        not_acted_on=len(said) - sum(said),
        actionable_share=sum(said) / len(said) if said else None,
        acknowledged=len(waits),
        minutes_to_acknowledge=median(waits) if waits else None,
    )
