"""When the pump runs dry: the chance of an empty reservoir at a moment, and the moment of a given chance.

Delivery is normal given the patient's bolus rate, the rate is a handful of weighted values, and the volume
filled has the error of a syringe. Programmed delivery is piecewise linear in time.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import accumulate
from math import erfc, inf, sqrt
from statistics import NormalDist
from typing import Final

from sc_stim.clinical.delivery import Exposure, Stretch, day_programmed, exposure
from sc_stim.clinical.flow_belief import FlowBelief

# In standard deviations of the empty day, some days: found to within minutes.
_CLOSE_QUANTILE: Final = 0.001
_MOST_STEPS: Final = 60
_LEAST_GUESS: Final = 0.01
_NORMAL: Final = NormalDist()
_SURELY: Final = 1 - 1e-15
_HARDLY: Final = 1e-300

# At one bolus rate, within one stretch of the programme: its weight, the delivered mL beyond the volume at the start
# and per day, and the variance as a polynomial of the days since then: delivery is a line, its variance a parabola.
_Course = tuple[float, float, float, float, float, float]


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
        self._starts = list(accumulate((stretch.days for stretch in programme[:-1]), initial=0.0))
        self._courses: dict[int, list[_Course]] = {}

    def chance(self, day: float) -> float:
        """Probability that the reservoir is empty `day` days after the fill."""
        stretch = max(0, bisect_right(self._starts, day) - 1)
        days, chance = day - self._starts[stretch], 0.0
        for weight, excess, steady, fixed, linear, square in self._courses_in(stretch):
            deviation_ml = sqrt(2 * (fixed + days * (linear + days * square)))
            chance += weight * erfc(-(excess + days * steady) / deviation_ml)
        return chance / 2

    def day_of(self, chance: float) -> float:
        """The first day on which the chance of an empty reservoir is `chance`; infinite when it never is.

        At a single bolus rate the first guess is exact. At several the normal quantile of the chance is still
        nearly a straight line in time, so the secant rule needs few steps; the bracket keeps it from leaving.
        """
        target = _quantile(chance)
        if self.usual_day in (0.0, inf):
            return self.usual_day
        day = self._normal_day(target)
        if len(self.rates) == 1:
            return day
        day = min(max(day, _LEAST_GUESS * self.usual_day), self.usual_day / _LEAST_GUESS)
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

    def _normal_day(self, target: float) -> float:
        """The day sought, if delivery were normal however the boluses spread.

        At x times the volume the delivery is off by x - 1, in standard deviations of sqrt((a x)^2 + b^2),
        where a and b are the spreads of delivery and filling as shares of the volume: a quadratic in x.
        """
        a_squared, b_squared = self._spreads
        z_squared = target**2
        root = sqrt(max(0.0, z_squared * (a_squared + b_squared - z_squared * a_squared * b_squared)))
        if target <= 0:
            times = max(0.0, 1 - z_squared * b_squared) / (1 + root)
        elif z_squared * a_squared < 1:
            times = (1 + root) / (1 - z_squared * a_squared)
        else:
            return inf  # so much doubt that it may well run for ever
        return day_programmed(self.programme, self.mean_rate, times * self.volume_ml / self.belief.ratio)

    @cached_property
    def _spreads(self) -> tuple[float, float]:
        """Variances of delivery and of filling as shares of the volume."""
        exposed = exposure(self.programme, self.mean_rate, self.usual_day)
        spread = sum(weight * (rate - self.mean_rate) ** 2 for weight, rate in self.rates)
        by_boluses = spread * (self.belief.ratio * exposed.ml_per_rate) ** 2
        squared = self.volume_ml**2
        delivered = self.belief.delivered_variance(exposed) + by_boluses
        return delivered / squared, self.volume_sd_ml**2 / squared

    def _quantile_at(self, day: float) -> float:
        return _NORMAL.inv_cdf(min(max(self.chance(day), _HARDLY), _SURELY))

    def _courses_in(self, stretch: int) -> list[_Course]:
        if stretch not in self._courses:
            self._courses[stretch] = [self._course(stretch, weight, rate) for weight, rate in self.rates]
        return self._courses[stretch]

    def _course(self, stretch: int, weight: float, rate: float) -> _Course:
        before = exposure(self.programme[:stretch], rate)
        known, per_rate = self.programme[stretch].split(rate)
        daily = Exposure(known, per_rate)
        belief = self.belief
        return (
            weight,
            belief.ratio * (before.known_ml + rate * before.ml_per_rate) - self.volume_ml,
            belief.ratio * (known + rate * per_rate),
            belief.delivered_variance(before) + self.volume_sd_ml**2,
            2 * belief.delivered_covariance(before, daily),
            belief.delivered_variance(daily),
        )


@lru_cache(maxsize=64)
def _quantile(chance: float) -> float:
    return _NORMAL.inv_cdf(chance)
