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
    blocks.
    """

    value: float
    unit: str
    source: str | None = None
    note: str = ""

    @property
    def verified(self) -> bool:
        return self.source is not None

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit}{'' if self.verified else ' (unverified)'}"


def figure(entry: dict[str, Any]) -> Figure:
    """A figure from its JSON form: value, unit, then either `source` or `"verified": false`, and perhaps a
    note.
    """
    sourced = isinstance(entry.get("source"), str)
    marked_unverified = entry.get("verified") is False
    if sourced == marked_unverified or not {"value", "unit"} <= entry.keys():
        raise ReferenceDataError(f'{entry} needs value, unit and either a source or "verified": false')
    return Figure(float(entry["value"]), entry["unit"], entry.get("source"), entry.get("note", ""))


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
