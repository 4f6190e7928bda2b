"""What a refill visit shows: before it, at once when it is on record, and as work until it is complete."""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sc_stim.clinical.after_visit import AfterVisit, PumpWord, after_visit
from sc_stim.clinical.dose import Dose
from sc_stim.clinical.refill import MODEL_VERSION
from sc_stim.clinical.refill_checklist import SECOND_PERSON, shipped_checklist
from sc_stim.clinical.refusal import Refused
from sc_stim.models import Device, DeviceEvent, DeviceSetting, Fill, PumpSample
from sc_stim.models.device import fills_of, setting_in_force
from sc_stim.workflows.bridging import changed_concentrations
from sc_stim.workflows.cautions import Caution
from sc_stim.workflows.prescribing import FIELDS, cautions_about
from sc_stim.workflows.refill_case import recorded, refill_case
from sc_stim.workflows.refilling import expected_residual_ml, not_as_prescribed

_SESSION: Final = ("session_opened", "session_closed")
_SHOWN: Final = {"flow_ml_per_day": ("flow", "mL/day"), "bolus_ml": ("bolus", "mL")}
_STOPPED: Final = "hsa.gov.sg 27 Jan 2021"


@dataclass(frozen=True)
class PumpAfter:
    """Whether the pump runs since a visit; `sentence` says it with its time."""

    state: AfterVisit
    sentence: str


@dataclass(frozen=True)
class Doses:
    """`unknown`: why no dose can be named, in words."""

    doses: list[Dose]
    unknown: str | None


def doses_at(session: Session, pump: Device, at: dt.datetime) -> Doses:
    """What the patient is given per day by the record of this moment."""
    found = refill_case(session, [pump.id], at)[pump.id].doses(at)
    return Doses([], found.detail) if isinstance(found, Refused) else Doses(found, None)


def forecast_of(session: Session, pump: Device, at: dt.datetime) -> dict[str, Any]:
    """The forecast by the record as it stands in this transaction, every clock of it, with the dose it implies."""
    case = refill_case(session, [pump.id], at)[pump.id]
    judged = case.forecast(at)
    found = case.doses(at)
    return case.encoded(judged) | {
        "at": at,
        "model_version": MODEL_VERSION,
        "earliest_empty": getattr(judged, "earliest_empty", None),
        "doses": [] if isinstance(found, Refused) else found,
        "dose_unknown": found.detail if isinstance(found, Refused) else None,
    }


def date_without_measuring(session: Session, pump: Device, fill: Fill, at: dt.datetime) -> dt.date | None:
    """The date to refill by if nothing had been measured at this fill: what it showed moved the date from there."""
    case = refill_case(session, [pump.id], at)[pump.id]
    fills = tuple(replace(row, aspirated_ml=None) if row == recorded(fill) else row for row in case.fills)
    judged = replace(case, fills=fills).forecast(at)
    return None if isinstance(judged, Refused) else judged.refill_by


def preparation(session: Session, pump: Device, at: dt.datetime) -> dict[str, Any]:
    """What the form of a visit starts from, before the needle goes in."""
    fills = fills_of(session, [pump.id])[pump.id]
    expected_ml = expected_residual_ml(session, pump, at)
    newest = fills[-1] if fills else None
    return {
        "at": at,
        "expected_ml": None if expected_ml is None else round(expected_ml, 2),
        "forecast": forecast_of(session, pump, at),
        "last_fill": newest,
        "settings": setting_in_force(session, pump.id, at),
        "reported": pump.state.sample if pump.state else None,
        "reported_at": pump.state.measured_at if pump.state else None,
        "checklist": checklist(None),
        "after_last_visit": pumps_after(session, [(newest, pump)])[newest.id] if newest else None,
    }


def checklist(fill: Fill | None) -> list[dict[str, Any]]:
    """Every documented step with its answer, None where nobody gave one."""
    answers: Mapping[str, Any] = (fill.checklist if fill else None) or {}
    rows = []
    for step in shipped_checklist():
        given = answers.get(step.name, {})
        if step.name == SECOND_PERSON and fill is not None and fill.confirmed_by is not None:
            given = {"answer": "done", "by": str(fill.confirmed_by.public_id), "at": _iso(fill.confirmed_at)}
        rows.append(
            {
                "step": step.name,
                "text": step.text,
                "source": step.source,
                "if_unsure": step.if_unsure,
                "answer": given.get("answer"),
                "by": given.get("by"),
                "at": dt.datetime.fromisoformat(given["at"]) if given.get("at") else None,
            }
        )
    return rows


