"""How a patient's use of boluses spreads from one refill interval to the next."""

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Final

import numpy as np

from sc_stim.clinical.refill_rules import RefillRules

NODES: Final = 12


@dataclass(frozen=True, slots=True)
class BolusHabit:
    """Boluses per day of past intervals: their number, mean, and sum of squared deviations from the mean."""

    intervals: int = 0
    mean_per_day: float = 0.0
    squares: float = 0.0

    def with_interval(self, per_day: float) -> "BolusHabit":
        """The same with one more interval (Welford's update)."""
        intervals = self.intervals + 1
        mean = self.mean_per_day + (per_day - self.mean_per_day) / intervals
        return BolusHabit(intervals, mean, self.squares + (per_day - self.mean_per_day) * (per_day - mean))

    def sd_per_day(self, usual_per_day: float, rules: RefillRules) -> float:
        """Standard deviation between intervals: the patient's own, pulled to the assumed share of the usual."""
        assumed = (rules.bolus_cv * usual_per_day) ** 2
        weight = rules.bolus_cv_weight
        return sqrt((weight * assumed + self.squares) / (weight + max(0, self.intervals - 1)))


def rates_around(usual: float, sd: float) -> tuple[tuple[float, float], ...]:
    """(weight, rate) nodes of a gamma distribution with this mean and standard deviation."""
    if sd <= 0:
        return ((1.0, usual),)
    usual = max(usual, sd / 2)  # a wider gamma would be mostly zero
    cv_percent = max(1, round(100 * sd / usual))
    return tuple((weight, usual * relative) for weight, relative in _gamma_nodes(cv_percent))


@lru_cache(maxsize=256)
def _gamma_nodes(cv_percent: int) -> tuple[tuple[float, float], ...]:
    """(weight, value) nodes of a gamma distribution of mean 1: Gauss-Laguerre by the Golub-Welsch method."""
    shape = (100 / cv_percent) ** 2
    order = np.arange(NODES)
    diagonal = 2 * order + shape
    beside = np.sqrt(order[1:] * (order[1:] + shape - 1))
    values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return tuple(zip((vectors[0] ** 2).tolist(), (values / shape).tolist(), strict=True))
