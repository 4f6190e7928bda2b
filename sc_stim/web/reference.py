"""Every clinical figure that decides something here, with its source or "unverified"; what the clinic itself has set,
and who changed that. To be read only: the clinic sets its own figures on a page of their own.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from flask import Response, g, request
from sqlalchemy import false, or_, select

import sc_stim
from sc_stim.access import in_clinic, requires
from sc_stim.clinical import reference
from sc_stim.clinical.clinic_figures import open_figures
from sc_stim.clinical.review_due import KINDS, usual_interval
from sc_stim.clinical.rules_doc import TABLES, UNVERIFIED
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy
from sc_stim.models import AuditEntry, Clinic, User
from sc_stim.web import page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.workflows import clinic_figures, notifying, reviewing
from sc_stim.workflows.clinic_figures import Standing

MOST_CHANGES: Final = 50
# name of a table -> its heading, and the file it is read from (none: a rule, not a figure)
HEADINGS: Final = {
    "drugs": (_lazy("Drugs"), "drugs.json"),
    "limits": (_lazy("Limits of drugs"), "drugs.json"),
    "stability": (_lazy("Stability in the pump"), "drugs.json"),
    "refill": (_lazy("When a pump must be refilled"), "refill.json"),
    "refill_flags": (_lazy("Reconciliation at a refill"), "refill.json"),
    "checklist": (_lazy("The refill visit"), "refill_checklist.json"),
    "conditions": (_lazy("Alarm conditions"), "alarms.json"),
    "events": (_lazy("What events of devices do"), "alarms.json"),
    "silence": (_lazy("Silence of a device"), "alarms.json"),
    "mri": ("MRI", "mri.json"),
    "therapy_conditions": (_lazy("Therapy that has gone silent"), "therapy.json"),
    "therapy": (_lazy("Figures of therapy that has gone silent"), "therapy.json"),
    "tolerances": (_lazy("Tolerances of settings"), "therapy.json"),
    "impedance": (_lazy("Impedance"), "impedance.json"),
    "pain": (_lazy("Pain"), "pain.json"),
    "causes": (_lazy("Is the device the cause?"), "causes.json"),
    "lifecycle": (_lazy("The life of an alert"), None),
    "escalation": (_lazy("Whom an alert calls, as shipped"), "escalation.json"),
    "burden": (_lazy("How much alerts may ask"), "burden.json"),
    "risk": (_lazy("The order of the worklist"), "risk.json"),
    "booking": (_lazy("Booking a visit"), "booking.json"),
    "review": (_lazy("Review intervals, as shipped"), "review.json"),
    "recall": (_lazy("Classes of recalls"), "recall.json"),
    "open_figures": (_lazy("What a clinic may set itself"), "clinic_figures.json"),
}
CSV_COLUMNS: Final = ("Value", "Unit", "Source")
UNITS: Final = {
    "1": _lazy("report intervals"),
    "d": _lazy("days"),
    "h": _lazy("hours"),
    "mg/d": _lazy("mg/day"),
    "ug/d": _lazy("µg/day"),
    "ug/mL": "µg/mL",
}
# Acts that change a value of the clinic, not one of a patient.
CHANGES: Final = (
    "clinic.change",
    "clinic.hours",
    "escalation.change",
    clinic_figures.SET,
    clinic_figures.BACK,
)


@dataclass(frozen=True)
class Shown:
    """One table, with those of its rows that were searched for."""

    name: str
    heading: str
    version: str | None
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


@pages.get("/reference", endpoint="reference")
@requires("clinic.read")
def show() -> str:
    """`?q=` words that a row must hold; `?unverified=1` only what has no source."""
    searched, unverified = request.args.get("q", "").strip(), "unverified" in request.args
    tables = list(_tables(searched, unverified))
    return page.render(
        "reference.html", tables=tables, searched=searched, unverified=unverified, mark=UNVERIFIED,
        found=sum(len(table.rows) for table in tables), intervals=_intervals(), clinic=g.user.clinic,
        ladder=notifying.arrangements(db.session(), actor().clinic_id).ladder, changes=changes(CHANGES, plans=True),
        names=names(), change_words=change_words, own=_own(), value_words=value_words,
    )  # fmt: skip


@pages.get("/reference.csv", endpoint="reference_csv")
@requires("clinic.read")
def export() -> Response:
    """One row for each row of every table; columns that only some tables have are joined in the last."""
    rows = [
        (
            table.heading,
            row[0],
            *(cells.get(column, "") for column in CSV_COLUMNS),
            "; ".join(f"{name}: {cell}" for name, cell in cells.items() if cell and name not in CSV_COLUMNS),
            table.version or sc_stim.__version__,
        )
        for table in _tables(request.args.get("q", "").strip(), "unverified" in request.args)
        for row in table.rows
        for cells in [dict(zip(table.header[1:], map(_plain, row[1:]), strict=True))]
    ]
    return csv_answer("figures", ("table", "item", "value", "unit", "source", "more", "version"), rows)


def _tables(searched: str, unverified: bool) -> Iterator[Shown]:
    wanted = searched.lower().split()
    for name, (title, file) in HEADINGS.items():
        heading = str(title)
        table = TABLES[name]()
        rows = [
            tuple(cell.replace("`", "") for cell in row)
            for row in table.rows
            if _holds(wanted, str(heading), row) and (not unverified or UNVERIFIED in row)
        ]
        if rows:
            header = tuple(column.replace("`", "") for column in table.header)
            version = str(reference.load(file)["version"]) if file else None
            yield Shown(name, str(heading), version, header, rows)


def _holds(wanted: Sequence[str], heading: str, row: Sequence[str]) -> bool:
    text = " ".join((heading, *row)).lower()
    return all(word in text or word in text.replace("_", " ") for word in wanted)


def _plain(cell: str) -> str:
    return cell.replace("**", "").replace("`", "")


def _intervals() -> list[tuple[str, int, str]]:
    """(kind of device, days, who says so) of the reviews of this clinic."""
    plan = reviewing.plan_of(db.session(), actor().clinic_id)
    found = []
    for kind in KINDS:
        own, usual = getattr(plan, f"{kind}_days"), usual_interval(kind)
        if own is not None:
            found.append((kind, own, _said_by_clinic(plan.source)))
        else:
            found.append((kind, int(usual.value), usual.source or _("as shipped, unverified")))
    return found


def _said_by_clinic(source: str | None) -> str:
    said = _("set by the clinic, source: %(source)s", source=source) if source else _("set by the clinic")
    return str(said)


def _own() -> list[Standing]:
    """The figures that the clinic has set in place of shipped ones."""
    return [one for one in clinic_figures.standing_of(db.session(), actor().clinic_id) if one.own]


def unit_words(unit: str) -> str:
    return str(UNITS.get(unit, unit))


def value_words(value: float, unit: str) -> str:
    return f"{words.number(value)} {unit_words(unit)}"


def changes(actions: Collection[str], *, plans: bool) -> Sequence[AuditEntry]:
    """The newest acts of these kinds on values of the clinic. `plans`: also those on how often it reviews devices."""
    clinic: Clinic = g.user.clinic
    of_clinic = (AuditEntry.action == "review_plan.change") & (AuditEntry.subject == str(clinic.public_id))
    statement = in_clinic(select(AuditEntry), AuditEntry, clinic.id).where(
        or_(AuditEntry.action.in_(actions), of_clinic if plans else false())
    )
    found: Sequence[AuditEntry] = db.session.scalars(
        statement.order_by(AuditEntry.number.desc()).limit(MOST_CHANGES)
    ).all()
    return found


def change_words(entry: AuditEntry) -> list[str]:
    """What was changed, from what to what where the record says so."""
    changed = entry.detail.get("changed") or {}
    figure = open_figures().get(entry.subject or "") if entry.subject_kind == "figure" else None
    said = [
        f"{words.plain(name)}: {_value(before)} → {_value(after)}"
        for name, (before, after) in changed.items()
    ]
    said += [words.plain(name) for name in entry.detail.get("fields", ()) if name not in changed]
    if figure:
        return [figure.name, *said]
    return said or [words.say(words.CLINIC_CHANGE, entry.action)]


def _value(value: object) -> str:
    return "none" if value is None else str(value)


def names() -> dict[str, str]:
    people = in_clinic(select(User.public_id, User.name), User, actor().clinic_id)
    return {str(public_id): name for public_id, name in db.session.execute(people)}
