"""The nurse's worklist through HTTP, from stored forecasts."""

import datetime as dt
import threading
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from sc_stim.extensions import db
from sc_stim.models import Clinic, Device, Forecast
from sc_stim.tasks.refills import judge_refills
from tests.apps import As, Caller, both_databases, read
from tests.builders import (
    AT,
    create_appointment,
    create_clinic,
    create_device_state,
    create_fill,
    create_patient,
    create_pump,
    create_setting,
    create_user,
)
from tests.trail import entries

TODAY = AT.date()


def create_forecast(
    *, pump: Device, days: int | None, danger: float, drug: str = "morphine", **values: Any
) -> None:
    """Stored as the judge stores it: due in `days`, or refused for None."""
    refill_by = None if days is None else TODAY + dt.timedelta(days=days)
    result = {
        "drugs": [{"name": drug, "mg_per_ml": 10.0}], "reasons": ["opioid_withdrawal"],
        "expected_residual_ml": 3.2 if refill_by else None,
        "refused": None if refill_by else "no_fill_recorded: record the last fill of this pump",
    }  # fmt: skip
    defaults = {
        "refill_by": refill_by, "binding_clock": "low_reservoir" if refill_by else None,
        "earliest_empty_on": refill_by and refill_by + dt.timedelta(days=4),
        "refused": None if refill_by else "no_fill_recorded", "risk": "high",
    }  # fmt: skip
    row = Forecast(
        device_id=pump.id, clinic_id=pump.clinic_id, computed_at=AT, model_version="refill-1", danger=danger,
        result=result, **defaults | values,
    )  # fmt: skip
    db.session.add(row)
    db.session.commit()


def pumps_of(clinic: Clinic, count: int) -> list[Device]:
    return [create_pump(patient=create_patient(clinic=clinic)) for _ in range(count)]


@both_databases
def test_the_most_dangerous_pump_stands_first_whatever_its_date(app: Flask, api: As) -> None:
    clinic = create_clinic()
    morphine, baclofen, unknown, later = pumps_of(clinic, 4)
    create_forecast(pump=morphine, days=2, danger=-40)
    create_forecast(pump=baclofen, days=3, danger=-20, drug="baclofen")
    create_forecast(pump=unknown, days=None, danger=1)
    create_forecast(pump=later, days=15, danger=-900)
    (foreign,) = pumps_of(create_clinic(), 1)
    create_forecast(pump=foreign, days=1, danger=0)
    create_device_state(device=baclofen, measured_at=AT, sample={"reservoir_ml": 4.5})
    listed = api(create_user(clinic=clinic, role="nurse")).get("/refills").json
    assert [row["device_id"] for row in listed["items"]] == [
        str(pump.public_id) for pump in (unknown, baclofen, morphine)
    ]
    refused, due, _ = listed["items"]
    assert refused["refused"].startswith("no_fill_recorded")
    assert due == {
        "device_id": str(baclofen.public_id), "model": baclofen.model,
        "patient": {
            "id": str(baclofen.patient.public_id), "name": baclofen.patient.display_name,
            "phone": baclofen.patient.phone,
        },
        "refill_by": "2026-11-26", "binding_clock": "low_reservoir", "earliest_empty": "2026-11-30",
        "drug": "baclofen 10 mg/mL", "reservoir_ml": 4.5, "reservoir_at": "2026-11-23T08:00:00Z",
        "expected_residual_ml": 3.2, "risk": "high", "reasons": ["opioid_withdrawal"], "refused": None,
        "why": [], "flags": [], "being_recomputed": False, "appointment": None,
        "computed_at": "2026-11-23T08:00:00Z",
    }  # fmt: skip
    assert listed["not_judged_yet"] == 0
    assert entries("refill.list")[0].detail["patients"] == [row["patient"]["id"] for row in listed["items"]]


