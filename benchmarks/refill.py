"""How good the refill forecast is on fresh pumps, beside what is computed today, and where it breaks."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks import intervals
from benchmarks.figures import Figure, Table, Target, shown
from benchmarks.refill_cohort import RULES, Boluses, Nature, Scenario, Visits, run
from benchmarks.refill_variants import BOLUS_VARIANTS, FLOW_VARIANTS

TITLE = "Refill forecast on simulated pumps, beside others"
RESERVOIRS_ML = (20, 40)
JUMP = Nature(jump_at=4)


@dataclass(frozen=True)
class Size:
    """Pumps of each reservoir: without boluses, with them, and for each comparator and variant."""

    pumps: int
    bolus_users: int
    varied: int
    seed: int = 0


FULL = Size(30_000, bolus_users=10_000, varied=1_500)
QUICK = Size(1_000, bolus_users=500, varied=200)

Column = Callable[[Visits], NDArray[np.float64]]


def measure(_stand: object, size: Size) -> Iterator[Figure | Table]:
    with ProcessPoolExecutor() as pool:
        for part, ml in enumerate(RESERVOIRS_ML):
            yield from _sound(ml, run(pool, Scenario(ml), size.pumps, (size.seed, 0, part)))
        for part, ml in enumerate(RESERVOIRS_ML):
            users = run(pool, Scenario(ml, "uncounted"), size.bolus_users, (size.seed, 1, part))
            yield from _bolus_users(ml, users)
        for part, ml in enumerate(RESERVOIRS_ML):
            jumped = run(pool, Scenario(ml, nature=JUMP, fills=6), size.varied, (size.seed, 2, part))
            yield from _jumped(ml, jumped)
        yield _comparison(pool, size)
        yield from _variants(pool, size)


def _sound(ml: int, visits: Visits) -> Iterator[Figure]:
    settled, first = visits.of_fills(3), visits.of_fills(1, 1)
    least, wasted, wasted_first = {20: (1e-4, 2.5, 3.5), 40: (1e-4, 3.5, 7.0)}[ml]
    yield _share(
        f"empty_{ml}", f"{ml} mL, from the 3rd fill: empty before the end of the date", settled.empty, least
    )
    yield _median(f"wasted_{ml}", "... wasted, median", settled.wasted_ml, wasted, "mL")
    yield _median(f"wasted_first_{ml}", "... at the first fill", first.wasted_ml, wasted_first, "mL")
    yield _median(f"error_{ml}", "... error of the empty date, median", settled.error, 0.025, "")
    yield _share(f"covered_{ml}", "... 90 % interval holds the date", settled.covered, 0.88, at_least=True)
    yield _share(f"covered_most_{ml}", "... and not too often", settled.covered, 0.95)
    yield _share(f"false_flags_{ml}", "... falsely flagged as fast, per refill", settled.over_flag, 0.005)


def _bolus_users(ml: int, visits: Visits) -> Iterator[Figure]:
    settled = visits.of_fills(6)
    reads = f"{ml} mL, uncounted boluses, from the 6th fill: empty before the end of the date"
    yield _share(f"bolus_empty_{ml}", reads, settled.empty, 2e-4)
    yield _median(f"bolus_wasted_{ml}", "... wasted, median", settled.wasted_ml, {20: 5.0, 40: 9.0}[ml], "mL")


def _jumped(ml: int, visits: Visits) -> Iterator[Figure]:
    """The flow is 1.20 times the programmed before the 4th refill; the 5th forecast knows its residual."""
    told = visits.of_fills(5, 5)
    yield _share(
        f"jump_{ml}", f"{ml} mL, jump to 1.20: flagged at the next refill", told.over_flag, 0.7, at_least=True
    )


def _share(key: str, reads: str, hits: NDArray[np.float64], must: float, at_least: bool = False) -> Figure:
    found, of = int(hits.sum()), len(hits)
    return Figure(key, reads, "", (found / of,), Target(must, at_least), intervals.of_share(found, of))


def _median(key: str, reads: str, values: NDArray[np.float64], most: float, unit: str) -> Figure:
    target = Target(most, at_least=False)
    return Figure(key, reads, unit, (float(np.median(values)),), target, intervals.of_quantile(values, 0.5))


HEADS = ("empty in 10,000", "95 %", "wasted mL", "error", "90 % holds", "falsely flagged")


def _row(visits: Visits) -> tuple[str, ...]:
    low, high = intervals.of_share(int(visits.empty.sum()), len(visits.empty))
    return (
        shown(1e4 * float(visits.empty.mean())), f"{shown(1e4 * low)} - {shown(1e4 * high)}",
        shown(float(np.median(visits.wasted_ml))), f"{np.median(visits.error):.1%}",
        f"{visits.covered.mean():.0%}", f"{visits.over_flag.mean():.1%}",
    )  # fmt: skip


def _comparison(pool: Executor, size: Size) -> Table:
    cohorts: tuple[tuple[str, Boluses, int], ...] = (
        ("no boluses", "none", 3),
        ("uncounted boluses", "uncounted", 6),
        ("counted boluses", "counted", 6),
    )
    rows = []
    for ml in RESERVOIRS_ML:
        for how, boluses, first in cohorts:
            for rule in RULES:
                visits = run(pool, Scenario(ml, boluses), size.varied, (size.seed, 3, ml), rule).of_fills(
                    first
                )
                rows.append((f"{ml} mL, {how}: {rule}", *_row(visits)[:4]))
    reads = (
        f"{size.varied} pumps each, without boluses from the 3rd fill, with them from the 6th. The programmed "
        "arithmetic is even told the boluses to come; the labelled worst case takes 14.5 % and every allowed bolus."
    )
    return Table("comparison", reads, ("pumps: rule", *HEADS[:4]), tuple(rows))


def _variants(pool: Executor, size: Size) -> Iterator[Table]:
    rows, broken = [], []
    for place, (reads, variant) in enumerate((FLOW_VARIANTS | BOLUS_VARIANTS).items()):
        for ml in RESERVOIRS_ML:
            scenario = replace(variant.scenario, reservoir_ml=ml)
            visits = run(pool, scenario, size.varied, (size.seed, 4, place, ml)).of_fills(variant.from_fill)
            name = f"{reads}, {ml} mL"
            rows.append((name, *_row(visits)))
            if missed := _missed(visits, variant.most_empty):
                broken.append((name, ", ".join(missed), variant.why))
    yield Table("variants", f"{size.varied} pumps each.", ("pumps", *HEADS), tuple(rows))
    yield Table(
        "breaks",
        "Where it breaks by more than chance, and why:",
        ("pumps", "misses", "because"),
        tuple(broken),
    )


def _missed(visits: Visits, most_empty: float) -> list[str]:
    def low_high(hits: NDArray[np.float64]) -> intervals.Interval:
        return intervals.of_share(int(hits.sum()), len(hits))

    return [
        name
        for name, misses in (
            ("empty", low_high(visits.empty)[0] > most_empty),
            ("90 % interval", low_high(visits.covered)[1] < 0.88),
            ("false flags", low_high(visits.over_flag)[0] > 0.005),
        )
        if misses
    ]
