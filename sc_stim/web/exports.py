"""Lists as CSV: for a spreadsheet, with one header row."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from flask import Response

from sc_stim.web import page
from sc_stim.workflows.spreadsheet import lines


def csv_answer(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """A download named `name`-2026-11-22.csv. Whoever calls this puts it on record."""
    text = "".join(lines(itertools.chain([header], rows), page.zone()))
    answer = Response(text, mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}-{page.today().isoformat()}.csv"'
    return answer
