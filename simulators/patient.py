"""A patient's pain diary: how pain varies within a person, when a person writes, and what lost therapy does.

Pain of a day = level + slow wander (AR(1), some 45 % of the variance) + white noise + what the script adds +
what the devices no longer take away. Gaps cluster: the chance of an empty day depends on the day before.
"""

import datetime as dt
import math
import random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from .cohort import Patient
from .emission import Emission
from .reference import withdrawal_of
from .seeds import stream

DAY = dt.timedelta(days=1)
WANDER_PHI = 0.94  # per day
WITHIN_DAY_SD = 0.5  # of single scores around the day
WAKING_H = (8.0, 22.0)


class Deprivation(NamedTuple):
    """How long a drug has not reached the patient, and how much pain (NRS points) that brings back."""

    drug: str
    hours: float
    points: float


class Therapy(NamedTuple):
    """What the devices do for the patient at one moment. over_delivery: delivered / programmed flow."""

    lost_points: float = 0.0
    deprivation: Deprivation | None = None
    over_delivery: float = 1.0


class Change(NamedTuple):
    """Points that the script adds: rising over `over_days`, gone after `for_days` (None: they stay)."""

    since: dt.datetime
    points: float
    over_days: float = 0.0
    for_days: float | None = None

    def at(self, at: dt.datetime) -> float:
        days = (at - self.since) / DAY
        if self.for_days is not None and days >= self.for_days:
            return 0.0
        return self.points * (min(1.0, days / self.over_days) if self.over_days else 1.0)


class Diary:
    """`write_times` once per local day, in order; `score` at each of the times it gave, or when prompted."""

    def __init__(self, patient: Patient, seed: int) -> None:
        self.patient = patient
        self.habits = patient.diary
        self.zone = ZoneInfo(patient.time_zone)
        self.reports = True
        self._seed = seed
        self._changes: list[Change] = []
        self._wander = stream(seed, patient.number, "wander").gauss(0, 1)
        self._white = 0.0
        self._missed = False
        self._rng = stream(seed, patient.number, "no day yet")

    def change(self, change: Change) -> list[Emission]:
        self._changes.append(change)
        return []

    def set_reporting(self, reports: bool) -> list[Emission]:
        self.reports = reports
        return []

    def write_times(self, day: dt.date) -> list[dt.datetime]:
        """Begin a local day; returns the moments (UTC, in order) at which the patient will write."""
        self._rng = rng = stream(self._seed, self.patient.number, "diary", day)
        self._wander = WANDER_PHI * self._wander + math.sqrt(1 - WANDER_PHI**2) * rng.gauss(0, 1)
        self._white = rng.gauss(0, 1)
        habits = self.habits
        chance = habits.misses_after_miss if self._missed else habits.misses_after_report
        self._missed = rng.random() < chance
        count = max(1, min(6, round(rng.gauss(habits.scores_per_day, 0.7))))
        hours = sorted(rng.uniform(*WAKING_H) for _ in range(count))
        if self._missed or not self.reports:
            return []
        midnight = dt.datetime.combine(day, dt.time(), self.zone)
        return [(midnight + dt.timedelta(hours=hour)).astimezone(dt.UTC) for hour in hours]

    def score(self, at: dt.datetime, therapy: Therapy) -> Emission:
        """One entry as `up/diary` carries it."""
        pain = self._pain(at, therapy) + self._rng.gauss(0, WITHIN_DAY_SD)
        nrs = self._rounded(pain)
        excess = pain - self.habits.level
        body: dict[str, Any] = {"nrs": nrs, "site": self.habits.site}
        # most flare days in diaries have no above-average pain, and most high-pain days are flares
        body["flare"] = self._rng.random() < (0.6 if excess > 2 else 0.04)
        if at.astimezone(self.zone).hour < 12:
            body["sleep"] = self._rating(7 - 0.5 * pain)
        body["interference"] = self._rating(0.9 * pain)
        symptoms = self._symptoms(therapy)
        if symptoms:
            body["symptoms"] = symptoms
        return Emission(at, "score", body)

    def _pain(self, at: dt.datetime, therapy: Therapy) -> float:
        habits = self.habits
        share = habits.wander_share
        day = habits.sd * (math.sqrt(share) * self._wander + math.sqrt(1 - share) * self._white)
        scripted = sum(change.at(at) for change in self._changes)
        lost = therapy.lost_points
        if therapy.deprivation:
            lost += therapy.deprivation.points * withdrawal_of(therapy.deprivation.drug).share(
                therapy.deprivation.hours
            )
        return habits.level + day + scripted + lost - 2.0 * max(0.0, therapy.over_delivery - 1.25)

    def _rounded(self, pain: float) -> float:
        step = 0.5 if self.habits.half_points else 1.0
        return min(10.0, max(0.0, round(pain / step) * step))

    def _rating(self, centre: float) -> int:
        return round(min(10.0, max(0.0, self._rng.gauss(centre, 1))))

    def _symptoms(self, therapy: Therapy) -> list[str]:
        likely: dict[str, float] = {"numbness": 0.05, "tingling": 0.05, "insomnia": 0.03, "low_mood": 0.03}
        if therapy.deprivation:
            withdrawal = withdrawal_of(therapy.deprivation.drug)
            share = withdrawal.share(therapy.deprivation.hours)
            likely |= dict.fromkeys(withdrawal.symptoms, 0.9 * share)
        if therapy.over_delivery > 1.25:
            likely |= {"sedation": 0.7, "nausea": 0.4}
        return sorted(symptom for symptom, chance in likely.items() if self._rng.random() < chance)


def random_minutes(rng: random.Random, at: dt.datetime) -> dt.datetime:
    """When a prompted patient gets round to answering."""
    return at + dt.timedelta(minutes=rng.uniform(0.5, 15))
