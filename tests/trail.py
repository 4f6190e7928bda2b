"""What the audit trail and the outbox hold, for tests that act and then look."""

from typing import Any

from sqlalchemy import select

from sc_stim.models import AuditEntry, WorkItem
from tests.apps import read


def actions_on(row: Any) -> list[str]:
    """What was done to or seen of a patient, device or alert, in order."""
    statement = select(AuditEntry.action).where(AuditEntry.subject == str(row.public_id))
    return read(statement.order_by(AuditEntry.id))


def entries(action: str) -> list[AuditEntry]:
    return read(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id))


def owed() -> set[tuple[str, int]]:
    """The judgements that are owed, as (kind, subject)."""
    return {(item.kind, item.subject_id) for item in read(select(WorkItem))}
