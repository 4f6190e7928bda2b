"""The pump: volumes, boluses and states."""

import datetime as dt
import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.pump import EOS_AFTER_ERI, TRANSITIONS, PumpSim
from tests.simulators.builders import BEGIN, DAY, create_pump

HOUR = dt.timedelta(hours=1)

flows = st.floats(0.05, 2.0)
ratios = st.floats(0.5, 1.6)
steps = st.lists(st.floats(0.001, 5.0), min_size=1, max_size=12)


def filled(**options: Any) -> PumpSim:
    pump = PumpSim(create_pump(**options), seed=1, begin=BEGIN)
    pump.refill(20.0)
    return pump


def bolus_user(**options: Any) -> PumpSim:
    return filled(
        **{"flow": 0.2, "bolus_ml": 0.05, "max_boluses": 4, "lockout_min": 120, "requests": 9.0, **options}
    )


@settings(max_examples=60, deadline=None)
@given(
    flow=flows,
    ratio=ratios,
    days=steps,
    drift=st.floats(-0.3, 0.3),
    refills=st.lists(st.booleans(), max_size=12),
)
def test_no_drop_is_lost_or_made(
    flow: float, ratio: float, days: list[float], drift: float, refills: list[bool]
) -> None:
    pump = bolus_user(flow=flow, ratio=ratio)
    pump.drift_flow(drift)
    put_in = 20.0
    for length, refill in zip(days, [*refills, *[False] * len(days)], strict=False):
        pump.advance(pump.at + DAY * length)
        if refill:
            pump.refill(15.0, pocket_ml=1.5)
            put_in += 13.5
    assert pump.true_ml + pump.delivered_ml + pump.drained_ml == pytest.approx(put_in)
    assert pump.true_ml >= 0


@settings(max_examples=60, deadline=None)
@given(flow=flows, ratio=ratios, days=steps)
def test_what_the_pump_computes_ignores_flow_error(flow: float, ratio: float, days: list[float]) -> None:
    exact, wrong = filled(flow=flow), filled(flow=flow, ratio=ratio)
    for length in days:
        exact.advance(exact.at + DAY * length)
        wrong.advance(wrong.at + DAY * length)
    assert wrong.computed_ml == exact.computed_ml
    assert wrong.sample().body == exact.sample().body


@settings(max_examples=40, deadline=None)
@given(requests=st.floats(0.5, 60), lockout=st.integers(0, 400), per_day=st.integers(1, 12))
def test_lockout_and_daily_limit_are_never_broken(requests: float, lockout: int, per_day: int) -> None:
    pump = bolus_user(requests=requests, lockout_min=lockout, max_boluses=per_day)
    granted: list[dt.datetime] = []
    for _ in range(6 * 24):
        pump.advance(pump.at + HOUR)
        granted += [at for at in pump.granted if at not in granted]
    for earlier, later in itertools.pairwise(granted):
        assert later - earlier >= dt.timedelta(minutes=lockout)
    for first, beyond in zip(granted, granted[per_day:], strict=False):
        assert beyond - first >= DAY


@settings(max_examples=30, deadline=None)
@given(days=steps, ratio=ratios)
def test_the_pace_of_advance_changes_nothing(days: list[float], ratio: float) -> None:
    in_steps, at_once = bolus_user(ratio=ratio), bolus_user(ratio=ratio)
    in_steps_out = [e for length in days for e in in_steps.advance(in_steps.at + DAY * length)]
    at_once_out = at_once.advance(in_steps.at)
    assert at_once.true_ml == pytest.approx(in_steps.true_ml)
    assert at_once.computed_ml == pytest.approx(in_steps.computed_ml)
    assert [e.body for e in at_once_out] == [e.body for e in in_steps_out]
    assert at_once.sample().body["boluses"] == in_steps.sample().body["boluses"]


def test_denied_boluses_say_why() -> None:
    pump = bolus_user(requests=40.0)
    reasons = {
        e.body["detail"]["reason"] for e in pump.advance(BEGIN + 5 * DAY) if e.body["kind"] == "bolus_denied"
    }
    assert reasons == {"lockout", "daily_limit"}


def test_the_low_reservoir_alarm_comes_when_the_computed_volume_reaches_it_however_much_is_really_left() -> (
    None
):
    pump = filled(flow=0.3, ratio=1.1)
    alarms = pump.advance(BEGIN + 59.9 * DAY)
    assert alarms == []
    assert pump.true_ml < 0.3
    alarms = pump.advance(BEGIN + 61 * DAY)
    assert [(e.body["kind"], e.body["state"]) for e in alarms] == [("low_reservoir", "raised")]
    assert abs(alarms[0].at - (BEGIN + 60 * DAY)) < dt.timedelta(seconds=1)


