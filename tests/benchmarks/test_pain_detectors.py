"""What our pain rule is compared with: each finds a plain step, and none is silenced by how it is called."""

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.diaries import DAYS, Floats, cohort
from benchmarks.pain_detectors import COMPARATORS, Comparator, our_rule, tuned

STEP_ON = 60


def diary(size: float, seed: int = 3) -> Floats:
    rng = np.random.default_rng(seed)
    scores = 4.0 + rng.normal(0.0, 0.5, (1, 120))
    scores[:, STEP_ON:] += size
    scores[:, ::9] = np.nan
    return scores


@pytest.mark.parametrize("name", COMPARATORS)
def test_every_rule_finds_a_large_step_at_its_textbook_setting(name: str) -> None:
    comparator = COMPARATORS[name]
    (alerts,) = comparator.at(comparator.textbook)(diary(5.0))
    days = [alert.day for alert in alerts]
    assert any(STEP_ON <= day <= STEP_ON + 21 for day in days)
    assert all(later - earlier >= 14 for earlier, later in pairwise(days))


@pytest.mark.parametrize("name", COMPARATORS)
def test_the_least_sensitive_end_of_the_grid_hardly_alarms(name: str) -> None:
    comparator = COMPARATORS[name]
    first, last = (
        sum(map(len, comparator.at(at)(diary(0.0)))) for at in (comparator.grid[0], comparator.grid[-1])
    )
    assert last <= first
    assert last <= 1


def test_our_rule_finds_the_step_too() -> None:
    (alerts,) = our_rule(diary(4.0))
    assert alerts[0].kind == "step_up"
    assert STEP_ON <= alerts[0].day <= STEP_ON + 5


def test_tuning_takes_the_most_sensitive_threshold_within_the_rate() -> None:
    quiet = cohort(np.random.default_rng(4), 40, "quiet").scores
    comparator = COMPARATORS["week"]
    threshold = tuned(comparator, quiet, years=40 * DAYS / 365.25, per_year=1.5)
    place = comparator.grid.index(threshold)

    def alerts(at: float) -> int:
        return sum(map(len, comparator.at(at)(quiet)))

    assert alerts(threshold) <= 60 < alerts(comparator.grid[place - 1])


def test_a_rule_too_slow_for_all_patients_says_so() -> None:
    slow: list[Comparator] = [one for one in COMPARATORS.values() if one.slow]
    assert [one.reads.split()[0] for one in slow] == ["KernelCPD"]
