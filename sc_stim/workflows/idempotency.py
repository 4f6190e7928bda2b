"""Taking a key for an act, so that the same request sent twice does it once (the API's header, a form's hidden field).

The key is taken in the transaction of the act itself. A second request waits until the first commits; if that fails,
its claim is rolled back too and the second goes ahead.
"""

import datetime as dt
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from sc_stim.models import IdempotencyKey
from sc_stim.workflows.outbox import UPSERT

KEPT: Final = dt.timedelta(hours=24)


def claim(
    session: Session, user_id: int, key: str, fingerprint: bytes, *, at: dt.datetime
) -> tuple[IdempotencyKey, bool]:
    """The row of this key, and whether it is taken just now: if not, it holds the answer of the first time."""
    mine = IdempotencyKey.user_id == user_id, IdempotencyKey.key == key
    session.execute(delete(IdempotencyKey).where(*mine, IdempotencyKey.created_at <= at - KEPT))
    values = {
        "user_id": user_id, "key": key, "request_sha256": fingerprint,
        "status": 0, "body": None, "headers": {}, "created_at": at,
    }  # fmt: skip
    upsert = UPSERT[session.get_bind().dialect.name](IdempotencyKey).values(values).on_conflict_do_nothing()
    claimed = session.execute(upsert.returning(IdempotencyKey.key)).first() is not None
    return session.scalars(select(IdempotencyKey).where(*mine)).one(), claimed
