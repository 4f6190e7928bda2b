"""When the pump runs dry: the chance of an empty reservoir at a moment, and the moment of a given chance.

Delivery is normal given the patient's bolus rate, the rate is a handful of weighted values, and the volume filled has
the error of a syringe. Programmed delivery is piecewise linear in time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import erfc, inf, sqrt
from statistics import NormalDist
from typing import Final

from sc_stim.clinical.delivery import Stretch, day_programmed, exposure
from sc_stim.clinical.flow_belief import FlowBelief

# Moments are found to a hundredth of a day (15 minutes), on the early side.
_TOLERANCE_DAYS: Final = 0.01
_MOST_STEPS: Final = 60
_NORMAL: Final = NormalDist()
_SURELY: Final = 1 - 1e-15
_HARDLY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class EmptyTime:
    """`volume_ml`: in the reservoir at day 0, above the floor that counts as empty; `volume_sd_ml` its error.

    `rates`: (weight, boluses per day) of what the patient may take, weights sum to 1; the lockout cuts rates off.
    `programme`: stretches from day 0 on, the last one endless.
    """

    volume_ml: float
    volume_sd_ml: float
    belief: FlowBelief
    rates: Sequence[tuple[float, float]]
    programme: Sequence[Stretch]

    def chance(self, day: float) -> float:
        """Probability that the reservoir is empty `day` days after the fill."""
        return sum(weight * self._chance_at_rate(rate, day) for weight, rate in self.rates)

    def day_of(self, chance: float) -> float:
        """The first day on which the chance of an empty reservoir is `chance`; infinite when it never is.

        The normal quantile of the chance is nearly a straight line in time, so the secant rule finds it in a few
        steps; the bracket keeps it from leaving.
        """
        target = _quantile(chance)
        day = self._usual_day()
        if day in (0.0, inf):
            return day
        early, late = 0.0, inf
        before, above_before = 0.0, -inf
        for _ in range(_MOST_STEPS):
            above = self._quantile_at(day) - target
            early, late = (day, late) if above < 0 else (early, day)
            step = -above * (day - before) / (above - above_before) if above != above_before else 0.0
            following = day + step
            if not early < following < late or step == 0.0:
                following = (early + late) / 2 if late < inf else 2 * day
            before, above_before, day = day, above, following
            if abs(day - before) < _TOLERANCE_DAYS:
                return min(day, before)
        return early

    def _usual_day(self) -> float:
        """The day on which the volume is delivered at the mean bolus rate."""
        mean_rate = sum(weight * rate for weight, rate in self.rates)
        return day_programmed(self.programme, mean_rate, self.volume_ml / self.belief.ratio)

    def _quantile_at(self, day: float) -> float:
        return _NORMAL.inv_cdf(min(max(self.chance(day), _HARDLY), _SURELY))

    def _chance_at_rate(self, rate: float, day: float) -> float:
        exposed = exposure(self.programme, rate, day)
        programmed_ml = exposed.known_ml + rate * exposed.ml_per_rate
        excess_ml = self.belief.ratio * programmed_ml - self.volume_ml
        variance = self.belief.delivered_variance(exposed) + self.volume_sd_ml**2
        return erfc(-excess_ml / sqrt(2 * variance)) / 2


@lru_cache(maxsize=64)
def _quantile(chance: float) -> float:
    return _NORMAL.inv_cdf(chance)
