"""Silent therapy from stored reports: one alert while it lasts, none for the past, and a bounded price."""

import datetime as dt
from typing import Any

from flask import Flask
from sqlalchemy import event, insert, select

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.extensions import db
from sc_stim.models import Alert, CareTask, Device, StimulatorSample, WorkItem
from sc_stim.tasks.jobs import JUDGES
from sc_stim.tasks.therapy import SETTLES, alert_overdue_tasks, ask_nightly, judge_silent_therapy
from sc_stim.workflows import alerts, outbox
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.therapy_history import therapy_histories
from simulators.course import Course
from simulators.happenings import LeadFracture, SwitchedOff
from tests.apps import both_databases, read
from tests.builders import (
    AT,
    create_alert,
    create_care_task,
    create_device_state,
    create_pump,
    create_pump_sample,
    create_setting,
    create_stimulator,
    create_user,
)
from tests.clinical.therapy_days import history_of, samples_in
from tests.simulators.builders import BEGIN, create_cohort, create_patient
from tests.simulators.builders import create_stimulator as simulated_stimulator

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)

pytestmark = both_databases


def report(device: Device, days_ago: float, **values: Any) -> None:
    at = AT - dt.timedelta(days=days_ago)
    row = {
        "device_id": device.id, "epoch": "e1", "seq": int((at - AT + 900 * DAY).total_seconds()),
        "clinic_id": device.clinic_id, "measured_at": at, "device_at": at, "received_at": at, "state": "on",
        "on_s": 86_400.0, "program": "A", "amplitude_ma": 4.2, "battery_pct": 80.0, "charged_s": 3_600.0,
    } | values  # fmt: skip
    db.session.execute(insert(StimulatorSample).values(row))
    db.session.commit()


def off(device: Device, days_ago: float) -> None:
    report(device, days_ago, state="off", on_s=0.0)


def judge(device: Device, at: dt.datetime = AT) -> None:
    judge_silent_therapy(db.session(), {device.id: at}, at)
    db.session.commit()


def told() -> list[tuple[str, str, str]]:
    return [(row.condition, row.severity, row.state) for row in read(select(Alert).order_by(Alert.id))]


def test_the_database_sums_up_days_as_the_rules_expect(app: Flask) -> None:
    simulated = simulated_stimulator(duty=0.25, closed_loop=True)
    script = (SwitchedOff(at=BEGIN + 5 * DAY, for_days=3), LeadFracture(at=BEGIN + 9 * DAY, contacts=(1,)))
    cohort = create_cohort(create_patient(*script, stimulator=simulated), days=15)
    samples = samples_in(Course(cohort.patients[0], cohort).advance(cohort.now), "stimulator")
    device, end = create_stimulator(model="Evoke", leads=[]), BEGIN + 14 * DAY
    fields = StimulatorSample.__table__.columns.keys()
    rows = [
        {name: body.get(name) for name in fields}
        | {
            "device_id": device.id, "epoch": "e", "seq": seq, "clinic_id": device.clinic_id, "measured_at": at,
            "device_at": at, "received_at": at,
        }
        for seq, (at, body) in enumerate(samples)
    ]  # fmt: skip
    db.session.execute(insert(StimulatorSample), rows)
    db.session.commit()
    found = therapy_histories(db.session(), [device], end)[device.id]
    expected = history_of(simulated, samples, end)
    assert [day.at for day in found.days] == [day.at for day in expected.days]
    for day, other in zip(found.days, expected.days, strict=True):
        for name in ("covered", "state", "said_on", "said_off", "cycling", "mri", "battery_pct", "battery_v"):
            assert getattr(day, name) == getattr(other, name), (name, day.at)
        for name in ("on_s", "charged_s", "ecap_in_window_pct"):
            one, two = getattr(day, name), getattr(other, name)
            assert (one is None) == (two is None)
            assert one is None or abs(one - two) < 1e-6
        assert day.settings["program"] == other.settings["program"]
    assert found.impedance == expected.impedance


def test_lasting_non_use_is_one_alert_until_stimulation_is_back(app: Flask) -> None:
    device = create_stimulator(model="Intellis")
    for days_ago in range(30, 3, -1):
        report(device, days_ago)
    for days_ago in (3, 2, 1):
        off(device, days_ago)
        judge(device, AT - days_ago * DAY)
    assert told() == [("therapy_off", "medium", State.UNACKNOWLEDGED)]
    [alert] = read(select(Alert))
    assert alert.since == AT - 3 * DAY
    assert "3 reported days in a row" in alert.detail["sentence"]
    off(device, 0)
    judge(device)
    report(device, -1)
    judge(device, AT + DAY)
    assert told() == [("therapy_off", "medium", State.RETURNED_TO_NORMAL)]


