"""Everything about one patient within a time, for one shared axis."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sc_stim.models.alert import Alert
from sc_stim.models.device import Device, DeviceSetting, Fill, fills_with_names, settings_of
from sc_stim.models.patient import Patient, Treatment
from sc_stim.models.replaced import not_replaced
from sc_stim.models.review import Review, standing_reviews, with_people
from sc_stim.models.series import Bucket, Resolution, buckets, pain_series, sample_series
from sc_stim.models.telemetry import DeviceEvent

HOURS_UP_TO: Final = dt.timedelta(days=14)
MOST: Final = 1000  # of each list of a device or patient; the newest are kept

Span = tuple[dt.datetime, dt.datetime]


def timeline_of(session: Session, patient: Patient, since: dt.datetime, until: dt.datetime) -> dict[str, Any]:
    """Series of pain and of each device by hour or local day, and what happened between `since` and `until`."""
    resolution: Resolution = "hour" if until - since <= HOURS_UP_TO else "day"
    edges = list(buckets(since, until, resolution, ZoneInfo(patient.time_zone)))
    span = (since, until)
    return {
        "since": since,
        "until": until,
        "resolution": resolution,
        "pain": pain_series(session, patient.id, edges),
        "devices": [_device(session, device, edges, span) for device in patient.devices],
        "treatments": _treatments(session, patient, span),
        "alerts": _alerts(session, patient, span),
        "reviews": _reviews(session, patient, span),
    }


def _device(session: Session, device: Device, edges: list[Bucket], span: Span) -> dict[str, Any]:
    return {
        "device": device,
        "series": sample_series(session, device.id, device.kind, edges),
        "events": _events(session, device, span),
        "settings": _settings(session, device, span),
        "fills": _fills(session, device, span),
    }


def _events(session: Session, device: Device, span: Span) -> Sequence[DeviceEvent]:
    at = DeviceEvent.measured_at
    statement = select(DeviceEvent).where(DeviceEvent.device_id == device.id, *_within(at, span))
    return session.scalars(statement.order_by(at.desc(), DeviceEvent.seq.desc()).limit(MOST)).all()


def _fills(session: Session, device: Device, span: Span) -> Sequence[Fill]:
    statement = select(Fill).where(Fill.device_id == device.id, *_within(Fill.at, span), not_replaced(Fill))
    newest_first = fills_with_names(statement).order_by(Fill.at.desc(), Fill.id.desc())
    return session.scalars(newest_first.limit(MOST)).all()


def _settings(session: Session, device: Device, span: Span) -> list[DeviceSetting]:
    """With the one in force at the beginning, so that a line can start at the edge of the axis."""
    since, until = span
    history = settings_of(session, [device.id])[device.id]
    in_force = [row for row in history if row.effective_at <= since][-1:]
    newest_first = [*in_force, *(row for row in history if since < row.effective_at < until)][::-1]
    return newest_first[:MOST]


def _treatments(session: Session, patient: Patient, span: Span) -> Sequence[Treatment]:
    """Those of which some day lies within the time."""
    zone = ZoneInfo(patient.time_zone)
    first, last = (at.astimezone(zone).date() for at in span)
    statement = select(Treatment).where(
        Treatment.patient_id == patient.id,
        Treatment.started_on <= last,
        or_(Treatment.ended_on.is_(None), Treatment.ended_on >= first),
    )
    return session.scalars(
        statement.order_by(Treatment.started_on.desc(), Treatment.id.desc()).limit(MOST)
    ).all()


def _alerts(session: Session, patient: Patient, span: Span) -> Sequence[Alert]:
    statement = select(Alert).where(Alert.patient_id == patient.id, *_within(Alert.since, span))
    return session.scalars(statement.order_by(Alert.since.desc(), Alert.id.desc()).limit(MOST)).all()


def _reviews(session: Session, patient: Patient, span: Span) -> Sequence[Review]:
    statement = with_people(standing_reviews(patient.id)).where(*_within(Review.reviewed_at, span))
    newest_first = statement.order_by(Review.reviewed_at.desc(), Review.id.desc())
    return session.scalars(newest_first.limit(MOST)).all()


def _within(column: Any, span: Span) -> tuple[Any, Any]:
    return column >= span[0], column < span[1]
