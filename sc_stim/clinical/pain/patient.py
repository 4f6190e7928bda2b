"""The pain rule for one patient: closed local days in, findings out."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np

from sc_stim.clinical.pain import model, tracks
from sc_stim.clinical.pain.rule import DayInput, Flag, Kind, Severity, Tier, advance
from sc_stim.clinical.pain.tracks import Floats

Rule = Literal["rise", "fall", "silence"]
NextStep = Literal["ask_for_score", "review_device", "check_for_over_delivery", "none"]
_RULES: dict[Kind, Rule] = {
    "step_up": "rise",
    "drift_up": "rise",
    "flare": "rise",
    "step_down": "fall",
    "stopped_reporting": "silence",
}
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Finding:
    """One judgement about one patient; a later finding with the same `key` replaces it.

    A rise starts `soft` (ask for a score, show it). CHECK_ON_DAY days later it becomes `persistent` (ask for
    a device review) or a `flare`; with too few scores by then it stays soft. The cause is judged elsewhere.
    """

    kind: Kind
    day: date  # when it was flagged
    onset: date  # estimated first day of the change, or first missed day
    severity: Severity  # FHIR devicealert-priority
    tier: Tier
    baseline_nrs: float  # the patient's own level before the onset
    level_nrs: float | None  # mean since; None while nothing is reported, which is not zero
    model_version: str = model.MODEL_VERSION

    @property
    def rule(self) -> Rule:
        return _RULES[self.kind]

    @property
    def next_step(self) -> NextStep:
        """What a person should do: a first sign wants another score, only what lasts a look at the device."""
        if self.rule == "fall":
            return "check_for_over_delivery" if self.severity == "high" else "none"
        if self.kind == "flare":
            return "none"
        return "review_device" if self.tier == "persistent" else "ask_for_score"

    @property
    def last_judged(self) -> date:
        """The day whose scores this judgement rests on at the latest."""
        checked = self.tier == "persistent" or self.kind == "flare"
        return self.day + (model.CHECK_ON_DAY * _ONE_DAY if checked else 0 * _ONE_DAY)

    @property
    def key(self) -> tuple[Rule, date, str]:
        """With the patient, what makes the alert unique however often days are replayed."""
        return self.rule, self.day, self.model_version


@dataclass(frozen=True, eq=False)
class PainState:
    """All that is remembered of one patient, about 2 kB as JSON. Treat as immutable."""

    first_day: date | None  # of the first reported score
    day: date | None  # last closed day observed
    tracks: tracks.Tracks

    @classmethod
    def fresh(cls) -> PainState:
        return cls(None, None, tracks.fresh(1))

    def to_json(self) -> dict[str, Any]:
        return {
            "model_version": model.MODEL_VERSION,
            "first_day": self.first_day and self.first_day.isoformat(),
            "day": self.day and self.day.isoformat(),
            "tracks": tracks.to_json(self.tracks),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PainState:
        """Back from `to_json`, exactly. ValueError when another model version wrote it."""
        if stored.get("model_version") != model.MODEL_VERSION:
            raise ValueError(
                f"pain state is of model {stored.get('model_version')!r}, this is {model.MODEL_VERSION!r}: "
                "rebuild it from the scores"
            )
        first_day, day = (stored[name] and date.fromisoformat(stored[name]) for name in ("first_day", "day"))
        return cls(first_day, day, tracks.from_json(stored["tracks"]))


def daily_means(
    scores: Iterable[tuple[datetime, float]], tz: ZoneInfo, today: date
) -> list[tuple[date, float]]:
    """Mean score of each closed day on the patient's own calendar, oldest first; unreported days are absent.

    `scores` are (aware time, 0-10) in any order. `today` can still change: it and later days are left out.
    """
    by_day: dict[date, list[float]] = {}
    for at, nrs in scores:
        if at.tzinfo is None:
            raise ValueError(f"score time {at.isoformat()} has no UTC offset: make it aware")
        by_day.setdefault(at.astimezone(tz).date(), []).append(_valid(nrs))
    return [(day, round(sum(by_day[day]) / len(by_day[day]), 2)) for day in sorted(by_day) if day < today]


def observe(
    state: PainState,
    day: date,
    nrs: float | None,
    therapy_changed: bool = False,
    sedation: bool = False,
    days_since_refill: int | None = None,
) -> tuple[PainState, tuple[Finding, ...]]:
    """Takes one closed local day; `nrs` is its mean score (0-10) or None when nothing was reported.

    `therapy_changed`: reprogramming, revision or dose change on this day. Nothing is learned or flagged
    before the first reported score. ValueError when `day` does not follow the last one or the score is off
    the scale.
    """
    if state.day is not None and day != state.day + _ONE_DAY:
        raise ValueError(
            f"day {day} must follow {state.day}: pass every day once, None where nothing was reported"
        )
    first_day = state.first_day
    if first_day is None:
        if nrs is None:
            return PainState(None, day, state.tracks), ()
        first_day = day
    refilled = days_since_refill is not None and 0 <= days_since_refill <= model.REFILL_DAYS
    after = state.tracks.copy()
    flags = advance(
        after,
        DayInput(
            nrs=np.array([np.nan if nrs is None else _valid(nrs)]),
            therapy_changed=np.array([therapy_changed]),
            sedation=np.array([sedation]),
            refilled=np.array([refilled]),
        ),
    )
    return PainState(first_day, day, after), tuple(from_flag(first_day, flag) for _, flag in flags)


def from_flag(first_day: date, flag: Flag) -> Finding:
    return Finding(
        kind=flag.kind,
        day=first_day + flag.at * _ONE_DAY,
        onset=first_day + flag.onset * _ONE_DAY,
        severity=flag.severity,
        tier=flag.tier,
        baseline_nrs=round(flag.baseline_nrs, 2),
        level_nrs=None if flag.level_nrs is None else round(flag.level_nrs, 2),
    )


def _valid(nrs: float) -> float:
    if not 0.0 <= nrs <= 10.0:
        raise ValueError(f"nrs {nrs} is not on the 0-10 scale: correct it, or leave the day unreported")
    return float(nrs)


@dataclass(frozen=True)
class Diary:
    """Consecutive closed days of one patient from `first_day` on; None or NaN where nothing was reported."""

    first_day: date
    scores: Sequence[float | None] | Floats
    therapy_changes: Collection[date] = ()
    sedation_days: Collection[date] = ()
    refill_days: Collection[date] = ()

    @classmethod
    def of(cls, means: Sequence[tuple[date, float]], until: date) -> Diary:
        """`daily_means` (at least one); the days between them and up to `until` are not reported."""
        by_day, first_day = dict(means), means[0][0]
        length = (until - first_day).days + 1
        return cls(first_day, [by_day.get(first_day + i * _ONE_DAY) for i in range(length)])

    def days(self) -> Iterator[tuple[date, float | None]]:
        for i, nrs in enumerate(self.scores):
            yield self.first_day + i * _ONE_DAY, None if nrs is None or math.isnan(nrs) else nrs

    def days_since_refill(self, day: date) -> int | None:
        return min(((day - refill).days for refill in self.refill_days if refill <= day), default=None)


def replay(diary: Diary, state: PainState | None = None) -> Iterator[tuple[PainState, tuple[Finding, ...]]]:
    """Observes a diary day by day, from `state` (stored the day before its first) or from nothing."""
    state = state or PainState.fresh()
    for day, nrs in diary.days():
        state, findings = observe(
            state,
            day,
            nrs,
            therapy_changed=day in diary.therapy_changes,
            sedation=day in diary.sedation_days,
            days_since_refill=diary.days_since_refill(day),
        )
        yield state, findings


def still_holds(finding: Finding, means: Sequence[tuple[date, float]]) -> bool:
    """Whether a change of some days ago is still there, as far as the newest `daily_means` tell.

    Without a score since its onset nothing speaks against it.
    """
    if finding.kind == "flare":
        return False
    if finding.rule == "silence":
        return not any(day > finding.day for day, _ in means)
    since_onset = [(day, nrs) for day, nrs in means if day >= finding.onset]
    newest = [nrs for day, nrs in since_onset if (since_onset[-1][0] - day).days < model.LEVEL_DAYS]
    if not newest:
        return True
    change = sum(newest) / len(newest) - finding.baseline_nrs
    return (change if finding.rule == "rise" else -change) >= model.LEAST_CHANGE_NRS


def usual_band(state: PainState) -> tuple[float, float] | None:
    """Between what values this patient's daily mean usually lies: the learned level, one personal SD to each side.

    None while too little is known of them to judge.
    """
    if state.tracks.reported_days[0] < model.WARM_UP_REPORTED_DAYS:
        return None
    level, sd = float(state.tracks.level_nrs[0]), math.sqrt(float(state.tracks.variance_nrs2[0]))
    return round(max(0.0, level - sd), 2), round(min(10.0, level + sd), 2)


def latest(findings: Iterable[Finding]) -> list[Finding]:
    """One finding per alert, as it was last judged, in the order in which the alerts were raised."""
    return list({finding.key: finding for finding in findings}.values())