def test_no_data_neither_raises_nor_ends_a_finding(app: Flask) -> None:
    device = create_stimulator(model="Intellis")
    for days_ago in range(30, 3, -1):
        report(device, days_ago)
    judge(device, AT)
    assert told() == [], "three days without a report are not three days without stimulation"
    for days_ago in (3, 2, 1):
        off(device, days_ago)
    judge(device, AT)
    judge(device, AT + 90 * DAY)
    assert told() == [("therapy_off", "medium", State.UNACKNOWLEDGED)]


def test_a_finding_that_late_reports_tell_of_is_history_and_pages_nobody(app: Flask) -> None:
    device = create_stimulator(model="Intellis")
    for days_ago in [*range(40, 25, -1), *range(19, -1, -1)]:
        report(device, days_ago)
    judge(device)
    assert told() == []
    for days_ago in range(25, 19, -1):
        off(device, days_ago)
    judge(device)
    judge(device, AT + HOUR)
    [alert] = read(select(Alert))
    assert (alert.condition, alert.state, alert.historical) == ("therapy_off", State.CLOSED, True)
    assert (alert.since, alert.open_key) == (AT - 25 * DAY, None)


def test_what_a_person_resolved_is_not_raised_again_while_it_lasts(app: Flask) -> None:
    device = create_stimulator(model="Intellis")
    for days_ago in range(20, 0, -1):
        report(device, days_ago)
    for days_later in range(70):
        off(device, -days_later)
    judge(device, AT + 3 * DAY)
    [alert] = read(select(Alert))
    user = create_user()
    actor = Actor(alert.clinic_id, user.name, b"key", user.id)
    alerts.resolve(db.session(), actor, alert, "On holiday.", AT + 3 * DAY)
    db.session.commit()
    for days in (4, 40, 69):  # at last its beginning lies outside the window
        judge(device, AT + days * DAY)
    assert told() == [("therapy_off", "medium", State.CLOSED)]


def test_settings_that_are_not_reported_back_alert_after_the_grace_and_end_when_equal(app: Flask) -> None:
    pump = create_pump(model="SynchroMed II 8637-20")
    create_setting(device=pump, flow_ml_per_day=0.8, effective_at=AT)
    for hours, flow in ((-1, 0.5), (2, 0.5), (30, 0.5)):
        create_pump_sample(pump=pump, flow_ml_per_day=flow, measured_at=AT + hours * HOUR)
        judge(pump, AT + hours * HOUR)
        assert (told() != []) == (hours == 30)
    assert told() == [("settings_mismatch", "medium", State.UNACKNOWLEDGED)]
    create_pump_sample(pump=pump, state="stopped", flow_ml_per_day=0.0, measured_at=AT + 50 * HOUR)
    judge(pump, AT + 50 * HOUR)
    assert told()[0][2] == State.UNACKNOWLEDGED, "a stopped pump says nothing of its settings"
    create_pump_sample(pump=pump, flow_ml_per_day=0.8, measured_at=AT + 80 * HOUR)
    judge(pump, AT + 80 * HOUR)
    assert told() == [("settings_mismatch", "medium", State.RETURNED_TO_NORMAL)]


def test_one_odd_impedance_is_a_task_and_the_second_reading_an_alert(app: Flask) -> None:
    device = create_stimulator(model="Intellis")
    create_setting(device=device)
    for days_ago in range(20, 1, -1):
        report(device, days_ago, impedance_ohm=[500.0] * 16, posture="sitting")
    report(device, 1, impedance_ohm=[500.0, 12_000.0, *[500.0] * 14], posture="lying")
    judge(device, AT - DAY)
    [task] = read(select(CareTask))
    assert (task.kind, task.closed_at, told()) == ("impedance_remeasure", None, [])
    assert "contact 1 (12000 Ohm)" in task.steps[0]["text"]
    report(device, 0.9, impedance_ohm=[500.0, 12_500.0, *[500.0] * 14], posture="standing")
    judge(device)
    assert told() == [("contact_open", "low", State.UNACKNOWLEDGED)]
    [task] = read(select(CareTask))
    assert task.closed_by == "impedance_reading"


