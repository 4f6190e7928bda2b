"""A judgement that could not be made, and why."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused:
    """Returned in place of a result. `reason` is a stable code, `detail` says what is wrong and how to mend
    it.
    """

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