def test_the_list_looks_as_far_ahead_as_it_is_asked_and_shows_what_is_overdue(app: Flask, api: As) -> None:
    clinic = create_clinic()
    for days, pump in zip((-3, 0, 14, 15), pumps_of(clinic, 4), strict=True):
        create_forecast(pump=pump, days=days, danger=-days)
    caller = api(create_user(clinic=clinic, role="nurse"))

    def dates(**query: int) -> list[str]:
        return [row["refill_by"] for row in caller.get("/refills", **query).json["items"]]

    assert dates() == ["2026-11-20", "2026-11-23", "2026-12-07"]
    assert dates(due_within_days=0) == ["2026-11-20", "2026-11-23"]
    assert len(dates(due_within_days=15)) == 4


def test_pumps_that_are_not_implanted_are_nobodys_work_and_unjudged_ones_are_counted(
    app: Flask, api: As
) -> None:
    clinic = create_clinic()
    explanted, waiting = pumps_of(clinic, 2)
    explanted.explanted_on = dt.date(2026, 11, 1)
    create_forecast(pump=explanted, days=1, danger=5)
    listed = api(create_user(clinic=clinic, role="nurse")).get("/refills").json
    assert (listed["items"], listed["not_judged_yet"]) == ([], 1)
    assert waiting.status == "implanted"


def test_today_is_the_clinics_today(app: Flask, api: As) -> None:
    clinic = create_clinic(time_zone="Pacific/Auckland")  # already 21:00 there, and still the same date
    (pump,) = pumps_of(clinic, 1)
    create_forecast(pump=pump, days=1, danger=0)
    caller = api(create_user(clinic=clinic, role="nurse"))
    assert caller.get("/refills", due_within_days=0).json["items"] == []
    clinic.time_zone = "Pacific/Kiritimati"  # 22:00
    db.session.commit()
    assert caller.get("/refills", due_within_days=1).json["items"][0]["refill_by"] == "2026-11-24"


def test_pages_follow_the_order_of_danger(app: Flask, api: As) -> None:
    clinic = create_clinic()
    for danger, pump in zip((1.5, 1.5, 7.25, -3.0, 1e9), pumps_of(clinic, 5), strict=True):
        create_forecast(pump=pump, days=1, danger=danger, risk="low")
    caller = api(create_user(clinic=clinic, role="nurse"))
    whole = [row["device_id"] for row in caller.get("/refills").json["items"]]
    answer, found = caller.get("/refills", limit=2), []
    while True:
        found += [row["device_id"] for row in answer.json["items"]]
        if "Link" not in answer.headers:
            break
        answer = caller.get(answer.headers["Link"].split(";")[0].strip("<>"))
    assert found == whole
    assert len(set(found)) == 5


@pytest.mark.parametrize("days", ["-1", "367", "soon"])
def test_how_far_ahead_has_bounds(app: Flask, api: As, days: str) -> None:
    answer = api(create_user(role="nurse")).get("/refills", due_within_days=days)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "due_within_days")


def test_the_worklist_asks_no_more_of_the_database_when_it_is_longer(app: Flask, api: As) -> None:
    clinic, asked = create_clinic(), []
    nurse = api(create_user(clinic=clinic, role="nurse"))
    for _ in range(2):
        for _ in range(3):
            pump = create_pump(clinic=clinic)
            create_setting(device=pump)
            create_fill(pump=pump)
            create_appointment(pump=pump)
        judge_refills(db.session(), dict.fromkeys(read(select(Device.id)), AT), AT)
        db.session.commit()
        for path in ("/refills?due_within_days=300", "/refills/visits"):
            asked.append(statements(nurse, path))
    for short, long in ((asked[0], asked[2]), (asked[1], asked[3])):
        assert len(long) <= len(short), "\n".join(long)


def statements(caller: Caller, path: str) -> list[str]:
    """Of this request, not of what other threads may ask meanwhile."""
    seen: list[str] = []
    here = threading.get_ident()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if threading.get_ident() == here:
            seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    caller.get(path)
    event.remove(db.engine, "before_cursor_execute", note)
    return seen
