"""How well the pain rule does on a fresh synthetic cohort; `python -m benchmarks.pain_cohort` shows more of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import pain_cohort
from benchmarks.figures import Figure, Target

TITLE = "Pain rule on a synthetic cohort"


@dataclass(frozen=True)
class Size:
    """Patients in each arm of the cohort; those of all `seeds` are one run each."""

    patients: int
    seeds: tuple[int, ...]


FULL = Size(2_000, seeds=(20261122, 20261123))
QUICK = Size(500, seeds=(20261122,))


TIMES = (
    ("rebuild_100000_s", "100,000 patient-years rebuilt, from a sample, one process", 60),
    ("one_score_s", "one new score, without the database", 0.001),
)


def measure(_stand: object, size: Size) -> Iterator[Figure]:
    runs = [pain_cohort.measure(pain_cohort.our_rule, seed, size.patients) for seed in size.seeds]
    for key, (reads, must, higher) in pain_cohort.TARGETS.items():
        yield Figure(key, reads, "", tuple(run[key] for run in runs), Target(must, higher))
    timings = [pain_cohort.timings(size.patients) for _ in size.seeds]
    for key, reads, most_s in TIMES:
        yield Figure(key, reads, "s", tuple(run[key] for run in timings), Target(most_s, at_least=False))
