"""Does the pump run after a refill visit? Patients have left clinics with the pump stopped (hsa.gov.sg 27 Jan 2021)."""

from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Final

from msgspec import Struct

_RUNNING: Final = "running"


class AfterVisit(StrEnum):
    RUNNING = "running"
    NOT_RUNNING = "not_running"
    SESSION_OPEN = "session_open"
    NOT_HEARD = "not_heard"
    NO_TELEMETRY = "no_telemetry"


class PumpWord(Struct, frozen=True):
    """What a pump said of its state, and when it was measured."""

    state: str
    at: datetime


def after_visit(
    visit_at: datetime,
    telemetry: bool,
    newest: PumpWord | None,
    session_open_since: datetime | None = None,
    left: str | None = None,
    zone: tzinfo = UTC,
) -> tuple[AfterVisit, str]:
    """What the pump did since the visit, and the same in a sentence.

    newest: its newest word on its state; what it said before the visit says nothing about now.
    session_open_since: a programming session that nobody closed. left: the state the programmer showed at the end
    zone: whose clock the sentence tells
    """
    heard = newest is not None and newest.at >= visit_at
    if left not in (None, _RUNNING) and not heard:
        return (
            AfterVisit.NOT_RUNNING,
            f"still not running: the programmer showed the pump {left} at the visit",
        )
    if newest is not None and newest.at >= visit_at and newest.state != _RUNNING:
        said = newest.state.replace("_", " ")
        return (
            AfterVisit.NOT_RUNNING,
            f"still not running: the pump reported {said} on {_said(newest.at, zone)}",
        )
    if session_open_since is not None:
        return (
            AfterVisit.SESSION_OPEN,
            f"the programming session opened on {_said(session_open_since, zone)} was not closed",
        )
    if newest is not None and newest.at >= visit_at:
        return AfterVisit.RUNNING, f"the pump reported running on {_said(newest.at, zone)}"
    if not telemetry:
        return AfterVisit.NO_TELEMETRY, "this pump reports nothing: that it runs is known only from the visit"
    return (
        AfterVisit.NOT_HEARD,
        "not yet heard of since the visit: interrogate the pump before the patient leaves",
    )


def _said(at: datetime, zone: tzinfo) -> str:
    local = at.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y %H:%M %Z}"
