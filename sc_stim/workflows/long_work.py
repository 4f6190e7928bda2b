"""Starting, cancelling and ending long work, and its result. Who works it off is `tasks.long_work`."""

import datetime as dt
import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, joinedload

from sc_stim.access import in_clinic
from sc_stim.models import LongWork, LongWorkPart
from sc_stim.models.long_work import CANCELLED, DONE, FAILED, RUNNING, UNFINISHED
from sc_stim.workflows import audit
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refusals import Conflict, FieldRefused

MOST_UPLOADED: Final = 8 * 1024 * 1024  # bytes
MOST_KEPT: Final = 64 * 1024 * 1024  # bytes of one result, compressed
MOST_AT_ONCE: Final = 3  # unfinished, of one clinic
MOST_LISTED: Final = 50
KEEP: Final = dt.timedelta(days=7)
CLAIM: Final = dt.timedelta(minutes=2)  # of a worker, from its last step; longer than a step takes
QUIET: Final = dt.timedelta(seconds=20)  # without a step: people are told that the worker may have stopped


def start(
    session: Session,
    actor: Actor,
    kind: str,
    asked: dict[str, Any],
    upload: bytes | None = None,
    *,
    at: dt.datetime,
) -> LongWork:
    """Ask for it; a worker begins within seconds. Raises Conflict when enough is under way, FieldRefused."""
    if actor.user_id is None:
        raise ValueError("long work is asked for by a person")
    if upload is not None and len(upload) > MOST_UPLOADED:
        raise FieldRefused("file", f"is larger than {MOST_UPLOADED // 1024**2} MB: send it in parts")
    work = LongWork(
        clinic_id=actor.clinic_id,
        user_id=actor.user_id,
        kind=kind,
        asked=asked,
        upload=upload,
        created_at=at,
    )
    session.add(work)
    session.flush()
    # The entry first: starts of one clinic wait for each other from here, so no two are counted past the limit.
    audit.record(
        session, actor, "long_work.start", "long_work", work.public_id, {"kind": kind, **asked}, at=at
    )
    under_way = in_clinic(select(func.count(LongWork.id)), LongWork, actor.clinic_id)
    if (session.scalar(under_way.where(LongWork.state.in_(UNFINISHED))) or 0) > MOST_AT_ONCE:
        raise Conflict(f"{MOST_AT_ONCE} are under way in this clinic: wait for one, or cancel one")
    return work


def cancel(session: Session, actor: Actor, work: LongWork, *, at: dt.datetime) -> None:
    """End it; what was done of it is dropped. `work` is locked by the caller. Raises Conflict when it has ended."""
    if not work.unfinished:
        raise Conflict("this has ended already")
    audit.record(session, actor, "long_work.cancel", "long_work", work.public_id, at=at)
    end(session, work, CANCELLED, at)


def end(session: Session, work: LongWork, state: str, at: dt.datetime, error: str | None = None) -> None:
    """Only a finished result is kept, and no upload is."""
    work.state, work.error, work.ended_at, work.expires_at = state, error, at, at + KEEP
    work.claimed_until, work.upload = None, None
    if state != DONE:
        session.execute(delete(LongWorkPart).where(LongWorkPart.work_id == work.id))
        work.size = 0


def fail(session: Session, work: LongWork, at: dt.datetime, error: str) -> None:
    end(session, work, FAILED, at, error)


def goes_on_by(work: LongWork, at: dt.datetime) -> dt.datetime | None:
    """When another worker takes over what has kept no step for a while; None while steps come."""
    claimed = work.claimed_until if work.state == RUNNING else None
    return claimed if claimed and claimed - at < CLAIM - QUIET else None


def keep_part(session: Session, work: LongWork, text: str) -> None:
    """One more part of the result."""
    content = zlib.compress(text.encode())
    session.add(LongWorkPart(work_id=work.id, number=work.parts, content=content))
    work.parts, work.size = work.parts + 1, work.size + len(content)


def result(session: Session, work: LongWork) -> Iterator[bytes]:
    """The result, part after part: never all of it in memory. Commits, for no transaction waits for a slow reader."""
    work_id, parts = work.id, work.parts
    for number in range(parts):
        this = LongWorkPart.work_id == work_id, LongWorkPart.number == number
        content = session.scalars(select(LongWorkPart.content).where(*this)).one()
        session.commit()
        yield zlib.decompress(content)


def works_of(session: Session, clinic_id: int, kinds: Collection[str]) -> Sequence[LongWork]:
    """The newest first."""
    statement = in_clinic(select(LongWork), LongWork, clinic_id).where(LongWork.kind.in_(kinds))
    newest = statement.options(joinedload(LongWork.user)).order_by(LongWork.id.desc()).limit(MOST_LISTED)
    return session.scalars(newest).all()


def drop_expired(session: Session, at: dt.datetime) -> int:
    """Results are for taking away, not for keeping here."""
    over = session.scalars(select(LongWork.id).where(LongWork.expires_at <= at)).all()
    session.execute(delete(LongWorkPart).where(LongWorkPart.work_id.in_(over)))
    session.execute(delete(LongWork).where(LongWork.id.in_(over)))
    return len(over)
