"""The Kalman filter behind the flow ratio."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.delivery import Exposure
from sc_stim.clinical.flow_belief import (
    FlowBelief,
    counted,
    drifted,
    learned,
    learned_from_empty,
    prior,
)
from sc_stim.clinical.refill_rules import shipped_rules

RULES = shipped_rules()
INTERVAL = Exposure(known_ml=16.0)


def after(ratios: list[float], belief: FlowBelief | None = None) -> FlowBelief:
    belief = belief or prior(RULES, 14.5)
    for ratio in ratios:
        belief = learned(drifted(belief, RULES), INTERVAL, ratio * INTERVAL.known_ml, 0.0, RULES)
    return belief


def test_one_measurement_is_the_textbook_kalman_update() -> None:
    belief = drifted(prior(RULES, 14.5), RULES)
    noise = (0.2**2 + 0.5**2) / 16**2
    variance = 0.05**2 + 0.015**2
    gain = variance / (variance + noise)
    found = after([1.06])
    assert belief.flow_ratio.sd == pytest.approx(sqrt(variance))
    assert found.ratio == pytest.approx(1.01 + gain * 0.05)
    assert found.ratio_variance == pytest.approx((1 - gain) * variance)


def test_three_refills_find_a_pump_that_is_eight_per_cent_fast() -> None:
    found = after([1.08, 1.08, 1.08]).flow_ratio
    assert found.mean == pytest.approx(1.08, abs=0.015)
    assert found.sd < 0.025


def test_a_label_that_promises_less_makes_the_first_belief_wider() -> None:
    assert prior(RULES, 30).flow_ratio.sd == pytest.approx(0.1)
    assert prior(RULES, 14.5).flow_ratio.sd == prior(RULES, None).flow_ratio.sd == pytest.approx(0.05)


def test_one_misread_syringe_moves_a_known_pump_little() -> None:
    steady = after([1.0, 1.0, 1.0])
    misread = after([0.75], steady)
    assert misread.ratio > 0.97


def test_a_surprising_over_delivery_is_never_explained_away() -> None:
    steady = after([1.0, 1.0, 1.0])
    jumped = after([1.2], steady)
    assert jumped.ratio > 1.1
    assert jumped.flow_ratio.sd > 2 * after([1.0], steady).flow_ratio.sd


def test_a_pump_found_empty_tells_nothing_of_a_slow_one_and_widens_the_belief_of_a_fast_one() -> None:
    belief = drifted(after([1.0, 1.0]), RULES)
    assert learned_from_empty(belief, Exposure(24.0), 20.0, 0.0, RULES) == belief
    fast = learned_from_empty(belief, Exposure(18.0), 20.0, 0.0, RULES)
    assert fast.ratio > belief.ratio
    assert fast.ratio_variance > belief.ratio_variance


def test_no_slower_pump_is_believed_than_a_sound_one_may_be() -> None:
    assert after([0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).ratio >= 0.85


def test_counted_boluses_leave_the_residual_to_the_pump() -> None:
    """Without counts the surplus is shared between pump and patient; with them it is all the pump's."""
    believed = drifted(prior(RULES, 14.5, allowed_per_day=6), RULES)
    uncounted = learned(believed, Exposure(14.0, ml_per_rate=1.4), 20.5, 1.0, RULES)
    known = counted(believed, 3.0, 1.0, RULES)
    with_counts = learned(known, Exposure(14.0 + 3 * 1.4), 20.5, 1.0, RULES)
    assert known.boluses_per_day == pytest.approx(3.0, abs=0.1)
    assert abs(uncounted.ratio - 1.01) < abs(with_counts.ratio - 1.01)
    assert uncounted.delivered_ml(Exposure(14.0, 1.4)) == pytest.approx(20.5, abs=1.0)


@given(
    st.lists(st.tuples(st.floats(0.5, 40), st.floats(0, 4), st.floats(-5, 40)), max_size=8),
    st.floats(0, 24),
    st.floats(0, 3),
)
def test_variances_stay_variances_whatever_was_measured(
    intervals: list[tuple[float, float, float]], allowed_per_day: float, habit_sd: float
) -> None:
    belief = prior(RULES, None, allowed_per_day)
    for known_ml, ml_per_rate, delivered_ml in intervals:
        exposed = Exposure(known_ml, ml_per_rate)
        belief = learned(drifted(belief, RULES), exposed, delivered_ml, habit_sd, RULES)
        assert belief.ratio_variance > 0
        assert belief.rate_variance >= -1e-9
        assert belief.covariance**2 <= belief.ratio_variance * belief.rate_variance + 1e-9
        assert belief.delivered_variance(exposed) >= -1e-6
        assert belief.ratio >= 0.85
        assert belief.rate >= 0
