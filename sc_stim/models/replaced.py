"""Rows that are never edited: a correction is a new row that names the one it replaces."""

from typing import Any

from sqlalchemy import ColumnElement, exists
from sqlalchemy.orm import aliased


def not_replaced(model: Any) -> ColumnElement[bool]:
    """True for the rows of `model` (a Fill or a PainScore) that no other row corrects."""
    correction = aliased(model)
    return ~exists().where(correction.replaces_id == model.id)
