"""Whom an alert that nobody has taken calls, and when.

A ladder is a list of steps. Each is due so long after people were first told, once, for the severities it names, and
calls whoever is on call, named contacts, or both. A step that finds nobody calls every contact of the clinic: an empty
rota must not mean silence. Quiet hours of a contact hold a message back until they end, never one about a high alert.
Somebody acknowledging the alert ends the calls; that is the life-cycle's business, not this rule's.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from sc_stim.clinical import reference

NEVER_QUIET: Final = "high"


@dataclass(frozen=True, slots=True)
class Quiet:
    """Local times of the clinic, over midnight where `end` is before `start`."""

    start: dt.time
    end: dt.time

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError("quiet hours begin and end at different times, or nobody would ever be told")

    def holds(self, at: dt.datetime, zone: ZoneInfo) -> bool:
        return _within(self.start, self.end, at.astimezone(zone).time())

    def over_at(self, at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
        """The first end of these hours after `at`."""
        today = at.astimezone(zone).date()
        ends = (
            dt.datetime.combine(today + dt.timedelta(days=days), self.end, zone).replace(fold=fold)
            for days in (0, 1)
            for fold in (0, 1)  # it may come twice, or not at all and then lie within these hours
        )
        later = (end.astimezone(dt.UTC) for end in ends)
        return min(end for end in later if end > at and not self.holds(end, zone))


@dataclass(frozen=True, slots=True)
class Person:
    """A contact as the ladder knows it."""

    id: str
    quiet: Quiet | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """Somebody is on call once, from `starts_at` until `ends_at`."""

    person: str
    starts_at: dt.datetime
    ends_at: dt.datetime

    def covers(self, at: dt.datetime, zone: ZoneInfo) -> bool:
        return self.starts_at <= at < self.ends_at


@dataclass(frozen=True, slots=True)
class WeeklyShift:
    """Somebody is on call every week from `start` on `weekday` (0 is Monday), local time, over midnight where `end` is
    not after `start`. Read off the clock on the wall, so that shifts which meet also meet when the clocks change.
    """

    person: str
    weekday: int
    start: dt.time
    end: dt.time

    def covers(self, at: dt.datetime, zone: ZoneInfo) -> bool:
        local = at.astimezone(zone).replace(tzinfo=None, fold=0)
        return any(self._begins(local.date() - dt.timedelta(days=days), local) for days in (0, 1))

    def _begins(self, day: dt.date, local: dt.datetime) -> bool:
        last_day = day if self.start < self.end else day + dt.timedelta(days=1)
        start, end = dt.datetime.combine(day, self.start), dt.datetime.combine(last_day, self.end)
        return day.weekday() == self.weekday and start <= local < end


@dataclass(frozen=True, slots=True)
class Step:
    """`contacts`: ids; together with `on_call` False and no contacts, the step calls everybody."""

    after: dt.timedelta
    severities: frozenset[str]
    on_call: bool = False
    contacts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ladder:
    """`steps` in the order of their times."""

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        times = [step.after for step in self.steps]
        if times != sorted(times) or any(after < dt.timedelta() for after in times):
            raise ValueError("the steps of a ladder are in the order of their times, none before the alert")


@dataclass(frozen=True, slots=True)
class Clinic:
    """What the clinic has arranged."""

    ladder: Ladder
    people: tuple[Person, ...]
    rota: tuple[Shift | WeeklyShift, ...]
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Call:
    """An alert that waits for somebody. `steps_done`: how many steps of the ladder are behind it since `called_at`."""

    severity: str
    called_at: dt.datetime
    steps_done: int = 0


@dataclass(frozen=True, slots=True)
class Tell:
    """`at` lies after now where quiet hours hold the message back."""

    person: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class DueStep:
    """`first`: no step before it was for this severity. `nobody_found`: it meant nobody who could be told, so it tells
    everybody.
    """

    index: int
    tells: tuple[Tell, ...]
    first: bool
    nobody_found: bool


@dataclass(frozen=True, slots=True)
class Due:
    """Steps that are due, how many are behind the alert then, and when the next is; None: no further one."""

    steps: tuple[DueStep, ...]
    steps_done: int
    next_at: dt.datetime | None


def due(call: Call, clinic: Clinic, at: dt.datetime) -> Due:
    """What is to be done about this call now. Asking again with the returned `steps_done` repeats nothing."""
    found: list[DueStep] = []
    for index, step in enumerate(clinic.ladder.steps):
        if index < call.steps_done or call.severity not in step.severities:
            continue
        due_at = call.called_at + step.after
        if due_at > at:
            return Due(tuple(found), index, due_at)
        found.append(_due_step(index, step, call, clinic, at))
    return Due(tuple(found), len(clinic.ladder.steps), None)


def on_call(rota: Collection[Shift | WeeklyShift], zone: ZoneInfo, at: dt.datetime) -> list[str]:
    """Who is on call, each once, in the order of the rota."""
    return list(dict.fromkeys(shift.person for shift in rota if shift.covers(at, zone)))


def _due_step(index: int, step: Step, call: Call, clinic: Clinic, at: dt.datetime) -> DueStep:
    by_id = {person.id: person for person in clinic.people}
    meant = [*(on_call(clinic.rota, clinic.zone, at) if step.on_call else ()), *step.contacts]
    reached = [by_id[person] for person in dict.fromkeys(meant) if person in by_id]
    means_somebody = step.on_call or bool(step.contacts)
    tells = (
        Tell(person.id, _when(person, call.severity, clinic.zone, at)) for person in reached or clinic.people
    )
    first = not any(call.severity in earlier.severities for earlier in clinic.ladder.steps[:index])
    return DueStep(index, tuple(tells), first, means_somebody and not reached)


def _when(person: Person, severity: str, zone: ZoneInfo, at: dt.datetime) -> dt.datetime:
    if severity == NEVER_QUIET or person.quiet is None or not person.quiet.holds(at, zone):
        return at
    return person.quiet.over_at(at, zone)


def _within(start: dt.time, end: dt.time, now: dt.time) -> bool:
    return start <= now < end if start < end else now >= start or now < end


def ladder_of(steps: Sequence[Mapping[str, Any]]) -> Ladder:
    """A ladder from its stored form: after_min, severities, on_call, contacts."""
    return Ladder(
        tuple(
            Step(
                dt.timedelta(minutes=step["after_min"]),
                frozenset(step["severities"]),
                step["on_call"],
                tuple(step["contacts"]),
            )
            for step in steps
        )
    )


@cache
def default_steps() -> tuple[dict[str, Any], ...]:
    """The shipped ladder in its stored form, for a clinic that has not set one."""
    return tuple(
        {
            "after_min": int(reference.figure(step["after"]).value),
            "severities": step["severities"],
            "on_call": step["on_call"],
            "contacts": step["contacts"],
        }
        for step in reference.load("escalation.json")["steps"]
    )
