"""Calendar feeds: secret addresses, and the appointments behind them as iCalendar (RFC 5545, RFC 7986).

A feed says when and, for a room, where; names only where its owner asked for them; never a drug or a dose.
"""

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event
from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload

from sc_stim.access import allowed, in_clinic
from sc_stim.clinical.slots import shipped_rules
from sc_stim.models import Appointment, CalendarFeed, ClinicResource, Device, Forecast, Patient
from sc_stim.models.appointment import CANCELLED, pumps_without_visit
from sc_stim.workflows import audit
from sc_stim.workflows.accounts import digest
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refusals import Conflict

ACTION: Final = "calendar.manage"  # who may make a feed; one whose maker may no longer does not answer
PRODUCT: Final = "-//sc_stim//calendar feed//EN"
REFRESH: Final = dt.timedelta(hours=6)
PAST: Final = dt.timedelta(days=90)
DUE_WITHIN: Final = dt.timedelta(days=90)
VISIT: Final = "Refill visit"
DUE: Final = "Refill due, no visit booked"


def create(
    session: Session,
    actor: Actor,
    resource: ClinicResource | None,
    *,
    shows_names: bool,
    at: dt.datetime,
) -> tuple[CalendarFeed, str]:
    """A feed of the whole clinic or of one nurse or room, and the secret of its address, which is not kept."""
    token = secrets.token_urlsafe(32)
    feed = CalendarFeed(
        clinic_id=actor.clinic_id,
        resource=resource,
        token_sha256=digest(token),
        shows_names=shows_names,
        created_by_id=actor.user_id,
        created_at=at,
    )
    session.add(feed)
    session.flush()
    detail = {"resource": str(resource.public_id) if resource else None, "shows_names": shows_names}
    audit.record(session, actor, "calendar.create", "calendar", feed.public_id, detail, at=at)
    return feed, token


def revoke(session: Session, actor: Actor, feed: CalendarFeed, *, at: dt.datetime) -> None:
    """The address answers no more. Raises Conflict when it was revoked before."""
    if feed.revoked_at is not None:
        raise Conflict("this feed was revoked before")
    feed.revoked_at = at
    audit.record(session, actor, "calendar.revoke", "calendar", feed.public_id, at=at)


def find(session: Session, token: str) -> CalendarFeed | None:
    """The feed of this secret, while it is not revoked, its maker still may see appointments, and the nurse whose it is
    still works here.
    """
    statement = select(CalendarFeed).where(
        CalendarFeed.token_sha256 == digest(token), CalendarFeed.revoked_at.is_(None)
    )
    feed = session.scalars(statement).one_or_none()
    if feed is None or not feed.created_by.active or not allowed(feed.created_by.role, ACTION):
        return None
    nurse = feed.resource.user if feed.resource else None
    return None if nurse is not None and not nurse.active else feed


def note_read(session: Session, feed: CalendarFeed, seal_key: bytes, *, at: dt.datetime) -> None:
    """Remember the read. Programs read many times a day: the first read of each day (UTC) is on the audit trail."""
    before, feed.last_read_at = feed.last_read_at, at
    if before is None or before.date() < at.date():
        reader = Actor(feed.clinic_id, "calendar feed", seal_key)
        detail = {"shows_names": feed.shows_names}
        audit.record(session, reader, "calendar.read", "calendar", feed.public_id, detail, at=at)


def render(session: Session, feed: CalendarFeed, *, at: dt.datetime) -> tuple[bytes, str]:
    """The calendar, and a tag that is the same while nothing in it changes but the time it was made at."""
    events = [_visit(row, feed) for row in _appointments(session, feed, at)]
    if feed.resource_id is None:
        until = at.astimezone(ZoneInfo(feed.clinic.time_zone)).date() + DUE_WITHIN
        rows = pumps_without_visit(session, feed.clinic_id, until)
        events += [_due(device, patient, forecast, feed) for device, patient, forecast, _ in rows]
    body: bytes = _calendar(feed, events).to_ical()
    stamped = (b"DTSTAMP", b"LAST-MODIFIED")
    lasting = b"\n".join(line for line in body.splitlines() if not line.startswith(stamped))
    return body, hashlib.sha256(lasting).hexdigest()


def _appointments(session: Session, feed: CalendarFeed, at: dt.datetime) -> Sequence[Appointment]:
    shown = dt.timedelta(days=shipped_rules().cancelled_shown_d)
    statement = in_clinic(select(Appointment), Appointment, feed.clinic_id).where(
        Appointment.starts_at > at - PAST,
        or_(Appointment.state != CANCELLED, Appointment.changed_at > at - shown),
    )
    if feed.resource_id is not None:
        statement = statement.where(Appointment.resource_id == feed.resource_id)
    nested = joinedload(Appointment.resource), joinedload(Appointment.patient)
    return session.scalars(statement.order_by(Appointment.starts_at, Appointment.id).options(*nested)).all()


def _visit(row: Appointment, feed: CalendarFeed) -> Event:
    zone = ZoneInfo(row.time_zone)
    event = _event(f"{row.public_id}@sc-stim", VISIT, row.patient, feed)
    # The local time that was meant. In the hour that a clock change repeats, only UTC can say which one.
    local = dt.datetime.combine(row.day, row.time, zone)
    event.add("dtstart", row.starts_at if row.fold else local)
    event.add("duration", row.ends_at - row.starts_at)
    event.add("dtstamp", row.changed_at)
    event.add("created", row.created_at)
    event.add("last-modified", row.changed_at)
    event.add("sequence", row.sequence)
    event.add("status", "CANCELLED" if row.state == CANCELLED else "CONFIRMED")
    if row.resource.kind == "room":
        event.add("location", row.resource.name)
    return event


def _due(device: Device, patient: Patient | None, forecast: Forecast, feed: CalendarFeed) -> Event:
    """The days in which to fill, whole days, blocking nobody's time. Another date is another entry."""
    last: dt.date = forecast.refill_by  # type: ignore[assignment]  # as selected
    first = last - dt.timedelta(days=shipped_rules().days_before_refill_by)
    event = _event(f"due-{device.public_id}-{last:%Y%m%d}@sc-stim", DUE, patient, feed)
    event.add("dtstart", first)
    event.add("dtend", last + dt.timedelta(days=1))
    event.add("dtstamp", forecast.computed_at)
    event.add("transp", "TRANSPARENT")
    return event


def _event(uid: str, summary: str, patient: Patient | None, feed: CalendarFeed) -> Event:
    event = Event()
    event.add("uid", uid)
    name = patient.display_name if patient is not None and feed.shows_names else None
    event.add("summary", f"{summary}: {name}" if name else summary)
    event.add("class", "PRIVATE")
    return event


def _calendar(feed: CalendarFeed, events: Iterable[Event]) -> Calendar:
    name = feed.resource.name if feed.resource else feed.clinic.name
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("name", name)
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", REFRESH, parameters={"VALUE": "DURATION"})
    for event in events:
        calendar.add_component(event)
    calendar.add_missing_timezones()
    return calendar
