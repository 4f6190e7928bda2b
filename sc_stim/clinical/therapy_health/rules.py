"""The figures and conditions of data/therapy.json."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sc_stim.clinical import reference
from sc_stim.clinical.alarms import Severity, duration, severity_from
from sc_stim.clinical.reference import Figure


@dataclass(frozen=True, slots=True)
class TherapyCondition:
    """A finding by device kind: its severity, and the one it has when it is worse."""

    name: str
    severity: dict[str, Severity]
    worse: dict[str, Severity]
    worse_when: str
    source: str | None
    rationale: str

    def severity_of(self, kind: str, *, worse: bool = False) -> Severity:
        return self.worse.get(kind, self.severity[kind]) if worse else self.severity[kind]


@dataclass(frozen=True, slots=True)
class TherapyRules:
    """`tolerances`: of a reported setting, relative, by its field."""

    version: str
    figures: dict[str, Figure]
    tolerances: dict[str, float]
    conditions: dict[str, TherapyCondition]

    def value(self, name: str) -> float:
        return self.figures[name].value

    def time(self, name: str) -> timedelta:
        return duration(self.figures[name])


@cache
def shipped_rules() -> TherapyRules:
    document = reference.load("therapy.json")
    return TherapyRules(
        version=document["version"],
        figures={name: reference.figure(entry) for name, entry in document["figures"].items()},
        tolerances={
            name: reference.figure(entry).value / 100
            for name, entry in document["tolerances"]["figures"].items()
        },
        conditions={name: _condition(name, entry) for name, entry in document["conditions"].items()},
    )


def _condition(name: str, entry: dict[str, Any]) -> TherapyCondition:
    return TherapyCondition(
        name=name,
        severity={kind: severity_from(code) for kind, code in entry["severity"].items()},
        worse={kind: severity_from(code) for kind, code in entry.get("worse", {}).items()},
        worse_when=entry.get("worse_when", ""),
        source=entry["source"],
        rationale=entry["rationale"],
    )
