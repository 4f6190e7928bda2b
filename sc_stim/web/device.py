"""One device: its label, what it says, what was lost, what is asked of it, its login, its scans and tasks."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import abort, request
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from sc_stim.access import requires
from sc_stim.devices.ledger import SeqRanges
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import BrokerLogin, CareTask, Command, Device, DeviceEpoch, DeviceEvent, RecallOutreach
from sc_stim.models.device import setting_in_force
from sc_stim.models.scope import find
from sc_stim.models.worklist import is_silent
from sc_stim.web import page
from sc_stim.web.blueprint import pages
from sc_stim.web.devices import clock_error, gaps_in, how_many
from sc_stim.web.forms import Form
from sc_stim.workflows import care_tasks, prescribing
from sc_stim.workflows.registry import record_about

EVENTS_OF_A_PAGE: Final = 20
MOST_COMMANDS: Final = 20
MOST_EPOCHS: Final = 10
MOST_GAPS: Final = 20
MOST_TASKS: Final = 10
WAITING: Final = ("pending", "sent")  # states of a command that may still be answered


@dataclass(frozen=True)
class Compared:
    """A setting as prescribed and as reported. `differs` None: there is nothing to compare."""

    field: str
    prescribed: Any
    reported: Any
    differs: bool | None


@dataclass(frozen=True)
class Epoch:
    """What was taken of one epoch: a device begins a new one when it forgets what it had counted."""

    epoch: DeviceEpoch
    missing: int
    gaps: list[tuple[int, int]]
    rejected: int

    @classmethod
    def of(cls, epoch: DeviceEpoch) -> "Epoch":
        gaps = gaps_in(epoch.taken)
        rejected = SeqRanges.from_text(epoch.rejected).upto + 1 - how_many(gaps_in(epoch.rejected))
        return cls(epoch, how_many(gaps), gaps, rejected)


@pages.get("/devices/<uuid:public_id>", endpoint="device")
@requires("devices.read")
def show(public_id: uuid.UUID) -> str:
    """`?events=` is the page of the events, from 1."""
    device = find_device(public_id)
    shown = rendered(device)
    record_about(db.session(), actor(), "device.view", device, at=page.at())
    db.session.commit()
    return shown


def find_device(public_id: uuid.UUID, *, lock: bool = False) -> Device:
    """The device of this clinic, or 404."""
    device: Device | None = find(db.session, Device, actor().clinic_id, public_id, lock=lock)
    return device or abort(404)


def rendered(device: Device, **forms: Form) -> str:
    """The page of a device; `forms` are those of it that were refused, by name."""
    session, at = db.session(), page.at()
    commands = _commands(device)
    in_force = setting_in_force(session, device.id, at)
    epochs, more_epochs = _epochs(device)
    events, number, more_events = _events(device)
    return page.render(
        "device.html",
        device=device,
        state=device.state,
        silent=device.in_use and _is_silent(device),
        clock_error=clock_error(device.state),
        in_force=in_force,
        compared=_compared(device, in_force),
        epochs=epochs,
        more_epochs=more_epochs,
        most_gaps=MOST_GAPS,
        events=events,
        events_page=number,
        more_events=more_events,
        commands=commands,
        waiting=[command for command in commands if command.state in WAITING],
        login=session.get(BrokerLogin, str(device.public_id)),
        rule=care_tasks.rule_of(device),
        tasks=_tasks(device) if page.may("tasks.read") else [],
        recalls=_recalls(device),
        forms=forms,
    )


def _compared(device: Device, in_force: Any) -> list[Compared]:
    found = prescribing.compare(device.kind, in_force, device.state)
    differing = None if found is None else {difference.field for difference in found}
    reported = (device.state.sample if device.state else None) or {}
    rows = [
        (field, getattr(in_force, field, None), reported.get(field))
        for field in prescribing.REPORTED[device.kind]
    ]
    return [
        Compared(
            field,
            wanted,
            got,
            None if differing is None or wanted is None or got is None else field in differing,
        )
        for field, wanted, got in rows
        if wanted is not None or got is not None
    ]


def _epochs(device: Device) -> tuple[list[Epoch], bool]:
    """The newest epochs, and whether there are older ones."""
    statement = select(DeviceEpoch).where(DeviceEpoch.device_id == device.id)
    rows = db.session.scalars(statement.order_by(DeviceEpoch.last_at.desc()).limit(MOST_EPOCHS + 1)).all()
    return [Epoch.of(row) for row in rows[:MOST_EPOCHS]], len(rows) > MOST_EPOCHS


def _events(device: Device) -> tuple[Sequence[DeviceEvent], int, bool]:
    """A page of events, newest measured first; its number; whether there are more."""
    number = request.args.get("events", 1, type=int)
    if not 1 <= number <= 10_000:
        abort(404)
    statement = select(DeviceEvent).where(DeviceEvent.device_id == device.id)
    statement = statement.order_by(DeviceEvent.measured_at.desc(), DeviceEvent.epoch, DeviceEvent.seq.desc())
    statement = statement.limit(EVENTS_OF_A_PAGE + 1).offset(EVENTS_OF_A_PAGE * (number - 1))
    rows = db.session.scalars(statement).all()
    return rows[:EVENTS_OF_A_PAGE], number, len(rows) > EVENTS_OF_A_PAGE


def _commands(device: Device) -> Sequence[Command]:
    statement = select(Command).where(Command.device_id == device.id)
    statement = statement.options(joinedload(Command.requested_by)).order_by(Command.id.desc())
    return db.session.scalars(statement.limit(MOST_COMMANDS)).all()


def _tasks(device: Device) -> Sequence[CareTask]:
    """What is open, by when it is due."""
    statement = select(CareTask).where(CareTask.device_id == device.id, CareTask.closed_at.is_(None))
    return db.session.scalars(statement.order_by(CareTask.due_at, CareTask.id).limit(MOST_TASKS)).all()


def _recalls(device: Device) -> Sequence[RecallOutreach]:
    statement = select(RecallOutreach).where(RecallOutreach.device_id == device.id, RecallOutreach.on_list)
    statement = statement.options(joinedload(RecallOutreach.recall)).order_by(RecallOutreach.id.desc())
    return db.session.scalars(statement).all()


def _is_silent(device: Device) -> bool:
    statement = select(is_silent(page.at())).select_from(Device).outerjoin(Device.state)
    return bool(db.session.scalar(statement.where(Device.id == device.id)))
