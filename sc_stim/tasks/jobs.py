"""The tasks themselves: what beat sends and workers run. Each commits once, or as often as it says."""

import datetime as dt

from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.tasks import celery_app as names
from sc_stim.tasks.celery_app import task
from sc_stim.tasks.pain import judge_pain
from sc_stim.tasks.refills import judge_refills
from sc_stim.tasks.silence import find_silent
from sc_stim.tasks.upkeep import ask_nightly, expire
from sc_stim.tasks.work import Judge, Subjects, work_off
from sc_stim.workflows import outbox
from sc_stim.workflows.conditions import judge_conditions
from sc_stim.workflows.heartbeat import beat

WORK_FOR = dt.timedelta(seconds=20)  # a busy worker gives its sign of life that often, too


def judge_pump(session: Session, subjects: Subjects, at: dt.datetime) -> dict[int, dt.datetime]:
    """Conditions first: whether the pump runs decides how dangerous its refill date is."""
    return {**judge_conditions(session, subjects, at), **judge_refills(session, subjects, at)}


JUDGES: dict[str, Judge] = {
    outbox.REFILL: judge_pump,
    outbox.DEVICE: judge_conditions,
    outbox.PAIN: judge_pain,
}


@task(names.WORK_OFF)
def work_off_task() -> None:
    """Sent by beat every few seconds: so its running is also the sign that beat and queue live."""
    done = work_off(db.session(), JUDGES, until=clock.now() + WORK_FOR)
    _beat("worker", done=done)
    beat(db.session(), "beat", clock.now())
    db.session.commit()


@task(names.FIND_SILENT)
def find_silent_task() -> None:
    _beat("job:find_silent", silent=find_silent(db.session(), clock.now()))
    db.session.commit()


@task(names.ASK_NIGHTLY)
def ask_nightly_task() -> None:
    _beat("job:ask_nightly", begun=ask_nightly(db.session(), clock.now()))
    db.session.commit()


@task(names.EXPIRE)
def expire_task() -> None:
    expire(db.session(), clock.now())
    _beat("job:expire")
    db.session.commit()


def _beat(name: str, **detail: object) -> None:
    beat(db.session(), name, clock.now(), detail)
