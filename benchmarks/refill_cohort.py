"""A cohort of pumps, each filled again and again on the date that a rule names, and what became of them.

The truth of a pump is its `Nature`: the flow ratio and how it changes, how fills and residuals are read, and how the
patient takes boluses. The forecast is the one the software uses, open days are Monday to Friday. A pump counts as empty
if it runs dry before the *end* of its refill date; what is wasted is what is left at noon of that day.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sc_stim.clinical.pump_record import BolusCount, DrugInPump, Fill, PumpRecord, PumpSetting
from sc_stim.clinical.refill import Forecast, forecast
from sc_stim.clinical.workdays import ClinicCalendar, move_earlier

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
DRUGS = (DrugInPump(name="hydromorphone", mg_per_ml=10.0),)
ALARM_ML, ACCURACY_PCT = 2.0, 14.5
NOON = time(12)
LASTS_DAYS = (45, 115)  # a full reservoir at the programmed rate
OPEN_DAYS = ClinicCalendar()
Boluses = Literal["none", "uncounted", "counted"]


@dataclass(frozen=True)
class Nature:
    """Spreads are standard deviations. The defaults are an in-spec pump read by a careful nurse."""

    ratio_mean: float = 1.01
    ratio_sd: float = 0.045
    drift_sd: float = 0.015  # from fill to fill
    ramp: float = 0.0  # added to the ratio at each fill, from the third on
    jump_at: int | None = None  # the fill before which the ratio becomes jump_to
    jump_to: float = 1.20
    syringe_ml: float = 0.2
    emptying_ml: float = 0.5
    read_too_much_ml: float = 0.0
    misread_share: float = 0.0  # of residuals, by misread_ml up or down
    misread_ml: float = 4.0
    habit_cv: tuple[float, float] = (0.1, 0.35)  # of boluses between fills: gamma
    bursts: float = 0.0  # share of intervals in which the patient takes all that the lockout gives
    growth: float = 0.0  # of bolus use from fill to fill
    unseen: float = 0.0  # share of boluses that the count misses


@dataclass(frozen=True)
class Scenario:
    reservoir_ml: float
    boluses: Boluses = "none"
    nature: Nature = field(default_factory=Nature)
    fills: int = 8


class Visit(NamedTuple):
    """One refill; `number` counts fills from 1. `error`: of the likely empty date, as a share of the true days."""

    number: int
    empty: bool
    wasted_ml: float
    error: float
    covered: bool  # by the 5-95 % interval
    over_flag: bool


class Visits(NamedTuple):
    """The same of many visits, (n,) each."""

    number: NDArray[np.float64]
    empty: NDArray[np.float64]
    wasted_ml: NDArray[np.float64]
    error: NDArray[np.float64]
    covered: NDArray[np.float64]
    over_flag: NDArray[np.float64]

    def of_fills(self, first: int, last: int | None = None) -> "Visits":
        chosen = (self.number >= first) & (self.number <= (last or self.number.max()))
        return Visits(*(column[chosen] for column in self))


class Plan(NamedTuple):
    """What a rule says after a fill."""

    refill_by: date
    p05: date | None
    p50: date
    p95: date | None
    over_flag: bool = False


class TruePump:
    """`ratio`: actual over programmed flow now. Boluses per day are drawn anew for each interval."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        self.scenario, self.nature, self.rng = scenario, scenario.nature, rng
        self.flow_ml_per_day = scenario.reservoir_ml / float(rng.uniform(*LASTS_DAYS))
        self.ratio = float(rng.normal(self.nature.ratio_mean, self.nature.ratio_sd))
        takes_boluses = scenario.boluses != "none"
        self.bolus_ml = 0.1 * self.flow_ml_per_day if takes_boluses else 0.0
        self.max_per_day = 6.0 if takes_boluses else 0.0
        self.usual_per_day = float(rng.uniform(0.5, 5.0))
        self.habit_cv = float(rng.uniform(*self.nature.habit_cv))
        self.per_day = 0.0

    def next_interval(self, number: int) -> None:
        nature = self.nature
        self.ratio += float(self.rng.normal(0, nature.drift_sd)) + (nature.ramp if number >= 3 else 0.0)
        if nature.jump_at == number:
            self.ratio = nature.jump_to
        if self.max_per_day:
            shape = 1 / self.habit_cv**2
            wanted = self.usual_per_day * float(self.rng.gamma(shape)) / shape
            burst = bool(self.rng.random() < nature.bursts)
            self.per_day = self.max_per_day if burst else min(self.max_per_day, wanted)
            self.usual_per_day *= 1 + nature.growth

    @property
    def programmed_ml_per_day(self) -> float:
        return self.flow_ml_per_day + self.bolus_ml * self.per_day

    @property
    def actual_ml_per_day(self) -> float:
        return self.ratio * self.programmed_ml_per_day

    def filled_ml(self) -> float:
        return self.scenario.reservoir_ml + float(self.rng.normal(0, self.nature.syringe_ml))

    def read_ml(self, left_ml: float) -> float:
        """What the nurse reads of the residual."""
        nature = self.nature
        wrong = float(
            self.rng.normal(nature.read_too_much_ml, np.hypot(nature.syringe_ml, nature.emptying_ml))
        )
        if self.rng.random() < nature.misread_share:
            wrong += nature.misread_ml * float(self.rng.choice((-1.0, 1.0)))
        return min(max(0.0, left_ml + wrong), self.scenario.reservoir_ml)

    def setting(self) -> PumpSetting:
        return PumpSetting(
            since=START - timedelta(hours=1),
            flow_ml_per_day=self.flow_ml_per_day,
            bolus_ml=self.bolus_ml,
            max_boluses_per_day=self.max_per_day,
        )


