"""Idempotency-Key: a POST sent again with the same key and body does nothing and gets the same answer.

The key is claimed and the answer stored in the transaction of the act itself. A second request with the same key
waits at the claim until the first commits; if that fails, its claim is rolled back too and the second goes ahead.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from flask import Response, current_app, g, jsonify, request
from werkzeug.exceptions import Conflict

from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.failures import Invalid
from sc_stim.models import IdempotencyKey
from sc_stim.workflows.idempotency import claim

HEADER: Final = "Idempotency-Key"
LONGEST: Final = 100
KEPT_HEADERS: Final = ("ETag", "Location")


def once(key: str, act: Callable[[], Response], *, secret: bool) -> Response:
    """The answer of `act`, or the one given to this key before. The caller commits; a `secret` is not kept."""
    if not (1 <= len(key) <= LONGEST and key.isascii() and key.isprintable()):
        raise Invalid(HEADER, f"must be 1 to {LONGEST} printable ASCII characters")
    fingerprint = _fingerprint()
    kept, claimed = claim(db.session(), g.user.id, key, fingerprint, at=clock.now())
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
