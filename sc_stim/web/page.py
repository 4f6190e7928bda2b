"""What every page has in common: its clinic, its words, its navigation, and whether the system itself is well."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from flask import g, render_template, request, url_for
from markupsafe import Markup

import sc_stim
from sc_stim import clock
from sc_stim.access import allowed
from sc_stim.extensions import db
from sc_stim.i18n import _lazy, language
from sc_stim.models import Clinic, User
from sc_stim.web import dates, words
from sc_stim.web.assets import address_of
from sc_stim.web.blueprint import pages
from sc_stim.workflows import health
from sc_stim.workflows.health import Part

# (name, endpoint, action): the ways through the pages; a role sees those it may go. The first is its home.
WAYS = (
    (_lazy("Worklist"), "web.worklist", "refills.read"),
    (_lazy("Alerts"), "web.alerts", "alerts.read"),
    (_lazy("Calendar"), "web.calendar", "appointments.read"),
    (_lazy("Patients"), "web.patients", "patients.read"),
    (_lazy("Tasks"), "web.tasks", "tasks.read"),
    (_lazy("Devices"), "web.devices", "devices.read"),
    (_lazy("Recalls"), "web.recalls", "recalls.read"),
    (_lazy("Quarantine"), "web.quarantine", "quarantine.read"),
    (_lazy("Audit trail"), "web.audit_trail", "audit.read"),
    (_lazy("Clinic"), "web.clinic", "clinic.manage"),
    (_lazy("Users"), "web.users", "users.manage"),
    (_lazy("Escalation"), "web.escalation", "escalation.manage"),
    (_lazy("Exports"), "web.long_work", "long_work.read"),
    (_lazy("Figures"), "web.clinic_figures", "clinic.manage"),
)


def ways(role: str) -> list[tuple[str, str]]:
    """(name, address) of the pages this role may open, its home first."""
    return [(str(name), url_for(endpoint)) for name, endpoint, action in WAYS if allowed(role, action)]


def zone() -> ZoneInfo:
    """The time zone of the signed-in person's clinic."""
    return ZoneInfo(_clinic().time_zone)


def at() -> dt.datetime:
    """The time of this request, the same wherever the page says "now"."""
    if "at" not in g:
        g.at = clock.now()
    moment: dt.datetime = g.at
    return moment


def today() -> dt.date:
    """The clinic's date now."""
    return at().astimezone(zone()).date()


def country() -> str:
    return _clinic().country


def clinic_name() -> str:
    return _clinic().name


def may(action: str) -> bool:
    """Whether the signed-in person may do this."""
    return allowed(g.user.role, action)


def typed(field: str) -> str:
    """What was typed into a field of a form, without blanks around it and the NUL that no database stores."""
    return request.form.get(field, "").replace("\0", "").strip()


def render(template: str, **values: Any) -> str:
    """A page as of now, in the clinic's dates, with a warning above it when the system itself is not well."""
    return render_template(template, at=at(), today=today(), not_well=_not_well(), **values)


def _not_well() -> list[tuple[str, Part]]:
    """(words, part) of the parts of the system that do not do their work."""
    parts = health.working(db.session, at())
    return [(words.say(words.PART, name), part) for name, part in parts.items() if not part.ok]


@pages.app_context_processor
def _every_page() -> dict[str, Any]:
    user: User | None = g.get("user")
    return {
        "user": user,
        "ways": ways(user.role) if user else [],
        "version": sc_stim.__version__,
        "asset": address_of,
        "language": language,
        "words": words,
        "may": may,
        "duration": dates.duration,
        "number": words.number,
        "days_away": dates.days_away,
        "ago": dates.ago,
        "age": dates.age,
        "day": _day,
        "moment": _moment,
        "recent": _recent,
        "detail_text": _detail_text,
    }


def _day(value: dt.date) -> Markup:
    """A date as the clinic writes it, readable by machines too."""
    return Markup('<time datetime="{}">{}</time>').format(value.isoformat(), dates.day(value, country()))


def _moment(value: dt.datetime) -> Markup:
    """An instant on the clinic's clock."""
    return _time(value, dates.moment(value, zone(), country()))


def _recent(value: dt.datetime) -> Markup:
    """An instant on the clinic's clock, today and yesterday by name."""
    return _time(value, dates.recent(value, zone(), country(), today()))


def _detail_text(text: str) -> str:
    """A text of an alert's detail: dates as the clinic writes them, codes in words."""
    try:
        return _day(dt.date.fromisoformat(text))
    except ValueError:
        return words.in_detail(text)


def _time(value: dt.datetime, said: str) -> Markup:
    local = value.astimezone(zone()).isoformat(timespec="minutes")
    return Markup('<time datetime="{}">{}</time>').format(local, said)


def _clinic() -> Clinic:
    """That of the signed-in person, or of the link by which somebody without an account looks in."""
    clinic: Clinic = g.user.clinic if g.get("user") else g.clinic
    return clinic


@pages.app_template_filter("day_words")
def _day_words(value: dt.date) -> str:
    """A date as the clinic writes it, as bare text."""
    return dates.day(value, country())


@pages.app_template_filter("code_words")
def _code_words(code: str) -> str:
    """A code in lower-case words, as one of a list."""
    return words.plain(code).lower()


@pages.app_template_filter("dialled")
def _dialled(number: str) -> str:
    """What a telephone dials: digits, with the plus in front if there is one."""
    digits = "".join(character for character in number if character in "0123456789")
    return f"+{digits}" if number.strip().startswith("+") else digits