def cautions_of(session: Session, pump: Device, fill: Fill) -> list[Caution]:
    """What to look at before the patient leaves. None of it blocks."""
    found = list(_about_concentration(session, pump, fill))
    found += _about_pump(session, fill)
    setting = setting_in_force(session, pump.id, fill.at)
    return found + (cautions_about(session, pump, _values(setting)) if setting else [])


def pumps_after(
    session: Session, visits: Collection[tuple[Fill, Device]], zone: dt.tzinfo = dt.UTC
) -> dict[int, PumpAfter]:
    """By fill id: does the pump run since that visit? The sentence tells the time of `zone`."""
    ids = [pump.id for _, pump in visits]
    words, opened = _newest_words(session, ids), _open_sessions(session, ids)
    return {
        fill.id: PumpAfter(
            *after_visit(
                fill.at,
                pump.report_interval_s > 0,
                words.get(pump.id),
                opened.get(pump.id),
                (fill.programmed or {}).get("state"),
                zone,
            )
        )
        for fill, pump in visits
    }


def to_do(fill: Fill, after: PumpAfter) -> list[str]:
    """What is left to do about a visit, in words, the most urgent first."""
    found = [f"{after.sentence[:1].upper()}{after.sentence[1:]}."] if after.state in _UNSAFE else []
    if "not_as_prescribed" in fill.flags:
        found.append(
            "The pump shows other settings than prescribed: programme it, or prescribe what it gives."
        )
    if fill.confirmed_by_id is None:
        found.append("A second person has to confirm drug, concentration and volume.")
    if after.state is AfterVisit.NOT_HEARD:
        found.append("Not yet heard of since the visit: make sure that the pump runs.")
    return found


_UNSAFE: Final = (AfterVisit.NOT_RUNNING, AfterVisit.SESSION_OPEN)


def _about_concentration(session: Session, pump: Device, fill: Fill) -> Iterator[Caution]:
    if fill.bridge is not None:
        return
    for name, (old, new) in changed_concentrations(session, pump, fill).items():
        message = (
            f"{name} was {old:g} mg/mL and is {new:g} mg/mL now: tubing and catheter still hold the old one."
            " Record the bridge bolus; without it the dose shown is not what the patient gets at first"
        )
        yield Caution("concentration_changed", "bridge", message, "78stepshealth.us infusate complications")


def _about_pump(session: Session, fill: Fill) -> Iterator[Caution]:
    state = (fill.programmed or {}).get("state")
    if state is not None and state != "running":
        message = f"the programmer showed the pump {state}: start it before the patient leaves"
        yield Caution("left_stopped", "programmed.state", message, _STOPPED)
    for difference in not_as_prescribed(session, fill):
        name, unit = _SHOWN[difference.field]
        message = (
            f"the programmer shows a {name} of {difference.reported:g} {unit}, "
            f"prescribed is {difference.prescribed:g} {unit}"
        )
        yield Caution("not_as_prescribed", f"programmed.{difference.field}", message, None)


def _values(setting: DeviceSetting) -> dict[str, Any]:
    return {name: getattr(setting, name) for name in FIELDS["pump"]}


def _newest_words(session: Session, ids: Collection[int]) -> dict[int, PumpWord]:
    own, stated = PumpSample.device_id.in_(ids), PumpSample.state.is_not(None)
    last = (
        select(PumpSample.device_id, func.max(PumpSample.measured_at).label("at"))
        .where(own, stated)
        .group_by(PumpSample.device_id)
        .subquery()
    )
    rows = session.execute(
        select(PumpSample.device_id, PumpSample.state, PumpSample.measured_at)
        .join(last, (PumpSample.device_id == last.c.device_id) & (PumpSample.measured_at == last.c.at))
        .where(stated)
        .order_by(PumpSample.seq)
    )
    return {device_id: PumpWord(str(state), measured_at) for device_id, state, measured_at in rows}


def _open_sessions(session: Session, ids: Collection[int]) -> dict[int, dt.datetime]:
    """When the newest programming session of each pump began, where nobody closed it."""
    rows = session.execute(
        select(DeviceEvent.device_id, DeviceEvent.kind, func.max(DeviceEvent.measured_at))
        .where(DeviceEvent.device_id.in_(ids), DeviceEvent.kind.in_(_SESSION))
        .group_by(DeviceEvent.device_id, DeviceEvent.kind)
    )
    at: dict[tuple[int, str], dt.datetime] = {(device_id, kind): when for device_id, kind, when in rows}
    return {
        device_id: opened
        for (device_id, kind), opened in at.items()
        if kind == _SESSION[0] and ((device_id, _SESSION[1]) not in at or at[device_id, _SESSION[1]] < opened)
    }


def _iso(at: dt.datetime | None) -> str | None:
    return at.isoformat() if at else None
