"""Exports of a period and back-tests: asking for one, watching it, taking its result away."""

import datetime as dt
import uuid
from typing import Any, Final

from flask import abort, flash, g, redirect, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response

from sc_stim.access import allowed, requires
from sc_stim.extensions import csrf, db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import LongWork
from sc_stim.models.long_work import CANCELLED, DONE, FAILED, RUNNING, WAITING
from sc_stim.models.scope import find
from sc_stim.models.series import start_of_day
from sc_stim.web import page
from sc_stim.web.blueprint import pages
from sc_stim.web.forms import Form
from sc_stim.workflows import audit, long_work
from sc_stim.workflows.long_kinds import KINDS
from sc_stim.workflows.long_work import MOST_UPLOADED
from sc_stim.workflows.refusals import Conflict, FieldRefused

# kind -> (its name, what its result holds, what is counted while it runs)
NAMES: Final = {
    "audit": (_lazy("Audit trail"), _lazy("every entry of the period"), _lazy("entries")),
    "pump_readings": (_lazy("Readings of all pumps"), _lazy("every sample of the period"), _lazy("pumps")),
    "stimulator_readings": (
        _lazy("Readings of all stimulators"), _lazy("every sample of the period"), _lazy("stimulators"),
    ),
    "pain_backtest": (
        _lazy("Pain rule on this clinic's diaries"), _lazy("what it would have flagged, and when"), _lazy("patients"),
    ),
    "refill_backtest": (
        _lazy("Refill rule on this clinic's pumps"),
        _lazy("the volume and date expected before each visit, beside what was aspirated"), _lazy("pumps"),
    ),
    "pain_file": (_lazy("Pain rule on a file"), _lazy("CSV with the columns patient, at, nrs"), _lazy("patients")),
    "refill_file": (_lazy("Refill rule on a file"), _lazy("JSON, one pump or a list of them"), _lazy("pumps")),
    "recall_file": (
        _lazy("Recall list against all devices"), _lazy("text or CSV, as a recall is pasted"), _lazy("devices"),
    ),
}  # fmt: skip
STATES: Final = {
    WAITING: _lazy("Waiting for its turn"),
    RUNNING: _lazy("Running"),
    DONE: _lazy("Finished"),
    FAILED: _lazy("Broken off"),
    CANCELLED: _lazy("Cancelled"),
}
PERIOD: Final = dt.timedelta(days=31)  # that the form begins with
AROUND_THE_FILE: Final = 64 * 1024  # bytes of a form
MIMETYPES: Final = {"csv": "text/csv", "json": "application/json"}


@pages.get("/work", endpoint="long_work")
@requires("long_work.read")
def show() -> str:
    return _page(None)


@csrf.exempt  # checked below, once the form may be as large as its file
@pages.post("/work", endpoint="start_work")
@requires("long_work.read")
def start() -> ResponseReturnValue:
    request.max_content_length = MOST_UPLOADED + AROUND_THE_FILE
    try:
        csrf.protect()
    except RequestEntityTooLarge:
        form = Form({})
        form.refuse("file", _("The file is larger than %(most)s MB. Send it in parts.", most=_most_mb()))
        return _page(form), 422
    form = Form(request.form)
    kind = form["kind"]
    if kind not in KINDS:
        flash(_("Nothing was begun: choose what to make."), "refused")
        return redirect(url_for("web.long_work"), 303)
    if not _may(kind):
        abort(403)
    takes = KINDS[kind].takes
    asked = _period(form) if takes == "period" else {}
    upload = _file(form, asked) if takes == "file" else None
    if form.errors:
        return _page(form), 422
    try:
        long_work.start(db.session(), actor(), kind, asked, upload, at=page.at())
        db.session.commit()
    except (Conflict, FieldRefused) as refused:
        db.session.rollback()
        flash(_("Nothing was begun: %(refused)s.", refused=refused), "refused")
        return redirect(url_for("web.long_work"), 303)
    flash(_("Asked for: %(name)s. This page may be closed.", name=NAMES[kind][0]), "done")
    return redirect(url_for("web.long_work"), 303)


