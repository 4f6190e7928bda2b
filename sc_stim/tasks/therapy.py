"""Silent therapy: judged after new reports and nightly, from a bounded window of each device.

A report does not cause a judgement at once: it is owed for a little later, so a device that reports every minute is
judged as often as one that reports every quarter of an hour.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.clinical.alarms import Severity
from sc_stim.clinical.therapy_health import DeviceHistory, Finding, Judgement, judge_therapy, shipped_rules
from sc_stim.models import Alert, CareTask, Clinic, Device, DeviceState
from sc_stim.models.base import among
from sc_stim.models.care_task import IMPEDANCE_REMEASURE, MRI_CHECK
from sc_stim.tasks.upkeep import begin_slot
from sc_stim.tasks.work import Subjects
from sc_stim.workflows import alerts, care_tasks, outbox
from sc_stim.workflows.therapy_history import therapy_histories

SETTLES: Final = dt.timedelta(minutes=15)
HEARD_WITHIN: Final = dt.timedelta(days=2)  # a silent device has nothing new to judge at night
TASK_OVERDUE: Final = "task_overdue"

Told = dict[tuple[int | None, str], list[Alert]]  # a device's alerts of one condition, oldest first


def ask_after_news(session: Session, subjects: Subjects, at: dt.datetime) -> None:
    """Owe these devices a judgement a little later; asked again before then, it stays owed once."""
    outbox.ask(session, outbox.THERAPY, list(subjects), at, due_at=at + SETTLES)


def judge_silent_therapy(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
    """Keep the alerts and findings of these devices. What they are judged by lies in their reports alone."""
    wanted = select(Device).where(among(session, Device.id, subjects), Device.in_use).order_by(Device.id)
    devices = session.scalars(wanted).all()
    histories = therapy_histories(session, devices, at)
    told = _told(session, [device.id for device in devices])
    odd = _open_remeasurements(session, [device.id for device in devices])
    for device in devices:
        history = histories[device.id]
        judged = judge_therapy(history)
        _apply(session, device, judged, told, at)
        _measure_again(session, device, history, judged, odd.get(device.id), at)
    return {}


def ask_nightly(session: Session, at: dt.datetime) -> int:
    """Owe every device that was heard lately a judgement, once a local day; returns how many clinics began it."""
    begun = 0
    for clinic_id, zone in session.execute(select(Clinic.id, Clinic.time_zone)).all():
        if begin_slot(session, f"therapy:{clinic_id}", zone, at):
            heard = select(Device.id).join(DeviceState, DeviceState.device_id == Device.id)
            heard = heard.where(
                Device.clinic_id == clinic_id, Device.in_use, DeviceState.heard_at >= at - HEARD_WITHIN
            )
            outbox.ask_all(session, outbox.THERAPY, heard, at)
            begun += 1
    return begun


def alert_overdue_tasks(session: Session, at: dt.datetime) -> int:
    """An alert for every task that is overdue and has none by its own condition; returns how many there are.

    The check after a scan is such a condition, unless the device tells nothing.
    """
    statement = select(CareTask).where(CareTask.closed_at.is_(None), CareTask.due_at <= at)
    overdue = [task for task in session.scalars(statement.order_by(CareTask.id)) if not _has_condition(task)]
    first: dict[int, CareTask] = {}  # of each device; what its one alert says must not change with every look
    for task in sorted(overdue, key=lambda task: (task.due_at, task.id)):
        alerts.raise_alert(session, _overdue(task, first.setdefault(task.device_id, task)), at=at)
    _end_of_overdue(session, {task.device_id for task in overdue}, at)
    return len(overdue)


def _apply(session: Session, device: Device, judged: Judgement, told: Told, at: dt.datetime) -> None:
    for finding in judged.findings:
        known = told[device.id, finding.name]
        if finding.severity is Severity.INFO:
            continue
        if finding.until is None:
            alerts.raise_alert(session, _condition(device, finding, known), at=at)
        elif not any(_is_of(alert, finding) for alert in known):
            alerts.record_finding(session, _condition(device, finding, known), at=at)
    for name, good_at in judged.well.items():
        for alert in told[device.id, name]:
            if alert.open_key:
                alerts.return_to_normal(session, alert.open_key, at=at, over_at=good_at)


def _is_of(alert: Alert, finding: Finding) -> bool:
    """Whether the alert tells of this very run, from whatever day on it was seen."""
    began = finding.well_until is None or finding.well_until < alert.since
    return began and (finding.until is None or alert.since <= finding.until)


def _condition(device: Device, finding: Finding, known: Iterable[Alert]) -> alerts.Condition:
    """Late reports can move the beginning of a run, and the window can hide it: the first alert of it names it."""
    of_run = [alert.since for alert in known if not alert.historical and _is_of(alert, finding)]
    since = min(of_run, default=finding.since)
    detail: dict[str, Any] = {
        "sentence": finding.sentence,
        "points": [{"at": at.isoformat(), "reported": value} for at, value in finding.points],
    }
    if finding.contacts:
        detail["contacts"] = list(finding.contacts)
    if finding.until is not None:
        detail["until"] = finding.until.isoformat()
    severity = finding.severity.code
    return alerts.Condition(
        clinic_id=device.clinic_id,
        patient_id=device.patient_id,
        device_id=device.id,
        name=finding.name,
        severity=severity,
        since=since,
        effect_key=alerts.condition_key(device.id, finding.name, since, severity),
        same_cause=alerts.condition_keys(device.id, finding.name, since),
        model_version=f"therapy-{shipped_rules().version}",
        detail=detail,
    )


def _told(session: Session, ids: list[int]) -> Told:
    statement = select(Alert).where(
        among(session, Alert.device_id, ids), Alert.condition.in_(shipped_rules().conditions)
    )
    found: Told = defaultdict(list)
    for alert in session.scalars(statement.order_by(Alert.since, Alert.id)):
        found[alert.device_id, alert.condition].append(alert)
    return found


def _open_remeasurements(session: Session, ids: list[int]) -> dict[int, CareTask]:
    statement = select(CareTask).where(
        among(session, CareTask.device_id, ids),
        CareTask.kind == IMPEDANCE_REMEASURE,
        CareTask.closed_at.is_(None),
    )
    return {task.device_id: task for task in session.scalars(statement)}


def _measure_again(
    session: Session,
    device: Device,
    history: DeviceHistory,
    judged: Judgement,
    task: CareTask | None,
    at: dt.datetime,
) -> None:
    """One odd reading is a task for today and no alarm; the next reading, whatever it says, ends the task."""
    newest = history.impedance[-1].at if history.impedance else None
    if task is not None and newest is not None and newest > task.since:
        care_tasks.close(session, task, "impedance_reading", newest, at)
    if not judged.suspects:
        return
    since = max(fault.since for fault in judged.suspects)
    listed = ", ".join(f"{fault.contact} ({fault.during[-1][1]:.0f} Ohm)" for fault in judged.suspects)
    text = f"Interrogate the device now: contact {listed} was odd once, and a posture can do that."
    care_tasks.open_task(
        session,
        device,
        IMPEDANCE_REMEASURE,
        since=since,
        due_at=since + shipped_rules().time("remeasure_within_h"),
        steps=[{"when": "now", "text": text, "source": "scirp.org 44841"}],
        effect_key=f"{IMPEDANCE_REMEASURE}:{device.id}:{since.isoformat()}",
        at=at,
        once=True,
    )


def _has_condition(task: CareTask) -> bool:
    return task.kind == MRI_CHECK and care_tasks.has_telemetry(task.device)


def _overdue(task: CareTask, named: CareTask) -> alerts.Condition:
    return alerts.Condition(
        clinic_id=task.clinic_id,
        patient_id=task.patient_id,
        device_id=task.device_id,
        name=TASK_OVERDUE,
        severity="low" if task.kind == IMPEDANCE_REMEASURE else "medium",
        since=task.due_at,
        effect_key=f"{TASK_OVERDUE}:{task.id}",
        same_cause=(f"{TASK_OVERDUE}:{task.id}",),
        model_version=f"therapy-{shipped_rules().version}",
        detail={"task": str(named.public_id), "task_kind": named.kind},
    )


def _end_of_overdue(session: Session, still: set[int], at: dt.datetime) -> None:
    statement = select(Alert.open_key).where(
        Alert.condition == TASK_OVERDUE, Alert.open_key.is_not(None), Alert.device_id.not_in(still)
    )
    for key in session.scalars(statement.order_by(Alert.id)).all():
        if key is not None:
            alerts.return_to_normal(session, key, at=at)
