"""The ratio of actual to programmed flow of one pump, learned from the residual of every refill.

A one-state Kalman filter. A pump refilled by the programmed arithmetic alone is wrong by its flow error for life;
two or three residuals bring the error down to the measurement's own.
"""

from dataclasses import dataclass, replace
from math import sqrt

from sc_stim.clinical.refill_rules import RefillRules


@dataclass(frozen=True, slots=True)
class FlowRatio:
    """Actual over programmed flow, normally distributed. Dimensionless."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Residual:
    """One interval between fills: what was delivered by measurement and what was programmed, in mL.

    `programmed_sd_ml`: how uncertain the programmed volume is (boluses nobody counted).
    """

    delivered_ml: float
    programmed_ml: float
    programmed_sd_ml: float = 0.0

    @property
    def ratio(self) -> float:
        return self.delivered_ml / self.programmed_ml


def prior(rules: RefillRules, accuracy_pct: float | None) -> FlowRatio:
    """What is believed of a pump never measured; a wide labelled accuracy is taken as three standard deviations."""
    labelled_sd = (accuracy_pct or 0.0) / 300
    return FlowRatio(rules.flow_prior_mean, max(rules.flow_prior_sd, labelled_sd))


def drifted(flow: FlowRatio, rules: RefillRules) -> FlowRatio:
    """The belief about the next interval: a pump's ratio wanders from refill to refill."""
    return replace(flow, sd=sqrt(flow.sd**2 + rules.flow_drift_sd**2))


def surprise(flow: FlowRatio, residual: Residual, rules: RefillRules) -> float:
    """Standard deviations by which the measured ratio is above (below: negative) the expected one."""
    variance = flow.sd**2 + _measurement_variance(flow, residual, rules)
    return (residual.ratio - flow.mean) / sqrt(variance)


def learned(flow: FlowRatio, residual: Residual, rules: RefillRules) -> FlowRatio:
    """The belief after a refill. `flow` is the belief about that interval (drift included).

    A surprising measurement counts less, as a syringe may be misread; a surprising over-delivery also widens the
    belief, so that it brings the next date forward and is never explained away.
    """
    surprised = surprise(flow, residual, rules)
    measurement = _measurement_variance(flow, residual, rules)
    variance = flow.sd**2
    if abs(surprised) > rules.flow_downweight:
        measurement *= (surprised / rules.flow_downweight) ** 2
    if surprised > rules.flow_flag:
        variance += (residual.ratio - flow.mean) ** 2
    gain = variance / (variance + measurement)
    return FlowRatio(flow.mean + gain * (residual.ratio - flow.mean), sqrt((1 - gain) * variance))


def _measurement_variance(flow: FlowRatio, residual: Residual, rules: RefillRules) -> float:
    volume_variance = rules.syringe_sd_ml**2 + rules.emptying_sd_ml**2 + (flow.mean * residual.programmed_sd_ml) ** 2
    return volume_variance / residual.programmed_ml**2
