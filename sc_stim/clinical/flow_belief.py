"""What is believed of one pump's actual delivery, learned from the residual of every refill.

A pump refilled by the programmed arithmetic alone is wrong by its flow error for life; two or three residuals
bring the error down to that of the measurement. Where nobody counts the boluses, a residual cannot tell a
fast pump from a keen patient, so both are believed together: a two-state Kalman filter over the flow ratio
and the boluses per day.
"""

from dataclasses import dataclass
from math import sqrt

from msgspec import Struct

from sc_stim.clinical.delivery import Exposure
from sc_stim.clinical.refill_rules import RefillRules


@dataclass(frozen=True, slots=True)
class FlowRatio:
    """Actual over programmed volume, normally distributed. Dimensionless."""

    mean: float
    sd: float


class FlowBelief(Struct, frozen=True):
    """Means, variances and covariance of the flow ratio and of the delivered bolus rate.

    The rate is in programmed boluses per day times the flow ratio, so that delivery is linear in both:
    delivered mL = ratio * known_ml + rate * ml_per_rate.
    """

    ratio: float
    rate: float
    ratio_variance: float
    rate_variance: float = 0.0
    covariance: float = 0.0

    @property
    def flow_ratio(self) -> FlowRatio:
        return FlowRatio(self.ratio, sqrt(self.ratio_variance))

    @property
    def boluses_per_day(self) -> float:
        return self.rate / self.ratio

    def programmed_ml(self, exposure: Exposure) -> float:
        return exposure.known_ml + exposure.ml_per_rate * self.boluses_per_day

    def delivered_ml(self, exposure: Exposure) -> float:
        return self.ratio * exposure.known_ml + self.rate * exposure.ml_per_rate

    def delivered_variance(self, exposure: Exposure) -> float:
        return self.delivered_covariance(exposure, exposure)

    def delivered_covariance(self, one: Exposure, other: Exposure) -> float:
        crossed = one.known_ml * other.ml_per_rate + one.ml_per_rate * other.known_ml
        return (
            one.known_ml * other.known_ml * self.ratio_variance
            + crossed * self.covariance
            + one.ml_per_rate * other.ml_per_rate * self.rate_variance
        )

    def usual(self, exposure: Exposure, habit_sd: float) -> FlowRatio:
        """The ratio of delivered to programmed volume to expect; `habit_sd`: spread of boluses per day."""
        programmed_ml = self.programmed_ml(exposure)
        variance = self.delivered_variance(exposure) + (habit_sd * exposure.ml_per_rate) ** 2
        return FlowRatio(self.delivered_ml(exposure) / programmed_ml, sqrt(variance) / programmed_ml)


def prior(rules: RefillRules, accuracy_pct: float | None, allowed_per_day: float = 0.0) -> FlowBelief:
    """What is believed of a pump never measured.

    A wide labelled accuracy is taken as three standard deviations. Of the boluses that the lockout allows,
    any number is equally likely.
    """
    labelled_sd = (accuracy_pct or 0.0) / 300
    return FlowBelief(
        ratio=rules.flow_prior_mean,
        rate=rules.flow_prior_mean * allowed_per_day / 2,
        ratio_variance=max(rules.flow_prior_sd, labelled_sd) ** 2,
        rate_variance=allowed_per_day**2 / 12,
    )


def drifted(belief: FlowBelief, rules: RefillRules) -> FlowBelief:
    """The belief about the next interval: a pump's ratio wanders from refill to refill."""
    return _with_ratio_variance(belief, rules.flow_drift_sd**2)


def surprise(usual: FlowRatio, ratio: float, programmed_ml: float, rules: RefillRules) -> float:
    """Standard deviations by which a measured ratio of delivered to programmed is above the usual (below:
    negative).
    """
    return (ratio - usual.mean) / sqrt(usual.sd**2 + _reading_variance(rules) / programmed_ml**2)


def learned(
    belief: FlowBelief, exposure: Exposure, delivered_ml: float, habit_sd: float, rules: RefillRules
) -> FlowBelief:
    """The belief after a measured residual. `belief` is the one about that interval (drift included).

    A surprising measurement counts less, as a syringe may be misread; a surprising over-delivery also widens
    the belief, so that it brings the next date forward and is never explained away.
    """
    innovation_ml = delivered_ml - belief.delivered_ml(exposure)
    noise = _reading_variance(rules) + (habit_sd * exposure.ml_per_rate) ** 2
    surprised = innovation_ml / sqrt(belief.delivered_variance(exposure) + noise)
    if abs(surprised) > rules.flow_downweight:
        noise *= (surprised / rules.flow_downweight) ** 2
    if surprised > rules.flow_flag:
        belief = _widened(belief, exposure, innovation_ml)
    return _updated(belief, exposure.known_ml, exposure.ml_per_rate, innovation_ml, noise, rules)


def learned_from_empty(
    belief: FlowBelief, exposure: Exposure, delivered_ml: float, habit_sd: float, rules: RefillRules
) -> FlowBelief:
    """The belief after the reservoir was found empty, so at least `delivered_ml` was delivered.

    That says nothing of a slow pump. Of a fast one it shows only a part, so the belief is widened by what it
    shows.
    """
    innovation_ml = delivered_ml - belief.delivered_ml(exposure)
    if innovation_ml <= 0:
        return belief
    return _widened(learned(belief, exposure, delivered_ml, habit_sd, rules), exposure, innovation_ml)


def _widened(belief: FlowBelief, exposure: Exposure, innovation_ml: float) -> FlowBelief:
    return _with_ratio_variance(belief, (innovation_ml / belief.programmed_ml(exposure)) ** 2)


def _with_ratio_variance(belief: FlowBelief, more: float) -> FlowBelief:
    return FlowBelief(
        belief.ratio, belief.rate, belief.ratio_variance + more, belief.rate_variance, belief.covariance
    )


def counted(belief: FlowBelief, per_day: float, habit_sd: float, rules: RefillRules) -> FlowBelief:
    """The belief after boluses were counted: rate - per_day * ratio is zero but for the habit's spread."""
    return _updated(belief, -per_day, 1.0, per_day * belief.ratio - belief.rate, habit_sd**2, rules)


def _updated(
    belief: FlowBelief, of_ratio: float, of_rate: float, innovation: float, noise: float, rules: RefillRules
) -> FlowBelief:
    """Kalman update by one measurement of of_ratio * ratio + of_rate * rate.

    A ratio below what a sound pump can have is not believed: a pump that stood still may run again.
    """
    with_ratio = belief.ratio_variance * of_ratio + belief.covariance * of_rate
    with_rate = belief.covariance * of_ratio + belief.rate_variance * of_rate
    variance = of_ratio * with_ratio + of_rate * with_rate + noise
    return FlowBelief(
        ratio=max(rules.flow_least, belief.ratio + with_ratio / variance * innovation),
        rate=max(0.0, belief.rate + with_rate / variance * innovation),
        ratio_variance=belief.ratio_variance - with_ratio**2 / variance,
        rate_variance=belief.rate_variance - with_rate**2 / variance,
        covariance=belief.covariance - with_ratio * with_rate / variance,
    )


def _reading_variance(rules: RefillRules) -> float:
    return rules.syringe_sd_ml**2 + rules.emptying_sd_ml**2
