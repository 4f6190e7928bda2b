"""What the recorded refills of one pump teach: its flow ratio, its patient's bolus use, and what the last one showed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Final

from sc_stim.clinical.bolus_use import BolusUse
from sc_stim.clinical.delivery import (
    CountedBoluses,
    Stretch,
    counted_boluses,
    day_number,
    programmed_ml,
    stretches,
)
from sc_stim.clinical.flow_ratio import FlowRatio, Residual, drifted, learned, prior
from sc_stim.clinical.pump_record import Fill, PumpRecord, PumpSetting
from sc_stim.clinical.reconciliation import Reconciliation, reconcile
from sc_stim.clinical.refill_rules import RefillRules

# Counts of less than this share of an interval do not stand for its rate.
_COUNTED_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class PumpKnowledge:
    """`flow` is the belief about the running interval; `last_refill` the newest fill with a measured residual."""

    flow: FlowRatio
    use: BolusUse = BolusUse()
    last_refill: Reconciliation | None = None


class PumpHistory:
    """The fills of a pump up to a moment, in order, and the programme between them."""

    def __init__(self, pump: PumpRecord, until: float, zone: tzinfo) -> None:
        self.pump = pump
        self.zone = zone
        fills = sorted((day_number(fill.at), index) for index, fill in enumerate(pump.fills))
        self.fill_days = [day for day, _ in fills if day <= until]
        self.fills = [pump.fills[index] for day, index in fills if day <= until]
        settings = sorted((day_number(setting.since), index) for index, setting in enumerate(pump.settings))
        self.setting_days = [day for day, _ in settings]
        self.settings: list[PumpSetting] = [pump.settings[index] for _, index in settings]

    def counted(self, begin: float, end: float) -> CountedBoluses:
        if not self.pump.boluses:
            return CountedBoluses()
        return counted_boluses(self.pump.boluses, begin, end, self.zone)

    def programme(self, begin: float, end: float, counted: CountedBoluses) -> list[Stretch]:
        return stretches(self.settings, self.setting_days, begin, end, counted)

    def programmed_since(self, begin: float, settings_gap_d: float) -> bool:
        """Whether the settings reach back to `begin`."""
        return bool(self.setting_days) and self.setting_days[0] <= begin + settings_gap_d

    def learn(self, rules: RefillRules) -> PumpKnowledge:
        """Go through the intervals between fills, oldest first. Intervals without settings teach nothing."""
        known = PumpKnowledge(drifted(prior(rules, self.pump.accuracy_pct), rules))
        for index in range(len(self.fills) - 1):
            begin, end = self.fill_days[index], self.fill_days[index + 1]
            if end > begin and self.programmed_since(begin, rules.settings_gap_d):
                interval = _Interval(self, self.fills[index], self.fills[index + 1], begin, end)
                known = interval.teach(known, rules)
            known = replace(known, flow=drifted(known.flow, rules))
        return known


class _Interval:
    """From one fill to the next."""

    def __init__(self, history: PumpHistory, first: Fill, last: Fill, begin: float, end: float) -> None:
        self.pump = history.pump
        self.first = first
        self.last = last
        self.days = end - begin
        self.counted = history.counted(begin, end)
        self.programme = history.programme(begin, end, self.counted)

    def teach(self, known: PumpKnowledge, rules: RefillRules) -> PumpKnowledge:
        if self.last.aspirated_ml is None:
            return replace(known, use=self._use(known, None))
        delivered_ml = self.first.filled_ml - self.last.aspirated_ml
        residual = self._residual(known.use, delivered_ml, rules)
        last_refill = self._reconciled(known.flow, residual, self.last.aspirated_ml, rules)
        found_empty = self.last.aspirated_ml <= rules.found_empty_ml
        if residual.programmed_ml <= 0 or (found_empty and residual.ratio <= known.flow.mean):
            # A pump that ran dry delivered at least this much: that says nothing about a slow one.
            return replace(known, last_refill=last_refill)
        flow = learned(known.flow, residual, rules)
        return PumpKnowledge(flow, self._use(replace(known, flow=flow), delivered_ml), last_refill)

    def _residual(self, use: BolusUse, delivered_ml: float, rules: RefillRules) -> Residual:
        allowed_per_day = max(stretch.max_boluses_per_day for stretch in self.programme)
        mean, sd = use.likely_per_day(allowed_per_day, rules)
        expected_ml = programmed_ml(self.programme, mean)
        return Residual(delivered_ml, expected_ml, expected_ml - programmed_ml(self.programme, max(0.0, mean - sd)))

    def _reconciled(
        self, flow: FlowRatio, residual: Residual, aspirated_ml: float, rules: RefillRules
    ) -> Reconciliation:
        return reconcile(
            expected_ml=max(0.0, self.first.filled_ml - residual.programmed_ml),
            aspirated_ml=aspirated_ml,
            volume_after_last_fill_ml=self.first.filled_ml,
            reservoir_ml=self.pump.reservoir_ml,
            accuracy_pct=self.pump.accuracy_pct,
            flow=flow,
            programmed_sd_ml=residual.programmed_sd_ml,
            rules=rules,
        )

    def _use(self, known: PumpKnowledge, delivered_ml: float | None) -> BolusUse:
        """Bolus use with this interval's rate: counted, or else what the residual leaves after the basal flow."""
        allowing = [stretch for stretch in self.programme if stretch.allows_boluses]
        if not allowing:
            return known.use
        if self.counted.days >= _COUNTED_SHARE * self.days:
            return known.use.with_interval(self.counted.per_day)
        if delivered_ml is None:
            return known.use
        bolus_ml = delivered_ml / known.flow.mean - programmed_ml(self.programme, 0.0)
        per_day = bolus_ml / sum(stretch.days * stretch.bolus_ml for stretch in allowing if not stretch.counted)
        allowed_per_day = max(stretch.max_boluses_per_day for stretch in allowing)
        return known.use.with_interval(min(max(per_day, 0.0), allowed_per_day))
