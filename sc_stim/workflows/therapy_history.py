"""What is on record of devices, as the rules about silent therapy read it: a bounded window, few statements."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, case, cast, extract, func, select
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
from sc_stim.models.base import among
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
    within = _within(session, sample, ids, since, at)
    for row in _newest_of_days(session, sample, within, kind):
        known = found[row["device_id"]]
        known.append(_day(row, known[-1].at if known else None, kind))
    return found


def _within(
    session: Session, sample: Any, ids: Collection[int], since: dt.datetime, at: dt.datetime
) -> tuple[ColumnElement[bool], ...]:
    return among(session, sample.device_id, ids), sample.measured_at >= since, sample.measured_at <= at


def _newest_of_days(
    session: Session, sample: Any, within: Sequence[ColumnElement[bool]], kind: str
) -> Iterator[dict[str, Any]]:
    """By device and time. Days are summed up first: the wide rows are read of the newest samples only."""
    sums: list[ColumnElement[Any]] = []
    if kind == "stimulator":
        sums += [func.sum(getattr(sample, name)).label(name) for name in _SUMS]
        sums.append(func.avg(sample.ecap_in_window_pct).label("ecap_in_window_pct"))
        sums += [
            func.max(case((sample.state == state, 1), else_=0)).label(f"said_{state}")
            for state in ("on", "off", "cycling", "mri")
        ]
    newest = func.max(sample.measured_at).label("newest_at")
    of_day = select(sample.device_id, newest, *sums).where(*within)
    days = of_day.group_by(sample.device_id, _day_number(sample)).subquery()
    fields = [getattr(sample, name) for name in ("device_id", "measured_at", *_NEWEST[kind])]
    statement = (
        select(*fields, *(days.c[one.name] for one in sums))
        .join(days, (sample.device_id == days.c.device_id) & (sample.measured_at == days.c.newest_at))
        .where(*within)  # it follows from the join, which a planner need not see
        .order_by(sample.device_id, sample.measured_at, sample.received_at.desc(), sample.seq.desc())
    )
    told = session.execute(statement)
    names, before = tuple(told.keys()), None
    for row in told:
        if row[:2] != before:  # of two samples of one moment the one that came last
            yield dict(zip(names, row, strict=True))
        before = row[:2]


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
    wanted = _newest_readings(_within(session, sample, ids, since, at)).subquery()
    same = (sample.device_id == wanted.c.device_id) & (sample.epoch == wanted.c.epoch)
    rows = select(sample.device_id, sample.measured_at, sample.impedance_ohm, sample.posture).join(
        wanted, same & (sample.seq == wanted.c.seq)
    )
    for device_id, measured_at, ohm, posture in session.execute(
        rows.order_by(sample.device_id, sample.measured_at)
    ):
        found[device_id].append(ImpedanceReading(measured_at, tuple(ohm), posture))
    return found


def _newest_readings(within: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """The keys of these samples: so readings that are not looked at are neither sorted nor sent."""
    sample = StimulatorSample
    keys = (sample.device_id, sample.epoch, sample.seq, sample.measured_at)
    newest_first = sample.measured_at.desc()
    of_day = func.row_number().over(
        partition_by=(sample.device_id, _day_number(sample)), order_by=newest_first
    )
    in_day = select(*keys, of_day.label("place")).where(*within, sample.impedance_ohm.is_not(None)).subquery()
    of_all = func.row_number().over(partition_by=in_day.c.device_id, order_by=in_day.c.measured_at.desc())
    thinned = (
        select(in_day, of_all.label("place_of_all")).where(in_day.c.place <= READINGS_PER_DAY).subquery()
    )
    most = int(shipped_rules().value("impedance_readings"))
    return select(thinned).where(thinned.c.place_of_all <= most)


def _day_number(sample: Any) -> ColumnElement[int]:
    return cast(extract("epoch", sample.measured_at), BigInteger) // DAY_S


def _patients_in_pain(session: Session, patient_ids: Collection[int | None]) -> set[int | None]:
    statement = select(Alert.patient_id).where(
        among(session, Alert.patient_id, [one for one in patient_ids if one is not None]),
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
