"""From verdicts in time to findings: a run begins with the first bad point and ends with the next good one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sc_stim.clinical.alarms import Severity


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's word on one point in time: bad, good, or None where this point says nothing.

    value: the raw figure. needed: so many bad points in a row make a finding
    """

    at: datetime
    bad: bool | None
    value: Any = None
    needed: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """Bad points in a row; points without a word in between break nothing.

    well_until: the last good point before it. until: the first one after it; None while it stands
    """

    bad: tuple[Verdict, ...]
    well_until: datetime | None
    until: datetime | None

    @property
    def since(self) -> datetime:
        return self.bad[0].at

    @property
    def is_finding(self) -> bool:
        return len(self.bad) >= self.bad[-1].needed


@dataclass(frozen=True, slots=True)
class Finding:
    """What is told of a device, with the raw points it rests on, oldest first.

    It has lasted since somewhen after `well_until` (None: longer than we look back) and ended by `until`, if it did.
    """

    name: str
    severity: Severity
    since: datetime
    until: datetime | None
    well_until: datetime | None
    points: tuple[tuple[datetime, Any], ...]
    sentence: str
    contacts: tuple[int, ...] = ()


def runs(verdicts: Iterable[Verdict]) -> Iterator[Run]:
    """The runs that are findings, in order; the last one may stand."""
    bad: list[Verdict] = []
    well_until: datetime | None = None
    for verdict in verdicts:
        if verdict.bad:
            bad.append(verdict)
        elif verdict.bad is not None:
            yield from _ended(bad, well_until, verdict.at)
            bad, well_until = [], verdict.at
    yield from _ended(bad, well_until, None)


def well_since(verdicts: Iterable[Verdict]) -> datetime | None:
    """The newest good point, if no bad one came after it."""
    newest = next((one for one in reversed(list(verdicts)) if one.bad is not None), None)
    return newest.at if newest is not None and not newest.bad else None


def _ended(bad: list[Verdict], well_until: datetime | None, until: datetime | None) -> Iterator[Run]:
    run = Run(tuple(bad), well_until, until)
    if bad and run.is_finding:
        yield run
