"""What the judgements make of alerts: refills, conditions, silence, shelves, commands."""

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.extensions import db
from sc_stim.models import Alert, Command, Device, DeviceEvent, Fill, WorkItem
from sc_stim.models import Forecast as ForecastRow
from sc_stim.tasks.jobs import JUDGES
from sc_stim.tasks.refills import judge_refills
from sc_stim.tasks.silence import find_silent
from sc_stim.tasks.upkeep import expire
from sc_stim.tasks.work import work_off
from sc_stim.workflows import alerts, health, heartbeat, outbox
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.conditions import judge_conditions
from tests.apps import Time, both_databases, read
from tests.builders import (
    AT,
    create_alert,
    create_device_state,
    create_fill,
    create_pump,
    create_pump_sample,
    create_setting,
    create_user,
)

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)

pytestmark = both_databases


def running_pump(**values: Any) -> Device:
    """Filled 20 mL 20 days before AT, giving 0.5 mL a day."""
    pump = create_pump(**values)
    create_setting(device=pump)
    create_fill(pump=pump)
    return pump


def judge_refill(pump: Device, at: dt.datetime) -> ForecastRow:
    judge_refills(db.session(), {pump.id: at}, at)
    db.session.commit()
    [row] = read(select(ForecastRow).where(ForecastRow.device_id == pump.id))
    assert isinstance(row, ForecastRow)
    return row


def judge(pump: Device, at: dt.datetime, since: dt.datetime | None = None) -> None:
    judge_conditions(db.session(), {pump.id: since or at}, at)
    db.session.commit()


def say(
    pump: Device, kind: str, at: dt.datetime, *, received_at: dt.datetime | None = None, **values: Any
) -> None:
    row = DeviceEvent(
        device_id=pump.id, epoch="events", seq=int(at.timestamp()), clinic_id=pump.clinic_id, measured_at=at,
        device_at=at, received_at=received_at or at, kind=kind, **values,
    )  # fmt: skip
    db.session.add(row)
    db.session.commit()


def told() -> list[tuple[str, str, str]]:
    """Condition, severity and state of every alert, oldest first."""
    return [(row.condition, row.severity, row.state) for row in read(select(Alert).order_by(Alert.id))]


def resolve(alert: Alert, at: dt.datetime) -> None:
    user = create_user()
    alerts.resolve(db.session(), Actor(alert.clinic_id, user.name, b"key", user.id), alert, None, at)
    db.session.commit()


def only_alert() -> Alert:
    [alert] = read(select(Alert))
    assert isinstance(alert, Alert)
    return alert


def test_a_due_refill_alerts_gets_worse_when_overdue_and_ends_when_filled(app: Flask) -> None:
    pump = running_pump()
    refill_by = judge_refill(pump, AT).refill_by
    assert refill_by is not None
    noon = dt.datetime.combine(refill_by, dt.time(12), dt.UTC)
    judge_refill(pump, noon - 8 * DAY)
    assert told() == []
    judge_refill(pump, noon - 7 * DAY)
    (due,) = told()
    assert (due[0], due[2]) == ("refill_due", State.UNACKNOWLEDGED)
    judge_refill(pump, noon + DAY)
    (overdue,) = told()
    assert alerts.SEVERITIES.index(overdue[1]) > alerts.SEVERITIES.index(due[1])
    create_fill(pump=pump, at=noon + DAY)
    judge_refill(pump, noon + DAY + HOUR)
    assert [state for *_, state in told()] == [State.RETURNED_TO_NORMAL]


def test_a_stall_that_stands_stops_the_pump_though_its_alert_was_resolved(app: Flask) -> None:
    pump = running_pump()
    running = judge_refill(pump, AT).danger
    say(pump, "motor_stall", AT - HOUR, state="raised")
    judge(pump, AT)
    stalled = judge_refill(pump, AT).danger
    resolve(only_alert(), AT)
    assert running is not None
    assert stalled is not None
    assert judge_refill(pump, AT).danger == stalled > running


def test_a_stopped_pump_has_one_open_alert_until_it_runs(app: Flask) -> None:
    pump = running_pump()
    create_pump_sample(pump=pump, state="stopped", measured_at=AT)
    judge(pump, AT)
    create_pump_sample(pump=pump, state="stopped", measured_at=AT + HOUR)
    judge(pump, AT + HOUR)
    assert told() == [("pump_stopped", "high", State.UNACKNOWLEDGED)]
    create_pump_sample(pump=pump, state="running", measured_at=AT + 2 * HOUR)
    judge(pump, AT + 2 * HOUR)
    assert told() == [("pump_stopped", "high", State.RETURNED_TO_NORMAL)]


def test_an_alarm_that_arrives_when_it_is_over_is_history(app: Flask) -> None:
    pump = running_pump()
    create_pump_sample(pump=pump, state="running", measured_at=AT)
    say(pump, "pump_stopped", AT - 5 * HOUR, received_at=AT, state="raised")
    judge(pump, AT + HOUR, since=AT - 5 * HOUR)
    judge(pump, AT + HOUR, since=AT - 5 * HOUR)
    alert = only_alert()
    assert (alert.historical, alert.state, alert.open_key) == (True, State.CLOSED, None)


def test_what_was_alerted_while_it_held_is_no_second_finding(app: Flask) -> None:
    pump = running_pump()
    say(pump, "pump_stopped", AT, state="raised")
    judge(pump, AT)
    say(pump, "pump_stopped", AT + HOUR, state="cleared")
    judge(pump, AT + HOUR, since=AT)
    assert told() == [("pump_stopped", "high", State.RETURNED_TO_NORMAL)]


