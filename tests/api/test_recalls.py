"""Recalls: a list in, the devices it means out, and outreach to each of them down to zero."""

import csv
import datetime as dt
import io
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from sc_stim.extensions import db
from sc_stim.models import (
    Alert,
    AuditEntry,
    Device,
    Recall,
    RecallOutreach,
    RecallOutreachEntry,
    User,
    WorkItem,
)
from sc_stim.workflows import outbox, recalls
from sc_stim.workflows.recalls import match_devices
from tests.apps import As, Caller, Time, both_databases, read
from tests.builders import AT, create_patient, create_pump, create_stimulator, create_user, put_on_shelf

pytestmark = both_databases

LIST = "Model: Example Pump\nN100-N199\nLot: L77"
NOTICE = {
    "title": "Motor stall",
    "reference": "FSN-7",
    "class": "I",
    "advice": "Interrogate it.",
    "text": LIST,
}


def serials(items: list[dict[str, Any]]) -> list[str]:
    return [item["device"]["serial"] for item in items]


def outreach(caller: Caller, recall: dict[str, Any], **query: Any) -> dict[str, dict[str, Any]]:
    items = caller.get(f"/recalls/{recall['id']}/outreach", **query).json["items"]
    return {item["device"]["serial"]: item for item in items}


def record(caller: Caller, recall: dict[str, Any], row: dict[str, Any], **step: Any) -> Any:
    return caller.patch(f"/recalls/{recall['id']}/outreach/{row['id']}", step, version=row["version"])


def alerts() -> list[tuple[str, str, str]]:
    found = select(Alert).where(Alert.condition == "device_recall").order_by(Alert.id)
    return [(alert.device.serial, alert.severity, alert.state) for alert in read(found)]


def do_owed_matching() -> None:
    """What a worker does with the work that registrations owe."""
    owed = read(select(WorkItem.subject_id).where(WorkItem.kind == outbox.RECALL))
    match_devices(db.session(), dict.fromkeys(owed, AT), AT)
    db.session.commit()


def clinic_of_pumps() -> User:
    nurse = create_user(role="nurse", name="Nadia Berger")
    patient = create_patient(clinic=nurse.clinic, family_name="Okafor", phone="+49 30 5550100")
    create_pump(patient=patient, serial="N150", lot="L1")
    create_pump(clinic=nurse.clinic, serial="X1", lot="L77")
    create_pump(clinic=nurse.clinic, serial="X2", lot="L78")
    create_pump(clinic=nurse.clinic, serial="X3")  # lot not on record
    create_pump(clinic=nurse.clinic, serial="N160", explanted_on=AT.date())
    create_stimulator(clinic=nurse.clinic, serial="N151")
    put_on_shelf(create_pump(clinic=nurse.clinic, serial="N152", lot="L1"))
    create_pump(serial="N153")  # of another clinic
    return nurse


def test_a_preview_says_what_a_list_means_and_keeps_nothing(app: Flask, api: As) -> None:
    nurse = clinic_of_pumps()
    text = LIST + "\nsee the attachment\nModel: Synchromed 2\nN1"

    found = api(nurse).post("/recalls/preview", {"text": text}).json

    assert serials(found["matched"]) == ["N150", "X1", "N152"]
    assert [(row["line"], row["missing"]) for row in found["matched"]] == [(2, []), (3, []), (2, [])]
    assert found["matched"][0]["patient"]["name"] == "Okafor, Ada"
    assert found["matched"][2]["patient"] is None
    assert serials(found["not_excluded"]) == ["X3"]
    assert found["not_excluded"][0]["missing"] == ["lot"]
    assert (found["matched_count"], found["not_excluded_count"], found["explanted_count"]) == (3, 1, 1)
    assert [(row["line"], row["text"]) for row in found["unread"]] == [(4, "see the attachment")]
    assert found["models_not_here"] == ["Synchromed 2"]
    assert read(select(func.count(Recall.id))) == [0]
    (entry,) = read(select(AuditEntry).where(AuditEntry.action == "recall.preview"))
    assert len(entry.detail["patients"]) == 3


