"""How well the pain rule does on fresh synthetic diaries, beside other rules, and where it breaks."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import pain_cohort
from benchmarks.diaries import DAYS
from benchmarks.figures import Figure, Table, Target, shown
from benchmarks.pain_cohort import TARGETS, YEARS, Score, Trial
from benchmarks.pain_detectors import COMPARATORS, Comparator, Detector, our_rule, tuned
from benchmarks.pain_variants import VARIANTS

TITLE = "Pain rule on synthetic diaries, beside others"
TUNING_SEED = 4_711_000_000  # outside of what is drawn for a run
UNEXPLAINED_PER_YEAR = TARGETS["unexplained_per_year"][1]
TIMES = (
    ("rebuild_100000_s", "100,000 patient-years rebuilt, from a sample, processor time", 60),
    ("one_score_s", "one new score, without the database, processor time", 0.001),
)
COMPARED = (
    ("step_found_21d", "step in 21 d"), ("step_3_or_more_found_21d", "step >= 3"), ("step_median_d", "median d"),
    ("drift_found", "drift"), ("flare_found", "flare"), ("unexplained_per_year", "unexplained /py"),
)  # fmt: skip
BROKEN = (
    ("step_found_21d", "step in 21 d"), ("drift_found", "drift"), ("flare_found", "flare"),
    ("stop_found_21d", "stop in 21 d"), ("stopped_per_year", "stops /py"),
    ("unexplained_per_year", "unexplained /py"), ("unexplained_persistent_per_year", "persistent /py"),
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """Patients in each of the six arms: for the targets, for each comparator (`slow` ones apart) and each variant."""

    patients: int
    compared: int
    slow: int
    varied: int
    seed: int = 0


FULL = Size(2_000, compared=600, slow=100, varied=300)
QUICK = Size(300, compared=100, slow=20, varied=60)


def measure(_stand: object, size: Size) -> Iterator[Figure | Table]:
    trial = Trial.of(size.seed, size.patients)
    found = trial.judged(our_rule)
    ours = pain_cohort.scored(trial, found)
    for key, (reads, must, higher) in TARGETS.items():
        yield Figure(key, reads, "", (ours[key].value,), Target(must, higher), ours[key].interval)
    seconds = pain_cohort.timings(size.patients)
    for key, reads, most_s in TIMES:
        yield Figure(key, reads, "s", (seconds[key],), Target(most_s, at_least=False))
    yield _missed(trial, pain_cohort.misses(trial, found["step"]))
    yield _falls(ours)
    yield _comparison(size, trial)
    yield from _variants(size)


def _missed(trial: Trial, causes: dict[str, int]) -> Table:
    of = len(trial.truth["step"].onset)
    rows = tuple((cause, f"{count}", f"{count / of:.1%}") for cause, count in causes.items())
    reads = (
        f"{sum(causes.values())} of {of} steps were not found within 21 days. Why, by the first that fits:"
    )
    return Table("missed", reads, ("cause", "steps", "share"), rows)


def _falls(ours: dict[str, Score]) -> Table:
    reads = {
        "fall_found_21d": "fall of 2-5 found within 21 d", "fall_3_or_more_found_21d": "fall of 3 or more found",
        "unexplained_falls_per_year": "unexplained falls, /py",
    }  # fmt: skip
    rows = tuple((text, shown(ours[key].value), _between(ours[key])) for key, text in reads.items())
    return Table("falls", "Sudden falls, for which no target was set:", ("measure", "figure", "95 %"), rows)


def _between(score: Score) -> str:
    return " - ".join(map(shown, score.interval))


def _comparison(size: Size, trial: Trial) -> Table:
    """Every rule on the same patients; thresholds are tuned on others."""
    tuning = Trial.of(TUNING_SEED, size.compared)
    rows = [_compared(f"ours, {size.compared} each", our_rule, trial.first(size.compared))]
    for comparator in COMPARATORS.values():
        patients = size.slow if comparator.slow else size.compared
        settings = {"textbook": comparator.textbook, "tuned": _tuned(comparator, tuning.first(patients))}
        for how, threshold in settings.items():
            name = f"{comparator.reads}: {how}, {threshold:.3g}" + (
                f", {patients} each" if comparator.slow else ""
            )
            rows.append(_compared(name, comparator.at(threshold), trial.first(patients)))
    heads = ("rule: setting, threshold", *(head for _, head in COMPARED))
    reads = f"Tuned: to {UNEXPLAINED_PER_YEAR:g} unexplained alerts/py on other diaries."
    return Table("comparison", reads, heads, tuple(rows))


def _tuned(comparator: Comparator, tuning: Trial) -> float:
    quiet = tuning.truth["quiet"].scores
    return tuned(comparator, quiet, len(quiet) * YEARS, UNEXPLAINED_PER_YEAR)


def _compared(name: str, detector: Detector, trial: Trial) -> tuple[str, ...]:
    scores = pain_cohort.scored(trial, trial.judged(detector))
    return name, *(shown(scores[key].value) for key, _ in COMPARED)


def _variants(size: Size) -> Iterator[Table]:
    scores = {
        reads: pain_cohort.measure(our_rule, [size.seed, place], size.varied, noise)
        for place, (reads, (noise, _)) in enumerate(VARIANTS.items())
    }
    rows = tuple((reads, *(_marked(key, own[key]) for key, _ in BROKEN)) for reads, own in scores.items())
    reads = f"{size.varied} patients in each arm, {DAYS} days. Bold: misses the target by more than chance."
    yield Table("variants", reads, ("diaries", *(head for _, head in BROKEN)), rows)
    broken = {
        reads: [head for key, head in BROKEN if _surely_missed(key, own[key])]
        for reads, own in scores.items()
    }
    why = tuple((reads, ", ".join(heads), VARIANTS[reads][1]) for reads, heads in broken.items() if heads)
    yield Table("breaks", "Where it breaks, and why:", ("diaries", "misses", "because"), why)


def _marked(key: str, score: Score) -> str:
    return f"**{shown(score.value)}**" if _surely_missed(key, score) else shown(score.value)


def _surely_missed(key: str, score: Score) -> bool:
    """Even the better end of the interval misses."""
    low, high = score.interval
    return not pain_cohort.reached(key, high if TARGETS[key][2] else low)
