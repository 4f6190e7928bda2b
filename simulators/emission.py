"""What a simulated device or patient puts out: a record to be reported, or the news that memory is gone."""

import datetime as dt
from typing import Any, Literal, NamedTuple

RecordKind = Literal["sample", "event", "score"]


class Emission(NamedTuple):
    """`kind` "reset" has no body: the device lost its memory at that moment. `at` is the true time."""

    at: dt.datetime
    kind: Literal["sample", "event", "score", "reset"]
    body: dict[str, Any]


def event(at: dt.datetime, kind: str, state: str | None = None, **detail: Any) -> Emission:
    """An event as `up/event` carries it; `detail` holds whatever else is known."""
    body: dict[str, Any] = {"kind": kind}
    if state:
        body["state"] = state
    if detail:
        body["detail"] = detail
    return Emission(at, "event", body)


def memory_reset(at: dt.datetime) -> list[Emission]:
    """The device forgets; the first record of its new epoch says so."""
    return [Emission(at, "reset", {}), event(at, "reset", cause="memory")]
