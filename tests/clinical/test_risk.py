from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.drugs import WITHDRAWAL_CLASSES
from sc_stim.clinical.flow_belief import FlowRatio
from sc_stim.clinical.refill import Clock, EmptyDates, Forecast
from sc_stim.clinical.refusal import Refused
from sc_stim.clinical.risk import PumpAtRisk, Reason, Risk, RiskLabel, judge_risk

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # a Monday
NO_FORECAST = Refused("no_fill_recorded", "record the last fill of this pump")


def due(days: int, empty_days: float | None = None, flags: tuple[str, ...] = ()) -> Forecast:
    """A forecast due in so many days, empty a day after that unless said otherwise."""
    day = AT.date() + timedelta(days=days)
    empty_days = days + 1 if empty_days is None else empty_days
    return Forecast(
        refill_by=day,
        binding_clock="empty_probability",
        clocks=(Clock("empty_probability", day),),
        empty=EmptyDates(day, day, day),
        earliest_empty=AT + timedelta(days=empty_days),
        expected_residual_ml=2.0,
        flow_ratio=FlowRatio(1.0, 0.02),
        flags=flags,
        last_refill=None,
    )


def risk(forecast: Forecast | Refused, withdrawal: str = "opioid", **facts: Any) -> Risk:
    return judge_risk(PumpAtRisk(forecast, withdrawal, UTC, **facts), AT)


def test_a_baclofen_pump_due_in_three_days_stands_above_a_morphine_pump_due_in_two() -> None:
    assert risk(due(3), "life_threatening") < risk(due(2), "opioid")


def test_a_morphine_pump_due_today_stands_above_a_baclofen_pump_due_in_two_weeks() -> None:
    assert risk(due(0), "opioid") < risk(due(14), "life_threatening")


def test_a_stopped_pump_stands_above_everything() -> None:
    stopped = risk(due(60), "none", therapy_stopped=True)
    assert stopped < risk(due(-5), "life_threatening")
    assert stopped.label is RiskLabel.HIGH
    assert Reason.THERAPY_STOPPED in stopped.reasons
    assert stopped.hours_until_empty == 61 * 24


def test_of_two_stopped_pumps_the_more_dangerous_drug_stands_first() -> None:
    assert risk(due(60), "life_threatening", therapy_stopped=True) < risk(
        due(1), "none", therapy_stopped=True
    )


def test_a_pump_without_forecast_is_high_and_stands_above_one_with_days_left() -> None:
    unknown = risk(NO_FORECAST)
    assert unknown < risk(due(3), "life_threatening")
    assert unknown.label is RiskLabel.HIGH
    assert unknown.hours_until_empty is None
    assert Reason.NO_FORECAST in unknown.reasons


def test_a_pump_that_may_be_empty_says_so() -> None:
    overdue = risk(due(-3, empty_days=-1))
    assert {Reason.OVERDUE, Reason.MAY_BE_EMPTY, Reason.OPIOID_WITHDRAWAL} == set(overdue.reasons)
    assert overdue.hours_until_empty == -24
    assert overdue.label is RiskLabel.HIGH


def test_a_pump_far_past_the_age_of_its_drug_is_no_low_risk_though_it_is_full() -> None:
    old_drug = risk(due(-10, empty_days=60), "none")
    assert old_drug.label is RiskLabel.HIGH
    assert old_drug < risk(due(5), "opioid")


@pytest.mark.parametrize(
    ("days", "withdrawal", "label"),
    [
        (1, "life_threatening", RiskLabel.HIGH),
        (10, "life_threatening", RiskLabel.MEDIUM),
        (30, "life_threatening", RiskLabel.LOW),
        (0, "opioid", RiskLabel.HIGH),
        (4, "opioid", RiskLabel.MEDIUM),
        (7, "opioid", RiskLabel.LOW),
        (7, "none", RiskLabel.LOW),
    ],
)
def test_the_label_follows_drug_and_time(days: int, withdrawal: str, label: RiskLabel) -> None:
    assert risk(due(days), withdrawal).label is label


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"missed_visits": 2}, Reason.MISSED_VISITS),
        ({"reachable": False}, Reason.UNREACHABLE),
    ],
)
def test_what_makes_a_pump_more_dangerous_moves_it_up_and_is_named(
    facts: dict[str, Any], reason: Reason
) -> None:
    worse = risk(due(3), **facts)
    assert worse < risk(due(3))
    assert reason in worse.reasons


def test_a_pump_that_may_over_infuse_moves_up() -> None:
    fast = risk(due(3, flags=("possible_over_infusion",)))
    assert fast < risk(due(3))
    assert Reason.POSSIBLE_OVER_INFUSION in fast.reasons


def test_a_pump_that_never_empties_has_no_hours_left_to_name() -> None:
    never = judge_risk(
        PumpAtRisk(
            Forecast(
                refill_by=date(2027, 3, 1),
                binding_clock="max_interval",
                clocks=(),
                empty=EmptyDates(None, None, None),
                earliest_empty=None,
                expected_residual_ml=20,
                flow_ratio=FlowRatio(1, 0.05),
                flags=(),
                last_refill=None,
            ),
            "opioid",
            UTC,
        ),
        AT,
    )
    assert never.hours_until_empty is None
    assert never.label is RiskLabel.LOW


@given(
    st.integers(-30, 200),
    st.floats(-30, 300),
    st.sampled_from(WITHDRAWAL_CLASSES),
    st.integers(0, 5),
    st.booleans(),
)
def test_less_time_is_never_less_dangerous(
    days: int, empty_days: float, withdrawal: str, missed: int, reachable: bool
) -> None:
    facts = {"missed_visits": missed, "reachable": reachable}
    now = risk(due(days, empty_days), withdrawal, **facts)
    sooner = risk(due(days - 1, empty_days - 1), withdrawal, **facts)
    assert sooner <= now
