"""Waiting for a condition. Imports nothing heavy: processes that are measured start with it."""

import time
from collections.abc import Callable

PATIENCE_S = 120


def until(condition: Callable[[], bool], what: str, poll_s: float = 0.01) -> None:
    """Return once the condition holds. Raises TimeoutError that says what was waited for."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_S} s in vain for {what}")
        time.sleep(poll_s)
