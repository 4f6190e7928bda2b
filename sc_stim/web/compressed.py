"""Answers that are made small for the way, as gzip, where the browser takes it.

Only those that hold no secret: static files, and the figures of charts. A page of HTML goes as it is. It holds the
token that protects its forms, and may show beside it what somebody put into its address; whoever counts the bytes of
many such answers could guess the token from how well they compress (the attack called BREACH).
"""

import gzip
from typing import Final

from flask import Response, request

LEAST_BYTES: Final = 1_000  # one packet holds them anyway
QUICK: Final = 6
BEST: Final = 9  # slower: for what is compressed once


def compress(content: bytes, level: int = QUICK) -> bytes:
    """The same bytes for the same content, whenever it is made."""
    return gzip.compress(content, level, mtime=0)


def compressed(response: Response, ready: bytes | None = None) -> Response:
    """The answer as the browser takes it; `ready` is its content, compressed before. Caches are told that it varies."""
    response.vary.add("Accept-Encoding")
    content = response.get_data()
    if len(content) >= LEAST_BYTES and request.accept_encodings["gzip"] > 0:
        response.set_data(ready or compress(content))
        response.content_encoding = "gzip"
    return response