def test_a_recall_owes_outreach_to_every_device_it_means_or_cannot_exclude(app: Flask, api: As) -> None:
    nurse = clinic_of_pumps()
    caller = api(nurse)

    answer = caller.post("/recalls", NOTICE)

    assert answer.status_code == 201
    recall = answer.json
    assert (recall["created_by"]["name"], recall["list_number"], recall["class"]) == ("Nadia Berger", 1, "I")
    progress = {"total": 4, "left": 4, "matched": 3, "cannot_be_excluded": 1, "to_do": 4}
    assert {name: count for name, count in recall["progress"].items() if count} == progress
    assert caller.get(answer.headers["Location"]).json == recall
    rows = outreach(caller, recall)
    assert list(rows) == ["N150", "X1", "X3", "N152"]
    assert {serial: row["match"] for serial, row in rows.items() if serial in ("X1", "X3")} == {
        "X1": "matched",
        "X3": "cannot_be_excluded",
    }
    assert rows["N150"]["patient"]["phone"] == "+49 30 5550100"
    # work for everybody whose device is meant; what cannot be excluded is work on the list
    assert alerts() == [(serial, "medium", "unacknowledged") for serial in ("N150", "X1", "N152")]
    first = caller.get(f"/recalls/{recall['id']}/outreach", limit=3).json
    second = caller.get(f"/recalls/{recall['id']}/outreach", limit=3, cursor=first["next_cursor"]).json
    assert (serials(first["items"] + second["items"]), second["next_cursor"]) == (list(rows), None)


def test_outreach_is_followed_with_its_history_down_to_zero(app: Flask, api: As) -> None:
    nurse = clinic_of_pumps()
    caller = api(nurse)
    recall = caller.post("/recalls", NOTICE).json
    rows = outreach(caller, recall)

    assert record(caller, recall, rows["N150"], state="tried").json["errors"][0]["field"] == "way"
    tried = record(caller, recall, rows["N150"], state="tried", way="phone", note="No answer.").json
    assert (tried["state"], tried["version"]) == ("tried", 2)
    assert record(caller, recall, rows["N150"], state="reached").status_code == 412
    reached = record(caller, recall, tried, state="reached", note="Comes on Monday.").json
    assert outreach(caller, recall, state="left").keys() == rows.keys()
    done = record(caller, recall, reached, state="action_done").json
    assert [(entry["event"], entry["way"], entry["note"]) for entry in done["history"]] == [
        ("listed", None, None),
        ("tried", "phone", "No answer."),
        ("reached", None, "Comes on Monday."),
        ("action_done", None, None),
    ]
    assert [entry["actor"] and entry["actor"]["name"] for entry in done["history"]][:2] == [
        None,
        "Nadia Berger",
    ]
    assert alerts()[0] == ("N150", "medium", "returned_to_normal")

    assert record(caller, recall, rows["X1"], state="not_needed").json["errors"][0]["field"] == "note"
    record(caller, recall, rows["X1"], state="not_needed", note="Lot was mistyped.")
    record(caller, recall, rows["X3"], state="elsewhere", note="Followed in Leipzig.")
    assert list(outreach(caller, recall, state="left")) == ["N152"]
    here = f"/recalls/{recall['id']}"
    early = caller.patch(here, {"closed": True})
    assert (early.status_code, "1 devices" in early.json["detail"]) == (409, True)
    record(caller, recall, rows["N152"], state="action_done", note="Sent back.")
    assert caller.get(here).json["progress"]["left"] == 0
    closed = caller.patch(here, {"closed": True})
    assert (closed.status_code, closed.json["closed_at"]) == (200, "2026-11-23T08:00:00Z")
    assert [row["id"] for row in caller.get("/recalls", closed="true").json["items"]] == [recall["id"]]
    assert caller.get("/recalls", closed="false").json["items"] == []
    (entry, *_) = read(
        select(AuditEntry).where(AuditEntry.action == "recall.follow_up").order_by(AuditEntry.id)
    )
    assert entry.detail["state"] == "tried"
    assert "No answer." not in str(entry.detail)


