"""Refill visits: what a fill shows, its corrections, and the second person's check.

A fill is never edited. A mistake is corrected by a new fill that names the one it replaces. A prescription and a
bridge bolus that belong to the visit go on record with it, in one transaction.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sc_stim.clinical.delivery import day_number
from sc_stim.clinical.drugs import UnknownDrug, shipped_formulary
from sc_stim.clinical.pump_history import PumpHistory
from sc_stim.clinical.pump_record import Fill as RecordedFill
from sc_stim.clinical.reconciliation import Flag, Reconciliation, pocket_fill_flags
from sc_stim.clinical.refill_checklist import UNSURE, forbidding
from sc_stim.clinical.refill_rules import shipped_rules
from sc_stim.models import Device, DeviceSetting, Fill
from sc_stim.models.device import fills_of, setting_in_force
from sc_stim.models.series import start_of_day
from sc_stim.workflows import outbox, prescribing, refill_alerts
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.bridging import bridge_of_visit
from sc_stim.workflows.prescribing import Difference, differences
from sc_stim.workflows.refill_case import NOT_AS_PRESCRIBED, RefillCase, recorded, refill_case
from sc_stim.workflows.refusals import Conflict, FieldRefused
from sc_stim.workflows.registry import record_about

__all__ = [
    "RefillCase", "compared", "confirm_fill", "expected_residual_ml", "find_fill", "record_fill", "refill_case",
    "settings_around",
]  # fmt: skip

Values = Mapping[str, Any]

EXPIRED_DRUG: Final = "expired_drug"
UNKNOWN_DRUG: Final = "unknown_drug"

_DATE_LINE: Final = dt.timedelta(
    hours=12
)  # dates are local, and the last zone of a day is 12 hours behind UTC
_CORRECTED: Final = "this fill was corrected before: correct its correction"
_NOT_AS_RECORDED: Final = "not what is on record: read again, and correct the record if it is wrong"


def expected_residual_ml(session: Session, pump: Device, at: dt.datetime) -> float | None:
    """What should be left by the programmed arithmetic if the pump is emptied now; None without fill or settings."""
    judged = compared(session, pump, at, aspirated_ml=0.0)  # the expectation does not depend on it
    return judged.expected_ml if judged else None


def compared(
    session: Session, pump: Device, at: dt.datetime, aspirated_ml: float, replaces: Fill | None = None
) -> Reconciliation | None:
    """What drawing out so much would show, before anything is on record; None without fill or settings before it."""
    case = _case_without(session, pump, at, replaces)
    return _reconcile(case, RecordedFill(at=at, filled_ml=0.0, aspirated_ml=aspirated_ml))


def record_fill(
    session: Session,
    actor: Actor,
    pump: Device,
    values: Values,
    replaces: uuid.UUID | None = None,
    *,
    at: dt.datetime,
) -> Fill:
    """Put a refill on record and compare it with what was expected. Raises FieldRefused and Conflict.

    values: `at` of the visit and the other columns of a Fill that people give; `checklist` as {step: answer};
    `bridge` with `volume_ml` or `dead_space_ml`, and `until` where it cannot be computed; `prescribe`: a prescription
    that takes effect with the visit, by somebody who may prescribe
    """
    values = dict(values)
    beside = {name: values.pop(name, None) for name in ("prescribe", "bridge")}
    answers = values.pop("checklist", None) or {}
    if beside["prescribe"] is not None and replaces:
        raise FieldRefused("prescribe", "a correction changes no prescription: prescribe by itself")
    wrong = find_fill(session, pump, replaces) if replaces else None
    if replaces is not None and wrong is None:
        raise FieldRefused("replaces", "this pump has no such fill")
    if wrong is not None and _is_corrected(session, wrong):
        raise Conflict(_CORRECTED)
    _check_fill(pump, values, at)
    _check_answers(answers)
    fill = Fill(
        clinic_id=actor.clinic_id,
        device_id=pump.id,
        performed_by_id=actor.user_id,
        replaces_id=wrong.id if wrong else None,
        checklist=_answered(actor, answers, at) or None,
        created_at=at,
        **values,
    )
    _judge_fill(session, pump, fill, wrong)
    _add_once(session, fill)
    _put_beside(session, actor, pump, fill, beside, at)
    if wrong:
        judge_fills_after(session, pump, min(fill.at, wrong.at))
    refill_alerts.keep(session, pump, fill, wrong, at=at)
    action = "fill.correct" if wrong else "fill.record"
    detail = {"fill": str(fill.public_id)} | ({"replaces": str(replaces)} if replaces else {})
    record_about(session, actor, action, pump, detail, at=at)
    _ask_about(session, pump, at, since=min(fill.at, wrong.at) if wrong else fill.at)
    return fill


def _put_beside(
    session: Session, actor: Actor, pump: Device, fill: Fill, beside: Values, at: dt.datetime
) -> None:
    """What belongs to the visit besides the fill, and whether the pump was programmed as prescribed by then."""
    if beside["prescribe"] is not None:
        values = {"effective_at": fill.at, **beside["prescribe"]}
        setting, _ = prescribing.prescribe(session, actor, pump, values, at=at)
        fill.setting_id = setting.id
    if beside["bridge"] is not None:
        fill.bridge = bridge_of_visit(session, pump, fill, beside["bridge"])
    if not_as_prescribed(session, fill):
        fill.flags = [*fill.flags, NOT_AS_PRESCRIBED]
    session.flush()


def find_fill(session: Session, pump: Device, public_id: uuid.UUID) -> Fill | None:
    """A fill of this pump by its public id."""
    statement = select(Fill).where(Fill.public_id == public_id, Fill.device_id == pump.id)
    return session.scalars(statement).one_or_none()


def confirm_fill(
    session: Session, actor: Actor, pump: Device, fill: Fill, read: Values, *, at: dt.datetime
) -> None:
    """The second person's check. Raises Conflict, and FieldRefused where the two do not agree.

    read: `filled_ml` and `drugs` as the second person reads them off syringe and label, not off the record
    """
    session.refresh(fill, with_for_update=True)
    if fill.performed_by_id == actor.user_id:
        raise Conflict("a fill is confirmed by somebody else than the person who recorded it")
    if fill.confirmed_by_id is not None:
        raise Conflict("this fill is confirmed already")
    if _is_corrected(session, fill):
        raise Conflict("this fill was corrected: confirm its correction")
    difference_ml = round(abs(read["filled_ml"] - fill.filled_ml), 6)  # 20.1 and 20 are 0.1 apart, not more
    if difference_ml > shipped_rules().read_alike_ml:
        raise FieldRefused("filled_ml", f"is {_NOT_AS_RECORDED}")
    if _contents(read["drugs"]) != _contents(fill.drugs):
        raise FieldRefused("drugs", f"are {_NOT_AS_RECORDED}")
    read = dict(read)
    answers = read.pop("checklist", None) or {}
    _check_answers(answers)
    if answers:
        fill.checklist = (fill.checklist or {}) | _answered(actor, answers, at)
    fill.confirmed_by_id, fill.confirmed_at, fill.confirmed_values = actor.user_id, at, read
    record_about(session, actor, "fill.confirm", pump, {"fill": str(fill.public_id)}, at=at)


def settings_around(
    history: Sequence[DeviceSetting], visit_at: dt.datetime, zone: ZoneInfo
) -> tuple[DeviceSetting | None, DeviceSetting | None]:
    """What was prescribed before the local day of a visit, and what held at the end of that day.

    history: of `models.device.settings_of`
    """
    morning = start_of_day(visit_at.astimezone(zone).date(), zone)
    evening = start_of_day(visit_at.astimezone(zone).date() + dt.timedelta(days=1), zone)
    before = [row for row in history if row.effective_at < morning]
    after = [row for row in history if row.effective_at < evening]
    return (before[-1] if before else None), (after[-1] if after else None)


def not_as_prescribed(session: Session, fill: Fill) -> list[Difference]:
    """Where what the programmer showed at the end of the visit is not what was prescribed by then."""
    prescribed = setting_in_force(session, fill.device_id, fill.at)
    if prescribed is None or not fill.programmed:
        return []
    return differences("pump", prescribed, fill.programmed)


def _check_answers(answers: Mapping[str, str]) -> None:
    step = forbidding(answers)
    if step is not None:
        raise FieldRefused("checklist", f"{step.text}: {UNSURE} ({step.source}): {step.if_unsure}")


def _answered(actor: Actor, answers: Mapping[str, str], at: dt.datetime) -> dict[str, Any]:
    said = {"by": actor.name, "at": at.isoformat()}
    return {name: {"answer": answer, **said} for name, answer in answers.items()}


def _check_fill(pump: Device, values: Values, at: dt.datetime) -> None:
    if values["at"] > at:
        raise FieldRefused("at", "lies in the future")
    if pump.explanted_on is not None and (values["at"] - _DATE_LINE).date() > pump.explanted_on:
        raise FieldRefused("at", f"lies after {pump.explanted_on}, when the pump was explanted")
    for name in ("filled_ml", "aspirated_ml", "measured_after_ml"):
        volume_ml = values.get(name)
        if (
            pump.reservoir_ml is not None
            and volume_ml is not None
            and volume_ml > shipped_rules().overfill * pump.reservoir_ml
        ):
            raise FieldRefused(name, f"is more than the reservoir of {pump.reservoir_ml:g} mL holds")
    names = [drug["name"] for drug in values["drugs"]]
    if len(set(names)) < len(names):
        raise FieldRefused("drugs", "name each drug once")


def _judge_fill(session: Session, pump: Device, fill: Fill, replaces: Fill | None) -> None:
    """Set what the record expected, and the flags."""
    case = _case_without(session, pump, fill.at, replaces)
    if any(row.at == fill.at for row in case.fills):
        raise Conflict("a fill of this moment is on record already: correct it by a fill that replaces it")
    judged = _reconcile(case, recorded(fill))
    fill.expected_ml = judged.expected_ml if judged else None
    flags = list(judged.flags) if judged and fill.aspirated_ml is not None else []
    if fill.measured_after_ml is not None:
        flags += pocket_fill_flags(fill.filled_ml, fill.measured_after_ml, case.reservoir_ml, shipped_rules())
    fill.reconciliation = _as_json(judged, flags) if judged and fill.aspirated_ml is not None else None
    of_drugs = _drug_flags(fill, ZoneInfo(case.timezone))
    fill.flags = list(dict.fromkeys([*(flag.name for flag in flags), *of_drugs]))


def _case_without(session: Session, pump: Device, at: dt.datetime, replaces: Fill | None) -> RefillCase:
    """The record, without the fill that is being corrected."""
    case = refill_case(session, [pump.id], at)[pump.id]
    if replaces is None:
        return case
    return replace(case, fills=tuple(row for row in case.fills if row != recorded(replaces)))


def judge_fills_after(session: Session, pump: Device, since: dt.datetime) -> None:
    """What fills after `since` showed, from the record as it is now; what people entered stays.

    For a correction of an earlier fill, and for fills that were put on record without their visit.
    """
    for row in fills_of(session, [pump.id])[pump.id]:
        if row.at > since:
            kept = [name for name in row.flags if name == NOT_AS_PRESCRIBED]
            _judge_fill(session, pump, row, row)
            row.flags = [*row.flags, *(name for name in kept if name not in row.flags)]
    session.flush()


def _reconcile(case: RefillCase, fill: RecordedFill) -> Reconciliation | None:
    """What a fill shows against the one before it; None where there is none, or no settings since then."""
    earlier = [row for row in case.fills if row.at < fill.at]
    rules = shipped_rules()
    read = replace(fill, aspirated_ml=fill.aspirated_ml or 0.0)  # the expectation does not depend on it
    history = PumpHistory(replace(case, fills=(*earlier, read)), day_number(fill.at), ZoneInfo(case.timezone))
    if not earlier or not history.programmed_since(history.fill_days[-2], rules.settings_gap_d):
        return None
    return history.learn(rules).last_refill


def _as_json(judged: Reconciliation, flags: Iterable[Flag]) -> dict[str, Any]:
    figures = {name: value for name, value in asdict(judged).items() if name != "flags" and value is not None}
    return {name: round(value, 3) for name, value in figures.items()} | {
        "sentences": [flag.sentence for flag in flags]
    }


def _drug_flags(fill: Fill, zone: ZoneInfo) -> Iterator[str]:
    """An expired or unknown drug that is in the pump has to be on record, and to be seen."""
    if fill.drug_expires_on is not None and fill.drug_expires_on < fill.at.astimezone(zone).date():
        yield EXPIRED_DRUG
    for drug in fill.drugs:
        try:
            shipped_formulary().lookup(drug["name"])
        except UnknownDrug:
            yield UNKNOWN_DRUG


def _contents(drugs: Iterable[Values]) -> set[tuple[str, float | None]]:
    return {(drug["name"], drug.get("mg_per_ml")) for drug in drugs}


def _add_once(session: Session, fill: Fill) -> None:
    try:
        with session.begin_nested():
            session.add(fill)
    except IntegrityError as error:
        raise Conflict(_CORRECTED) from error


def _is_corrected(session: Session, fill: Fill) -> bool:
    return session.scalar(select(Fill.id).where(Fill.replaces_id == fill.id)) is not None


def _ask_about(session: Session, pump: Device, at: dt.datetime, since: dt.datetime) -> None:
    outbox.ask(session, outbox.REFILL, [pump.id], at, since=since)
    outbox.ask(session, outbox.DEVICE, [pump.id], at)
    if pump.patient_id is not None:
        outbox.ask(session, outbox.PAIN, [pump.patient_id], at, since=since)
