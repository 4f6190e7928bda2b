"""Telemetry over time: one row per hour or local day, computed by the database, the same on both databases.

The edges of the buckets are worked out here, so a day is the patient's own day, 23 or 25 hours long when the clocks
change. The database only says in which bucket a row lies and sums up; buckets in which none lies are added here.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, ColumnElement, Integer, and_, column, func, literal, select, type_coerce, values
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
    sample = SAMPLE_OF[kind]
    on_postgresql = _is_postgresql(session)
    number, within = _placed(sample, sample.device_id == device_id, edges, on_postgresql)
    newest = _newest_by_array if on_postgresql else _newest
    fields: dict[str, ColumnElement[Any]] = {"samples": func.count(sample.seq)}
    fields |= {name: func.sum(getattr(sample, name)) for name in SUMS[kind]}
    fields |= {name: func.avg(getattr(sample, name)) for name in MEANS[kind]}
    fields |= {name: newest(sample, name, within) for name in NEWEST[kind]}
    rows = _rows(session, edges, number, within, fields)
    return [{name: row.pop(name) for name in ("from", "to", "samples")} | {"readings": row} for row in rows]


def pain_series(session: Session, patient_id: int, edges: list[Bucket]) -> list[dict[str, Any]]:
    """The mean of a patient's scores per bucket; corrected scores count once, as corrected."""
    if not edges:
        return []
    whose = and_(PainScore.patient_id == patient_id, not_replaced(PainScore))
    number, within = _placed(PainScore, whose, edges, _is_postgresql(session))
    fields: dict[str, ColumnElement[Any]] = {"scores": func.count(PainScore.nrs)}
    fields |= {name: func.avg(getattr(PainScore, name)) for name in ("nrs", "sleep", "interference")}
    return _rows(session, edges, number, within, fields)


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


def _is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _placed(
    table: Any, whose: ColumnElement[bool], edges: list[Bucket], on_postgresql: bool
) -> tuple[ColumnElement[int], ColumnElement[bool]]:
    """The number of the bucket that a row lies in, from 0, and the condition that it is ours and lies in one at all.

    PostgreSQL counts the edges below a time, in one pass over the rows. A join with the edges takes it five times as
    long: it cannot guess how few rows lie between two of them, expects millions, and compiles the statement for that.
    SQLite looks up each bucket in the index.
    """
    at = table.measured_at
    if on_postgresql:
        starts = literal([start for start, _ in edges], ARRAY(UtcDateTime))
        return func.width_bucket(at, starts) - 1, and_(whose, at >= edges[0][0], at < edges[-1][1])
    columns = column("number", Integer), column("start_at", UtcDateTime), column("end_at", UtcDateTime)
    rows = [(number, start, end) for number, (start, end) in enumerate(edges)]
    bucket = values(*columns, name="bucket").data(rows).cte()
    return bucket.c.number, and_(whose, at >= bucket.c.start_at, at < bucket.c.end_at)


def _newest(sample: Sample, name: str, within: ColumnElement[bool]) -> ColumnElement[Any]:
    field: InstrumentedAttribute[Any] = getattr(sample, name)
    newest = select(field).where(within, field.is_not(None)).order_by(sample.measured_at.desc()).limit(1)
    return newest.correlate_except(sample).scalar_subquery()


def _newest_by_array(sample: Sample, name: str, _within: ColumnElement[bool]) -> ColumnElement[Any]:
    """The same in the one pass over the samples that the sums need anyway: PostgreSQL can order within a group."""
    field: InstrumentedAttribute[Any] = getattr(sample, name)
    in_order = aggregate_order_by(field, sample.measured_at.desc())
    told = func.array_agg(in_order, type_=ARRAY(field.type)).filter(field.is_not(None))
    return type_coerce(told, ARRAY(field.type))[1]


def _rows(
    session: Session,
    edges: list[Bucket],
    number: ColumnElement[int],
    within: ColumnElement[bool],
    fields: dict[str, ColumnElement[Any]],
) -> list[dict[str, Any]]:
    """One row per bucket. Of `fields` the first counts: it is 0 where nothing lies in the bucket, all else None."""
    labelled = [field.label(name) for name, field in fields.items()]
    statement = select(number.label("number"), *labelled).where(within).group_by("number")
    found = {row["number"]: dict(row) for row in session.execute(statement).mappings()}
    nothing: dict[str, Any] = dict.fromkeys(fields) | {next(iter(fields)): 0}
    return [
        {"from": start, "to": end} | {name: found.get(index, nothing)[name] for name in fields}
        for index, (start, end) in enumerate(edges)
    ]