def condition(pump: Device, severity: str) -> alerts.Condition:
    return alerts.Condition(
        clinic_id=pump.clinic_id, patient_id=pump.patient_id, device_id=pump.id, name="motor_stall",
        severity=severity, since=AT, effect_key=alerts.condition_key(pump.id, "motor_stall", AT, severity),
        model_version="test", same_cause=alerts.condition_keys(pump.id, "motor_stall", AT),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("resolved_at", "then", "raised"),
    [
        (["medium"], "medium", False),
        (["medium"], "high", True),
        (["high"], "medium", False),
        (["medium", "high"], "high", False),  # it had got worse before it was resolved
    ],
)
def test_what_was_resolved_is_raised_anew_only_when_it_gets_worse(
    app: Flask, resolved_at: list[str], then: str, raised: bool
) -> None:
    pump = create_pump()
    for severity in resolved_at:
        alert = alerts.raise_alert(db.session(), condition(pump, severity), at=AT)
    assert alert is not None
    resolve(alert, AT)
    assert (alerts.raise_alert(db.session(), condition(pump, then), at=AT + HOUR) is not None) == raised


def test_an_alert_stands_on_evidence_of_any_age(app: Flask) -> None:
    pump = running_pump()
    say(pump, "motor_stall", AT, state="raised")
    judge(pump, AT)
    judge(pump, AT + 500 * DAY)
    assert told() == [("motor_stall", "high", State.UNACKNOWLEDGED)]
    say(pump, "motor_stall", AT + 500 * DAY, state="cleared")
    judge(pump, AT + 500 * DAY)
    assert told() == [("motor_stall", "high", State.RETURNED_TO_NORMAL)]


def test_an_old_alarm_without_an_open_alert_is_for_the_chart(app: Flask) -> None:
    pump = running_pump()
    say(pump, "motor_stall", AT - 401 * DAY, state="raised")
    judge(pump, AT)
    assert told() == []


def find(at: dt.datetime) -> int:
    silent = find_silent(db.session(), at)
    db.session.commit()
    return silent


def test_a_silent_device_alerts_within_two_intervals_and_a_minute_until_it_speaks(app: Flask) -> None:
    pump = create_pump(report_interval_s=3600, created_at=AT - DAY)
    state = create_device_state(device=pump, measured_at=AT, heard_at=AT)
    assert find(AT + 2 * HOUR - dt.timedelta(seconds=1)) == 0
    assert told() == []
    found_at = AT + 2 * HOUR + dt.timedelta(seconds=60)  # looked for every minute: not later than that
    assert find(found_at) == 1
    assert find(found_at + dt.timedelta(seconds=60)) == 1
    [(name, _, standing)] = told()
    assert (name, standing) == ("no_data", State.UNACKNOWLEDGED)
    state.measured_at = state.heard_at = found_at
    db.session.commit()
    assert find(found_at + dt.timedelta(seconds=60)) == 0
    assert [standing for *_, standing in told()] == [State.RETURNED_TO_NORMAL]


def test_an_alert_comes_back_by_itself_when_its_shelf_ends(app: Flask) -> None:
    pump = create_pump()
    until = AT + HOUR
    create_alert(patient=pump.patient, device=pump, state=State.SHELVED, shelved_until=until)
    expire(db.session(), until - dt.timedelta(seconds=1))
    assert only_alert().state == State.SHELVED
    expire(db.session(), until)
    db.session.commit()
    assert (only_alert().state, only_alert().shelved_until) == (State.UNACKNOWLEDGED, None)


def test_an_unanswered_command_ends_not_confirmed(app: Flask) -> None:
    pump, user = create_pump(), create_user()
    for state in ("pending", "sent", "reported"):
        command = Command(
            clinic_id=pump.clinic_id, device_id=pump.id, kind="interrogate", args={}, state=state,
            requested_by_id=user.id, requested_at=AT, expires_at=AT + HOUR,
        )  # fmt: skip
        db.session.add(command)
    db.session.commit()
    states = select(Command.state).order_by(Command.id)
    expire(db.session(), AT + HOUR - dt.timedelta(seconds=1))
    db.session.commit()
    assert read(states) == ["pending", "sent", "reported"]
    expire(db.session(), AT + HOUR)
    db.session.commit()
    assert read(states) == ["not_confirmed", "not_confirmed", "reported"]


def test_a_record_that_cannot_be_judged_stops_no_other_and_shows_on_health(app: Flask, time: Time) -> None:
    pumps = {running_pump().id for _ in range(5)}
    bad = max(pumps) - 2
    db.session.execute(update(Fill).where(Fill.device_id == bad).values(drugs=[{"mg": 10}]))
    outbox.ask(db.session(), outbox.REFILL, pumps, AT)
    db.session.commit()
    assert work_off(db.session(), JUDGES, until=AT + DAY) == 4
    assert set(read(select(ForecastRow.device_id))) == pumps - {bad}
    [left] = read(select(WorkItem).where(WorkItem.kind == outbox.REFILL))
    assert (left.subject_id, left.last_error) == (bad, "KeyError")
    time.pass_by(minutes=6)
    assert work_off(db.session(), JUDGES, until=time.at + DAY) == 0
    heartbeat.beat(db.session(), "worker", time.at)
    worker = health.working(db.session(), time.at)["worker"]
    assert not worker.ok
    assert worker.why == "cannot finish a judgement (refill: KeyError)"
    db.session.execute(update(Fill).where(Fill.device_id == bad).values(drugs=[]))
    db.session.commit()
    time.pass_by(hours=1)
    assert work_off(db.session(), JUDGES, until=time.at + DAY) == 1
    assert bad in set(read(select(ForecastRow.device_id)))
    assert health.working(db.session(), time.at)["worker"].why != worker.why
