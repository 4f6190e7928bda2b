"""The personal baseline: a Kalman filter with two states and a scale that is learned as it goes.

score = level + wander + noise: the level hardly moves, the wander is a slow AR(1), the noise is new each day.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sc_stim.clinical.pain import model
from sc_stim.clinical.pain.tracks import Bools, Floats, Tracks


class Surprise(NamedTuple):
    """What one day said that the baseline did not expect; all zero on days without a score. Each (n,)."""

    weight: Floats  # 1 / predicted variance
    innovation_nrs: Floats  # score less prediction, clipped
    level_gain: Floats
    wander_gain: Floats


def learn(t: Tracks, nrs: Floats, seen: Bools) -> Surprise:
    """Moves the baseline on by one day, in place. `nrs` (n,) is ignored where `seen` is False."""
    if t.age == 0:
        t.level_nrs[:] = nrs
    _predict(t)
    from_level = t.level_variance + t.level_wander_covariance
    from_wander = t.level_wander_covariance + t.wander_variance
    predicted_variance = from_level + from_wander + (1.0 - model.WANDER_SHARE)
    limit = model.CLIP_SD * np.sqrt(predicted_variance * t.variance_nrs2)
    innovation = np.where(seen, np.clip(nrs - t.level_nrs - t.wander_nrs, -limit, limit), 0.0)
    weight = seen / predicted_variance
    surprise = Surprise(weight, innovation, from_level * weight, from_wander * weight)

    t.level_nrs += surprise.level_gain * innovation
    t.wander_nrs += surprise.wander_gain * innovation
    t.level_variance -= surprise.level_gain * from_level
    t.level_wander_covariance -= surprise.level_gain * from_wander
    t.wander_variance -= surprise.wander_gain * from_wander
    _learn_scale(t, seen, innovation**2 / predicted_variance)
    return surprise


def free(t: Tracks, who: Bools | int) -> None:
    """Lets the level be learned again; changes that began up to today no longer count."""
    t.level_variance[who] += model.FREED_LEVEL_SD_NRS**2 / t.variance_nrs2[who]
    t.freed_at[who] = t.age


def restore(t: Tracks, i: int, level_nrs: float) -> None:
    """A flare is over: the level before it holds again, and coming down from it is no fall."""
    t.level_nrs[i], t.wander_nrs[i] = level_nrs, 0.0
    t.freed_at[i] = t.age


def _predict(t: Tracks) -> None:
    phi = model.WANDER_PERSISTENCE
    t.wander_nrs *= phi
    t.level_variance += model.LEVEL_DRIFT
    t.level_wander_covariance *= phi
    t.wander_variance *= phi**2
    t.wander_variance += (1.0 - phi**2) * model.WANDER_SHARE


def _learn_scale(t: Tracks, seen: Bools, squared_nrs2: Floats) -> None:
    t.variance_days += seen
    np.minimum(t.variance_days, model.SCALE_MEMORY_DAYS, out=t.variance_days)
    t.variance_nrs2 += seen * (squared_nrs2 - t.variance_nrs2) / t.variance_days
    np.maximum(t.variance_nrs2, model.LEAST_SCALE_NRS**2, out=t.variance_nrs2)
