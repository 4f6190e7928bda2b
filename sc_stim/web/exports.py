"""Lists as CSV: for a spreadsheet, with one header row, ISO times with offset, and no cell that a spreadsheet runs."""

import csv
import datetime as dt
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from flask import Response

from sc_stim.web import page

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_answer(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """A download named `name`-2026-11-22.csv. Whoever calls this puts it on record."""
    answer = Response("".join(_lines(header, rows)), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}-{page.today().isoformat()}.csv"'
    return answer


def _lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for row in itertools.chain([header], rows):
        writer.writerow([_cell(value) for value in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.astimezone(page.zone()).isoformat(timespec="seconds")
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"  # a text, whatever it begins with
    return value
