"""Commands to devices: published from their rows, answered by the device alone. None changes therapy."""

import datetime as dt
import uuid

from sqlalchemy import String, cast, or_, select, update
from sqlalchemy.orm import Session

from sc_stim.devices import messages, topics
from sc_stim.models import Command, Device

AT_ONCE = 200


def take_pending(session: Session, shards: tuple[str, ...], at: dt.datetime) -> list[tuple[str, bytes]]:
    """The messages of commands that wait for devices of these shards, marked as sent.

    Publish them after the commit: a command lost in between ends as `not_confirmed`, never as done.
    """
    of_shard = [cast(Device.public_id, String).endswith(shard) for shard in shards]
    waiting = (
        select(Command, Device.public_id)
        .join(Device, Device.id == Command.device_id)
        .where(Command.state == "pending", Command.expires_at > at, or_(*of_shard))
        .order_by(Command.id)
        .limit(AT_ONCE)
        .with_for_update(of=Command, skip_locked=True)
    )
    found: list[tuple[str, bytes]] = []
    for command, device_id in session.execute(waiting):
        command.state, command.sent_at = "sent", at
        found.append((topics.down(str(device_id), "command"), _encode(command)))
    session.flush()
    return found


def take_result(session: Session, device_id: int, result: messages.Result, at: dt.datetime) -> None:
    """What a device says it did. An answer to a command that is not this device's own changes nothing."""
    try:
        public_id = uuid.UUID(result.id)
    except ValueError:
        return
    statement = select(Command).where(Command.public_id == public_id, Command.device_id == device_id)
    command = session.scalars(statement.with_for_update()).one_or_none()
    if command is None or command.state in ("reported", "refused"):
        return
    command.state = "reported" if result.status == "done" else "refused"
    command.answered_at = at
    command.result = {"status": result.status, "detail": result.detail}
    if command.kind == "report_interval" and command.state == "reported":
        _expect_reports(session, device_id, command.args["interval_s"])
    session.flush()


def _expect_reports(session: Session, device_id: int, interval_s: int) -> None:
    """The device has taken on another rhythm: from now on its silence is judged by that one."""
    known = update(Device).where(Device.id == device_id)
    session.execute(known.values(report_interval_s=interval_s, version=Device.version + 1))


def _encode(command: Command) -> bytes:
    return messages.encode_command(
        messages.Command(
            id=str(command.public_id),
            kind=command.kind,  # type: ignore[arg-type]
            issued_at=command.requested_at,
            expires_at=command.expires_at,
            interval_s=command.args.get("interval_s"),
        )
    )
