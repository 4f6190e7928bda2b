"""The fleet of a clinic for those who look after the technology: no patient is named here."""

import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from flask import abort, request
from sqlalchemy import Select, func, literal_column, select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from sc_stim.access import in_clinic, requires
from sc_stim.devices.ledger import SeqRanges
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import Device, DeviceEpoch, DeviceState
from sc_stim.models.device import STATUS
from sc_stim.models.worklist import is_silent
from sc_stim.web import dates, page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.workflows import audit

PAGE_SIZE: Final = 100
NOT_KNOWN: Final = "-"  # in place of a firmware that nobody entered and no device told
KINDS: Final = ("pump", "stimulator")
# code -> (name, what an empty list says)
CHOICES: Final = {
    "all": (_lazy("All"), _lazy("No device is registered yet.")),
    "silent": (_lazy("Silent"), _lazy("Every implanted device has reported in time.")),
    "unassigned": (_lazy("Nobody's"), _lazy("Every device has its patient.")),
    "registered": (_lazy("Registered"), _lazy("Every device is implanted or out.")),
    "implanted": (_lazy("Implanted"), _lazy("No device is implanted yet.")),
    "explanted": (_lazy("Explanted"), _lazy("No device was explanted yet.")),
}
CSV_HEADER: Final = (
    "device", "kind", "manufacturer", "model", "serial", "firmware", "status", "assigned", "silent", "last_contact",
    "clock_error_s", "records_missing", "unknown_fields",
    "implanted_on", "explanted_on", "explantation_reason", "cut_off_at",
)  # fmt: skip

_FIRMWARE: Final = func.coalesce(
    DeviceState.reported_firmware, Device.firmware, literal_column(f"'{NOT_KNOWN}'")
)


@dataclass(frozen=True)
class Wanted:
    """Which devices. An empty text is any; serial numbers stand in no address, so they are no part of it."""

    show: str = "all"
    kind: str = ""
    model: str = ""
    firmware: str = ""

    @classmethod
    def of(cls, typed: Mapping[str, str]) -> "Wanted":
        """Raises 404 for what the page does not offer."""
        wanted = cls(
            **{name: typed.get(name, "").replace("\0", "") for name in ("kind", "model", "firmware")}
        )
        show = typed.get("show", "all")
        if show not in CHOICES or wanted.kind not in ("", *KINDS):
            abort(404)
        return cls(**asdict(wanted) | {"show": show})

    def address(self, **changes: str) -> dict[str, str]:
        """What stands in the address of such a list."""
        return {name: value for name, value in (asdict(self) | changes).items() if value}

    @property
    def narrowed(self) -> bool:
        return bool(self.kind or self.model or self.firmware)


@dataclass(frozen=True)
class Line:
    device: Device
    state: DeviceState | None
    silent: bool
    missing: int | None  # records whose numbers were skipped so far; None: nothing was ever taken

    @property
    def interval(self) -> str:
        return dates.duration(self.device.report_interval_s)

    @property
    def firmware(self) -> str | None:
        return (self.state.reported_firmware if self.state else None) or self.device.firmware

    @property
    def clock_error(self) -> str:
        return clock_error(self.state)

    @property
    def cells(self) -> tuple[Any, ...]:
        """In the order of CSV_HEADER."""
        device, state = self.device, self.state
        return (
            str(device.public_id), device.kind, device.manufacturer, device.model, device.serial, self.firmware,
            device.status, "no" if device.patient_id is None else "yes", "yes" if self.silent else "no",
            state and state.heard_at, state and state.clock_error_s, self.missing, state.unknown_fields if state else 0,
            device.implanted_on, device.explanted_on, device.explantation_reason, device.cut_off_at,
        )  # fmt: skip


@pages.get("/devices", endpoint="devices")
@requires("devices.read")
def show() -> str:
    """`?show=` is one of CHOICES; `?after=` is the device the page before ended with."""
    wanted = Wanted.of(request.args)
    return _render(wanted, _lines(_selected(wanted), request.args.get("after", type=uuid.UUID)))


@pages.post("/devices", endpoint="find_devices")
@requires("devices.read")
def find() -> str:
    """Devices whose serial number begins so; it is typed into the body, as a serial number leads to a person."""
    serial = page.typed("serial")[:40]
    begins = func.lower(Device.serial).startswith(serial.lower(), autoescape=True)
    return _render(Wanted(), _lines(_selected(Wanted()).where(begins), None), serial)


