"""When the pump runs dry: the chance of an empty reservoir at a moment, and the moment of a given chance.

Delivery is normal given the patient's bolus rate, the rate is a handful of weighted values, and the volume
filled has the error of a syringe. Programmed delivery is piecewise linear in time.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import erfc, inf, sqrt
from statistics import NormalDist
from typing import Final

from sc_stim.clinical.delivery import Stretch, day_programmed, exposure
from sc_stim.clinical.flow_belief import FlowBelief

# In standard deviations of the empty day, some days: found to within minutes.
_CLOSE_QUANTILE: Final = 0.001
_MOST_STEPS: Final = 60
_LEAST_GUESS: Final = 0.01
_NORMAL: Final = NormalDist()
_SURELY: Final = 1 - 1e-15
_HARDLY: Final = 1e-300


class EmptyTime:
    """`volume_ml`: in the reservoir at day 0, above the floor that counts as empty; `volume_sd_ml` its error.

    `rates`: (weight, boluses per day) of what the patient may take, weights sum to 1; the lockout cuts rates
    off. `programme`: stretches from day 0 on, the last one endless.
    """

    def __init__(
        self,
        volume_ml: float,
        volume_sd_ml: float,
        belief: FlowBelief,
        rates: Sequence[tuple[float, float]],
        programme: Sequence[Stretch],
    ) -> None:
        self.volume_ml = volume_ml
        self.volume_sd_ml = volume_sd_ml
        self.belief = belief
        self.rates = rates
        self.programme = programme
        self.mean_rate = sum(weight * rate for weight, rate in rates)
        # The day on which the volume is delivered at the mean bolus rate.
        self.usual_day = day_programmed(programme, self.mean_rate, volume_ml / belief.ratio)

    def chance(self, day: float) -> float:
        """Probability that the reservoir is empty `day` days after the fill."""
        return sum(weight * self._chance_at_rate(rate, day) for weight, rate in self.rates)

    def day_of(self, chance: float) -> float:
        """The first day on which the chance of an empty reservoir is `chance`; infinite when it never is.

        Without boluses the first guess is exact. With them the normal quantile of the chance is still nearly
        a straight line in time, so the secant rule needs few steps; the bracket keeps it from leaving.
        """
        target = _quantile(chance)
        if self.usual_day in (0.0, inf):
            return self.usual_day
        day = self.usual_day * self._guess(target)
        early, late = 0.0, inf
        before, above_before = self.usual_day, -target
        for _ in range(_MOST_STEPS):
            above = self._quantile_at(day) - target
            if abs(above) < _CLOSE_QUANTILE:
                return day
            early, late = (day, late) if above < 0 else (early, day)
            steepness = (above - above_before) / (day - before) if day != before else 0.0
            following = day - above / steepness if steepness > 0 else inf
            if not early < following < late:
                following = (early + late) / 2 if late < inf else 2 * day
            before, above_before, day = day, above, following
        return early

    def _guess(self, target: float) -> float:
        """The day sought as a multiple of the usual one, at the mean bolus rate and with steady programming.

        At x times the usual day the volume is off by x - 1, in standard deviations of sqrt((a x)^2 + b^2),
        where a and b are the spreads of delivery and filling as shares of the volume: a quadratic in x.
        """
        exposed = exposure(self.programme, self.mean_rate, self.usual_day)
        a_squared = self.belief.delivered_variance(exposed) / self.volume_ml**2
        b_squared = (self.volume_sd_ml / self.volume_ml) ** 2
        z_squared = target**2
        root = sqrt(max(0.0, z_squared * (a_squared + b_squared - z_squared * a_squared * b_squared)))
        if target <= 0:
            return max(_LEAST_GUESS, 1 - z_squared * b_squared) / (1 + root)
        return (1 + root) / max(_LEAST_GUESS, 1 - z_squared * a_squared)

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
