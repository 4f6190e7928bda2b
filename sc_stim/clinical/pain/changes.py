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
    Bools,
    Candidates,
    Floats,
    Ints,
    Tracks,
)

Row = NDArray[np.float32]


class Best(NamedTuple):
    """The likeliest start of one kind of change for each patient. Each (n,)."""

    nats: Floats
    slot: Ints
    onset: Ints  # age


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


def best_step(t: Tracks, sign: int) -> Best:
    """Likeliest sudden rise (`sign` 1) or fall (-1), begun on a reported one of the last STEP_STARTS days."""
    onsets = _onsets(t.age, 1, model.STEP_STARTS)
    least = np.full(model.STEP_STARTS, model.LEAST_CHANGE_NRS)
    possible = ~np.isnan(t.recent_nrs) & (onsets[:, None] > t.freed_at)
    return _best(t, sign * t.steps[EVIDENCE], t.steps[INFORMATION], least, onsets, possible)


def best_ramp(t: Tracks) -> Best:
    """Likeliest slow rise that has gone on for RAMP_LEAST_DAYS; starts lie a week apart."""
    onsets = _onsets(t.age, model.RAMP_EVERY_DAYS, model.RAMP_STARTS)
    days = t.age - onsets + 1
    least = model.LEAST_CHANGE_NRS * model.RAMP_EVERY_DAYS / days
    long_enough = (onsets >= 0) & (days > model.RAMP_LEAST_DAYS)
    possible = long_enough[:, None] & (onsets[:, None] > t.freed_at)
    return _best(t, t.ramps[EVIDENCE], t.ramps[INFORMATION], least, onsets, possible)


def _best(t: Tracks, evidence: Row, information: Row, least: Floats, onsets: Ints, possible: Bools) -> Best:
    """`evidence`, `information`, `possible` (starts, n); `least` size and `onsets` (starts,)."""
    size = evidence / np.maximum(information, np.float32(1e-6))
    size = np.maximum(size, least.astype(np.float32)[:, None])
    gain = size * (evidence - size * information / 2)
    gain[~possible] = 0.0
    slot = gain.argmax(axis=0)
    return Best(gain[slot, np.arange(len(slot))] / t.variance_nrs2, slot, onsets[slot])


def _begin(candidates: Candidates, turn: int, level_nrs: Floats) -> None:
    slot = turn % candidates.shape[1]
    candidates[:, slot] = 0.0
    candidates[BEFORE, slot] = level_nrs


def _onsets(age: int, every_days: int, starts: int) -> Ints:
    """Age at which the candidate in each slot started, (starts,); negative where there is none yet."""
    turn = age // every_days
    return every_days * (turn - (turn - np.arange(starts)) % starts)
