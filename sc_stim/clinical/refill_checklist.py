"""The documented steps of a refill visit (data/refill_checklist.json), each with its source."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sc_stim.clinical import reference

DONE: Final = "done"
NOT_DONE: Final = "not_done"
UNSURE: Final = "unsure"
ANSWERS: Final = (DONE, NOT_DONE, UNSURE)
SECOND_PERSON: Final = "second_person"  # answered by the confirmation itself


@dataclass(frozen=True, slots=True)
class Step:
    """`source` None: unverified. `if_unsure`: what must be done instead of going on, where the document says so."""

    name: str
    text: str
    source: str | None
    note: str
    if_unsure: str | None


def steps_from(document: dict[str, Any]) -> tuple[Step, ...]:
    """The steps in their order. Raises ReferenceDataError for one without a source or mark."""
    return tuple(_step(name, entry) for name, entry in document["items"].items())


@cache
def shipped_checklist() -> tuple[Step, ...]:
    return steps_from(reference.load("refill_checklist.json"))


def forbidding(answers: Mapping[str, str]) -> Step | None:
    """The step about which somebody is unsure and which then forbids to fill."""
    return next(
        (step for step in shipped_checklist() if step.if_unsure and answers.get(step.name) == UNSURE), None
    )


def _step(name: str, entry: dict[str, Any]) -> Step:
    source = entry.get("source")
    if (source is None) != (entry.get("verified") is False):
        raise reference.ReferenceDataError(f'{name} needs either a source or "verified": false')
    return Step(name, entry["text"], source, entry.get("note", ""), entry.get("if_unsure"))
