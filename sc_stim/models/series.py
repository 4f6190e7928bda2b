"""Telemetry over time: one row per hour or local day, computed by the database, the same on both databases.

The edges of the buckets are worked out here and joined as a table of values, so a day is the patient's own day, 23 or
25 hours long when the clocks change, and each bucket is one short range of the (device, time) index.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, CTE, ColumnElement, and_, column, func, select, type_coerce, values
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import InstrumentedAttribute, Session

from sc_stim.models.base import UtcDateTime
from sc_stim.models.patient import PainScore
from sc_stim.models.replaced import not_replaced
from sc_stim.models.telemetry import PumpSample, SampleIdentity, StimulatorSample

Resolution = Literal["hour", "day"]
Bucket = tuple[dt.datetime, dt.datetime]
Sample = type[PumpSample] | type[StimulatorSample]

HOUR: Final = dt.timedelta(hours=1)
SAMPLE_OF: Final[dict[str, Sample]] = {"pump": PumpSample, "stimulator": StimulatorSample}

# How each field is summed up: what the device counts since its last sample adds up, a level is the newest one measured,
# what may go up and down within a bucket is a mean.
SUMS: Final = {"pump": ("boluses",), "stimulator": ("on_s", "charged_s")}
MEANS: Final = {
    "pump": ("flow_ml_per_day",),
    "stimulator": ("amplitude_ma", "pulse_width_us", "rate_hz", "ecap_in_window_pct"),
}
NEWEST: Final = {
    "pump": ("state", "reservoir_ml", "bolus_ml", "battery_v", "eri_months", "low_reservoir_alarm_ml"),
    "stimulator": ("state", "program", "battery_pct", "battery_v", "impedance_ohm"),
}

READINGS: Final = {
    sample: tuple(
        column.name
        for column in sample.__table__.columns
        if column.name not in SampleIdentity.__annotations__
    )
    for sample in (PumpSample, StimulatorSample)
}


def buckets(
    since: dt.datetime, until: dt.datetime, resolution: Resolution, zone: ZoneInfo
) -> Iterator[Bucket]:
    """The whole hours (of UTC) or local days that touch the time from `since` up to `until`, in order."""
    start, following = _first_edge(since, resolution, zone)
    while start < until:
        end = following(start)
        yield start, end
        start = end


def sample_series(session: Session, device_id: int, kind: str, edges: list[Bucket]) -> list[dict[str, Any]]:
    """One row per bucket: `from`, `to`, `samples` (how many) and `readings`, each as SUMS, MEANS and NEWEST say.

    A bucket without a sample is there with `samples` 0 and every field None: a gap is shown, never bridged.
    """
    if not edges:
        return []
    sample, bucket = SAMPLE_OF[kind], _as_table(edges)
    within = and_(
        sample.device_id == device_id,
        sample.measured_at >= bucket.c.start_at,
        sample.measured_at < bucket.c.end_at,
    )
    fields: list[ColumnElement[Any]] = [func.count(sample.seq).label("samples")]
    fields += [func.sum(getattr(sample, name)).label(name) for name in SUMS[kind]]
    fields += [func.avg(getattr(sample, name)).label(name) for name in MEANS[kind]]
    newest = _newest_by_array if session.get_bind().dialect.name == "postgresql" else _newest
    fields += [newest(sample, name, within, bucket).label(name) for name in NEWEST[kind]]
    rows = _rows(session, bucket, within, fields, sample)
    return [{name: row.pop(name) for name in ("from", "to", "samples")} | {"readings": row} for row in rows]


def pain_series(session: Session, patient_id: int, edges: list[Bucket]) -> list[dict[str, Any]]:
    """The mean of a patient's scores per bucket; corrected scores count once, as corrected."""
    if not edges:
        return []
    bucket = _as_table(edges)
    within = and_(
        PainScore.patient_id == patient_id,
        PainScore.measured_at >= bucket.c.start_at,
        PainScore.measured_at < bucket.c.end_at,
        not_replaced(PainScore),
    )
    fields = [func.count(PainScore.nrs).label("scores")]
    fields += [func.avg(getattr(PainScore, name)).label(name) for name in ("nrs", "sleep", "interference")]
    return _rows(session, bucket, within, fields, PainScore)


def _first_edge(
    since: dt.datetime, resolution: Resolution, zone: ZoneInfo
) -> tuple[dt.datetime, Callable[[dt.datetime], dt.datetime]]:
    if resolution == "hour":
        hour = since.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
        return hour, lambda start: start + HOUR
    return (
        start_of_day(since.astimezone(zone).date(), zone),
        lambda start: start_of_day(start.astimezone(zone).date() + dt.timedelta(days=1), zone),
    )


def start_of_day(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The instant, in UTC, at which a local date begins."""
    return dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)


def _as_table(edges: list[Bucket]) -> CTE:
    return (
        values(column("start_at", UtcDateTime), column("end_at", UtcDateTime), name="bucket")
        .data(edges)
        .cte()
    )


def _newest(sample: Sample, name: str, within: ColumnElement[bool], bucket: CTE) -> ColumnElement[Any]:
    field: InstrumentedAttribute[Any] = getattr(sample, name)
    newest = select(field).where(within, field.is_not(None)).order_by(sample.measured_at.desc()).limit(1)
    return newest.correlate(bucket).scalar_subquery()


def _newest_by_array(
    sample: Sample, name: str, within: ColumnElement[bool], bucket: CTE
) -> ColumnElement[Any]:
    """The same in the one pass over the samples that the sums need anyway: PostgreSQL can order within a group."""
    field: InstrumentedAttribute[Any] = getattr(sample, name)
    in_order = aggregate_order_by(field, sample.measured_at.desc())
    told = func.array_agg(in_order, type_=ARRAY(field.type)).filter(field.is_not(None))
    return type_coerce(told, ARRAY(field.type))[1]


def _rows(
    session: Session,
    bucket: CTE,
    within: ColumnElement[bool],
    fields: Sequence[ColumnElement[Any]],
    table: Any,
) -> list[dict[str, Any]]:
    statement = (
        select(bucket.c.start_at.label("from"), bucket.c.end_at.label("to"), *fields)
        .select_from(bucket.outerjoin(table, within))
        .group_by(bucket.c.start_at, bucket.c.end_at)
        .order_by(bucket.c.start_at)
    )
    return [dict(row) for row in session.execute(statement).mappings()]
