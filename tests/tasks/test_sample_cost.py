"""A new sample costs the same after a hundred days and after two years: statements, and rows that the database reads.

A hundred days, as a judgement looks back ninety: younger devices cost less.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from flask import Flask
from sqlalchemy import event, insert, text

from benchmarks.judging import Counted
from sc_stim.devices.ingest import Receiver, _Batch
from sc_stim.extensions import db
from sc_stim.models import Device, PumpSample, StimulatorSample
from sc_stim.tasks.jobs import JUDGES
from sc_stim.workflows import outbox
from tests.builders import AT, create_fill, create_pump, create_setting, create_stimulator
from tests.intake import Speaker

on_postgres = pytest.mark.parametrize("app", ["postgresql"], indirect=True)
DAY = dt.timedelta(days=1)
HUNDRED_DAYS, TWO_YEARS = 100, 730
ALIKE_ROWS = 10  # neighbours in small tables, dead rows
ROWS_READ = text("SELECT sum(seq_tup_read + idx_tup_fetch)::int FROM pg_stat_xact_user_tables")


def pump(days: int, state: str = "running", **said: Any) -> Device:
    device = create_pump()
    create_setting(device=device, effective_at=AT - 25 * DAY)
    create_fill(pump=device)
    return reports(device, PumpSample, days, state=state, flow_ml_per_day=0.5, reservoir_ml=10.0, **said)


def stimulator(days: int, state: str = "on") -> Device:
    device = create_stimulator()
    create_setting(device=device, effective_at=AT - 25 * DAY)
    return reports(device, StimulatorSample, days, state=state, on_s=80_000.0)


def reports(device: Device, table: type, days: int, **said: Any) -> Device:
    """Daily ones, up to yesterday."""
    db.session.flush()
    rows = [
        {
            "device_id": device.id, "clinic_id": device.clinic_id, "epoch": "e1", "seq": number,
            "measured_at": at, "device_at": at, "received_at": at, **said,
        }
        for number in range(days)
        for at in [AT - (days - number) * DAY]
    ]  # fmt: skip
    db.session.execute(insert(table), rows)
    db.session.commit()
    return device


@contextmanager
def statements() -> Iterator[list[str]]:
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(db.engine, "after_cursor_execute", note)
    yield said
    event.remove(db.engine, "after_cursor_execute", note)


def cost_of_judging(kind: str, device: Device) -> tuple[int, int]:
    """Statements and rows read by the judgement of a new sample; with indexes, however small the tables are."""
    subject = device.id
    db.session.execute(text("ANALYZE"))
    db.session.commit()
    db.session.expunge_all()
    db.session.execute(text("SET LOCAL enable_seqscan = off"))
    before = db.session.scalar(ROWS_READ) or 0
    with statements() as said:
        JUDGES[kind](db.session(), {subject: AT}, AT)
        db.session.flush()
    read = (db.session.scalar(ROWS_READ) or 0) - before
    db.session.rollback()
    return len(said), read


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (outbox.REFILL, pump),
        (outbox.DEVICE, stimulator),
        (outbox.THERAPY, stimulator),
        (outbox.REFILL, lambda days: pump(days, boluses=3, bolus_ml=0.05)),
        (outbox.REFILL, lambda days: pump(days, "stopped")),
        (outbox.DEVICE, lambda days: stimulator(days, "off")),
        (outbox.DEVICE, lambda days: stimulator(days, "mri")),
    ],
    ids=[
        "pump",
        "stimulator",
        "therapy",
        "boluses",
        "stopped throughout",
        "off throughout",
        "mri throughout",
    ],
)
@on_postgres
def test_a_judgement_reads_no_more_after_two_years(
    app: Flask, kind: str, make: Callable[[int], Device]
) -> None:
    young, old = make(HUNDRED_DAYS), make(TWO_YEARS)
    statements_of_young, rows_of_young = cost_of_judging(kind, young)
    statements_of_old, rows_of_old = cost_of_judging(kind, old)
    assert statements_of_old == statements_of_young
    assert abs(rows_of_old - rows_of_young) <= ALIKE_ROWS, (rows_of_young, rows_of_old)


@pytest.mark.parametrize("make", [pump, stimulator])
@on_postgres
def test_a_sample_is_stored_at_the_same_cost_after_two_years(
    app: Flask, make: Callable[[int], Device]
) -> None:
    young, old = make(HUNDRED_DAYS), make(TWO_YEARS)
    statements_of_young, rows_of_young = cost_of_storing(young, HUNDRED_DAYS)
    statements_of_old, rows_of_old = cost_of_storing(old, TWO_YEARS)
    assert statements_of_old == statements_of_young
    assert abs(rows_of_old - rows_of_young) <= ALIKE_ROWS, (rows_of_young, rows_of_old)


def cost_of_storing(device: Device, seq: int) -> tuple[int, int]:
    """Statements and rows read by ingest for one sample more of a device whose epoch is known."""
    speaker = Speaker(device.id, str(device.public_id))
    Receiver(db.engine).receive([speaker.says(speaker.item(seq))], 0.0)
    db.session.execute(text("ANALYZE"))
    db.session.commit()
    with db.engine.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        cast(Any, connection.connection.driver_connection).cursor_factory = Counted
        before, sent = connection.scalar(ROWS_READ) or 0, Counted.statements
        batch = _Batch(connection, AT, 0.0)
        batch.take([speaker.says(speaker.item(seq + 1))])
        batch.write()
        cost = Counted.statements - sent, (connection.scalar(ROWS_READ) or 0) - before
        connection.rollback()
        connection.invalidate()  # its cursors count
    return cost
