"""What the recorded refills of one pump teach: its delivery, its patient's bolus use, and what the last one
showed.
"""

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import Final

from msgspec import Struct

from sc_stim.clinical.bolus_use import BolusHabit
from sc_stim.clinical.delivery import (
    NOTHING_COUNTED,
    CountedBoluses,
    Exposure,
    Stretch,
    counted_boluses,
    day_number,
    exposure,
    stretches,
)
from sc_stim.clinical.flow_belief import FlowBelief, counted, drifted, learned, learned_from_empty, prior
from sc_stim.clinical.pump_record import PumpRecord, PumpSetting
from sc_stim.clinical.reconciliation import Reconciliation, reconcile
from sc_stim.clinical.refill_rules import RefillRules

# Counts of at least this share of an interval stand for all of it.
_COUNTED_SHARE: Final = 0.5


class PumpKnowledge(Struct, frozen=True):
    """`belief` is about the running interval; `last_refill` is the newest fill with a measured residual."""

    belief: FlowBelief
    habit: BolusHabit
    last_refill: Reconciliation | None = None


class Interval(Struct, frozen=True):
    """From one fill to the next: what was filled, what was found, and the programme between."""

    filled_ml: float
    aspirated_ml: float | None
    programme: Sequence[Stretch]
    counted_per_day: float | None
    allowed_per_day: float


class PumpHistory:
    """The fills of a pump up to a moment, in order, and the programme between them."""

    def __init__(self, pump: PumpRecord, until: float, zone: tzinfo) -> None:
        self.pump = pump
        self.until = until
        self.zone = zone
        fills = sorted((day_number(fill.at), index) for index, fill in enumerate(pump.fills))
        self.fill_days = [day for day, _ in fills if day <= until]
        self.fills = [pump.fills[index] for day, index in fills if day <= until]
        settings = sorted((day_number(setting.since), index) for index, setting in enumerate(pump.settings))
        self.setting_days = [day for day, _ in settings]
        self.settings = [pump.settings[index] for _, index in settings]

    def counted(self, begin: float, end: float) -> CountedBoluses:
        if not self.pump.boluses:
            return NOTHING_COUNTED
        return counted_boluses(self.pump.boluses, begin, end, self.zone)

    def programme(self, begin: float, end: float, counted: CountedBoluses) -> list[Stretch]:
        return stretches(self.settings, self.setting_days, begin, end, counted, self.zone)

    def programmed_since(self, begin: float, settings_gap_d: float) -> bool:
        """Whether the settings reach back to `begin`."""
        return bool(self.setting_days) and self.setting_days[0] <= begin + settings_gap_d

    def learn(self, rules: RefillRules) -> PumpKnowledge:
        """Go through the intervals between fills, oldest first. Intervals without settings teach nothing.

        Of the running interval only the counted boluses are known.
        """
        most_per_day = most_boluses_per_day(self.settings)
        known = PumpKnowledge(prior(rules, self.pump.accuracy_pct, most_per_day), BolusHabit())
        newest = self._newest_measured()
        for index in range(len(self.fills) - 1):
            begin, end = self.fill_days[index], self.fill_days[index + 1]
            if end > begin and self.programmed_since(begin, rules.settings_gap_d):
                known = self._taught(known, self._interval(index, begin, end), index == newest, rules)
            known = PumpKnowledge(drifted(known.belief, rules), known.habit, known.last_refill)
        return self._with_running_counts(known, rules)

    def _with_running_counts(self, known: PumpKnowledge, rules: RefillRules) -> PumpKnowledge:
        if not self.fills:
            return known
        counts = self.counted(self.fill_days[-1], self.until)
        if counts.days < rules.bolus_count_least_d:
            return known
        programme = self.programme(self.fill_days[-1], self.until, counts)
        allowed = most_boluses_per_day(programme)
        running = Interval(self.fills[-1].filled_ml, None, programme, counts.per_day, allowed)
        return self._taught(known, running, newest=False, rules=rules)

    def _newest_measured(self) -> int | None:
        """The index of the newest interval that ended with a measured residual."""
        ends = range(len(self.fills) - 1, 0, -1)
        return next((end - 1 for end in ends if self.fills[end].aspirated_ml is not None), None)

    def _interval(self, index: int, begin: float, end: float) -> Interval:
        counts = self.counted(begin, end)
        if counts.days >= _COUNTED_SHARE * (end - begin):
            counts = counts.covering(end - begin)
        programme = self.programme(begin, end, counts)
        per_day = counts.per_day if counts.days == end - begin else None
        filled_ml, aspirated_ml = self.fills[index].filled_ml, self.fills[index + 1].aspirated_ml
        return Interval(filled_ml, aspirated_ml, programme, per_day, most_boluses_per_day(programme))

    def _taught(
        self, known: PumpKnowledge, interval: Interval, newest: bool, rules: RefillRules
    ) -> PumpKnowledge:
        if interval.allowed_per_day and interval.counted_per_day is not None:
            known = _with_counts(known, interval, interval.counted_per_day, rules)
        if interval.aspirated_ml is None:
            return known
        exposed = exposure(interval.programme, known.belief.boluses_per_day)
        habit_sd = habit_sd_per_day(known, interval.allowed_per_day, rules)
        if newest:
            last_refill = self._reconciled(
                known.belief, interval, interval.aspirated_ml, exposed, habit_sd, rules
            )
            known = PumpKnowledge(known.belief, known.habit, last_refill)
        return _with_residual(known, interval, interval.aspirated_ml, exposed, habit_sd, rules)

    def _reconciled(
        self,
        belief: FlowBelief,
        interval: Interval,
        aspirated_ml: float,
        exposed: Exposure,
        habit_sd: float,
        rules: RefillRules,
    ) -> Reconciliation:
        programmed_ml = belief.programmed_ml(exposed)
        return reconcile(
            expected_ml=interval.filled_ml - programmed_ml,
            aspirated_ml=aspirated_ml,
            volume_after_last_fill_ml=interval.filled_ml,
            reservoir_ml=self.pump.reservoir_ml,
            accuracy_pct=self.pump.accuracy_pct,
            usual=belief.usual(exposed, habit_sd) if programmed_ml > 0 else None,
            rules=rules,
        )


