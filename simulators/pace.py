"""How true time, and the courses with it, go on with the seconds of a steady clock. Pure."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """The run began at the true time `began_at`, which the steady clock showed as `began_s`.

    start: of the history. speed: courses run that many times as fast as the clock until they have caught up with
    the present; None: as fast as they can. end: courses stop there; None: they go on with the present.
    """

    began_s: float
    began_at: dt.datetime
    start: dt.datetime
    speed: float | None = None
    end: dt.datetime | None = None

    def true_time(self, now_s: float) -> dt.datetime:
        return self.began_at + dt.timedelta(seconds=now_s - self.began_s)

    def target(self, now_s: float) -> dt.datetime:
        """How far courses may have come."""
        target = self.true_time(now_s)
        if self.speed is not None:
            target = min(target, self.start + dt.timedelta(seconds=(now_s - self.began_s) * self.speed))
        return target if self.end is None else min(target, self.end)

    def due_s(self, at: dt.datetime) -> float | None:
        """When courses may go on to `at`; None: never."""
        if self.end is not None and at > self.end:
            return None
        due_s = self.began_s + (at - self.began_at).total_seconds()
        if self.speed is None:
            return due_s
        return max(due_s, self.began_s + (at - self.start).total_seconds() / self.speed)
