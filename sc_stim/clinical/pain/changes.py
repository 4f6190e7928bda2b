"""Did it change, and when? A generalised likelihood ratio over possible starts (Willsky and Jones, 1976).

Each candidate start asks: had a change of one point (a ramp: one point a week) begun then, how much of it
would the baseline not have taken up by today (LEVEL_GAP, WANDER_GAP), and so how would each day have
surprised it? The surprises seen are compared with those: EVIDENCE / INFORMATION is the likeliest size of the
change in points. All is updated once a day in constant time; BEFORE is the level at the start.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sc_stim.clinical.pain import model
from sc_stim.clinical.pain.baseline import Surprise
from sc_stim.clinical.pain.tracks import (
    BEFORE,
    EVIDENCE,
    INFORMATION,
    LEVEL_GAP,
    WANDER_GAP,
    Candidates,
    Floats,
    Ints,
    Tracks,
)

Row = NDArray[np.float32]


class Best(NamedTuple):
    """How likely one kind of change is for each patient."""

    nats: Floats  # (n,) log-likelihood ratio of the likeliest start
    gains: Row  # (starts, n), the same for each start, not yet divided by the personal variance
    onsets: Ints  # (starts,) ages
    before_nrs: Row  # (starts, n) level at the start

    def start(self, patient: int) -> tuple[int, float]:
        """Age and level at the likeliest start."""
        slot = int(self.gains[:, patient].argmax())
        return int(self.onsets[slot]), float(self.before_nrs[slot, patient])


def begin(t: Tracks) -> None:
    """Makes today a start (ramps: once a week) in place of the oldest, before the day's score is learned."""
    _begin(t.steps, t.age, t.level_nrs)
    t.steps[LEVEL_GAP, t.age % model.STEP_STARTS] = 1.0
    if t.age % model.RAMP_EVERY_DAYS == 0:
        _begin(t.ramps, t.age // model.RAMP_EVERY_DAYS, t.level_nrs)
    t.ramps[LEVEL_GAP] += np.float32(1.0 / model.RAMP_EVERY_DAYS)


def collect(t: Tracks, surprise: Surprise) -> None:
    """Adds the day's evidence to every candidate."""
    weight, innovation, level_gain, wander_gain = (part.astype(np.float32) for part in surprise)
    for candidates in (t.steps, t.ramps):
        candidates[WANDER_GAP] *= np.float32(model.WANDER_PERSISTENCE)
        expected = candidates[LEVEL_GAP] + candidates[WANDER_GAP]
        weighted = expected * weight
        candidates[INFORMATION] += weighted * expected
        candidates[EVIDENCE] += weighted * innovation
        candidates[LEVEL_GAP] -= level_gain * expected
        candidates[WANDER_GAP] -= wander_gain * expected


def best_steps(t: Tracks) -> tuple[Best, Best]:
    """Sudden rise and sudden fall, begun on a reported one of the last STEP_STARTS days."""
    onsets = _onsets(t.age, 1, model.STEP_STARTS)
    possible = ~np.isnan(t.recent_nrs) & (onsets[:, None] > t.freed_at)
    gains = _gains(t.steps, np.full(model.STEP_STARTS, model.LEAST_CHANGE_NRS)) * possible
    rising = t.steps[EVIDENCE] > 0
    return _best(t, t.steps, gains * rising, onsets), _best(t, t.steps, gains * ~rising, onsets)


def best_ramp(t: Tracks) -> Best:
    """Slow rise that has gone on for RAMP_LEAST_DAYS; starts lie a week apart."""
    onsets = _onsets(t.age, model.RAMP_EVERY_DAYS, model.RAMP_STARTS)
    days = t.age - onsets + 1
    long_enough = (onsets >= 0) & (days > model.RAMP_LEAST_DAYS)
    possible = long_enough[:, None] & (onsets[:, None] > t.freed_at) & (t.ramps[EVIDENCE] > 0)
    gains = _gains(t.ramps, model.LEAST_CHANGE_NRS * model.RAMP_EVERY_DAYS / days) * possible
    return _best(t, t.ramps, gains, onsets)


def _gains(candidates: Candidates, least: Floats) -> Row:
    """Gain in log-likelihood (in NRS^2) of a change of at least `least` (starts,) in the direction of the evidence."""
    information, evidence = candidates[INFORMATION], np.abs(candidates[EVIDENCE])
    size = evidence / np.maximum(information, np.float32(1e-6))
    size = np.maximum(size, least.astype(np.float32)[:, None])
    gains: Row = size * (evidence - size * information / 2)
    return gains


def _best(t: Tracks, candidates: Candidates, gains: Row, onsets: Ints) -> Best:
    return Best(gains.max(axis=0) / t.variance_nrs2, gains, onsets, candidates[BEFORE])


def _begin(candidates: Candidates, turn: int, level_nrs: Floats) -> None:
    slot = turn % candidates.shape[1]
    candidates[:, slot] = 0.0
    candidates[BEFORE, slot] = level_nrs


def _onsets(age: int, every_days: int, starts: int) -> Ints:
    """Age at which the candidate in each slot started, (starts,); negative where there is none yet."""
    turn = age // every_days
    return every_days * (turn - (turn - np.arange(starts)) % starts)
