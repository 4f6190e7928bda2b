"""Registering a device from its label: what the UDI says, what the catalogue knows, what a person has to give."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy.orm import Session

from sc_stim.clinical.reference import Figure
from sc_stim.devices.catalogue import DeviceModel, PumpModel, UnknownModel, find_model
from sc_stim.devices.udi import InvalidUdi, Udi, parse_udi
from sc_stim.models import Device, Patient
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.cautions import Caution
from sc_stim.workflows.refusals import FieldRefused
from sc_stim.workflows.registry import register_device

Values = Mapping[str, Any]

# Fields of a pump, and the figure of the catalogue that stands for them.
_FIGURES: Final = {"reservoir_ml": "reservoir", "accuracy_pct": "accuracy"}


def provision(
    session: Session, actor: Actor, given: Values, patient: Patient | None = None, *, at: dt.datetime
) -> tuple[Device, list[Caution]]:
    """Register a device and say what to look at. Raises FieldRefused, and Conflict for a device registered before.

    given: `model` as the catalogue names it, `udi` or `serial`, `leads`, and other columns of a Device
    """
    values = dict(given)
    leads = values.pop("leads", [])
    model = _model(values["model"])
    values |= _from_label(values)
    values |= {"kind": model.kind, "manufacturer": model.manufacturer}
    values.setdefault("report_interval_s", int(model.report_interval.value) if model.report_interval else 0)
    if isinstance(model, PumpModel):
        _fill_in(values, model)
    device = register_device(session, actor, values, patient, leads, at=at)
    return device, list(_cautions(device, given, model))


def _model(name: str) -> DeviceModel:
    try:
        return find_model(name)
    except UnknownModel as unknown:
        raise FieldRefused("model", str(unknown)) from unknown


def _from_label(values: Values) -> dict[str, Any]:
    """The columns that come from the UDI; without one, the serial number has to be given."""
    if values.get("udi") is None:
        if values.get("serial") is None:
            raise FieldRefused("serial", "give the UDI, or the serial number")
        return {}
    udi = _parse(values["udi"])
    serial = udi.serial or values.get("serial")
    if serial is None:
        raise FieldRefused("serial", "this UDI holds no serial number: give it as well")
    if values.get("serial") not in (None, serial):
        raise FieldRefused("serial", f"the UDI says {serial}")
    return {
        "udi": udi.carrier_hrf,
        "udi_device_identifier": udi.device_identifier,
        "serial": serial,
        "lot": udi.lot,
        "manufactured_on": udi.manufactured,
        "expires_on": udi.expires,
    }


def _parse(text: str) -> Udi:
    try:
        return parse_udi(text)
    except InvalidUdi as error:
        raise FieldRefused("udi", str(error).removeprefix("UDI: ")) from error


def _fill_in(values: dict[str, Any], model: PumpModel) -> None:
    """Figures with a source stand for what was not given; an unverified one has to be given by a person."""
    for field, name in _FIGURES.items():
        figure: Figure | None = getattr(model, name)
        if figure is not None and figure.verified:
            values.setdefault(field, figure.value)
    if values.get("reservoir_ml") is None:
        known = f"; the catalogue says {model.reservoir}" if model.reservoir else ""
        raise FieldRefused("reservoir_ml", f"give the volume of this pump's reservoir{known}")


def _cautions(device: Device, given: Values, model: DeviceModel) -> Iterator[Caution]:
    if device.expires_on is not None and device.expires_on < (
        device.implanted_on or device.created_at.date()
    ):
        yield Caution("expired", "expires_on", f"the label says that it expired on {device.expires_on}", None)
    if "report_interval_s" not in given and model.report_interval:
        yield Caution(
            "assumed_report_interval",
            "report_interval_s",
            f"{model.report_interval} is assumed: give what it is set to",
            None,
        )
    figure = model.reservoir if isinstance(model, PumpModel) else None
    if figure is not None and device.reservoir_ml is not None and device.reservoir_ml != figure.value:
        message = f"{device.reservoir_ml:g} mL was given, the catalogue says {figure}"
        yield Caution("other_reservoir", "reservoir_ml", message, figure.source)