def test_what_was_finished_is_taken_up_again_with_a_reason_and_a_new_alert(
    app: Flask, api: As, time: Time
) -> None:
    nurse = clinic_of_pumps()
    caller = api(nurse)
    recall = caller.post("/recalls", NOTICE).json
    row = outreach(caller, recall)["N150"]
    (alert,) = read(select(Alert).join(Device).where(Device.serial == "N150"))
    caller.post(f"/alerts/{alert.public_id}/acknowledge")
    done = record(caller, recall, row, state="action_done").json
    assert alerts()[0] == ("N150", "medium", "closed")

    assert record(caller, recall, done, state="to_do").json["errors"][0]["field"] == "note"
    time.pass_by(minutes=5)
    record(caller, recall, done, state="to_do", note="Wrong patient was called.")

    assert [state for serial, _, state in alerts() if serial == "N150"] == ["closed", "unacknowledged"]


def test_a_corrected_list_matches_anew_and_keeps_every_history(app: Flask, api: As) -> None:
    nurse = clinic_of_pumps()
    caller = api(nurse)
    recall = caller.post("/recalls", NOTICE).json
    rows = outreach(caller, recall)
    record(caller, recall, rows["N150"], state="tried", way="letter")
    record(caller, recall, rows["X1"], state="action_done")
    here = f"/recalls/{recall['id']}"

    changed = caller.patch(here, {"text": "Model: Example Pump\nN100-N149\nLot: L77, L78"}).json

    assert (changed["list_number"], changed["version"]) == (2, 2)
    after = outreach(caller, recall)
    assert (after["N150"]["on_list"], after["N150"]["state"]) == (False, "tried")
    assert [entry["event"] for entry in after["N150"]["history"]] == ["listed", "tried", "left_list"]
    assert (after["X1"]["on_list"], after["X1"]["state"]) == (True, "action_done")
    assert (after["X2"]["match"], after["X2"]["line"]) == ("matched", 3)
    assert changed["progress"]["left"] == 2  # X2 and X3; nothing is left to do where the list does not reach
    assert [state for serial, _, state in alerts() if serial in ("N150", "N152")] == [
        "returned_to_normal"
    ] * 2
    assert record(caller, recall, after["N150"], state="reached").status_code == 409

    caller.patch(here, {"text": LIST}, version=2)
    again = outreach(caller, recall)["N150"]
    assert (again["on_list"], again["state"]) == (True, "tried")
    assert [entry["event"] for entry in again["history"]] == ["listed", "tried", "left_list", "listed"]
    assert [state for serial, _, state in alerts() if serial == "N150"][-1] == "unacknowledged"


def test_a_device_registered_or_completed_later_is_matched_against_open_recalls(app: Flask, api: As) -> None:
    nurse = clinic_of_pumps()
    caller = api(nurse)
    recall = caller.post("/recalls", NOTICE).json
    engineer = api(create_user(clinic=nurse.clinic, role="engineer"))

    (pump,) = read(select(Device).where(Device.serial == "X3"))
    new = engineer.post("/devices", {"model": "Prometra II 20 mL", "serial": "N170"}).json
    assert "N170" not in outreach(caller, recall)
    caller.patch(f"/recalls/{recall['id']}", {"text": LIST.replace("Pump", "Pump, Prometra II 20 mL")})
    do_owed_matching()
    assert outreach(caller, recall)["N170"]["match"] == "matched"

    newer = engineer.post("/devices", {"model": "Prometra II 20 mL", "serial": "N171"}).json
    do_owed_matching()
    do_owed_matching()  # twice does it once
    assert outreach(caller, recall)["N171"]["history"][0]["event"] == "listed"
    assert [serial for serial, *_ in alerts()].count("N171") == 1
    assert read(select(func.count(RecallOutreachEntry.id)).join(RecallOutreach).join(Device).where(
        Device.serial == "N171"
    )) == [1]  # fmt: skip
    assert new["id"] != newer["id"]

    pump.lot = "L78"  # the missing lot is found, and it is another
    db.session.commit()
    match_devices(db.session(), {pump.id: AT}, AT)
    db.session.commit()
    assert outreach(caller, recall)["X3"]["on_list"] is False


