"""What belongs to one device, patient or recall, as files for a spreadsheet."""

import datetime as dt
import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

from flask import Response, abort, request
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from sc_stim.access import in_clinic, requires
from sc_stim.clinical.outreach import FINISHED, Outreach
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import (
    Command,
    Device,
    DeviceEvent,
    PainScore,
    Patient,
    PumpSample,
    Recall,
    RecallOutreach,
    StimulatorSample,
)
from sc_stim.models.recall import counts_of
from sc_stim.models.scope import find
from sc_stim.web import page
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.workflows import audit
from sc_stim.workflows.registry import record_about

MOST_ROWS: Final = 10_000  # of one file, the newest; longer ones are long work
READINGS_OF: Final = dt.timedelta(days=90)
IDENTITY: Final = ("device_id", "epoch", "seq", "clinic_id", "measured_at", "device_at", "received_at")
PAIN: Final = (
    "id", "measured_at", "nrs_0_to_10", "site", "flare", "sleep_0_to_10", "interference_0_to_10", "symptoms",
    "reported_by", "corrected_by",
)  # fmt: skip


@pages.get("/devices/<uuid:public_id>/readings.csv", endpoint="readings_csv")
@requires("telemetry.read")
def readings(public_id: uuid.UUID) -> Response:
    """The last READINGS_OF, oldest first; a column's name ends in its unit."""
    device = _device(public_id)
    table: Any = PumpSample if device.kind == "pump" else StimulatorSample
    columns = [column for column in table.__table__.columns if column.name not in IDENTITY]
    statement = (
        select(table.measured_at, table.received_at, *columns)
        .where(table.device_id == device.id, table.measured_at > page.at() - READINGS_OF)
        .order_by(table.measured_at, table.epoch, table.seq)
    )
    rows = [[_plain(value) for value in row] for row in db.session.execute(statement)]
    _record("device.readings.export", device, len(rows))
    header = ("measured_at", "received_at", *(column.name for column in columns))
    return csv_answer(f"readings-{device.kind}", header, rows)


@pages.get("/devices/<uuid:public_id>/events.csv", endpoint="events_csv")
@requires("telemetry.read")
def events(public_id: uuid.UUID) -> Response:
    """Newest first, as the page shows them."""
    device = _device(public_id)
    statement = select(DeviceEvent).where(DeviceEvent.device_id == device.id)
    statement = statement.order_by(DeviceEvent.measured_at.desc(), DeviceEvent.seq.desc())
    found = db.session.scalars(statement.limit(MOST_ROWS)).all()
    rows = [[row.measured_at, row.received_at, row.kind, row.state, _plain(row.detail)] for row in found]
    _record("device.events.export", device, len(rows))
    return csv_answer("events", ("measured_at", "received_at", "event", "state", "detail"), rows)


@pages.get("/devices/<uuid:public_id>/commands.csv", endpoint="commands_csv")
@requires("commands.read")
def commands(public_id: uuid.UUID) -> Response:
    device = _device(public_id)
    statement = select(Command).where(Command.device_id == device.id).order_by(Command.id.desc())
    found = db.session.scalars(statement.options(joinedload(Command.requested_by)).limit(MOST_ROWS)).all()
    rows = [
        [row.public_id, row.kind, _plain(row.args), row.state, row.requested_by.name, row.requested_at, row.sent_at,
         row.answered_at, row.expires_at, _plain(row.result)]
        for row in found
    ]  # fmt: skip
    _record("device.commands.export", device, len(rows))
    header = (
        "id", "command", "with", "state", "asked_by", "asked_at", "sent_at", "answered_at", "expires_at", "answer",
    )  # fmt: skip
    return csv_answer("commands", header, rows)


@pages.get("/patients/<uuid:public_id>/pain-scores.csv", endpoint="pain_scores_csv")
@requires("diary.read")
def pain_scores(public_id: uuid.UUID) -> Response:
    """Newest first, with those that were corrected."""
    patient: Patient = find(db.session, Patient, actor().clinic_id, public_id) or abort(404)
    statement = select(PainScore).where(PainScore.patient_id == patient.id)
    statement = statement.options(joinedload(PainScore.entered_by), joinedload(PainScore.replaced_by))
    found = db.session.scalars(statement.order_by(PainScore.measured_at.desc()).limit(MOST_ROWS)).all()
    detail = {"rows": len(found)}
    audit.record(db.session(), actor(), "diary.export", "patient", patient.public_id, detail, at=page.at())
    rows = [_score(row) for row in found]
    db.session.commit()
    return csv_answer("pain-scores", PAIN, rows)


