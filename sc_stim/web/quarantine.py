"""Messages that could not be taken: what is wrong with them, and trying them once more, one or all of a reason."""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from flask import abort, flash, redirect, request, url_for
from sqlalchemy import ColumnElement, Select, func, or_, select
from werkzeug.wrappers import Response

from sc_stim.access import in_clinic, requires
from sc_stim.devices import ingest
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _lazy
from sc_stim.models import Device, Quarantine
from sc_stim.models.scope import find
from sc_stim.web import page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.workflows import audit

PAGE_SIZE: Final = 50
REPLAYED_AT_ONCE: Final = 100  # of one request: the page answers, and goes on with the rest
MOST_SHOWN_BYTES: Final = 4096
BYTES_OF_A_LINE: Final = 16
# code -> (name, what an empty list says)
CHOICES: Final = {
    "open": (_lazy("To look at"), _lazy("Nothing is in quarantine: every message could be taken.")),
    "settled": (_lazy("Settled"), _lazy("Nothing was taken from quarantine yet.")),
}
CSV_HEADER: Final = (
    "message", "received", "device", "serial", "reason", "field", "detail", "epoch", "seq", "times_seen", "replayed",
    "outcome",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """Which messages; an empty text is any."""

    show: str = "open"
    reason: str = ""
    device: str = ""

    @classmethod
    def of(cls, typed: Mapping[str, str]) -> "Wanted":
        """Raises 404 for what the page does not offer."""
        show, device = typed.get("show", "open"), typed.get("device", "")
        try:
            device = str(uuid.UUID(device)) if device else ""
        except ValueError:
            abort(404)
        if show not in CHOICES:
            abort(404)
        return cls(show, typed.get("reason", "").replace("\0", "")[:40], device)

    def address(self, **changes: str) -> dict[str, str]:
        return {name: value for name, value in (asdict(self) | changes).items() if value}


@dataclass(frozen=True)
class Payload:
    """Bytes that a stranger may have sent, as text where they are text, else as hexadecimal digits."""

    text: str
    is_text: bool
    size: int

    @classmethod
    def of(cls, payload: bytes) -> "Payload":
        try:
            text = payload.decode("utf-8")
        except UnicodeDecodeError:
            return cls("\n".join(_hex_lines(payload[:MOST_SHOWN_BYTES])), False, len(payload))
        return cls("".join(map(_visible, text[:MOST_SHOWN_BYTES])), True, len(payload))

    @property
    def cut(self) -> bool:
        return self.size > MOST_SHOWN_BYTES


@pages.get("/quarantine", endpoint="quarantine")
@requires("quarantine.read")
def show_all() -> str:
    """`?page=` counts from 1; `?begun=` is when somebody began to replay all of `?reason=`."""
    wanted, number = Wanted.of(request.args), request.args.get("page", 1, type=int)
    if not 1 <= number <= 10_000:
        abort(404)
    statement = _selected(wanted).limit(PAGE_SIZE + 1).offset(PAGE_SIZE * (number - 1))
    rows = db.session.execute(statement).all()
    begun = _begun(request.args.get("begun", ""))
    shown = page.render(
        "quarantine.html",
        wanted=wanted,
        choices=[(code, name) for code, (name, _) in CHOICES.items()],
        reasons=_reasons(wanted),
        device=_device(wanted),
        empty=CHOICES[wanted.show][1],
        rows=rows[:PAGE_SIZE],
        more=len(rows) > PAGE_SIZE,
        page=number,
        progress=_progress(wanted, begun) if begun and wanted.reason else None,
    )
    audit.record(db.session(), actor(), "quarantine.list", at=page.at())
    db.session.commit()
    return shown


@pages.get("/quarantine.csv", endpoint="quarantine_csv")
@requires("quarantine.read")
def download() -> Response:
    """Without the payloads."""
    wanted = Wanted.of(request.args)
    audit.record(db.session(), actor(), "quarantine.export", detail=asdict(wanted), at=page.at())
    db.session.commit()
    return csv_answer("quarantine", CSV_HEADER, _all_cells(wanted))


@pages.get("/quarantine/<uuid:public_id>", endpoint="quarantined")
@requires("quarantine.read")
def show_one(public_id: uuid.UUID) -> str:
    row = _row(public_id)
    device = db.session.get(Device, row.device_id) if row.device_id else None
    shown = page.render("quarantined.html", row=row, device=device, payload=Payload.of(row.payload))
    audit.record(db.session(), actor(), "quarantine.view", "quarantine", row.public_id, at=page.at())
    db.session.commit()
    return shown


@pages.post("/quarantine/<uuid:public_id>/replay", endpoint="replay_quarantined")
@requires("quarantine.replay")
def replay_one(public_id: uuid.UUID) -> Response:
    row = _row(public_id)
    [(_, outcome)] = ingest.replay(db.session(), [row.public_id], page.at())
    _record_replay(public_id, outcome)
    db.session.commit()
    flash(f"{words.say(words.REPLAY, outcome)}.", "refused" if outcome == "quarantined" else "done")
    return redirect(url_for("web.quarantined", public_id=public_id), 303)


@pages.post("/quarantine/replay", endpoint="replay_reason")
@requires("quarantine.replay")
def replay_reason() -> Response:
    """All of a reason, REPLAYED_AT_ONCE with each request; `begun` tells those already tried from those left."""
    wanted = Wanted.of(request.form)
    begun = _begun(request.form.get("begun", "")) or page.at()
    statement = _left(select(Quarantine.public_id), wanted, begun).order_by(Quarantine.id)
    some = db.session.scalars(statement.limit(REPLAYED_AT_ONCE)).all()
    outcomes = ingest.replay(db.session(), some, page.at())
    for public_id, outcome in outcomes:
        _record_replay(public_id, outcome)
    db.session.commit()
    address = wanted.address(show="open", begun=begun.isoformat())
    return redirect(url_for("web.quarantine", **address), 303)


def _record_replay(public_id: uuid.UUID, outcome: str) -> None:
    detail = {"outcome": outcome}
    audit.record(db.session(), actor(), "quarantine.replay", "quarantine", public_id, detail, at=page.at())


def _unsettled() -> ColumnElement[bool]:
    return or_(Quarantine.outcome.is_(None), Quarantine.outcome == "quarantined")


def _narrowed(statement: Select[Any], wanted: Wanted) -> Select[Any]:
    statement = in_clinic(statement, Quarantine, actor().clinic_id)
    if wanted.reason:
        statement = statement.where(Quarantine.reason == wanted.reason)
    if wanted.device:
        device = in_clinic(select(Device.id), Device, actor().clinic_id)
        statement = statement.where(
            Quarantine.device_id.in_(device.where(Device.public_id == uuid.UUID(wanted.device)))
        )
    return statement


def _selected(wanted: Wanted) -> Select[Any]:
    """(Quarantine, Device or None), newest first."""
    statement = select(Quarantine, Device).outerjoin(Device, Device.id == Quarantine.device_id)
    settled = ~_unsettled() if wanted.show == "settled" else _unsettled()
    statement = _narrowed(statement, wanted).where(settled)
    return statement.order_by(Quarantine.received_at.desc(), Quarantine.id.desc())


def _left(statement: Select[Any], wanted: Wanted, begun: dt.datetime) -> Select[Any]:
    """What was not yet tried since then."""
    before = or_(Quarantine.replayed_at.is_(None), Quarantine.replayed_at < begun)
    return _narrowed(statement, wanted).where(_unsettled(), before)


def _progress(wanted: Wanted, begun: dt.datetime) -> dict[str, Any]:
    """What became of those tried since then, and how many are left."""
    tried = _narrowed(select(Quarantine.outcome, func.count()), wanted)
    tried = tried.where(Quarantine.replayed_at >= begun).group_by(Quarantine.outcome)
    outcomes = Counter({str(outcome): many for outcome, many in db.session.execute(tried)})
    left = db.session.scalar(_left(select(func.count(Quarantine.id)), wanted, begun)) or 0
    return {"outcomes": outcomes, "done": outcomes.total(), "left": left, "begun": begun.isoformat()}


def _reasons(wanted: Wanted) -> Sequence[Any]:
    """(reason, how many) of what is to look at, most first."""
    every = Wanted(device=wanted.device)
    statement = _narrowed(select(Quarantine.reason, func.count().label("many")), every).where(_unsettled())
    return db.session.execute(
        statement.group_by(Quarantine.reason).order_by(func.count().desc(), Quarantine.reason)
    ).all()


def _device(wanted: Wanted) -> Device | None:
    if not wanted.device:
        return None
    device: Device | None = find(db.session, Device, actor().clinic_id, uuid.UUID(wanted.device))
    return device or abort(404)


def _row(public_id: uuid.UUID) -> Quarantine:
    row: Quarantine | None = find(db.session, Quarantine, actor().clinic_id, public_id)
    return row or abort(404)


def _begun(typed: str) -> dt.datetime | None:
    """A time as our own page wrote it; anything else is as good as nothing."""
    try:
        moment = dt.datetime.fromisoformat(typed)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _all_cells(wanted: Wanted) -> Iterator[tuple[Any, ...]]:
    """In the order of CSV_HEADER, read while they are sent."""
    found = db.session.execute(_selected(wanted).execution_options(yield_per=PAGE_SIZE))
    for row, device in found:
        yield (
            str(row.public_id), row.received_at, device and device.model, device and device.serial, row.reason,
            row.field, row.detail, row.epoch, row.seq, row.times_seen, row.replayed_at, row.outcome,
        )  # fmt: skip


def _hex_lines(payload: bytes) -> Iterator[str]:
    """`0010  7b 22 61 …`, sixteen bytes to a line."""
    for start in range(0, len(payload), BYTES_OF_A_LINE):
        yield f"{start:04x}  {payload[start : start + BYTES_OF_A_LINE].hex(' ')}"


def _visible(character: str) -> str:
    """The character, or its code where it would not be seen or would move what stands beside it."""
    return character if character in "\n\t" or character.isprintable() else f"\\u{ord(character):04x}"
