"""When a person has to look at a device again, whatever alerts it raised meanwhile.

Days are the clinic's own. A device that nobody ever reviewed counts from the day it was implanted or, where that is
not on record, registered. Periodic review stands beside automatic notification and does not end it.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Final

from sc_stim.clinical.reference import Figure, figure, load

KINDS: Final = ("pump", "stimulator")
SHORTEST_DAYS: Final = 1
LONGEST_DAYS: Final = 3 * 366


@dataclass(frozen=True, slots=True)
class ReviewDue:
    """`days_left` is negative once it is overdue; `never`: nobody has reviewed the device yet."""

    due_on: date
    days_left: int
    never: bool


@cache
def usual_interval(kind: str) -> Figure:
    """Days between reviews of a "pump" or "stimulator" where clinic and patient say nothing else."""
    return figure(load("review.json")["figures"][kind])


def interval_days(kind: str, *, of_patient: int | None, of_clinic: int | None) -> int:
    """The patient's own interval, else the clinic's, else the usual one, in days."""
    return next(days for days in (of_patient, of_clinic, int(usual_interval(kind).value)) if days is not None)


def review_due(since: date, last_reviewed: date | None, interval: int, today: date) -> ReviewDue:
    """When a device in place `since` this day is due, `interval` days after its last review."""
    due_on = (last_reviewed or since) + timedelta(days=interval)
    return ReviewDue(due_on, (due_on - today).days, last_reviewed is None)
