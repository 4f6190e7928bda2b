"""Following up one device of a recall until somebody has done what it asks, with severities by class of recall."""

from enum import StrEnum
from functools import cache
from typing import Final

from sc_stim.clinical.reference import load
from sc_stim.clinical.refusal import Refused


class Outreach(StrEnum):
    TO_DO = "to_do"
    TRIED = "tried"
    REACHED = "reached"
    ACTION_DONE = "action_done"
    NOT_NEEDED = "not_needed"
    ELSEWHERE = "elsewhere"


# Told is not yet treated: only these take a device off the list of what is left.
FINISHED: Final = (Outreach.ACTION_DONE, Outreach.NOT_NEEDED, Outreach.ELSEWHERE)
WAYS: Final = ("phone", "letter", "email", "visit")
CLASSES: Final = ("I", "II", "III", "unclassified")

_NEEDS_NOTE: Final = {
    Outreach.NOT_NEEDED: "say why nothing needs to be done",
    Outreach.ELSEWHERE: "say who looks after the patient now",
}


def check_step(before: Outreach, after: Outreach, way: str | None, note: str | None) -> Refused | None:
    """Why this step of the outreach cannot be recorded as it is, or None. `reason` names the field that is missing."""
    if after is Outreach.TRIED and way is None:
        return Refused("way", "say how it was tried: " + ", ".join(WAYS))
    if note is None and after in _NEEDS_NOTE:
        return Refused("note", _NEEDS_NOTE[after])
    if note is None and before in FINISHED and after not in FINISHED:
        return Refused("note", "this was finished: say why it is taken up again")
    return None


@cache
def severity(recall_class: str) -> str:
    """Of the alert about a device on the list of a recall of this class."""
    return str(load("recall.json")["classes"][recall_class]["value"])
