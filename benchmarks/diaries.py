"""Synthetic pain diaries with a truth. Nothing here is the pain rule's own model of a diary.

Share, speed and size of the slow wander differ between patients, there are one-day spikes, scores are whole numbers
averaged over one to three entries a day and stop at 0 and 10, and days are missed in runs. Every kind of noise is a
field of `Noise`; `pain_variants` turns them up one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Arm = Literal["quiet", "step", "drift", "flare", "stop", "fall"]
Range = tuple[float, float]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
DAYS = 365
MOST_ENTRIES = 3


@dataclass(frozen=True)
class Noise:
    """Ranges from which each patient's own noise is drawn."""

    sd_median: float = 1.15  # NRS; with sd_spread 10-90 % are about 0.65-2.1, as in public back-pain diaries
    sd_spread: float = 0.5  # of log SD
    wander_share: Range = (0.2, 0.7)  # of the variance
    wander_persistence: Range = (0.90, 0.97)
    random_walk_nrs: float = (
        0.0  # SD that a level without a home gathers in a year; reflected at the ends of the scale
    )
    tail_df: float | None = None  # of Student's t, in place of normal daily noise of the same SD
    spikes_per_day: Range = (0.0, 0.01)
    spike_nrs: Range = (2.0, 4.0)
    weekly_nrs: float = 0.0  # more at the weekend than on other days
    restless: float = 0.0  # log SD by which a patient's noise differs from month to month
    reporting_rate: Range = (0.80, 0.92)
    missing_again: Range = (0.2, 0.7)  # chance to miss the day after a missed day
    mean_nrs: Range = (2.5, 7.0)
    entries: tuple[int, int] = (1, MOST_ENTRIES)  # a day
    rising_days: int = 1  # in which a step gets its full size
    overshoot: float = 0.0  # by how much of its size a step is larger in its first three days


USUAL = Noise()


@dataclass(frozen=True)
class Cohort:
    """`scores` (n, DAYS) daily means, NaN where not reported; and the truth: one event per patient, each (n,)."""

    scores: Floats
    onset: Ints  # day
    size_nrs: Floats
    lasting_days: Ints
    sd_nrs: Floats  # of the patient's ordinary days
    mean_nrs: Floats  # before the event

    def rise_nrs(self, day: Ints) -> Floats:
        """True size of a drift on `day` (n,)."""
        rise: Floats = np.clip((day - self.onset) / self.lasting_days, 0.0, 1.0) * self.size_nrs
        return rise

    def first(self, n: int) -> Cohort:
        return Cohort(*(array[:n] for array in vars(self).values()))


def cohort(rng: np.random.Generator, n: int, arm: Arm, noise: Noise = USUAL) -> Cohort:
    """`n` patients of one arm. Sizes: step and flare 2-5, drift 2-4 over 60-120 days, fall 2-5 downwards."""
    onset = rng.integers(90, DAYS - 135, n)
    lasting = rng.integers(*{"drift": (60, 121), "flare": (3, 11)}.get(arm, (DAYS, DAYS + 1)), n)
    sign = {"fall": -1.0, "quiet": 0.0, "stop": 0.0}.get(arm, 1.0)
    size = sign * rng.uniform(2.0, 4.0 if arm == "drift" else 5.0, n)
    mean = np.clip(rng.uniform(*noise.mean_nrs, n), 0.5 - np.minimum(size, 0.0), 9.5 - np.maximum(size, 0.0))
    since = np.arange(DAYS) - onset[:, None]
    if arm == "drift":
        shape = np.clip(since / lasting[:, None], 0.0, 1.0)
    else:
        shape = _step(since, noise) * (since < lasting[:, None])
    sd, daily = _daily_noise(rng, n, noise)
    scores = _entered(rng, mean[:, None] + size[:, None] * shape + daily, noise)
    scores[_missed(rng, n, noise)] = np.nan
    if arm == "stop":
        scores[since >= 0] = np.nan
    return Cohort(scores, onset, size, lasting, sd, mean)


def _step(since: Ints, noise: Noise) -> Floats:
    rising: Floats = np.clip((since + 1) / noise.rising_days, 0.0, 1.0)
    return rising * (1.0 + noise.overshoot * ((since >= 0) & (since < 3)))


def _daily_noise(rng: np.random.Generator, n: int, noise: Noise) -> tuple[Floats, Floats]:
    """(n,) the patients' SD and (n, DAYS) what their days add to their level."""
    sd = np.clip(rng.lognormal(np.log(noise.sd_median), noise.sd_spread, n), 0.3, 2.6)
    share, persistence = rng.uniform(*noise.wander_share, n), rng.uniform(*noise.wander_persistence, n)
    wander = np.empty((n, DAYS))
    wander[:, 0] = rng.normal(size=n)
    for day in range(1, DAYS):
        wander[:, day] = persistence * wander[:, day - 1] + np.sqrt(1 - persistence**2) * rng.normal(size=n)
    own = np.sqrt(share)[:, None] * wander + np.sqrt(1 - share)[:, None] * _white(rng, n, noise)
    spikes = rng.random((n, DAYS)) < rng.uniform(*noise.spikes_per_day, n)[:, None]
    daily = sd[:, None] * own * _restlessness(rng, n, noise) + spikes * rng.uniform(
        *noise.spike_nrs, (n, DAYS)
    )
    weekend = (np.arange(DAYS) % 7 >= 5) * noise.weekly_nrs
    walk = rng.normal(0.0, noise.random_walk_nrs / np.sqrt(DAYS), (n, DAYS)).cumsum(axis=1)
    return sd, daily + weekend + walk


def _white(rng: np.random.Generator, n: int, noise: Noise) -> Floats:
    if noise.tail_df is None:
        return rng.normal(size=(n, DAYS))
    return rng.standard_t(noise.tail_df, (n, DAYS)) / np.sqrt(noise.tail_df / (noise.tail_df - 2))


def _restlessness(rng: np.random.Generator, n: int, noise: Noise) -> Floats:
    months = rng.lognormal(0.0, noise.restless, (n, DAYS // 30 + 1))
    return np.repeat(months, 30, axis=1)[:, :DAYS]


def _entered(rng: np.random.Generator, true_nrs: Floats, noise: Noise) -> Floats:
    """Mean of the whole-number entries of a day."""
    entries = np.clip(np.round(true_nrs + rng.normal(0.0, 0.3, (MOST_ENTRIES, *true_nrs.shape))), 0.0, 10.0)
    per_day = rng.integers(noise.entries[0], noise.entries[1] + 1, len(true_nrs))
    used = np.arange(MOST_ENTRIES)[:, None] < per_day
    mean: Floats = (entries * used[:, :, None]).sum(axis=0) / per_day[:, None]
    return np.round(mean, 2)


def _missed(rng: np.random.Generator, n: int, noise: Noise) -> NDArray[np.bool_]:
    """Days are missed in runs (a Markov chain)."""
    rate, again = rng.uniform(*noise.reporting_rate, n), rng.uniform(*noise.missing_again, n)
    first = np.clip((1 - rate) / rate * (1 - again), 0.0, 0.95)
    missed = np.zeros((n, DAYS), dtype=bool)
    for day in range(1, DAYS):
        missed[:, day] = rng.random(n) < np.where(missed[:, day - 1], again, first)
    return missed
