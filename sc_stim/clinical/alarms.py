"""What each device event and state means: the alarm conditions, their severity and what ends them.

The table lives in data/alarms.json. Severities are the FHIR `devicealert-priority` codes. IEC 60601-1-8 gives
no priority to any particular condition, so the severities here are this project's own hazard judgement.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from functools import cache
from typing import Any

from sc_stim.clinical import reference
from sc_stim.clinical.reference import Figure
from sc_stim.clinical.units import convert


class Severity(IntEnum):
    """FHIR devicealert-priority, ordered: `high` is potentially life-threatening and needs a person at once."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3

    @property
    def code(self) -> str:
        return self.name.lower()


class Effect(StrEnum):
    """`follows`: the event's own raised or cleared decides (an event without either is raised)."""

    ASSERTS = "asserts"
    ENDS = "ends"
    FOLLOWS = "follows"


@dataclass(frozen=True, slots=True)
class Escalation:
    """The severity a condition takes on when it has lasted."""

    after_figure: Figure
    to: Severity

    @property
    def after(self) -> timedelta:
        return duration(self.after_figure)


@dataclass(frozen=True, slots=True)
class AlarmCondition:
    """`severity` by device kind: a condition does not exist for the kinds that are missing.

    `momentary` conditions are over as soon as they happen. `severity_without_withdrawal` holds when every
    drug in the pump is known to have no withdrawal syndrome; `severity_after_visit` is the least for a pump
    that a visit left so. `escalation` is by device kind. `held_until_mri_check`: begun in an MRI, it is not over
    before the check after the scan. `ended_by_interrogation`: also by one that was no programming session.
    """

    name: str
    severity: dict[str, Severity]
    stops_therapy: bool
    momentary: bool
    states_asserting: frozenset[str]
    states_ending: frozenset[str]
    severity_without_withdrawal: Severity | None
    severity_in_mri: Severity | None
    severity_after_visit: Severity | None
    escalation: dict[str, Escalation]
    held_until_mri_check: bool
    ended_by_interrogation: bool
    source: str | None
    rationale: str


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """A device is silent after `intervals` expected report intervals without data."""

    intervals: Figure
    severity: Severity
    escalation: Escalation
    source: str
    rationale: str


@dataclass(frozen=True, slots=True)
class AlarmTable:
    """`events`: kind of event -> what it does to which conditions."""

    version: str
    conditions: dict[str, AlarmCondition]
    events: dict[str, tuple[tuple[str, Effect], ...]]
    silence: SilenceRule
    late_after: Figure
    late_settle: Figure
    stop_within: Figure
    interrogations_apart: Figure

    def cleared_returns_to_normal(self, kind: str) -> bool:
        """Whether a `cleared` of this event kind ends its condition. If not, only a person or a session does."""
        return any(effect is Effect.FOLLOWS for _, effect in self.events[kind])


def duration(figure: Figure) -> timedelta:
    """A figure in a unit of time as a timedelta. Raises UnitError for any other unit."""
    return timedelta(seconds=convert(figure.value, figure.unit, "s"))


def severity_from(code: str) -> Severity:
    """The severity of a FHIR code. Raises KeyError on an unknown one."""
    return Severity[code.upper()]


def table_from(document: dict[str, Any]) -> AlarmTable:
    """A table from its JSON form (see data/alarms.json). Raises ReferenceDataError or KeyError on a bad one."""
    conditions = {name: _condition(name, entry) for name, entry in document["conditions"].items()}
    events = {
        kind: tuple((name, Effect(effect)) for name, effect in effects)
        for kind, effects in document["events"].items()
    }
    unknown = {name for effects in events.values() for name, _ in effects} - conditions.keys()
    if unknown:
        raise reference.ReferenceDataError(
            f"events name conditions that do not exist: {', '.join(sorted(unknown))}"
        )
    return AlarmTable(
        version=document["version"],
        conditions=conditions,
        events=events,
        silence=_silence(document["silence"]),
        late_after=reference.figure(document["late"]["after"]),
        late_settle=reference.figure(document["late"]["settle"]),
        stop_within=reference.figure(document["visit"]["stop_within"]),
        interrogations_apart=reference.figure(document["mri"]["interrogations_apart"]),
    )


@cache
def shipped_table() -> AlarmTable:
    return table_from(reference.load("alarms.json"))


def _condition(name: str, entry: dict[str, Any]) -> AlarmCondition:
    severity = {kind: severity_from(code) for kind, code in entry["severity"].items()}
    return AlarmCondition(
        name=name,
        severity=severity,
        stops_therapy=entry["stops_therapy"],
        momentary=entry.get("momentary", False),
        states_asserting=frozenset(entry["states_asserting"]),
        states_ending=frozenset(entry["states_ending"]),
        severity_without_withdrawal=_optional_severity(entry, "severity_without_withdrawal"),
        severity_in_mri=_optional_severity(entry, "severity_in_mri"),
        severity_after_visit=_optional_severity(entry, "severity_after_visit"),
        escalation=_escalations(entry["escalates"], severity) if "escalates" in entry else {},
        held_until_mri_check=entry.get("held_until_mri_check", False),
        ended_by_interrogation=entry.get("ended_by_interrogation", False),
        source=entry["source"],
        rationale=entry["rationale"],
    )


def _optional_severity(entry: dict[str, Any], key: str) -> Severity | None:
    return severity_from(entry[key]) if key in entry else None


def _escalations(entry: dict[str, Any], kinds: Iterable[str]) -> dict[str, Escalation]:
    """`to` is one severity for every kind of device, or one for each."""
    to = entry["to"]
    by_kind = to if isinstance(to, dict) else dict.fromkeys(kinds, to)
    return {kind: _escalation(entry | {"to": code}) for kind, code in by_kind.items()}


def _escalation(entry: dict[str, Any]) -> Escalation:
    return Escalation(reference.figure(entry["after"]), severity_from(entry["to"]))


def _silence(entry: dict[str, Any]) -> SilenceRule:
    return SilenceRule(
        reference.figure(entry["intervals"]),
        severity_from(entry["severity"]),
        _escalation(entry["escalates"]),
        entry["source"],
        entry["rationale"],
    )
