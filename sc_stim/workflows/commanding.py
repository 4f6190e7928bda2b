"""Asking a device for something that never changes its therapy. The row comes first; ingest publishes it."""

import datetime as dt
from typing import Final

from sqlalchemy.orm import Session

from sc_stim.models import Command, Device
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refusals import Conflict, FieldRefused
from sc_stim.workflows.registry import record_about

KINDS: Final = ("interrogate", "report_interval", "time_sync", "diary_prompt")

# A command waits at the broker until its device connects, which may take two reports. The time in a `time_sync` is
# wrong by as long as it waits, so that one does not wait.
_TIME_SYNC_LASTS: Final = dt.timedelta(minutes=2)
_LASTS: Final = dt.timedelta(days=1)


def request_command(
    session: Session, actor: Actor, device: Device, kind: str, interval_s: int | None, *, at: dt.datetime
) -> Command:
    """Put a command on record as `pending`. Raises FieldRefused and Conflict.

    interval_s: seconds between reports; of `report_interval`, and only there
    """
    if device.explanted_on is not None:
        raise Conflict(f"the device was explanted on {device.explanted_on}")
    if (kind == "report_interval") != (interval_s is not None):
        raise FieldRefused("interval_s", "belongs to report_interval, and only there")
    command = Command(
        clinic_id=actor.clinic_id,
        device_id=device.id,
        kind=kind,
        args={} if interval_s is None else {"interval_s": interval_s},
        requested_by_id=actor.user_id,
        requested_at=at,
        expires_at=at + _lasts(kind, device),
    )
    session.add(command)
    session.flush()
    detail = {"command": str(command.public_id), "kind": kind} | command.args
    record_about(session, actor, "command.request", device, detail, at=at)
    return command


def _lasts(kind: str, device: Device) -> dt.timedelta:
    if kind == "time_sync":
        return _TIME_SYNC_LASTS
    return max(_LASTS, 2 * dt.timedelta(seconds=device.report_interval_s))
