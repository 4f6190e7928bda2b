"""Tasks about devices: what has to be done, until when, by which rule, and what ended it."""

import datetime as dt
import uuid
from typing import Any

from flask import g
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload
from werkzeug.exceptions import NotFound

from sc_stim import clock
from sc_stim.access import in_clinic, requires
from sc_stim.api.http import NO_ROW, Resource, audit, find_or_404
from sc_stim.api.paging import page, page_of
from sc_stim.api.schemas_shared import seen
from sc_stim.api.schemas_tasks import (
    DoneSchema,
    InterrogationSchema,
    NewScanSchema,
    TaskQuerySchema,
    TaskSchema,
    TaskWithHistorySchema,
)
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import CareTask, Device, scope
from sc_stim.workflows import care_tasks, scans

tasks = Resource("tasks", __name__, "What a device gives the clinic to do.")


@tasks.get("/tasks")
@requires("tasks.read")
@tasks.arguments(TaskQuerySchema, location="query")
@tasks.response(200, page_of(TaskSchema))
def list_tasks(query: dict[str, Any]) -> Any:
    """List tasks, the one due first."""
    statement = in_clinic(select(CareTask), CareTask, g.user.clinic_id)
    statement = statement.options(joinedload(CareTask.patient), joinedload(CareTask.device))
    keys = [CareTask.due_at, CareTask.id]
    body, headers = page(_selected(statement, query, clock.now()), query, keys)
    audit("task.list", patients=seen(task.patient for task in body["items"]))
    return body, headers


@tasks.get("/tasks/<uuid:task_id>")
@requires("tasks.read")
@tasks.response(200, TaskWithHistorySchema)
def show_task(task_id: uuid.UUID) -> CareTask:
    """Show a task with its checklist and everything that was done for it."""
    task = find_or_404(CareTask, task_id)
    audit("task.view", "task", task.public_id, patients=seen([task.patient]))
    return task


@tasks.post("/tasks/<uuid:task_id>/interrogations")
@requires("tasks.handle")
@tasks.arguments(InterrogationSchema)
@tasks.response(201, TaskWithHistorySchema)
def create_interrogation(read_out: dict[str, Any], task_id: uuid.UUID) -> CareTask:
    """Record that a device was interrogated after a scan.

    Some models need two; the task ends when its rule is fulfilled. Sessions and reports that the device tells of
    count by themselves.
    """
    task = _lock(task_id)
    scans.record_interrogation(
        db.session, actor(), task, read_out["performed_at"], read_out["comment"], at=clock.now()
    )
    return task


@tasks.post("/tasks/<uuid:task_id>/done")
@requires("tasks.handle")
@tasks.arguments(DoneSchema)
@tasks.response(200, TaskWithHistorySchema)
def finish_task(remark: dict[str, Any], task_id: uuid.UUID) -> CareTask:
    """Say that a task is done. The check after a scan is refused: only an interrogation ends it."""
    task = _lock(task_id)
    care_tasks.finish(db.session, actor(), task, remark["comment"], at=clock.now())
    return task


@tasks.post("/devices/<uuid:device_id>/mri-scans")
@requires("tasks.handle")
@tasks.arguments(NewScanSchema)
@tasks.response(201, TaskWithHistorySchema)
def create_mri_scan(new: dict[str, Any], device_id: uuid.UUID) -> CareTask:
    """Plan a scan: answers with the checklist of this model, each line with its source, as a task due at the scan."""
    device = find_or_404(Device, device_id)
    return scans.plan_scan(db.session, actor(), device, new["planned_at"], new["comment"], at=clock.now())


def _selected(statement: Select[Any], query: dict[str, Any], at: dt.datetime) -> Select[Any]:
    if query["state"] == "closed":
        statement = statement.where(CareTask.closed_at.is_not(None))
    else:
        statement = statement.where(CareTask.closed_at.is_(None))
    if query["state"] == "overdue":
        statement = statement.where(CareTask.due_at <= at)
    if "kind" in query:
        statement = statement.where(CareTask.kind == query["kind"])
    if "device_id" in query:
        statement = statement.where(CareTask.device.has(Device.public_id == query["device_id"]))
    return statement


def _lock(task_id: uuid.UUID) -> CareTask:
    """The task, held until the commit: of two people who act at once, the second sees what the first did."""
    task = scope.find(db.session, CareTask, g.user.clinic_id, task_id, lock=True)
    if task is None:
        raise NotFound(NO_ROW)
    return task
