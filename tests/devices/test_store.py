"""What an error of the database means for the rows in hand, on both databases."""

import datetime as dt
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from sc_stim.devices.ingest import Receiver
from sc_stim.devices.store import Bulk, Conflict, DatabaseAway, NotStorable, document, transaction
from sc_stim.extensions import db
from sc_stim.models import Heartbeat, Quarantine
from tests.intake import AT, Intake, emptied, intake, intake_engines, make_engine, on_both
from tests.servers import Postgres

__all__ = ["intake", "intake_engines"]


# --- what is no fault of the message: wait, keep nothing in quarantine ---


@pytest.mark.parametrize("table", ["pump_sample", "device_epoch", "work_item", "quarantine"])
@on_both
def test_without_its_tables_the_database_is_away(intake: Intake, table: str) -> None:
    """As when migrations did not run: nothing may end in quarantine, it comes again."""
    pump = intake.add()
    with intake.engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO hidden"))
    try:
        with pytest.raises(DatabaseAway):
            intake.receiver.receive([pump.says(pump.item(0)), pump.says(pump.item(1, reservoir_ml=900))], 0)
    finally:
        with intake.engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE hidden RENAME TO {table}"))
    assert intake.reasons() == []
    assert intake.receive(pump.says(pump.item(0)))[0].upto == 0


def test_a_locked_sqlite_is_away_and_works_again_when_it_is_free(intake: Intake) -> None:
    pump = intake.add()
    with intake.engine.begin(), pytest.raises(DatabaseAway):
        intake.receiver.receive([pump.says(pump.item(0))], 0)
    assert intake.receive(pump.says(pump.item(0)))[0].upto == 0
    assert intake.reasons() == []


def test_a_full_disk_is_away(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'small.db'}")
    db.metadata.create_all(engine)
    intake = Intake(engine)
    pump = intake.add()
    messages = [pump.says(pump.item(seq), note="x") for seq in range(3000)]
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar() or 0
    engine.dispose()

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages + 2}")

    event.listen(engine, "connect", limit)
    with pytest.raises(DatabaseAway):
        intake.receiver.receive(messages, 0)
    event.remove(engine, "connect", limit)
    engine.dispose()
    assert intake.receive(*messages)[0].upto == 2999
    assert intake.reasons() == []
    engine.dispose()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.close()


def test_a_postgresql_that_is_killed_is_away_and_nothing_is_lost(own_postgres: Postgres) -> None:
    engine = make_engine(own_postgres.url)
    db.metadata.create_all(engine)
    intake = Intake(engine)
    pump = intake.add()
    intake.receive(pump.says(pump.item(0)))
    own_postgres.kill9()
    for _ in range(2):
        with pytest.raises(DatabaseAway):
            intake.receiver.receive([pump.says(pump.item(1))], 0)
    own_postgres.start()
    engine.dispose()
    assert intake.receive(pump.says(pump.item(1)))[0].upto == 1
    engine.dispose()


def test_a_connection_that_dies_in_the_middle_of_a_batch_is_away(
    intake_engines: Callable[[str], Engine],
) -> None:
    intake = Intake(emptied(intake_engines("postgresql")))
    pump = intake.add()

    def end_connections(point: str) -> None:
        if point == "after_insert":
            admin = create_engine(intake.engine.url, isolation_level="AUTOCOMMIT")
            with admin.connect() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            admin.dispose()

    with pytest.raises(DatabaseAway):
        Receiver(intake.engine, faults=end_connections).receive([pump.says(pump.item(0))], 0)
    intake.engine.dispose()
    assert intake.stored() == []
    assert intake.receive(pump.says(pump.item(0)))[0].upto == 0


def test_a_pool_without_a_free_connection_is_away(intake_engines: Callable[[str], Engine]) -> None:
    engine = create_engine(intake_engines("postgresql").url, pool_size=1, max_overflow=0, pool_timeout=0.05)
    with engine.connect(), pytest.raises(DatabaseAway), transaction(engine):
        raise AssertionError("there was a connection")
    engine.dispose()


# --- two transactions in each other's way ---


def test_a_deadlock_is_tried_again_at_once(intake: Intake) -> None:
    pump = intake.add()
    failures = iter([psycopg.errors.DeadlockDetected(), psycopg.errors.SerializationFailure()])

    def fail(point: str) -> None:
        error = next(failures, None) if point == "before_insert" else None
        if error is not None:
            raise error

    Receiver(intake.engine, faults=fail).receive([pump.says(pump.item(0))], 0)
    assert (intake.stored(), intake.reasons()) == ([(pump.id, "e1", 0)], [])


def test_what_stays_in_conflict_is_given_back(intake: Intake) -> None:
    pump = intake.add()

    def fail(point: str) -> None:
        if point == "before_insert":
            raise psycopg.errors.DeadlockDetected

    with pytest.raises(Conflict):
        Receiver(intake.engine, faults=fail).receive([pump.says(pump.item(0))], 0)
    assert (intake.stored(), intake.reasons()) == ([], [])


