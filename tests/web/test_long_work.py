"""Exports of a period and back-tests: asked for, watched, cancelled, taken away."""

import datetime as dt
import io

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import LongWork
from sc_stim.models.long_work import RUNNING
from sc_stim.tasks.long_work import work_long
from sc_stim.web import long_work as web
from sc_stim.workflows.long_work import CLAIM
from tests import builders
from tests.builders import AT
from tests.trail import actions_on, entries

SLICE = dt.timedelta(seconds=5)


@pytest.fixture
def user(app):
    return builders.create_user(role="nurse", name="Nadia Berger")


@pytest.fixture
def nurse(user, visit):
    visitor = visit(user)
    visitor.page("/work")
    return visitor


def sent(visitor, text, kind="pain_file", name="diaries.csv"):
    return visitor.post("/work", kind=kind, file=(io.BytesIO(text.encode()), name))


def work():
    return db.session.scalars(select(LongWork)).one()


def test_a_page_that_was_never_used_says_how_to_begin(nurse):
    assert "Begin with one of the forms below" in nurse.page("/work").text


@pytest.mark.parametrize(
    ("role", "kinds"),
    [
        ("auditor", {"audit"}),
        ("engineer", {"pump_readings", "stimulator_readings", "recall_file"}),
        ("nurse", {"pump_readings", "stimulator_readings", "pain_backtest", "refill_backtest", "pain_file",
                   "refill_file", "recall_file"}),
    ],
)  # fmt: skip
def test_each_role_is_offered_what_it_may_make_and_refused_the_rest(visit, role, kinds):
    visitor = visit(builders.create_user(role=role))
    radios = [field for field in visitor.page("/work").all("input") if field.get("type") == "radio"]
    assert {field.get("value") for field in radios} == kinds
    for kind in {"audit", "pain_backtest"} - kinds:
        assert visitor.post("/work", kind=kind).status_code == 403


def test_an_export_is_asked_for_runs_and_is_taken_away_each_on_record(user, nurse):
    device = builders.create_pump(patient=builders.create_patient(clinic=user.clinic))
    shown = nurse.done("/work", kind="pump_readings", first_day="2026-10-24", last_day="2026-11-23")
    assert "Asked for: Readings of all pumps" in shown.text and "Waiting for its turn" in shown.text
    assert shown.within("works").count("Cancel") == 1 and 'hx-trigger="every 2s"' in shown.html
    whole_days = {"since": "2026-10-23T22:00:00+00:00", "until": "2026-11-23T23:00:00+00:00"}
    assert work().asked == whole_days

    work_long(db.session(), until=AT + SLICE)
    shown = nurse.page("/work")
    assert "Finished" in shown.text and "1 of 1 pumps" in shown.text and "hx-trigger" not in shown.html

    file = nurse.file(f"/work/{work().public_id}/result")
    assert file.text.startswith("measured_at,device,model,serial,state,reservoir_ml,flow_ml_per_day")
    assert file.headers["Content-Disposition"] == 'attachment; filename="pump-readings-2026-11-23.csv"'
    assert actions_on(work()) == ["long_work.start", "long_work.export"] and device.serial not in file.text


def test_a_field_that_cannot_be_used_is_said_beside_it(nurse):
    wrong = {"kind": "pump_readings", "first_day": "2026-11-02", "last_day": "2026-11-01"}
    assert "Until must not be before from" in nurse.submitted("/work", 422, **wrong).text
    assert "must be a date" in nurse.submitted("/work", 422, **wrong | {"last_day": "tomorrow"}).text
    assert "Choose a file" in nurse.submitted("/work", 422, kind="pain_file").text
    assert "choose what to make" in nurse.done("/work", kind="everything").text
    assert db.session.scalars(select(LongWork)).all() == []


