"""Alerts through HTTP: found, taken, put aside, dealt with, and always with who and when."""

import datetime as dt
from typing import Any

import pytest
from flask import Flask

from sc_stim.models import Alert, Clinic
from tests.apps import As, Time, both_databases
from tests.builders import AT, create_alert, create_clinic, create_patient, create_pump, create_user
from tests.trail import actions_on

HOUR = dt.timedelta(hours=1)


def alert_of(clinic: Clinic, **values: Any) -> Alert:
    return create_alert(patient=create_patient(clinic=clinic), **values)


@both_databases
def test_the_most_severe_alert_stands_first_and_of_these_the_oldest(app: Flask, api: As) -> None:
    clinic = create_clinic()
    low = alert_of(clinic, severity="low", opened_at=AT - 9 * HOUR)
    young, old = (alert_of(clinic, severity="high", opened_at=AT - hours * HOUR) for hours in (1, 2))
    info = alert_of(clinic, severity="info")
    medium = alert_of(clinic, severity="medium", state="closed", open_key=None)
    alert_of(create_clinic(), severity="high")
    caller = api(create_user(clinic=clinic, role="nurse"))

    def found(**query: str) -> list[str]:
        first = caller.get("/alerts", limit=2, **query)
        second = first.headers.get("Link")
        rest = caller.get(second.split(";")[0].strip("<>"), limit=200).json["items"] if second else []
        return [row["id"] for row in first.json["items"] + rest]

    def ids(*alerts: Alert) -> list[str]:
        return [str(alert.public_id) for alert in alerts]

    assert found(state="closed") == ids(medium)
    assert found(severity="high") == ids(old, young)
    assert found(kind="refill_due") == []
    listed = [row["id"] for row in caller.get("/alerts").json["items"]]
    assert listed == ids(old, young, medium, low, info)
    assert [row["id"] for row in caller.get("/alerts", state="open").json["items"]] == ids(
        old, young, low, info
    )


@both_databases
def test_an_alert_is_taken_put_aside_and_dealt_with(app: Flask, api: As, time: Time) -> None:
    clinic = create_clinic()
    pump = create_pump(clinic=clinic)
    alert = create_alert(patient=pump.patient, device=pump, condition="motor_stall", severity="high")
    nurse, clinician = create_user(clinic=clinic, role="nurse"), create_user(clinic=clinic)
    address = f"/alerts/{alert.public_id}"
    taken = api(nurse).post(f"{address}/acknowledge", {"comment": "I ring the patient."})
    assert (taken.status_code, taken.json["state"]) == (200, "acknowledged"), taken.text
    time.pass_by(minutes=10)
    shelved = api(clinician).post(f"{address}/shelve", {"until": "2026-11-23T10:10:00Z"})
    assert (shelved.json["state"], shelved.json["shelved_until"]) == ("shelved", "2026-11-23T10:10:00Z")
    remarked = api(nurse).post(f"{address}/comments", {"comment": "She comes at noon."})
    assert (remarked.status_code, remarked.json["state"]) == (201, "shelved")
    time.pass_by(minutes=40)
    done = api(clinician).post(f"{address}/resolve", {"comment": "Pump replaced."})
    assert (done.json["state"], done.json["shelved_until"]) == ("closed", None)
    shown = api(nurse).get(address).json
    assert shown["patient"]["id"] == str(pump.patient.public_id)
    assert shown["device_id"] == str(pump.public_id)
    assert [
        (row["event"], row["by"]["name"], row["comment"], row["at"][11:16]) for row in shown["history"]
    ] == [
        ("acknowledge", nurse.name, "I ring the patient.", "08:00"),
        ("shelve", clinician.name, None, "08:10"),
        ("comment", nurse.name, "She comes at noon.", "08:10"),
        ("resolve", clinician.name, "Pump replaced.", "08:50"),
    ]
    assert actions_on(alert) == [
        "alert.acknowledge", "alert.shelve", "alert.comment", "alert.resolve", "alert.view",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("act", "body", "state"),
    [
        ("acknowledge", {}, "acknowledged"),
        ("acknowledge", {}, "closed"),
        ("shelve", {"until": "2026-11-24T08:00:00Z"}, "closed"),
        ("resolve", {}, "closed"),
    ],
)
def test_what_does_not_fit_the_state_is_refused_and_changes_nothing(
    app: Flask, api: As, act: str, body: dict[str, str], state: str
) -> None:
    alert = create_alert(patient=create_patient(), state=state)
    caller = api(create_user(clinic=alert.patient.clinic))
    answer = caller.post(f"/alerts/{alert.public_id}/{act}", body)
    assert answer.status_code == 409
    assert caller.get(f"/alerts/{alert.public_id}").json["state"] == state
    assert actions_on(alert) == ["alert.view"]


@pytest.mark.parametrize(
    ("act", "body", "field"),
    [
        ("shelve", {}, "until"),
        ("shelve", {"until": "2026-11-23T08:00:00Z"}, "until"),
        ("shelve", {"until": "tomorrow"}, "until"),
        ("comments", {}, "comment"),
        ("comments", {"comment": "  "}, "comment"),
        ("acknowledge", {"remark": "?"}, "remark"),
    ],
)
def test_an_act_that_says_too_little_or_too_much_is_refused_by_name(
    app: Flask, api: As, act: str, body: dict[str, str], field: str
) -> None:
    alert = create_alert(patient=create_patient())
    answer = api(create_user(clinic=alert.patient.clinic)).post(f"/alerts/{alert.public_id}/{act}", body)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize("act", ["", "acknowledge", "shelve", "resolve", "comments"])
def test_another_clinics_alert_is_as_absent_as_one_that_never_was(app: Flask, api: As, act: str) -> None:
    alert = create_alert(patient=create_patient())
    stranger = api(create_user())
    body = {"shelve": {"until": "2026-11-24T08:00:00Z"}, "comments": {"comment": "?"}}.get(act, {})

    def ask(public_id: object) -> tuple[int, Any]:
        address = f"/alerts/{public_id}"
        answer = stranger.post(f"{address}/{act}", body) if act else stranger.get(address)
        return answer.status_code, answer.json

    assert ask(alert.public_id) == ask("01890000-0000-7000-8000-000000000000")
    assert ask(alert.public_id)[0] == 404
    assert actions_on(alert) == []


@pytest.mark.parametrize("role", ["engineer", "auditor", "admin"])
def test_who_gives_no_care_handles_no_alerts(app: Flask, api: As, role: str) -> None:
    alert = create_alert(patient=create_patient())
    caller = api(create_user(clinic=alert.patient.clinic, role=role))
    assert caller.get("/alerts").status_code == 403
    assert caller.post(f"/alerts/{alert.public_id}/resolve", {}).status_code == 403


@pytest.mark.parametrize(("severity", "days"), [("high", 1), ("medium", 30)])
def test_no_shelf_lasts_for_ever(app: Flask, api: As, severity: str, days: int) -> None:
    alert = create_alert(patient=create_patient(), severity=severity)
    clinician = api(create_user(clinic=alert.patient.clinic))
    end = AT + dt.timedelta(days=days)
    address = f"/alerts/{alert.public_id}/shelve"
    refused = clinician.post(address, {"until": (end + dt.timedelta(seconds=1)).isoformat()})
    said = f"a {severity} alert stays on the shelf for {days} {'day' if days == 1 else 'days'} at most"
    assert (refused.status_code, refused.json["detail"]) == (409, f"{said}: choose an earlier end")
    assert clinician.post(address, {"until": end.isoformat()}).status_code == 200
