"""One closed day for any number of patients: what is learned from it and what is flagged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sc_stim.clinical.pain import baseline, changes, gaps, model
from sc_stim.clinical.pain.tracks import (
    DRIFT_UP,
    NO_ALERT,
    STEP_DOWN,
    STEP_UP,
    URGENT_STEP_DOWN,
    Bools,
    Floats,
    Tracks,
)

Kind = Literal["step_up", "drift_up", "flare", "step_down", "stopped_reporting"]
Severity = Literal["high", "medium", "low", "info"]
Tier = Literal["soft", "persistent"]

_NAMES: dict[int, tuple[Kind, Severity]] = {
    STEP_UP: ("step_up", "low"),
    DRIFT_UP: ("drift_up", "low"),
    STEP_DOWN: ("step_down", "info"),
    URGENT_STEP_DOWN: ("step_down", "high"),
}


@dataclass(frozen=True)
class Flag:
    """A finding in ages (days since the patient's first score) instead of dates; see `Finding`."""

    kind: Kind
    at: int
    onset: int
    severity: Severity
    tier: Tier
    baseline_nrs: float
    level_nrs: float | None


@dataclass(frozen=True)
class DayInput:
    """One closed day, one entry per patient. `nrs` is NaN where no score was reported."""

    nrs: Floats
    therapy_changed: Bools
    sedation: Bools
    refilled: Bools  # within REFILL_DAYS


def advance(t: Tracks, day: DayInput) -> list[tuple[int, Flag]]:
    """Moves every column on by one day, in place; returns (column, flag) pairs."""
    t.age += 1
    seen = ~np.isnan(day.nrs)
    _note_therapy_changes(t, day.therapy_changed)
    changes.begin(t)
    changes.collect(t, baseline.learn(t, day.nrs, seen))
    t.recent_nrs[t.age % model.STEP_STARTS] = day.nrs
    t.reported_days += seen
    flags = [(i, _silent(t, i)) for i in np.flatnonzero(gaps.newly_silent(t, seen)).tolist()]
    return flags + _follow_alerts(t, day, seen) + _new_alerts(t, day, seen)


def _note_therapy_changes(t: Tracks, changed: Bools) -> None:
    """Under new settings an open alert cannot be checked against the old baseline any more."""
    t.relearn_at[changed] = t.age + model.RELEARN_AFTER_THERAPY_DAYS
    t.quiet_until[changed] = np.maximum(t.quiet_until[changed], t.age + model.MUTE_AFTER_THERAPY_DAYS)
    t.alert_kind[changed] = NO_ALERT
    relearn = t.relearn_at == t.age
    if relearn.any():
        baseline.free(t, relearn)


def _silent(t: Tracks, i: int) -> Flag:
    onset = t.age - int(t.gap_days[i]) + 1
    return Flag("stopped_reporting", t.age, onset, "low", "soft", float(t.level_nrs[i]), None)


def _follow_alerts(t: Tracks, day: DayInput, seen: Bools) -> list[tuple[int, Flag]]:
    """Persistence check of rises, and falls that turn out to come with sedation."""
    since = t.age - t.alert_at
    rise = (t.alert_kind == STEP_UP) | (t.alert_kind == DRIFT_UP)
    counted = seen & rise & (since >= model.CHECK_FROM_DAY) & (since <= model.CHECK_ON_DAY)
    t.after_sum_nrs += np.where(counted, day.nrs, 0.0)
    t.after_days += counted
    enough = t.after_days >= model.CHECK_LEAST_REPORTED_DAYS
    check = rise & enough & (since == model.CHECK_ON_DAY)
    sedated = (t.alert_kind == STEP_DOWN) & day.sedation & (since <= model.REFRACTORY_DAYS)
    t.alert_kind[sedated] = URGENT_STEP_DOWN
    flags = [(i, _checked(t, i)) for i in np.flatnonzero(check).tolist()]
    return flags + [(i, _alert(t, i)) for i in np.flatnonzero(sedated).tolist()]


def _checked(t: Tracks, i: int) -> Flag:
    after, before = t.after_sum_nrs[i] / t.after_days[i], t.alert_baseline_nrs[i]
    if after - before >= model.LEAST_CHANGE_NRS:
        return replace(_alert(t, i), severity="medium", tier="persistent", level_nrs=float(after))
    baseline.restore(t, i, before)
    return replace(_alert(t, i), kind="flare", severity="info", level_nrs=float(after))


def _new_alerts(t: Tracks, day: DayInput, seen: Bools) -> list[tuple[int, Flag]]:
    (rise, fall), ramp = changes.best_steps(t), changes.best_ramp(t)
    warm = seen & (t.reported_days > model.WARM_UP_REPORTED_DAYS)
    urgent = warm & (day.sedation | day.refilled) & (fall.nats > model.URGENT_STEP_DOWN_NATS)
    # how far beyond its own threshold each change is: the furthest names the alert
    excess = np.stack(
        [rise.nats / model.STEP_UP_NATS, ramp.nats / model.DRIFT_UP_NATS, fall.nats / model.STEP_DOWN_NATS]
    )
    ordinary = warm & (t.age >= t.quiet_until) & (excess > 1.0).any(axis=0)
    flags = []
    for i in np.flatnonzero(urgent | ordinary).tolist():
        which = 2 if urgent[i] else int(excess[:, i].argmax())
        kind = URGENT_STEP_DOWN if urgent[i] else (STEP_UP, DRIFT_UP, STEP_DOWN)[which]
        onset, before_nrs = (rise, ramp, fall)[which].start(i)
        flags.append((i, _raise(t, i, kind, onset, before_nrs)))
    return flags


def _raise(t: Tracks, i: int, kind: int, onset: int, baseline_nrs: float) -> Flag:
    """Opens an alert and frees the baseline, so that the new level is learned and not flagged again."""
    t.alert_kind[i], t.alert_at[i], t.alert_onset[i] = kind, t.age, onset
    t.alert_baseline_nrs[i], t.after_sum_nrs[i], t.after_days[i] = baseline_nrs, 0.0, 0
    t.quiet_until[i] = max(t.quiet_until[i], t.age + model.REFRACTORY_DAYS)
    baseline.free(t, i)
    return _alert(t, i)


def _alert(t: Tracks, i: int) -> Flag:
    """The open alert; its level is the mean of the reported days since the onset, at most the last week."""
    kind, severity = _NAMES[int(t.alert_kind[i])]
    onset = int(t.alert_onset[i])
    days = np.arange(max(onset, t.age - model.LEVEL_DAYS + 1), t.age + 1) % model.STEP_STARTS
    recent = t.recent_nrs[days, i]
    reported = recent[~np.isnan(recent)]
    level = float(reported.mean()) if len(reported) else None
    return Flag(kind, int(t.alert_at[i]), onset, severity, "soft", float(t.alert_baseline_nrs[i]), level)
