"""The calendar: a week or a month of refill visits, pumps that are due without one, and what each day can hold."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from flask import abort, g, request, url_for
from sqlalchemy import Row, select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from sc_stim.access import in_clinic, requires
from sc_stim.clinical import slots
from sc_stim.clinical.slots import ClinicDiary, Due, NotOffered, Slot
from sc_stim.clinical.workdays import holiday_name
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import Alert, Appointment, ClinicResource
from sc_stim.models.appointment import BOOKED, CANCELLED, DONE, pumps_without_visit
from sc_stim.models.scope import find
from sc_stim.models.worklist import WAITING
from sc_stim.web import dates, page
from sc_stim.web.blueprint import pages
from sc_stim.web.booking import FAR, slot_value, undo_of, value_of
from sc_stim.web.exports import csv_answer
from sc_stim.web.forms import Form
from sc_stim.workflows import audit, booking, visits

VIEWS: Final = {"week": _lazy("Week"), "month": _lazy("Month")}
A_DAY: Final = dt.timedelta(days=1)
A_WEEK: Final = dt.timedelta(days=7)
DUE_WITHIN: Final = dt.timedelta(days=30)  # pumps that are offered when an empty time is chosen
MOST: Final = 100


@dataclass(frozen=True)
class Span:
    """The days that are shown, whole weeks, and the address of the ones before and after."""

    view: str
    on: dt.date
    resource: ClinicResource | None

    @property
    def first(self) -> dt.date:
        start = self.on if self.view == "week" else self.on.replace(day=1)
        return start - start.weekday() * A_DAY

    @property
    def last(self) -> dt.date:
        end = self.on if self.view == "week" else _months_on(self.on, 1) - A_DAY
        return end + (6 - end.weekday()) * A_DAY

    @property
    def name(self) -> str:
        if self.view == "month":
            return f"{dates.MONTHS[self.on.month - 1]} {self.on.year}"
        first, last = (dates.short_day(day, page.country()) for day in (self.first, self.last))
        return _("%(first)s to %(last)s %(year)s", first=first, last=last, year=self.last.year)

    def step(self, direction: int) -> dt.date:
        return self.on + direction * A_WEEK if self.view == "week" else _months_on(self.on, direction)

    def days(self) -> list[dt.date]:
        return [self.first + number * A_DAY for number in range((self.last - self.first).days + 1)]

    def address(self, endpoint: str = "web.calendar", **changes: Any) -> str:
        shown = {"view": self.view, "on": self.on, "resource": self.resource and self.resource.public_id}
        return url_for(endpoint, **(shown | changes))


@dataclass(frozen=True)
class Time:
    """One time of a day of the week: the visits that begin then, and a slot that is free."""

    at: dt.time
    visits: list[Appointment]
    free: str | None


@dataclass(frozen=True)
class Day:
    """`capacity`, `taken` and `free` count slots; `why`: why nothing can be booked; `notes`: who is away."""

    day: dt.date
    here: bool  # within the month that is shown
    capacity: int
    taken: int
    free: list[Slot]
    why: NotOffered | None
    closed: str | None
    notes: list[str]
    visits: list[Appointment] = field(default_factory=list)
    due: list[Row[Any]] = field(default_factory=list)
    times: list[Time] = field(default_factory=list)


@pages.get("/calendar", endpoint="calendar")
@requires("appointments.read")
def show() -> str:
    """`?view=` is one of VIEWS, `?on=` a day of the week or month, `?resource=` a nurse or room."""
    span = _span()
    visits_shown, due = _visits(span), _due(span)
    days = _days(span, visits_shown, due)
    missed = _missed()
    shown = page.render(
        "calendar.html", span=span, views=VIEWS, days=days, missed=missed,
        resources=_resources(), undo=undo_of(), value_of=value_of, weekdays=dates.WEEKDAYS,
        short_day=lambda value: dates.short_day(value, page.country()),
        weekend_open=any(one.capacity or one.visits for one in days if one.day.weekday() > 4),
    )  # fmt: skip
    people = {row.patient for row in (*visits_shown, *missed)} | {row.Patient for row in due}
    seen = {"patients": sorted(str(one.public_id) for one in people if one)}
    audit.record(db.session, actor(), "appointment.list", detail=_asked(span) | seen, at=page.at())
    db.session.commit()
    return shown


@pages.get("/calendar.csv", endpoint="calendar_csv")
@requires("appointments.read")
def download() -> Response:
    """The visits that the calendar shows, and the called-off ones."""
    span = _span()
    found = _visits(span, called_off=True)
    rows = [
        (row.day, f"{row.time:%H:%M}", row.starts_at, row.ends_at, row.resource.name, row.patient.mrn,
         row.patient.display_name, row.patient.phone, row.device.serial, row.state,
         "yes" if row.too_late else "no", row.forecast.refill_by if row.forecast else None, row.note)
        for row in found
    ]  # fmt: skip
    seen = {"patients": sorted({str(row.patient.public_id) for row in found})}
    audit.record(db.session, actor(), "appointment.export", detail=_asked(span) | seen, at=page.at())
    db.session.commit()
    header = (
        "day", "time", "starts_at", "ends_at", "with", "mrn", "patient", "phone", "pump_serial", "state",
        "too_late", "refill_by", "note",
    )  # fmt: skip
    return csv_answer("visits", header, rows)


@pages.get("/calendar-book", endpoint="choose_pump")
@requires("appointments.book")
def choose_pump() -> str:
    """For which pump the time `?day=` and `?slot=` is: those due, the most urgent first."""
    form = Form(request.args)
    day = form.day("day", _("Day")) or page.today()
    found = pumps_without_visit(db.session(), actor().clinic_id, max(day, page.today()) + DUE_WITHIN)[:MOST]
    shown = page.render("choose_pump.html", when=day, time=form["slot"][:5], slot=form["slot"], pumps=found)
    seen = {"patients": sorted(str(row.Patient.public_id) for row in found if row.Patient)}
    audit.record(db.session, actor(), "appointment.list", detail=seen, at=page.at())
    db.session.commit()
    return shown


def _span() -> Span:
    form = Form(request.args)
    view, on = form["view"] or "week", form.day("on", _("Day")) or page.today()
    resource_id, resource = form.id("resource", _("With")), None
    if resource_id is not None:
        resource = find(db.session, ClinicResource, actor().clinic_id, resource_id) or abort(404)
    if view not in VIEWS or form.errors or not page.today() - 10 * FAR <= on <= page.today() + 2 * FAR:
        abort(404)
    return Span(view, on, resource)


def _asked(span: Span) -> dict[str, str]:
    return {"first": span.first.isoformat(), "last": span.last.isoformat()}


def _resources() -> Sequence[ClinicResource]:
    statement = in_clinic(select(ClinicResource), ClinicResource, actor().clinic_id)
    return db.session.scalars(statement.where(ClinicResource.active).order_by(ClinicResource.id)).all()


def _visits(span: Span, *, called_off: bool = False) -> list[Appointment]:
    nested = (Appointment.patient, Appointment.device, Appointment.resource, Appointment.forecast)
    statement = in_clinic(select(Appointment), Appointment, actor().clinic_id).where(
        Appointment.starts_at >= _instant(span.first), Appointment.starts_at < _instant(span.last + A_DAY)
    )
    if span.resource is not None:
        statement = statement.where(Appointment.resource_id == span.resource.id)
    if not called_off:
        statement = statement.where(Appointment.state != CANCELLED)
    order = (Appointment.starts_at, Appointment.resource_id, Appointment.id)
    return list(
        db.session.scalars(statement.order_by(*order).options(*(joinedload(name) for name in nested)))
    )


def _instant(day: dt.date) -> dt.datetime:
    """Its midnight; a day whose midnight the clocks leave out begins as soon as they go on."""
    return dt.datetime.combine(day, dt.time(), page.zone()).astimezone(dt.UTC)


def _due(span: Span) -> list[Row[Any]]:
    """Pumps to refill in these days with no visit in time, and today those that are overdue."""
    if span.last < page.today():
        return []
    found = pumps_without_visit(db.session(), actor().clinic_id, span.last)
    return [row for row in found if span.first <= _shown_on(row) <= span.last]


def _shown_on(row: Row[Any]) -> dt.date:
    refill_by: dt.date = row.Forecast.refill_by
    return max(refill_by, page.today())


def _missed() -> Sequence[Alert]:
    """Missed visits that nobody has made up for: they are work until another one is booked."""
    statement = in_clinic(select(Alert), Alert, actor().clinic_id).where(
        Alert.condition == visits.NOT_SEEN, Alert.state.in_(WAITING)
    )
    nested = joinedload(Alert.patient), joinedload(Alert.device)
    return db.session.scalars(statement.order_by(Alert.since).limit(MOST).options(*nested)).all()


def _days(span: Span, visits_shown: Sequence[Appointment], due: Sequence[Row[Any]]) -> list[Day]:
    diary = booking.clinic_diary(db.session(), g.user.clinic, span.first, span.last)
    names = {row.id: row for row in _resources()}
    if span.resource is not None:
        own = tuple(one for one in diary.diaries if one.key == span.resource.id)
        diary = replace(diary, diaries=own)
    offered = slots.offers(span.first, span.last, page.at(), diary, Due(dt.date.max))
    days = []
    for offer in offered:
        that_day = [row for row in visits_shown if row.day == offer.day]
        days.append(
            Day(
                day=offer.day,
                here=span.view == "week" or offer.day.month == span.on.month,
                capacity=len(slots.every_slot(offer.day, diary)),
                taken=sum(row.state in (BOOKED, DONE) for row in that_day),
                free=list(offer.slots),
                why=offer.not_offered,
                closed=_closed(offer.day, diary),
                notes=list(_notes(offer.day, diary, names)),
                visits=that_day,
                due=[row for row in due if _shown_on(row) == offer.day],
            )
        )
    return _with_times(days, diary, names) if span.view == "week" else days


def _closed(day: dt.date, diary: ClinicDiary) -> str | None:
    """Why the clinic is closed; a public holiday of a weekend is worth its name, too."""
    closed = slots.why_closed(day, diary)
    if closed is None:
        return None
    holiday = holiday_name(day, diary.country)
    return f"closed: {holiday}" if holiday and day not in diary.closures else closed.words


def _notes(day: dt.date, diary: ClinicDiary, names: dict[int, ClinicResource]) -> Iterator[str]:
    for one in diary.diaries:
        absence = one.absence(day)
        if absence is not None:
            yield _("%(who)s not there: %(reason)s", who=names[one.key].name, reason=absence.reason)


def _with_times(days: Sequence[Day], diary: ClinicDiary, names: dict[int, ClinicResource]) -> list[Day]:
    """The same times for every day of the week, so that they stand side by side."""
    every = {slot.time for one in days for slot in slots.every_slot(one.day, diary)}
    begins = sorted(every | {row.time for one in days for row in one.visits})
    found: dict[tuple[dt.date, dt.time], list[Appointment]] = defaultdict(list)
    free: dict[tuple[dt.date, dt.time], str] = {}
    for one in days:
        for row in one.visits:
            found[one.day, row.time].append(row)
        for slot in one.free:
            free.setdefault((one.day, slot.time), slot_value(slot, names[slot.key]))
    return [
        replace(one, times=[Time(at, found[one.day, at], free.get((one.day, at))) for at in begins])
        for one in days
    ]


def _months_on(day: dt.date, months: int) -> dt.date:
    """The first of a month so many months away."""
    years, month = divmod(day.month - 1 + months, 12)
    return dt.date(day.year + years, month + 1, 1)
