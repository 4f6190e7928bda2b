"""The devices of one batch: who they are, and the one row each that says how they are now.

Whoever writes about a device first locks that row, and holds it to the commit. So two sessions that carry the same
device take turns, each knowing what the other stored.
"""

import datetime as dt
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sc_stim.devices.clock import ClockEstimate
from sc_stim.devices.messages import DeviceKind, PumpSample, StimulatorSample
from sc_stim.devices.records import DeviceState as Told
from sc_stim.devices.store import Bulk, Row, document
from sc_stim.models import DeviceState

_CLOCK = msgspec.json.Decoder(ClockEstimate)
_COLUMNS = (
    "device_id", "clinic_id", "measured_at", "sample", "heard_at", "online", "online_changed_at", "reported_model",
    "reported_firmware", "clock", "clock_error_s", "unknown_fields",
)  # fmt: skip

_NEWER = (
    "(excluded.measured_at > old.measured_at OR old.measured_at IS NULL AND excluded.measured_at IS NOT NULL)"
)
_TURNED = (
    "(excluded.online IS NOT NULL AND (old.online IS NULL OR excluded.online <> old.online "
    "AND excluded.online_changed_at >= old.online_changed_at))"
)
_UPDATE = f"""(device_id) DO UPDATE SET
    measured_at = CASE WHEN {_NEWER} THEN excluded.measured_at ELSE old.measured_at END,
    sample = CASE WHEN {_NEWER} THEN excluded.sample ELSE old.sample END,
    heard_at = CASE WHEN excluded.heard_at > old.heard_at OR old.heard_at IS NULL
        THEN excluded.heard_at ELSE old.heard_at END,
    online = CASE WHEN {_TURNED} THEN excluded.online ELSE old.online END,
    online_changed_at = CASE WHEN {_TURNED} THEN excluded.online_changed_at ELSE old.online_changed_at END,
    reported_model = COALESCE(excluded.reported_model, old.reported_model),
    reported_firmware = COALESCE(excluded.reported_firmware, old.reported_firmware),
    clock = excluded.clock, clock_error_s = excluded.clock_error_s,
    unknown_fields = CASE WHEN old.unknown_fields > 1000000000
        THEN old.unknown_fields ELSE old.unknown_fields + excluded.unknown_fields END"""


@dataclass(slots=True, eq=False)
class Known:
    """A registered device, and what this batch tells of it."""

    public_id: str
    id: int
    clinic_id: int
    patient_id: int | None
    kind: DeviceKind
    revoked: bool
    clock: ClockEstimate = field(default_factory=ClockEstimate)
    heard_at: dt.datetime | None = None
    told: Told | None = None  # its birth or its last will
    told_at: dt.datetime | None = None
    newest: PumpSample | StimulatorSample | None = None
    newest_at: dt.datetime | None = None  # measured then
    unknown_fields: int = 0

    def hear(self, at: dt.datetime) -> None:
        """It spoke, whatever it said."""
        if self.heard_at is None or at > self.heard_at:
            self.heard_at = at

    def hear_state(self, told: Told, at: dt.datetime, retained: bool) -> None:
        """A retained birth is the broker's memory, and a will is not the device's word."""
        self.told, self.told_at = told, at
        if told.online and not retained:
            self.hear(at)

    def measure(self, sample: PumpSample | StimulatorSample, at: dt.datetime) -> None:
        """Of samples measured at the same moment the one with the higher number is the newer."""
        if (
            self.newest_at is None
            or self.newest is None
            or (at, sample.seq) > (self.newest_at, self.newest.seq)
        ):
            self.newest, self.newest_at = sample, at

    @property
    def spoke(self) -> bool:
        """It, or the broker for it, said something that we could read."""
        return self.heard_at is not None or self.told is not None


def load_devices(bulk: Bulk, public_ids: Collection[str]) -> dict[str, Known]:
    """The registered ones among these devices, by public id."""
    keys = [(bulk.uuid(uuid.UUID(public_id)), public_id) for public_id in sorted(public_ids)]
    rows = bulk.select(
        "SELECT keys.b, device.id, clinic_id, patient_id, kind, revoked_at IS NOT NULL FROM keys "
        "JOIN device ON device.public_id = keys.a LEFT JOIN broker_login ON username = keys.b",
        keys,
        "uuid, text",
    )
    return {row[0]: Known(row[0], row[1], row[2], row[3], row[4], bool(row[5])) for row in rows}


def lock_states(bulk: Bulk, devices: Sequence[Known]) -> None:
    """Keep every other batch from writing about these devices until the commit; reads what is known of their clocks."""
    by_id = {device.id: device for device in sorted(devices, key=lambda device: device.id)}
    found = _lock(bulk, list(by_id))
    new = [(device.id, device.clinic_id, 0) for device in by_id.values() if device.id not in found]
    if new:
        bulk.upsert(DeviceState.__table__, ("device_id", "clinic_id", "unknown_fields"), new, "DO NOTHING")
        found = _lock(bulk, list(by_id))
    for device_id, estimate in found.items():
        if estimate:
            by_id[device_id].clock = _CLOCK.decode(estimate)


def _lock(bulk: Bulk, ids: list[int]) -> dict[int, str | None]:
    """Their clocks by device id, as far as there is a row. SQLite has one writer at a time and needs no lock."""
    statement = "SELECT device_id, clock FROM keys JOIN device_state AS state ON device_id = keys.a ORDER BY device_id"
    if bulk.is_postgres:
        statement += " FOR UPDATE OF state"
    return {row[0]: row[1] for row in bulk.select(statement, [(device_id,) for device_id in ids], "bigint")}


def write_states(bulk: Bulk, devices: Sequence[Known]) -> None:
    """What these devices, which are locked, told of themselves. Only something measured later replaces a sample."""
    rows = [_row(bulk, device) for device in sorted(devices, key=lambda device: device.id)]
    bulk.upsert(DeviceState.__table__, _COLUMNS, rows, _UPDATE)


def _row(bulk: Bulk, device: Known) -> Row:
    told = device.told
    return (
        device.id, device.clinic_id, bulk.moment(device.newest_at), _newest_document(device),
        bulk.moment(device.heard_at), told and told.online, bulk.moment(device.told_at), told and told.model,
        told and told.firmware, document(device.clock), device.clock.error_s, device.unknown_fields,
    )  # fmt: skip


def _newest_document(device: Known) -> str | None:
    if device.newest is None:
        return None
    values: dict[str, Any] = msgspec.to_builtins(device.newest)
    del values["seq"], values["at"]
    return document(values)
