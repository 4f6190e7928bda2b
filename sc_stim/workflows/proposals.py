"""The days that are proposed for a pump's refill visit, with their free times or why there are none."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.clinical import slots
from sc_stim.clinical.slots import UNSAFE, Due, Offer, Slot
from sc_stim.models import Appointment, Clinic, ClinicResource
from sc_stim.workflows.booking import clinic_diary

BEFORE: Final = dt.timedelta(days=21)
AFTER: Final = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Proposals:
    """`best` keeps the pump safe; `soonest` is there where nothing does. `unsafe` are days that need a reason."""

    due: Due
    days: tuple[Offer, ...]
    unsafe: tuple[Offer, ...]
    best: Slot | None
    soonest: Slot | None
    resources: Mapping[int, ClinicResource]


def usual_days(due: Due, today: dt.date) -> tuple[dt.date, dt.date]:
    """The days around the refill-by date, from today on."""
    around = max(due.refill_by or today, today)
    return max(today, around - BEFORE), around + AFTER


def propose(
    session: Session,
    clinic: Clinic,
    due: Due,
    first: dt.date,
    last: dt.date,
    *,
    at: dt.datetime,
    without: Appointment | None = None,
) -> Proposals:
    """Every day from `first` to `last`. `without`: a visit that is being moved, whose present time is free."""
    today = at.astimezone(ZoneInfo(clinic.time_zone)).date()
    until = max(last, today + BEFORE)
    diary = clinic_diary(session, clinic, min(first, today), until, without=without)
    offered = slots.offers(first, last, at, diary, due)
    best = slots.best_slot(offered, due)
    nothing_safe = best is None and (due.refill_by is None or due.refill_by <= last)
    keys = [one.key for one in diary.diaries]
    rows = session.scalars(select(ClinicResource).where(ClinicResource.id.in_(keys)))
    return Proposals(
        due=due,
        days=offered,
        unsafe=_unsafe(offered, slots.offers(first, last, at, diary, Due(dt.date.max))),
        best=best,
        soonest=slots.soonest_slot(today, until, at, diary) if nothing_safe else None,
        resources={row.id: row for row in rows},
    )


def _unsafe(offered: tuple[Offer, ...], open_days: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """The days that only the pump's own safety speaks against, with their free times."""
    return tuple(
        Offer(refused.day, free.slots, refused.not_offered)
        for refused, free in zip(offered, open_days, strict=True)
        if free.slots and refused.not_offered is not None and refused.not_offered.why in UNSAFE
    )
