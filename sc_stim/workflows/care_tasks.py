"""Tasks about devices: opened by what a device tells or by a plan, ended by evidence and not by a tick.

A scan is known from the conditions of the device (`clinical.conditions`); the task is their form on the worklist.
While it is in time there is no alert; overdue, the same condition is one.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.clinical.alarms import duration
from sc_stim.clinical.conditions import MRI_CHECK as CHECK_CONDITION
from sc_stim.clinical.conditions import MRI_MODE, Conditions
from sc_stim.devices.catalogue import MriRule, UnknownModel, find_model, mri_rule
from sc_stim.models import CareTask, CareTaskEntry, Device
from sc_stim.models.base import among, new_public_id
from sc_stim.models.care_task import MRI_CHECK
from sc_stim.workflows import outbox
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.outbox import UPSERT
from sc_stim.workflows.refusals import Conflict
from sc_stim.workflows.registry import record_about

# What tells of a scan: a pump needs interrogating after it, a stimulator must say that it left MRI mode.
SCANNED: Final = {"pump": CHECK_CONDITION, "stimulator": MRI_MODE}
INTERROGATION: Final = "interrogation"
EXPLANTED: Final = "explanted"


def open_key(kind: str, device_id: int) -> str:
    return f"{kind}:{device_id}"


def follow_scans(
    session: Session, devices: Iterable[Device], judged: Mapping[int, Conditions], at: dt.datetime
) -> None:
    """A task for each device that was scanned, and its end once the interrogations after the scan are there."""
    devices = list(devices)
    opened = _open_tasks(session, [device.id for device in devices])
    for device in devices:
        name, found, task = SCANNED[device.kind], judged[device.id], opened.get(device.id)
        holding = next((held for held in found.now if held.name == name), None)
        if holding is not None and task is None:
            open_check(session, device, holding.since, at)
        over = [past for past in found.past if task and past.name == name and past.until >= task.since]
        if task is not None and over and name not in {held.name for held in (*found.now, *found.waiting)}:
            close(session, task, over[-1].ended_by, over[-1].until, at)


def end_of_explanted(session: Session, device_ids: Collection[int], at: dt.datetime) -> None:
    """Nothing is to be done about a device that is out."""
    explanted = select(Device.id).where(
        among(session, Device.id, device_ids), Device.explanted_on.is_not(None)
    )
    statement = select(CareTask).where(CareTask.device_id.in_(explanted), CareTask.closed_at.is_(None))
    for task in session.scalars(statement.order_by(CareTask.id)):
        close(session, task, EXPLANTED, None, at)


def recorded_interrogations(
    session: Session, device_ids: Collection[int]
) -> Iterator[tuple[int, dt.datetime]]:
    """(device, when) of the read-outs that people recorded."""
    statement = (
        select(CareTask.device_id, CareTaskEntry.performed_at)
        .join(CareTask, CareTask.id == CareTaskEntry.task_id)
        .where(
            among(session, CareTask.device_id, device_ids),
            CareTaskEntry.event == INTERROGATION,
            CareTaskEntry.performed_at.is_not(None),
        )
    )
    for row in session.execute(statement):
        yield row.device_id, row.performed_at


def finish(session: Session, actor: Actor, task: CareTask, comment: str | None, *, at: dt.datetime) -> None:
    """A person says that it is done. Raises Conflict for a task that only evidence ends."""
    check_open(task)
    if task.kind == MRI_CHECK:
        raise Conflict("only an interrogation after the scan ends this task: record it")
    enter(session, task, "done", at, actor.user_id, None, comment)
    audited(session, actor, "task.done", task, at)
    close(session, task, "done", None, at)


def open_task(
    session: Session,
    device: Device,
    kind: str,
    *,
    since: dt.datetime,
    due_at: dt.datetime,
    steps: list[dict[str, Any]],
    effect_key: str,
    at: dt.datetime,
    once: bool = False,
    by: Actor | None = None,
    comment: str | None = None,
    detail: dict[str, Any] | None = None,
) -> CareTask | None:
    """A new task, or None where this cause has one, or `once` while another of this kind is open."""
    values = {
        "public_id": new_public_id(), "clinic_id": device.clinic_id, "patient_id": device.patient_id,
        "device_id": device.id, "kind": kind, "since": since, "opened_at": at, "due_at": due_at, "steps": steps,
        "detail": detail or {}, "open_key": open_key(kind, device.id) if once else None, "effect_key": effect_key,
        "version": 1,
    }  # fmt: skip
    insert = UPSERT[session.get_bind().dialect.name](CareTask).values(values).on_conflict_do_nothing()
    new_id = session.scalar(insert.returning(CareTask.id))
    if new_id is None:
        return None
    task = session.get_one(CareTask, new_id)
    enter(session, task, "opened", at, by.user_id if by else None, None, comment)
    session.flush()
    return task


def steps_of(rule: MriRule, when: str) -> list[dict[str, Any]]:
    """The steps `before` or `after` a scan, each with its source (None: unverified)."""
    statements = rule.before if when == "before" else rule.after
    return [{"when": when, "text": str(one.value), "source": one.source} for one in statements]


def rule_of(device: Device) -> MriRule:
    """What a scan asks for with a device of this model."""
    return mri_rule(device.model, "pump" if device.kind == "pump" else "stimulator")


def has_telemetry(device: Device) -> bool:
    """Whether the device tells of itself; a model we do not know is taken for one that does."""
    try:
        return find_model(device.model).telemetry
    except UnknownModel:
        return True


def open_check(
    session: Session, device: Device, since: dt.datetime, at: dt.datetime, *, once: bool = True
) -> None:
    """The task that a scan leaves behind; `once` while another check of this device is open."""
    rule = rule_of(device)
    open_task(
        session,
        device,
        MRI_CHECK,
        since=since,
        due_at=since + duration(rule.check_within),
        steps=steps_of(rule, "after"),
        effect_key=f"{MRI_CHECK}:{device.id}:{since.astimezone(dt.UTC).isoformat()}",
        at=at,
        once=once,
        detail={"interrogations_needed": int(rule.interrogations.value)},
    )


def _open_tasks(session: Session, device_ids: Collection[int]) -> dict[int, CareTask]:
    statement = select(CareTask).where(
        among(session, CareTask.device_id, device_ids),
        CareTask.kind == MRI_CHECK,
        CareTask.closed_at.is_(None),
    )
    return {task.device_id: task for task in session.scalars(statement)}


def close(
    session: Session, task: CareTask, evidence: str, evidence_at: dt.datetime | None, at: dt.datetime
) -> None:
    """What the task waited for has come, in the form of this evidence."""
    task.closed_at, task.closed_by, task.open_key = at, evidence, None
    enter(session, task, "closed", at, None, evidence_at, None)
    session.flush()


def check_open(task: CareTask) -> None:
    """Raises Conflict for a task that is closed."""
    if task.closed_at is not None:
        raise Conflict(f"the task was closed at {task.closed_at.isoformat()} by {task.closed_by}")


def enter(
    session: Session,
    task: CareTask,
    event: str,
    at: dt.datetime,
    user_id: int | None,
    performed_at: dt.datetime | None,
    comment: str | None,
) -> None:
    """Add to the history of a task."""
    session.add(
        CareTaskEntry(
            task_id=task.id, at=at, actor_id=user_id, event=event, performed_at=performed_at, comment=comment
        )
    )


def audited(
    session: Session, actor: Actor, action: str, task: CareTask, at: dt.datetime, **more: Any
) -> None:
    """Record a person's act in the audit trail; the device is judged anew."""
    detail = {"task": str(task.public_id), "kind": task.kind} | more
    record_about(session, actor, action, task.device, detail, at=at)
    outbox.ask(session, outbox.DEVICE, [task.device_id], at)
