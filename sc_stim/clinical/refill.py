"""The refill-by date of an intrathecal pump: the earliest of several clocks, moved earlier to an open day.

The pump computes its reservoir from the programmed rate and does not measure it, so its own low-reservoir
date is blind to a fast pump, a leak or a fill beside the reservoir. Here the flow ratio of each pump is
learned from its refills, and the chance of an empty pump before the visit is a clock of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from math import inf
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sc_stim.clinical.bolus_use import rates_around
from sc_stim.clinical.delivery import day_number, day_programmed, exposure, instant, local_date
from sc_stim.clinical.drugs import Formulary, UnknownDrug, shipped_formulary
from sc_stim.clinical.empty_time import EmptyTime
from sc_stim.clinical.flow_belief import FlowRatio
from sc_stim.clinical.pump_history import PumpHistory, PumpKnowledge, habit_sd_per_day, most_boluses_per_day
from sc_stim.clinical.pump_record import PumpRecord
from sc_stim.clinical.reconciliation import Reconciliation
from sc_stim.clinical.refill_rules import RefillRules, shipped_rules
from sc_stim.clinical.refusal import Refused
from sc_stim.clinical.workdays import ClinicCalendar, UnknownRegion, move_earlier

MODEL_VERSION: Final = "refill-1"

EMPTY_PROBABILITY: Final = "empty_probability"
LOW_RESERVOIR: Final = "low_reservoir"
DRUG_STABILITY: Final = "drug_stability"
MAX_INTERVAL: Final = "max_interval"
END_OF_SERVICE: Final = "end_of_service"

UNVERIFIED_FIGURE: Final = "unverified_figure"

# A pump that would last longer than this is bound by other clocks.
_HORIZON_DAYS: Final = 3650.0
_EARLY_FILLS: Final = 3
# The empty clock gives the last day whose noon comes before the moment that must not be passed.
_NOON: Final = 0.5


@dataclass(frozen=True, slots=True)
class Clock:
    """The last date this clock allows, before any move to an open day."""

    name: str
    date: date


@dataclass(frozen=True, slots=True)
class EmptyDates:
    """Local dates on which the reservoir is empty with a chance of 5, 50 and 95 %; None: not within ten
    years.
    """

    p05: date | None
    p50: date | None
    p95: date | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """`earliest_empty`: before this moment the chance of an empty pump is below the limit of the empty clock.

    `expected_residual_ml` is what is probably left at the moment of the forecast, by the learned flow ratio.
    `last_refill` compares the newest measured residual with the expected one.
    """

    refill_by: date
    binding_clock: str
    clocks: tuple[Clock, ...]
    empty: EmptyDates
    earliest_empty: datetime | None
    expected_residual_ml: float
    flow_ratio: FlowRatio
    flags: tuple[str, ...]
    last_refill: Reconciliation | None
    model_version: str = MODEL_VERSION


def forecast(
    pump: PumpRecord,
    at: datetime,
    *,
    formulary: Formulary | None = None,
    rules: RefillRules | None = None,
    floor_ml: float = 0.0,
) -> Forecast | Refused:
    """When this pump must be refilled, from what was recorded up to `at`, or why that cannot be said.

    `floor_ml` is the volume that counts as empty: 0, or 2-4 mL for patients prone to withdrawal.
    """
    rules = rules or shipped_rules()
    formulary = formulary or shipped_formulary()
    try:
        zone = ZoneInfo(pump.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return Refused(
            "unknown_timezone", f"timezone {pump.timezone!r} is not an IANA zone such as 'Europe/Berlin'"
        )
    now = day_number(at)
    history = PumpHistory(pump, now, zone)
    refused = _why_not(pump, history, now, rules)
    if refused is not None:
        return refused
    try:
        return _Judgement(history, now, zone, formulary, rules, floor_ml).forecast()
    except UnknownDrug as unknown:
        return Refused("unknown_drug", str(unknown))
    except UnknownRegion as unknown_region:
        return Refused("unknown_country", str(unknown_region))


def _why_not(pump: PumpRecord, history: PumpHistory, now: float, rules: RefillRules) -> Refused | None:
    if not history.fills:
        return Refused("no_fill_recorded", "record the last fill of this pump")
    if now - history.fill_days[-1] > rules.longest_fill_age_d:
        limit = f"{rules.longest_fill_age_d:g} days"
        return Refused("stale_fill", f"the newest fill is older than {limit}: record the later ones")
    if not history.settings:
        return Refused("no_settings_recorded", "record the programmed flow of this pump")
    if not history.programmed_since(history.fill_days[-1], rules.settings_gap_d):
        return Refused(
            "settings_missing", "the settings start after the last fill: record those in force at the fill"
        )
    if not pump.drugs:
        return Refused("no_drug_recorded", "record the drugs in this pump")
    for drug in pump.drugs:
        if drug.mg_per_ml is None:
            return Refused("unknown_concentration", f"record the concentration of {drug.name}")
    return _why_not_by_reading(pump, history, now, rules)


def _why_not_by_reading(
    pump: PumpRecord, history: PumpHistory, now: float, rules: RefillRules
) -> Refused | None:
    """A pump that fell silent, or that counts itself emptier than its record allows, gets no date from that record."""
    if pump.reading is None:
        return None
    fill_day, read_day = history.fill_days[-1], day_number(pump.reading.at)
    silent_d = now - max(fill_day, read_day)
    if silent_d > rules.longest_reading_age_d:
        return Refused(
            "stale_reading",
            f"the pump reported its reservoir {silent_d:.0f} days ago and not since: interrogate it",
        )
    if not fill_day + rules.settings_gap_d <= read_day <= now:
        return None
    programme = history.programme(fill_day, read_day, history.counted(fill_day, read_day))
    programmed_ml = exposure(programme, most_boluses_per_day(programme)).known_ml
    least_ml = max(0.0, history.fills[-1].filled_ml - programmed_ml)
    if pump.reading.reservoir_ml >= least_ml - rules.contradicting_reading_ml:
        return None
    return Refused(
        "contradicting_reading",
        f"the pump counts {pump.reading.reservoir_ml:.1f} mL where its record leaves at least {least_ml:.1f} mL:"
        " interrogate it, and record the fill or the settings that are missing",
    )


class _Judgement:
    """One forecast: what is known of the pump, and its clocks."""

    def __init__(
        self,
        history: PumpHistory,
        now: float,
        zone: tzinfo,
        formulary: Formulary,
        rules: RefillRules,
        floor_ml: float,
    ) -> None:
        self.pump = history.pump
        self.now = now
        self.zone = zone
        self.rules = rules
        self.fill = history.fills[-1]
        self.fill_day = history.fill_days[-1]
        self.fill_number = len(history.fills)
        self.known: PumpKnowledge = history.learn(rules)
        self.programme = history.programme(self.fill_day, inf, history.counted(self.fill_day, now))
        self.stability = formulary.stability(self.pump.drugs, first_fill=self.fill_number == 1)
        self.allowed_per_day = most_boluses_per_day(self.programme)
        self.rates, self.high_rate = self._bolus_rates()
        self.empty_time = EmptyTime(
            self.fill.filled_ml - floor_ml, rules.syringe_sd_ml, self.known.belief, self.rates, self.programme
        )

    def _bolus_rates(self) -> tuple[Sequence[tuple[float, float]], float]:
        """Weighted boluses per day of this interval, and more of them than the patient is likely to take.

        Nothing known of the patient's use: every allowed bolus is taken (the Prometra refill rule,
        manualshive.com PTC p5).
        """
        if not self.allowed_per_day or not self.known.habit.intervals:
            return ((1.0, self.allowed_per_day),), self.allowed_per_day
        usual = self.known.belief.boluses_per_day
        habit_sd = habit_sd_per_day(self.known, self.allowed_per_day, self.rules)
        return rates_around(usual, habit_sd), usual + self.rules.bolus_high_sd * habit_sd

    def forecast(self) -> Forecast | Refused:
        earliest_empty = self._empty_day(self._accepted_chance())
        clocks = self._clocks(earliest_empty)
        binding = min(clocks, key=lambda clock: clock.date)
        calendar = ClinicCalendar(self.pump.country, frozenset(self.pump.closed_days))
        refill_by = move_earlier(binding.date - timedelta(days=self.pump.pharmacy_lead_days), calendar)
        if refill_by is None:
            return Refused("no_open_day", f"the clinic has no open day in the weeks before {binding.date}")
        return Forecast(
            refill_by=refill_by,
            binding_clock=binding.name,
            clocks=clocks,
            empty=EmptyDates(self._empty_date(0.05), self._empty_date(0.5), self._empty_date(0.95)),
            earliest_empty=instant(earliest_empty) if earliest_empty is not None else None,
            expected_residual_ml=self._expected_residual_ml(),
            flow_ratio=self.known.belief.flow_ratio,
            flags=self._flags(),
            last_refill=self.known.last_refill,
        )

    def _clocks(self, earliest_empty: float | None) -> tuple[Clock, ...]:
        fill_date = local_date(self.fill_day, self.zone)
        dates = (
            (EMPTY_PROBABILITY, self._date(earliest_empty - _NOON if earliest_empty is not None else None)),
            (LOW_RESERVOIR, self._low_reservoir_date()),
            (DRUG_STABILITY, fill_date + timedelta(days=self.stability.value)),
            (MAX_INTERVAL, fill_date + timedelta(days=self.rules.max_interval_d)),
            (END_OF_SERVICE, self.pump.end_of_service),
        )
        return tuple(Clock(name, day) for name, day in dates if day is not None)

    def _low_reservoir_date(self) -> date | None:
        """When the pump's own arithmetic reaches its alarm, with many boluses taken, less the margin."""
        volume_ml = self.fill.filled_ml - self._alarm_ml()
        day = day_programmed(self.programme, self.high_rate, volume_ml)
        reached = self._date(self._day(day))
        return reached - timedelta(days=self.pump.margin_days) if reached is not None else None

    def _alarm_ml(self) -> float:
        recorded = self.pump.low_reservoir_alarm_ml
        return self.rules.low_reservoir_alarm_ml if recorded is None else recorded

    def _accepted_chance(self) -> float:
        early = self.fill_number <= _EARLY_FILLS and self.allowed_per_day > 0
        return self.rules.empty_chance_early_boluses if early else self.rules.empty_chance

    def _expected_residual_ml(self) -> float:
        rate = self.empty_time.mean_rate
        exposed = exposure(self.programme, rate, self.now - self.fill_day)
        programmed_ml = exposed.known_ml + rate * exposed.ml_per_rate
        return max(0.0, self.fill.filled_ml - self.known.belief.ratio * programmed_ml)

    def _flags(self) -> tuple[str, ...]:
        found = self.known.last_refill.flag_names if self.known.last_refill else ()
        assumed = not self.stability.verified or self.pump.low_reservoir_alarm_ml is None
        return (*found, UNVERIFIED_FIGURE) if assumed else found

    def _empty_day(self, chance: float) -> float | None:
        return self._day(self.empty_time.day_of(chance))

    def _empty_date(self, chance: float) -> date | None:
        return self._date(self._empty_day(chance))

    def _day(self, days_after_fill: float) -> float | None:
        return self.fill_day + days_after_fill if days_after_fill < _HORIZON_DAYS else None

    def _date(self, day: float | None) -> date | None:
        return local_date(day, self.zone) if day is not None else None