def test_a_file_is_judged_and_what_is_wrong_with_it_is_said_in_words(nurse):
    assert sent(nurse, "patient,at,nrs\nada,2026-01-01,12\n").status_code == 303
    work_long(db.session(), until=AT + SLICE)

    shown = nurse.page("/work")
    assert "Broken off" in shown.text and "diaries.csv" in shown.text
    assert "line 2: nrs: '12' is not a score from 0 to 10" in shown.text


def test_a_file_may_be_larger_than_other_forms_but_not_without_end(app, nurse, monkeypatch):
    monkeypatch.setitem(app.config, "MAX_CONTENT_LENGTH", 10_000)
    monkeypatch.setattr(web, "MOST_UPLOADED", 50_000)
    assert sent(nurse, "patient,at,nrs\n" + "ada,2026-01-01,5\n" * 2_000).status_code == 303
    too_large = sent(nurse, "ada,2026-01-01,5\n" * 10_000)
    assert too_large.status_code == 422 and "Send it in parts" in too_large.text


def test_a_form_without_its_token_is_refused_with_a_file_too(nurse):
    nurse.token = "forged"
    assert sent(nurse, "patient,at,nrs\n").status_code == 400
    assert db.session.scalars(select(LongWork)).all() == []


def test_work_whose_worker_stopped_is_not_called_running(user, nurse, time):
    work = builders.create_long_work(by=user)
    work.state, work.claimed_until = RUNNING, AT + CLAIM
    db.session.commit()
    assert "Running" in nurse.page("/work").within("works")

    time.at = AT + dt.timedelta(seconds=30)
    quiet = nurse.page("/work").within("works")
    time.at = AT + CLAIM + dt.timedelta(minutes=1)
    longer = nurse.page("/work").within("works")

    assert "Waiting for a worker No step for a while" in quiet
    assert "Another goes on from there, today 09:02 at the latest." in quiet
    assert "It goes on from there as soon as one is running." in longer


def test_a_fourth_at_once_is_refused_and_a_cancelled_one_makes_room(user, nurse):
    for _ in range(3):
        builders.create_long_work(by=user)
    assert "Nothing was begun: 3 are under way" in nurse.done("/work", kind="refill_backtest").text

    one = db.session.scalars(select(LongWork)).first()
    assert "Cancelled: Pain rule" in nurse.done(f"/work/{one.public_id}/cancel").text
    assert "has ended already" in nurse.done(f"/work/{one.public_id}/cancel").text
    assert "Asked for: Refill rule" in nurse.done("/work", kind="refill_backtest").text


def test_nobody_sees_cancels_or_takes_away_what_is_not_theirs(user, visit):
    theirs = builders.create_long_work(by=user, state="done", expires_at=AT + dt.timedelta(days=1))
    colleague = visit(builders.create_user(clinic=user.clinic, role="clinician"))
    assert "Nadia Berger" in colleague.page("/work").within("works")
    assert colleague.file(f"/work/{theirs.public_id}/result").status_code == 200
    for other in (
        builders.create_user(role="nurse"),
        builders.create_user(clinic=user.clinic, role="engineer"),
        builders.create_user(clinic=user.clinic, role="auditor"),
    ):
        visitor = visit(other)
        assert "Nadia Berger" not in visitor.page("/work").within("works")
        assert visitor.file(f"/work/{theirs.public_id}/result").status_code == 404
        assert visitor.post(f"/work/{theirs.public_id}/cancel").status_code == 404


def test_an_unfinished_or_expired_result_is_not_there(user, nurse, time):
    running = builders.create_long_work(by=user, state="running", done=3, total=9)
    assert "3 of 9 patients" in nurse.page("/work").text
    assert nurse.file(f"/work/{running.public_id}/result").status_code == 404
    done = builders.create_long_work(by=user, state="done", expires_at=AT + dt.timedelta(days=7))
    assert nurse.file(f"/work/{done.public_id}/result").status_code == 200
    db.session.get_one(LongWork, done.id).expires_at = AT
    assert nurse.file(f"/work/{done.public_id}/result").status_code == 404
    assert len(entries("long_work.export")) == 1
