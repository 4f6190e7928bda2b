"""Stopped reporting: a gap that this patient's own habit of missing days makes improbable.

A Markov chain (reported or missed yesterday) with beta priors; each further missed day multiplies the
probability that an ordinary gap gets this long. A flagged silence is not learned as a habit.
"""

from __future__ import annotations

import numpy as np

from sc_stim.clinical.pain import model
from sc_stim.clinical.pain.tracks import Bools, Tracks


def newly_silent(t: Tracks, seen: Bools) -> Bools:
    """Who has just been silent for too long; once per gap. Updates the habits in place."""
    missed = ~seen
    was_missed = t.gap_days > 0
    if t.age > 0:
        _follow_gap(t, missed, was_missed)
        _learn_habit(t, missed, was_missed)
    t.gap_days = np.where(missed, t.gap_days + 1, 0)
    too_long = (t.gap_probability < model.RARE_GAP_PROBABILITY) | (t.gap_days >= model.LONGEST_SILENCE_DAYS)
    silent = missed & too_long & ~t.gap_flagged
    t.gap_flagged = missed & (t.gap_flagged | silent)
    return silent


def _follow_gap(t: Tracks, missed: Bools, was_missed: Bools) -> None:
    misses = np.where(was_missed, t.missed_after_missed, t.missed_after_reported)
    reports = np.where(was_missed, t.reported_after_missed, t.reported_after_reported)
    t.gap_probability = np.where(missed, t.gap_probability * misses / (misses + reports), 1.0)


def _learn_habit(t: Tracks, missed: Bools, was_missed: Bools) -> None:
    t.reported_after_reported += ~was_missed & ~missed
    t.missed_after_reported += ~was_missed & missed
    t.reported_after_missed += was_missed & ~missed
    t.missed_after_missed += was_missed & missed & ~t.gap_flagged
