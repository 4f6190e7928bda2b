"""When the pump runs dry: the chance of an empty reservoir at a moment, and the moment of a given chance.

The actual volume delivered is the programmed volume times the flow ratio, which is normal; the volume filled has the
error of a syringe. Bolus use is a handful of weighted rates, so programmed delivery is that many piecewise linear
tracks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import erfc, inf, sqrt
from statistics import NormalDist
from typing import Final

from sc_stim.clinical.delivery import Stretch
from sc_stim.clinical.flow_ratio import FlowRatio

# Moments are found to a hundredth of a day (15 minutes), always on the early side.
_TOLERANCE_DAYS: Final = 0.01
_SQRT_2: Final = sqrt(2)


@dataclass(frozen=True, slots=True)
class EmptyTime:
    """`volume_ml`: in the reservoir at day 0, above the floor that counts as empty; `volume_sd_ml` its error.

    `rates`: (weight, boluses per day), weights sum to 1. `programme`: stretches from day 0 on, the last one endless.
    """

    volume_ml: float
    volume_sd_ml: float
    flow: FlowRatio
    rates: Sequence[tuple[float, float]]
    programme: Sequence[Stretch]

    def chance(self, day: float) -> float:
        """Probability that the reservoir is empty `day` days after the fill."""
        return sum(
            weight * self._chance_once_delivered(delivered_ml(self.programme, rate, day)) for weight, rate in self.rates
        )

    def day_of(self, chance: float) -> float:
        """The first day on which the chance of an empty reservoir is `chance`; infinite when it never is."""
        programmed_ml = self._programmed_ml_at(chance)
        days = [day_delivered(self.programme, rate, programmed_ml) for _, rate in self.rates]
        early, late = min(days), max(days)
        if early == inf:
            return inf
        while late - early > _TOLERANCE_DAYS:
            middle = (early + late) / 2
            if self.chance(middle) < chance:
                early = middle
            else:
                late = middle
        return early

    def _chance_once_delivered(self, programmed_ml: float) -> float:
        excess_ml = self.flow.mean * programmed_ml - self.volume_ml
        spread_ml = sqrt((self.flow.sd * programmed_ml) ** 2 + self.volume_sd_ml**2)
        return erfc(-excess_ml / (spread_ml * _SQRT_2)) / 2

    def _programmed_ml_at(self, chance: float) -> float:
        """The programmed volume at which the chance is reached: the normal quantile is a quadratic in that volume."""
        z = _quantile(chance)
        squared = self.flow.mean**2 - (z * self.flow.sd) ** 2
        constant = self.volume_ml**2 - (z * self.volume_sd_ml) ** 2
        if z <= 0 and (constant <= 0 or self.volume_ml <= 0):
            return 0.0
        if z > 0 and squared <= 0:
            return inf
        half_linear = self.flow.mean * self.volume_ml
        root = sqrt(half_linear**2 - squared * constant)
        return constant / (half_linear + root) if z <= 0 else (half_linear + root) / squared


def delivered_ml(programme: Sequence[Stretch], boluses_per_day: float, day: float) -> float:
    """Programmed volume delivered by that day."""
    delivered = 0.0
    for stretch in programme:
        days = min(stretch.days, day)
        delivered += days * stretch.ml_per_day(boluses_per_day)
        day -= days
        if day <= 0:
            break
    return delivered


def day_delivered(programme: Sequence[Stretch], boluses_per_day: float, volume_ml: float) -> float:
    """The day by which that volume is delivered; infinite when it never is."""
    day = 0.0
    if volume_ml <= 0:
        return day
    for stretch in programme:
        ml_per_day = stretch.ml_per_day(boluses_per_day)
        if volume_ml <= stretch.days * ml_per_day and ml_per_day > 0:
            return day + volume_ml / ml_per_day
        day += stretch.days
        volume_ml -= stretch.days * ml_per_day
    return inf


@lru_cache(maxsize=64)
def _quantile(chance: float) -> float:
    return NormalDist().inv_cdf(chance)
