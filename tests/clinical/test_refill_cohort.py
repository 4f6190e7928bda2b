"""The forecast on small cohorts of fixed seeds: bounds near target. The bench has the real figures."""

from functools import cache

import numpy as np
import pytest

from benchmarks.refill_cohort import Boluses, Nature, Scenario, Visits, run_part


@cache
def cohort(reservoir_ml: float, boluses: Boluses = "none", pumps: int = 250, rule: str = "ours") -> Visits:
    return run_part(Scenario(reservoir_ml, boluses), pumps, (1, 0), rule)


@pytest.mark.parametrize(
    ("reservoir_ml", "most_wasted_ml", "most_wasted_at_first_ml"), [(20, 2.55, 3.75), (40, 3.6, 7.2)]
)
def test_pumps_refilled_on_their_date_are_not_empty_and_not_full(
    reservoir_ml: float, most_wasted_ml: float, most_wasted_at_first_ml: float
) -> None:
    visits = cohort(reservoir_ml)
    settled = visits.of_fills(3)
    assert visits.empty.sum() <= 1
    assert np.median(settled.wasted_ml) < most_wasted_ml
    assert np.median(visits.of_fills(1, 1).wasted_ml) < most_wasted_at_first_ml
    assert 0.88 < settled.covered.mean() < 0.97
    assert np.median(settled.error) < 0.025
    assert settled.over_flag.mean() < 0.01


@pytest.mark.parametrize(("reservoir_ml", "most_wasted_ml"), [(20, 5.7), (40, 10.2)])
def test_boluses_that_nobody_counted_do_not_empty_a_pump_before_its_date(
    reservoir_ml: float, most_wasted_ml: float
) -> None:
    visits = cohort(reservoir_ml, "uncounted", pumps=120)
    assert visits.empty.sum() <= 1
    assert np.median(visits.of_fills(6).wasted_ml) < most_wasted_ml
    assert np.median(visits.of_fills(8, 8).wasted_ml) < np.median(visits.of_fills(1, 1).wasted_ml)


def test_counting_the_boluses_saves_drug() -> None:
    counted, uncounted = (cohort(20, how, pumps=120).of_fills(6) for how in ("counted", "uncounted"))
    assert np.median(counted.wasted_ml) < np.median(uncounted.wasted_ml) - 0.5


def test_a_pump_that_turns_fast_is_flagged_at_its_next_refill_and_in_time_after_that() -> None:
    visits = run_part(Scenario(40, nature=Nature(jump_at=4), fills=7), 150, (1, 0))
    assert visits.of_fills(5, 5).over_flag.mean() > 0.75
    assert visits.of_fills(7, 7).empty.mean() < 0.06


def test_the_programmed_arithmetic_empties_pumps_that_run_fast() -> None:
    arithmetic = cohort(40, rule="programmed arithmetic").of_fills(3)
    assert arithmetic.empty.mean() > 0.1
    assert np.median(arithmetic.error) > 2 * np.median(cohort(40).of_fills(3).error)


def test_the_labelled_worst_case_wastes_more() -> None:
    worst = cohort(40, rule="labelled worst case").of_fills(3)
    assert np.median(worst.wasted_ml) > np.median(cohort(40).of_fills(3).wasted_ml) + 1
