"""Signs of life, written by the work itself."""

import datetime as dt
from typing import Any

from sqlalchemy.orm import Session

from sc_stim.models import Heartbeat
from sc_stim.workflows.outbox import UPSERT


def beat(session: Session, name: str, at: dt.datetime, detail: dict[str, Any] | None = None) -> None:
    """Say that `name` has just done work."""
    insert = UPSERT[session.get_bind().dialect.name](Heartbeat).values(name=name, at=at, detail=detail or {})
    session.execute(
        insert.on_conflict_do_update(
            index_elements=[Heartbeat.name], set_={"at": insert.excluded.at, "detail": insert.excluded.detail}
        )
    )
