import pytest

from benchmarks import intervals


def test_wilsons_interval_of_a_share_is_the_known_one() -> None:
    assert intervals.of_share(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)


def test_nothing_found_is_no_proof_of_never() -> None:
    low, high = intervals.of_share(0, 1000)
    assert low == 0
    assert high == pytest.approx(0.00383, abs=1e-5)


def test_a_mean_is_as_sure_as_its_patients_are_alike() -> None:
    assert intervals.of_mean([2.0] * 50) == (2.0, 2.0)
    low, high = intervals.of_mean([0.0, 4.0] * 50)
    assert (low, high) == pytest.approx((2 - 0.394, 2 + 0.394), abs=0.001)
    assert intervals.of_mean([0.0, 0.0, 0.1])[0] == 0


@pytest.mark.parametrize(("share", "ranks"), [(0.5, (40, 60)), (0.9, (84, 96))])
def test_a_quantile_lies_between_two_ranks(share: float, ranks: tuple[int, int]) -> None:
    assert intervals.of_quantile(range(1, 101), share) == ranks


def test_few_values_give_the_whole_range() -> None:
    assert intervals.of_quantile([3.0, 1.0], 0.9) == (1.0, 3.0)
