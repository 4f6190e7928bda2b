"""The alarm of the alarm clock: a part that has stopped is told of once, and once again when it works.

Any process may look; the row of the outage makes the many who see it say it once.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.models import Contact, Outage
from sc_stim.workflows import messaging
from sc_stim.workflows.health import Part
from sc_stim.workflows.outbox import UPSERT

KIND: Final = "outage"
GRACE: Final = dt.timedelta(seconds=60)  # a part that is being started again is no outage
RECIPIENT = tuple[int | None, str, str]  # clinic, channel, address


def look(session: Session, parts: Mapping[str, Part], at: dt.datetime) -> None:
    """Note which parts are away, and owe the messages of those that have been for long or are back."""
    rows = select(Outage).where(Outage.open_part.is_not(None)).order_by(Outage.id).with_for_update()
    known = {outage.part: outage for outage in session.scalars(rows)}
    for name, part in parts.items():
        outage = known.get(name)
        if part.ok and outage is not None:
            _end(session, outage, at)
        elif not part.ok and outage is None:
            _begin(session, name, part, at)
        elif outage is not None and outage.told_at is None and at - outage.since >= GRACE:
            outage.told_at = at
            _owe(session, outage, "stopped", stopped(name, part.why), at)


def recipients(session: Session) -> list[RECIPIENT]:
    """The operator, and every contact that a clinic marked for it."""
    contacts = select(Contact).where(Contact.system, Contact.active).order_by(Contact.id)
    return [
        (None, messaging.OPERATOR, ""),
        *((one.clinic_id, one.channel, one.address) for one in session.scalars(contacts)),
    ]


def stopped(name: str, why: str) -> str:
    return f"sc_stim: {name} {why}. Alerts may be missing until it works again; watch the patients' devices yourself."


def _begin(session: Session, name: str, part: Part, at: dt.datetime) -> None:
    insert = UPSERT[session.get_bind().dialect.name](Outage)
    values = {"part": name, "open_part": name, "why": part.why, "since": at}
    session.execute(insert.values(values).on_conflict_do_nothing())


def _end(session: Session, outage: Outage, at: dt.datetime) -> None:
    outage.open_part, outage.over_at = None, at
    if outage.told_at is not None:
        text = f"sc_stim: {outage.part} works again, after {(at - outage.since).total_seconds() / 60:.0f} minutes."
        _owe(session, outage, "recovered", text, at)


def _owe(session: Session, outage: Outage, what: str, text: str, at: dt.datetime) -> None:
    for number, (clinic_id, channel, address) in enumerate(recipients(session)):
        messaging.owe(
            session, clinic_id=clinic_id, effect_key=f"outage:{outage.id}:{what}:{number}", channel=channel,
            address=address, title=f"sc_stim: {outage.part} {what}", body=text, at=at, kind=KIND,
        )  # fmt: skip
