"""The registry of devices through HTTP: registered by label, given to a patient, implanted, explanted."""

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.models import Device
from sc_stim.models.base import new_public_id
from tests.apps import As, both_databases, read
from tests.builders import (
    AT,
    create_clinic,
    create_device_state,
    create_fill,
    create_patient,
    create_pump,
    create_stimulator,
    create_user,
    put_on_shelf,
)
from tests.trail import actions_on, entries, owed

UDI = "(01)00643169007222(11)250601(17)291231(10)L77(21)NGP123456H"
PUMP = {"model": "SynchroMed II 8637-20", "udi": UDI, "reservoir_ml": 20, "catheter_tip_level": "T10"}
STIMULATOR = {
    "model": "Intellis", "serial": "NXV1", "report_interval_s": 3600,
    "leads": [{"contacts": 8, "tip_level": "T8"}, {"contacts": 8, "tip_level": "T9", "model": "977A2"}],
}  # fmt: skip


@both_databases
def test_an_engineer_registers_a_pump_by_its_label(app: Flask, api: As) -> None:
    engineer = create_user(role="engineer")
    caller = api(engineer)
    made = caller.post("/devices", PUMP)
    assert made.status_code == 201, made.text
    expected = {
        "kind": "pump", "manufacturer": "Medtronic", "serial": "NGP123456H", "lot": "L77", "udi": UDI,
        "udi_device_identifier": "00643169007222", "manufactured_on": "2025-06-01", "expires_on": "2029-12-31",
        "status": "registered", "patient": None, "accuracy_pct": 14.5, "reservoir_ml": 20, "newest": None,
    }  # fmt: skip
    assert {name: made.json[name] for name in expected} == expected
    assert [warning["rule"] for warning in made.json["warnings"]] == ["assumed_report_interval"]
    shown = caller.get(made.headers["Location"]).json
    assert shown == {name: value for name, value in made.json.items() if name != "warnings"}
    (device,) = read(select(Device))
    assert actions_on(device) == ["device.create", "device.view"]
    assert owed() == {("device", device.id), ("recall", device.id), ("refill", device.id)}


@both_databases
def test_the_same_label_is_not_registered_twice(app: Flask, api: As) -> None:
    caller = api(create_user(role="engineer"))
    assert caller.post("/devices", PUMP).status_code == 201
    assert caller.post("/devices", PUMP).status_code == 409
    as_another_model = PUMP | {"model": "SynchroMed II 8637-40", "reservoir_ml": 40}
    assert caller.post("/devices", as_another_model).status_code == 409
    without_label = {"model": PUMP["model"], "serial": "NGP123456H", "reservoir_ml": 20}
    assert caller.post("/devices", without_label).status_code == 409
    assert len(read(select(Device))) == 1


def test_a_stimulator_without_a_label_is_registered_with_its_leads(app: Flask, api: As) -> None:
    made = api(create_user(role="engineer")).post("/devices", STIMULATOR)
    assert made.status_code == 201
    leads = [(lead["contacts"], lead["tip_level"], lead["model"]) for lead in made.json["leads"]]
    assert leads == [(8, "T8", None), (8, "T9", "977A2")]
    assert made.json["warnings"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (PUMP | {"udi": "(01)00643169007221(21)1"}, "udi"),
        (PUMP | {"udi": "hello"}, "udi"),
        (PUMP | {"serial": "OTHER"}, "serial"),
        (PUMP | {"udi": "(01)00643169007222(10)L77"}, "serial"),
        ({"model": "Intellis"}, "serial"),
        (PUMP | {"model": "Pacemaker 9"}, "model"),
        ({name: value for name, value in PUMP.items() if name != "reservoir_ml"}, "reservoir_ml"),
        (PUMP | {"leads": [{"contacts": 8}]}, "leads"),
        (PUMP | {"catheter_tip_level": "belly"}, "catheter_tip_level"),
        (PUMP | {"kind": "stimulator"}, "kind"),
        (STIMULATOR | {"reservoir_ml": 20}, "reservoir_ml"),
        (STIMULATOR | {"leads": [{"contacts": 0}]}, "leads.0.contacts"),
        (STIMULATOR | {"implanted_on": "2026-11-25"}, "implanted_on"),
        (STIMULATOR | {"implanted_on": "2026-11-20"}, "patient"),
        (STIMULATOR | {"explanted_on": "2026-11-20"}, "explanted_on"),
    ],
)
def test_a_device_that_cannot_be_is_refused_by_name(
    app: Flask, api: As, body: dict[str, Any], field: str
) -> None:
    answer = api(create_user(role="engineer")).post("/devices", body)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    assert read(select(Device)) == []


