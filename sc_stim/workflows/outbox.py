"""Asking for work: the row that survives whatever happens to the queue."""

import datetime as dt
from collections.abc import Collection
from typing import Any

from sqlalchemy import func
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from sc_stim.models import WorkItem

REFILL = "refill"  # subject: a pump; its forecast may have changed
PAIN = "pain"  # subject: a patient; there is a new, late or corrected score, or a day has closed
DEVICE = "device"  # subject: a device; which conditions hold now?

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
    dialect = session.get_bind().dialect.name
    earlier = func.least if dialect == "postgresql" else func.min
    insert = UPSERT[dialect](WorkItem)
    statement = insert.on_conflict_do_update(
        index_elements=[WorkItem.kind, WorkItem.subject_id],
        set_={
            "generation": WorkItem.generation + 1,
            "since": earlier(WorkItem.since, insert.excluded.since),
            "due_at": earlier(WorkItem.due_at, insert.excluded.due_at),
        },
    )
    values = (1, since or at, at, due_at or at, 0)
    rows = [
        dict(zip(COLUMNS, (kind, subject, *values), strict=True))
        for subject in sorted(set(subject_ids))  # in one order everywhere, or two askers deadlock
    ]
    session.execute(statement, rows)
