"""The leads of a stimulator drawn: contacts from tip to tail, which are in use, and what each measured last."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from sc_stim.clinical.impedance import shipped_rules
from sc_stim.devices.catalogue import StimulatorModel, UnknownModel, find_stimulator
from sc_stim.i18n import _
from sc_stim.models import Lead
from sc_stim.models.telemetry import newest_impedance
from sc_stim.web.implants import Implant
from sc_stim.web.words import number

CONTACT_PX: Final = 16
SPACE_PX: Final = 10
LOOK_BACK: Final = dt.timedelta(days=90)  # older impedance says nothing about now
LEAD_PX: Final = 195  # from one lead to the next: room for "not measured" beside a contact, in any language
TOP_PX: Final = 46


@dataclass(frozen=True)
class DrawnContact:
    """`state`: ok, open, short or unknown. `words` say all that the shape shows."""

    y_px: int
    state: str
    in_use: bool
    label: str
    words: str


@dataclass(frozen=True)
class DrawnLead:
    x_px: int
    title: str
    tip: str
    contacts: tuple[DrawnContact, ...]

    @property
    def tail_px(self) -> int:
        return self.contacts[-1].y_px + CONTACT_PX + 14


@dataclass(frozen=True)
class LeadMap:
    width_px: int
    height_px: int
    leads: tuple[DrawnLead, ...]
    programme_known: bool
    measured_at: dt.datetime | None


def draw(session: Session, implant: Implant, at: dt.datetime) -> LeadMap | None:
    """None for a device without leads on record. Contacts count through all leads from 0, as in prescriptions,
    telemetry and cause cards.
    """
    if not implant.device.leads:
        return None
    in_use = set(implant.setting.contacts or ()) if implant.setting else set()
    measured_at, ohm = newest_impedance(session, implant.device.id, at - LOOK_BACK) or (None, [])
    limits = _limits(implant.device.model)
    leads = tuple(_leads(implant.device.leads, ohm, in_use, limits))
    height = max(lead.tail_px for lead in leads) + 6
    return LeadMap(LEAD_PX * len(leads), height, leads, bool(in_use), measured_at)


def _leads(
    leads: Sequence[Lead], ohm: Sequence[float | None], in_use: set[int], limits: tuple[float, float]
) -> Iterator[DrawnLead]:
    first = 0
    for index, lead in enumerate(leads):
        contacts = tuple(
            _contact(place, first + place, ohm, first + place in in_use, limits)
            for place in range(lead.contacts)
        )
        tip = _("tip at %(level)s", level=lead.tip_level) if lead.tip_level else _("level not on record")
        yield DrawnLead(
            LEAD_PX * index + 12, _("Lead %(position)s", position=lead.position + 1), tip, contacts
        )
        first += lead.contacts


def _contact(
    place: int, contact: int, ohm: Sequence[float | None], in_use: bool, limits: tuple[float, float]
) -> DrawnContact:
    value = ohm[contact] if contact < len(ohm) else None
    state = _state(value, limits)
    measured = _("not measured") if value is None else f"{number(round(value))} Ω"
    fault = {"open": _("open?"), "short": _("short?")}.get(state)
    shown = f"{contact}: " + ", ".join(filter(None, (measured, fault)))
    said = ", ".join(filter(None, (measured, fault, _("in use") if in_use else None)))
    y_px = TOP_PX + place * (CONTACT_PX + SPACE_PX)
    return DrawnContact(
        y_px, state, in_use, shown, _("Contact %(number)s: %(said)s", number=contact, said=said)
    )


def _state(ohm: float | None, limits: tuple[float, float]) -> str:
    if ohm is None:
        return "unknown"
    short_ohm, open_ohm = limits
    return "open" if ohm >= open_ohm else "short" if ohm <= short_ohm else "ok"


def _limits(model: str) -> tuple[float, float]:
    """Below and above which a contact counts as broken: of the model, else the shipped figures; all unverified."""
    rules = shipped_rules()
    try:
        known: StimulatorModel = find_stimulator(model)
    except UnknownModel:
        return rules.short_ohm, rules.open_ohm
    return known.impedance_short.value, known.impedance_open.value
