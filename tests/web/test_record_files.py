"""What belongs to one device, patient or recall, as files for a spreadsheet; and that every list has its file."""

import csv
import io
import re

import pytest

from sc_stim.extensions import db
from sc_stim.models import Command
from tests import builders
from tests.apps import both_databases
from tests.builders import AT
from tests.trail import actions_on, entries
from tests.web.scene import DAY

CARE = {"clinician", "nurse"}


def read(visitor, path):
    answer = visitor.file(path)
    assert answer.status_code == 200 and answer.mimetype == "text/csv"
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.fixture
def nurse(app):
    return builders.create_user(role="nurse", name="Nadia Berger")


@pytest.fixture
def patient(nurse):
    return builders.create_patient(clinic=nurse.clinic, family_name="=Cmd", given_name="Ada", mrn="MRN-1")


@both_databases
def test_readings_of_a_device_have_units_and_zone_and_go_on_record(nurse, patient, visit):
    pump = builders.create_pump(patient=patient)
    for days in (100, 2, 1):
        builders.create_pump_sample(pump=pump, measured_at=AT - days * DAY, reservoir_ml=10.0 + days)

    rows = read(visit(nurse), f"/devices/{pump.public_id}/readings.csv")

    assert [row["reservoir_ml"] for row in rows] == ["12.0", "11.0"]
    assert rows[0]["measured_at"] == "2026-11-21T09:00:00+01:00" and "flow_ml_per_day" in rows[0]
    assert actions_on(patient)[-1] == "device.readings.export"
    stimulator = builders.create_stimulator(patient=patient)
    builders.create_stimulator_sample(stimulator=stimulator, impedance_ohm=[500, None])
    [row] = read(visit(nurse), f"/devices/{stimulator.public_id}/readings.csv")
    assert row["impedance_ohm"] == "[500, null]" and "amplitude_ma" in row


@both_databases
def test_pain_scores_of_a_patient_say_who_reported_them_and_what_was_corrected(nurse, patient, visit):
    wrong = builders.create_pain_score(patient=patient, nrs=9.0)
    right = builders.create_pain_score(
        patient=patient, nrs=4.0, replaces_id=wrong.id, entered_by_id=nurse.id, measured_at=AT - DAY
    )
    rows = read(visit(nurse), f"/patients/{patient.public_id}/pain-scores.csv")

    assert [(float(row["nrs_0_to_10"]), row["reported_by"], row["corrected_by"]) for row in rows] == [
        (9.0, "device", str(right.public_id)), (4.0, "Nadia Berger", ""),
    ]  # fmt: skip
    assert actions_on(patient)[-1] == "diary.export"


def test_commands_and_events_of_a_device(nurse, patient, visit):
    pump = builders.create_pump(patient=patient)
    db.session.add(
        Command(
            clinic_id=pump.clinic_id, device_id=pump.id, kind="report_now", args={}, state="sent",
            requested_by_id=nurse.id, requested_at=AT, expires_at=AT + DAY, sent_at=AT, result={},
        )
    )  # fmt: skip
    db.session.commit()
    [row] = read(visit(nurse), f"/devices/{pump.public_id}/commands.csv")
    assert (row["command"], row["state"], row["asked_by"]) == ("report_now", "sent", "Nadia Berger")
    assert read(visit(nurse), f"/devices/{pump.public_id}/events.csv") == []
    assert actions_on(patient)[-2:] == ["device.commands.export", "device.events.export"]


def test_a_recalls_outreach_is_that_of_the_page_and_names_patients_only_to_who_may_see_them(
    nurse, patient, visit
):
    recall = builders.create_recall(clinic=nurse.clinic)
    for state in ("to_do", "action_done"):
        builders.create_outreach(recall=recall, device=builders.create_pump(patient=patient), state=state)
    path = f"/recalls/{recall.public_id}/outreach.csv"

    assert [row["state"] for row in read(visit(nurse), path)] == ["to_do"]
    assert {row["patient"] for row in read(visit(nurse), f"{path}?show=all")} == {"'=Cmd, Ada"}
    engineer = builders.create_user(clinic=nurse.clinic, role="engineer")
    [row] = read(visit(engineer), path)
    assert "patient" not in row and "MRN-1" not in row.values()
    [listed] = read(visit(nurse), "/recalls.csv")
    assert (listed["devices_left"], listed["devices"]) == ("1", "2")
    assert len(entries("recall.export")) == 4


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        ("/devices/{device}/readings.csv", CARE | {"engineer"}),
        ("/devices/{device}/events.csv", CARE | {"engineer"}),
        ("/devices/{device}/commands.csv", CARE | {"engineer"}),
        ("/patients/{patient}/pain-scores.csv", CARE),
        ("/recalls/{recall}/outreach.csv", CARE | {"engineer"}),
    ],
)
def test_only_who_may_and_only_in_their_own_clinic(nurse, patient, visit, path, roles):
    device, recall = builders.create_pump(patient=patient), builders.create_recall(clinic=nurse.clinic)
    address = path.format(device=device.public_id, patient=patient.public_id, recall=recall.public_id)
    for role in ("clinician", "nurse", "engineer", "auditor", "admin"):
        own = visit(builders.create_user(clinic=nurse.clinic, role=role)).file(address)
        assert own.status_code == (200 if role in roles else 403), role
    assert visit(builders.create_user(role="nurse")).file(address).status_code == 404


LISTS = {
    "nurse": ("/worklist", "/patients", "/devices", "/alerts", "/alerts/burden", "/tasks", "/calendar",
              "/recalls", "/recalls/{recall}", "/pumps/{pump}/fills", "/patients/{patient}", "/devices/{pump}",
              "/reference", "/system", "/clinic/figures", "/clinic/hours", "/escalation"),
    "engineer": ("/quarantine", "/devices", "/recalls"),
    "auditor": ("/audit", "/reference"),
    "admin": ("/users", "/clinic", "/escalation", "/clinic/figures"),
}  # fmt: skip


@pytest.mark.parametrize("role", LISTS)
def test_every_list_offers_a_file_that_is_csv_with_a_header(scene, visit, role):
    row = builders.create_outreach(
        recall=builders.create_recall(clinic=scene.clinic), device=builders.create_pump(patient=scene.patient)
    )
    visitor = visit(builders.create_user(clinic=scene.clinic, role=role))
    ids = {
        "recall": row.recall.public_id,
        "pump": row.device.public_id,
        "patient": scene.patient.public_id,
    }
    for path in LISTS[role]:
        html = visitor.page(path.format(**ids)).html
        files = set(re.findall(r'(?:href|action)="(/[^"]*\.csv[^"]*)"', html))
        assert files, f"{path} offers no CSV"
        for address in files:
            answer = visitor.file(address.replace("&amp;", "&"))
            assert answer.mimetype == "text/csv" and len(next(csv.reader(io.StringIO(answer.text)))) > 1
