"""What a clinic has set in place of shipped figures."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from sc_stim.clinical.clinic_figures import LONGEST_SOURCE, Own, OwnFigure
from sc_stim.extensions import db
from sc_stim.models.base import BigKey, Key, PublicId, UtcDateTime, Versioned
from sc_stim.models.clinic import User


class ClinicFigure(Versioned, db.Model):
    """A clinic's own value of a figure, in the unit of the figure. Null: back to the shipped one.

    Such a row stays, so that its version never stands for two values.
    """

    __tablename__ = "clinic_figure"
    __table_args__ = (UniqueConstraint("clinic_id", "key"),)

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    key: Mapped[str] = mapped_column(String(60))  # of clinical.clinic_figures.open_figures
    value: Mapped[float | None]
    source: Mapped[str | None] = mapped_column(String(LONGEST_SOURCE))
    set_by_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    set_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

    set_by: Mapped[User] = relationship()


def own_figures(session: Session, clinic_ids: Collection[int]) -> dict[int, Own]:
    """What each of these clinics has set, in one statement; nothing for those that set none."""
    statement = (
        select(ClinicFigure.clinic_id, ClinicFigure.key, ClinicFigure.value, ClinicFigure.source)
        .where(ClinicFigure.clinic_id.in_(clinic_ids))
        .order_by(ClinicFigure.key)
    )
    found: dict[int, Own] = defaultdict(tuple)
    for clinic_id, key, value, source in session.execute(statement):
        if value is not None and source is not None:
            found[clinic_id] += (OwnFigure(key, value, source),)
    return found
