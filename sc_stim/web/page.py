"""What every page has in common: its clinic, its words, its navigation, and whether the system itself is well."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from flask import g, render_template, url_for
from markupsafe import Markup

import sc_stim
from sc_stim import clock
from sc_stim.access import allowed
from sc_stim.models import Clinic, User
from sc_stim.web import dates, words
from sc_stim.web.assets import asset
from sc_stim.web.blueprint import pages
from sc_stim.web.charts import number

# (words, endpoint, action): the ways through the pages; a role sees those it may go. The first is its home.
WAYS = (
    ("Worklist", "web.worklist", "refills.read"),
    ("Alerts", "web.alerts", "alerts.read"),
    ("Patients", "web.patients", "patients.read"),
    ("Devices", "web.devices", "devices.read"),
    ("Audit trail", "web.audit_trail", "audit.read"),
    ("Clinic and users", "web.clinic", "users.manage"),
)


def ways(role: str) -> list[tuple[str, str]]:
    """(words, address) of the pages this role may open, its home first."""
    return [(words, url_for(endpoint)) for words, endpoint, action in WAYS if allowed(role, action)]


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


def render(template: str, **values: Any) -> str:
    """A page as of now, in the clinic's dates."""
    return render_template(template, at=at(), today=today(), **values)


@pages.app_context_processor
def _every_page() -> dict[str, Any]:
    user: User | None = g.get("user")
    return {
        "user": user,
        "ways": ways(user.role) if user else [],
        "version": sc_stim.__version__,
        "asset": asset,
        "words": words,
        "number": number,
        "days_away": dates.days_away,
        "ago": dates.ago,
        "age": dates.age,
        "day": _day,
        "moment": _moment,
    }


def _day(value: dt.date) -> Markup:
    """A date as the clinic writes it, readable by machines too."""
    return Markup('<time datetime="{}">{}</time>').format(value.isoformat(), dates.day(value, country()))


def _moment(value: dt.datetime) -> Markup:
    """An instant on the clinic's clock."""
    local = value.astimezone(zone())
    return Markup('<time datetime="{}">{}</time>').format(
        local.isoformat(timespec="minutes"), dates.moment(value, zone(), country())
    )


def _clinic() -> Clinic:
    return g.user.clinic


@pages.app_template_filter("day_words")
def _day_words(value: dt.date) -> str:
    """A date as the clinic writes it, as bare text."""
    return dates.day(value, country())


@pages.app_template_filter("dialled")
def _dialled(number: str) -> str:
    """What a telephone dials: digits, with the plus in front if there is one."""
    digits = "".join(character for character in number if character in "0123456789")
    return f"+{digits}" if number.strip().startswith("+") else digits
