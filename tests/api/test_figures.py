"""The clinic's own figures through HTTP, and what they change."""

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.access import ROLES
from sc_stim.clinical.clinic_figures import SILENCE_INTERVALS, open_figures
from sc_stim.clinical.refill import Forecast
from sc_stim.extensions import db
from sc_stim.models import Alert, Clinic, Device
from sc_stim.tasks.silence import find_silent
from sc_stim.workflows.conditions import judge_conditions
from sc_stim.workflows.refill_case import refill_case
from tests.apps import As, Caller, Time, both_databases, read
from tests.builders import (
    AT,
    create_clinic,
    create_device_state,
    create_fill,
    create_patient,
    create_pump,
    create_pump_sample,
    create_setting,
    create_user,
)
from tests.trail import entries, owed

pytestmark = both_databases

CEILING = "drugs.bupivacaine.limits.daily_dose_ceiling"
KEEPS = "drugs.bupivacaine.stability.any"
SOURCE = "Drug committee, 2 November 2026"


def figures(clinic: Clinic, key: str = "") -> str:
    return f"/clinics/{clinic.public_id}/figures" + (f"/{key}" if key else "")


def put(caller: Caller, clinic: Clinic, key: str, value: Any, *, version: int = 0, **more: Any) -> Any:
    body = {"value": value, "source": SOURCE} | more
    return caller.put(figures(clinic, key), body, If_Match=f'"{version}"')


def warned(caller: Caller, pump: Device) -> list[str]:
    """What a prescription of 18 mg bupivacaine a day is warned of."""
    made = caller.post(f"/devices/{pump.public_id}/settings", {"flow_ml_per_day": 0.9})
    assert made.status_code == 201, made.text
    return [row["source"] for row in made.json["warnings"] if row["rule"] == "daily_dose_ceiling"]


def bupivacaine(clinic: Clinic) -> Device:
    pump = create_pump(patient=create_patient(clinic=clinic), model="SynchroMed II 8637-20")
    create_fill(pump=pump, drugs=[{"name": "bupivacaine", "mg_per_ml": 20.0}])
    return pump


@pytest.mark.parametrize("role", ROLES)
def test_everybody_reads_what_is_open_and_what_is_shipped(app: Flask, api: As, role: str) -> None:
    user = create_user(role=role)
    items = api(user).get(figures(user.clinic)).json["items"]

    assert [row["key"] for row in items] == list(open_figures())
    ceiling = next(row for row in items if row["key"] == CEILING)
    assert (ceiling["shipped"]["value"], ceiling["shipped"]["source"], ceiling["unit"]) == (15, None, "mg/d")
    assert (ceiling["own"], ceiling["version"], ceiling["wider_than_shipped"]) == (None, 0, False)


def test_a_figure_is_set_changed_and_given_back_and_its_history_kept(app: Flask, api: As, time: Time) -> None:
    admin = create_user(role="admin", name="Anton Admin")
    clinic, caller = admin.clinic, api(admin)

    made = put(caller, clinic, CEILING, 20)
    assert made.status_code == 200, made.text
    assert made.json["own"]["set_by"]["name"] == "Anton Admin"
    assert (made.json["own"]["value"], made.json["own"]["source"]) == (20, SOURCE)
    assert (made.json["wider_than_shipped"], made.headers["ETag"]) == (True, '"1"')
    time.pass_by(minutes=5)
    assert put(caller, clinic, CEILING, 12, version=1).json["wider_than_shipped"] is False
    assert caller.call("DELETE", figures(clinic, CEILING), headers={"If-Match": '"2"'}).status_code == 204

    now = caller.get(figures(clinic, CEILING)).json
    assert (now["own"], now["version"]) == (None, 3)  # a version never stands for two values
    assert [(row["before"], row["value"], row["by"]["name"]) for row in now["history"]] == [
        (12, None, "Anton Admin"),
        (20, 12, "Anton Admin"),
        (None, 20, "Anton Admin"),
    ]
    (first, second) = entries("figure.set")
    assert (first.subject_kind, first.subject) == ("figure", CEILING)
    assert second.detail == {"changed": {"value": [20, 12], "source": [SOURCE, SOURCE]}}
    assert [entry.subject for entry in entries("figure.back_to_shipped")] == [CEILING]