# --- the meaning of errors ---

AWAY: list[Exception] = [
    psycopg.OperationalError("server closed the connection"),
    psycopg.errors.DiskFull(),
    psycopg.errors.TooManyConnections(),
    psycopg.errors.AdminShutdown(),
    psycopg.errors.UndefinedTable(),
    psycopg.errors.UndefinedColumn(),
    psycopg.errors.InsufficientPrivilege(),
    psycopg.errors.ReadOnlySqlTransaction(),
    psycopg.errors.LockNotAvailable(),
    psycopg.errors.QueryCanceled(),
    psycopg.InterfaceError("the connection is closed"),
    sqlite3.OperationalError("database is locked"),
    sqlite3.OperationalError("no such table: pump_sample"),
    sqlite3.DatabaseError("database disk image is malformed"),
    OperationalError("SELECT 1", {}, psycopg.errors.CannotConnectNow()),
]
REFUSED: list[Exception] = [
    psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"),
    psycopg.ProgrammingError("cannot adapt type 'object'"),
    psycopg.errors.UntranslatableCharacter(),
    psycopg.errors.NumericValueOutOfRange(),
    psycopg.errors.NotNullViolation(),
    psycopg.errors.CardinalityViolation(),
    psycopg.errors.ProgramLimitExceeded(),
    sqlite3.IntegrityError("NOT NULL constraint failed"),
    sqlite3.DataError("string or blob too big"),
    sqlite3.ProgrammingError("Error binding parameter 1: type 'list' is not supported"),
    DBAPIError("INSERT", {}, psycopg.errors.CheckViolation()),
]


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_these_errors_say_that_the_database_is_away(intake: Intake, error: Exception) -> None:
    with pytest.raises(DatabaseAway), transaction(intake.engine):
        raise error


@pytest.mark.parametrize("error", REFUSED, ids=repr)
def test_these_errors_say_that_it_will_never_take_the_rows(intake: Intake, error: Exception) -> None:
    with (
        pytest.raises(NotStorable, match=type(getattr(error, "orig", error)).__name__),
        transaction(intake.engine),
    ):
        raise error


def test_an_error_that_is_no_database_error_stays_what_it_is(intake: Intake) -> None:
    with pytest.raises(KeyError), transaction(intake.engine):
        raise KeyError("ours")


# --- the statements ---


@on_both
def test_rows_whose_key_is_there_change_nothing_or_what_is_asked_for(intake: Intake) -> None:
    table, columns = Heartbeat.__table__, ("name", "at", "detail")
    newer = "(name) DO UPDATE SET detail = excluded.detail"
    with transaction(intake.engine) as connection:
        bulk = Bulk(connection)
        moment = bulk.moment(AT)
        bulk.add(table, columns, [("a", moment, document({"n": 1})), ("b", moment, document({"n": 1}))])
        bulk.add(table, columns, [("a", moment, document({"n": 2})), ("c", moment, document({"n": [None]}))])
        bulk.upsert(table, columns, [("b", moment, document({"n": 3})), ("d", moment, document({}))], newer)
        bulk.add(table, columns, [])
        bulk.upsert(table, columns, [], newer)
    rows = intake.all(select(Heartbeat.name, Heartbeat.at, Heartbeat.detail).order_by(Heartbeat.name))
    assert [tuple(row) for row in rows] == [
        ("a", AT, {"n": 1}), ("b", AT, {"n": 3}), ("c", AT, {"n": [None]}), ("d", AT, {}),
    ]  # fmt: skip


@on_both
def test_bytes_arrive_as_they_are(intake: Intake) -> None:
    stranger = intake.stranger()
    payload = bytes(range(256))
    intake.receive(stranger.sends(payload))
    assert intake.one(select(Quarantine.payload)) == payload


@on_both
def test_many_keys_are_read_at_once(intake: Intake) -> None:
    with transaction(intake.engine) as connection:
        rows = Bulk(connection).select(
            "SELECT b, a FROM keys WHERE a > 1 ORDER BY a", [(1, "ä"), (2, 'b"'), (3, None)], "bigint, text"
        )
    assert [tuple(row) for row in rows] == [('b"', 2), (None, 3)]


def test_a_moment_keeps_its_microseconds(intake: Intake) -> None:
    at = AT + dt.timedelta(microseconds=1)
    with transaction(intake.engine) as connection:
        bulk = Bulk(connection)
        bulk.add(Heartbeat.__table__, ("name", "at", "detail"), [("a", bulk.moment(at), "{}")])
    assert intake.one(select(Heartbeat.at)) == at


def test_threads_share_the_statements_of_a_table(intake_engines: Callable[[str], Engine]) -> None:
    """Each connection stages in a table of its own."""
    intake = Intake(emptied(intake_engines("postgresql")))
    pumps = [intake.add() for _ in range(4)]
    threads = [
        threading.Thread(
            target=Receiver(intake.engine).receive, args=([pump.says(pump.item(n)) for n in range(50)],)
        )
        for pump in pumps
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(intake.stored()) == 200
