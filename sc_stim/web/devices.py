"""The devices of a clinic for those who look after the technology: no patient is named here."""

import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import abort, request
from sqlalchemy import select

from sc_stim.access import in_clinic, requires
from sc_stim.devices.ledger import SeqRanges
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Device, DeviceEpoch, DeviceState
from sc_stim.models.worklist import is_silent
from sc_stim.web import page
from sc_stim.web.blueprint import pages

PAGE_SIZE: Final = 100
# code -> (name, what an empty list says)
CHOICES: Final = {
    "all": ("All", "No device is registered yet. Devices are registered through the API (/api/v1/devices)."),
    "silent": ("Silent", "Every implanted device has reported in time."),
}


@dataclass(frozen=True)
class Line:
    device: Device
    state: DeviceState | None
    silent: bool
    missing: int | None  # records whose numbers were skipped so far; None: nothing was ever taken

    @property
    def interval(self) -> str:
        return _duration(self.device.report_interval_s)

    @property
    def clock_error(self) -> str:
        """How wrong the device's clock is, and which way."""
        error_s = self.state.clock_error_s if self.state else None
        if error_s is None:
            return ""
        return f"{_duration(abs(error_s))} {'ahead' if error_s >= 0 else 'behind'}"


@pages.get("/devices", endpoint="devices")
@requires("devices.read")
def show() -> str:
    """`?show=` is one of CHOICES; `?after=` is the device the page before ended with."""
    show = request.args.get("show", "all")
    if show not in CHOICES:
        abort(404)
    lines = _lines(show == "silent", request.args.get("after", type=uuid.UUID))
    return page.render(
        "devices.html",
        show=show,
        choices=[(code, name) for code, (name, _) in CHOICES.items()],
        empty=CHOICES[show][1],
        rows=lines[:PAGE_SIZE],
        following=lines[PAGE_SIZE - 1].device.public_id if len(lines) > PAGE_SIZE else None,
    )


def _lines(only_silent: bool, after: uuid.UUID | None) -> list[Line]:
    """One more than a page, in the order of registration."""
    silent = is_silent(page.at())
    statement = select(Device, DeviceState, silent).outerjoin(DeviceState, DeviceState.device_id == Device.id)
    statement = (
        in_clinic(statement, Device, actor().clinic_id).order_by(Device.public_id).limit(PAGE_SIZE + 1)
    )
    if only_silent:
        statement = statement.where(silent, Device.in_use)
    if after:
        statement = statement.where(Device.public_id > after)
    rows = db.session.execute(statement).all()
    missing = _missing([device.id for device, *_ in rows])
    return [Line(device, state, bool(is_late), missing.get(device.id)) for device, state, is_late in rows]


def _missing(device_ids: Sequence[int]) -> dict[int, int]:
    """How many records each device numbered but never delivered, over all its epochs."""
    counts: dict[int, int] = {}
    statement = select(DeviceEpoch.device_id, DeviceEpoch.taken).where(DeviceEpoch.device_id.in_(device_ids))
    for device_id, taken in db.session.execute(statement):
        gaps = SeqRanges.from_text(taken).missing(max_gaps=sys.maxsize)  # each by itself, none merged
        counts[device_id] = counts.get(device_id, 0) + sum(last - first + 1 for first, last in gaps)
    return counts


def _duration(seconds: float) -> str:
    """Seconds in the largest unit of which there are two: `90 s`, `15 min`, `6 h`, `3 d`."""
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"
