"""The clinic's own figures: what it has set in place of shipped ones, by what source, who did it and when.

Everybody reads them, the administrator sets them. How often devices are reviewed stands among them, in its own table.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from flask import Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from sc_stim.access import requires
from sc_stim.clinical.clinic_figures import LONGEST_SOURCE
from sc_stim.clinical.reference import Figure
from sc_stim.clinical.review_due import KINDS, LONGEST_DAYS, SHORTEST_DAYS, usual_interval
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import AuditEntry, ReviewPlan
from sc_stim.web import editing, page, reference, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.web.forms import Form
from sc_stim.web.reference import unit_words, value_words
from sc_stim.workflows import audit, clinic_figures, reviewing
from sc_stim.workflows.clinic_figures import Standing
from sc_stim.workflows.refusals import Conflict, FieldRefused

REVIEWS: Final = "reviews"
HEADINGS: Final = {
    REVIEWS: _lazy("How often devices are reviewed"),
    "limits": _lazy("Limits of drugs"),
    "stability": _lazy("How long drugs keep in the pump"),
    "silence": _lazy("Silence of devices"),
    "lasting": _lazy("When what lasts becomes an alert"),
}
# What a figure of this group does.
DOES: Final = {
    "limits": _lazy("A prescription or fill above it is warned of. Nothing is blocked."),
    "stability": _lazy("The refill date is never later than so many days after the fill."),
    "silence": _lazy("How long a device may say nothing before somebody is told."),
    "lasting": _lazy("Until then it calls nobody."),
}
REVIEW_NAMES: Final = {
    "pump": _lazy("Review of a pump, every"),
    "stimulator": _lazy("Review of a stimulator, every"),
}
CSV_HEADER: Final = (
    "group", "figure", "unit", "shipped", "shipped source", "clinic's own", "clinic's source", "wider than shipped",
    "set by", "set at",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One figure of the list. `value`, `source`, `by` and `at` are the clinic's, None where the shipped one holds."""

    name: str
    address: str
    unit: str
    shipped: Figure | None
    value: float | None
    source: str | None
    by: str | None
    at: dt.datetime | None
    wider: bool


@pages.get("/clinic/figures", endpoint="clinic_figures")
@requires("clinic.read")
def show_all() -> str:
    """`?q=` words that a figure must hold; `?own=1` only what the clinic has set."""
    searched, own = request.args.get("q", "").strip(), "own" in request.args
    groups = {heading: rows for heading, rows in _groups(searched, own) if rows}
    return page.render(
        "clinic_figures.html", groups=groups, searched=searched, only_own=own,
        figure_words=figure_words, value_words=value_words, found=sum(map(len, groups.values())),
    )  # fmt: skip


@pages.get("/clinic/figures.csv", endpoint="clinic_figures_csv")
@requires("clinic.read")
def export() -> Response:
    groups = list(_groups(request.args.get("q", "").strip(), "own" in request.args))
    audit.record(db.session(), actor(), "figure.export", at=page.at())
    db.session.commit()
    return csv_answer(
        "clinic-figures", CSV_HEADER, [_cells(name, row) for name, rows in groups for row in rows]
    )


@pages.get("/clinic/figures/<key>", endpoint="clinic_figure")
@requires("clinic.read")
def show_one(key: str) -> str:
    return _one(_find(key), None)


@pages.post("/clinic/figures/<key>", endpoint="set_clinic_figure")
@requires("clinic.manage")
def set_one(key: str) -> ResponseReturnValue:
    standing, form = _find(key), Form(request.form)
    figure, own = standing.figure, standing.own
    unit = unit_words(figure.unit)
    value = form.number("value", _("Value"), least=figure.least, most=figure.most, unit=unit, needed=True)
    source = form.text("source", _("Source"), needed=True, most=LONGEST_SOURCE)
    now = {"value": (_("Value"), words.number(own.value) if own and own.value is not None else ""),
           "source": (_("Source"), own.source if own and own.source else "")}  # fmt: skip
    editing.refuse_stale(form, standing.version, now)
    if not form.errors and value is not None and source:
        try:
            clinic_figures.set_figure(db.session(), actor(), standing, value, source, at=page.at())
            db.session.commit()
            flash(_("The clinic's own figure holds from now on: %(figure)s.", figure=value_words(value, figure.unit)),
                  "done")  # fmt: skip
            return redirect(url_for("web.clinic_figure", key=key), 303)
        except FieldRefused as refused:
            db.session.rollback()
            form.refuse(refused.field, f"{_('Value')} {refused.reason}.")
    return _one(_find(key), form), 422


@pages.post("/clinic/figures/<key>/shipped", endpoint="unset_clinic_figure")
@requires("clinic.manage")
def unset_one(key: str) -> ResponseReturnValue:
    """The history of the figure offers to set again what held before."""
    standing = _find(key)
    try:
        editing.must_be_current(standing)
        clinic_figures.back_to_shipped(db.session(), actor(), standing, at=page.at())
        db.session.commit()
        flash(_("The shipped figure holds again."), "done")
    except Conflict as refused:
        flash(_("Nothing was changed: %(why)s.", why=refused), "refused")
    return redirect(url_for("web.clinic_figure", key=key), 303)


@pages.get("/clinic/review-intervals", endpoint="review_intervals")
@requires("clinic.read")
def show_intervals() -> str:
    return _intervals(_plan(), None)