@pages.post("/work/<uuid:public_id>/cancel", endpoint="cancel_work")
@requires("long_work.read")
def cancel(public_id: uuid.UUID) -> Response:
    work = _work(public_id, lock=True)
    try:
        long_work.cancel(db.session(), actor(), work, at=page.at())
        db.session.commit()
        flash(_("Cancelled: %(name)s. What was done of it is dropped.", name=NAMES[work.kind][0]), "done")
    except Conflict as refused:
        db.session.rollback()
        flash(_("Nothing was changed: %(refused)s.", refused=refused), "refused")
    return redirect(url_for("web.long_work"), 303)


@pages.get("/work/<uuid:public_id>/result", endpoint="work_result")
@requires("long_work.read")
def take_away(public_id: uuid.UUID) -> Response:
    """The result as a download, part after part."""
    work = _work(public_id)
    if work.state != DONE or (work.expires_at and work.expires_at <= page.at()):
        abort(404)
    detail = {"kind": work.kind, **work.asked}
    audit.record(db.session(), actor(), "long_work.export", "long_work", work.public_id, detail, at=page.at())
    suffix = KINDS[work.kind].suffix
    parts = stream_with_context(long_work.result(db.session(), work))
    answer = Response(parts, mimetype=MIMETYPES[suffix])
    name = f"{work.kind.replace('_', '-')}-{work.created_at.astimezone(page.zone()).date()}.{suffix}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    db.session.commit()
    return answer


def _page(form: Form | None) -> str:
    kinds = [kind for kind in KINDS if _may(kind)]
    works = long_work.works_of(db.session(), actor().clinic_id, kinds)
    first_day = page.today() - PERIOD
    return page.render(
        "long_work.html",
        form=form,
        works=works,
        unfinished=any(work.unfinished for work in works),
        names=NAMES,
        states=STATES,
        goes_on_by=long_work.goes_on_by,
        period=_period_in_words,
        offered={
            takes: [(kind, NAMES[kind][0], NAMES[kind][1]) for kind in kinds if KINDS[kind].takes == takes]
            for takes in ("period", "nothing", "file")
        },
        first_day=first_day,
        most_mb=_most_mb(),
        most_at_once=long_work.MOST_AT_ONCE,
    )


def _may(kind: str) -> bool:
    return allowed(g.user.role, KINDS[kind].action)


def _work(public_id: uuid.UUID, *, lock: bool = False) -> LongWork:
    """Of the clinic, and of a kind that this role may make."""
    work: LongWork | None = find(db.session, LongWork, actor().clinic_id, public_id, lock=lock)
    return work if work and _may(work.kind) else abort(404)


def _period(form: Form) -> dict[str, Any]:
    """Whole days on the clinic's calendar, both included."""
    first = form.day("first_day", _("From"), needed=True)
    last = form.day("last_day", _("Until"), needed=True)
    if not (first and last):
        return {}
    if last < first:
        form.refuse("last_day", _("Until must not be before from."))
    if first.year < 1900 or last.year > 2200:
        form.refuse("first_day", _("The years must lie between 1900 and 2200."))
        return {}
    until = last + dt.timedelta(days=1)
    edges = {"since": start_of_day(first, page.zone()), "until": start_of_day(until, page.zone())}
    return {name: edge.isoformat() for name, edge in edges.items()}


def _period_in_words(work: LongWork) -> tuple[dt.date, dt.date] | None:
    if "since" not in work.asked:
        return None
    since, until = (dt.datetime.fromisoformat(work.asked[name]) for name in ("since", "until"))
    last = until - dt.timedelta(seconds=1)
    return since.astimezone(page.zone()).date(), last.astimezone(page.zone()).date()


def _file(form: Form, asked: dict[str, Any]) -> bytes | None:
    """What was chosen; its name goes on record, its content only to the worker."""
    sent = request.files.get("file")
    content = sent.read() if sent and sent.filename else b""
    if sent is None or not content.strip():
        form.refuse("file", _("Choose a file that is not empty."))
        return None
    asked["file"] = str(sent.filename).replace("\0", "")[-100:]
    return content


def _most_mb() -> int:
    return MOST_UPLOADED // 1024**2
