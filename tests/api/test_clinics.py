"""The clinic's own record, and what a change of it sets going."""

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.models import ClinicClosure, WorkItem
from tests.apps import As, both_databases, read
from tests.builders import create_clinic, create_pump, create_stimulator, create_user

CLOSED = [{"day": "2026-12-24", "reason": "Christmas Eve"}, {"day": "2026-12-31", "reason": "New Year's Eve"}]


@pytest.mark.parametrize("role", ["clinician", "nurse", "engineer", "auditor", "admin"])
def test_everybody_sees_their_own_clinic_and_no_other(app: Flask, api: As, role: str) -> None:
    user, other = create_user(role=role), create_clinic()
    caller = api(user)
    listed = caller.get("/clinics").json["items"]
    assert [clinic["id"] for clinic in listed] == [str(user.clinic.public_id)]
    assert caller.get(f"/clinics/{user.clinic.public_id}").json == listed[0]
    assert caller.get(f"/clinics/{other.public_id}").status_code == 404


@both_databases
def test_closed_days_are_replaced_as_a_whole_and_make_a_new_version(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    caller, path = api(admin), f"/clinics/{admin.clinic.public_id}"
    first = caller.patch(path, {"closures": CLOSED})
    assert (first.json["closures"], first.headers["ETag"]) == (CLOSED, '"2"')
    changed = [CLOSED[1] | {"reason": "stocktaking"}, {"day": "2027-01-04", "reason": "moving house"}]
    second = caller.patch(path, {"closures": changed}, version=2)
    assert second.json["closures"] == changed
    assert len(read(select(ClinicClosure.id))) == 2
    assert caller.patch(path, {"closures": []}, version=2).status_code == 412


def test_closing_a_day_asks_for_every_forecast_of_the_clinic_anew(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    pump = create_pump(clinic=admin.clinic)
    create_pump(clinic=admin.clinic, explanted_on=pump.implanted_on)
    create_stimulator(clinic=admin.clinic)
    create_pump()
    api(admin).patch(f"/clinics/{admin.clinic.public_id}", {"closures": CLOSED})
    assert [(item.kind, item.subject_id) for item in read(select(WorkItem))] == [("refill", pump.id)]


def test_a_new_telephone_number_asks_for_no_forecast(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    create_pump(clinic=admin.clinic)
    answer = api(admin).patch(f"/clinics/{admin.clinic.public_id}", {"phone": "+49 30 5550199"})
    assert answer.json["phone"] == "+49 30 5550199"
    assert read(select(WorkItem)) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"time_zone": "Europe/Nowhere"}, "time_zone"),
        ({"time_zone": "UTC+1"}, "time_zone"),
        ({"country": "XX"}, "country"),
        ({"country": "de"}, "country"),
        ({"subdivision": "ZZ"}, "subdivision"),
        ({"pharmacy_lead_days": -1}, "pharmacy_lead_days"),
        ({"pharmacy_lead_days": 1.5}, "pharmacy_lead_days"),
        ({"pharmacy_lead_days": "3"}, "pharmacy_lead_days"),
        ({"refill_margin_days": True}, "refill_margin_days"),
        ({"closures": [CLOSED[0], CLOSED[0]]}, "closures"),
        ({"closures": [{"day": "2026-12-24"}]}, "closures.0.reason"),
        ({"version": 7}, "version"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_by_name(app: Flask, api: As, change: dict[str, object], field: str) -> None:
    admin = create_user(role="admin")
    answer = api(admin).patch(f"/clinics/{admin.clinic.public_id}", change)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)


def test_a_region_is_checked_as_it_will_be_after_the_change(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    caller, path = api(admin), f"/clinics/{admin.clinic.public_id}"
    assert caller.patch(path, {"country": "DE", "subdivision": "BE"}).status_code == 200
    assert caller.patch(path, {"country": "US"}, version=2).json["errors"][0]["field"] == "subdivision"
    assert caller.patch(path, {"country": "US", "subdivision": "CA"}, version=2).status_code == 200
