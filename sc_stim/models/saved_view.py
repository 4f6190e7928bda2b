"""Views of the worklist that a person keeps under a name."""

import datetime as dt
import uuid
from collections.abc import Sequence

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from sc_stim.extensions import db
from sc_stim.models.base import BigKey, JsonDict, Key, PublicId, UtcDateTime


class SavedView(db.Model):
    """What one person wants to see: `query` is what the address of the worklist says, never a name that was sought.

    `opens_first`: in place of what the role begins with; at most one of a person.
    """

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    user_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    name: Mapped[str] = mapped_column(String(60))
    query: Mapped[JsonDict]
    opens_first: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)


def views_of(session: Session, user_id: int) -> Sequence[SavedView]:
    """By name."""
    statement = select(SavedView).where(SavedView.user_id == user_id).order_by(SavedView.name)
    return session.scalars(statement).all()


def view_of(session: Session, user_id: int, public_id: uuid.UUID) -> SavedView | None:
    """None where it is another person's."""
    statement = select(SavedView).where(SavedView.user_id == user_id, SavedView.public_id == public_id)
    return session.scalars(statement).one_or_none()