def test_a_long_list_is_kept_at_once_and_its_alerts_follow(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalls, "TOLD_AT_ONCE", 1)
    nurse = clinic_of_pumps()
    caller = api(nurse)

    recall = caller.post("/recalls", NOTICE).json

    assert sorted(outreach(caller, recall)) == ["N150", "N152", "X1", "X3"]
    assert [serial for serial, *_ in alerts()] == ["N150"]
    do_owed_matching()
    told = [
        ("N150", "medium", "unacknowledged"),
        ("X1", "medium", "unacknowledged"),
        ("N152", "medium", "unacknowledged"),
    ]
    assert alerts() == told

    answer = caller.patch(
        f"/recalls/{recall['id']}", {"text": "Model: Example Pump\nN150"}, version=recall["version"]
    )
    assert answer.status_code == 200
    assert [state for serial, _, state in alerts() if serial != "N150"] == ["returned_to_normal"] * 2


def test_an_explanted_device_needs_no_outreach(app: Flask, api: As) -> None:
    nurse = clinic_of_pumps()
    caller = api(nurse)
    recall = caller.post("/recalls", NOTICE).json
    (pump,) = read(select(Device).where(Device.serial == "N150"))
    api(create_user(clinic=nurse.clinic, role="clinician")).patch(
        f"/devices/{pump.public_id}", {"explanted_on": AT.date().isoformat()}
    )

    do_owed_matching()

    row = outreach(caller, recall)["N150"]
    assert (row["on_list"], row["history"][-1]["event"]) == (False, "explanted")
    assert alerts()[0] == ("N150", "medium", "returned_to_normal")


def test_two_recalls_of_one_device_are_one_alert_until_both_are_done(app: Flask, api: As) -> None:
    nurse = clinic_of_pumps()
    caller = api(nurse)
    minor = caller.post("/recalls", NOTICE | {"title": "Label", "class": "III", "text": "Serial: N150"}).json
    assert alerts() == [("N150", "low", "unacknowledged")]
    major = caller.post("/recalls", NOTICE | {"text": "Model: Example Pump; Serial: N150"}).json
    assert [row for row in alerts() if row[0] == "N150"] == [("N150", "medium", "unacknowledged")]

    record(caller, major, outreach(caller, major)["N150"], state="action_done")
    assert [state for serial, _, state in alerts() if serial == "N150"] == ["unacknowledged"]
    record(caller, minor, outreach(caller, minor)["N150"], state="action_done")
    assert [state for serial, _, state in alerts() if serial == "N150"] == ["returned_to_normal"]


def test_lines_that_are_not_understood_are_refused_or_left_out_on_purpose(app: Flask, api: As) -> None:
    caller = api(clinic_of_pumps())
    text = "N100-P200\n" + LIST

    refused = caller.post("/recalls", NOTICE | {"text": text})
    assert refused.status_code == 422
    (error,) = refused.json["errors"]
    assert error["field"] == "text"
    assert error["message"].startswith("line 1 is not understood: 'N100-P200'")
    assert "Write a range for each" in error["message"]

    taken = caller.post("/recalls", NOTICE | {"text": text, "accept_unread": True}).json
    assert [row["line"] for row in taken["unread"]] == [1]
    for text, said in (("nothing here", "names no model"), ("model,colour\na,b", "no column 'colour'")):
        answer = caller.post("/recalls", NOTICE | {"text": text, "accept_unread": True})
        assert (answer.status_code, said in answer.json["errors"][0]["message"]) == (422, True)
    assert caller.post("/recalls/preview", {"text": "N1," * 400_000}).status_code == 413