@pages.get("/devices.csv", endpoint="devices_csv")
@requires("devices.read")
def download() -> Response:
    wanted = Wanted.of(request.args)
    audit.record(db.session(), actor(), "device.export", detail=asdict(wanted), at=page.at())
    db.session.commit()
    return csv_answer("devices", CSV_HEADER, (line.cells for line in _all_lines(wanted)))


def _render(wanted: Wanted, lines: list[Line], serial: str = "") -> str:
    return page.render(
        "devices.html",
        wanted=wanted,
        serial=serial,
        choices=[(code, name) for code, (name, _) in CHOICES.items()],
        kinds=[(kind, words.plain(kind)) for kind in KINDS],
        groups=_groups(),
        not_known=NOT_KNOWN,
        empty=CHOICES[wanted.show][1],
        rows=lines[:PAGE_SIZE],
        following=lines[PAGE_SIZE - 1].device.public_id if len(lines) > PAGE_SIZE else None,
    )


def _selected(wanted: Wanted) -> Select[Any]:
    """(Device, DeviceState or None, whether it is late) in the order of registration."""
    silent = is_silent(page.at())
    statement = select(Device, DeviceState, silent).outerjoin(DeviceState, DeviceState.device_id == Device.id)
    statement = statement.options(joinedload(Device.login))
    statement = in_clinic(statement, Device, actor().clinic_id).order_by(Device.public_id)
    nobodys = (Device.patient_id.is_(None), Device.explanted_on.is_(None))
    conditions = {"all": (), "silent": (silent, Device.in_use), "unassigned": nobodys, **STATUS}[wanted.show]
    narrow = {Device.kind: wanted.kind, Device.model: wanted.model, _FIRMWARE: wanted.firmware}
    return statement.where(*conditions, *(column == value for column, value in narrow.items() if value))


def _lines(statement: Select[Any], after: uuid.UUID | None) -> list[Line]:
    """One more than a page."""
    if after:
        statement = statement.where(Device.public_id > after)
    rows = db.session.execute(statement.limit(PAGE_SIZE + 1)).all()
    missing = _missing([device.id for device, *_ in rows])
    return [
        Line(device, state, bool(is_late) and device.in_use, missing.get(device.id))
        for device, state, is_late in rows
    ]


def _all_lines(wanted: Wanted) -> Iterator[Line]:
    after = None
    while lines := _lines(_selected(wanted), after):
        yield from lines
        after = lines[-1].device.public_id
        db.session.expunge_all()


def _groups() -> Sequence[Any]:
    """Rows of (kind, model, firmware, how many) of everything that is not explanted."""
    columns = (Device.kind, Device.model, _FIRMWARE.label("firmware"))
    statement = select(*columns, func.count().label("many")).outerjoin(
        DeviceState, DeviceState.device_id == Device.id
    )
    statement = in_clinic(statement, Device, actor().clinic_id).where(Device.explanted_on.is_(None))
    return db.session.execute(statement.group_by(*columns).order_by(*columns)).all()


def _missing(device_ids: Sequence[int]) -> dict[int, int]:
    """How many records each device numbered but never delivered, over all its epochs."""
    counts: dict[int, int] = {}
    statement = select(DeviceEpoch.device_id, DeviceEpoch.taken).where(DeviceEpoch.device_id.in_(device_ids))
    for device_id, taken in db.session.execute(statement):
        counts[device_id] = counts.get(device_id, 0) + how_many(gaps_in(taken))
    return counts


def gaps_in(taken: str) -> list[tuple[int, int]]:
    """(first, last) of the numbers that were skipped, each gap by itself."""
    return SeqRanges.from_text(taken).missing(max_gaps=sys.maxsize)


def how_many(gaps: Iterable[tuple[int, int]]) -> int:
    """How many numbers lie in these gaps."""
    return sum(last - first + 1 for first, last in gaps)


def clock_error(state: DeviceState | None) -> str:
    """How wrong the device's clock is, and which way; empty where it is not known."""
    error_s = state.clock_error_s if state else None
    if error_s is None:
        return ""
    if abs(error_s) < 1:
        return _("under 1 s")
    error = dates.duration(abs(error_s))
    return _("%(error)s ahead", error=error) if error_s >= 0 else _("%(error)s behind", error=error)
