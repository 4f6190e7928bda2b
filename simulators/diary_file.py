"""Recorded diaries: CSV `patient,at,nrs`, one score a line, of any number of patients in any order."""

import csv
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sc_stim.devices.records import Time

FIELDS = ("patient", "at", "nrs")
MOST_PROBLEMS_SHOWN = 10


class DiaryError(ValueError):
    """A diary that cannot be used; the message names what is wrong by line and field."""


class Entry(NamedTuple):
    """One score: when, with the offset as written, and 0-10 (fractions are real: people use sliders)."""

    at: dt.datetime
    nrs: float


def read(path: Path) -> dict[str, list[Entry]]:
    """The scores of each patient, oldest first. Raises DiaryError about all bad rows, or OSError."""
    problems: list[str] = []
    diaries: dict[str, list[Entry]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in _rows(file):
                found = [f"line {line}: {problem}" for problem in _problems(row)]
                problems += found
                if not found:
                    diaries.setdefault(row["patient"], []).append(Entry(_time(row["at"]), float(row["nrs"])))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DiaryError(f"not CSV in UTF-8: {error}") from error
    if problems:
        more = len(problems) - MOST_PROBLEMS_SHOWN
        shown = problems[:MOST_PROBLEMS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise DiaryError("\n".join(shown))
    return {patient: sorted(entries) for patient, entries in diaries.items()}


def _rows(file: Any) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with the number of its line; fields that are not there are empty."""
    reader = csv.DictReader(file, restkey="more", restval="")
    if sorted(reader.fieldnames or ()) != sorted(FIELDS):
        raise DiaryError(
            f"line 1: the columns are {', '.join(reader.fieldnames or ())}; write {','.join(FIELDS)}"
        )
    for row in reader:
        yield reader.line_num, row


def _problems(row: dict[str, str]) -> Iterator[str]:
    if "more" in row:
        yield f"has more fields than {','.join(FIELDS)}"
    if not row["patient"].strip():
        yield "patient: is empty"
    try:
        _time(row["at"])
    except msgspec.ValidationError:
        yield f"at: {row['at']!r} is no time with offset; write 2026-11-22T08:30:00+01:00"
    if not _is_score(row["nrs"]):
        yield f"nrs: {row['nrs']!r} is no score; write 0 to 10"


def _time(text: str) -> dt.datetime:
    return msgspec.convert(text, Time)


def _is_score(text: str) -> bool:
    try:
        return 0 <= float(text) <= 10
    except ValueError:
        return False
