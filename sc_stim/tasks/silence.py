"""Devices that are not heard: an alert each, and its end when the device speaks again."""

import datetime as dt

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.clinical.alarms import SilenceRule, shipped_table
from sc_stim.clinical.clinic_figures import alarms_of
from sc_stim.clinical.silence import SilenceFinding, SilenceKind, Watched, silence
from sc_stim.models import Alert, Device, DeviceState
from sc_stim.models.clinic_figure import own_figures
from sc_stim.models.worklist import is_silent
from sc_stim.workflows import alerts

KINDS = tuple(kind.value for kind in SilenceKind)


def find_silent(session: Session, at: dt.datetime) -> int:
    """Judge every implanted device that has become silent or that an alert calls silent; returns how many are."""
    silent = 0
    candidates = _candidates(session, at)
    own = own_figures(session, {device.clinic_id for device, _ in candidates})
    for device, state in candidates:
        rule = alarms_of(own[device.clinic_id]).silence
        finding = silence(_watched(device, state), at, rule)
        silent += finding is not None
        for kind in KINDS:
            if finding and finding.kind == kind:
                alerts.raise_alert(session, _condition(device, finding, rule), at=at)
            else:
                key = alerts.open_key(kind, device_id=device.id, patient_id=device.patient_id)
                alerts.return_to_normal(session, key, at=at)
    return silent


def _candidates(session: Session, at: dt.datetime) -> list[tuple[Device, DeviceState | None]]:
    called_silent = select(Alert.device_id).where(Alert.condition.in_(KINDS), Alert.open_key.is_not(None))
    statement = (
        select(Device, DeviceState)
        .outerjoin(DeviceState, DeviceState.device_id == Device.id)
        .where((Device.in_use & is_silent(at)) | Device.id.in_(called_silent))
    )
    return [(device, state) for device, state in session.execute(statement)]


def _watched(device: Device, state: DeviceState | None) -> Watched:
    explanted = device.explanted_on
    return Watched(
        watched_since=device.created_at,
        report_interval=dt.timedelta(seconds=device.report_interval_s),
        last_measured_at=state.measured_at if state else None,
        last_received_at=state.heard_at if state else None,
        explanted_at=dt.datetime.combine(explanted, dt.time(), dt.UTC) if explanted else None,
    )


def _condition(device: Device, finding: SilenceFinding, rule: SilenceRule) -> alerts.Condition:
    return alerts.Condition(
        clinic_id=device.clinic_id,
        patient_id=device.patient_id,
        device_id=device.id,
        name=finding.kind.value,
        severity=finding.severity.code,
        since=finding.since,
        effect_key=alerts.condition_key(device.id, finding.kind.value, finding.since, finding.severity.code),
        same_cause=alerts.condition_keys(device.id, finding.kind.value, finding.since),
        model_version=f"alarms-{shipped_table().version}",
        detail={"report_interval_s": device.report_interval_s} | _own_figure(rule),
    )


def _own_figure(rule: SilenceRule) -> dict[str, str]:
    """Where the clinic itself has said how long a device may keep silent, the alert says so."""
    intervals = rule.intervals
    if not intervals.by_clinic:
        return {}
    return {"silent_after": f"{intervals.value:g} report intervals without data, {intervals.cited}"}
