"""Idempotency-Key: a POST sent again with the same key and body does nothing and gets the same answer.

The key is claimed and the answer stored in the transaction of the act itself. A second request with the same key
waits at the claim until the first commits; if that fails, its claim is rolled back too and the second goes ahead.
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from flask import Response, current_app, g, jsonify, request
from sqlalchemy import delete, select
from werkzeug.exceptions import Conflict

from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.failures import Invalid
from sc_stim.models import IdempotencyKey
from sc_stim.workflows.outbox import UPSERT

HEADER: Final = "Idempotency-Key"
LONGEST: Final = 100
KEPT: Final = dt.timedelta(hours=24)
KEPT_HEADERS: Final = ("ETag", "Location")


def once(key: str, act: Callable[[], Response], *, secret: bool) -> Response:
    """The answer of `act`, or the one given to this key before. The caller commits; a `secret` is not kept."""
    if not (1 <= len(key) <= LONGEST and key.isascii() and key.isprintable()):
        raise Invalid(HEADER, f"must be 1 to {LONGEST} printable ASCII characters")
    fingerprint = _fingerprint()
    claimed = _claim(key, fingerprint)
    kept = _find(key)
    if not claimed:
        return _answer_again(kept, fingerprint, secret)
    response = act()
    kept.status = response.status_code
    kept.body = None if secret else response.get_json(silent=True)
    kept.headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return response


def _fingerprint() -> bytes:
    """Keyed, because a body may hold a password."""
    parts = [request.method, request.full_path, request.mimetype]
    message = "\n".join(parts).encode() + b"\n" + request.get_data()
    return hmac.digest(current_app.config["SECRET_KEY"].encode(), message, hashlib.sha256)


def _claim(key: str, fingerprint: bytes) -> bool:
    """Take the key; False when it is taken. Waits for another request that is just taking it."""
    at = clock.now()
    mine = IdempotencyKey.user_id == g.user.id, IdempotencyKey.key == key
    db.session.execute(delete(IdempotencyKey).where(*mine, IdempotencyKey.created_at <= at - KEPT))
    values = {
        "user_id": g.user.id, "key": key, "request_sha256": fingerprint,
        "status": 0, "body": None, "headers": {}, "created_at": at,
    }  # fmt: skip
    claim = UPSERT[db.engine.dialect.name](IdempotencyKey).values(values).on_conflict_do_nothing()
    return db.session.execute(claim.returning(IdempotencyKey.key)).first() is not None


def _find(key: str) -> IdempotencyKey:
    return db.session.scalars(select(IdempotencyKey).filter_by(user_id=g.user.id, key=key)).one()


def _answer_again(kept: IdempotencyKey, fingerprint: bytes, secret: bool) -> Response:
    if not hmac.compare_digest(kept.request_sha256, fingerprint):
        raise Invalid(HEADER, "was used for another request; take a new one for each act")
    if secret:
        raise Conflict("This was done already, and its answer held a secret that is shown only once.")
    response = current_app.response_class(status=kept.status) if kept.body is None else jsonify(kept.body)
    response.status_code = kept.status
    response.headers.extend(kept.headers)
    response.headers["Idempotent-Replayed"] = "true"
    return response
