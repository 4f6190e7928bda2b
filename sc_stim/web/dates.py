"""Days and times in words: the clinic's order of day and month, always with the year's or the day's name spelt out."""

import datetime as dt
from zoneinfo import ZoneInfo

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
    local = value.astimezone(zone)
    name = {0: "today", 1: "yesterday"}.get((today - local.date()).days)
    return f"{name} {local:%H:%M}" if name else moment(value, zone, country)


def days_away(value: dt.date, today: dt.date) -> str:
    """How far a day lies from today: `today`, `in 3 days`, `2 days overdue`."""
    days = (value - today).days
    if days == 0:
        return "today"
    if days == 1:
        return "tomorrow"
    return f"in {days} days" if days > 0 else f"{_count(-days, 'day')} overdue"


def ago(value: dt.datetime, at: dt.datetime) -> str:
    """How long before `at`, in about two digits: `5 min ago`, `26 h ago`, `3 days ago`."""
    minutes = int((at - value).total_seconds() // 60)
    if minutes < 0:
        return "in the future"
    if minutes == 0:
        return "just now"
    if minutes < 100:
        return f"{minutes} min ago"
    hours = minutes // 60
    return f"{hours} h ago" if hours < 48 else f"{hours // 24} days ago"


def duration(seconds: float) -> str:
    """Seconds in the largest unit of which there are two: `90 s`, `15 min`, `6 h`, `3 d`."""
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def age(born: dt.date, today: dt.date) -> int:
    """Completed years of life."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