def test_an_unverified_reservoir_is_named_but_never_filled_in(app: Flask, api: As) -> None:
    without = {name: value for name, value in PUMP.items() if name != "reservoir_ml"}
    caller = api(create_user(role="engineer"))
    answer = caller.post("/devices", without)
    assert "20 mL (unverified)" in answer.json["errors"][0]["message"]
    sourced = {"model": "Prometra II 20 mL", "serial": "P1", "report_interval_s": 86400}
    assert caller.post("/devices", sourced).json["reservoir_ml"] == 20


def test_an_expired_device_and_an_unusual_reservoir_are_pointed_out(app: Flask, api: As) -> None:
    body = PUMP | {"udi": "(01)00643169007222(17)251231(21)1", "reservoir_ml": 18, "report_interval_s": 86400}
    made = api(create_user(role="engineer")).post("/devices", body)
    assert [warning["rule"] for warning in made.json["warnings"]] == ["expired", "other_reservoir"]


@both_databases
def test_a_clinician_gives_a_device_to_a_patient_and_explants_it(app: Flask, api: As) -> None:
    patient = create_patient()
    caller = api(create_user(clinic=patient.clinic))
    made = caller.post("/devices", STIMULATOR)
    address = made.headers["Location"]
    implanted = caller.patch(address, {"patient": str(patient.public_id), "implanted_on": "2026-11-20"})
    assert implanted.status_code == 200, implanted.text
    assert implanted.json["patient"]["name"] == patient.display_name
    assert implanted.json["status"] == "implanted"
    new_leads = {"leads": [{"contacts": 12, "tip_level": "T7"}]}
    revised = caller.patch(address, new_leads, version=implanted.json["version"])
    assert [lead["contacts"] for lead in revised.json["leads"]] == [12]
    explanted = caller.patch(address, {"explanted_on": "2026-11-22"}, version=revised.json["version"])
    assert explanted.json["status"] == "explanted"
    assert caller.get(f"/patients/{patient.public_id}").json["devices"][0]["status"] == "explanted"
    assert actions_on(patient) == ["device.change", "device.change", "device.change", "patient.view"]
    assert entries("device.change")[2].detail["changed"] == {"explanted_on": [None, "2026-11-22"]}


