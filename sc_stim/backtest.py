"""What the rules would have said about a clinic's own export: `sc-stim backtest`, and by pages. No database."""

import csv
import datetime as dt
import itertools
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from zoneinfo import ZoneInfo

from msgspec import ValidationError, convert
from msgspec.json import encode
from msgspec.json import format as pretty

from sc_stim.clinical import pain
from sc_stim.clinical.refill_case import decode_cases, forecast_case, is_list, split_cases
from sc_stim.devices.records import Time

SCORE_FIELDS = ("patient", "at", "nrs")
FINDING_FIELDS = ("patient", "at", "kind", "severity", "baseline", "level")
CASES_AT_ONCE = 500  # of one process
NOON = dt.time(12)
UTC = ZoneInfo("UTC")
TimedScore = tuple[dt.datetime, float]
YEARS = range(1980, 2200)  # a diary of other years is a slip of the pen, and would be long


class BacktestError(ValueError):
    """A file that cannot be used; the message names the line and the field."""


class Score(NamedTuple):
    """`at` is the patient's own clock as written, whatever its offset, so that its date is the patient's day."""

    patient: str
    at: dt.datetime
    nrs: float


def refill(source: Path, out: TextIO) -> None:
    """Forecast every case of a JSON file, one object or a list, on all processors. Raises refill_case.CaseError."""
    text = source.read_bytes()
    forecasts = _forecasts_of_many(text) if is_list(text) else encode(forecast_case(*decode_cases(text)))
    out.write(pretty(forecasts, indent=1).decode())
    out.write("\n")


def _forecasts_of_many(text: bytes) -> bytes:
    """In the order of the cases; the first bad one is the one that is named."""
    parts = split_cases(text, CASES_AT_ONCE)
    if len(parts) <= 1:
        return _forecasts(text, 0)
    with ProcessPoolExecutor() as processes:
        done = processes.map(_forecasts, parts, range(0, len(parts) * CASES_AT_ONCE, CASES_AT_ONCE))
        return b"[%b]" % b",".join(part[1:-1] for part in done)


def _forecasts(text: bytes, first: int) -> bytes:
    return encode([forecast_case(case) for case in decode_cases(text, first)])


def find_pain(source: Path, out: TextIO) -> None:
    """Every alert the pain rule would have raised, as it was last judged; patients in the order of the file.

    The file is read twice: first all of it is checked, so that a bad row is named before anything is written. The rows
    of a patient may stand in any order. Where each patient's rows stand together they are streamed; where patients are
    mixed, as in an export by date, all scores are held, 12 bytes each.
    A diary lasts to the newest day in the file, so who falls silent before it is found.
    Raises BacktestError at the first bad row.
    """
    checked = check_diaries(source)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FINDING_FIELDS)
    for patient, findings in judge_diaries(source, checked):
        writer.writerows(finding_rows(patient, findings))


@dataclass(frozen=True)
class Checked:
    """A file of diaries without a bad row. `is_grouped`: each patient's rows stand together."""

    until: dt.date
    is_grouped: bool
    patients: int


def judge_diaries(
    source: Path, checked: Checked, first: int = 0
) -> Iterator[tuple[str, Sequence[pain.Finding]]]:
    """Each patient of the file from number `first` on, and every alert as it was last judged."""
    patients = _one_by_one(source) if checked.is_grouped else _gathered(source)
    names: deque[str] = deque()  # of the diaries taken and not yet answered

    def diaries() -> Iterator[pain.Diary]:
        for patient, scores in itertools.islice(patients, first, None):
            names.append(patient)
            yield pain.Diary.of(pain.daily_means(scores, UTC, dt.date.max), checked.until)

    for rebuilt in pain.rebuild(diaries()):
        yield names.popleft(), pain.latest(rebuilt.findings)


def finding_rows(patient: str, findings: Iterable[pain.Finding]) -> Iterator[tuple[Any, ...]]:
    for one in findings:
        level = "" if one.level_nrs is None else one.level_nrs
        yield patient, one.day.isoformat(), one.kind, one.severity, one.baseline_nrs, level


def check_diaries(source: Path) -> Checked:
    """Read all of the file. Raises BacktestError at the first bad row."""
    newest, patient, done, is_grouped = dt.date.min, None, set[str](), True
    for score in _scores(source):
        newest = max(newest, score.at.date())
        if score.patient != patient:
            is_grouped = is_grouped and score.patient not in done
            patient = score.patient
            done.add(patient)
    return Checked(newest, is_grouped, len(done))


def _one_by_one(source: Path) -> Iterator[tuple[str, Iterator[TimedScore]]]:
    for patient, scores in itertools.groupby(_scores(source), attrgetter("patient")):
        yield patient, ((score.at, score.nrs) for score in scores)


def _gathered(source: Path) -> Iterator[tuple[str, Iterator[TimedScore]]]:
    """In the order in which the patients first appear."""
    held: dict[str, tuple[array[int], array[float]]] = {}
    for patient, at, nrs in _scores(source):
        days, scores = held.setdefault(patient, (array("i"), array("d")))
        days.append(at.toordinal())
        scores.append(nrs)
    for patient, (days, scores) in held.items():
        noons = (dt.datetime.combine(dt.date.fromordinal(day), NOON, UTC) for day in days)
        yield patient, zip(noons, scores, strict=True)


def _scores(source: Path) -> Iterator[Score]:
    return (_score(line, *row) for line, row in _table(source))


def _table(source: Path) -> Iterator[tuple[int, list[str]]]:
    """The number of each line and its SCORE_FIELDS."""
    with source.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            header = next(reader, [])
            if sorted(header) != sorted(SCORE_FIELDS):
                raise BacktestError(
                    f"line 1: the columns are {','.join(header)}; write {','.join(SCORE_FIELDS)}"
                )
            order = [header.index(name) for name in SCORE_FIELDS]
            for row in reader:
                if len(row) != len(order):
                    raise BacktestError(
                        f"line {reader.line_num}: {len(row)} fields, not {','.join(SCORE_FIELDS)}"
                    )
                yield reader.line_num, [row[index] for index in order]
        except (UnicodeDecodeError, csv.Error) as error:
            raise BacktestError(f"line {reader.line_num + 1}: not CSV in UTF-8: {error}") from error


def _score(line: int, patient: str, at: str, nrs: str) -> Score:
    if not patient.strip():
        raise BacktestError(f"line {line}: patient: is empty")
    try:
        moment = dt.datetime.combine(convert(at, dt.date), NOON) if len(at) == 10 else convert(at, Time)
    except ValidationError as error:
        raise BacktestError(
            f"line {line}: at: {at!r} is neither a date nor a time with offset, as 2026-11-22T08:30:00+01:00"
        ) from error
    if moment.year not in YEARS:
        raise BacktestError(f"line {line}: at: the year must be from {YEARS[0]} to {YEARS[-1]}")
    try:
        value = float(nrs)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10:
        raise BacktestError(f"line {line}: nrs: {nrs!r} is not a score from 0 to 10")
    return Score(patient, moment.replace(tzinfo=UTC), value)