Rule = Callable[[PumpRecord, datetime, TruePump], Plan]


def our_rule(record: PumpRecord, at: datetime, _pump: TruePump) -> Plan:
    judged = forecast(record, at)
    if not isinstance(judged, Forecast) or judged.empty.p50 is None:
        raise AssertionError(f"no date for a sound record: {judged}")
    empty = judged.empty
    return Plan(
        judged.refill_by, empty.p05, judged.empty.p50, empty.p95, "possible_over_infusion" in judged.flags
    )


def programmed_arithmetic(_record: PumpRecord, at: datetime, pump: TruePump) -> Plan:
    """The low-reservoir date that the pump computes itself; even the boluses still to come are given to it."""
    volume_ml, ml_per_day = pump.scenario.reservoir_ml, pump.programmed_ml_per_day
    return Plan(
        _open(at, (volume_ml - ALARM_ML) / ml_per_day), None, _after(at, volume_ml / ml_per_day), None
    )


def labelled_worst_case(_record: PumpRecord, at: datetime, pump: TruePump) -> Plan:
    """As fast as the label allows, and every allowed bolus taken."""
    most = pump.flow_ml_per_day + pump.bolus_ml * pump.max_per_day
    days = pump.scenario.reservoir_ml / (most * (1 + ACCURACY_PCT / 100))
    return Plan(_open(at, days), None, _after(at, days), None)


RULES: dict[str, Rule] = {
    "ours": our_rule,
    "programmed arithmetic": programmed_arithmetic,
    "labelled worst case": labelled_worst_case,
}


def _after(at: datetime, days: float) -> date:
    return (at + timedelta(days=days)).date()


def _open(at: datetime, days: float) -> date:
    """The last open day whose noon is not after `days`."""
    day = move_earlier(_after(at, days - 0.5), OPEN_DAYS)
    assert day is not None
    return day


def follow(scenario: Scenario, rng: np.random.Generator, rule: Rule = our_rule) -> list[Visit]:
    """One pump from its implant through its refills."""
    pump = TruePump(scenario, rng)
    at, fills = START, [Fill(at=START, filled_ml=scenario.reservoir_ml)]
    counts: list[BolusCount] = []
    visits: list[Visit] = []
    for number in range(1, scenario.fills + 1):
        pump.next_interval(number)
        in_reservoir_ml = pump.filled_ml()
        plan = rule(_record(pump, fills, counts), at, pump)
        refilled = datetime.combine(plan.refill_by, NOON, UTC)
        refilled = max(refilled, at + timedelta(hours=1))
        days = (refilled - at) / timedelta(days=1)
        visits.append(_visit(number, plan, at, days, in_reservoir_ml, pump.actual_ml_per_day))
        if scenario.boluses == "counted":
            counts.append(_count(pump, at, refilled))
        left_ml = max(0.0, in_reservoir_ml - pump.actual_ml_per_day * days)
        fills.append(Fill(at=refilled, filled_ml=scenario.reservoir_ml, aspirated_ml=pump.read_ml(left_ml)))
        at = refilled
    return visits


def _record(pump: TruePump, fills: list[Fill], counts: list[BolusCount]) -> PumpRecord:
    return PumpRecord(
        timezone="UTC", reservoir_ml=pump.scenario.reservoir_ml, low_reservoir_alarm_ml=ALARM_ML,
        accuracy_pct=ACCURACY_PCT, drugs=DRUGS, settings=(pump.setting(),), fills=tuple(fills), boluses=tuple(counts),
    )  # fmt: skip


def _count(pump: TruePump, since: datetime, until: datetime) -> BolusCount:
    given = pump.per_day * (until.date() - since.date()).days
    return BolusCount(
        first_day=since.date(), until=until.date(), count=round(given * (1 - pump.nature.unseen))
    )


def _visit(
    number: int, plan: Plan, at: datetime, days: float, in_reservoir_ml: float, ml_per_day: float
) -> Visit:
    true_days = in_reservoir_ml / ml_per_day
    true_date = _after(at, true_days)
    covered = plan.p05 is not None and plan.p95 is not None and plan.p05 <= true_date <= plan.p95
    return Visit(
        number=number,
        empty=true_days < days + 0.5,
        wasted_ml=in_reservoir_ml - ml_per_day * days,
        error=abs((plan.p50 - true_date).days) / true_days,
        covered=covered,
        over_flag=plan.over_flag,
    )


def run_part(scenario: Scenario, pumps: int, seed: tuple[int, ...], rule: str = "ours") -> Visits:
    rng = np.random.default_rng(seed)
    return Visits(
        *np.array(
            [visit for _ in range(pumps) for visit in follow(scenario, rng, RULES[rule])], dtype=float
        ).T
    )


PUMPS_AT_ONCE = 500


def run(pool: Executor, scenario: Scenario, pumps: int, seed: tuple[int, ...], rule: str = "ours") -> Visits:
    """In parts, so that all processors have work to the end; the result depends on the seed alone."""
    sizes = [min(PUMPS_AT_ONCE, pumps - start) for start in range(0, pumps, PUMPS_AT_ONCE)]
    parts = [pool.submit(run_part, scenario, size, (*seed, part), rule) for part, size in enumerate(sizes)]
    return Visits(
        *(np.concatenate(columns) for columns in zip(*(part.result() for part in parts), strict=True))
    )
