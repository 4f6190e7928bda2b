"""Figures that a clinic may set itself: which are open to it, within what bounds, and the rules read with them.

A clinic's figure is laid over the shipped reference data at its key, a path such as "drugs.morphine.limits.
daily_dose_ceiling", and read by the same reader. It is never verified: it says that the clinic set it, and from what
source. Which figures are open stands in data/clinic_figures.json.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from sc_stim.clinical import reference
from sc_stim.clinical.alarms import AlarmTable, shipped_table, table_from
from sc_stim.clinical.drugs import Formulary, formulary_from, shipped_formulary
from sc_stim.clinical.reference import Figure

LONGEST_SOURCE: Final = 500  # characters
SILENCE_INTERVALS: Final = "silence.intervals"
_AT_ONCE: Final = 256  # clinics whose rules are kept


@dataclass(frozen=True, slots=True)
class OpenFigure:
    """A figure that a clinic may set, in `unit`, from `least` to `most`. `shipped` None: there is none without it."""

    key: str
    name: str
    group: str
    file: str
    unit: str
    least: float
    most: float
    shipped: Figure | None

    def wider_than_shipped(self, value: float) -> bool:
        """Whether this value lets pass what the shipped one warns of. Of every open figure, more is more permissive."""
        return self.shipped is not None and value > self.shipped.value

    def refusal(self, value: float) -> str | None:
        """Why this cannot be meant, or None."""
        if not self.least <= value <= self.most:
            return f"must lie between {self.least:g} and {self.most:g} {said(self.unit)}"
        if self.unit == "d" and value != int(value):
            return "must be a whole number of days"
        return None


@dataclass(frozen=True, slots=True)
class OwnFigure:
    """What a clinic has set in place of a shipped figure."""

    key: str
    value: float
    source: str


Own = tuple[OwnFigure, ...]


def said(unit: str) -> str:
    """A unit for people: the plain number counts report intervals."""
    return "report intervals" if unit == "1" else unit


@cache
def open_figures() -> dict[str, OpenFigure]:
    """By key, in the order in which they are shown."""
    groups = reference.load("clinic_figures.json")["groups"]
    return {figure.key: figure for name, group in groups.items() for figure in _open(name, group)}


@lru_cache(_AT_ONCE)
def formulary_of(own: Own) -> Formulary:
    """The shipped formulary, but for what the clinic has set."""
    laid = _laid_over("drugs.json", own)
    return shipped_formulary() if laid is None else formulary_from(laid)


@lru_cache(_AT_ONCE)
def alarms_of(own: Own) -> AlarmTable:
    """The shipped alarm table, but for what the clinic has set."""
    laid = _laid_over("alarms.json", own)
    return shipped_table() if laid is None else table_from(laid)


def _open(name: str, group: dict[str, Any]) -> Iterator[OpenFigure]:
    document = reference.load(group["file"])
    for row in group["figures"]:
        holder, last = _holder(document, row["key"])
        shipped = reference.figure(holder[last]) if last in holder else None
        yield OpenFigure(
            key=row["key"],
            name=row["name"],
            group=name,
            file=group["file"],
            unit=shipped.unit if shipped else row["unit"],
            least=row["least"],
            most=row["most"],
            shipped=shipped,
        )


def _laid_over(file: str, own: Own) -> dict[str, Any] | None:
    """The document with the clinic's figures in it; None where it has set none. A key that is open no more decides
    nothing.
    """
    known = open_figures()
    ours = [one for one in own if one.key in known and known[one.key].file == file]
    if not ours:
        return None
    document = reference.load(file)
    for one in ours:
        holder, last = _holder(document, one.key)
        unit = known[one.key].unit
        holder[last] = {"value": one.value, "unit": unit, "source": one.source, "by_clinic": True}
    return document


def _holder(document: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """The object that holds this figure, and its name there. A row of a list is named by its drugs."""
    *path, last = key.split(".")
    node: Any = document
    for part in path:
        node = _row_of(node, part) if isinstance(node, list) else node[part]
    return node, last


def _row_of(rows: list[dict[str, Any]], drugs: str) -> dict[str, Any]:
    return next(row for row in rows if "-".join(row["drugs"]) == drugs)
