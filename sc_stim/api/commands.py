"""Asking a device for something. No command changes therapy."""

import uuid
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.api.fields import PageQuery
from sc_stim.api.http import Resource, find_or_404
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_devices import CommandSchema, NewCommandSchema
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Command, Device
from sc_stim.workflows.commanding import request_command
from sc_stim.workflows.registry import record_about

commands = Resource("commands", __name__, "Requests to devices, none of which changes therapy.")


@commands.get("/devices/<uuid:device_id>/commands")
@requires("commands.read")
@commands.arguments(PageQuery, location="query")
@commands.response(200, page_of(CommandSchema))
def list_commands(query: dict[str, Any], device_id: uuid.UUID) -> Any:
    """List commands, newest first."""
    device = find_or_404(Device, device_id)
    record_about(db.session, actor(), "device.commands", device, at=clock.now())
    statement = (
        select(Command).where(Command.device_id == device.id).options(joinedload(Command.requested_by))
    )
    return page(statement, query, [Command.id], newest_first=True)


@commands.post("/devices/<uuid:device_id>/commands")
@requires("commands.send")
@commands.arguments(NewCommandSchema)
@commands.response(201, CommandSchema)
def create_command(new: dict[str, Any], device_id: uuid.UUID) -> Command:
    """Ask a device to report, to report more or less often, to set its clock, or to prompt for a diary entry.

    The command is pending until it is sent. It is reported when the device says that it did it, refused when the
    device says that it did not, and not_confirmed when the device says nothing in time.
    """
    device = find_or_404(Device, device_id)
    return request_command(db.session, actor(), device, new["kind"], new["interval_s"], at=clock.now())