@pages.post("/clinic/review-intervals", endpoint="set_review_intervals")
@requires("clinic.manage")
def set_intervals() -> ResponseReturnValue:
    """An emptied field goes back to the shipped interval."""
    form = Form(request.form)
    days: dict[str, int | None] = {
        f"{kind}_days": form.whole(
            f"{kind}_days", str(REVIEW_NAMES[kind]), least=SHORTEST_DAYS, most=LONGEST_DAYS
        )
        for kind in KINDS
    }
    own = any(value is not None for value in days.values())
    source = form.text("source", _("Source"), needed=own, most=LONGEST_SOURCE)
    plan = reviewing.plan_to_edit(db.session(), actor().clinic_id)
    now = {name: (str(REVIEW_NAMES[name.removesuffix("_days")]), _text(getattr(plan, name))) for name in days}
    editing.refuse_stale(form, plan.version, now | {"source": (_("Source"), plan.source or "")})
    if form.errors:
        db.session.rollback()
        return _intervals(_plan(), form), 422
    reviewing.change_plan(
        db.session(), actor(), plan, days | {"source": source if own else None}, at=page.at()
    )
    db.session.commit()
    flash(_("The intervals hold from now on, also for reviews that are overdue by them."), "done")
    return redirect(url_for("web.review_intervals"), 303)


@pages.post("/clinic/review-intervals/shipped", endpoint="unset_review_intervals")
@requires("clinic.manage")
def unset_intervals() -> ResponseReturnValue:
    plan = reviewing.plan_to_edit(db.session(), actor().clinic_id)
    try:
        editing.must_be_current(plan)
        none = dict.fromkeys((*(f"{kind}_days" for kind in KINDS), "source"))
        reviewing.change_plan(db.session(), actor(), plan, none, at=page.at())
        db.session.commit()
        flash(_("The shipped intervals hold again."), "done")
    except Conflict as refused:
        db.session.rollback()
        flash(_("Nothing was changed: %(why)s.", why=refused), "refused")
    return redirect(url_for("web.review_intervals"), 303)


def figure_words(figure: Figure | None) -> str:
    """A shipped figure with its unit."""
    return _("none") if figure is None else value_words(figure.value, figure.unit)


def _groups(searched: str, only_own: bool) -> Iterator[tuple[str, list[Row]]]:
    wanted = searched.lower().split()
    figures = clinic_figures.standing_of(db.session(), actor().clinic_id)
    for group, heading in HEADINGS.items():
        rows = (
            _review_rows()
            if group == REVIEWS
            else [_row(one) for one in figures if one.figure.group == group]
        )
        yield (
            str(heading),
            [
                row
                for row in rows
                if (row.value is not None or not only_own)
                and _holds(wanted, f"{heading} {row.name} {row.source or ''}")
            ],
        )


def _holds(wanted: list[str], text: str) -> bool:
    return all(word in text.lower() for word in wanted)


def _row(standing: Standing) -> Row:
    figure, own = standing.figure, standing.own
    return Row(
        name=figure.name,
        address=url_for("web.clinic_figure", key=figure.key),
        unit=figure.unit,
        shipped=figure.shipped,
        value=own.value if own else None,
        source=own.source if own else None,
        by=own.set_by.name if own else None,
        at=own.set_at if own else None,
        wider=standing.wider,
    )


def _review_rows() -> list[Row]:
    plan, changes = _plan(), _plan_changes()
    return [_review_row(kind, plan, changes) for kind in KINDS]


def _review_row(kind: str, plan: ReviewPlan, changes: list[AuditEntry]) -> Row:
    name, shipped = f"{kind}_days", usual_interval(kind)
    days: int | None = getattr(plan, name)
    last = next((entry for entry in changes if days is not None and name in entry.detail["changed"]), None)
    return Row(
        name=str(REVIEW_NAMES[kind]),
        address=url_for("web.review_intervals"),
        unit=shipped.unit,
        shipped=shipped,
        value=days,
        source=plan.source if days is not None else None,
        by=reference.names().get(last.actor, last.actor) if last else None,
        at=last.at if last else None,
        wider=days is not None and days > shipped.value,
    )


def _cells(group: str, row: Row) -> tuple[Any, ...]:
    shipped = row.shipped
    return (
        group, row.name, unit_words(row.unit), shipped.value if shipped else None,
        (shipped.source or "unverified") if shipped else None, row.value, row.source, "yes" if row.wider else "no",
        row.by, row.at,
    )  # fmt: skip


def _find(key: str) -> Standing:
    return clinic_figures.find(db.session(), actor().clinic_id, key) or abort(404)


def _one(standing: Standing, form: Form | None) -> str:
    figure = standing.figure
    return page.render(
        "clinic_figure.html", standing=standing, figure=figure, own=standing.own, form=form, does=DOES[figure.group],
        unit=unit_words(figure.unit), value_words=value_words, figure_words=figure_words,
        history=clinic_figures.history(db.session(), actor().clinic_id, figure.key), longest=LONGEST_SOURCE,
    )  # fmt: skip


def _plan() -> ReviewPlan:
    return reviewing.plan_of(db.session(), actor().clinic_id)


def _plan_changes() -> list[AuditEntry]:
    return list(reference.changes((), plans=True))


def _intervals(plan: ReviewPlan, form: Form | None) -> str:
    return page.render(
        "review_intervals.html", plan=plan, form=form, rows=_review_rows(), kinds=KINDS, changes=_plan_changes(),
        names=reference.names(), change_words=reference.change_words, value_words=value_words,
        figure_words=figure_words, own=any(getattr(plan, f"{kind}_days") is not None for kind in KINDS),
        longest=LONGEST_SOURCE, field_names=REVIEW_NAMES, shortest_days=SHORTEST_DAYS, longest_days=LONGEST_DAYS,
    )  # fmt: skip


def _text(value: object) -> str:
    return "" if value is None else str(value)
