"""Recalls: the list of them, pasting one and seeing what it means, and the outreach to each device."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import abort, flash, g, redirect, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload
from werkzeug.wrappers import Response

from sc_stim.access import allowed, in_clinic, requires
from sc_stim.clinical.outreach import CLASSES, FINISHED, WAYS, Outreach
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import Device, Recall, RecallOutreach, RecallOutreachEntry
from sc_stim.models.recall import counts_of
from sc_stim.models.scope import find
from sc_stim.web import page, words
from sc_stim.web.blueprint import pages
from sc_stim.workflows import audit, recalls
from sc_stim.workflows.refusals import Conflict, FieldRefused

PAGE_SIZE: Final = 50
MOST_RECALLS: Final = 200
NOTE_LIMIT: Final = 2000
SHOWN: Final = {"left": _lazy("Left to do"), "all": _lazy("All")}
NO_TEXT: Final = _lazy("the file is no text. Save the table as CSV (UTF-8), then choose it again")
Answer = Response | tuple[str, int]
TEXTS: Final = {"title": 200, "reference": 200, "source": 500, "advice": 10_000}


@dataclass(frozen=True)
class Draft:
    """What was typed into the form of a new recall."""

    values: dict[str, str]
    text: str
    unreadable: bool = False  # a file was chosen that is no text

    @property
    def accept_unread(self) -> bool:
        return bool(request.form.get("accept_unread"))


@pages.get("/recalls", endpoint="recalls")
@requires("recalls.read")
def show_all() -> str:
    statement = in_clinic(select(Recall), Recall, actor().clinic_id).order_by(
        Recall.closed_at.is_not(None), Recall.id.desc()
    )
    found = db.session.scalars(statement.limit(MOST_RECALLS)).all()
    counts = counts_of(db.session(), [recall.id for recall in found])
    shown = page.render("recalls.html", recalls=found, counts=counts, may_handle=_may_handle())
    audit.record(db.session(), actor(), "recall.list", at=page.at())
    db.session.commit()
    return shown


@pages.get("/recalls/new", endpoint="new_recall")
@requires("recalls.read")
def show_form() -> str:
    return _form(Draft({}, ""))


@pages.post("/recalls/preview", endpoint="preview_recall")
@requires("recalls.read")
def preview() -> str:
    """Nothing is kept; a file that was chosen takes the place of the pasted text."""
    draft = _draft()
    return _previewed(draft, NO_TEXT if draft.unreadable else None)


@pages.post("/recalls", endpoint="keep_recall")
@requires("recalls.handle")
def keep() -> Response | str:
    draft = _draft()
    try:
        _check(draft)
        values = {**draft.values, "recall_class": draft.values["recall_class"] or "unclassified"}
        optional = {name: values[name] or None for name in ("reference", "source")}
        recall = recalls.create_recall(
            db.session(),
            actor(),
            values | optional,
            draft.text,
            accept_unread=draft.accept_unread,
            at=page.at(),
        )
        db.session.commit()
    except FieldRefused as refused:
        db.session.rollback()
        return _previewed(draft, str(refused))
    flash(_("The recall is kept. These are the devices to follow up."), "done")
    return redirect(url_for("web.recall", public_id=recall.public_id), 303)


@pages.get("/recalls/<uuid:public_id>", endpoint="recall")
@requires("recalls.read")
def show_one(public_id: uuid.UUID) -> str:
    """`?show=` is one of SHOWN, `?page=` counts from 1."""
    show, number = request.args.get("show", "left"), request.args.get("page", 1, type=int)
    return _shown(_recall(public_id), show, number)


def _shown(recall: Recall, show: str, number: int, typed: Mapping[str, str] | None = None) -> str:
    """`typed`: what was refused: a corrected list, or a step and the `id` of its outreach."""
    if show not in SHOWN or not 1 <= number <= 10_000:
        abort(404)
    rows = _outreach(recall, show, PAGE_SIZE * (number - 1))
    shown = page.render(
        "recall.html",
        recall=recall,
        progress=counts_of(db.session(), [recall.id])[recall.id],
        rows=rows[:PAGE_SIZE],
        more=len(rows) > PAGE_SIZE,
        page=number,
        show=show,
        choices=SHOWN,
        states=[(state.value, words.say(words.OUTREACH, state)) for state in Outreach],
        finished=FINISHED,
        channels=WAYS,
        note_limit=NOTE_LIMIT,
        may_handle=_may_handle(),
        sees_patients=_sees_patients(),
        typed=typed or {},
    )
    names = [str(row.patient.public_id) for row in rows[:PAGE_SIZE] if row.patient and _sees_patients()]
    seen = {"patients": names}
    audit.record(db.session(), actor(), "recall.view", "recall", recall.public_id, seen, at=page.at())
    db.session.commit()
    return shown


@pages.post("/recalls/<uuid:public_id>/list", endpoint="correct_recall")
@requires("recalls.handle")
def correct(public_id: uuid.UUID) -> Answer:
    """A corrected list in place of the last one."""
    draft = _draft()

    def act(recall: Recall) -> None:
        _check_file(draft)
        recalls.change_recall(
            db.session(), actor(), recall, {}, draft.text, accept_unread=draft.accept_unread, at=page.at()
        )

    return _do(public_id, act, _("The corrected list counts now."), {"text": draft.text})


@pages.post("/recalls/<uuid:public_id>/close", endpoint="close_recall")
@requires("recalls.handle")
def close(public_id: uuid.UUID) -> Answer:
    def act(recall: Recall) -> None:
        recalls.change_recall(db.session(), actor(), recall, {"closed": True}, at=page.at())

    return _do(public_id, act, _("The recall is closed."))


@pages.post("/outreach/<uuid:public_id>", endpoint="follow_up_recall")
@requires("recalls.handle")
def follow_up(public_id: uuid.UUID) -> Answer:
    row: RecallOutreach = find(db.session, RecallOutreach, actor().clinic_id, public_id, lock=True) or abort(
        404
    )
    show, number = request.form.get("show", "left"), request.form.get("page", 1, type=int)
    try:
        if request.form.get("version") != str(row.version):
            raise Conflict(_("somebody else has just recorded something here: look at it first"))
        state = _state()
        note, way = page.typed("note")[:NOTE_LIMIT] or None, page.typed("way") or None
        if way is not None and way not in WAYS:
            raise FieldRefused("way", _("choose one of the list"))
        recalls.follow_up(db.session(), actor(), row, state, way, note, at=page.at())
        db.session.commit()
    except (FieldRefused, Conflict) as refused:
        db.session.rollback()
        flash(_("Nothing was changed: %(refused)s.", refused=refused), "refused")
        typed = {name: page.typed(name) for name in ("state", "way", "note")} | {"id": str(public_id)}
        return _shown(row.recall, show, number, typed), 422
    flash(_("Noted: %(say)s.", say=words.say(words.OUTREACH, state).lower()), "done")
    return redirect(url_for("web.recall", public_id=row.recall.public_id, show=show), 303)


def _form(draft: Draft, **found: Any) -> str:
    return page.render(
        "recall_new.html",
        values=draft.values,
        text=draft.text,
        classes=CLASSES,
        limits=TEXTS,
        may_handle=_may_handle(),
        sees_patients=_sees_patients(),
        **found,
    )


def _previewed(draft: Draft, refused: str | None = None) -> str:
    try:
        found = recalls.preview(db.session(), actor().clinic_id, draft.text)
    except FieldRefused as error:
        return _form(draft, refused=str(error))
    shown = _form(draft, found=found, refused=refused)
    devices = [device for device, _ in (*found.matched, *found.not_excluded)]
    names = [str(device.patient.public_id) for device in devices if device.patient and _sees_patients()]
    audit.record(db.session(), actor(), "recall.preview", detail={"patients": names}, at=page.at())
    db.session.commit()
    return shown


def _draft() -> Draft:
    """What was pasted, or the file instead."""
    values = {name: page.typed(name) for name in (*TEXTS, "recall_class")}
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        return Draft(values, page.typed("text"))
    try:
        text = upload.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        return Draft(values, page.typed("text"), unreadable=True)
    return Draft(values, text.replace("\0", ""))


def _check_file(draft: Draft) -> None:
    if draft.unreadable:
        raise FieldRefused("file", NO_TEXT)


def _check(draft: Draft) -> None:
    _check_file(draft)
    for name, longest in TEXTS.items():
        if len(draft.values[name]) > longest:
            raise FieldRefused(name, _("is longer than %(longest)s characters", longest=longest))
    for name in ("title", "advice"):
        if not draft.values[name]:
            raise FieldRefused(name, _("fill it in, so that others know what to do"))
    if draft.values["recall_class"] not in ("", *CLASSES):
        raise FieldRefused("class", _("choose one of the list"))


def _state() -> Outreach:
    try:
        return Outreach(page.typed("state"))
    except ValueError as error:
        raise FieldRefused("state", _("choose how far it is")) from error


def _do(public_id: uuid.UUID, act: Any, done: str, typed: Mapping[str, str] | None = None) -> Answer:
    recall = _recall(public_id, lock=True)
    try:
        act(recall)
        db.session.commit()
    except (FieldRefused, Conflict) as refused:
        db.session.rollback()
        flash(_("Nothing was changed: %(refused)s.", refused=refused), "refused")
        return _shown(_recall(public_id), "left", 1, typed), 422
    flash(done, "done")
    return redirect(url_for("web.recall", public_id=public_id), 303)


def _recall(public_id: uuid.UUID, *, lock: bool = False) -> Recall:
    recall: Recall | None = find(db.session, Recall, actor().clinic_id, public_id, lock=lock)
    return recall or abort(404)


def _outreach(recall: Recall, show: str, offset: int) -> Sequence[RecallOutreach]:
    """One more than a page; what has not been begun comes first."""
    statement = (
        select(RecallOutreach)
        .where(RecallOutreach.recall_id == recall.id)
        .options(
            joinedload(RecallOutreach.device).joinedload(Device.patient),
            selectinload(RecallOutreach.history).joinedload(RecallOutreachEntry.actor),
        )
        .order_by(RecallOutreach.state != Outreach.TO_DO, RecallOutreach.id)
    )
    if show == "left":
        statement = statement.where(RecallOutreach.on_list, RecallOutreach.state.not_in(FINISHED))
    return db.session.scalars(statement.limit(PAGE_SIZE + 1).offset(offset)).all()


def _may_handle() -> bool:
    return allowed(g.user.role, "recalls.handle")


def _sees_patients() -> bool:
    return allowed(g.user.role, "patients.read")
