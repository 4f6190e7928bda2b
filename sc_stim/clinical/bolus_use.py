"""How many of the allowed boluses a patient takes, learned from counts, or from residuals where nobody counted."""

from dataclasses import dataclass
from functools import lru_cache
from math import inf, sqrt

import numpy as np

from sc_stim.clinical.refill_rules import RefillRules

NODES = 12


@dataclass(frozen=True, slots=True)
class BolusUse:
    """Boluses per day of past intervals: how many intervals, their mean, the sum of squared deviations from it."""

    intervals: int = 0
    mean_per_day: float = 0.0
    squares: float = 0.0

    def with_interval(self, per_day: float) -> "BolusUse":
        """The same with one more interval (Welford's update)."""
        intervals = self.intervals + 1
        mean = self.mean_per_day + (per_day - self.mean_per_day) / intervals
        return BolusUse(intervals, mean, self.squares + (per_day - self.mean_per_day) * (per_day - mean))

    def variation(self, rules: RefillRules) -> float:
        """Coefficient of variation of the next interval's rate, this patient's own spread pulled to the assumed one.

        The mean is only as good as the intervals behind it: their number adds to the spread.
        """
        if self.mean_per_day <= 0:
            return rules.bolus_cv
        own = self.squares / self.mean_per_day**2
        weight = rules.bolus_cv_weight
        pooled = (weight * rules.bolus_cv**2 + own) / (weight + self.intervals - 1)
        return sqrt(pooled * (1 + 1 / self.intervals))

    def likely_per_day(self, allowed_per_day: float, rules: RefillRules) -> tuple[float, float]:
        """Mean and SD of boluses per day; all that the lockout allows is equally likely while nothing is known."""
        if self.intervals == 0:
            return allowed_per_day / 2, allowed_per_day / sqrt(12)
        return self.mean_per_day, self.mean_per_day * self.variation(rules)

    def high_per_day(self, rules: RefillRules) -> float:
        """More boluses per day than this patient is likely to take; unlimited while nothing is known."""
        if self.intervals == 0:
            return inf
        return self.mean_per_day * (1 + rules.bolus_high_sd * self.variation(rules))

    def rates(self, rules: RefillRules) -> tuple[tuple[float, float], ...]:
        """(weight, boluses per day) of what the patient may take from now on; the lockout cuts the rates off.

        Nothing known yet: every allowed bolus is taken (the Prometra refill rule, manualshive.com PTC p5).
        """
        if self.intervals == 0:
            return ((1.0, inf),)
        nodes = gamma_nodes(max(1, round(100 * self.variation(rules))))
        return tuple((weight, self.mean_per_day * relative) for weight, relative in nodes)


@lru_cache(maxsize=512)
def gamma_nodes(cv_percent: int) -> tuple[tuple[float, float], ...]:
    """(weight, value) nodes of a gamma distribution of mean 1: Gauss-Laguerre by its Jacobi matrix (Golub-Welsch)."""
    shape = (100 / cv_percent) ** 2
    order = np.arange(NODES)
    diagonal = 2 * order + shape
    off_diagonal = np.sqrt(order[1:] * (order[1:] + shape - 1))
    values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1))
    return tuple(zip((vectors[0] ** 2).tolist(), (values / shape).tolist(), strict=True))
