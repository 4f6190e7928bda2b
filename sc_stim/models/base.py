"""What every table shares: aware UTC times, public ids, versions."""

import datetime as dt
import uuid
from collections.abc import Collection
from typing import Annotated, Any

import uuid_utils.compat
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Integer,
    TypeDecorator,
    Uuid,
    any_,
    literal,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, declared_attr, mapped_column


class UtcDateTime(TypeDecorator[dt.datetime]):
    """Aware UTC in Python on both databases. A naive time is a programming error and is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[dt.datetime]:
        return dt.datetime

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime given to the database; pass an aware one")
        utc = value.astimezone(dt.UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def new_public_id() -> uuid.UUID:
    """UUIDv7: sorts by time, says nothing about the person."""
    return uuid_utils.compat.uuid7()


def among(session: Session, column: Any, ids: Collection[int]) -> ColumnElement[bool]:
    """`column IN (ids)` for many ids, as one parameter where the database can: so the statement is the same each time,
    and neither SQLAlchemy, nor the driver, nor PostgreSQL reads a thousand parameters.
    """
    if session.get_bind().dialect.name == "postgresql":
        return column == any_(literal(list(ids), ARRAY(BigInteger)))  # type: ignore[no-any-return]
    return column.in_(ids)  # type: ignore[no-any-return]


# SQLite only numbers rows itself in an INTEGER key; JSONB on PostgreSQL keeps documents comparable.
BigKey = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB, "postgresql")
OptionalJson = JSON(none_as_null=True).with_variant(
    JSONB(none_as_null=True), "postgresql"
)  # None: no value at all

Key = Annotated[int, mapped_column(BigKey, primary_key=True, autoincrement=True)]
PublicId = Annotated[uuid.UUID, mapped_column(Uuid, unique=True, default=new_public_id)]
JsonDict = Annotated[dict[str, Any], mapped_column(Json)]
JsonList = Annotated[list[Any], mapped_column(Json)]

PHI = {"phi": True}  # mark of a column that names or describes a person; logs and exports derive from it


class Versioned:
    """Optimistic concurrency: a stale UPDATE raises StaleDataError, which the API answers with 412."""

    version: Mapped[int] = mapped_column(Integer, default=1)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.version}
