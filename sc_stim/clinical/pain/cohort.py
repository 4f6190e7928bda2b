"""The same rule for many patients at once: for a rebuild after a change of model, and the back-test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice

import numpy as np

from sc_stim.clinical.pain import model, tracks
from sc_stim.clinical.pain.patient import Diary, Finding, PainState, from_flag
from sc_stim.clinical.pain.rule import DayInput, advance
from sc_stim.clinical.pain.tracks import Floats

PATIENTS_AT_ONCE = 1_000  # more is no faster and takes more memory


@dataclass(frozen=True)
class Rebuilt:
    state: PainState
    findings: tuple[Finding, ...]


def rebuild(diaries: Iterable[Diary]) -> Iterator[Rebuilt]:
    """What `replay` from nothing leaves of each diary, in the same order; holds PATIENTS_AT_ONCE at a time.

    ValueError for scores off the 0-10 scale.
    """
    waiting = iter(diaries)
    while chunk := list(islice(waiting, PATIENTS_AT_ONCE)):
        yield from _rebuild([_Column.of(diary) for diary in chunk])


@dataclass(frozen=True)
class _Column:
    """A diary from its first reported score on, which is where its columns of the tracks start."""

    diary: Diary
    first_day: date | None  # None when nothing was reported
    scores: Floats

    @classmethod
    def of(cls, diary: Diary) -> _Column:
        scores = np.asarray(diary.scores, dtype=np.float64)
        if np.any((scores < 0.0) | (scores > 10.0)):
            raise ValueError(
                f"diary from {diary.first_day} has a score off the 0-10 scale: correct or remove it"
            )
        reported = np.flatnonzero(~np.isnan(scores))
        if not len(reported):
            return cls(diary, None, scores[:0])
        return cls(diary, diary.first_day + timedelta(days=int(reported[0])), scores[reported[0] :])

    def state(self, of_patient: tracks.Tracks) -> PainState:
        length = len(self.diary.scores)
        last_day = self.diary.first_day + timedelta(days=length - 1) if length else None
        return PainState(self.first_day, last_day, of_patient)

    def ages(self, days: Collection[date], lasting_days: int = 1) -> list[int]:
        """Ages on which one of `days` was less than `lasting_days` ago."""
        if self.first_day is None:
            return []
        starts = [(day - self.first_day).days for day in days]
        return [
            start + i for start in starts for i in range(lasting_days) if 0 <= start + i < len(self.scores)
        ]


def _rebuild(columns: Sequence[_Column]) -> Iterator[Rebuilt]:
    lengths = np.array([len(column.scores) for column in columns])
    found: list[list[Finding]] = [[] for _ in columns]
    ended: dict[int, tracks.Tracks] = {}
    t = tracks.fresh(len(columns))
    for day in _days(columns, lengths):
        for i, flag in advance(t, day):
            first_day = columns[i].first_day
            if first_day is not None and t.age < lengths[i]:
                found[i].append(from_flag(first_day, flag))
        for i in np.flatnonzero(lengths == t.age + 1).tolist():
            ended[i] = t.column(i)
    for i, column in enumerate(columns):
        yield Rebuilt(column.state(ended[i] if i in ended else tracks.fresh(1)), tuple(found[i]))


def _days(columns: Sequence[_Column], lengths: tracks.Ints) -> Iterator[DayInput]:
    """The columns side by side, one age after the other; the shorter ones end in unreported days."""
    shape = (int(lengths.max(initial=0)), len(columns))
    nrs = np.full(shape, np.nan)
    changed, sedation, refilled = (np.zeros(shape, dtype=np.bool_) for _ in range(3))
    for i, column in enumerate(columns):
        nrs[: lengths[i], i] = column.scores
        changed[column.ages(column.diary.therapy_changes), i] = True
        sedation[column.ages(column.diary.sedation_days), i] = True
        refilled[column.ages(column.diary.refill_days, model.REFILL_DAYS + 1), i] = True
    return (DayInput(*row) for row in zip(nrs, changed, sedation, refilled, strict=True))
