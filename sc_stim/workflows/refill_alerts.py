"""What a pump's newest fill shows becomes an alert, and ends with a correction or a fill that shows it no more."""

import datetime as dt

from sqlalchemy.orm import Session

from sc_stim.clinical.drugs import UnknownDrug, shipped_formulary
from sc_stim.clinical.reconciliation import FlagSeverity, alerting, flag_severities
from sc_stim.clinical.refill import MODEL_VERSION
from sc_stim.models import Device, Fill
from sc_stim.models.device import fills_of
from sc_stim.workflows import alerts


def keep(session: Session, pump: Device, fill: Fill, replaced: Fill | None, *, at: dt.datetime) -> None:
    """Raise and end the alerts about this pump's fills, now that `fill` is on record.

    Only the newest fill speaks of the pump as it is, and none of a pump that is out. A correction that shows the same
    is the same cause.
    """
    newest = fills_of(session, [pump.id])[pump.id][-1]
    standing = alerting(newest.flags) if pump.explanted_on is None else []
    before = replaced if newest.id == fill.id else None
    for name, flag in flag_severities().items():
        if name in standing:
            same_as = before if before and name in before.flags else None
            alerts.raise_alert(session, _condition(pump, newest, name, flag, same_as), at=at)
        else:
            key = alerts.open_key(name, device_id=pump.id, patient_id=pump.patient_id)
            alerts.return_to_normal(session, key, at=at)


def _condition(
    pump: Device, fill: Fill, name: str, flag: FlagSeverity, same_as: Fill | None
) -> alerts.Condition:
    found = (fill.reconciliation or {}).get("sentences", [])
    return alerts.Condition(
        clinic_id=pump.clinic_id,
        patient_id=pump.patient_id,
        device_id=pump.id,
        name=name,
        severity=flag.for_class(_withdrawal_class(fill)),
        since=fill.at,
        effect_key=_key(fill, name),
        same_cause=(_key(fill, name), _key(same_as, name)) if same_as else (),
        model_version=MODEL_VERSION,
        detail={
            "fill": str(fill.public_id),
            "found": "; ".join(found),
            "rests_on": f"{flag.note} ({flag.source})",
        },
    )


def _key(fill: Fill, name: str) -> str:
    return f"fill:{fill.public_id}:{name}"


def _withdrawal_class(fill: Fill) -> str:
    formulary = shipped_formulary()
    try:
        return formulary.withdrawal_class(drug["name"] for drug in fill.drugs)
    except UnknownDrug:
        return formulary.withdrawal_class(())
