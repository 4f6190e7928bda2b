"""Reading within one clinic. Another clinic's row does not exist here, whatever its id."""

import uuid
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.access import in_clinic

Row = TypeVar("Row", bound=Any)


def find(
    session: Session, model: type[Row], clinic_id: int, public_id: uuid.UUID, *, lock: bool = False
) -> Row | None:
    """The row with this public id if it is this clinic's, else None. `lock` holds it until the commit."""
    statement = in_clinic(select(model), model, clinic_id).where(model.public_id == public_id)
    if lock:
        statement = statement.with_for_update()
    return session.scalars(statement).one_or_none()
