import pytest

from sc_stim.clinical.flow_belief import FlowRatio
from sc_stim.clinical.reconciliation import Reconciliation, pocket_fill_flags, reconcile
from sc_stim.clinical.refill_rules import shipped_rules

RULES = shipped_rules()


def judged(expected_ml: float, aspirated_ml: float, **known: float | FlowRatio | None) -> Reconciliation:
    return reconcile(
        expected_ml=expected_ml,
        aspirated_ml=aspirated_ml,
        volume_after_last_fill_ml=20,
        **{"reservoir_ml": 20, "accuracy_pct": 14.5, **known},
    )


def test_the_story_of_the_refill_nurse_six_expected_three_point_one_aspirated() -> None:
    found = judged(6.0, 3.1)
    assert found.difference_ml == pytest.approx(2.9)
    assert found.delivered_ml == pytest.approx(16.9)
    assert found.programmed_ml == pytest.approx(14.0)
    assert found.ratio == pytest.approx(1.2071, abs=1e-4)
    assert found.flag_names == ("remeasure", "possible_over_infusion")
    assert [flag.rule for flag in found.flags] == [
        "difference_above_limit",
        "outside_labelled_accuracy",
        "flow_ratio_surprise",
    ]
    assert "16.9 mL delivered for 14.0 mL programmed (+21 %)" in found.flags[2].sentence


@pytest.mark.parametrize(
    ("expected_ml", "aspirated_ml", "flags"),
    [
        (6.0, 6.0, ()),
        (6.0, 4.1, ()),
        (6.0, 3.9, ("remeasure",)),
        (6.0, 8.1, ("remeasure",)),
        (15.0, 14.0, ("remeasure",)),  # 1 mL is little, but a fifth of what was programmed
        (6.0, 11.0, ("remeasure", "possible_under_infusion")),
        (6.0, 0.0, ("remeasure", "possible_over_infusion", "possible_pocket_fill")),
        (2.0, 0.3, ()),
    ],
)
def test_a_discrepancy_raises_the_flags_of_its_size(
    expected_ml: float, aspirated_ml: float, flags: tuple[str, ...]
) -> None:
    assert judged(expected_ml, aspirated_ml).flag_names == flags


def test_without_a_labelled_accuracy_only_the_difference_asks_to_measure_again() -> None:
    assert judged(15.0, 14.0, accuracy_pct=None).flags == ()


def test_the_same_discrepancy_surprises_more_in_a_pump_that_is_known() -> None:
    assert "possible_over_infusion" not in judged(4.0, 1.5).flag_names
    assert "possible_over_infusion" in judged(4.0, 1.5, usual=FlowRatio(0.99, 0.02)).flag_names


def test_a_pump_that_should_have_run_dry_and_did_raises_nothing() -> None:
    found = judged(-4.0, 0.0)
    assert found.flags == ()
    assert found.expected_ml == 0
    assert found.programmed_ml == 24


def test_a_pump_that_should_have_run_dry_and_did_not_is_slow() -> None:
    assert judged(-4.0, 3.0).flag_names == ("remeasure", "possible_under_infusion")


def test_nothing_programmed_gives_no_ratio() -> None:
    found = judged(20.0, 19.8)
    assert (found.ratio, found.surprise_sd, found.flags) == (None, None, ())


@pytest.mark.parametrize(
    ("reservoir_ml", "measured_ml", "suspected"),
    [(20, 19.1, False), (20, 18.9, True), (40, 18.1, False), (40, 17.9, True), (20, 20.5, False)],
)
def test_volume_missing_after_filling_may_lie_beside_the_reservoir(
    reservoir_ml: float, measured_ml: float, suspected: bool
) -> None:
    flags = pocket_fill_flags(20.0, measured_ml, reservoir_ml, RULES)
    assert [flag.name for flag in flags] == ["possible_pocket_fill"] * suspected
    at_refill = judged(6.0, 6.0, reservoir_ml=reservoir_ml, injected_ml=20.0, measured_after_ml=measured_ml)
    assert at_refill.flag_names == ("possible_pocket_fill",) * suspected
