"""The tasks themselves: what beat sends and workers run. Each commits once, or as often as it says."""

import datetime as dt
from collections.abc import Mapping

from flask import current_app
from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.tasks import celery_app as names
from sc_stim.tasks.celery_app import task
from sc_stim.tasks.delivery import deliver
from sc_stim.tasks.long_work import work_long
from sc_stim.tasks.pain import judge_pain
from sc_stim.tasks.refills import judge_refills
from sc_stim.tasks.silence import find_silent
from sc_stim.tasks.therapy import alert_overdue_tasks, ask_after_news, judge_silent_therapy
from sc_stim.tasks.therapy import ask_nightly as ask_therapy_nightly
from sc_stim.tasks.upkeep import ask_nightly, expire
from sc_stim.tasks.watch import watch
from sc_stim.tasks.work import Judge, Subjects, work_off
from sc_stim.workflows import outbox, visits
from sc_stim.workflows.conditions import judge, judge_conditions
from sc_stim.workflows.health import ping_cache
from sc_stim.workflows.heartbeat import beat
from sc_stim.workflows.long_work import drop_expired
from sc_stim.workflows.notifying import AT_ONCE, notify
from sc_stim.workflows.recalls import match_devices

WORK_FOR = dt.timedelta(seconds=20)  # a busy worker gives its sign of life that often, too

LONG_WORK_FOR = dt.timedelta(seconds=5)  # of each sweep: judgements come first


def judge_pump(session: Session, subjects: Subjects, at: dt.datetime) -> dict[int, dt.datetime]:
    """Conditions and visits first: whether the pump runs, and visits missed, decide how dangerous its date is."""
    visits.settle(session, subjects, at)
    judged = judge(session, subjects, at)
    judge_refills(session, subjects, at, judged.stopped)
    visits.flag(session, subjects, at)
    return judged.again


def judge_device(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
    """What the news says at once; what days of reports say follows when they have settled."""
    ask_after_news(session, subjects, at)
    return judge_conditions(session, subjects, at)


JUDGES: dict[str, Judge] = {
    outbox.REFILL: judge_pump,
    outbox.DEVICE: judge_device,
    outbox.THERAPY: judge_silent_therapy,
    outbox.PAIN: judge_pain,
    outbox.RECALL: match_devices,
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


@task(names.FOLLOW_THERAPY)
def follow_therapy_task() -> None:
    at = clock.now()
    begun = ask_therapy_nightly(db.session(), at)
    _beat("job:follow_therapy", begun=begun, overdue_tasks=alert_overdue_tasks(db.session(), at))
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


@task(names.NOTIFY)
def notify_task() -> None:
    at, public_url = clock.now(), current_app.config["SETTINGS"].public_url
    while notify(db.session(), at, public_url=public_url) == AT_ONCE:
        db.session.commit()
    _beat("job:notify")
    db.session.commit()


@task(names.DELIVER)
def deliver_task() -> None:
    sent = deliver(db.session(), current_app.extensions["transport"], until=clock.now() + WORK_FOR)
    _beat("job:deliver", sent=sent)
    db.session.commit()


@task(names.LONG_WORK)
def long_work_task() -> None:
    """A slice of what people asked for: exports, back-tests, long lists."""
    at = clock.now()
    ended = work_long(db.session(), until=at + LONG_WORK_FOR)
    _beat("job:long_work", ended=ended, expired=drop_expired(db.session(), at))
    db.session.commit()


@task(names.WATCH)
def watch_task() -> None:
    """What the watchmen of the other processes do, seen from here."""
    redis_url = current_app.config["SETTINGS"].redis_url
    watch(db.session(), current_app.extensions["transport"], clock.now(), lambda: ping_cache(redis_url))


def _beat(name: str, **detail: object) -> None:
    beat(db.session(), name, clock.now(), detail)
