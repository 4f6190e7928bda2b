"""How good the refill forecast is: a Monte Carlo cohort of pumps, each refilled on the date its forecast names.

    python benchmarks/refill_cohort.py [--pumps 100000] [--seed 1] [--processes 2]

Every pump has its own true flow ratio (mean 1.01, SD 4.5 %) that wanders from refill to refill (SD 1.5 %), fills and
residuals are read with the error of a syringe (SD 0.2 mL) and of incomplete emptying (SD 0.5 mL). The forecast is
the one the software uses, open days from Monday to Friday. A pump counts as empty if it runs dry before the end of
its refill date; what is wasted is what is left at noon of that day.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter

import numpy as np

from sc_stim.clinical.pump_record import BolusCount, DrugInPump, Fill, PumpRecord, PumpSetting
from sc_stim.clinical.refill import Forecast, forecast

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
DRUGS = (DrugInPump(name="hydromorphone", mg_per_ml=10.0),)
RATIO_MEAN, RATIO_SD, DRIFT_SD, SYRINGE_SD, EMPTYING_SD = 1.01, 0.045, 0.015, 0.2, 0.5


@dataclass(frozen=True)
class Scenario:
    """`jump_at`: the refill before which the flow ratio of every pump jumps to `jump_to`."""

    name: str
    reservoir_ml: float
    fills: int = 8
    boluses: bool = False
    counted: bool = False
    jump_at: int | None = None
    jump_to: float = 1.20


@dataclass
class Tally:
    """What happened to a cohort, by fill number."""

    empty: list[int] = field(default_factory=list)
    visits: list[int] = field(default_factory=list)
    wasted: list[list[float]] = field(default_factory=list)
    errors: list[list[float]] = field(default_factory=list)
    covered: list[int] = field(default_factory=list)
    over_flags: list[int] = field(default_factory=list)
    under_flags: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, fills: int) -> "Tally":
        counts = [[0] * fills for _ in range(5)]
        return cls(counts[0], counts[1], [[] for _ in range(fills)], [[] for _ in range(fills)], *counts[2:])

    def add(self, other: "Tally") -> None:
        for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True):
            mine[:] = [a + b for a, b in zip(mine, theirs, strict=True)]


@dataclass
class TruePump:
    """`ratio`: actual over programmed flow now. Boluses per day are drawn anew for each interval."""

    scenario: Scenario
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.flow_ml_per_day = self.scenario.reservoir_ml / float(self.rng.uniform(45, 115))
        self.ratio = float(self.rng.normal(RATIO_MEAN, RATIO_SD))
        self.bolus_ml = 0.1 * self.flow_ml_per_day if self.scenario.boluses else 0.0
        self.max_per_day = 6.0 if self.scenario.boluses else 0.0
        self.usual_per_day = float(self.rng.uniform(0.5, 5.0))
        self.habit_cv = float(self.rng.uniform(0.1, 0.35))
        self.per_day = 0.0

    def next_interval(self) -> None:
        self.ratio += float(self.rng.normal(0, DRIFT_SD))
        if self.scenario.boluses:
            shape = 1 / self.habit_cv**2
            self.per_day = min(self.max_per_day, self.usual_per_day * float(self.rng.gamma(shape)) / shape)

    @property
    def actual_ml_per_day(self) -> float:
        return self.ratio * (self.flow_ml_per_day + self.bolus_ml * self.per_day)

    def setting(self) -> PumpSetting:
        return PumpSetting(
            since=START - timedelta(hours=1),
            flow_ml_per_day=self.flow_ml_per_day,
            bolus_ml=self.bolus_ml,
            max_boluses_per_day=self.max_per_day,
        )


def follow(scenario: Scenario, rng: np.random.Generator, tally: Tally) -> None:
    """One pump from its implant through its refills."""
    pump = TruePump(scenario, rng)
    at, fills = START, [Fill(at=START, filled_ml=scenario.reservoir_ml)]
    counts: list[BolusCount] = []
    for number in range(scenario.fills):
        pump.next_interval()
        if scenario.jump_at == number:
            pump.ratio = scenario.jump_to
        in_reservoir_ml = scenario.reservoir_ml + float(rng.normal(0, SYRINGE_SD))
        record = PumpRecord(
            timezone="UTC",
            reservoir_ml=scenario.reservoir_ml,
            low_reservoir_alarm_ml=2.0,
            accuracy_pct=14.5,
            drugs=DRUGS,
            settings=(pump.setting(),),
            fills=tuple(fills),
            boluses=tuple(counts),
        )
        judged = forecast(record, at)
        assert isinstance(judged, Forecast), judged
        visit = at.replace(hour=12) + timedelta(days=(judged.refill_by - at.date()).days)
        days = (visit - at) / timedelta(days=1)
        note(tally, number, judged, at, days, in_reservoir_ml, pump.actual_ml_per_day)
        if scenario.counted:
            count = round(pump.per_day * (visit.date() - at.date()).days)
            counts.append(BolusCount(first_day=at.date(), until=visit.date(), count=count))
        left_ml = max(0.0, in_reservoir_ml - pump.actual_ml_per_day * days)
        read_ml = left_ml + float(rng.normal(0, SYRINGE_SD)) + float(rng.normal(0, EMPTYING_SD))
        fills.append(Fill(at=visit, filled_ml=scenario.reservoir_ml, aspirated_ml=max(0.0, read_ml)))
        at = visit


def note(
    tally: Tally,
    number: int,
    judged: Forecast,
    at: datetime,
    days: float,
    in_reservoir_ml: float,
    ml_per_day: float,
) -> None:
    true_days = in_reservoir_ml / ml_per_day
    true_date = (at + timedelta(days=true_days)).date()
    empty = judged.empty
    assert empty.p05 is not None
    assert empty.p50 is not None
    assert empty.p95 is not None
    tally.visits[number] += 1
    tally.empty[number] += true_days < days + 0.5
    tally.wasted[number].append(in_reservoir_ml - ml_per_day * days)
    tally.errors[number].append(abs((empty.p50 - true_date).days) / true_days)
    tally.covered[number] += empty.p05 <= true_date <= empty.p95
    tally.over_flags[number] += "possible_over_infusion" in judged.flags
    tally.under_flags[number] += "possible_under_infusion" in judged.flags


def run_part(scenario: Scenario, pumps: int, seed: tuple[int, int]) -> Tally:
    rng = np.random.default_rng(seed)
    tally = Tally.of(scenario.fills)
    for _ in range(pumps):
        follow(scenario, rng, tally)
    return tally


def run(scenario: Scenario, pumps: int, seed: int, pool: ProcessPoolExecutor, processes: int) -> Tally:
    parts = [pool.submit(run_part, scenario, pumps // processes, (seed, part)) for part in range(processes)]
    tally = Tally.of(scenario.fills)
    for part in parts:
        tally.add(part.result())
    return tally


def report(scenario: Scenario, tally: Tally) -> None:
    print(f"\n{scenario.name}")
    print("fill   P(empty)  wasted mL  error of p50  covered 90 %  over flag  under flag")
    groups = [(str(number + 1), range(number, number + 1)) for number in range(scenario.fills)]
    groups.append(("3-", range(2, scenario.fills)))
    groups.append(("6-", range(5, scenario.fills)))
    for name, numbers in groups:
        visits = sum(tally.visits[number] for number in numbers)
        wasted = np.median(np.concatenate([tally.wasted[number] for number in numbers]))
        error = np.median(np.concatenate([tally.errors[number] for number in numbers]))
        rate = [
            sum(counts[number] for number in numbers) / visits
            for counts in (tally.empty, tally.covered, tally.over_flags, tally.under_flags)
        ]
        print(
            f"{name:>4} {rate[0]:10.1e} {wasted:10.2f} {error:13.2%} {rate[1]:13.1%} {rate[2]:10.2%} {rate[3]:11.2%}"
        )


SCENARIOS = (
    Scenario("20 mL, no boluses", 20),
    Scenario("40 mL, no boluses", 40),
    Scenario("20 mL, boluses nobody counted", 20, boluses=True),
    Scenario("40 mL, boluses nobody counted", 40, boluses=True),
    Scenario("20 mL, counted boluses", 20, boluses=True, counted=True),
    Scenario("40 mL, counted boluses", 40, boluses=True, counted=True),
    Scenario("20 mL, flow jumps to 1.20 before the 4th refill", 20, fills=6, jump_at=3),
    Scenario("40 mL, flow jumps to 1.20 before the 4th refill", 40, fills=6, jump_at=3),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Monte Carlo of the refill forecast")
    parser.add_argument("--pumps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="run the scenarios whose name contains this")
    options = parser.parse_args()
    print(f"pumps {options.pumps} seed {options.seed}")
    with ProcessPoolExecutor(options.processes) as pool:
        for scenario in SCENARIOS:
            if options.only in scenario.name:
                began = perf_counter()
                tally = run(scenario, options.pumps, options.seed, pool, options.processes)
                report(scenario, tally)
                print(f"{perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
