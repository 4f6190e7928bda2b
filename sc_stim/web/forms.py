"""Reading forms: what people typed into values, with a sentence for each field that cannot be used.

    form = Form(request.form)
    filled_ml = form.number("filled_ml", "Filled", unit="mL", least=0, most=100)
    if form.errors: show the page again with `form`, status 422

The page shows a field with `parts.field(...)`, which says the error beside it and keeps what was typed.
"""

import datetime as dt
import re
import uuid
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from sc_stim.i18n import _
from sc_stim.web.words import number as said

LONGEST_TEXT: Final = 2000
_NUMBER: Final = re.compile(r"[+-]?\d{1,12}([.,]\d{1,9})?")

_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:00)?")


class Form:
    """`errors`: a sentence by field, in the order in which the fields were read."""

    def __init__(self, typed: Mapping[str, str]) -> None:
        self.errors: dict[str, str] = {}
        self._typed = typed

    def __getitem__(self, field: str) -> str:
        """What was typed, without blanks around it and the NUL that no database stores."""
        return self._typed.get(field, "").replace("\0", "").strip()

    def again(self) -> "Form":
        """The same as it was typed, without what was found: to read what can be read."""
        return Form(self._typed)

    def refuse(self, field: str, why: str) -> None:
        """The first reason given stands."""
        self.errors.setdefault(field, why)

    def text(self, field: str, name: str, *, needed: bool = False, most: int = LONGEST_TEXT) -> str | None:
        """None where nothing was typed."""
        typed = self[field]
        if len(typed) > most:
            self.refuse(
                field,
                _("%(name)s has %(many)s characters; %(most)s fit.", name=name, many=len(typed), most=most),
            )
        if needed and not typed:
            self.refuse(field, _("%(name)s is needed.", name=name))
        return typed or None

    def number(
        self, field: str, name: str, *, least: float, most: float, unit: str = "", needed: bool = False
    ) -> float | None:
        """A decimal number, with a point or a comma."""
        typed = self.text(field, name, needed=needed)
        if typed is None or field in self.errors:
            return None
        if not _NUMBER.fullmatch(typed):
            self.refuse(field, _no_number(name, unit))
            return None
        value = float(Decimal(typed.replace(",", ".")))
        if not least <= value <= most:
            within = {"least": said(least), "most": f"{said(most)} {unit}".rstrip()}
            self.refuse(field, _("%(name)s must lie between %(least)s and %(most)s.", name=name, **within))
            return None
        return value

    def whole(self, field: str, name: str, *, least: int, most: int, needed: bool = False) -> int | None:
        value = self.number(field, name, least=least, most=most, needed=needed)
        if value is not None and value != int(value):
            self.refuse(field, _("%(name)s must be a whole number.", name=name))
            return None
        return None if value is None else int(value)

    def choice(self, field: str, name: str, choices: Collection[str], *, needed: bool = True) -> str | None:
        typed = self[field]
        if not typed and not needed:
            return None
        if typed not in choices:
            self.refuse(field, _not_listed(name))
            return None
        return typed

    def checked(self, field: str) -> bool:
        return field in self._typed

    def day(self, field: str, name: str, *, needed: bool = False) -> dt.date | None:
        typed = self.text(field, name, needed=needed)
        if typed is None:
            return None
        try:
            return dt.date.fromisoformat(typed)
        except ValueError:
            self.refuse(field, _("%(name)s must be a date, as 2026-11-22.", name=name))
            return None

    def moment(self, field: str, name: str, zone: ZoneInfo, *, needed: bool = False) -> dt.datetime | None:
        """What a field of type datetime-local holds, on the clock of this zone; an hour that clocks skip is refused."""
        typed = self.text(field, name, needed=needed)
        if typed is None:
            return None
        try:
            local = dt.datetime.fromisoformat(typed)
        except ValueError:
            self.refuse(field, _("%(name)s must be a date and a time, as 2026-11-22 09:30.", name=name))
            return None
        if local.tzinfo is not None:
            return local.astimezone(dt.UTC)
        moment = local.replace(tzinfo=zone).astimezone(dt.UTC)
        if moment.astimezone(zone).replace(tzinfo=None) != local:
            self.refuse(field, _("%(name)s: the clocks skip this hour on that day.", name=name))
            return None
        return moment

    def time(self, field: str, name: str, *, needed: bool = False) -> dt.time | None:
        """A time of the clinic's day, as a field of type time holds it."""
        typed = self.text(field, name, needed=needed)
        if typed is None:
            return None
        if not _TIME.fullmatch(typed):
            self.refuse(field, _("%(name)s must be a time, as 09:30.", name=name))
            return None
        return dt.time.fromisoformat(typed[:5])

    def id(self, field: str, name: str, *, needed: bool = False) -> uuid.UUID | None:
        typed = self.text(field, name, needed=needed)
        if typed is None:
            return None
        try:
            return uuid.UUID(typed)
        except ValueError:
            self.refuse(field, _not_listed(name))
            return None


def _no_number(name: str, unit: str) -> str:
    if unit:
        return _("%(name)s must be a number of %(unit)s, as 3.5.", name=name, unit=unit)
    return _("%(name)s must be a number, as 3.5.", name=name)


def _not_listed(name: str) -> str:
    return _("Choose %(name)s from the list.", name=f"{name[:1].lower()}{name[1:]}")