def test_an_engineer_sees_devices_and_no_patient(app: Flask, api: As) -> None:
    nurse = clinic_of_pumps()
    recall = api(nurse).post("/recalls", NOTICE).json
    row = outreach(api(nurse), recall)["N150"]
    record(api(nurse), recall, row, state="tried", way="phone", note="Mrs Okafor is away.")
    engineer = api(create_user(clinic=nurse.clinic, role="engineer"))

    seen = outreach(engineer, recall)["N150"]
    assert (seen["patient"], seen["history"][1]["note"]) == (None, None)
    assert all(
        row["patient"] is None for row in engineer.post("/recalls/preview", {"text": LIST}).json["matched"]
    )
    table = engineer.get(f"/recalls/{recall['id']}/outreach", headers={"Accept": "text/csv"}).text
    assert "N150" in table
    assert "Okafor" not in table
    assert engineer.post("/recalls", NOTICE).status_code == 403
    assert record(engineer, recall, seen, state="reached").status_code == 403


def test_the_list_is_taken_away_as_a_table_no_spreadsheet_runs(app: Flask, api: As) -> None:
    nurse = clinic_of_pumps()
    caller = api(nurse)
    recall = caller.post("/recalls", NOTICE).json

    answer = caller.get(f"/recalls/{recall['id']}/outreach", headers={"Accept": "text/csv"}, state="left")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.mimetype == "text/csv"
    assert [row["serial"] for row in rows] == ["N150", "X1", "X3", "N152"]
    assert (rows[0]["patient"], rows[0]["phone"]) == ("Okafor, Ada", "'+49 30 5550100")
    (entry,) = read(select(AuditEntry).where(AuditEntry.action == "recall.export"))
    assert len(entry.detail["patients"]) == 3


def test_another_clinic_finds_no_recall_and_none_of_its_devices_is_ever_matched(app: Flask, api: As) -> None:
    nurse = clinic_of_pumps()
    recall = api(nurse).post("/recalls", NOTICE).json
    row = outreach(api(nurse), recall)["N150"]
    (foreign,) = read(select(Device).where(Device.serial == "N153"))
    match_devices(db.session(), {foreign.id: AT}, AT)
    db.session.commit()
    assert read(select(func.count(RecallOutreach.id)).where(RecallOutreach.device_id == foreign.id)) == [0]

    stranger = api(create_user(role="nurse"))
    assert stranger.get("/recalls").json["items"] == []
    for path in ("", "/outreach"):
        assert stranger.get(f"/recalls/{recall['id']}{path}").status_code == 404
    assert stranger.patch(f"/recalls/{recall['id']}", {"title": "mine"}).status_code == 404
    assert record(stranger, recall, row, state="reached").status_code == 404
    assert stranger.post("/recalls/preview", {"text": LIST}).json["matched"] == []


def test_a_recall_is_created_once_for_one_key(app: Flask, api: As) -> None:
    caller = api(clinic_of_pumps())
    first = caller.post("/recalls", NOTICE, Idempotency_Key="fsn-7").json
    again = caller.post("/recalls", NOTICE, Idempotency_Key="fsn-7").json
    assert first["id"] == again["id"]
    assert read(select(func.count(Recall.id))) == [1]


def test_outreach_of_a_recall_is_not_reached_through_another_one(app: Flask, api: As) -> None:
    caller = api(clinic_of_pumps())
    one, two = (caller.post("/recalls", NOTICE).json for _ in range(2))
    row = outreach(caller, one)["N150"]
    assert record(caller, two, row, state="reached").status_code == 404
    assert dt.datetime.fromisoformat(row["changed_at"]) == AT