def test_one_odd_impedance_that_the_next_reading_takes_back_alarms_nobody(app: Flask) -> None:
    device = create_stimulator(model="Intellis")
    for days_ago in range(20, 1, -1):
        report(device, days_ago, impedance_ohm=[500.0] * 16)
    report(device, 1, impedance_ohm=[500.0, 12_000.0, *[500.0] * 14], posture="lying")
    judge(device, AT - DAY)
    report(device, 0.5, impedance_ohm=[500.0] * 16, posture="sitting")
    judge(device)
    assert told() == []
    assert [task.closed_by for task in read(select(CareTask))] == ["impedance_reading"]


def test_an_open_contact_with_a_rise_of_pain_is_worse(app: Flask) -> None:
    device = create_stimulator(model="Intellis")
    for days_ago in range(20, -1, -1):
        ohm = [12_000.0 if days_ago < 3 else 500.0] * 16
        report(device, days_ago, impedance_ohm=ohm)
    judge(device)
    assert told() == [("contact_open", "low", State.UNACKNOWLEDGED)]
    create_alert(patient=device.patient, condition="pain_rise")
    judge(device, AT + HOUR)
    assert told()[0] == ("contact_open", "medium", State.UNACKNOWLEDGED)
    assert "not on record, so all count" in read(select(Alert).order_by(Alert.id))[0].detail["sentence"]


def test_judging_costs_the_same_statements_however_many_devices_and_reports(app: Flask) -> None:
    devices = [create_stimulator(model="Intellis") for _ in range(6)]
    for device in devices:
        for days_ago in range(30, -1, -1):
            report(device, days_ago, impedance_ohm=[500.0] * 16)
    ids, counts = [device.id for device in devices], []
    for some in (ids[:1], ids):
        asked: list[str] = []

        def note(_c: Any, _cur: Any, statement: str, *_: Any, asked: list[str] = asked) -> None:
            asked.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        judge_silent_therapy(db.session(), dict.fromkeys(some, AT), AT)
        event.remove(db.engine, "before_cursor_execute", note)
        counts.append(len(asked))
        db.session.rollback()
    assert counts[0] == counts[1] <= 8


def test_news_of_a_device_owes_its_judgement_once_a_little_later(app: Flask) -> None:
    device = create_stimulator()
    for minutes in (0, 5, 10):
        JUDGES[outbox.DEVICE](db.session(), {device.id: AT}, AT + dt.timedelta(minutes=minutes))
    db.session.commit()
    [item] = read(select(WorkItem).where(WorkItem.kind == outbox.THERAPY))
    assert (item.subject_id, item.due_at) == (device.id, AT + SETTLES)


def test_every_night_the_devices_that_were_heard_are_judged_once(app: Flask) -> None:
    heard, silent = create_stimulator(), create_stimulator()
    create_device_state(device=heard, heard_at=AT)
    create_device_state(device=silent, heard_at=AT - 3 * DAY)
    assert ask_nightly(db.session(), AT) == 2
    assert ask_nightly(db.session(), AT + HOUR) == 0
    db.session.commit()
    owed = read(select(WorkItem.subject_id).where(WorkItem.kind == outbox.THERAPY))
    assert owed == [heard.id]


def test_a_task_that_is_overdue_is_an_alert_until_it_is_closed(app: Flask) -> None:
    pump = create_pump(model="Prometra II 20 mL")
    task = create_care_task(device=pump, kind="mri_preparation", due_at=AT)
    create_care_task(device=pump, due_at=AT - DAY)  # the check after a scan is a condition of its own
    assert alert_overdue_tasks(db.session(), AT - HOUR) == 0
    assert [alert_overdue_tasks(db.session(), AT + hours * HOUR) for hours in (0, 1)] == [1, 1]
    db.session.commit()
    assert told() == [("task_overdue", "medium", State.UNACKNOWLEDGED)]
    task.closed_at = AT + 2 * HOUR
    db.session.commit()
    alert_overdue_tasks(db.session(), AT + 3 * HOUR)
    db.session.commit()
    assert told() == [("task_overdue", "medium", State.RETURNED_TO_NORMAL)]


def test_two_overdue_tasks_of_a_device_are_one_alert_that_stays_as_it_is(app: Flask) -> None:
    stimulator = create_stimulator()
    for hours, kind in ((2, "impedance_remeasure"), (1, "mri_preparation")):
        create_care_task(device=stimulator, kind=kind, due_at=AT - hours * HOUR)
    said = []
    for _ in range(2):
        alert_overdue_tasks(db.session(), AT)
        db.session.commit()
        [alert] = db.session.scalars(select(Alert)).all()
        said.append((alert.version, alert.severity, alert.detail["task_kind"]))
    assert said[0] == said[1]
    assert said[0][1:] == ("medium", "impedance_remeasure")
