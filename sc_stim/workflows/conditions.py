"""Which alarm conditions hold now on these devices: alerts opened, made worse, and returned to normal."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, get_args

from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session

from sc_stim.clinical.alarms import AlarmTable, Severity, duration, shipped_table
from sc_stim.clinical.alert_lifecycle import State
from sc_stim.clinical.clinic_figures import alarms_of
from sc_stim.clinical.conditions import (
    Conditions,
    DeviceEvent,
    HoldingCondition,
    MriCheck,
    ReportedState,
    Visits,
    conditions_now,
)
from sc_stim.clinical.drugs import UnknownDrug, shipped_formulary
from sc_stim.devices.records import PumpState, StimulatorState
from sc_stim.models import Alert, Command, Device, Fill, PumpSample, StimulatorSample
from sc_stim.models import DeviceEvent as DeviceEventRow
from sc_stim.models.base import among
from sc_stim.models.clinic_figure import own_figures
from sc_stim.models.device import FilledPump, fillings_of
from sc_stim.models.replaced import not_replaced
from sc_stim.workflows import alerts, care_tasks

REACH_BACK = dt.timedelta(days=400)  # an alarm older than that, never taken back, is for the chart
WORST = "life_threatening"  # what stopping is taken for where the drugs in a pump are not known
Opened = dict[int | None, list[Alert]]  # open alerts by device; a defaultdict
SAMPLES: dict[str, Any] = {"pump": PumpSample, "stimulator": StimulatorSample}
STATES: dict[Any, Any] = {PumpSample: PumpState, StimulatorSample: StimulatorState}


class Judged(NamedTuple):
    """`again`: when time alone may change the judgement; `stopped`: devices whose therapy stands still now."""

    again: dict[int, dt.datetime]
    stopped: set[int]


def judge_conditions(
    session: Session, subjects: Mapping[int, dt.datetime], at: dt.datetime
) -> Mapping[int, dt.datetime]:
    """Judge devices by everything they said, in the order in which it was measured.

    subjects: device ids, with the time of the earliest measurement that is new. Returns when time alone may change
    the judgement. Ingest calls this for an alarm of just now, the workers for all other news.
    """
    return judge(session, subjects, at).again


def judge(session: Session, subjects: Mapping[int, dt.datetime], at: dt.datetime) -> Judged:
    """`judge_conditions`, for who wants to know as well whose therapy stands still."""
    table = shipped_table()
    wanted = (
        select(Device)
        .where(among(session, Device.id, subjects), Device.explanted_on.is_(None))
        .order_by(Device.id)
    )
    devices = session.scalars(wanted).all()
    opened = _open_alerts(session, [device.id for device in devices], table)
    standing = _conditions(session, devices, opened, at, table)
    again: dict[int, dt.datetime] = {}
    over: list[alerts.Condition] = []
    for device in devices:
        judged = standing[device.id]
        _apply(session, device, judged, opened[device.id], at, table)
        over += _over(device, judged, subjects[device.id], table)
        if judged.judge_again_at:
            again[device.id] = judged.judge_again_at
    _note(session, over, at)
    care_tasks.follow_scans(session, devices, standing, at)
    _end_of_explanted(session, subjects, at)
    care_tasks.end_of_explanted(session, subjects, at)
    return Judged(again, _stopped(standing))


def stopped_pumps(session: Session, devices: Collection[Device], at: dt.datetime) -> set[int]:
    """Those whose therapy stands still now by what they said, whatever became of the alerts."""
    table = shipped_table()
    opened = _open_alerts(session, [device.id for device in devices], table)
    return _stopped(_conditions(session, devices, opened, at, table))


def _stopped(standing: Mapping[int, Conditions]) -> set[int]:
    return {key for key, judged in standing.items() if any(held.stops_therapy for held in judged.now)}


def _conditions(
    session: Session, devices: Collection[Device], opened: Opened, at: dt.datetime, table: AlarmTable
) -> dict[int, Conditions]:
    words = _newest_words(session, devices, table)
    events = _events(session, _reach_back(devices, opened, at), table)
    fills = fillings_of(session, [device.id for device in devices if device.kind == "pump"])
    asked = _interrogations(session, [device.id for device in devices])
    drugs = _withdrawal_classes(fills)
    own = own_figures(session, {device.clinic_id for device in devices})
    return {
        device.id: conditions_now(
            device.kind,
            at,
            newest_state=words.get(device.id),
            events=events[device.id],
            visits=Visits(tuple(fill.at for fill in fills.get(device.id, ())), tuple(asked[device.id])),
            after_mri=_after_mri(device),
            withdrawal_class=drugs.get(device.id, WORST),
            table=alarms_of(own[device.clinic_id]),
        )
        for device in devices
    }


def _reach_back(devices: Collection[Device], opened: Opened, at: dt.datetime) -> dict[int, dt.datetime]:
    """From when on each device's words count: never later than what an open alert of it stands on."""
    return {
        device.id: min([at - REACH_BACK, *(alert.since for alert in opened[device.id])]) for device in devices
    }


