"""The newest state of each device: one row, which only something measured later may replace."""

from collections.abc import Sequence

import msgspec

from sc_stim.devices.sample_rows import Known
from sc_stim.devices.store import Bulk, Row, document
from sc_stim.models import DeviceState

COLUMNS = (
    "device_id", "clinic_id", "measured_at", "sample", "heard_at", "online", "online_changed_at", "reported_model",
    "reported_firmware", "clock", "clock_error_s", "unknown_fields",
)  # fmt: skip

_NEWER = "(excluded.measured_at IS NOT NULL AND (old.measured_at IS NULL OR excluded.measured_at > old.measured_at))"
_CONFLICT = f"""(device_id) DO UPDATE SET
    measured_at = CASE WHEN {_NEWER} THEN excluded.measured_at ELSE old.measured_at END,
    sample = CASE WHEN {_NEWER} THEN excluded.sample ELSE old.sample END,
    heard_at = CASE WHEN excluded.heard_at IS NULL OR old.heard_at > excluded.heard_at
        THEN old.heard_at ELSE excluded.heard_at END,
    online = COALESCE(excluded.online, old.online),
    online_changed_at = CASE WHEN excluded.online IS NULL OR excluded.online = old.online
        THEN old.online_changed_at ELSE excluded.online_changed_at END,
    reported_model = COALESCE(excluded.reported_model, old.reported_model),
    reported_firmware = COALESCE(excluded.reported_firmware, old.reported_firmware),
    clock = excluded.clock, clock_error_s = excluded.clock_error_s,
    unknown_fields = old.unknown_fields + excluded.unknown_fields"""


def write_states(bulk: Bulk, devices: Sequence[Known]) -> None:
    """Bring the rows of the devices that spoke, or were spoken of, up to date."""
    spoken = [device for device in devices if device.heard_at or device.state]
    rows = [_row(bulk, device) for device in sorted(spoken, key=lambda device: device.id)]
    bulk.upsert(DeviceState.__table__, COLUMNS, rows, _CONFLICT)


def _row(bulk: Bulk, device: Known) -> Row:
    state = device.state
    online = state.online if state else True
    return (
        device.id, device.clinic_id, bulk.moment(device.newest_at), _newest_document(device),
        bulk.moment(device.heard_at), online, bulk.moment(device.state_at or device.heard_at),
        state and state.model, state and state.firmware, document(device.clock), device.clock.error_s,
        device.unknown_fields,
    )  # fmt: skip


def _newest_document(device: Known) -> str | None:
    if device.newest is None:
        return None
    values = msgspec.to_builtins(device.newest)
    del values["seq"], values["at"]
    return document(values)
