"""Bulk SQL of ingest on both databases: many rows, few statements, inside the caller's transaction.

On PostgreSQL samples go by COPY into a temporary table and from there by INSERT ... ON CONFLICT DO NOTHING; smaller
sets go as arrays. On SQLite `executemany` does both. Rows hold database values: see `moment` and `document`.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

Row = Sequence[Any]


class Bulk:
    """The bulk statements of one open connection."""

    def __init__(self, connection: Connection) -> None:
        self.is_postgres = connection.dialect.name == "postgresql"
        self._cursor = cast(Any, connection.connection).cursor()

    def moment(self, at: dt.datetime | None) -> Any:
        """An aware UTC time as the database's driver wants it."""
        if at is None or self.is_postgres:
            return at
        return at.replace(tzinfo=None).isoformat(" ", "microseconds")

    def date(self, day: dt.date) -> Any:
        return day if self.is_postgres else day.isoformat()

    def uuid(self, value: uuid.UUID) -> str:
        return str(value) if self.is_postgres else value.hex

    def uuid_of(self, expression: str) -> str:
        """SQL that turns a text made by `uuid` into a value of a UUID column."""
        return f"{expression}::uuid" if self.is_postgres else expression

    def select(self, statement: str, arrays: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Rows for many keys at once; `statement` reads them from the table `keys(a, b, ...)`."""
        if not arrays[0]:
            return []
        names = "abc"[: len(arrays)]
        if self.is_postgres:
            types = ", ".join("%s::bigint[]" if isinstance(column[0], int) else "%s::text[]" for column in arrays)
            keys = f"WITH keys({', '.join(names)}) AS (SELECT * FROM unnest({types})) "
            return cast(list[tuple[Any, ...]], self._cursor.execute(keys + statement, list(arrays)).fetchall())
        marks = ", ".join(f"value ->> {index}" for index in range(len(arrays)))
        keys = f"WITH keys({', '.join(names)}) AS (SELECT {marks} FROM json_each(?)) "
        rows = msgspec.json.encode(list(zip(*arrays, strict=True))).decode()
        return cast(list[tuple[Any, ...]], self._cursor.execute(keys + statement, (rows,)).fetchall())

    def add(self, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
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
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging} ON COMMIT DELETE ROWS AS "
            f"SELECT {names} FROM {table.name} WITH NO DATA"
        )
        with self._cursor.copy(f"COPY {staging} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        self._cursor.execute(
            f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {staging} ON CONFLICT DO NOTHING"
        )

    def upsert(
        self, table: Table, columns: Sequence[str], rows: Sequence[Row], conflict: str, returning: str = ""
    ) -> list[tuple[Any, ...]]:
        """Insert or, where the key is there, do what `conflict` says: `(key) DO UPDATE SET ...`."""
        if not rows:
            return []
        head = f"INSERT INTO {table.name} AS old ({', '.join(columns)}) "
        tail = f" ON CONFLICT {conflict}" + (f" RETURNING {returning}" if returning else "")
        if self.is_postgres:
            arrays = ", ".join(f"%s::{_array_type(table, name)}" for name in columns)
            statement = f"{head} SELECT * FROM unnest({arrays}) {tail}"
            self._cursor.execute(statement, [list(column) for column in zip(*rows, strict=True)])
            return cast(list[tuple[Any, ...]], self._cursor.fetchall()) if returning else []
        statement = f"{head} VALUES ({', '.join('?' * len(columns))}) {tail}"
        if not returning:
            self._cursor.executemany(statement, rows)
            return []
        return [self._cursor.execute(statement, row).fetchone() for row in rows]


def document(value: Any) -> str | None:
    """A JSON column's value as text."""
    return None if value is None else msgspec.json.encode(value).decode()


def _array_type(table: Table, column: str) -> str:
    kind = table.c[column].type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    return f"{kind}[]"
