"""The device models we know, with what is on record about each: versioned data, in data/models.json.

A figure without a source is marked unverified: show it so, warn by it, never block by it. None means not
known, and nothing may be put in its place. Dates of replacement never come from here but from telemetry.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from sc_stim.clinical.reference import Figure, ReferenceDataError, figure, load

Kind = Literal["pump", "stimulator"]


class UnknownModel(LookupError):
    """A model name that is not in the catalogue; the message names those that are."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Something known that is no number; `source` None means unverified."""

    value: bool | str
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MriRule:
    """What a scan asks for: steps before and after it, and so many interrogations within this time of it.

    The rules stand in clinical/data/mri.json.
    """

    name: str
    check_within: Figure
    interrogations: Figure
    before: tuple[Statement, ...]
    after: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpModel:
    """An intrathecal pump. A pump without telemetry is known from the clinic's records alone.

    reservoir in mL, accuracy in % of the programmed flow; `limits` are further figures by name.
    """

    name: str
    manufacturer: str
    catalogue_numbers: tuple[str, ...]
    source: str | None
    telemetry: bool
    programmable: bool
    report_interval: Figure | None
    mri: Statement | None
    mri_rule: MriRule
    reservoir: Figure | None
    accuracy: Figure | None
    limits: Mapping[str, Figure]

    kind: Kind = "pump"


@dataclass(frozen=True, slots=True, kw_only=True)
class StimulatorModel:
    """A spinal cord stimulator. impedance_open and _short in ohm: beyond them a contact counts as broken."""

    name: str
    manufacturer: str
    catalogue_numbers: tuple[str, ...]
    source: str | None
    telemetry: bool
    report_interval: Figure | None
    mri: Statement | None
    mri_rule: MriRule
    rechargeable: Statement | None
    closed_loop: Statement | None
    contacts: Figure | None
    contacts_per_lead: Figure | None
    impedance_open: Figure
    impedance_short: Figure
    limits: Mapping[str, Figure]

    kind: Kind = "stimulator"


DeviceModel = PumpModel | StimulatorModel


def version() -> str:
    """The version of the catalogue, to be kept with every judgement made by it."""
    return str(_document()["version"])


def models() -> tuple[DeviceModel, ...]:
    """Every model, in the order of the file."""
    return tuple(_by_name().values())


def find_model(name: str) -> DeviceModel:
    """The model of exactly this name; raises UnknownModel."""
    try:
        return _by_name()[name]
    except KeyError:
        known = ", ".join(_by_name())
        raise UnknownModel(f"model {name!r} is not in the catalogue; it knows {known}") from None


def find_pump(name: str) -> PumpModel:
    """As find_model, of pumps only."""
    model = find_model(name)
    if not isinstance(model, PumpModel):
        raise UnknownModel(f"model {name!r} is a {model.kind}, not a pump")
    return model


def find_stimulator(name: str) -> StimulatorModel:
    """As find_model, of stimulators only."""
    model = find_model(name)
    if not isinstance(model, StimulatorModel):
        raise UnknownModel(f"model {name!r} is a {model.kind}, not a stimulator")
    return model


def mri_rule(model: str, kind: Kind) -> MriRule:
    """The rule of this model; where it is not in the catalogue the one of all devices of its kind."""
    known = _by_name().get(model)
    return known.mri_rule if known and known.kind == kind else _mri_rule(kind)


@cache
def _mri_rule(name: str) -> MriRule:
    entry = load("mri.json")["rules"][name]
    return MriRule(
        name=name,
        check_within=figure(entry["check_within"]),
        interrogations=figure(entry["interrogations"]),
        before=tuple(_statement(step | {"value": step["text"]}) for step in entry["before"]),
        after=tuple(_statement(step | {"value": step["text"]}) for step in entry["after"]),
    )


@cache
def _document() -> dict[str, Any]:
    text = (files("sc_stim.devices") / "data" / "models.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


@cache
def _by_name() -> dict[str, DeviceModel]:
    usual_interval = figure(_document()["report_interval"])
    return {entry["name"]: _model(entry, usual_interval) for entry in _document()["models"]}


def _model(entry: dict[str, Any], usual_interval: Figure) -> DeviceModel:
    values = {key: _value(value) for key, value in entry.items() if key != "kind"}
    values["report_interval"] = usual_interval if entry["telemetry"] else None
    values["mri_rule"] = _mri_rule(entry["mri_rule"])
    return PumpModel(**values) if entry["kind"] == "pump" else StimulatorModel(**values)


def _value(entry: Any) -> Any:
    """A value of the file by its form: a figure, a statement, a table of figures, or what it is."""
    if isinstance(entry, list):
        return tuple(entry)
    if not isinstance(entry, dict):
        return entry
    if "unit" in entry:
        return figure(entry)
    if "value" in entry:
        return _statement(entry)
    return {name: figure(value) for name, value in entry.items()}


def _statement(entry: dict[str, Any]) -> Statement:
    if ("source" in entry) == (entry.get("verified") is False):
        raise ReferenceDataError(f'{entry} needs either a source or "verified": false')
    return Statement(entry["value"], entry.get("source"))
