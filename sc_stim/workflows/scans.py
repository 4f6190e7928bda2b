"""MRI scans of people with a device: the checklist of a planned one, and the interrogation after it."""

import datetime as dt

from sqlalchemy.orm import Session

from sc_stim.models import CareTask, Device
from sc_stim.models.care_task import MRI_CHECK, MRI_PREPARATION
from sc_stim.workflows import care_tasks
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.conditions import judge_conditions
from sc_stim.workflows.refusals import Conflict, FieldRefused


def plan_scan(
    session: Session,
    actor: Actor,
    device: Device,
    planned_at: dt.datetime,
    comment: str | None,
    *,
    at: dt.datetime,
) -> CareTask:
    """The checklist of the model, as a task due at the scan. Raises FieldRefused and Conflict.

    A device without telemetry will not tell of the scan, so its check afterwards is owed at once, for every scan: what
    shows that it came well out of one says nothing about the next.
    """
    if not device.in_use:
        raise Conflict("nobody lives with this device: a scan is planned for a patient")
    if planned_at < at:
        raise FieldRefused("planned_at", "lies in the past: plan a scan before it is done")
    rule = care_tasks.rule_of(device)
    task = care_tasks.open_task(
        session,
        device,
        MRI_PREPARATION,
        since=planned_at,
        due_at=planned_at,
        steps=[*care_tasks.steps_of(rule, "before"), *care_tasks.steps_of(rule, "after")],
        effect_key=f"{MRI_PREPARATION}:{device.id}:{planned_at.astimezone(dt.UTC).isoformat()}",
        at=at,
        by=actor,
        comment=comment,
    )
    if task is None:
        raise Conflict("a scan of this device at this time is planned already")
    if not care_tasks.has_telemetry(device):
        care_tasks.open_check(session, device, planned_at, at, once=False)
    care_tasks.audited(session, actor, "mri_scan.plan", task, at, planned_at=planned_at.isoformat())
    return task


def record_interrogation(
    session: Session,
    actor: Actor,
    task: CareTask,
    performed_at: dt.datetime,
    comment: str,
    *,
    at: dt.datetime,
) -> None:
    """A person read the device out after the scan; once the model's rule is fulfilled the task is closed.

    Raises FieldRefused and Conflict.
    """
    care_tasks.check_open(task)
    if task.kind != MRI_CHECK:
        raise Conflict("only the check after a scan takes an interrogation: report this task as done")
    if performed_at > at:
        raise FieldRefused("performed_at", "lies in the future")
    if performed_at < task.since:
        raise FieldRefused("performed_at", f"lies before the scan of {task.since.isoformat()}")
    care_tasks.enter(session, task, care_tasks.INTERROGATION, at, actor.user_id, performed_at, comment)
    session.flush()
    care_tasks.audited(session, actor, "task.interrogation", task, at, performed_at=performed_at.isoformat())
    if task.device.kind == "stimulator" or not care_tasks.has_telemetry(task.device):
        care_tasks.close(session, task, care_tasks.INTERROGATION, performed_at, at)
    else:
        judge_conditions(session, {task.device_id: at}, at)
