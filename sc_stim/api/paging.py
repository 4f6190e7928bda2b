"""Lists in pages. A page begins after the last row of the page before, so new rows make nothing skipped or doubled.

The cursor is signed and opaque. It holds sort keys, so nothing that names a person may be one.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from flask import current_app, request, url_for
from itsdangerous import BadSignature, URLSafeSerializer
from marshmallow import fields
from sqlalchemy import Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from sc_stim.api.fields import Schema
from sc_stim.extensions import db
from sc_stim.failures import Invalid

READ: Final[dict[type, Callable[[str], Any]]] = {
    dt.datetime: dt.datetime.fromisoformat,
    dt.date: dt.date.fromisoformat,
    uuid.UUID: uuid.UUID,
}
Keys = Sequence[InstrumentedAttribute[Any]]


@cache
def page_of(schema: type[Schema]) -> Schema:
    """The schema of a page of these."""
    name = schema.__name__.removesuffix("Schema") + "Page"
    page = {
        "items": fields.List(fields.Nested(schema), required=True),
        "next_cursor": fields.String(
            required=True,
            allow_none=True,
            metadata={"description": "Null on the last page."},
        ),
    }
    return Schema.from_dict(page, name=name)()


def page(
    statement: Select[Any],
    query: Mapping[str, Any],
    keys: Keys,
    *,
    newest_first: bool = False,
    item: Callable[..., Any] | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of one page of `statement`.

    statement: without ORDER BY; of one entity, or of several columns with `item` to make one item of a row's values
    query: the loaded PageQuery
    keys: columns to sort by, never null, the last one unique; `newest_first` turns all of them round
    """
    for key in keys:
        if getattr(key, "info", {}).get("phi"):  # a computed column has none
            raise ValueError(f"{key} names a person: it must not be a sort key, which stands in the address")
    if "cursor" in query:
        values = zip(_read_cursor(query["cursor"], keys), keys, strict=True)
        after = tuple_(*(literal(value, key.type) for value, key in values))
        statement = statement.where(tuple_(*keys) < after if newest_first else tuple_(*keys) > after)
    order = [key.desc() if newest_first else key for key in keys]
    rows = db.session.execute(statement.add_columns(*keys).order_by(*order).limit(query["limit"] + 1)).all()
    shown, width = rows[: query["limit"]], len(keys)
    cursor = _write_cursor(shown[-1][-width:]) if len(rows) > len(shown) else None
    items = [item(*row[:-width]) if item else row[0] for row in shown]
    return {"items": items, "next_cursor": cursor}, {
        "Link": f'<{_address(cursor)}>; rel="next"'
    } if cursor else {}


def _address(cursor: str) -> str:
    arguments = {**(request.view_args or {}), **request.args.to_dict(flat=False), "cursor": cursor}
    return url_for(request.endpoint or "", **arguments)


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or "", salt=f"cursor of {request.endpoint}")


def _write_cursor(values: Sequence[Any]) -> str:
    return str(_signer().dumps([value if isinstance(value, int | float) else str(value) for value in values]))


def _read_cursor(cursor: str, keys: Keys) -> list[Any]:
    try:
        values = _signer().loads(cursor)
    except BadSignature as error:
        raise Invalid("cursor", "is not one of ours; start again without it") from error
    return [
        READ.get(key.type.python_type, lambda value: value)(value)
        for key, value in zip(keys, values, strict=True)
    ]