def test_an_over_infusing_pump_is_empty_before_its_alarm_and_goes_on_saying_that_it_runs() -> None:
    pump = filled(flow=0.3, ratio=1.2)
    pump.advance(BEGIN + 58 * DAY)
    assert pump.empty_since is not None
    assert abs(pump.empty_since - (BEGIN + 20 / 0.36 * DAY)) < dt.timedelta(minutes=1)
    sample = pump.sample().body
    assert sample["state"] == "running"
    assert sample["reservoir_ml"] > 2.0
    assert pump.deprived_since == pump.empty_since


def test_a_flow_jump_changes_what_is_delivered_from_that_moment_on() -> None:
    pump = filled(flow=0.5, ratio=1.0)
    pump.advance(BEGIN + 10 * DAY)
    pump.jump_flow(1.3)
    pump.advance(BEGIN + 20 * DAY)
    assert pump.delivered_ml == pytest.approx(5.0 + 6.5)


def test_a_stall_stops_the_drug_but_not_the_arithmetic() -> None:
    pump = filled(flow=0.5)
    events = pump.stall()
    pump.advance(BEGIN + 4 * DAY)
    assert [e.body["kind"] for e in events] == ["motor_stall"]
    assert pump.true_ml == 20.0
    assert pump.computed_ml == pytest.approx(18.0)
    assert pump.deprived_since == BEGIN
    assert [e.body["state"] for e in pump.recover()] == ["cleared"]
    pump.advance(BEGIN + 5 * DAY)
    assert pump.deprived_since is None
    assert pump.true_ml == pytest.approx(19.5)


def test_a_scan_is_logged_as_mri_and_stall_until_the_rotor_recovers() -> None:
    pump = filled()
    told = [*pump.enter_mri(), *pump.leave_mri()]
    assert [e.body["kind"] for e in told] == ["mri_entered", "motor_stall", "mri_left"]
    assert pump.state == "stalled"
    pump.recover()
    assert pump.state == "running"


def test_a_session_left_open_leaves_a_stopped_pump_and_no_closing_event() -> None:
    pump = filled()
    kinds = [e.body["kind"] for e in pump.leave_session_open()]
    assert kinds == ["session_opened", "pump_stopped"]
    pump.advance(BEGIN + DAY)
    assert pump.sample().body["flow_ml_per_day"] == 0.0
    assert pump.computed_ml == 20.0


def test_a_battery_fault_leaves_a_trickle() -> None:
    pump = filled()
    pump.battery_fault()
    pump.advance(BEGIN + 10 * DAY)
    assert pump.sample().body["state"] == "minimum_rate"
    assert pump.delivered_ml == pytest.approx(0.06)


def test_replacement_is_announced_and_ninety_days_later_the_pump_stops() -> None:
    pump = filled(flow=0.05, eri_at=BEGIN + 10 * DAY)
    told = pump.advance(BEGIN + 10 * DAY + EOS_AFTER_ERI + DAY)
    assert [e.body["kind"] for e in told] == ["eri", "eos", "pump_stopped"]
    assert pump.state == "stopped"
    assert pump.sample().body["eri_months"] == 0.0


def test_a_refill_clears_the_alarms_and_sets_the_computed_volume_to_what_the_clinic_entered() -> None:
    pump = filled(flow=1.0)
    pump.advance(BEGIN + 19 * DAY)
    told = pump.refill(20.0, pocket_ml=4.0)
    assert [(e.body["kind"], e.body.get("state")) for e in told] == [
        ("session_opened", None),
        ("low_reservoir", "cleared"),
        ("session_closed", None),
    ]
    assert pump.computed_ml == 20.0
    assert pump.true_ml == 16.0


def test_the_syringe_shows_about_what_is_left() -> None:
    pump = filled()
    pump.advance(BEGIN + 30 * DAY)
    readings = [pump.aspirated_ml(random.Random(number)) for number in range(200)]
    assert sum(readings) / len(readings) == pytest.approx(pump.true_ml, abs=0.05)
    assert min(readings) < pump.true_ml < max(readings)


def test_boluses_are_counted_since_the_last_sample() -> None:
    pump = bolus_user()
    pump.advance(BEGIN + 3 * DAY)
    first = pump.sample().body["boluses"]
    assert first > 0
    assert pump.sample().body["boluses"] == 0


def test_an_act_outside_the_table_is_refused_by_name() -> None:
    pump = filled()
    with pytest.raises(ValueError, match="recover is impossible while running"):
        pump.recover()


def test_every_state_can_end_and_every_stop_can_be_reached() -> None:
    states = {state for state, _ in TRANSITIONS}
    assert states == {"running", "stalled", "stopped", "mri", "minimum_rate"}
    assert all((state, "end_of_service") in TRANSITIONS for state in states)
