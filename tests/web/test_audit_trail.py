"""What the auditor finds: who did or saw what, a month of it to take away, and whether the chain holds."""

import csv
import datetime as dt
import io

import pytest
from sqlalchemy import update

from sc_stim.extensions import db
from sc_stim.models import AuditEntry
from sc_stim.workflows import audit, registry
from sc_stim.workflows.audit import Actor
from tests import builders
from tests.builders import AT


def test_the_newest_entries_come_first_with_the_names_of_people(visit):
    auditor = builders.create_user(role="auditor", name="Olga Auditor")
    nurse = builders.create_user(clinic=auditor.clinic, role="nurse", name="Nadia Berger")
    key = b"any"
    by_nurse = Actor(auditor.clinic_id, str(nurse.public_id), key)
    audit.record(db.session, Actor(auditor.clinic_id, "installation", key), "clinic.create", at=AT)
    patient = builders.create_patient(clinic=auditor.clinic)
    audit.record(db.session, by_nurse, "patient.view", "patient", patient.public_id, at=AT)

    rows = visit(auditor).page("/audit").texts("tr")[1:]

    assert rows == [
        f"2 Mon 23 Nov 2026 09:00 Nadia Berger Looked at a patient's record patient.view Patient {patient.public_id}",
        "1 Mon 23 Nov 2026 09:00 installation Set the clinic up clinic.create",
    ]


def test_an_entry_names_devices_and_people_counts_patients_and_says_what_was_changed(visit, auditor):
    nurse = builders.create_user(clinic=auditor.clinic, role="nurse", name="Nadia Berger")
    patient = builders.create_patient(clinic=auditor.clinic, mrn="MRN-7")
    pump = builders.create_pump(patient=patient)
    by = Actor(auditor.clinic_id, str(nurse.public_id), b"any")
    registry.record_about(
        db.session, by, "device.change", pump, {"changed": {"note": None, "serial": ["A", "B"]}}, at=AT
    )
    audit.record(db.session, by, "worklist.view", detail={"patients": ["one", "two", "three"]}, at=AT)
    audit.record(db.session, by, "user.change", "user", nurse.public_id, {"active": True}, at=AT)
    audit.record(db.session, by, "thing.done", at=AT)
    db.session.commit()
    visitor = visit(auditor)

    rows = [row.partition(" 09:00 Nadia Berger ")[2] for row in visitor.page("/audit").texts("tr")[1:]]

    assert rows == [
        "Thing done thing.done",
        "Changed a person's account user.change Nadia Berger · active: yes",
        "Looked at the worklist worklist.view 3 patients",
        f"Changed a device device.change Patient · {pump.model} {pump.serial} · changed: note, serial A → B"
        f" {patient.public_id}",
    ]
    assert numbers(visitor.page(f"/audit?about={pump.serial}")) == ["1"]
    asked = list(csv.DictReader(io.StringIO(visitor.file("/audit.csv?action=worklist.view").text)))
    assert [(row["act"], row["about"]) for row in asked] == [("Looked at the worklist", "3 patients")]


def test_older_entries_follow_on_further_pages(visit, monkeypatch):
    monkeypatch.setattr("sc_stim.web.audit_trail.PAGE_SIZE", 2)
    auditor = builders.create_user(role="auditor")
    for _ in range(5):
        audit.record(db.session, Actor(auditor.clinic_id, "beat", b"any"), "audit.check", at=AT)
    visitor, path, numbers = visit(auditor), "/audit?action=audit.check", []

    while path:
        page = visitor.page(path)
        numbers += [int(row.split()[0]) for row in page.texts("tr")[1:]]
        path = next((link.get("href") for link in page.all("a") if link.get("rel") == "next"), None)

    assert numbers == [5, 4, 3, 2, 1]


def test_an_empty_trail_says_so(visit):
    assert "There is no older entry." in visit(builders.create_user(role="auditor")).page("/audit").text


@pytest.fixture
def auditor(app):
    return builders.create_user(role="auditor", name="Olga Auditor")


@pytest.fixture
def trail(app, auditor):
    """A nurse looked at a patient and at a list that shows the patient, in October and in November."""
    nurse = builders.create_user(clinic=auditor.clinic, role="nurse", name="Nadia Berger")
    patient = builders.create_patient(clinic=auditor.clinic, mrn="MRN-7", family_name="Okafor")
    by = Actor(nurse.clinic_id, str(nurse.public_id), app.config["AUDIT_SEAL_KEY"], nurse.id)
    october = dt.datetime(2026, 10, 31, 22, 59, tzinfo=dt.UTC)  # 23:59 in Berlin
    audit.record(db.session, by, "patient.view", "patient", patient.public_id, at=october)
    audit.record(
        db.session, by, "worklist.view", detail={"patients": [str(patient.public_id)]},
        at=october + dt.timedelta(minutes=1),
    )  # fmt: skip
    audit.record(db.session, by, "alert.list", at=AT)
    db.session.commit()
    return nurse, patient


