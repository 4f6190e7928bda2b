"""Whether the system itself is well: every part in words, outages, jobs, messages, and work that is owed."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import Response, current_app, g
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import joinedload

from sc_stim.access import SIGNED_IN, allowed, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Heartbeat, Message, Outage, WorkItem
from sc_stim.web import page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.workflows import audit, health, messaging
from sc_stim.workflows.health import Part

LOOK_BACK: Final = dt.timedelta(days=30)
MOST_OUTAGES: Final = 200
MOST_MESSAGES: Final = 100
MOST_FAILING: Final = 50
JOB: Final = "job:"


@dataclass(frozen=True)
class Owed:
    """Judgements of one kind that are owed; `oldest_due` lies in the future where none is due."""

    kind: str
    number: int
    oldest_due: dt.datetime
    failing: int


@pages.get("/system", endpoint="system")
@requires(SIGNED_IN)
def show() -> str:
    """Parts for everybody; what failed and why for those who look after it."""
    parts = health.ready(db.session(), page.at(), _ping_cache)
    away = {outage.open_part: outage for outage in _outages() if outage.open_part}
    sees = {"messages": allowed(g.user.role, "messages.read"), "work": _sees_work(g.user.role)}
    return page.render(
        "system.html", parts=parts, away=away, well=all(part.ok for part in parts.values()), outages=_outages(),
        look_back=LOOK_BACK.days, jobs=_jobs(), channels=_channels(), owed=_owed(), sees=sees, minutes=_minutes,
        messages=_messages() if sees["messages"] else [], failing=_failing() if sees["work"] else [],
        error_class=_error_class, what_to_do=_what_to_do,
    )  # fmt: skip


@pages.get("/system/outages.csv", endpoint="outages_csv")
@requires(SIGNED_IN)
def export() -> Response:
    rows = [(words.say(words.PART, one.part), one.why, one.since, one.over_at) for one in _outages()]
    return csv_answer("outages", ("part", "what happened", "since", "until"), rows)


@pages.get("/system/messages.csv", endpoint="messages_csv")
@requires("messages.read")
def export_messages() -> Response:
    audit.record(db.session(), actor(), "message.export", at=page.at())
    rows = [
        (
            one.created_at,
            one.kind,
            one.channel,
            one.contact.name if one.contact else "",
            one.state,
            one.problem,
        )
        for one in _messages()
    ]
    db.session.commit()
    return csv_answer(
        "messages-not-delivered", ("asked for", "kind", "channel", "contact", "state", "problem"), rows
    )


def _ping_cache() -> object:
    return health.ping_cache(current_app.config["SETTINGS"].redis_url)


def _outages() -> Sequence[Outage]:
    """Those of the last LOOK_BACK, newest first."""
    recent = select(Outage).where((Outage.over_at.is_(None)) | (Outage.since >= page.at() - LOOK_BACK))
    return db.session.scalars(recent.order_by(Outage.since.desc()).limit(MOST_OUTAGES)).all()


def _jobs() -> list[tuple[str, dt.datetime]]:
    """When each job ran last."""
    beats = select(Heartbeat.name, Heartbeat.at).where(Heartbeat.name.startswith(JOB, autoescape=True))
    return [(name.removeprefix(JOB), at) for name, at in db.session.execute(beats.order_by(Heartbeat.name))]


def _channels() -> list[tuple[str, bool]]:
    configured: dict[str, bool] = current_app.extensions["transport"].configured
    return [(words.say(words.CHANNEL, channel), ready) for channel, ready in configured.items()]


def _messages() -> Sequence[Message]:
    """Of this clinic, not delivered in the last LOOK_BACK. Those to patients only for who may read their records."""
    late = (Message.state == messaging.WAITING) & (
        Message.next_attempt_at <= page.at() - dt.timedelta(seconds=health.DUE_MESSAGE_S)
    )
    wanted: list[ColumnElement[bool]] = [
        Message.clinic_id == actor().clinic_id,
        Message.created_at >= page.at() - LOOK_BACK,
        (Message.state == messaging.FAILED) | late,
    ]
    if not allowed(g.user.role, "patients.read"):
        wanted.append(Message.patient_id.is_(None))
    statement = select(Message).where(*wanted).options(joinedload(Message.contact))
    return db.session.scalars(statement.order_by(Message.created_at.desc()).limit(MOST_MESSAGES)).all()


def _owed() -> list[Owed]:
    """Of the whole installation: how much there is to judge says nothing about anybody."""
    failing = func.count(WorkItem.last_error)
    counted = select(WorkItem.kind, func.count(), func.min(WorkItem.due_at), failing).group_by(WorkItem.kind)
    return [Owed(*row) for row in db.session.execute(counted.order_by(WorkItem.kind))]


def _failing() -> Sequence[WorkItem]:
    failed = select(WorkItem).where(WorkItem.last_error.is_not(None))
    return db.session.scalars(failed.order_by(WorkItem.asked_at).limit(MOST_FAILING)).all()


def _sees_work(role: str) -> bool:
    """Those who look after devices or after the clinic's account of the system."""
    return role in ("engineer", "admin")


def _error_class(item: WorkItem) -> str:
    """The kind of error alone: its text may hold anything."""
    return (item.last_error or "").partition(":")[0]


def _minutes(outage: Outage) -> int:
    return round(((outage.over_at or page.at()) - outage.since).total_seconds() / 60)


def _what_to_do(name: str, part: Part) -> str:
    return "" if part.ok else words.PART_ADVICE.get(name, words.PART_ADVICE["web"])
