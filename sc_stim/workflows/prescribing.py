"""What a clinician prescribes for a device, what there is to say about it, and whether the device reports the same."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from sc_stim.clinical.drugs import UnknownDrug, shipped_formulary
from sc_stim.clinical.pump_record import DrugInPump
from sc_stim.clinical.refill_rules import shipped_rules
from sc_stim.clinical.units import flow_warning
from sc_stim.devices.catalogue import UnknownModel, find_model
from sc_stim.models import Device, DeviceSetting
from sc_stim.models.device import fills_of
from sc_stim.workflows import outbox
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.cautions import Caution
from sc_stim.workflows.refusals import Conflict, FieldRefused
from sc_stim.workflows.registry import record_about

Values = Mapping[str, Any]

# What a prescription of each kind of device may hold; the first field is the one it cannot be without.
FIELDS: Final = {
    "pump": ("flow_ml_per_day", "bolus_ml", "max_boluses_per_day", "lockout_min"),
    "stimulator": ("amplitude_ma", "pulse_width_us", "rate_hz", "program", "contacts"),
}
REPORTED: Final = {
    "pump": ("flow_ml_per_day", "bolus_ml"),
    "stimulator": ("program", "amplitude_ma", "pulse_width_us", "rate_hz"),
}
SAME_WITHIN: Final = 0.02  # relative; devices round what they were programmed to

# The limits of the catalogue, by the field they bound.
_LIMITED: Final = {
    "flow": "flow_ml_per_day",
    "amplitude": "amplitude_ma",
    "pulse_width": "pulse_width_us",
    "rate": "rate_hz",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that the device reports otherwise than it was prescribed."""

    field: str
    prescribed: Any
    reported: Any


def prescribe(
    session: Session, actor: Actor, device: Device, values: Values, *, at: dt.datetime
) -> tuple[DeviceSetting, list[Caution]]:
    """Put a prescription on record; nothing is sent to the device. Raises FieldRefused and Conflict.

    values: `effective_at` (else `at`) and the FIELDS of this kind of device
    """
    if device.explanted_on is not None:
        raise Conflict(f"the device was explanted on {device.explanted_on}")
    _check(device.kind, values)
    row = DeviceSetting(
        clinic_id=actor.clinic_id,
        device_id=device.id,
        prescribed_by_id=actor.user_id,
        created_at=at,
        **({"effective_at": at} | dict(values)),
    )
    session.add(row)
    session.flush()
    record_about(session, actor, "setting.prescribe", device, {"setting": str(row.public_id)}, at=at)
    outbox.ask(session, outbox.DEVICE, [device.id], at)
    if device.kind == "pump":
        outbox.ask(session, outbox.REFILL, [device.id], at)
    if device.patient_id is not None:
        outbox.ask(session, outbox.PAIN, [device.patient_id], at, since=min(at, row.effective_at))
    return row, cautions_about(session, device, values)


def cautions_about(session: Session, device: Device, values: Values) -> list[Caution]:
    """What a prescription exceeds or looks like, by the drugs in the pump now and the model's figures."""
    found = list(_beyond_model(device.model, values))
    if device.kind == "pump":
        found += _emptied_too_soon(device, values)
        found += _doses(session, device, values)
    return found


def differences(kind: str, prescribed: DeviceSetting, reported: Values) -> list[Difference]:
    """The fields that were prescribed and are reported otherwise; what either side leaves out is not compared."""
    pairs = ((name, getattr(prescribed, name), reported.get(name)) for name in REPORTED[kind])
    return [
        Difference(name, wanted, got)
        for name, wanted, got in pairs
        if wanted is not None and got is not None and not _same(wanted, got)
    ]


def _same(wanted: Any, got: Any) -> bool:
    if isinstance(wanted, str):
        return wanted == str(got)
    return bool(abs(wanted - got) <= SAME_WITHIN * abs(wanted))


def _check(kind: str, values: Values) -> None:
    given = {name for name, value in values.items() if value is not None}
    other = next(name for name in FIELDS if name != kind)
    for name in FIELDS[other]:
        if name in given:
            raise FieldRefused(name, f"is a setting of a {other}; this device is a {kind}")
    if FIELDS[kind][0] not in given:
        raise FieldRefused(FIELDS[kind][0], f"is needed in every prescription of a {kind}")
    if ("bolus_ml" in given) != ("max_boluses_per_day" in given):
        missing = "max_boluses_per_day" if "bolus_ml" in given else "bolus_ml"
        raise FieldRefused(
            missing, "bolus_ml and max_boluses_per_day go together: without both no refill date is safe"
        )


def _beyond_model(model: str, values: Values) -> Iterator[Caution]:
    try:
        limits = find_model(model).limits
    except UnknownModel:
        yield Caution(
            "unknown_model", "model", f"{model} is not in the catalogue: its limits are not known", None
        )
        return
    for name, figure in limits.items():
        quantity, _, bound = name.rpartition("_")
        field = _LIMITED.get(quantity)
        value = values.get(field) if field and bound in ("min", "max") else None
        if value is not None and (value > figure.value if bound == "max" else value < figure.value):
            message = f"{value:g} is {'above' if bound == 'max' else 'below'} what a {model} can do, {figure}"
            yield Caution(name, str(field), message, figure.source)


def _emptied_too_soon(device: Device, values: Values) -> Iterator[Caution]:
    """The slip of a decimal point, and mL/h typed for mL/day."""
    if device.reservoir_ml is None:
        return
    message = flow_warning(
        device.reservoir_ml, _most_ml_per_day(values), shipped_rules().shortest_plausible_emptying_d
    )
    if message:
        yield Caution("shortest_plausible_emptying", "flow_ml_per_day", message, None)


def _doses(session: Session, device: Device, values: Values) -> Iterator[Caution]:
    fills = fills_of(session, [device.id])[device.id]
    drugs = [DrugInPump(**drug) for drug in fills[-1].drugs] if fills else []
    bolus_ml_per_day = _bolus_ml_per_day(values)
    for drug in drugs:
        try:
            exceeded = shipped_formulary().limit_warnings([drug], values["flow_ml_per_day"], bolus_ml_per_day)
        except UnknownDrug as unknown:
            yield Caution("unknown_drug", "flow_ml_per_day", str(unknown), None)
            continue
        for warning in exceeded:
            yield Caution(warning.limit, "flow_ml_per_day", str(warning), warning.figure.source)


def _most_ml_per_day(values: Values) -> float:
    return float(values["flow_ml_per_day"]) + _bolus_ml_per_day(values)


def _bolus_ml_per_day(values: Values) -> float:
    return float((values.get("bolus_ml") or 0) * (values.get("max_boluses_per_day") or 0))
