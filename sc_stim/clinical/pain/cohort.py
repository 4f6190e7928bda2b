"""The same rule for many patients at once: rebuilds every state after a change of model, feeds the back-test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice

import numpy as np

from sc_stim.clinical.pain import model, tracks
from sc_stim.clinical.pain.patient import Diary, Finding, PainState, from_flag
from sc_stim.clinical.pain.rule import DayInput, advance
from sc_stim.clinical.pain.tracks import Bools, Floats

PATIENTS_AT_ONCE = 1_000  # their candidates fit in a core's cache


@dataclass(frozen=True)
class Rebuilt:
    state: PainState
    findings: tuple[Finding, ...]


def rebuild(diaries: Iterable[Diary]) -> Iterator[Rebuilt]:
    """What `replay` from nothing would leave of each diary, in the same order; holds PATIENTS_AT_ONCE at a time.

    ValueError for scores off the 0-10 scale.
    """
    waiting = iter(diaries)
    while chunk := list(islice(waiting, PATIENTS_AT_ONCE)):
        yield from _rebuild(chunk)


@dataclass(frozen=True)
class _Column:
    """A diary from its first reported score on: `first_day` is None when there is none."""

    diary: Diary
    scores: Floats
    first_day: date | None

    @classmethod
    def of(cls, diary: Diary) -> _Column:
        scores = np.asarray(diary.scores, dtype=np.float64)
        reported = np.flatnonzero(~np.isnan(scores))
        if np.any((scores < 0.0) | (scores > 10.0)):
            raise ValueError(
                f"diary from {diary.first_day} has a score off the 0-10 scale: correct or remove it"
            )
        if not len(reported):
            return cls(diary, scores[:0], None)
        return cls(diary, scores[reported[0] :], diary.first_day + timedelta(days=int(reported[0])))

    def marked(self, days: Collection[date], lasting_days: int = 1) -> list[int]:
        """Ages at which one of `days` was at most `lasting_days` - 1 ago."""
        if self.first_day is None:
            return []
        starts = ((day - self.first_day).days for day in days)
        return sorted({s + i for s in starts for i in range(lasting_days) if 0 <= s + i < len(self.scores)})


def _rebuild(diaries: Sequence[Diary]) -> list[Rebuilt]:
    columns = [_Column.of(diary) for diary in diaries]
    lengths = np.array([len(column.scores) for column in columns])
    found: list[list[Finding]] = [[] for _ in columns]
    states = [PainState.fresh() for _ in columns]
    t = tracks.fresh(len(columns))
    for day in _days(columns, lengths):
        for i, flag in advance(t, day):
            first_day = columns[i].first_day
            if first_day is not None and t.age < lengths[i]:
                found[i].append(from_flag(first_day, flag))
        for i in np.flatnonzero(lengths == t.age + 1).tolist():
            states[i] = PainState(columns[i].first_day, None, t.column(i))
    return [
        Rebuilt(PainState(state.first_day, _last_day(column.diary), state.tracks), tuple(findings))
        for state, column, findings in zip(states, columns, found, strict=True)
    ]


def _last_day(diary: Diary) -> date | None:
    return diary.first_day + timedelta(days=len(diary.scores) - 1) if len(diary.scores) else None


def _days(columns: Sequence[_Column], lengths: tracks.Ints) -> Iterator[DayInput]:
    """The columns side by side, one age after the other; the shorter are padded with unreported days."""
    shape = (int(lengths.max(initial=0)), len(columns))
    nrs = np.full(shape, np.nan)
    changed, sedation, refilled = (np.zeros(shape, dtype=np.bool_) for _ in range(3))
    for i, column in enumerate(columns):
        nrs[: lengths[i], i] = column.scores
        _mark(changed, i, column.marked(column.diary.therapy_changes))
        _mark(sedation, i, column.marked(column.diary.sedation_days))
        _mark(refilled, i, column.marked(column.diary.refill_days, model.REFILL_DAYS + 1))
    return (DayInput(*row) for row in zip(nrs, changed, sedation, refilled, strict=True))


def _mark(marks: Bools, i: int, ages: list[int]) -> None:
    marks[ages, i] = True