def _apply(
    session: Session,
    device: Device,
    judged: Conditions,
    opened: list[Alert],
    at: dt.datetime,
    table: AlarmTable,
) -> None:
    for holding in judged.now:
        if holding.severity is not Severity.INFO:  # that is for the chart, until time makes it worse
            detail = _detail(holding)
            condition = _condition(device, holding.name, holding.severity, holding.since, detail, table)
            alerts.raise_alert(session, condition, at=at)
    standing = {holding.name for holding in (*judged.now, *judged.waiting)}
    for alert in opened:
        if alert.condition not in standing and alert.open_key:
            alerts.return_to_normal(session, alert.open_key, at=at)


def _detail(holding: HoldingCondition) -> dict[str, Any]:
    detail: dict[str, Any] = {"evidence": holding.evidence}
    if holding.left_after_visit:
        detail["left_after_visit"] = True
    if holding.recovered_at is not None:
        detail["recovered_at"] = holding.recovered_at.isoformat()
    return detail


def _over(
    device: Device, judged: Conditions, since: dt.datetime, table: AlarmTable
) -> Iterator[alerts.Condition]:
    """Conditions that were over when we learned of them, from what is new."""
    for past in judged.past:
        severity = table.conditions[past.name].severity[device.kind]
        if past.until >= since and severity is not Severity.INFO:
            detail = {"until": past.until.isoformat()}
            yield _condition(device, past.name, severity, past.since, detail, table)


def _note(session: Session, over: list[alerts.Condition], at: dt.datetime) -> None:
    """Findings for the record, unless an alert told of the condition while it held."""
    keys = [key for condition in over for key in condition.same_cause]
    alerted = set(session.scalars(select(Alert.effect_key).where(Alert.effect_key.in_(keys))))
    for condition in over:
        if alerted.isdisjoint(condition.same_cause):
            alerts.record_finding(session, condition, at=at)


def _end_of_explanted(session: Session, ids: Collection[int], at: dt.datetime) -> None:
    """What an explanted device was alerted for holds no more: its refill, too."""
    explanted = select(Device.id).where(among(session, Device.id, ids), Device.explanted_on.is_not(None))
    open_keys = select(Alert.open_key).where(Alert.device_id.in_(explanted), Alert.open_key.is_not(None))
    for key in session.scalars(open_keys.order_by(Alert.id)).all():
        if key is not None:
            alerts.return_to_normal(session, key, at=at)


def _condition(
    device: Device,
    name: str,
    severity: Severity,
    since: dt.datetime,
    detail: dict[str, Any],
    table: AlarmTable,
) -> alerts.Condition:
    return alerts.Condition(
        clinic_id=device.clinic_id,
        patient_id=device.patient_id,
        device_id=device.id,
        name=name,
        severity=severity.code,
        since=since,
        effect_key=alerts.condition_key(device.id, name, since, severity.code),
        same_cause=alerts.condition_keys(device.id, name, since),
        model_version=f"alarms-{table.version}",
        detail=detail,
    )


def _newest_words(
    session: Session, devices: Collection[Device], table: AlarmTable
) -> dict[int, ReportedState]:
    """What each device said last of its state. A later sample without a state takes nothing back."""
    asserting = set[str]().union(*(condition.states_asserting for condition in table.conditions.values()))
    words: dict[int, ReportedState] = {}
    for kind, sample in SAMPLES.items():
        ids = [device.id for device in devices if device.kind == kind]
        spoke = select(func.max(sample.measured_at)).where(
            sample.device_id == Device.id, sample.state.is_not(None)
        )
        last = (
            select(Device.id, spoke.scalar_subquery().label("at"))
            .where(among(session, Device.id, ids))
            .subquery()
        )
        rows = session.execute(
            select(sample.device_id, sample.state, sample.measured_at, sample.received_at, sample.seq)
            .join(last, (sample.device_id == last.c.id) & (sample.measured_at == last.c.at))
            .where(sample.state.is_not(None))
            .order_by(sample.seq)
        )
        for device_id, state, measured_at, received_at, seq in rows:
            since = _state_since(session, sample, device_id, state) if state in asserting else None
            words[device_id] = ReportedState(state, measured_at, received_at, seq, since)
    for device_id, left in _left_standing(session, [one.id for one in devices if one.kind == "pump"]):
        if device_id not in words or words[device_id].at < left.at:
            words[device_id] = left
    return words