@both_databases
def test_a_device_is_replaced_in_one_act(app: Flask, api: As) -> None:
    old = create_stimulator()
    old.leads[0].serial = "L-1"
    new = put_on_shelf(create_stimulator(clinic=old.patient.clinic, leads=[]))
    engineer = api(create_user(clinic=old.patient.clinic, role="engineer"))
    body = {
        "device_id": str(new.public_id), "explanted_on": "2026-11-20", "explantation_reason": "recall",
        "explantation_note": "Could not leave MRI mode.", "parts_stay": True,
    }  # fmt: skip
    address = f"/devices/{old.public_id}/replacement"
    done = engineer.post(address, body, **{"Idempotency-Key": "r1"})
    assert done.status_code == 200, done.text
    out, implanted = done.json["explanted"], done.json["implanted"]
    assert (out["status"], out["explantation_reason"], out["explantation_note"]) == (
        "explanted", "recall", None,
    )  # fmt: skip
    assert (implanted["status"], implanted["implanted_on"]) == ("implanted", "2026-11-20")
    assert [lead["serial"] for lead in implanted["leads"]] == ["L-1", None]
    assert (implanted["patient"], done.json["visits_called_off"]) == (None, 0)
    assert engineer.post(address, body, **{"Idempotency-Key": "r1"}).json == done.json
    assert engineer.post(address, body).status_code == 409
    assert actions_on(old.patient) == ["device.change", "device.change", "device.replace"]
    assert entries("device.change")[0].detail["changed"] == {
        "explanted_on": [None, "2026-11-20"], "explantation_reason": [None, "recall"], "explantation_note": None,
    }  # fmt: skip
    assert {("recall", old.id), ("recall", new.id), ("device", old.id), ("device", new.id)} <= owed()
    seen = api(create_user(clinic=old.patient.clinic)).get(f"/devices/{old.public_id}").json
    assert seen["explantation_note"] == "Could not leave MRI mode."


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"device_id": str(new_public_id())}, "device_id"),
        ({"explanted_on": "2026-03-01"}, "explanted_on"),
        ({"explanted_on": "2026-11-25"}, "explanted_on"),
        ({"explantation_reason": "fashion"}, "explantation_reason"),
        ({"parts_stay": "yes"}, "parts_stay"),
    ],
)
def test_a_replacement_that_cannot_be_changes_nothing(
    app: Flask, api: As, changes: dict[str, Any], field: str
) -> None:
    old = create_pump()
    new = put_on_shelf(create_pump(clinic=old.patient.clinic))
    body = {"device_id": str(new.public_id), "explanted_on": "2026-11-20", "parts_stay": False}
    body |= {"explantation_reason": "other"} | changes
    caller = api(create_user(clinic=old.patient.clinic))
    answer = caller.post(f"/devices/{old.public_id}/replacement", body)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    assert [caller.get(f"/devices/{one.public_id}").json["status"] for one in (old, new)] == [
        "implanted", "registered",
    ]  # fmt: skip


def test_a_reason_belongs_to_an_explantation(app: Flask, api: As) -> None:
    pump = create_pump()
    caller, address = api(create_user(clinic=pump.patient.clinic)), f"/devices/{pump.public_id}"
    refused = caller.patch(address, {"explantation_reason": "infection"})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "explantation_reason")
    given = {"explanted_on": "2026-11-20", "explantation_reason": "infection"}
    assert caller.patch(address, given).json["explantation_reason"] == "infection"


def test_every_change_of_leads_makes_a_new_version(app: Flask, api: As) -> None:
    stimulator = create_stimulator()
    caller = api(create_user(clinic=stimulator.patient.clinic))
    address = f"/devices/{stimulator.public_id}"
    assert caller.patch(address, {"leads": [{"contacts": 8}]}).json["version"] == 2
    assert caller.patch(address, {"leads": [{"contacts": 12}]}).status_code == 412


def test_an_engineer_sees_devices_but_not_whose_they_are(app: Flask, api: As) -> None:
    pump = create_pump()
    engineer = api(create_user(clinic=pump.patient.clinic, role="engineer"))
    address = f"/devices/{pump.public_id}"
    for answer in (
        engineer.get("/devices"),
        engineer.get(address),
        engineer.patch(address, {"firmware": "2"}),
    ):
        assert answer.status_code == 200
        assert pump.patient.family_name not in answer.text
        assert str(pump.patient.public_id) not in answer.text
    refused = engineer.patch(address, {"patient": None}, version=2)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "patient")


def test_a_device_that_sent_data_of_its_patient_is_not_given_to_another(app: Flask, api: As) -> None:
    pump = create_pump()
    other = create_patient(clinic=pump.patient.clinic)
    caller, address = api(create_user(clinic=pump.patient.clinic)), f"/devices/{pump.public_id}"
    moved = caller.patch(address, {"patient": str(other.public_id)})
    assert moved.json["patient"]["id"] == str(other.public_id)
    create_device_state(device=pump)
    back = caller.patch(address, {"patient": str(pump.patient.public_id)}, version=2)
    assert back.status_code == 200  # the same patient is no move
    refused = caller.patch(address, {"patient": None, "implanted_on": None}, version=back.json["version"])
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "patient")


def test_a_patient_of_another_clinic_cannot_be_given_a_device(app: Flask, api: As) -> None:
    pump, stranger = create_pump(), create_patient()
    caller = api(create_user(clinic=pump.patient.clinic))
    answer = caller.patch(f"/devices/{pump.public_id}", {"patient": str(stranger.public_id)})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "patient")


