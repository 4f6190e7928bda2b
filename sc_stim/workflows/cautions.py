"""Something to look at before going on. It never blocks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caution:
    """`source` None: the figure behind it is unverified, or it is no matter of a figure."""

    rule: str
    field: str
    message: str
    source: str | None