def numbers(page):
    return [row.split()[0] for row in page.texts("tr")[1:]]


def test_a_search_by_time_person_action_and_patient(auditor, trail, visit):
    nurse, patient = trail
    visitor = visit(auditor)

    assert numbers(visitor.page("/audit?last_day=2026-10-31")) == ["1"]
    assert numbers(visitor.page("/audit?first_day=2026-11-01&last_day=2026-11-01")) == ["2"]
    assert numbers(visitor.page(f"/audit?person={nurse.public_id}")) == ["3", "2", "1"]
    assert numbers(visitor.page("/audit?action=alert.list")) == ["3"]
    assert numbers(visitor.page("/audit?about=MRN-7")) == ["2", "1"]
    page = visitor.page(f"/audit?about={patient.public_id}&action=patient.view")
    assert numbers(page) == ["1"]
    assert "Okafor" not in page.html


def test_what_cannot_be_searched_for_is_said_beside_its_field(auditor, trail, visit):
    builders.create_patient(mrn="MRN-THEIRS")
    visitor = visit(auditor)

    assert visitor.page("/audit?first_day=soon", 422).within("first_day-error")
    assert visitor.page("/audit?first_day=2026-11-02&last_day=2026-11-01", 422).within("last_day-error")
    assert "No patient has this record number" in visitor.page("/audit?about=MRN-THEIRS", 422).within(
        "about-error"
    )
    assert "No entry is as you searched for." in visitor.page("/audit?action=nothing").text


def test_looking_searching_and_downloading_are_on_record_too(auditor, trail, visit):
    visitor = visit(auditor)
    visitor.page("/audit?about=MRN-7")
    visitor.file("/audit.csv?month=2026-10")

    rows = visitor.page("/audit").texts("tr")
    assert "audit.export month: 2026-10" in rows[1]
    assert "audit.view about: MRN-7" in rows[2]


def test_a_month_is_taken_away_on_the_clinics_calendar(auditor, trail, visit):
    nurse, patient = trail
    answer = visit(auditor).file("/audit.csv?month=2026-11")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["action"] for row in rows] == ["worklist.view", "alert.list", "audit.export"]
    assert (rows[0]["actor"], rows[0]["actor_name"]) == (str(nurse.public_id), "Nadia Berger")
    assert rows[0]["at"] == "2026-11-01T00:00:00+01:00"
    assert str(patient.public_id) in rows[0]["detail"]
    for month in ("2026-13", "then", "9999-12"):
        assert visit(auditor).file(f"/audit.csv?month={month}").status_code == 404


def test_what_is_searched_for_is_taken_away(auditor, trail, visit):
    answer = visit(auditor).file("/audit.csv?about=MRN-7")

    assert [line.split(",")[0] for line in answer.text.splitlines()] == ["number", "1", "2"]
    assert visit(auditor).file("/audit.csv?about=MRN-8").status_code == 404


def test_one_altered_row_is_found(auditor, trail, visit):
    visitor = visit(auditor)
    assert "Never checked." in visitor.page("/audit").text
    page = visitor.done("/audit/verification")
    assert "The chain holds" in page.text
    assert "It held when Olga Auditor had it checked, today 09:00." in page.text

    db.session.execute(update(AuditEntry).where(AuditEntry.number == 2).values(action="patient.view"))
    page = visitor.done("/audit/verification")

    assert "The chain does not hold: entry 2 was altered." in page.text
    assert "It does not hold: entry 2 was altered." in page.within("main")
    assert "Entry 2 was altered (Sun 1 Nov 2026 00:00): what stands from there on is not proved" in page.text
    assert "It last held when checked today 09:00." in page.text
    assert [row for row in page.texts("th") if "does not hold" in row] == ["2 does not hold"]
    assert numbers(visitor.page("/audit?before=3"))[0] == "2"


def test_nothing_of_another_clinic_is_found(auditor, trail, visit):
    other = visit(builders.create_user(role="auditor"))
    nurse, patient = trail

    assert "Nadia Berger" not in other.page("/audit").html
    page = other.page(f"/audit?person={nurse.public_id}")
    assert "No entry is as you searched for." in page.text
    assert other.page(f"/audit?about={patient.public_id}").texts("tr") == []
    assert len(other.file("/audit.csv?month=2026-11").text.splitlines()) == 1 + 4
