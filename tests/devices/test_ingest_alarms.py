"""Alarms of devices: an alert with the event itself, no alert for what is old or already contradicted."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.clinical.alarms import Severity, shipped_table
from sc_stim.devices import alarm_rows
from sc_stim.devices.mqtt import Delivery
from sc_stim.models import Alert, WorkItem
from sc_stim.workflows.conditions import judge_conditions
from tests.intake import AT, Intake, Speaker, intake, intake_engines, on_both

__all__ = ["intake", "intake_engines"]

MINUTE, HOUR = 60, 3600


def alarm(pump: Speaker, seq: int, kind: str, state: str | None = "raised", *, ago_s: float = 0) -> Delivery:
    return pump.says(events=[pump.item(seq, ago_s=ago_s, kind=kind, state=state)], topic="event")


def told(intake: Intake) -> list[tuple[str, str, str, bool]]:
    rows = select(Alert.condition, Alert.severity, Alert.state, Alert.historical).order_by(Alert.id)
    return [tuple(row) for row in intake.all(rows)]  # type: ignore[misc]


def judge(intake: Intake, *speakers: Speaker, after_s: float = 0) -> dict[int, dt.datetime]:
    """What the workers do later with all that is owed."""
    at = AT + dt.timedelta(seconds=after_s)
    with Session(intake.engine) as session:
        owed = select(WorkItem.subject_id, WorkItem.since).where(WorkItem.kind != "pain")
        again = judge_conditions(session, dict(session.execute(owed).all()), at)
        session.commit()
    return dict(again)


@on_both
def test_an_alarm_of_just_now_is_an_alert_in_the_same_transaction(intake: Intake) -> None:
    pump = intake.add()
    intake.receive(alarm(pump, 0, "motor_stall"))
    stalled = ("motor_stall", "high", "unacknowledged", False)
    assert told(intake) == [stalled]
    judge(intake, pump)
    intake.receive(alarm(pump, 0, "motor_stall"), alarm(pump, 1, "motor_stall"))
    assert told(intake) == [stalled], "told again it is still one"


@on_both
def test_an_alarm_is_over_when_the_device_says_so(intake: Intake) -> None:
    pump = intake.add()
    intake.receive(alarm(pump, 0, "motor_stall", ago_s=MINUTE))
    intake.receive(alarm(pump, 1, "motor_stall", "cleared"))
    assert told(intake) == [("motor_stall", "high", "returned_to_normal", False)]


def test_an_alarm_that_a_newer_word_contradicts_calls_nobody(intake: Intake) -> None:
    """The clearing overtakes the raising on the way."""
    pump = intake.add()
    intake.receive(alarm(pump, 1, "motor_stall", "cleared", ago_s=MINUTE))
    intake.receive(alarm(pump, 0, "motor_stall", ago_s=5 * MINUTE))
    assert told(intake) == [("motor_stall", "high", "closed", True)]


def test_an_older_clearing_does_not_end_a_newer_alarm(intake: Intake) -> None:
    pump = intake.add()
    intake.receive(alarm(pump, 0, "motor_stall", ago_s=9 * MINUTE))
    intake.receive(alarm(pump, 2, "motor_stall", ago_s=MINUTE))
    intake.receive(alarm(pump, 1, "motor_stall", "cleared", ago_s=5 * MINUTE))
    [(*_, state, _)] = told(intake)
    assert state == "unacknowledged"


@on_both
def test_old_news_waits_for_the_workers_and_is_a_finding_when_it_is_over(intake: Intake) -> None:
    pump = intake.add()
    intake.receive(
        alarm(pump, 0, "pump_stopped", ago_s=5 * HOUR),
        pump.says(pump.item(1, state="running", ago_s=4 * HOUR)),
    )
    assert told(intake) == []
    judge(intake, pump)
    judge(intake, pump)
    assert told(intake) == [("pump_stopped", "high", "closed", True)]


def test_old_news_that_still_holds_is_an_alert_once_the_rest_had_time_to_come(intake: Intake) -> None:
    pump = intake.add()
    intake.receive(alarm(pump, 0, "pump_stopped", ago_s=5 * HOUR))
    [again_at] = judge(intake, pump).values()
    assert (told(intake), again_at) == ([], AT + dt.timedelta(minutes=2))
    judge(intake, pump, after_s=2 * MINUTE)
    assert told(intake) == [("pump_stopped", "high", "unacknowledged", False)]


@on_both
def test_a_pump_is_stopped_by_its_newest_word_and_not_by_its_newest_sample(intake: Intake) -> None:
    """A sample without a state is missing data: it takes nothing back."""
    pump = intake.add()
    intake.receive(pump.says(pump.item(0, state="stopped", ago_s=MINUTE)))
    intake.receive(pump.says(pump.item(1, reservoir_ml=10)))
    judge(intake, pump)
    stopped = ("pump_stopped", "high", "unacknowledged", False)
    assert told(intake) == [stopped]
    intake.receive(pump.says(pump.item(2, state="stopped", ago_s=3 * HOUR), topic="history"))
    judge(intake, pump)
    assert told(intake) == [stopped]
    intake.receive(pump.says(pump.item(3, state="running", ago_s=-1)))
    judge(intake, pump, after_s=1)
    assert [state for _, _, state, _ in told(intake)] == ["returned_to_normal"]


@on_both
def test_mri_mode_that_lasts_gets_worse_though_only_samples_tell_of_it(intake: Intake) -> None:
    stimulator = intake.add("stimulator")
    hours = range(25, -1, -1)
    intake.receive(
        *(stimulator.says(stimulator.item(25 - ago, ago_s=ago * HOUR, state="mri")) for ago in hours)
    )
    judge(intake, stimulator)
    assert told(intake) == [("mri_mode", "medium", "unacknowledged", False)]
    assert intake.one(select(Alert.since)) == AT - dt.timedelta(hours=25)


@on_both
def test_a_fault_in_the_judgement_costs_no_telemetry(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(session: Session, subjects: Any, at: Any) -> None:
        session.add(Alert())
        session.flush()

    pump = intake.add()
    monkeypatch.setattr(alarm_rows, "judge_conditions", fail)
    [ack] = intake.receive(alarm(pump, 0, "motor_stall"), pump.says(pump.item(1)))
    assert (ack.upto, ack.missing, intake.reasons()) == (1, [], [])
    assert intake.one(select(WorkItem.kind)) == "refill", "the workers judge it in any case"
    judge(intake, pump)
    assert [condition for condition, *_ in told(intake)] == ["motor_stall"]


def test_conditions_that_are_over_at_once_need_nobody() -> None:
    """Ingest leaves them to the time line: they must not ask for more than that."""
    momentary = [rule for rule in shipped_table().conditions.values() if rule.momentary]
    assert momentary
    assert {severity for rule in momentary for severity in rule.severity.values()} == {Severity.INFO}
