"""The pain rule and its comparators on real diaries, for which nobody knows the truth: only how often each alarms.

python -m benchmarks.real_diaries FILE.csv      (patient,at,nrs as for `sc-stim backtest pain`)
"""

import csv
import sys
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.diaries import DAYS, Floats
from benchmarks.pain import UNEXPLAINED_PER_YEAR
from benchmarks.pain_cohort import YEARS, Trial
from benchmarks.pain_detectors import COMPARATORS, RISES, Detector, our_rule, tuned
from sc_stim.clinical.pain import Diary, daily_means

TUNING_SEED, TUNING_PATIENTS = 4_711_000_000, 200
UTC = ZoneInfo("UTC")


def read(file: Path) -> dict[str, Floats]:
    """Daily means from the first to the last reported day of each patient, by the clock as written."""
    scores = defaultdict(list)
    with file.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            own_clock = datetime.fromisoformat(row["at"]).replace(tzinfo=UTC)
            scores[row["patient"]].append((own_clock, float(row["nrs"])))
    means = {patient: daily_means(own, UTC, date.max) for patient, own in scores.items()}
    return {
        patient: np.array(Diary.of(days, days[-1][0]).scores, dtype=float) for patient, days in means.items()
    }


def alerts(detector: Detector, diaries: dict[str, Floats]) -> list[int]:
    """Of rises, in each diary."""
    return [
        sum(alert.kind in RISES for alert in next(iter(detector(row[np.newaxis, :]))))
        for row in diaries.values()
    ]


def main(file: Path) -> None:
    diaries = read(file)
    for patient, row in diaries.items():
        print(f"{patient}: {len(row)} days, {int((~np.isnan(row)).sum())} reported")
    years = sum(map(len, diaries.values())) / 365.25
    quiet = Trial.of(TUNING_SEED, TUNING_PATIENTS).truth["quiet"].scores
    detectors = {"ours": our_rule}
    for comparator in COMPARATORS.values():
        detectors[f"{comparator.reads}: textbook"] = comparator.at(comparator.textbook)
        threshold = tuned(comparator, quiet, len(quiet) * YEARS, UNEXPLAINED_PER_YEAR)
        detectors[f"{comparator.reads}: tuned, {threshold:.3g}"] = comparator.at(threshold)
    print(f"{years:.2f} patient-years; tuned on {TUNING_PATIENTS} synthetic diaries of {DAYS} days")
    for name, detector in detectors.items():
        counts = alerts(detector, diaries)
        print(f"{name:60} alerts {counts}, {sum(counts) / years:.1f}/py")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
