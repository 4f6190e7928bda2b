"""Work is done once, whoever dies, races or fails meanwhile."""

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sc_stim.extensions import db
from sc_stim.models import Alert, Device, JobRun, WorkItem
from sc_stim.tasks.jobs import JUDGES
from sc_stim.tasks.upkeep import ask_nightly
from sc_stim.tasks.work import CHUNK, CLAIM, Subjects, work_off
from sc_stim.workflows import outbox
from tests.apps import Time, both_databases, read
from tests.builders import AT, create_pump, create_pump_sample

SOON = AT + dt.timedelta(days=7)
SECOND = dt.timedelta(seconds=1)

pytestmark = both_databases


class Died(BaseException):
    """The process ends here."""


def owe(*subjects: int, kind: str = "test") -> None:
    outbox.ask(db.session(), kind, subjects, AT)
    db.session.commit()


def judge(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
    return {}


def dies(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
    raise Died


class Notes:
    """A judge that notes whom it judged."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []

    def __call__(self, session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
        self.rounds.append(sorted(subjects))
        return {}


def die_at_work() -> None:
    try:
        work_off(db.session(), {"test": dies}, until=SOON)
    except Died:
        db.session.rollback()


def test_the_work_of_a_dead_worker_is_done_when_its_claim_has_run_out(app: Flask, time: Time) -> None:
    owe(1, 2)
    die_at_work()
    notes = Notes()
    assert work_off(db.session(), {"test": notes}, until=SOON) == 0
    time.at += CLAIM
    assert work_off(db.session(), {"test": notes}, until=SOON) == 0
    time.at += SECOND
    assert work_off(db.session(), {"test": notes}, until=SOON) == 2
    assert sorted(notes.rounds) == [[1], [2]]  # each by itself: one of them may have ended the worker
    assert read(select(WorkItem)) == []


def test_news_of_a_subject_that_is_being_judged_is_judged_again(app: Flask) -> None:
    owe(1)
    rounds = []

    def hears_more(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
        rounds.append(at)
        if len(rounds) == 1:
            outbox.ask(session, "test", [1], at)
        return {}

    assert work_off(db.session(), {"test": hears_more}, until=SOON) == 2
    assert len(rounds) == 2
    assert read(select(WorkItem)) == []


def test_a_judge_may_ask_to_judge_again_later(app: Flask, time: Time) -> None:
    owe(1)
    later = AT + dt.timedelta(hours=1)
    assert work_off(db.session(), {"test": lambda *_: {1: later}}, until=SOON) == 1
    assert [(row.due_at, row.attempts) for row in read(select(WorkItem))] == [(later, 0)]
    time.at = later
    assert work_off(db.session(), {"test": judge}, until=SOON) == 1


def test_one_bad_subject_does_not_stop_the_others(app: Flask, time: Time) -> None:
    owe(1, 2, 3)
    bad = True
    judged: list[int] = []

    def chokes_on_two(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
        if bad and 2 in subjects:
            raise ValueError("two")
        judged.extend(subjects)
        return {}

    assert work_off(db.session(), {"test": chokes_on_two}, until=SOON) == 2
    (row,) = read(select(WorkItem))
    assert (row.subject_id, row.last_error, row.claimed_until) == (2, "ValueError", None)
    assert row.due_at > AT
    first_wait, bad_again_at = row.due_at - AT, row.due_at
    time.at = bad_again_at
    assert work_off(db.session(), {"test": chokes_on_two}, until=SOON) == 0
    (row,) = read(select(WorkItem))
    assert row.due_at - time.at > first_wait  # longer each time
    bad, time.at = False, row.due_at
    assert work_off(db.session(), {"test": chokes_on_two}, until=SOON) == 1
    assert judged == [1, 3, 2]


def test_bad_subjects_among_many_are_found_by_halving_and_named(app: Flask) -> None:
    owe(*range(1, 201))
    rounds: list[int] = []

    def chokes(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
        rounds.append(len(subjects))
        if {42, 137} & subjects.keys():
            raise ArithmeticError("bad")
        return {}

    assert work_off(db.session(), {"test": chokes}, until=SOON) == 198
    left = read(select(WorkItem).order_by(WorkItem.subject_id))
    assert [(row.subject_id, row.last_error) for row in left] == [
        (42, "ArithmeticError"),
        (137, "ArithmeticError"),
    ]
    assert len(rounds) < 40, "not one by one"


def test_fresh_work_does_not_starve_what_failed(app: Flask, time: Time) -> None:
    owe(1, *range(10, 13))
    db.session.execute(update(WorkItem).where(WorkItem.subject_id == 1).values(attempts=3))
    db.session.commit()
    rounds: list[list[int]] = []

    def brings_more(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
        rounds.append(sorted(subjects))
        time.at += SECOND
        outbox.ask(session, "test", [100 + len(rounds)], at)
        return {}

    work_off(db.session(), {"test": brings_more}, until=AT + 4 * SECOND)
    assert rounds[:3] == [[10, 11, 12], [1], [101, 102]]
    assert CHUNK > 3


def in_two_threads(app: Flask, act: Callable[[], int]) -> list[int]:
    start = threading.Barrier(2)

    def run(_: int) -> int:
        with app.app_context():
            start.wait(10)
            return act()

    db.session.commit()
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(run, range(2)))


def test_two_workers_do_each_effect_once(app: Flask) -> None:
    pumps: list[Device] = [create_pump() for _ in range(8)]
    for pump in pumps:
        create_pump_sample(pump=pump, state="stopped")
    owe(*(pump.id for pump in pumps), kind=outbox.DEVICE)
    owe(*(pump.id for pump in pumps), kind=outbox.REFILL)
    done = in_two_threads(app, lambda: work_off(db.session(), JUDGES, until=SOON))
    assert sum(done) == 16
    stopped = read(select(Alert.device_id).where(Alert.condition == "pump_stopped"))
    assert sorted(stopped) == sorted(pump.id for pump in pumps)
    assert set(read(select(WorkItem.kind))) <= {outbox.THERAPY}, (
        "only what is due when the reports have settled"
    )


def test_two_beats_owe_the_nightly_round_once_a_local_day(app: Flask, time: Time) -> None:
    pump = create_pump()

    def ask() -> int:
        begun = ask_nightly(db.session(), time.at)
        db.session.commit()
        return len(begun)

    assert sorted(in_two_threads(app, ask)) == [0, 2]
    assert {(row.kind, row.subject_id, row.generation) for row in read(select(WorkItem))} == {
        (outbox.REFILL, pump.id, 1),
        (outbox.PAIN, pump.patient_id, 1),
    }
    time.at = dt.datetime(2026, 11, 23, 23, 9, tzinfo=dt.UTC)  # 00:09 in Berlin: scores may be on their way
    assert ask() == 0
    time.pass_by(minutes=1)
    assert ask() == 2
    assert len(read(select(JobRun.job))) == 4