def _left_standing(session: Session, ids: Collection[int]) -> Iterator[tuple[int, ReportedState]]:
    """Pumps that by the programmer did not run at the end of their newest visit: news, though the pump may be silent.

    That one ran is no news: a person's word does not take back what a pump said of itself.
    """
    statement = (
        select(Fill.device_id, Fill.at, Fill.programmed)
        .where(among(session, Fill.device_id, ids), Fill.programmed.is_not(None), not_replaced(Fill))
        .order_by(Fill.at, Fill.id)
    )
    newest = {device_id: (at, shown) for device_id, at, shown in session.execute(statement)}
    for device_id, (at, shown) in newest.items():
        if (shown or {}).get("state") not in (None, "running"):
            yield device_id, ReportedState(shown["state"], at, at)


def _state_since(session: Session, sample: Any, device_id: int, state: str) -> dt.datetime | None:
    """The first sample of the unbroken run of this state that ends with the newest one.

    The newest sample of every other state is looked up by itself, with an index that begins with the state: so the
    length of the run costs nothing, and nothing is remembered that late samples could make wrong.
    """
    own = sample.device_id == device_id
    newest = union_all(
        *(
            select(func.max(sample.measured_at).label("at")).where(own, sample.state == other)
            for other in get_args(STATES[sample])
            if other != state
        )
    ).subquery()
    broken = select(func.max(newest.c.at)).scalar_subquery()
    after = func.coalesce(broken, dt.datetime.min.replace(tzinfo=dt.UTC))
    return session.scalar(
        select(func.min(sample.measured_at)).where(own, sample.state == state, sample.measured_at > after)
    )


def _events(
    session: Session, begins: Mapping[int, dt.datetime], table: AlarmTable
) -> dict[int, list[DeviceEvent]]:
    """The lasting events of each device from its beginning on."""
    events: dict[int, list[DeviceEvent]] = defaultdict(list)
    if not begins:
        return events
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
            among(session, DeviceEventRow.device_id, begins),
            DeviceEventRow.kind.in_(lasting),
            DeviceEventRow.measured_at >= min(begins.values()),
        )
    )  # fmt: skip
    for device_id, kind, measured_at, received_at, state, seq in rows:
        if measured_at >= begins[device_id]:
            events[device_id].append(DeviceEvent(kind, measured_at, received_at, state, seq))
    return events


def _open_alerts(session: Session, ids: Collection[int], table: AlarmTable) -> Opened:
    lasting = [name for name, condition in table.conditions.items() if not condition.momentary]
    statement = select(Alert).where(
        among(session, Alert.device_id, ids), Alert.condition.in_(lasting), Alert.state != State.CLOSED
    )
    opened: Opened = defaultdict(list)
    for alert in session.scalars(statement):
        opened[alert.device_id].append(alert)
    return opened


def _interrogations(session: Session, ids: Collection[int]) -> dict[int, list[dt.datetime]]:
    """When each device was read out besides programming sessions: asked over the air, or recorded by a person."""
    found: dict[int, list[dt.datetime]] = defaultdict(list)
    reported = select(Command.device_id, Command.answered_at).where(
        among(session, Command.device_id, ids),
        Command.kind == "interrogate",
        Command.state == "reported",
        Command.answered_at.is_not(None),
    )
    for device_id, at in (*session.execute(reported), *care_tasks.recorded_interrogations(session, ids)):
        found[device_id].append(at)
    return found


def _after_mri(device: Device) -> MriCheck:
    rule = care_tasks.rule_of(device)
    return MriCheck(int(rule.interrogations.value), duration(rule.check_within))


def _withdrawal_classes(fills: Mapping[int, list[FilledPump]]) -> dict[int, str]:
    """What stopping means by the drugs in each pump; the worst where they are not known."""
    classes: dict[int, str] = {}
    for device_id, of_device in fills.items():
        if of_device:
            try:
                classes[device_id] = shipped_formulary().withdrawal_class(
                    drug["name"] for drug in of_device[-1].drugs
                )
            except UnknownDrug:
                continue
    return classes
