"""Exports, back-tests and long lists, worked off in slices: nothing is lost, done twice or stuck."""

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, Clinic, LongWork, LongWorkPart, PumpSample
from sc_stim.tasks import long_work as worker
from sc_stim.tasks.long_work import work_long
from sc_stim.workflows import audit, long_kinds, long_work
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.long_kinds import KINDS, Job, Kind, Step
from sc_stim.workflows.refusals import Conflict, FieldRefused
from tests import builders
from tests.apps import Time, both_databases
from tests.builders import AT

DAY = dt.timedelta(days=1)
SLICE = dt.timedelta(seconds=5)
YEAR = {"since": (AT - 365 * DAY).isoformat(), "until": (AT + DAY).isoformat()}


@pytest.fixture
def clinic(app: Flask) -> Clinic:
    return builders.create_clinic()


@pytest.fixture
def nurse(clinic: Clinic) -> Actor:
    user = builders.create_user(clinic=clinic, role="nurse")
    return Actor(clinic.id, str(user.public_id), b"k" * 32, user.id)


def ask(by: Actor, kind: str, upload: str | None = None, **asked: Any) -> LongWork:
    sent = None if upload is None else upload.encode()
    work = long_work.start(db.session(), by, kind, asked, sent, at=AT)
    db.session.commit()
    return work


def worked_off(by: Actor, kind: str, upload: str | None = None, **asked: Any) -> LongWork:
    work = ask(by, kind, upload, **asked)
    work_long(db.session(), until=AT + SLICE)
    return work


def text_of(work: LongWork) -> str:
    return b"".join(long_work.result(db.session(), work)).decode()


def rows_of(work: LongWork) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(work))))


def count_to(five: int) -> Any:
    def run(session: Any, job: Job) -> Iterator[Step]:
        for number in range(job.cursor or 0, five):
            yield Step(f"{number}\n", number + 1, five, number + 1)

    return run


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "audit", Kind(count_to(5), "audit.read", "period"))


# --- slices, kills and ends ---


