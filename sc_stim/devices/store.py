"""Bulk SQL of ingest and tasks on both databases: many rows, few statements, inside the caller's transaction.

On PostgreSQL samples go by binary COPY into a temporary table and from there by INSERT ... ON CONFLICT DO NOTHING;
smaller sets go as one JSON parameter. On SQLite `executemany` does both. Rows hold what the driver takes: see
`moment`, `date`, `uuid`, `blob` and `document`. Statements are put together of names in this code alone.
"""
# ruff: noqa: S608

import datetime as dt
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

import msgspec
import psycopg
from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

Row = Sequence[Any]

_ABOUT_THE_DATA = (
    "21",
    "22",
    "23",
    "54",
)  # SQLSTATE: cardinality, data, constraint, too large for the program
_CONFLICT = "40"  # deadlock, serialization failure


class DatabaseAway(Exception):
    """The database cannot do it now, whatever it is given: it is stopped, full, locked or without its tables."""


class Conflict(DatabaseAway):
    """Two transactions were in each other's way; at once again is in order."""


class NotStorable(Exception):
    """The database refuses these very rows, now and at any later time."""


DATABASE_ERRORS = (
    DBAPIError,
    PoolTimeout,
    psycopg.Error,
    sqlite3.Error,
)  # SQLAlchemy's, and the drivers' own


def meaning(error: BaseException) -> type[DatabaseAway] | type[NotStorable]:
    """What one of DATABASE_ERRORS says: DatabaseAway, Conflict or NotStorable."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = (cause.sqlstate or "") if isinstance(cause, psycopg.Error) else ""
    if state.startswith(_CONFLICT):
        return Conflict
    # Without a state: the driver itself could not make a statement of these values.
    unsendable = not state and isinstance(cause, psycopg.DataError | psycopg.ProgrammingError)
    refused = isinstance(cause, sqlite3.IntegrityError | sqlite3.DataError | sqlite3.ProgrammingError)
    return NotStorable if state.startswith(_ABOUT_THE_DATA) or unsendable or refused else DatabaseAway


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that ends in a commit, or in DatabaseAway, Conflict or NotStorable with nothing stored."""
    try:
        with engine.begin() as connection:
            yield connection
    except DATABASE_ERRORS as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise meaning(error)(type(cause).__name__) from error


class Bulk:
    """The bulk statements of one open connection."""

    def __init__(self, connection: Connection) -> None:
        self.is_postgres = connection.dialect.name == "postgresql"
        self._cursor = cast(Any, connection.connection).cursor()

    def moment(self, at: dt.datetime | None) -> Any:
        """An aware UTC time."""
        if at is None or self.is_postgres:
            return at
        return at.replace(tzinfo=None).isoformat(" ", "microseconds")

    def date(self, day: dt.date) -> Any:
        return day if self.is_postgres else day.isoformat()

    def uuid(self, value: uuid.UUID) -> Any:
        return value if self.is_postgres else value.hex

    def blob(self, value: bytes) -> Any:
        """Bytes; on PostgreSQL for `upsert` alone."""
        return f"\\x{value.hex()}" if self.is_postgres else value

    def select(self, statement: str, keys: Sequence[Row], types: str) -> list[tuple[Any, ...]]:
        """Rows for many keys at once; `statement` reads them from the table `keys(a, b, ...)`.

        types: of these columns, as PostgreSQL calls them, e.g. `uuid, text`.
        """
        if not keys:
            return []
        columns = list(zip("abcd", types.split(", "), strict=False))
        names = ", ".join(name for name, _ in columns)
        values = ", ".join(
            f"(value ->> {index})::{kind}" if self.is_postgres else f"json_extract(value, '$[{index}]')"
            for index, (_, kind) in enumerate(columns)
        )
        source = "json_array_elements(%s::json)" if self.is_postgres else "json_each(?)"
        self._cursor.execute(
            f"WITH keys({names}) AS (SELECT {values} FROM {source}) {statement}", (_text(keys),)
        )
        return cast(list[tuple[Any, ...]], self._cursor.fetchall())

    def add(self, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Insert rows; those whose key is there already change nothing."""
        if not rows:
            return
        names = ", ".join(columns)
        if not self.is_postgres:
            marks = ", ".join("?" * len(columns))
            self._cursor.executemany(
                f"INSERT INTO {table.name} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING", rows
            )
            return
        staging = f"staging_{table.name}"
        self._cursor.execute(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging} ({_fields(table, columns)}) ON COMMIT DELETE ROWS"
        )
        with self._cursor.copy(f"COPY {staging} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(_carriers(table, columns))
            for row in rows:
                copy.write_row(row)
        self._cursor.execute(
            f"INSERT INTO {table.name} ({names}) SELECT {_cast(table, columns)} FROM {staging} "
            "ON CONFLICT DO NOTHING"
        )

    def upsert(self, table: Table, columns: tuple[str, ...], rows: Sequence[Row], conflict: str) -> None:
        """Insert or, where the key is there, do what `conflict` says: `(key) DO UPDATE SET ...`.

        There `old` is the row that stands and `excluded` the new one. Rows in the order of their keys, or two
        transactions wait for each other.
        """
        if not rows:
            return
        head = f"INSERT INTO {table.name} AS old ({', '.join(columns)})"
        if not self.is_postgres:
            marks = ", ".join("?" * len(columns))
            self._cursor.executemany(f"{head} VALUES ({marks}) ON CONFLICT {conflict}", rows)
            return
        records = _text([dict(zip(columns, row, strict=True)) for row in rows])
        source = f"json_to_recordset(%s::json) AS new({_fields(table, columns)})"
        self._cursor.execute(
            f"{head} SELECT {_cast(table, columns)} FROM {source} ON CONFLICT {conflict}", (records,)
        )


def document(value: Any) -> str | None:
    """A JSON column's value as text."""
    return None if value is None else _text(value)


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


# How values travel to PostgreSQL, by the type of their column; the rest as text. A cast there does what is left.
_CARRIERS = {
    "BIGINT": "int8", "INTEGER": "int4", "DOUBLE PRECISION": "float8", "NUMERIC": "float8", "BOOLEAN": "bool",
    "UUID": "uuid", "DATE": "date", "TIMESTAMP WITH TIME ZONE": "timestamptz",
}  # fmt: skip


@cache
def _carriers(table: Table, columns: tuple[str, ...]) -> list[str]:
    return [_CARRIERS.get(_type(table, name).partition("(")[0], "text") for name in columns]


@cache
def _fields(table: Table, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in zip(columns, _carriers(table, columns), strict=True))


@cache
def _cast(table: Table, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{name}::{_type(table, name)}" for name in columns)


def _type(table: Table, column: str) -> str:
    return table.c[column].type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
