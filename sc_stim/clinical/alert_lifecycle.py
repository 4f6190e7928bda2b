"""The life of one alert, in the manner of ISA-18.2: one table, every change named by a sentence.

`raise` and `return_to_normal` come from the device side, `shelf_expired` and `escalate` from the clock, the
rest from people. Every (state, event) pair is either in the table or refused with a reason. Nobody reopens a
closed alert: a condition that comes back is a new alert.
"""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sc_stim.clinical.refusal import Refused


class State(StrEnum):
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    RETURNED_TO_NORMAL = "returned_to_normal"
    CLOSED = "closed"


class Event(StrEnum):
    RAISE = "raise"
    RAISE_WORSE = "raise_worse"
    ESCALATE = "escalate"
    ACKNOWLEDGE = "acknowledge"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SHELF_EXPIRED = "shelf_expired"
    RETURN_TO_NORMAL = "return_to_normal"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Transition:
    """`notifies`: people are told (again) at this change."""

    state: State
    event: Event
    to: State
    sentence: str
    notifies: bool = False


INITIAL_STATE: Final = State.UNACKNOWLEDGED
OPEN_STATES: Final = frozenset(State) - {State.CLOSED}

_UNACK, _ACK, _SHELVED, _NORMAL, _CLOSED = State

_TRANSITIONS: Final = (
    Transition(_UNACK, Event.RAISE, _UNACK, "Raised again while nobody had acknowledged it"),
    Transition(_UNACK, Event.RAISE_WORSE, _UNACK, "Got worse while nobody had acknowledged it", notifies=True),
    Transition(_UNACK, Event.ESCALATE, _UNACK, "Passed on to the second contact", notifies=True),
    Transition(_UNACK, Event.ACKNOWLEDGE, _ACK, "Acknowledged"),
    Transition(_UNACK, Event.SHELVE, _SHELVED, "Shelved by a person who has seen it"),
    Transition(_UNACK, Event.RETURN_TO_NORMAL, _NORMAL, "Back to normal, nobody has seen it yet"),
    Transition(_UNACK, Event.RESOLVE, _CLOSED, "Resolved"),
    Transition(_ACK, Event.RAISE, _ACK, "Raised again after it was acknowledged"),
    Transition(_ACK, Event.RAISE_WORSE, _UNACK, "Got worse, so it needs acknowledging again", notifies=True),
    Transition(_ACK, Event.SHELVE, _SHELVED, "Shelved after it was acknowledged"),
    Transition(_ACK, Event.RETURN_TO_NORMAL, _CLOSED, "Back to normal after it was acknowledged"),
    Transition(_ACK, Event.RESOLVE, _CLOSED, "Resolved"),
    Transition(_SHELVED, Event.RAISE, _SHELVED, "Raised again, no worse, so the shelf holds"),
    Transition(_SHELVED, Event.RAISE_WORSE, _UNACK, "Got worse, so the shelf is broken", notifies=True),
    Transition(_SHELVED, Event.SHELVE, _SHELVED, "Shelved until another time"),
    Transition(_SHELVED, Event.UNSHELVE, _UNACK, "Taken off the shelf by a person", notifies=True),
    Transition(_SHELVED, Event.SHELF_EXPIRED, _UNACK, "Back from the shelf, as its time is over", notifies=True),
    Transition(_SHELVED, Event.RETURN_TO_NORMAL, _CLOSED, "Back to normal while on the shelf"),
    Transition(_SHELVED, Event.RESOLVE, _CLOSED, "Resolved while on the shelf"),
    Transition(_NORMAL, Event.RAISE, _UNACK, "Raised again before anybody had seen it", notifies=True),
    Transition(_NORMAL, Event.RAISE_WORSE, _UNACK, "Raised again and worse before anybody saw it", notifies=True),
    Transition(_NORMAL, Event.ACKNOWLEDGE, _CLOSED, "Acknowledged after it was back to normal"),
    Transition(_NORMAL, Event.RETURN_TO_NORMAL, _NORMAL, "Still back to normal"),
    Transition(_NORMAL, Event.RESOLVE, _CLOSED, "Resolved after it was back to normal"),
)  # fmt: skip

# So long an alert may be out of sight at a time; a slip of the year must not hide it for ever. Ours, not from a source.
LONGEST_SHELF_HIGH: Final = dt.timedelta(days=1)
LONGEST_SHELF: Final = dt.timedelta(days=30)


def longest_shelf(severity: str) -> dt.timedelta:
    """For how long an alert of this severity may be put aside at once."""
    return LONGEST_SHELF_HIGH if severity == "high" else LONGEST_SHELF


TABLE: Final = {(row.state, row.event): row for row in _TRANSITIONS}

# Why an event that is not in the table is refused; the first key that fits counts.
_REFUSALS: Final[dict[tuple[State | None, Event | None], Refused]] = {
    (_CLOSED, Event.RAISE): Refused("alert_closed", "a closed alert stays closed: start a new alert"),
    (_CLOSED, Event.RAISE_WORSE): Refused("alert_closed", "a closed alert stays closed: start a new alert"),
    (_CLOSED, None): Refused("alert_closed", "the alert is closed: nothing more can be done with it"),
    (_NORMAL, Event.SHELVE): Refused("condition_over", "it is back to normal: acknowledge it instead"),
    (_NORMAL, Event.ESCALATE): Refused("condition_over", "it is back to normal: nobody else needs to be called"),
    (None, Event.ESCALATE): Refused("already_taken", "somebody has seen this alert: nobody else needs to be called"),
    (_SHELVED, Event.ACKNOWLEDGE): Refused("already_taken", "it is on the shelf: take it off, or resolve it"),
    (None, Event.ACKNOWLEDGE): Refused("already_taken", "it is acknowledged already"),
    (None, Event.UNSHELVE): Refused("not_shelved", "it is not on the shelf"),
    (None, Event.SHELF_EXPIRED): Refused("not_shelved", "it is not on the shelf"),
}  # fmt: skip


def next_state(state: State, event: Event) -> Transition | Refused:
    """What this event does to an alert in this state, or why it does nothing."""
    transition = TABLE.get((state, event))
    if transition is not None:
        return transition
    return next(_REFUSALS[key] for key in ((state, event), (state, None), (None, event)) if key in _REFUSALS)