@both_databases
def test_work_goes_on_in_the_next_slice_where_the_last_ended(
    nurse: Actor, counting: None, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, keep = ask(nurse, "audit"), worker._keep

    def slow(*step: Any) -> bool:
        time.pass_by(seconds=2)
        return keep(*step)

    monkeypatch.setattr(worker, "_keep", slow)
    assert work_long(db.session(), until=time.at + SLICE) == 0
    assert (work.state, work.done, work.total, work.claimed_until) == ("running", 3, 5, None)
    assert work_long(db.session(), until=time.at + SLICE) == 1

    assert (work.state, work.done, text_of(work)) == ("done", 5, "0\n1\n2\n3\n4\n")


@both_databases
def test_a_worker_that_dies_loses_no_step_that_was_kept_and_another_goes_on(
    nurse: Actor, counting: None, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, keep = ask(nurse, "audit"), worker._keep

    def dies_at_the_third(session: Any, work_id: int, part: int, step: Step) -> bool:
        if part == 2:
            raise SystemExit("killed")
        return keep(session, work_id, part, step)

    monkeypatch.setattr(worker, "_keep", dies_at_the_third)
    with pytest.raises(SystemExit):
        work_long(db.session(), until=time.at + SLICE)
    db.session.rollback()
    monkeypatch.setattr(worker, "_keep", keep)

    assert work_long(db.session(), until=time.at + SLICE) == 0, "the dead one's claim holds"
    time.pass_by(minutes=3)
    assert work_long(db.session(), until=time.at + SLICE) == 1
    assert (work.state, text_of(work)) == ("done", "0\n1\n2\n3\n4\n")


def test_what_ends_three_workers_at_one_place_is_given_up_in_words(
    nurse: Actor, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(session: Any, job: Job) -> Iterator[Step]:
        if job.cursor is None:
            yield Step("once\n", 1, 2, 1)
        raise RuntimeError("not of the file")

    monkeypatch.setitem(KINDS, "audit", Kind(broken, "audit.read", "period"))
    monkeypatch.setattr(worker.log, "exception", lambda *_, **__: None)
    work = ask(nurse, "audit")
    for _ in range(6):
        work_long(db.session(), until=time.at + SLICE)
        time.pass_by(minutes=3)

    assert (work.state, work.size) == ("failed", 0)
    assert "broken off three times" in (work.error or "")
    assert db.session.scalar(select(func.count()).select_from(LongWorkPart)) == 0


@both_databases
def test_two_workers_on_one_work_keep_each_step_once(nurse: Actor, counting: None, time: Time) -> None:
    """The first was slower than its claim: the second has gone on."""
    work = ask(nurse, "audit")
    slow = KINDS["audit"].run(db.session(), worker._job(work))
    assert worker._take(db.session(), AT) is work
    assert worker._keep(db.session(), work.id, 0, next(iter(slow)))
    time.pass_by(minutes=3)
    work_long(db.session(), until=time.at + SLICE)

    assert not worker._keep(db.session(), work.id, 1, Step("1\n", 2, 5, 2))
    assert text_of(work) == "0\n1\n2\n3\n4\n"


@both_databases
def test_a_cancelled_work_stops_at_the_next_step_and_leaves_nothing(
    nurse: Actor, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled_meanwhile(session: Any, job: Job) -> Iterator[Step]:
        yield Step("0\n", 1, 9, 1)
        long_work.cancel(session, nurse, session.get(LongWork, work.id), at=AT)
        session.commit()
        yield Step("1\n", 2, 9, 2)
        raise AssertionError("went on")

    monkeypatch.setitem(KINDS, "audit", Kind(cancelled_meanwhile, "audit.read", "period"))
    work = ask(nurse, "audit")
    work_long(db.session(), until=time.at + SLICE)

    assert (work.state, work.size, work.ended_at) == ("cancelled", 0, AT)
    assert db.session.scalar(select(func.count()).select_from(LongWorkPart)) == 0
    with pytest.raises(Conflict, match="ended already"):
        long_work.cancel(db.session(), nurse, work, at=AT)


def test_a_result_that_grows_too_large_is_given_up(
    nurse: Actor, counting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MOST_KEPT", 20)
    work = worked_off(nurse, "audit")
    assert (work.state, work.error) == ("failed", worker.TOO_LARGE)


@both_databases
def test_a_result_is_gone_after_a_week(nurse: Actor, counting: None) -> None:
    work = worked_off(nurse, "audit")
    assert work.expires_at == AT + 7 * DAY
    assert long_work.drop_expired(db.session(), AT + 6 * DAY) == 0
    assert long_work.drop_expired(db.session(), AT + 7 * DAY) == 1
    assert db.session.scalar(select(func.count()).select_from(LongWork)) == 0


@both_databases
def test_so_many_at_once_and_no_more_and_no_file_without_end(nurse: Actor) -> None:
    for _ in range(long_work.MOST_AT_ONCE):
        ask(nurse, "pain_backtest")
    with pytest.raises(Conflict, match="3 are under way"):
        ask(nurse, "pain_backtest")
    db.session.rollback()
    with pytest.raises(FieldRefused, match="larger than 8 MB"):
        ask(nurse, "pain_file", "x" * (8 * 1024 * 1024 + 1))


# --- what each kind makes ---


@both_databases
def test_the_trail_of_a_period_is_exported_whole_and_in_order(
    nurse: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_kinds, "ENTRIES_AT_ONCE", 2)
    for number in range(5):
        audit.record(db.session(), nurse, "patient.view", detail={"n": number}, at=AT - number * DAY)
    audit.record(db.session(), nurse, "patient.view", detail={"n": "too old"}, at=AT - 400 * DAY)
    db.session.commit()

    work = worked_off(nurse, "audit", **YEAR)

    assert (work.state, work.done, work.total, work.parts) == ("done", 4, 4, 3)
    numbers = [int(row["number"]) for row in rows_of(work)]
    assert numbers == sorted(numbers) and len(numbers) == 4
    assert rows_of(work)[0]["at"] == "2026-11-22T09:00:00+01:00"


@both_databases
def test_readings_of_the_whole_clinic_and_no_other_are_exported(nurse: Actor, clinic: Clinic) -> None:
    mine, silent = (
        builders.create_pump(patient=builders.create_patient(clinic=clinic), serial=serial)
        for serial in ("A1", "A2")
    )
    other = builders.create_pump()
    for pump in (mine, other):
        for days in (200, 100, 1):
            _sample(pump, AT - days * DAY, reservoir_ml=days / 10)
    db.session.commit()

    work = worked_off(nurse, "pump_readings", **YEAR)

    assert silent.serial == "A2" and (work.state, work.done, work.total) == ("done", 2, 2)
    rows = rows_of(work)
    assert [row["reservoir_ml"] for row in rows] == ["20.0", "10.0", "0.1"]
    assert {row["serial"] for row in rows} == {"A1"} and "flow_ml_per_day" in rows[0]


def _sample(pump: Any, at: dt.datetime, **values: Any) -> None:
    db.session.add(
        PumpSample(
            device_id=pump.id, epoch="e", seq=int(at.timestamp()), clinic_id=pump.clinic_id, measured_at=at,
            device_at=at, received_at=at, **values,
        )
    )  # fmt: skip


def test_the_pain_rule_is_tried_on_the_clinics_own_diaries_and_raises_nothing(
    nurse: Actor, clinic: Clinic
) -> None:
    patient = builders.create_patient(clinic=clinic, mrn="MRN-7")
    for day in range(60):
        builders.create_pain_score(
            patient=patient, nrs=8.0 if day < 20 else 3.0 + day % 2, measured_at=AT - day * DAY
        )
    work = worked_off(nurse, "pain_backtest")

    assert (work.state, work.done, work.total) == ("done", 1, 1)
    assert [(row["record_number"], row["kind"]) for row in rows_of(work)][:1] == [("MRN-7", "step_up")]
    assert db.session.scalars(select(AuditEntry.action)).all() == ["long_work.start"]


@both_databases
def test_the_refill_rule_is_tried_on_what_was_known_before_each_visit(nurse: Actor, clinic: Clinic) -> None:
    pump = builders.create_pump(patient=builders.create_patient(clinic=clinic))
    builders.create_setting(device=pump, flow_ml_per_day=0.2, effective_at=AT - 200 * DAY)
    drugs = [{"name": "morphine", "mg_per_ml": 10.0}]
    for days, aspirated in ((100, None), (20, 3.0)):
        builders.create_fill(
            pump=pump, at=AT - days * DAY, filled_ml=20.0, aspirated_ml=aspirated, drugs=drugs
        )

    [row] = rows_of(worked_off(nurse, "refill_backtest"))

    assert float(row["expected_residual_ml"]) == pytest.approx(4.0, abs=0.3)
    assert float(row["less_than_expected_ml"]) == pytest.approx(float(row["expected_residual_ml"]) - 3.0)
    assert (row["aspirated_ml"], row["refused"]) == ("3.0", "")
    assert row["refill_by"].startswith("2026-")


def test_an_uploaded_diary_is_judged_as_the_command_does_and_the_upload_is_dropped(nurse: Actor) -> None:
    days = [(AT - day * DAY).date().isoformat() for day in range(40)]
    rows = [f"{who},{day},{8 if index < 16 else 3}" for who in "ab" for index, day in enumerate(days)]
    work = worked_off(nurse, "pain_file", "\n".join(["patient,at,nrs", *rows]))

    assert (work.state, work.done, work.total, work.upload) == ("done", 2, 2, None)
    assert {row["patient"] for row in rows_of(work)} == {"a", "b"}


def test_uploaded_pumps_are_forecast_in_chunks_to_one_list(
    nurse: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_kinds, "CASES_AT_ONCE", 2)
    case = {
        "pump": "p", "at": "2026-11-22", "timezone": "Europe/Berlin", "reservoir_ml": 20,
        "drugs": [{"name": "morphine", "mg_per_ml": 10}],
        "settings": [{"from": "2026-08-01T08:00:00+02:00", "flow_ml_per_day": 0.2}],
        "fills": [{"at": "2026-08-01T08:00:00+02:00", "filled_ml": 20}],
    }  # fmt: skip
    work = worked_off(nurse, "refill_file", json.dumps([case | {"pump": str(n)} for n in range(5)]))
    assert [one["pump"] for one in json.loads(text_of(work))] == ["0", "1", "2", "3", "4"]
    assert len(json.loads(text_of(worked_off(nurse, "refill_file", json.dumps(case))))) == 1
    assert json.loads(text_of(worked_off(nurse, "refill_file", "[]"))) == []


def test_a_recall_list_says_which_devices_it_means_and_keeps_nothing(nurse: Actor, clinic: Clinic) -> None:
    patient = builders.create_patient(clinic=clinic)
    for serial in ("NGP700100H", "NGP900100H"):
        builders.create_pump(patient=patient, serial=serial)
    work = worked_off(nurse, "recall_file", "NGP700100H-NGP700999H\n???")

    said = [(row["says"], row["serial"]) for row in rows_of(work)]
    assert ("meant", "NGP700100H") in said and "NGP900100H" not in {serial for _, serial in said}
    assert said[0][0] == "line not understood"


@pytest.mark.parametrize(
    ("kind", "upload", "said"),
    [
        ("pain_file", "patient,at\na,b", "line 1: the columns are"),
        ("pain_file", "patient,at,nrs\na,2026-01-01,11", "nrs: '11' is not a score from 0 to 10"),
        ("refill_file", "{", "not a JSON list"),
        ("refill_file", '[{"pump": 1}]', "case 0"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_to_be_by_line_and_field(
    nurse: Actor, kind: str, upload: str, said: str
) -> None:
    work = worked_off(nurse, kind, upload)
    assert (work.state, work.upload) == ("failed", None)
    assert said in (work.error or "")
