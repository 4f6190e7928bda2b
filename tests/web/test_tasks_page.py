"""The list of tasks, and one task until it ends."""

import csv
import datetime as dt
import io

import pytest

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, CareTask
from tests import builders
from tests.builders import AT

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def pump(app):
    return builders.create_pump(model="SynchroMed II 20 mL", serial="SN7")


@pytest.fixture
def nurse(pump, visit):
    return visit(builders.create_user(clinic=pump.patient.clinic, role="nurse"))


def address(task):
    return f"/tasks/{task.public_id}"


def test_what_is_due_first_stands_first_and_overdue_is_said(pump, nurse):
    builders.create_care_task(device=pump, due_at=AT + HOUR)
    builders.create_care_task(device=pump, kind="impedance_remeasure", due_at=AT - HOUR)
    builders.create_care_task(device=pump, closed_at=AT - HOUR, closed_by="session_closed")
    builders.create_care_task(device=builders.create_pump())

    rows = nurse.page("/tasks").texts("tr")[1:]

    assert ["Measure impedance again" in rows[0], "Check after an MRI scan" in rows[1]] == [True, True]
    assert ["overdue" in row for row in rows] == [True, False]
    assert len(nurse.page("/tasks?show=overdue").texts("tr")) == 2
    assert "by a programming session of the device" in nurse.page("/tasks?show=closed").texts("tr")[1]
    assert len(nurse.page("/tasks?kind=mri_check").texts("tr")) == 2
    for wrong in ("show=all", "kind=washing", "page=0"):
        nurse.page(f"/tasks?{wrong}", 404)


def test_an_empty_list_says_where_tasks_come_from(nurse):
    assert "Tasks come from scans and odd readings" in nurse.page("/tasks").text


def test_the_list_goes_on_on_the_next_page(pump, nurse, monkeypatch):
    monkeypatch.setattr("sc_stim.web.care_tasks.PAGE_SIZE", 2)
    for hours in range(3):
        builders.create_care_task(device=pump, due_at=AT + hours * HOUR)

    assert len(nurse.page("/tasks").texts("tr")) == 3
    assert len(nurse.page("/tasks?page=2").texts("tr")) == 2


def test_only_an_interrogation_ends_the_check_after_a_scan(pump, nurse):
    stimulator = builders.create_stimulator(patient=pump.patient)
    task = builders.create_care_task(device=stimulator)
    page = nurse.page(address(task))
    assert "Record an interrogation" in page.text
    assert "Interrogate. unverified" in page.text

    assert "only an interrogation" in nurse.done(f"{address(task)}/done", comment="all well").text
    assert db.session.get_one(CareTask, task.id).closed_at is None
    page = nurse.done(
        f"{address(task)}/interrogation", performed_at="2026-11-23T08:30", comment="Left MRI mode."
    )

    assert "The task is closed." in page.text
    assert "Left MRI mode." in page.text
    assert "Closed today 09:00 by interrogated" in page.text


@pytest.mark.parametrize(
    ("typed", "field", "why"),
    [
        ({"performed_at": "", "comment": "fine"}, "performed_at", "is needed"),
        ({"performed_at": "2026-11-23T08:30", "comment": ""}, "comment", "is needed"),
        ({"performed_at": "2026-11-23T10:30", "comment": "fine"}, "performed_at", "lies in the future"),
        ({"performed_at": "2026-11-20T10:30", "comment": "fine"}, "performed_at", "lies before the scan"),
    ],
)
def test_an_interrogation_that_cannot_be_is_refused_beside_its_field(pump, nurse, typed, field, why):
    task = builders.create_care_task(device=pump)
    nurse.page(address(task))

    page = nurse.submitted(f"{address(task)}/interrogation", 422, **typed)

    assert why in page.within(f"{field}-error")
    shown = {one.get("id"): one.get("value") for one in page.all("input")}
    assert shown["performed_at"] == typed["performed_at"]


def test_another_task_is_done_when_somebody_says_so(pump, nurse):
    task = builders.create_care_task(device=pump, kind="impedance_remeasure")
    nurse.page(address(task))

    page = nurse.done(f"{address(task)}/done", comment="Measured: fine.")

    assert "Measured: fine." in page.text
    assert "If the cause comes back, that is a new task." in page.text
    assert "was closed" in nurse.done(f"{address(task)}/done").text


def test_the_list_as_a_file_is_on_record_with_those_it_names(pump, nurse):
    builders.create_care_task(device=pump)

    [row] = csv.DictReader(io.StringIO(nurse.file("/tasks.csv").text))

    assert (row["what"], row["record_number"], row["serial"]) == (
        "Check after an MRI scan", pump.patient.mrn, "SN7",
    )  # fmt: skip
    entry = db.session.query(AuditEntry).filter_by(action="task.export").one()
    assert entry.detail == {"patients": [str(pump.patient.public_id)]}


def test_a_task_of_another_clinic_is_not_there(nurse):
    task = builders.create_care_task(device=builders.create_pump())
    nurse.page("/tasks")

    nurse.page(address(task), 404)
    for act in ("interrogation", "done"):
        assert nurse.post(f"{address(task)}/{act}", comment="mine").status_code == 404
