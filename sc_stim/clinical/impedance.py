"""Impedance of the contacts over time: which contact jumped, is open or is short. The one rule for every judgement.

Each contact is compared with its own usual value, since no manufacturer publishes a threshold (data/impedance.json). A
posture can raise a reading for a moment, so one reading alone is told as not confirmed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from statistics import median
from typing import Literal

from sc_stim.clinical import reference

Fault = Literal["open", "short", "jump"]
Reading = tuple[datetime, Sequence[float | None]]  # Ohm per contact in contact order; None: not measured
Point = tuple[datetime, float]  # one contact's reading in Ohm


@dataclass(frozen=True, slots=True)
class ImpedanceRules:
    """The figures of data/impedance.json; `open_ohm` and `short_ohm` of a model go before them."""

    version: str
    open_ohm: float
    short_ohm: float
    jump_ratio: float
    jump_least_ohm: float
    usual_readings: int
    usual_least_readings: int
    confirming_readings: int


@cache
def shipped_rules() -> ImpedanceRules:
    document = reference.load("impedance.json")
    value = {name: reference.figure(entry).value for name, entry in document["figures"].items()}
    return ImpedanceRules(
        version=document["version"],
        open_ohm=value["open_ohm"],
        short_ohm=value["short_ohm"],
        jump_ratio=value["jump_ratio"],
        jump_least_ohm=value["jump_least_ohm"],
        usual_readings=int(value["usual_readings"]),
        usual_least_readings=int(value["usual_least_readings"]),
        confirming_readings=int(value["confirming_readings"]),
    )


@dataclass(frozen=True, slots=True)
class ContactFault:
    """What happened to one contact, counted from 0.

    usual_ohm: median of its readings before; None where there were too few
    before, during: the raw readings that the judgement rests on, oldest first
    confirmed: measured again and still so
    over: later readings are as usual again
    """

    contact: int
    fault: Fault
    usual_ohm: float | None
    before: tuple[Point, ...]
    during: tuple[Point, ...]
    confirmed: bool
    over: bool

    @property
    def since(self) -> datetime:
        return self.during[0][0]


def contact_faults(
    readings: Iterable[Reading],
    rules: ImpedanceRules | None = None,
    *,
    open_ohm: float | None = None,
    short_ohm: float | None = None,
) -> list[ContactFault]:
    """The newest fault of each contact: the last confirmed one, else one that the newest reading shows.

    open_ohm, short_ohm: of the device's model, in place of the shipped figures
    """
    rules = rules or shipped_rules()
    bounds = (short_ohm or rules.short_ohm, open_ohm or rules.open_ohm)
    in_order = sorted(readings, key=lambda reading: reading[0])
    contacts = max((len(ohm) for _, ohm in in_order), default=0)
    found = (_fault(contact, _of(contact, in_order), bounds, rules) for contact in range(contacts))
    return [fault for fault in found if fault is not None]


def _of(contact: int, readings: Iterable[Reading]) -> Iterator[Point]:
    for at, ohm in readings:
        value = ohm[contact] if contact < len(ohm) else None
        if value is not None:
            yield at, value


def _fault(
    contact: int, points: Iterable[Point], bounds: tuple[float, float], rules: ImpedanceRules
) -> ContactFault | None:
    normal: list[Point] = []
    run: list[Point] = []
    kind: Fault | None = None
    confirmed: ContactFault | None = None
    for point in points:
        seen = _judge(point[1], normal, bounds, rules)
        if seen is not None:
            kind = seen
            run.append(point)
            continue
        if kind is not None and len(run) >= rules.confirming_readings:
            confirmed = _as_fault(contact, kind, normal, run, rules, over=True)
        run, kind = [], None
        normal.append(point)
    if kind is None:
        return confirmed
    now = _as_fault(contact, kind, normal, run, rules, over=False)
    return now if now.confirmed or confirmed is None else confirmed


def _as_fault(
    contact: int, kind: Fault, normal: list[Point], run: list[Point], rules: ImpedanceRules, *, over: bool
) -> ContactFault:
    before = tuple(normal[-rules.usual_readings :])
    is_confirmed = len(run) >= rules.confirming_readings
    return ContactFault(contact, kind, _usual(normal, rules), before, tuple(run), is_confirmed, over)


def _judge(
    ohm: float, normal: list[Point], bounds: tuple[float, float], rules: ImpedanceRules
) -> Fault | None:
    short_ohm, open_ohm = bounds
    if ohm >= open_ohm:
        return "open"
    if ohm <= short_ohm:
        return "short"
    usual = _usual(normal, rules)
    if usual is None or abs(ohm - usual) < rules.jump_least_ohm:
        return None
    return "jump" if max(ohm, usual) >= rules.jump_ratio * min(ohm, usual) else None


def _usual(normal: list[Point], rules: ImpedanceRules) -> float | None:
    """Of this contact's last ordinary readings."""
    if len(normal) < rules.usual_least_readings:
        return None
    return median(ohm for _, ohm in normal[-rules.usual_readings :])
