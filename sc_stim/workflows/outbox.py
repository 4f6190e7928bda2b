"""Asking for work: the row that survives whatever happens to the queue."""

import datetime as dt
from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, literal, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from sc_stim.models import WorkItem
from sc_stim.models.base import UtcDateTime

REFILL = "refill"  # subject: a pump; its forecast may have changed
PAIN = "pain"  # subject: a patient; there is a new, late or corrected score, or a day has closed
DEVICE = "device"  # subject: a device; which conditions hold now?
THERAPY = "therapy"  # subject: a device; what its reports of days say
RECALL = "recall"  # subject: a device; does an open recall mean it?

UPSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
COLUMNS = ("kind", "subject_id", "generation", "since", "asked_at", "due_at", "attempts")


def ask(
    session: Session,
    kind: str,
    subject_ids: Collection[int],
    at: dt.datetime,
    *,
    since: dt.datetime | None = None,
    due_at: dt.datetime | None = None,
) -> None:
    """Owe this work, in the caller's transaction. Asking twice before it is done owes it once.

    `since` is the time of the earliest measurement that is new; without it, nothing older than `at` is.
    """
    if not subject_ids:
        return
    values = (1, since or at, at, due_at or at, 0)
    rows = [
        dict(zip(COLUMNS, (kind, subject, *values), strict=True))
        for subject in sorted(set(subject_ids))  # in one order everywhere, or two askers deadlock
    ]
    dialect = session.get_bind().dialect.name
    session.execute(_merged(UPSERT[dialect](WorkItem), dialect), rows)


def ask_all(session: Session, kind: str, subjects: Select[Any], at: dt.datetime) -> None:
    """Owe this work, due at once, for every id that `subjects` selects, in one statement."""
    dialect = session.get_bind().dialect.name
    moment = literal(at, UtcDateTime)
    (subject,) = subjects.subquery().c
    rows = select(literal(kind), subject, literal(1), moment, moment, moment, literal(0)).order_by(subject)
    rows = rows.where(true())  # else SQLite's parser takes ON CONFLICT for a join's ON
    session.execute(_merged(UPSERT[dialect](WorkItem).from_select(COLUMNS, rows), dialect))


def _merged(insert: Any, dialect: str) -> Any:
    """What is owed already stays owed, from the earlier news on and at the earlier time; and it is news again."""
    earlier = func.least if dialect == "postgresql" else func.min
    return insert.on_conflict_do_update(
        index_elements=[WorkItem.kind, WorkItem.subject_id],
        set_={
            "generation": WorkItem.generation + 1,
            "since": earlier(WorkItem.since, insert.excluded.since),
            "due_at": earlier(WorkItem.due_at, insert.excluded.due_at),
        },
    )


def merge_sql(dialect: str) -> str:
    """The same as the ON CONFLICT clause of a plain statement that calls its table `old`."""
    earlier = "LEAST" if dialect == "postgresql" else "MIN"
    return (
        "(kind, subject_id) DO UPDATE SET generation = old.generation + 1, "
        f"since = {earlier}(old.since, excluded.since), due_at = {earlier}(old.due_at, excluded.due_at)"
    )
