"""What a clinician prescribes for a device, what there is to say about it, and whether the device reports the same."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from sc_stim.clinical.clinic_figures import formulary_of
from sc_stim.clinical.drugs import UnknownDrug
from sc_stim.clinical.pattern import flows, mean_ml_per_day, slip
from sc_stim.clinical.pump_record import DrugInPump, PatternStep
from sc_stim.clinical.refill_rules import shipped_rules
from sc_stim.clinical.units import flow_warning
from sc_stim.devices.catalogue import UnknownModel, find_model, find_pump
from sc_stim.models import Device, DeviceSetting, DeviceState
from sc_stim.models.clinic_figure import own_figures
from sc_stim.models.device import fills_of
from sc_stim.workflows import outbox
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.cautions import Caution
from sc_stim.workflows.refusals import Conflict, FieldRefused
from sc_stim.workflows.registry import record_about

Values = Mapping[str, Any]

# What a prescription of each kind of device may hold; the first field is the one it cannot be without.
FIELDS: Final = {
    "pump": ("flow_ml_per_day", "bolus_ml", "max_boluses_per_day", "lockout_min", "pattern"),
    "stimulator": ("amplitude_ma", "pulse_width_us", "rate_hz", "program", "contacts"),
}
REPORTED: Final = {
    "pump": ("flow_ml_per_day", "bolus_ml"),
    "stimulator": ("program", "amplitude_ma", "pulse_width_us", "rate_hz"),
}
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

    values: `effective_at` (else `at`), the FIELDS of this kind of device, and `rate_confirmed` for a rate that would
    empty the pump within days
    """
    values = _with_mean(dict(values))
    rate_confirmed = values.pop("rate_confirmed", False)
    if device.explanted_on is not None:
        raise Conflict(f"the device was explanted on {device.explanted_on}")
    _check(device.kind, values)
    if not rate_confirmed:
        _check_rate(device, values)
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
        found += _beyond_mechanics(device.model, values)
        found += _emptied_too_soon(device, values)
        found += _doses(session, device, values)
    return found


def compare(kind: str, in_force: DeviceSetting | None, state: DeviceState | None) -> list[Difference] | None:
    """What a device reports otherwise than prescribed, none where it agrees.

    None where there is nothing to compare: a report from before the prescription says nothing about it.
    """
    if in_force is None or state is None or state.measured_at is None:
        return None
    if state.measured_at < in_force.effective_at:
        return None
    return differences(kind, in_force, state.sample or {})


def differences(kind: str, prescribed: DeviceSetting, reported: Values) -> list[Difference]:
    """The fields that were prescribed and are reported otherwise; what either side leaves out is not compared."""
    pairs = ((name, getattr(prescribed, name), reported.get(name)) for name in REPORTED[kind])
    return [
        Difference(name, wanted, got)
        for name, wanted, got in pairs
        if wanted is not None and got is not None and not _as_prescribed(prescribed, name, wanted, got)
    ]


def programmed_as_prescribed(flow_ml_per_day: float, prescribed: DeviceSetting) -> bool:
    """Whether a pump that was prescribed this may report this flow: a pattern shows the flow of its step."""
    usual = prescribed.flow_ml_per_day or 0.0
    return _as_prescribed(prescribed, "flow_ml_per_day", usual, flow_ml_per_day)


def pattern_of(setting: DeviceSetting) -> tuple[PatternStep, ...]:
    """The steps over the day, none where the flow is constant."""
    return _steps(setting.pattern)


def _steps(pattern: Iterable[Values] | None) -> tuple[PatternStep, ...]:
    return tuple(
        PatternStep(since=row["from"], flow_ml_per_day=row["flow_ml_per_day"]) for row in pattern or ()
    )


