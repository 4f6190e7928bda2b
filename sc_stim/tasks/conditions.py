"""Which alarm conditions hold now on these devices: alerts opened, made worse, and returned to normal."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sc_stim.clinical.alarms import AlarmTable, Severity, shipped_table
from sc_stim.clinical.alert_lifecycle import State
from sc_stim.clinical.conditions import (
    Conditions,
    DeviceEvent,
    HoldingCondition,
    ReportedState,
    conditions_now,
)
from sc_stim.clinical.drugs import UnknownDrug, shipped_formulary
from sc_stim.models import Alert, Device, DeviceState, PumpSample, StimulatorSample
from sc_stim.models import DeviceEvent as DeviceEventRow
from sc_stim.models.device import fills_of
from sc_stim.tasks.work import Subjects
from sc_stim.workflows import alerts

REACH_BACK = dt.timedelta(days=400)  # an alarm older than that, never taken back, is for the chart
SAMPLES: dict[str, Any] = {"pump": PumpSample, "stimulator": StimulatorSample}


def judge_conditions(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
    """Judge devices by everything they said, in the order in which it was measured."""
    table = shipped_table()
    found = session.execute(
        select(Device, DeviceState)
        .join(DeviceState, DeviceState.device_id == Device.id)
        .where(Device.id.in_(subjects), Device.explanted_on.is_(None))
    ).all()
    ids = [device.id for device, _ in found]
    events, opened = _events(session, ids, at, table), _open_alerts(session, ids, table)
    drugs = _withdrawal_classes(session, [device.id for device, _ in found if device.kind == "pump"])
    again: dict[int, dt.datetime] = {}
    for device, state in found:
        judged = conditions_now(
            device.kind,
            at,
            newest_state=_reported(state),
            events=events[device.id],
            withdrawal_class=drugs.get(device.id, "life_threatening"),
        )
        _apply(session, device, judged, opened[device.id], at, table)
        if judged.judge_again_at:
            again[device.id] = judged.judge_again_at
    return again


def _apply(
    session: Session, device: Device, judged: Conditions, opened: list[Alert], at: dt.datetime, table: AlarmTable
) -> None:
    for holding in judged.now:
        if holding.severity is Severity.INFO:
            continue  # for the chart; it becomes an alert if time makes it worse
        alerts.raise_alert(session, _condition(session, device, holding, table), at=at)
    standing = {holding.name for holding in (*judged.now, *judged.waiting)}
    for alert in opened:
        if alert.condition not in standing and alert.open_key:
            alerts.return_to_normal(session, alert.open_key, at=at)


def _condition(
    session: Session, device: Device, holding: HoldingCondition, table: AlarmTable
) -> alerts.Condition:
    since = holding.since
    if holding.evidence.startswith("state:"):
        since = _state_since(session, device, holding.evidence.removeprefix("state:")) or since
    return alerts.Condition(
        clinic_id=device.clinic_id,
        patient_id=device.patient_id,
        device_id=device.id,
        name=holding.name,
        severity=holding.severity.code,
        since=since,
        effect_key=alerts.condition_key(device.id, holding.name, since),
        model_version=f"alarms-{table.version}",
        detail={"evidence": holding.evidence},
    )


def _state_since(session: Session, device: Device, state: str) -> dt.datetime | None:
    """The first sample of the unbroken run of this state that ends with the newest one."""
    sample = SAMPLES[device.kind]
    own = sample.device_id == device.id
    broken = select(func.max(sample.measured_at)).where(own, sample.state != state).scalar_subquery()
    run = select(func.min(sample.measured_at)).where(own, sample.state == state)
    return session.scalar(run.where(sample.measured_at > func.coalesce(broken, dt.datetime.min.replace(tzinfo=dt.UTC))))


def _reported(state: DeviceState) -> ReportedState | None:
    word = (state.sample or {}).get("state")
    if word is None or state.measured_at is None or state.heard_at is None:
        return None
    return ReportedState(word, state.measured_at, state.heard_at)


def _events(
    session: Session, ids: Collection[int], at: dt.datetime, table: AlarmTable
) -> dict[int, list[DeviceEvent]]:
    lasting = [
        kind
        for kind, effects in table.events.items()
        if any(not table.conditions[name].momentary for name, _ in effects)
    ]
    rows = session.execute(
        select(
            DeviceEventRow.device_id, DeviceEventRow.kind, DeviceEventRow.measured_at, DeviceEventRow.received_at,
            DeviceEventRow.state, DeviceEventRow.seq,
        ).where(
            DeviceEventRow.device_id.in_(ids),
            DeviceEventRow.kind.in_(lasting),
            DeviceEventRow.measured_at > at - REACH_BACK,
        )
    )  # fmt: skip
    events: dict[int, list[DeviceEvent]] = defaultdict(list)
    for device_id, kind, measured_at, received_at, state, seq in rows:
        events[device_id].append(DeviceEvent(kind, measured_at, received_at, state, seq))
    return events


def _open_alerts(session: Session, ids: Collection[int], table: AlarmTable) -> dict[int, list[Alert]]:
    lasting = [name for name, condition in table.conditions.items() if not condition.momentary]
    statement = select(Alert).where(
        Alert.device_id.in_(ids), Alert.condition.in_(lasting), Alert.state != State.CLOSED
    )
    opened: dict[int, list[Alert]] = defaultdict(list)
    for alert in session.scalars(statement):
        assert alert.device_id is not None
        opened[alert.device_id].append(alert)
    return opened


def _withdrawal_classes(session: Session, ids: Collection[int]) -> dict[int, str]:
    """What stopping means by the drugs in each pump; the worst where they are not known."""
    classes: dict[int, str] = {}
    for device_id, fills in fills_of(session, ids).items():
        if fills:
            try:
                classes[device_id] = shipped_formulary().withdrawal_class(drug["name"] for drug in fills[-1].drugs)
            except UnknownDrug:
                continue
    return classes
