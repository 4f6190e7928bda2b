"""Parts of the system that stopped working, and when they came back."""

import datetime as dt

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from sc_stim.extensions import db
from sc_stim.models.base import Key, UtcDateTime


class Outage(db.Model):
    """`open_part` is the part while it is away, null afterwards: of all who notice, one begins the outage."""

    __tablename__ = "outage"

    id: Mapped[Key]
    part: Mapped[str] = mapped_column(String(20))
    open_part: Mapped[str | None] = mapped_column(String(20), unique=True)
    why: Mapped[str] = mapped_column(String(200))
    since: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    told_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    over_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
