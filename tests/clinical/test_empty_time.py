"""When a pump runs dry, checked against plain Monte Carlo and against itself."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.bolus_use import BolusHabit, rates_around
from sc_stim.clinical.delivery import Stretch
from sc_stim.clinical.empty_time import EmptyTime
from sc_stim.clinical.flow_belief import FlowBelief
from sc_stim.clinical.refill_rules import shipped_rules


@st.composite
def empty_times(draw: st.DrawFn) -> EmptyTime:
    flow = draw(st.floats(0.02, 2))
    bolus_ml = draw(st.sampled_from([0.0, 0.02, 0.1])) * flow
    rate = draw(st.floats(0.1, 8))
    spread = draw(st.floats(0.05, 0.6))
    first = Stretch(draw(st.floats(1, 60)), draw(st.floats(0, 3)) * flow, bolus_ml, 6.0)
    return EmptyTime(
        volume_ml=draw(st.floats(0.5, 40)),
        volume_sd_ml=0.2,
        belief=FlowBelief(
            draw(st.floats(0.85, 1.4)), rate, draw(st.floats(0.005, 0.2)) ** 2, 0.1 if bolus_ml else 0.0
        ),
        rates=rates_around(rate, spread * rate) if bolus_ml else ((1.0, 0.0),),
        programme=(first, Stretch(inf, flow, bolus_ml, 6.0)),
    )


@given(empty_times(), st.sampled_from([3e-5, 1e-4, 0.05, 0.5, 0.95]))
def test_on_the_day_of_a_chance_the_chance_is_that(empty: EmptyTime, chance: float) -> None:
    day = empty.day_of(chance)
    if 0 < day < inf:
        assert empty.chance(day * 0.999 - 0.01) <= chance * 1.02
        assert empty.chance(day * 1.001 + 0.01) >= chance * 0.98


@given(empty_times(), st.floats(0, 400), st.floats(0, 100))
def test_the_chance_of_an_empty_pump_only_grows(empty: EmptyTime, day: float, later: float) -> None:
    assert empty.chance(day) <= empty.chance(day + later) + 1e-12


def test_the_chance_agrees_with_a_simulation() -> None:
    rates = rates_around(3.0, 1.0)
    belief = FlowBelief(1.02, 1.02 * 3.0, 0.03**2)
    empty = EmptyTime(20.0, 0.2, belief, rates, (Stretch(inf, 0.2, 0.02, 6.0),))
    rng = np.random.default_rng(7)
    per_day = np.minimum(rng.gamma(9.0, 3.0 / 9.0, 200_000), 6.0)
    ratio, filled = rng.normal(1.02, 0.03, 200_000), rng.normal(20.0, 0.2, 200_000)
    for day in (65.0, 75.0, 85.0):
        simulated = np.mean(ratio * day * (0.2 + 0.02 * per_day) >= filled)
        assert empty.chance(day) == pytest.approx(simulated, abs=0.01)


def test_a_pump_without_flow_never_runs_dry() -> None:
    still = EmptyTime(20.0, 0.2, FlowBelief(1.0, 0.0, 0.01), ((1.0, 0.0),), (Stretch(inf, 0.0, 0.0, 0.0),))
    assert still.day_of(1e-4) == inf
    assert still.day_of(0.95) == inf


def test_nothing_above_the_floor_is_empty_at_once() -> None:
    empty = EmptyTime(0.0, 0.2, FlowBelief(1.0, 0.0, 0.01), ((1.0, 0.0),), (Stretch(inf, 0.2, 0.0, 0.0),))
    assert empty.day_of(1e-4) == 0


def test_the_lockout_cuts_off_what_a_patient_asks_for() -> None:
    programme = (Stretch(inf, 0.2, 0.02, 6.0),)
    greedy = EmptyTime(20.0, 0.2, FlowBelief(1.0, 0.0, 1e-4), ((1.0, 60.0),), programme)
    all_allowed = EmptyTime(20.0, 0.2, FlowBelief(1.0, 0.0, 1e-4), ((1.0, 6.0),), programme)
    assert greedy.chance(61.0) == all_allowed.chance(61.0)


@given(st.floats(0.01, 20), st.floats(0.1, 4))
def test_the_weighted_rates_have_the_mean_and_spread_asked_for(usual: float, spread: float) -> None:
    sd = spread * usual
    rates = rates_around(usual, sd)
    mean = sum(weight * rate for weight, rate in rates)
    variance = sum(weight * (rate - mean) ** 2 for weight, rate in rates)
    assert sum(weight for weight, _ in rates) == pytest.approx(1)
    assert mean == pytest.approx(max(usual, sd / 2))
    assert variance**0.5 == pytest.approx(sd, rel=0.06)


def test_a_patient_s_own_spread_takes_over_from_the_assumed_one() -> None:
    rules = shipped_rules()
    assert BolusHabit().sd_per_day(2.0, rules) == pytest.approx(0.7)
    steady = BolusHabit()
    for _ in range(20):
        steady = steady.with_interval(2.0)
    assert steady.sd_per_day(2.0, rules) < 0.25
