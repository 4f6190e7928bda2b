"""Calendar feeds: their secret addresses, and the calendar behind each."""

import uuid
from typing import Any, Final

from flask import Response, current_app, g, request, url_for
from flask_limiter.util import get_remote_address
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.exceptions import NotFound

from sc_stim import clock
from sc_stim.access import PUBLIC, in_clinic, requires
from sc_stim.api.fields import PageQuery
from sc_stim.api.http import NO_ROW, Resource, find_or_404, shown_once
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_appointments import (
    CalendarFeedSchema,
    CalendarFeedWithAddressSchema,
    NewCalendarFeedSchema,
)
from sc_stim.extensions import db, limiter
from sc_stim.failures import Invalid
from sc_stim.guard import actor
from sc_stim.models import CalendarFeed, ClinicResource, scope
from sc_stim.workflows import calendar_feed

feeds = Resource("calendar-feeds", __name__, "Addresses at which calendar programs read appointments.")
calendar = Resource("calendar", __name__, "Appointments for calendar programs.", url_prefix="/calendar")

TEXT_CALENDAR: Final = "text/calendar"
WRONG_ADDRESSES: Final = "100 per 15 minutes"  # of one caller; a clinic may share one address


@feeds.get("/calendar-feeds")
@requires(calendar_feed.ACTION)
@feeds.arguments(PageQuery, location="query")
@feeds.response(200, page_of(CalendarFeedSchema))
def list_calendar_feeds(query: dict[str, Any]) -> Any:
    """List feeds, revoked ones included; their addresses are not kept."""
    statement = in_clinic(select(CalendarFeed), CalendarFeed, g.user.clinic_id)
    nested = joinedload(CalendarFeed.resource), joinedload(CalendarFeed.created_by)
    return page(statement.options(*nested), query, [CalendarFeed.id])


@feeds.post("/calendar-feeds")
@requires(calendar_feed.ACTION)
@shown_once
@feeds.arguments(NewCalendarFeedSchema)
@feeds.response(201, CalendarFeedWithAddressSchema)
def create_calendar_feed(new: dict[str, Any]) -> list[Any]:
    """Make a feed. Its address is in this answer and nowhere else.

    It ends when it is revoked, and when its maker's account is closed.
    """
    resource = None
    if new.get("resource_id"):
        resource = scope.find(db.session, ClinicResource, g.user.clinic_id, new["resource_id"])
        if resource is None:
            raise Invalid("resource_id", "there is no such nurse or room here")
    feed, token = calendar_feed.create(
        db.session, actor(), resource, shows_names=new["shows_names"], at=clock.now()
    )
    base = current_app.config["SETTINGS"].public_url or request.host_url
    return [feed, {"address": base.rstrip("/") + url_for("calendar.show_calendar", token=token)}]


@feeds.delete("/calendar-feeds/<uuid:feed_id>")
@requires(calendar_feed.ACTION)
@feeds.response(204)
@feeds.alt_response(409, response="CONFLICT")
def revoke_calendar_feed(feed_id: uuid.UUID) -> None:
    """Revoke a feed: its address answers no more."""
    calendar_feed.revoke(db.session, actor(), find_or_404(CalendarFeed, feed_id), at=clock.now())


@calendar.get("/<token>.ics")
@requires(PUBLIC)
@limiter.limit(
    WRONG_ADDRESSES, key_func=get_remote_address, deduct_when=lambda answer: answer.status_code == 404
)
@calendar.response(200, {"type": "string"}, content_type=TEXT_CALENDAR)
@calendar.alt_response(304, description="Unchanged since the ETag sent as If-None-Match.")
@calendar.alt_response(429, response="TOO_MANY_REQUESTS")
def show_calendar(token: str) -> Response:
    """Read a calendar (RFC 5545). The address is the secret; it needs no sign-in."""
    feed, at = calendar_feed.find(db.session, token), clock.now()
    if feed is None:
        raise NotFound(NO_ROW)
    body, tag = calendar_feed.render(db.session, feed, at=at)
    calendar_feed.note_read(db.session, feed, current_app.config["AUDIT_SEAL_KEY"], at=at)
    response = Response(body, content_type=f"{TEXT_CALENDAR}; charset=utf-8")
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(tag)
    return response.make_conditional(request)
