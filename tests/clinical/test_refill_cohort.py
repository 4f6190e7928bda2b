"""A small cohort of the Monte Carlo benchmark: coarse bounds that a broken rule would break."""

import numpy as np
import pytest

from benchmarks.refill_cohort import Scenario, Tally, run_part


def cohort(scenario: Scenario, pumps: int) -> Tally:
    return run_part(scenario, pumps, (1, 0))


@pytest.mark.parametrize(("reservoir_ml", "most_wasted_ml"), [(20, 2.7), (40, 3.9)])
def test_pumps_refilled_on_their_date_are_not_empty_and_not_full(
    reservoir_ml: float, most_wasted_ml: float
) -> None:
    tally = cohort(Scenario("no boluses", reservoir_ml), 250)
    wasted = np.concatenate(tally.wasted[2:])
    assert sum(tally.empty) <= 1
    assert np.median(wasted) < most_wasted_ml
    assert 0.88 < sum(tally.covered[2:]) / sum(tally.visits[2:]) < 0.98


def test_boluses_that_nobody_counted_do_not_empty_a_pump_before_its_date() -> None:
    tally = cohort(Scenario("boluses", 20, boluses=True), 100)
    assert sum(tally.empty) <= 1
    assert np.median(tally.wasted[7]) < np.median(tally.wasted[0])


def test_a_pump_that_turns_fast_is_flagged_at_its_next_refill_and_in_time_after_that() -> None:
    tally = cohort(Scenario("jump", 40, fills=7, jump_at=3), 150)
    assert tally.over_flags[4] > 0.75 * tally.visits[4]
    assert tally.empty[6] < 0.06 * tally.visits[6]
