"""Days and times in words: the clinic's order of day and month, always with the year's or the day's name spelt out."""

import datetime as dt
from zoneinfo import ZoneInfo

from sc_stim.i18n import _, ngettext

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH_FIRST = frozenset({"US", "PH", "FM", "PW", "MH"})  # countries that write the month before the day


def day(value: dt.date, country: str) -> str:
    """`Mon 23 Nov 2026`, where the month comes first `Mon, Nov 23, 2026`."""
    weekday = WEEKDAYS[value.weekday()]
    if country in MONTH_FIRST:
        return f"{weekday}, {short_day(value, country)}, {value.year}"
    return f"{weekday} {short_day(value, country)} {value.year}"


def short_day(value: dt.date, country: str) -> str:
    """`23 Nov`, where the month comes first `Nov 23`."""
    month = MONTHS[value.month - 1]
    return f"{month} {value.day}" if country in MONTH_FIRST else f"{value.day} {month}"


def moment(value: dt.datetime, zone: ZoneInfo, country: str) -> str:
    """An aware time on the clock of `zone`: `Mon 23 Nov 2026 08:05`."""
    local = value.astimezone(zone)
    return f"{day(local, country)} {local:%H:%M}"


def recent(value: dt.datetime, zone: ZoneInfo, country: str, today: dt.date) -> str:
    """`today 08:05` and `yesterday 08:05`; older times, and times to come, with their date."""
    time = f"{value.astimezone(zone):%H:%M}"
    days_ago = (today - value.astimezone(zone).date()).days
    if days_ago == 0:
        return _("today %(time)s", time=time)
    if days_ago == 1:
        return _("yesterday %(time)s", time=time)
    return moment(value, zone, country)


def days_away(value: dt.date, today: dt.date) -> str:
    """How far a day lies from today: `today`, `in 3 days`, `2 days overdue`."""
    days = (value - today).days
    if days == 0:
        return _("today")
    if days == 1:
        return _("tomorrow")
    if days > 0:
        return ngettext("in %(num)s day", "in %(num)s days", days)
    return ngettext("%(num)s day overdue", "%(num)s days overdue", -days)


def ago(value: dt.datetime, at: dt.datetime) -> str:
    """How long before `at`, in about two digits: `5 min ago`, `26 h ago`, `3 days ago`."""
    minutes = int((at - value).total_seconds() // 60)
    if minutes < 0:
        return _("in the future")
    if minutes == 0:
        return _("just now")
    if minutes < 100:
        return _("%(minutes)s min ago", minutes=minutes)
    hours = minutes // 60
    if hours < 48:
        return _("%(hours)s h ago", hours=hours)
    return ngettext("%(num)s day ago", "%(num)s days ago", hours // 24)


def duration(seconds: float) -> str:
    """Seconds in the largest unit of which there are two: `90 s`, `15 min`, `6 h`, `3 d`."""
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def age(born: dt.date, today: dt.date) -> int:
    """Completed years of life."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
