"""Clinical figures as data: every one carries its unit and its source, or says that it is unverified."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


class ReferenceDataError(ValueError):
    """The reference data does not say what a figure needs to say."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`unit` is UCUM. `source` None means unverified: such a figure warns and is shown as unverified, never
    blocks. `by_clinic`: a clinic has set it in place of the shipped one, by a source that nobody here has verified.
    """

    value: float
    unit: str
    source: str | None = None
    note: str = ""
    by_clinic: bool = False

    @property
    def verified(self) -> bool:
        return self.source is not None and not self.by_clinic

    @property
    def cited(self) -> str | None:
        """The source as a warning cites it."""
        return f"set by the clinic, source: {self.source}" if self.by_clinic else self.source

    def __str__(self) -> str:
        mark = " (set by the clinic)" if self.by_clinic else "" if self.verified else " (unverified)"
        return f"{self.value:g} {self.unit}{mark}"


def figure(entry: dict[str, Any]) -> Figure:
    """A figure from its JSON form: value, unit, then either `source` or `"verified": false`, and perhaps a
    note.
    """
    sourced = isinstance(entry.get("source"), str)
    marked_unverified = entry.get("verified") is False
    if sourced == marked_unverified or not {"value", "unit"} <= entry.keys():
        raise ReferenceDataError(f'{entry} needs value, unit and either a source or "verified": false')
    note, by_clinic = entry.get("note", ""), entry.get("by_clinic", False)
    return Figure(float(entry["value"]), entry["unit"], entry.get("source"), note, by_clinic)


def figures_in(document: Any) -> Iterator[Figure]:
    """Every figure of a reference data document, however deep."""
    if isinstance(document, dict) and "value" in document:
        yield figure(document)
    elif isinstance(document, dict):
        for child in document.values():
            yield from figures_in(child)
    elif isinstance(document, list):
        for child in document:
            yield from figures_in(child)


def load(name: str) -> dict[str, Any]:
    """One shipped reference data file, such as "drugs.json"."""
    document: dict[str, Any] = json.loads(
        (files("sc_stim.clinical") / "data" / name).read_text(encoding="utf-8")
    )
    return document