def test_nobodys_change_is_overwritten_unseen(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    caller = api(admin)
    put(caller, admin.clinic, CEILING, 20)

    assert put(caller, admin.clinic, CEILING, 12).status_code == 412
    assert caller.put(figures(admin.clinic, CEILING), {"value": 12, "source": SOURCE}).status_code == 428
    assert caller.delete(figures(admin.clinic, CEILING)).status_code == 428
    assert caller.get(figures(admin.clinic, CEILING)).json["own"]["value"] == 20


@pytest.mark.parametrize(
    ("key", "body", "field"),
    [
        (CEILING, {"value": 150}, "value"),
        (CEILING, {"value": "20"}, "value"),
        (CEILING, {"source": " "}, "source"),
        (KEEPS, {"value": 45.5}, "value"),
        (CEILING, {"unit": "ug/d"}, "unit"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    app: Flask, api: As, key: str, body: dict[str, Any], field: str
) -> None:
    admin = create_user(role="admin")
    refused = put(api(admin), admin.clinic, key, **{"value": 20} | body)

    assert refused.status_code == 422
    assert [error["field"] for error in refused.json["errors"]] == [field]
    if body == {"value": 150}:
        assert refused.json["errors"][0]["message"] == "must lie between 3.75 and 60 mg/d"


def test_a_figure_that_is_not_open_is_not_there(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    starts = "drugs.morphine.limits.start_dose_max"

    assert api(admin).get(figures(admin.clinic, starts)).status_code == 404
    assert put(api(admin), admin.clinic, starts, 2).status_code == 404


@pytest.mark.parametrize(
    ("ceiling", "sources"),
    [
        (None, [None]),
        (20, []),  # above the shipped 15 mg a day, below the clinic's
        (16, [f"set by the clinic, source: {SOURCE}"]),
    ],
)
def test_a_prescription_is_held_against_the_clinics_own_limit(
    app: Flask, api: As, ceiling: float | None, sources: list[str | None]
) -> None:
    admin = create_user(role="admin")
    clinician, elsewhere = create_user(clinic=admin.clinic), create_user()
    if ceiling is not None:
        put(api(admin), admin.clinic, CEILING, ceiling)

    assert warned(api(clinician), bupivacaine(clinician.clinic)) == sources
    assert warned(api(elsewhere), bupivacaine(elsewhere.clinic)) == [None]


def test_a_stricter_limit_warns_where_the_shipped_one_does_not(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    pump, caller = bupivacaine(admin.clinic), api(create_user(clinic=admin.clinic))
    lower = {"flow_ml_per_day": 0.6}  # 12 mg a day
    assert caller.post(f"/devices/{pump.public_id}/settings", lower).json["warnings"] == []

    put(api(admin), admin.clinic, CEILING, 10)

    (warning,) = caller.post(f"/devices/{pump.public_id}/settings", lower).json["warnings"]
    assert warning["message"].endswith(
        "12 mg/d is above the daily dose ceiling of 10 mg/d (set by the clinic)"
    )


def test_the_drug_keeps_as_long_as_the_clinic_says(app: Flask, api: As) -> None:
    admin, elsewhere = create_user(role="admin"), create_clinic()
    pumps = [bupivacaine(clinic) for clinic in (admin.clinic, elsewhere)]
    for pump in pumps:
        create_setting(device=pump)

    put(api(admin), admin.clinic, KEEPS, 30)

    assert owed() == {("refill", pumps[0].id)}
    cases = refill_case(db.session(), [pump.id for pump in pumps], AT)
    limits = []
    for pump in pumps:
        forecast = cases[pump.id].forecast(AT)
        assert isinstance(forecast, Forecast)
        filled = cases[pump.id].fills[-1].at.date()
        limits += [(clock.date - filled).days for clock in forecast.clocks if clock.name == "drug_stability"]
    assert limits == [30, 90]


def test_a_device_is_silent_when_its_own_clinic_says_so(app: Flask, api: As) -> None:
    admin, elsewhere = create_user(role="admin"), create_clinic()
    heard = AT - dt.timedelta(hours=3)
    for clinic, serial in ((admin.clinic, "OURS"), (elsewhere, "THEIRS")):
        pump = create_pump(
            patient=create_patient(clinic=clinic), serial=serial, report_interval_s=3600,
            created_at=AT - dt.timedelta(days=9),
        )  # fmt: skip
        create_device_state(device=pump, measured_at=heard, heard_at=heard)

    put(api(admin), admin.clinic, SILENCE_INTERVALS, 4)
    find_silent(db.session(), AT)
    assert [alert.device.serial for alert in read(select(Alert))] == ["THEIRS"]

    put(api(admin), admin.clinic, SILENCE_INTERVALS, 3, version=1)
    find_silent(db.session(), AT)
    by_serial = {alert.device.serial: alert.detail for alert in read(select(Alert))}
    said = f"3 report intervals without data, set by the clinic, source: {SOURCE}"
    assert by_serial == {
        "OURS": {"report_interval_s": 3600, "silent_after": said},
        "THEIRS": {"report_interval_s": 3600},
    }


def test_what_lasts_is_an_alert_when_its_own_clinic_says_so(app: Flask, api: As) -> None:
    admin, elsewhere = create_user(role="admin"), create_clinic()
    pumps = [create_pump(patient=create_patient(clinic=clinic)) for clinic in (admin.clinic, elsewhere)]
    for pump in pumps:
        create_pump_sample(pump=pump, state="mri", measured_at=AT - dt.timedelta(hours=5))

    put(api(admin), admin.clinic, "conditions.mri_mode.escalates.after", 4)

    assert ("device", pumps[0].id) in owed()
    judge_conditions(db.session(), {pump.id: AT - dt.timedelta(hours=6) for pump in pumps}, AT)
    found = [
        (alert.device_id, alert.severity) for alert in read(select(Alert)) if alert.condition == "mri_mode"
    ]
    assert found == [(pumps[0].id, "medium")]


def test_a_changed_review_interval_moves_what_is_overdue(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    clinic, nurse = admin.clinic, create_user(clinic=admin.clinic, role="nurse")
    create_pump(patient=create_patient(clinic=clinic), implanted_on=AT.date() - dt.timedelta(days=60))
    assert api(nurse).get("/reviews/due", within_days=0).json["items"] == []

    plan = f"/clinics/{clinic.public_id}/review-plan"
    api(admin).patch(plan, {"pump_days": 45, "source": SOURCE})

    (due,) = api(nurse).get("/reviews/due", within_days=0).json["items"]
    assert due["days_left"] == -15
    assert api(nurse).get(plan).json["source"] == SOURCE
    (entry,) = entries("review_plan.change")
    assert entry.detail == {"changed": {"pump_days": [None, 45], "source": [None, SOURCE]}}
