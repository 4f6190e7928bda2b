"""Scores a pain rule against the truth of a synthetic cohort: what it found, how late, and how often for nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, get_args

import numpy as np

from benchmarks import intervals
from benchmarks.diaries import DAYS, USUAL, Arm, Cohort, Floats, Ints, Noise, cohort
from benchmarks.pain_detectors import FIRST_DAY, RISES, Alert, Detector
from sc_stim.clinical.pain import Diary, model, observe, rebuild

ARMS: tuple[Arm, ...] = get_args(Arm)
YEARS = DAYS / 365.25
FOUND_WITHIN = 21


class Score(NamedTuple):
    """A figure and its 95 % interval. Rates are per patient-year, delays in days, shares 0-1."""

    value: float
    interval: intervals.Interval


# figure -> (reads, must reach, higher is better)
TARGETS: dict[str, tuple[str, float, bool]] = {
    "step_found_21d": ("step of 2-5 found within 21 d", 0.92, True),
    "step_found_14d": ("... within 14 d", 0.90, True),
    "step_median_d": ("... median delay, d", 2, False),
    "step_p90_d": ("... 90 % delay, d", 9, False),
    "step_3_or_more_found_21d": ("step of 3 or more found", 0.96, True),
    "drift_found": ("drift of 2-4 found by its end + 14 d", 0.92, True),
    "drift_median_rise_nrs": ("... at a rise of, median", 1.3, False),
    "flare_found": ("flare found while on", 0.65, True),
    "flare_median_d": ("... median delay, d", 1, False),
    "stop_found_21d": ("stopped reporting found within 21 d", 0.97, True),
    "stop_median_d": ("... median delay, d", 6, False),
    "stopped_per_year": ("... unexplained, /py", 0.55, False),
    "unexplained_per_year": ("unexplained rises, /py", 1.5, False),
    "unexplained_persistent_per_year": ("... after the persistence check, /py", 0.7, False),
}


def reached(name: str, value: float) -> bool:
    _, must, higher = TARGETS[name]
    return value >= must if higher else value <= must


@dataclass(frozen=True)
class Trial:
    """A cohort of every arm, `n` patients each."""

    truth: dict[Arm, Cohort]

    @classmethod
    def of(cls, seed: int | Sequence[int], n: int, noise: Noise = USUAL) -> Trial:
        rngs = np.random.default_rng(seed).spawn(len(ARMS))
        return cls({arm: cohort(rng, n, arm, noise) for arm, rng in zip(ARMS, rngs, strict=True)})

    def first(self, n: int) -> Trial:
        """Only the first `n` patients of each arm, for a slow rule."""
        return Trial({arm: whole.first(n) for arm, whole in self.truth.items()})

    def judged(self, detector: Detector) -> dict[Arm, list[list[Alert]]]:
        return {arm: list(detector(whole.scores)) for arm, whole in self.truth.items()}


def measure(detector: Detector, seed: int | Sequence[int], n: int, noise: Noise = USUAL) -> dict[str, Score]:
    """Every figure of the table for one rule."""
    trial = Trial.of(seed, n, noise)
    return scored(trial, trial.judged(detector))


def scored(trial: Trial, found: dict[Arm, list[list[Alert]]]) -> dict[str, Score]:
    truth = trial.truth
    figures = _rates(found["quiet"])
    figures |= _steps("step", found["step"], truth["step"], RISES)
    figures |= _steps("fall", found["fall"], truth["fall"], ("step_down",))
    figures |= _drifts(found["drift"], truth["drift"])
    flare = delays(found["flare"], truth["flare"], truth["flare"].lasting_days - 1, RISES)
    figures |= {"flare_found": _share(np.isfinite(flare)), "flare_median_d": _quantile(flare, 0.5)}
    stop = delays(found["stop"], truth["stop"], np.full(len(flare), FOUND_WITHIN), ("stopped_reporting",))
    return figures | {"stop_found_21d": _share(np.isfinite(stop)), "stop_median_d": _quantile(stop, 0.5)}


def delays(alerts: Sequence[list[Alert]], truth: Cohort, within: Ints, kinds: Sequence[str]) -> Floats:
    """Days from onset to the first alert of `kinds`, at most `within` (n,); infinite where there is none."""
    late = [
        min((a.day - onset for a in own if a.kind in kinds and 0 <= a.day - onset <= last), default=np.inf)
        for own, onset, last in zip(alerts, truth.onset, within, strict=True)
    ]
    return np.array(late, dtype=float)


def _rates(quiet: Sequence[list[Alert]]) -> dict[str, Score]:
    def rate(counts: list[int]) -> Score:
        per_year = np.array(counts) / YEARS
        return Score(float(per_year.mean()), intervals.of_mean(per_year))

    def of_kind(own: list[Alert], *kinds: str) -> int:
        return sum(alert.kind in kinds for alert in own)

    return {
        "unexplained_per_year": rate([of_kind(own, *RISES) for own in quiet]),
        "unexplained_persistent_per_year": rate(
            [sum(a.persistent for a in own if a.kind in RISES) for own in quiet]
        ),
        "unexplained_falls_per_year": rate([of_kind(own, "step_down") for own in quiet]),
        "stopped_per_year": rate([of_kind(own, "stopped_reporting") for own in quiet]),
    }


def _steps(name: str, alerts: Sequence[list[Alert]], truth: Cohort, kinds: Sequence[str]) -> dict[str, Score]:
    late = delays(alerts, truth, np.full(len(alerts), FOUND_WITHIN), kinds)
    return {
        f"{name}_found_21d": _share(np.isfinite(late)),
        f"{name}_found_14d": _share(late <= 14),
        f"{name}_median_d": _quantile(late, 0.5),
        f"{name}_p90_d": _quantile(late, 0.9),
        f"{name}_3_or_more_found_21d": _share(np.isfinite(late[np.abs(truth.size_nrs) >= 3.0])),
    }


def _drifts(alerts: Sequence[list[Alert]], truth: Cohort) -> dict[str, Score]:
    late = delays(alerts, truth, truth.lasting_days + 14, RISES)
    found = np.isfinite(late)
    at_day = np.where(found, truth.onset + np.where(found, late, 0.0), 0).astype(np.int64)
    rise = np.where(found, truth.rise_nrs(at_day), np.inf)
    return {"drift_found": _share(found), "drift_median_rise_nrs": _quantile(rise, 0.5)}


def _share(found: np.ndarray) -> Score:
    count, of = int(found.sum()), len(found)
    return Score(count / of if of else 0.0, intervals.of_share(count, of) if of else (0.0, 1.0))


def _quantile(late: Floats, q: float) -> Score:
    """Of those found."""
    found = late[np.isfinite(late)]
    if not len(found):
        return Score(float("inf"), (float("inf"), float("inf")))
    return Score(float(np.quantile(found, q)), intervals.of_quantile(found, q))


def misses(trial: Trial, found: list[list[Alert]]) -> dict[str, int]:
    """Steps that were not found within 21 days, each under the first cause that fits."""
    truth, counts = trial.truth["step"], dict.fromkeys((*CAUSES, OTHER), 0)
    late = delays(found, truth, np.full(len(found), FOUND_WITHIN), RISES)
    for i in np.flatnonzero(~np.isfinite(late)).tolist():
        counts[next((cause for cause, fits in CAUSES.items() if fits(truth, found[i], i)), OTHER)] += 1
    return counts


def _alerted_just_before(truth: Cohort, alerts: list[Alert], i: int) -> bool:
    days = truth.onset[i] - np.array([a.day for a in alerts if a.kind != "stopped_reporting"])
    return bool(((days > 0) & (days <= model.REFRACTORY_DAYS)).any())


def _few_scores(truth: Cohort, _alerts: list[Alert], i: int) -> bool:
    onset = truth.onset[i]
    return int((~np.isnan(truth.scores[i, onset : onset + FOUND_WITHIN])).sum()) < FOUND_WITHIN / 2


def _within_noise(truth: Cohort, _alerts: list[Alert], i: int) -> bool:
    return bool(truth.size_nrs[i] < 2 * truth.sd_nrs[i])


CAUSES = {
    "alert in the 14 days before, so the rule was silent": _alerted_just_before,
    "reported on less than half of the days": _few_scores,
    "step below 2 SD of the patient's ordinary days": _within_noise,
}
OTHER = "none of these: hidden by wander at the onset, spikes, or the end of the scale"


def timings(patients: int) -> dict[str, float]:
    """Processor seconds for a rebuild of 100,000 patient-years (from a sample) and for one new score."""
    scores = cohort(np.random.default_rng(0), patients, "quiet").scores
    started = time.process_time()
    states = [rebuilt.state for rebuilt in rebuild(Diary(FIRST_DAY, row) for row in scores)]
    rebuilt_s = time.process_time() - started
    day, state = FIRST_DAY + timedelta(days=DAYS), states[0]
    started = time.process_time()
    for i in range(500):
        state, _ = observe(state, day + timedelta(days=i), 4.0)
    one_s = (time.process_time() - started) / 500
    return {"rebuild_100000_s": rebuilt_s * 100_000 / patients, "one_score_s": one_s}
