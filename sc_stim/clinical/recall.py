"""Which devices a recall means: its list, as pasted or uploaded, against what is on record of each device.

A list has one entry a line. The entries of a line are one condition: `Model: Prometra II; Serial: N100-N199` is that
model with one of these serial numbers. Bare numbers are serial numbers. A line that only names models counts for the
lines below it. A table (CSV, TSV, or with semicolons) says the same with its first line, see COLUMNS.

What cannot be read is handed back by line number, never left out; what is not on record of a device cannot exclude
it. Serial numbers are compared without case, blanks, hyphens and leading zeros: one match too many is a telephone
call, one too few is a patient nobody called.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import product
from typing import Final

from sc_stim.clinical.recall_list import Condition, DayRange, RecallList, Serials, key_of_serial, normal

_ANY: Final = "*"  # stands for every lot or identifier, where ours is not on record; no normal text holds it


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is on record of a device; `models`: every name and catalogue number it goes by. None: not on record."""

    models: tuple[str, ...]
    serial: str | None
    lot: str | None = None
    made_on: date | None = None
    identifier: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """`line` of the list that means the device. `missing`: what would have to be on record to exclude it."""

    line: int
    missing: tuple[str, ...] = ()

    @property
    def certain(self) -> bool:
        return not self.missing


@dataclass(slots=True)
class _Serials:
    """Ranges of one prefix and suffix, to be asked which of them holds a number."""

    starts: list[int] = field(default_factory=list)
    rows: list[tuple[int, int]] = field(default_factory=list)  # (last number, line)

    def line_of(self, number: int) -> int | None:
        place = bisect_right(self.starts, number) - 1
        if place < 0:
            return None
        last, line = self.rows[place]
        return line if number <= last else None


@dataclass(slots=True)
class _Group:
    """All conditions that agree in model, lot, identifier and days of manufacture."""

    made: DayRange | None
    without_serial: int | None = None  # the line of a condition that asks for no serial number
    first_line: int = 0
    serials: dict[tuple[str, str], _Serials] = field(default_factory=dict)

    def line_of(self, serial: str | None) -> tuple[int | None, bool]:
        """The line that means this serial number, and whether that is certain."""
        if self.without_serial is not None:
            return self.without_serial, True
        if serial is None:
            return self.first_line, False
        prefix, number, suffix = key_of_serial(serial)
        found = self.serials.get((prefix, suffix))
        return (found.line_of(number) if found else None), True


class Matcher:
    """A list made ready: each device is looked up, so cost grows with devices plus lines, not with their product."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        rows: dict[tuple[tuple[str, str, str], DayRange | None], list[Condition]] = defaultdict(list)
        for condition in conditions:
            lots = {condition.lot, _ANY if condition.lot else ""}
            identifiers = {condition.identifier, _ANY if condition.identifier else ""}
            for lot, identifier in product(lots, identifiers):
                rows[(condition.model, lot, identifier), condition.made].append(condition)
        self._groups: dict[str, dict[tuple[str, str], list[_Group]]] = {}  # by model, then lot and identifier
        for ((model, *rest), made), members in rows.items():
            groups = self._groups.setdefault(model, {})
            groups.setdefault((rest[0], rest[1]), []).append(_group(made, members))
        self._models: dict[tuple[str, ...], list[str]] = {}  # those of our models' names that the list names

    def match(self, device: Candidate) -> Match | None:
        """The first line that certainly means the device, else one that cannot be excluded, else None."""
        best: Match | None = None
        for group, missing in self._looked_up(device):
            missing, apart = _by_day(group.made, device.made_on, missing)
            if apart:
                continue
            line, known = group.line_of(device.serial)
            if line is None:
                continue
            found = Match(line, missing if known else (*missing, "serial"))
            if best is None or _rank(found) < _rank(best):
                best = found
        return best

    def _looked_up(self, device: Candidate) -> Iterator[tuple[_Group, tuple[str, ...]]]:
        models = self._models.get(device.models)
        if models is None:
            names = dict.fromkeys((*map(normal, device.models), ""))
            models = self._models[device.models] = [name for name in names if name in self._groups]
        if not models:
            return
        lots = ("", normal(device.lot) or _ANY) if device.lot else ("", _ANY)
        identifiers = ("", normal(device.identifier) or _ANY) if device.identifier else ("", _ANY)
        for model, lot, identifier in product(models, lots, identifiers):
            for group in self._groups[model].get((lot, identifier), ()):
                yield group, ("lot",) * (lot == _ANY) + ("identifier",) * (identifier == _ANY)


def names_nobody_bears(recall: RecallList, names: Iterable[str]) -> list[str]:
    """Models of the list, as written, that are none of these names: perhaps spelt otherwise than on our record."""
    borne = set(map(normal, names))
    return [written for model, written in recall.models.items() if model not in borne]


def _rank(match: Match) -> tuple[int, int]:
    return len(match.missing), match.line


def _by_day(
    made: DayRange | None, made_on: date | None, missing: tuple[str, ...]
) -> tuple[tuple[str, ...], bool]:
    """What is missing, and whether the day of manufacture excludes the device."""
    if made is None:
        return missing, False
    if made_on is None:
        return (*missing, "manufactured_on"), False
    return missing, not made[0] <= made_on <= made[1]


def _group(made: DayRange | None, members: list[Condition]) -> _Group:
    group = _Group(made, first_line=min(member.line for member in members))
    ranges: Mapping[tuple[str, str], list[tuple[Serials, int]]] = defaultdict(list)
    for member in members:
        if member.serials is None:
            if group.without_serial is None:
                group.without_serial = member.line
        else:
            ranges[member.serials.prefix, member.serials.suffix].append((member.serials, member.line))
    group.serials = {key: _disjoint(found) for key, found in ranges.items()}
    return group


def _disjoint(ranges: list[tuple[Serials, int]]) -> _Serials:
    """Overlapping ranges are cut, so that every number is in one of them at most."""
    made = _Serials()
    reached = -1
    for serials, line in sorted(ranges, key=lambda row: (row[0].first, row[1])):
        first = max(serials.first, reached + 1)
        if first <= serials.last:
            made.starts.append(first)
            made.rows.append((serials.last, line))
            reached = serials.last
    return made