def _as_prescribed(prescribed: DeviceSetting, name: str, wanted: Any, got: Any) -> bool:
    if isinstance(wanted, str):
        return wanted == str(got)
    may_be = {wanted}
    if name == "flow_ml_per_day":
        may_be |= flows(pattern_of(prescribed))
    alike = shipped_rules().settings_alike
    return any(abs(one - got) <= alike * abs(one) for one in may_be)


def _with_mean(values: dict[str, Any]) -> dict[str, Any]:
    """A pattern says its volume per day itself."""
    pattern = values.get("pattern")
    if pattern and values.get("flow_ml_per_day") is None and pattern[0]["from"] == "00:00":
        values["flow_ml_per_day"] = round(mean_ml_per_day(_steps(pattern)), 6)
    return values


def _check_rate(device: Device, values: Values) -> None:
    """The slip of a decimal point, and mL/h typed for mL/day, are asked about before they stand on record."""
    for caution in _emptied_too_soon(device, values):
        raise FieldRefused("flow_ml_per_day", f"{caution.message}; send rate_confirmed if this is meant")


def _check(kind: str, values: Values) -> None:
    given = {name for name, value in values.items() if value is not None}
    other = next(name for name in FIELDS if name != kind)
    for name in FIELDS[other]:
        if name in given:
            raise FieldRefused(name, f"is a setting of a {other}; this device is a {kind}")
    if FIELDS[kind][0] not in given:
        raise FieldRefused(FIELDS[kind][0], f"is needed in every prescription of a {kind}")
    if "pattern" in given:
        wrong = slip(_steps(values["pattern"]), values["flow_ml_per_day"], shipped_rules().settings_alike)
        if wrong:
            raise FieldRefused("pattern", wrong)
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


def _beyond_mechanics(model: str, values: Values) -> Iterator[Caution]:
    """A gas-driven pump gives one flow for life, and no boluses."""
    try:
        pump = find_pump(model)
    except UnknownModel:
        return
    if not pump.programmable and (values.get("bolus_ml") or values.get("pattern")):
        field = "pattern" if values.get("pattern") else "bolus_ml"
        message = f"a {model} has a constant flow: it can be given neither boluses nor a pattern"
        yield Caution("not_programmable", field, message, pump.source)


def _emptied_too_soon(device: Device, values: Values) -> Iterator[Caution]:
    if device.kind != "pump" or device.reservoir_ml is None:
        return
    message = flow_warning(
        device.reservoir_ml, _most_ml_per_day(values), shipped_rules().shortest_plausible_emptying_d
    )
    if message:
        yield Caution("shortest_plausible_emptying", "flow_ml_per_day", message, None)


def _doses(session: Session, device: Device, values: Values) -> Iterator[Caution]:
    fills = fills_of(session, [device.id])[device.id]
    drugs = [DrugInPump(**drug) for drug in fills[-1].drugs] if fills else []
    bolus_ml_per_day = bolus_allowance_ml_per_day(values)
    formulary = formulary_of(own_figures(session, [device.clinic_id])[device.clinic_id])
    for drug in drugs:
        try:
            forbids = formulary.lookup(drug.name).no_patient_bolus
            if forbids and bolus_ml_per_day > 0:
                message = f"{drug.name} must not be given as a bolus by the patient"
                yield Caution("no_patient_bolus", "bolus_ml", message, forbids)
            exceeded = formulary.limit_warnings([drug], values["flow_ml_per_day"], bolus_ml_per_day)
        except UnknownDrug as unknown:
            yield Caution("unknown_drug", "flow_ml_per_day", str(unknown), None)
            continue
        for warning in exceeded:
            yield Caution(warning.limit, "flow_ml_per_day", str(warning), warning.figure.cited)


def _most_ml_per_day(values: Values) -> float:
    return float(values["flow_ml_per_day"]) + bolus_allowance_ml_per_day(values)


def bolus_allowance_ml_per_day(values: Values) -> float:
    """With every allowed bolus taken."""
    return float((values.get("bolus_ml") or 0) * (values.get("max_boluses_per_day") or 0))
