"""Every clinical figure that decides something here, with its source or "unverified"; what the clinic itself has set,
and who changed that. To be read only: figures come with the software, values of the clinic have pages of their own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from flask import Response, g, request
from sqlalchemy import or_, select

import sc_stim
from sc_stim.access import in_clinic, requires
from sc_stim.clinical import reference
from sc_stim.clinical.review_due import KINDS, usual_interval
from sc_stim.clinical.rules_doc import TABLES, UNVERIFIED
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import AuditEntry, Clinic, User
from sc_stim.web import page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.workflows import notifying, reviewing

MOST_CHANGES: Final = 50
# name of a table -> its heading, and the file it is read from (none: a rule, not a figure)
HEADINGS: Final = {
    "drugs": ("Drugs", "drugs.json"),
    "limits": ("Limits of drugs", "drugs.json"),
    "stability": ("Stability in the pump", "drugs.json"),
    "refill": ("When a pump must be refilled", "refill.json"),
    "refill_flags": ("Reconciliation at a refill", "refill.json"),
    "checklist": ("The refill visit", "refill_checklist.json"),
    "conditions": ("Alarm conditions", "alarms.json"),
    "events": ("What events of devices do", "alarms.json"),
    "silence": ("Silence of a device", "alarms.json"),
    "mri": ("MRI", "mri.json"),
    "therapy_conditions": ("Therapy that has gone silent", "therapy.json"),
    "therapy": ("Figures of therapy that has gone silent", "therapy.json"),
    "tolerances": ("Tolerances of settings", "therapy.json"),
    "impedance": ("Impedance", "impedance.json"),
    "pain": ("Pain", "pain.json"),
    "causes": ("Is the device the cause?", "causes.json"),
    "lifecycle": ("The life of an alert", None),
    "escalation": ("Whom an alert calls, as shipped", "escalation.json"),
    "burden": ("How much alerts may ask", "burden.json"),
    "risk": ("The order of the worklist", "risk.json"),
    "booking": ("Booking a visit", "booking.json"),
    "review": ("Review intervals, as shipped", "review.json"),
    "recall": ("Classes of recalls", "recall.json"),
}
CSV_COLUMNS: Final = ("Value", "Unit", "Source")
# Acts that change a value of the clinic, not one of a patient.
CHANGES: Final = ("clinic.change", "clinic.hours", "escalation.change")


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
        ladder=notifying.arrangements(db.session(), actor().clinic_id).ladder, changes=_changes(), names=_names(),
        change_words=_change_words,
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
    for name, (heading, file) in HEADINGS.items():
        table = TABLES[name]()
        rows = [
            tuple(cell.replace("`", "") for cell in row)
            for row in table.rows
            if _holds(wanted, heading, row) and (not unverified or UNVERIFIED in row)
        ]
        if rows:
            header = tuple(column.replace("`", "") for column in table.header)
            version = str(reference.load(file)["version"]) if file else None
            yield Shown(name, heading, version, header, rows)


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
            found.append((kind, own, "set by the clinic"))
        else:
            found.append((kind, int(usual.value), usual.source or "as shipped, unverified"))
    return found


def _changes() -> Sequence[AuditEntry]:
    """The newest acts that changed a value of the clinic."""
    clinic: Clinic = g.user.clinic
    plans = (AuditEntry.action == "review_plan.change") & (AuditEntry.subject == str(clinic.public_id))
    statement = in_clinic(select(AuditEntry), AuditEntry, clinic.id).where(
        or_(AuditEntry.action.in_(CHANGES), plans)
    )
    found: Sequence[AuditEntry] = db.session.scalars(
        statement.order_by(AuditEntry.number.desc()).limit(MOST_CHANGES)
    ).all()
    return found


def _change_words(entry: AuditEntry) -> list[str]:
    """What was changed, from what to what where the record says so."""
    changed = entry.detail.get("changed") or {}
    said = [
        f"{words.plain(name)}: {_value(before)} → {_value(after)}"
        for name, (before, after) in changed.items()
    ]
    said += [words.plain(name) for name in entry.detail.get("fields", ()) if name not in changed]
    return said or [words.say(words.CLINIC_CHANGE, entry.action)]


def _value(value: object) -> str:
    return "none" if value is None else str(value)


def _names() -> dict[str, str]:
    people = in_clinic(select(User.public_id, User.name), User, actor().clinic_id)
    return {str(public_id): name for public_id, name in db.session.execute(people)}
