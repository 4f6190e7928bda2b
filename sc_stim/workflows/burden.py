"""What the alerts of a clinic amount to; the figures are `clinical.burden`'s."""

import datetime as dt
from collections import defaultdict
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sc_stim.clinical.alert_lifecycle import Event
from sc_stim.clinical.burden import Burden, Life, Span, burden, patient_years
from sc_stim.models import Alert, AlertEntry, Clinic, Device


def clinic_burden(session: Session, clinic_id: int, since: dt.datetime, until: dt.datetime) -> Burden:
    """Alerts opened from `since` to before `until`, for all patients who had an implant then."""
    taken = select(AlertEntry.alert_id, func.min(AlertEntry.at).label("at"))
    taken = taken.where(AlertEntry.event == Event.ACKNOWLEDGE).group_by(AlertEntry.alert_id)
    first = taken.subquery()
    rows = session.execute(
        select(Alert.condition, Alert.severity, Alert.opened_at, first.c.at, Alert.action_taken)
        .outerjoin(first, first.c.alert_id == Alert.id)
        .where(Alert.clinic_id == clinic_id, Alert.historical.is_(False))
        .where(Alert.opened_at >= since, Alert.opened_at < until)
    )
    zone = ZoneInfo(session.get_one(Clinic, clinic_id).time_zone)
    years = patient_years(_watched(session, clinic_id, zone, until).values(), (since, until))
    return burden([Life(*row) for row in rows], years)


def _watched(session: Session, clinic_id: int, zone: ZoneInfo, until: dt.datetime) -> dict[int, list[Span]]:
    """The spans of each patient's implants, from when the clinic registered them: nobody watched before."""
    spans: dict[int, list[Span]] = defaultdict(list)
    devices = select(Device.patient_id, Device.created_at, Device.implanted_on, Device.explanted_on)
    devices = devices.where(Device.clinic_id == clinic_id, Device.patient_id.is_not(None))
    for patient_id, created_at, implanted_on, explanted_on in session.execute(devices):
        if implanted_on is not None and patient_id is not None:
            begin = max(created_at, dt.datetime.combine(implanted_on, dt.time(), zone))
            end = dt.datetime.combine(explanted_on, dt.time(), zone) if explanted_on else until
            spans[patient_id].append((begin, end))
    return spans
