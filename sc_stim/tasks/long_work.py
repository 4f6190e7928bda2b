"""Working off long work: a slice at a time, so that judgements wait for it no longer than a slice lasts.

Each step is one transaction: its part of the result, how far the work is, and where the next step begins. A worker
that dies leaves its claim to run out; the next one goes on behind the last step that was kept. What ends three workers
at the same place is given up, and says so.
"""

import datetime as dt
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.models import LongWork
from sc_stim.models.long_work import DONE, RUNNING, UNFINISHED
from sc_stim.workflows.long_kinds import KINDS, UNUSABLE, Job, Step
from sc_stim.workflows.long_work import CLAIM, MOST_KEPT, end, fail, keep_part

log = structlog.get_logger(__name__)

AGAIN_AFTER: Final = dt.timedelta(seconds=30)
MOST_ATTEMPTS: Final = 3  # at one step
BROKEN_OFF: Final = (
    "This was broken off three times at the same place and is given up. Ask for less at once; "
    "the operator's log says more."
)
TOO_LARGE: Final = "The result is too large to keep. Ask for a shorter time."


def work_long(session: Session, *, until: dt.datetime) -> int:
    """Go on with what is asked for, the oldest first, until nothing is or the time is over. Commits."""
    ended = 0
    while clock.now() < until:
        work = _take(session, clock.now())
        if work is None:
            break
        ended += _go_on(session, work, until)
    return ended


def _take(session: Session, at: dt.datetime) -> LongWork | None:
    free = or_(LongWork.claimed_until.is_(None), LongWork.claimed_until < at)
    statement = select(LongWork).where(LongWork.state.in_(UNFINISHED), free).order_by(LongWork.id).limit(1)
    work = session.scalars(statement.with_for_update(skip_locked=True)).one_or_none()
    if work is not None:
        work.state, work.attempts, work.claimed_until = RUNNING, work.attempts + 1, at + CLAIM
        if work.attempts > MOST_ATTEMPTS:
            fail(session, work, at, BROKEN_OFF)
    session.commit()
    return work


def _go_on(session: Session, work: LongWork, until: dt.datetime) -> bool:
    """Whether it has ended."""
    if not work.unfinished:
        return True
    work_id, parts = work.id, work.parts
    try:
        for part, step in enumerate(KINDS[work.kind].run(session, _job(work)), start=parts):
            if not _keep(session, work_id, part, step):
                return True
            if clock.now() >= until:
                return _let_go(session, work_id)
        return _finish(session, work_id)
    except UNUSABLE as error:
        session.rollback()
        return _give_up(session, work_id, f"The file cannot be used: {error}.")
    except Exception:
        session.rollback()
        log.exception("long_work_failed", work=work_id)
        return _try_again(session, work_id)


def _job(work: LongWork) -> Job:
    zone = ZoneInfo(work.clinic.time_zone)
    return Job(work.clinic_id, zone, work.created_at, work.asked, work.upload or b"", work.cursor)


def _keep(session: Session, work_id: int, part: int, step: Step) -> bool:
    """False where it was cancelled, another worker has gone on with it, or it grows too large."""
    work = _locked(session, work_id)
    if work.state != RUNNING or work.parts != part:
        session.rollback()
        return False
    keep_part(session, work, step.text)
    work.done, work.total, work.cursor = step.done, step.total, step.cursor
    work.attempts, work.claimed_until = 1, clock.now() + CLAIM
    if work.size > MOST_KEPT:
        fail(session, work, clock.now(), TOO_LARGE)
    session.commit()
    return work.state == RUNNING


def _finish(session: Session, work_id: int) -> bool:
    work = _locked(session, work_id)
    if work.state == RUNNING:
        end(session, work, DONE, clock.now())
    session.commit()
    return True


def _let_go(session: Session, work_id: int) -> bool:
    """For the next slice."""
    work = _locked(session, work_id)
    work.claimed_until, work.attempts = None, 0
    session.commit()
    return False


def _try_again(session: Session, work_id: int) -> bool:
    work = _locked(session, work_id)
    if work.state == RUNNING and work.attempts >= MOST_ATTEMPTS:
        fail(session, work, clock.now(), BROKEN_OFF)
    work.claimed_until = clock.now() + AGAIN_AFTER if work.unfinished else None
    session.commit()
    return not work.unfinished


def _give_up(session: Session, work_id: int, error: str) -> bool:
    work = _locked(session, work_id)
    if work.state == RUNNING:
        fail(session, work, clock.now(), error)
    session.commit()
    return True


def _locked(session: Session, work_id: int) -> LongWork:
    return session.get_one(LongWork, work_id, with_for_update=True, populate_existing=True)
