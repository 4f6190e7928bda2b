"""Work that takes longer than a request: exports, back-tests, long recall lists; and the parts of their results."""

import datetime as dt
from typing import Any, Final

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, deferred, mapped_column, relationship

from sc_stim.extensions import db
from sc_stim.models.base import PHI, BigKey, JsonDict, Key, OptionalJson, PublicId, UtcDateTime
from sc_stim.models.clinic import Clinic, User

WAITING: Final = "waiting"
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
UNFINISHED: Final = (WAITING, RUNNING)


class LongWork(db.Model):
    """Done in steps. `cursor` is where the next step begins, so a worker that dies loses at most one step.

    done, total: what is counted differs by kind. size: bytes of the result as kept. error: a sentence for people.
    """

    __tablename__ = "long_work"
    __table_args__ = (
        Index("ix_long_work_clinic_id_created_at", "clinic_id", "created_at"),
        Index("ix_long_work_state", "state"),
    )

    id: Mapped[Key]
    public_id: Mapped[PublicId]
    clinic_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clinic.id"))
    user_id: Mapped[int] = mapped_column(BigKey, ForeignKey("user_account.id"))
    kind: Mapped[str] = mapped_column(String(30))
    asked: Mapped[JsonDict]  # {"since", "until"}: instants, for kinds of a period; {"file"}: its name
    upload: Mapped[bytes | None] = deferred(
        mapped_column(LargeBinary, info=PHI)
    )  # gone when the work has ended
    state: Mapped[str] = mapped_column(String(20), default=WAITING)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None]
    cursor: Mapped[Any | None] = mapped_column(OptionalJson)
    parts: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(BigKey, default=0)
    attempts: Mapped[int] = mapped_column(default=0)  # begun since the last step that was kept
    claimed_until: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)

    clinic: Mapped[Clinic] = relationship()
    user: Mapped[User] = relationship()

    @property
    def unfinished(self) -> bool:
        return self.state in UNFINISHED


class LongWorkPart(db.Model):
    """What one step added to the result, compressed. The key makes two workers keep a step once."""

    __tablename__ = "long_work_part"

    work_id: Mapped[int] = mapped_column(
        BigKey, ForeignKey("long_work.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary, info=PHI)