@pages.get("/recalls.csv", endpoint="recalls_csv")
@requires("recalls.read")
def recalls() -> Response:
    """Open ones first, as the page shows them."""
    statement = in_clinic(select(Recall), Recall, actor().clinic_id).options(joinedload(Recall.created_by))
    ordered = statement.order_by(Recall.closed_at.is_not(None), Recall.id.desc()).limit(MOST_ROWS)
    found = db.session.scalars(ordered).all()
    counts = counts_of(db.session(), [recall.id for recall in found])
    rows = [
        [row.public_id, row.title, row.reference, row.source, row.recall_class, counts[row.id]["left"],
         counts[row.id]["total"], row.created_by.name, row.created_at, row.closed_at]
        for row in found
    ]  # fmt: skip
    audit.record(db.session(), actor(), "recall.export", detail={"rows": len(rows)}, at=page.at())
    db.session.commit()
    header = (
        "recall", "title", "number", "source", "class", "devices_left", "devices", "kept_by", "kept_at", "closed_at",
    )  # fmt: skip
    return csv_answer("recalls", header, rows)


@pages.get("/recalls/<uuid:public_id>/outreach.csv", endpoint="outreach_csv")
@requires("recalls.read")
def outreach(public_id: uuid.UUID) -> Response:
    """`?show=left` or `all`, as on the page. Patients for those who may see them."""
    recall: Recall = find(db.session, Recall, actor().clinic_id, public_id) or abort(404)
    show = request.args.get("show", "left")
    if show not in ("left", "all"):
        abort(404)
    statement = (
        select(RecallOutreach)
        .where(RecallOutreach.recall_id == recall.id)
        .options(joinedload(RecallOutreach.device).joinedload(Device.patient))
        .order_by(RecallOutreach.state != Outreach.TO_DO, RecallOutreach.id)
    )
    if show == "left":
        statement = statement.where(RecallOutreach.on_list, RecallOutreach.state.not_in(FINISHED))
    found = db.session.scalars(statement).all()
    seen = [str(row.patient.public_id) for row in found if row.patient] if page.may("patients.read") else []
    audit.record(
        db.session(), actor(), "recall.export", "recall", recall.public_id, {"patients": seen}, at=page.at()
    )
    header = [
        "device", "manufacturer", "model", "serial", "match", "list_line", "not_on_record", "on_list", "state",
        "opened_at", "changed_at",
    ]  # fmt: skip
    if page.may("patients.read"):
        header += ["patient", "record_number", "telephone"]
    rows = list(_outreach_rows(found))
    db.session.commit()
    return csv_answer("recall-outreach", header, rows)


def _outreach_rows(found: Sequence[RecallOutreach]) -> Iterator[list[Any]]:
    for row in found:
        device, patient = row.device, row.patient
        cells = [
            device.public_id, device.manufacturer, device.model, device.serial, row.match, row.line,
            "; ".join(row.missing), row.on_list, row.state, row.opened_at, row.changed_at,
        ]  # fmt: skip
        if page.may("patients.read"):
            cells += [patient.display_name, patient.mrn, patient.phone] if patient else [None, None, None]
        yield cells


def _score(row: PainScore) -> list[Any]:
    return [
        row.public_id, row.measured_at, row.nrs, row.site, row.flare, row.sleep, row.interference,
        "; ".join(row.symptoms), row.entered_by.name if row.entered_by else "device",
        row.replaced_by and row.replaced_by.public_id,
    ]  # fmt: skip


def _device(public_id: uuid.UUID) -> Device:
    device: Device | None = find(db.session, Device, actor().clinic_id, public_id)
    return device or abort(404)


def _record(action: str, device: Device, rows: int) -> None:
    record_about(db.session(), actor(), action, device, {"rows": rows}, at=page.at())
    db.session.commit()


def _plain(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value
