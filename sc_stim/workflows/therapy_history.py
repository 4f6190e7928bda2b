"""What is on record of devices, as the rules about silent therapy read it: a bounded window, few statements."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, case, cast, extract, func, select
from sqlalchemy.orm import Session

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.clinical.therapy_health import (
    Day,
    DeviceHistory,
    ImpedanceReading,
    Prescribed,
    shipped_rules,
)
from sc_stim.devices.catalogue import StimulatorModel, UnknownModel, find_model
from sc_stim.models import Alert, Device, DeviceSetting, PumpSample, StimulatorSample
from sc_stim.models.device import settings_of
from sc_stim.workflows.prescribing import REPORTED

PAIN_ROSE: Final = "pain_rise"  # the condition of an open alert that makes a broken contact worse
READINGS_PER_DAY: Final = 2  # so that two of one day can confirm each other
DAY_S: Final = 86_400

_SUMS: Final = ("on_s", "charged_s")
_NEWEST: Final = {
    "pump": ("state", "battery_v", "eri_months", *REPORTED["pump"]),
    "stimulator": ("state", "battery_pct", "battery_v", *REPORTED["stimulator"]),
}


def therapy_histories(
    session: Session, devices: Sequence[Device], at: dt.datetime
) -> dict[int, DeviceHistory]:
    """The window of each device up to `at`. The number of statements does not depend on how many there are."""
    ids = {kind: [device.id for device in devices if device.kind == kind] for kind in ("pump", "stimulator")}
    since = at - shipped_rules().time("window_d")
    days = {
        **_days(session, PumpSample, ids["pump"], "pump", since, at),
        **_days(session, StimulatorSample, ids["stimulator"], "stimulator", since, at),
    }
    impedance = _impedance(session, ids["stimulator"], since, at)
    prescribed = settings_of(session, [device.id for device in devices])
    in_pain = _patients_in_pain(session, [device.patient_id for device in devices])
    return {
        device.id: DeviceHistory(
            device.kind,
            tuple(days.get(device.id, ())),
            tuple(impedance.get(device.id, ())),
            tuple(_prescribed(row, device.kind) for row in prescribed[device.id]),
            pain_rose=device.patient_id in in_pain,
            **_of_model(device.model),
        )
        for device in devices
    }


def _days(
    session: Session, sample: Any, ids: Collection[int], kind: str, since: dt.datetime, at: dt.datetime
) -> dict[int, list[Day]]:
    """One row per device and UTC day: the newest sample, with sums over the day beside it."""
    found: dict[int, list[Day]] = defaultdict(list)
    if not ids:
        return found
    for row in session.execute(_daily(sample, ids, kind, since, at)).mappings():
        known = found[row["device_id"]]
        known.append(_day(row, known[-1].at if known else None, kind))
    return found


def _daily(sample: Any, ids: Collection[int], kind: str, since: dt.datetime, at: dt.datetime) -> Any:
    of_day: dict[str, Any] = {"partition_by": (sample.device_id, _day_number(sample))}
    newest = {"order_by": (sample.measured_at.desc(), sample.received_at.desc(), sample.seq.desc())}
    fields: list[ColumnElement[Any]] = [sample.device_id, sample.measured_at]
    fields += [getattr(sample, name) for name in _NEWEST[kind]]
    fields.append(func.row_number().over(**of_day, **newest).label("place"))
    if kind == "stimulator":
        fields += [func.sum(getattr(sample, name)).over(**of_day).label(name) for name in _SUMS]
        fields.append(func.avg(sample.ecap_in_window_pct).over(**of_day).label("ecap_in_window_pct"))
        fields += [
            func.max(case((sample.state == state, 1), else_=0)).over(**of_day).label(f"said_{state}")
            for state in ("on", "off", "cycling", "mri")
        ]
    rows = select(*fields).where(
        sample.device_id.in_(ids), sample.measured_at >= since, sample.measured_at <= at
    )
    inner = rows.subquery()
    return select(inner).where(inner.c.place == 1).order_by(inner.c.device_id, inner.c.measured_at)


def _day(row: Mapping[str, Any], before: dt.datetime | None, kind: str) -> Day:
    return Day(
        at=row["measured_at"],
        covered=None if before is None else row["measured_at"] - before,
        state=row["state"],
        said_on=bool(row.get("said_on")),
        said_off=bool(row.get("said_off")),
        cycling=bool(row.get("said_cycling")),
        mri=bool(row.get("said_mri")),
        on_s=row.get("on_s"),
        charged_s=row.get("charged_s"),
        battery_pct=row.get("battery_pct"),
        battery_v=row["battery_v"],
        eri_months=row.get("eri_months"),
        ecap_in_window_pct=row.get("ecap_in_window_pct"),
        settings={name: row[name] for name in REPORTED[kind]},
    )


def _impedance(
    session: Session, ids: Collection[int], since: dt.datetime, at: dt.datetime
) -> dict[int, list[ImpedanceReading]]:
    """The newest readings of each device, at most two of a day, oldest first."""
    found: dict[int, list[ImpedanceReading]] = defaultdict(list)
    if not ids:
        return found
    sample = StimulatorSample
    place = func.row_number().over(
        partition_by=(sample.device_id, _day_number(sample)), order_by=sample.measured_at.desc()
    )
    inner = (
        select(
            sample.device_id, sample.measured_at, sample.impedance_ohm, sample.posture, place.label("place")
        )
        .where(
            sample.device_id.in_(ids),
            sample.measured_at >= since,
            sample.measured_at <= at,
            sample.impedance_ohm.is_not(None),
        )
        .subquery()
    )
    rows = select(inner).where(inner.c.place <= READINGS_PER_DAY)
    for row in session.execute(rows.order_by(inner.c.device_id, inner.c.measured_at)):
        found[row.device_id].append(ImpedanceReading(row.measured_at, tuple(row.impedance_ohm), row.posture))
    most = int(shipped_rules().value("impedance_readings"))
    return {device_id: readings[-most:] for device_id, readings in found.items()}


def _day_number(sample: Any) -> ColumnElement[int]:
    return cast(extract("epoch", sample.measured_at), BigInteger) // DAY_S


def _patients_in_pain(session: Session, patient_ids: Collection[int | None]) -> set[int | None]:
    statement = select(Alert.patient_id).where(
        Alert.patient_id.in_([one for one in patient_ids if one is not None]),
        Alert.condition == PAIN_ROSE,
        Alert.state != State.CLOSED,
    )
    return set(session.scalars(statement))


def _prescribed(row: DeviceSetting, kind: str) -> Prescribed:
    values = {name: getattr(row, name) for name in REPORTED[kind]}
    return Prescribed(row.effective_at, values, tuple(row.contacts) if row.contacts else None)


def _of_model(name: str) -> dict[str, Any]:
    """What the catalogue says; a model that is not in it leaves these unknown."""
    try:
        model = find_model(name)
    except UnknownModel:
        return {}
    replacement = model.limits.get("battery_replacement")
    facts: dict[str, Any] = {"replacement_v": replacement.value if replacement else None}
    if isinstance(model, StimulatorModel):
        facts["rechargeable"] = bool(model.rechargeable.value) if model.rechargeable else None
        facts |= {"open_ohm": model.impedance_open.value, "short_ohm": model.impedance_short.value}
    return facts