def most_boluses_per_day(programme: Iterable[PumpSetting | Stretch]) -> float:
    """The most boluses per day that the lockout gives anywhere in a programme."""
    return max([row.max_boluses_per_day for row in programme if row.allows_boluses], default=0.0)


def habit_sd_per_day(known: PumpKnowledge, allowed_per_day: float, rules: RefillRules) -> float:
    """How far a patient's boluses per day spread from interval to interval."""
    if allowed_per_day <= 0:
        return 0.0
    usual = max(known.belief.boluses_per_day, rules.bolus_least_share * allowed_per_day)
    return known.habit.sd_per_day(usual, rules)


def _with_counts(
    known: PumpKnowledge, interval: Interval, per_day: float, rules: RefillRules
) -> PumpKnowledge:
    habit_sd = habit_sd_per_day(known, interval.allowed_per_day, rules)
    belief = counted(known.belief, per_day, habit_sd, rules)
    return PumpKnowledge(belief, known.habit.with_interval(per_day), known.last_refill)


def _with_residual(
    known: PumpKnowledge,
    interval: Interval,
    aspirated_ml: float,
    exposed: Exposure,
    habit_sd: float,
    rules: RefillRules,
) -> PumpKnowledge:
    if known.belief.programmed_ml(exposed) <= 0:
        return known
    delivered_ml = interval.filled_ml - aspirated_ml
    learn = learned_from_empty if aspirated_ml <= rules.found_empty_ml else learned
    belief = learn(known.belief, exposed, delivered_ml, habit_sd, rules)
    habit = known.habit
    if rules.emptying_sd_ml < exposed.ml_per_rate * interval.allowed_per_day:
        # Rates by the prior ratio: only their spread is used, so a steady error of the ratio does no harm.
        per_day = (delivered_ml / rules.flow_prior_mean - exposed.known_ml) / exposed.ml_per_rate
        most = interval.allowed_per_day
        habit = habit.with_interval(min(max(per_day, -most), 2 * most))
    return PumpKnowledge(belief, habit, known.last_refill)