def test_a_nurse_reads_devices_but_does_not_register_or_change_them(app: Flask, api: As) -> None:
    pump = create_pump()
    nurse = api(create_user(clinic=pump.patient.clinic, role="nurse"))
    assert nurse.get(f"/devices/{pump.public_id}").status_code == 200
    assert nurse.post("/devices", PUMP).status_code == 403
    assert nurse.patch(f"/devices/{pump.public_id}", {"firmware": "2"}).status_code == 403


@both_databases
def test_the_list_filters_by_kind_status_and_silence(app: Flask, api: As) -> None:
    clinic = create_clinic()
    patient = create_patient(clinic=clinic)
    heard, quiet = create_pump(patient=patient), create_stimulator(patient=patient)
    never = create_pump(patient=patient, implanted_on=None)
    gone = create_pump(patient=patient, explanted_on=dt.date(2026, 11, 1))
    create_device_state(device=heard, heard_at=AT - dt.timedelta(hours=23))
    create_device_state(device=quiet, heard_at=AT - dt.timedelta(hours=25))
    create_device_state(device=gone, heard_at=AT - dt.timedelta(days=60))
    create_pump()
    caller = api(create_user(clinic=clinic, role="engineer"))

    def found(**query: str) -> list[str]:
        return [item["id"] for item in caller.get("/devices", **query).json["items"]]

    def ids(*devices: Device) -> list[str]:
        return [str(device.public_id) for device in devices]

    assert found() == ids(heard, quiet, never, gone)
    assert found(kind="stimulator") == ids(quiet)
    assert found(status="implanted") == ids(heard, quiet)
    assert found(status="registered") == ids(never)
    assert found(status="explanted") == ids(gone)
    assert found(silent_for="24h") == ids(quiet, never)
    assert found(silent_for="1d", kind="pump") == ids(never)


@pytest.mark.parametrize("query", [{"silent_for": "a while"}, {"silent_for": "0h"}, {"kind": "pacemaker"}])
def test_a_filter_that_cannot_be_is_refused(app: Flask, api: As, query: dict[str, str]) -> None:
    answer = api(create_user()).get("/devices", **query)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, next(iter(query)))


@pytest.mark.parametrize("path", ["", "/telemetry", "/events", "/settings", "/commands"])
def test_another_clinics_device_is_as_absent_as_one_that_never_was(app: Flask, api: As, path: str) -> None:
    pump = create_pump()
    stranger = api(create_user())
    there = stranger.get(f"/devices/{pump.public_id}{path}")
    nowhere = stranger.get(f"/devices/01890000-0000-7000-8000-000000000000{path}")
    assert (there.status_code, there.json) == (404, nowhere.json)
    assert actions_on(pump.patient) == []


def test_a_view_of_a_patients_device_is_on_record_with_the_patient(app: Flask, api: As) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic))
    caller.get(f"/devices/{pump.public_id}")
    assert actions_on(pump.patient) == ["device.view"]
    assert entries("device.view")[0].detail == {"device": str(pump.public_id)}


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_date_at_the_end_of_the_calendar_is_a_slip(app: Flask, api: As, day: str) -> None:
    pump = create_pump()
    caller = api(create_user(clinic=pump.patient.clinic))
    answer = caller.patch(f"/devices/{pump.public_id}", {"end_of_service_on": day})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "end_of_service_on")


def test_the_trail_names_the_patients_a_list_showed_and_none_to_an_engineer(app: Flask, api: As) -> None:
    patient = create_patient()
    create_pump(patient=patient)
    create_stimulator(patient=patient)
    for role in ("nurse", "engineer"):
        api(create_user(clinic=patient.clinic, role=role)).get("/devices")
    assert [entry.detail["patients"] for entry in entries("device.list")] == [[str(patient.public_id)], []]


def test_a_pump_with_refills_of_one_patient_is_given_to_no_other(app: Flask, api: As) -> None:
    pump = create_pump()
    create_fill(pump=pump)
    other = create_patient(clinic=pump.patient.clinic)
    clinician = api(create_user(clinic=pump.patient.clinic))
    refused = clinician.patch(f"/devices/{pump.public_id}", {"patient": str(other.public_id)})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "patient")
