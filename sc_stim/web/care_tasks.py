"""What devices give the clinic to do: the list of tasks, and one task with its checklist and its end."""

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from flask import abort, flash, redirect, request, url_for
from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from sc_stim.access import in_clinic, requires
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import CareTask
from sc_stim.models.care_task import KINDS, MRI_CHECK
from sc_stim.models.scope import find
from sc_stim.web import page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.web.forms import Form
from sc_stim.workflows import audit, care_tasks, scans
from sc_stim.workflows.refusals import Conflict, FieldRefused

PAGE_SIZE: Final = 50
MOST_EXPORTED: Final = 10_000
# code -> (name, what an empty list says)
CHOICES: Final = {
    "open": (
        _lazy("Open"),
        _lazy("Nothing is to be done. Tasks come from scans and odd readings of the devices."),
    ),
    "overdue": (_lazy("Overdue"), _lazy("Nothing is overdue.")),
    "closed": (_lazy("Closed"), _lazy("No task was closed yet.")),
}
CSV_HEADER: Final = (
    "task", "what", "patient", "record_number", "device", "serial", "since", "due", "closed", "closed_by",
)  # fmt: skip

Answer = Response | str | tuple[str, int]


@pages.get("/tasks", endpoint="tasks")
@requires("tasks.read")
def show_all() -> str:
    """`?show=` is one of CHOICES, `?kind=` a kind of task, `?page=` counts from 1."""
    show, kind = _wanted()
    number = request.args.get("page", 1, type=int)
    if not 1 <= number <= 10_000:
        abort(404)
    rows = db.session.scalars(
        _selected(show, kind).limit(PAGE_SIZE + 1).offset(PAGE_SIZE * (number - 1))
    ).all()
    shown = page.render(
        "tasks.html",
        show=show,
        kind=kind,
        choices=[(code, name, _count(code, kind)) for code, (name, _) in CHOICES.items()],
        kinds=[(code, words.say(words.TASK, code)) for code in KINDS],
        empty=CHOICES[show][1],
        tasks=rows[:PAGE_SIZE],
        more=len(rows) > PAGE_SIZE,
        page=number,
    )
    audit.record(
        db.session(), actor(), "task.list", detail={"patients": _seen(rows[:PAGE_SIZE])}, at=page.at()
    )
    db.session.commit()
    return shown


@pages.get("/tasks.csv", endpoint="tasks_csv")
@requires("tasks.read")
def download() -> Response:
    """The list as it is filtered, the first MOST_EXPORTED of it."""
    rows = db.session.scalars(_selected(*_wanted()).limit(MOST_EXPORTED)).all()
    audit.record(db.session(), actor(), "task.export", detail={"patients": _seen(rows)}, at=page.at())
    lines = list(_cells(rows))
    db.session.commit()
    return csv_answer("tasks", CSV_HEADER, lines)


@pages.get("/tasks/<uuid:public_id>", endpoint="task")
@requires("tasks.read")
def show_one(public_id: uuid.UUID) -> str:
    task = _task(public_id)
    shown = _rendered(task)
    seen = {"patients": _seen([task])}
    audit.record(db.session(), actor(), "task.view", "task", task.public_id, seen, at=page.at())
    db.session.commit()
    return shown


@pages.post("/tasks/<uuid:public_id>/interrogation", endpoint="record_interrogation")
@requires("tasks.handle")
def record_interrogation(public_id: uuid.UUID) -> Answer:
    task, form = _task(public_id, lock=True), Form(request.form)
    performed_at = form.moment("performed_at", _("Time of the interrogation"), page.zone(), needed=True)
    comment = form.text("comment", _("What the device showed"), needed=True)
    try:
        if performed_at is not None and comment is not None and not form.errors:
            scans.record_interrogation(db.session(), actor(), task, performed_at, comment, at=page.at())
            db.session.commit()
            done = (
                _("The task is closed.")
                if task.closed_at
                else _("One more is needed, or the device's own word.")
            )
            flash(_("The interrogation is on record. %(done)s", done=done), "done")
            return _back(public_id)
    except FieldRefused as refused:
        form.refuse(refused.field, _("The time of the interrogation %(reason)s.", reason=refused.reason))
    except Conflict as refused:
        return _refused(public_id, refused)
    db.session.rollback()
    return _rendered(_task(public_id), form), 422


@pages.post("/tasks/<uuid:public_id>/done", endpoint="finish_task")
@requires("tasks.handle")
def finish(public_id: uuid.UUID) -> Answer:
    task, form = _task(public_id, lock=True), Form(request.form)
    comment = form.text("comment", _("Comment"))
    if form.errors:
        return _rendered(task, form), 422
    try:
        care_tasks.finish(db.session(), actor(), task, comment, at=page.at())
        db.session.commit()
        flash(_("The task is done."), "done")
    except Conflict as refused:
        return _refused(public_id, refused)
    return _back(public_id)


def _rendered(task: CareTask, form: Form | None = None) -> str:
    return page.render(
        "task.html",
        task=task,
        form=form,
        needs_interrogation=task.kind == MRI_CHECK,
        now=page.at().astimezone(page.zone()).strftime("%Y-%m-%dT%H:%M"),
        may_handle=page.may("tasks.handle"),
    )


def _wanted() -> tuple[str, str]:
    show, kind = request.args.get("show", "open"), request.args.get("kind", "")
    if show not in CHOICES or kind not in ("", *KINDS):
        abort(404)
    return show, kind


def _selected(show: str, kind: str) -> Select[Any]:
    """What is due first stands first; of the closed ones the newest."""
    statement = _narrowed(select(CareTask), show, kind)
    statement = statement.options(joinedload(CareTask.patient), joinedload(CareTask.device))
    order = (CareTask.closed_at.desc(),) if show == "closed" else (CareTask.due_at,)
    return statement.order_by(*order, CareTask.id)


def _count(show: str, kind: str) -> int:
    return int(db.session.scalar(_narrowed(select(func.count(CareTask.id)), show, kind)) or 0)


def _narrowed(statement: Select[Any], show: str, kind: str) -> Select[Any]:
    statement = in_clinic(statement, CareTask, actor().clinic_id)
    closed = CareTask.closed_at.is_not(None)
    statement = statement.where(closed if show == "closed" else ~closed)
    if show == "overdue":
        statement = statement.where(CareTask.due_at <= page.at())
    return statement.where(CareTask.kind == kind) if kind else statement


def _cells(rows: Iterable[CareTask]) -> Iterator[tuple[str | dt.datetime | None, ...]]:
    """In the order of CSV_HEADER."""
    for task in rows:
        patient, device = task.patient, task.device
        yield (
            str(task.public_id), words.say(words.TASK, task.kind), patient and patient.display_name,
            patient and patient.mrn, device.model, device.serial, task.since, task.due_at, task.closed_at,
            task.closed_by,
        )  # fmt: skip


def _seen(tasks: Sequence[CareTask]) -> list[str]:
    return sorted({str(task.patient.public_id) for task in tasks if task.patient})


def _task(public_id: uuid.UUID, *, lock: bool = False) -> CareTask:
    task: CareTask | None = find(db.session, CareTask, actor().clinic_id, public_id, lock=lock)
    return task or abort(404)


def _refused(public_id: uuid.UUID, why: Conflict) -> Response:
    db.session.rollback()
    flash(_("Nothing was changed: %(why)s.", why=why), "refused")
    return _back(public_id)


def _back(public_id: uuid.UUID) -> Response:
    return redirect(url_for("web.task", public_id=public_id), 303)
