"""The order of the refill worklist: by danger, not by date.

A baclofen pump due in three days stands above a morphine pump due in two, because stopping baclofen can kill.
A pump that has stopped stands above all others, and one without a forecast counts as empty.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import cache
from math import inf
from typing import Any, Final

from sc_stim.clinical import reference
from sc_stim.clinical.reconciliation import POSSIBLE_OVER_INFUSION
from sc_stim.clinical.refill import Forecast
from sc_stim.clinical.refusal import Refused


class RiskLabel(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Reason(StrEnum):
    THERAPY_STOPPED = "therapy_stopped"
    NO_FORECAST = "no_forecast"
    MAY_BE_EMPTY = "may_be_empty"
    OVERDUE = "overdue"
    LIFE_THREATENING_WITHDRAWAL = "life_threatening_withdrawal"
    SEVERE_WITHDRAWAL = "severe_withdrawal"
    OPIOID_WITHDRAWAL = "opioid_withdrawal"
    MISSED_VISITS = "missed_visits"
    UNREACHABLE = "unreachable"
    POSSIBLE_OVER_INFUSION = "possible_over_infusion"


# Each reason as the worklist says it.
SENTENCES: Final = {
    Reason.THERAPY_STOPPED: "The pump has stopped",
    Reason.NO_FORECAST: "No refill date can be computed",
    Reason.MAY_BE_EMPTY: "May be empty already",
    Reason.OVERDUE: "Refill date has passed",
    Reason.LIFE_THREATENING_WITHDRAWAL: "Stopping this drug suddenly can kill",
    Reason.SEVERE_WITHDRAWAL: "Severe withdrawal when it runs dry",
    Reason.OPIOID_WITHDRAWAL: "Opioid withdrawal when it runs dry",
    Reason.MISSED_VISITS: "Missed a visit",
    Reason.UNREACHABLE: "No way to reach the patient",
    Reason.POSSIBLE_OVER_INFUSION: "Empties faster than programmed",
}

# A pump that has stopped, or of which nothing is known, counts as empty since an hour.
_AS_IF_EMPTY_H = -1.0
_WITHDRAWAL_REASONS = {
    "life_threatening": Reason.LIFE_THREATENING_WITHDRAWAL,
    "severe": Reason.SEVERE_WITHDRAWAL,
    "opioid": Reason.OPIOID_WITHDRAWAL,
}


@dataclass(frozen=True, slots=True)
class PumpAtRisk:
    """What the order is made of. `withdrawal_class`: drugs.Formulary.withdrawal_class of the drugs in the
    pump.

    `therapy_stopped`: a condition that stops therapy holds now (see conditions).
    """

    forecast: Forecast | Refused
    withdrawal_class: str
    timezone: tzinfo
    therapy_stopped: bool = False
    missed_visits: int = 0
    reachable: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Risk:
    """Sorts most dangerous first: stopped pumps, then by weighted hours.

    `hours_until_empty` counts to the earliest empty moment; None: unknown or never. `weighted_hours` is that
    time (or the due date, see data/risk.json) divided by the danger of the drug and of the circumstances.
    """

    running: bool
    weighted_hours: float
    label: RiskLabel = field(compare=False)
    hours_until_empty: float | None = field(compare=False)
    reasons: tuple[Reason, ...] = field(compare=False)


@dataclass(frozen=True, slots=True)
class RiskRules:
    """Field names are the names of the figures in data/risk.json, with their units."""

    weight_life_threatening: float
    weight_severe: float
    weight_opioid: float
    weight_none: float
    weight_per_missed_visit: float
    weight_unreachable: float
    weight_over_infusion: float
    due_before_empty_h: float
    high_below_h: float
    medium_below_h: float

    def withdrawal_weight(self, withdrawal_class: str) -> float:
        return {
            "life_threatening": self.weight_life_threatening,
            "severe": self.weight_severe,
            "opioid": self.weight_opioid,
            "none": self.weight_none,
        }[withdrawal_class]


def rules_from(document: dict[str, Any]) -> RiskRules:
    """Rules from their JSON form (see data/risk.json). Raises ReferenceDataError or TypeError on a bad one."""
    return RiskRules(**{name: reference.figure(entry).value for name, entry in document["figures"].items()})


@cache
def shipped_rules() -> RiskRules:
    return rules_from(reference.load("risk.json"))


def judge_risk(pump: PumpAtRisk, at: datetime, rules: RiskRules | None = None) -> Risk:
    """The place of one pump on the worklist at `at`."""
    rules = rules or shipped_rules()
    until_empty, until_due = _hours_until_empty(pump.forecast, at), _hours_until_due(pump, at)
    hours = min(until_empty, until_due + rules.due_before_empty_h)
    if pump.therapy_stopped or isinstance(pump.forecast, Refused):
        hours = _AS_IF_EMPTY_H
    weight = _weight(pump, rules)
    # Past the moment, danger grows with the weight instead of being divided by it.
    weighted = hours / weight if hours > 0 else hours * weight
    return Risk(
        running=not pump.therapy_stopped,
        weighted_hours=weighted,
        label=_label(weighted, pump, rules),
        hours_until_empty=until_empty if until_empty < inf else None,
        reasons=tuple(_reasons(pump, until_empty, until_due)),
    )


def explained(pump: PumpAtRisk, risk: Risk, rules: RiskRules | None = None) -> list[str]:
    """Why a pump stands where it stands, in words and with the weights that count."""
    rules = rules or shipped_rules()
    said = [SENTENCES[reason] for reason in risk.reasons]
    if pump.missed_visits > 1:
        said[risk.reasons.index(Reason.MISSED_VISITS)] = f"Missed {pump.missed_visits} visits"
    weight = _weight(pump, rules)
    if weight != 1:
        said.append(f"An hour without the drug counts {weight:g} times")
    if not isinstance(pump.forecast, Refused) and pump.forecast.earliest_empty is not None:
        empty = pump.forecast.earliest_empty.astimezone(pump.timezone)
        said.append(f"Empty at the earliest on {empty:%Y-%m-%d at %H:%M}")
    return said


def _hours_until_empty(forecast: Forecast | Refused, at: datetime) -> float:
    """Infinite when it never is, or when nobody knows."""
    if isinstance(forecast, Refused) or forecast.earliest_empty is None:
        return inf
    return (forecast.earliest_empty - at) / timedelta(hours=1)


def _hours_until_due(pump: PumpAtRisk, at: datetime) -> float:
    """Hours to the end of the local day of the refill date."""
    if isinstance(pump.forecast, Refused):
        return inf
    day_after = pump.forecast.refill_by + timedelta(days=1)
    return (datetime.combine(day_after, time(), pump.timezone) - at) / timedelta(hours=1)


def _weight(pump: PumpAtRisk, rules: RiskRules) -> float:
    weight = rules.withdrawal_weight(pump.withdrawal_class)
    weight *= 1 + rules.weight_per_missed_visit * pump.missed_visits
    if not pump.reachable:
        weight *= rules.weight_unreachable
    if _over_infusing(pump):
        weight *= rules.weight_over_infusion
    return weight


def _over_infusing(pump: PumpAtRisk) -> bool:
    return isinstance(pump.forecast, Forecast) and POSSIBLE_OVER_INFUSION in pump.forecast.flags


def _label(weighted_hours: float, pump: PumpAtRisk, rules: RiskRules) -> RiskLabel:
    if pump.therapy_stopped or weighted_hours <= rules.high_below_h:
        return RiskLabel.HIGH
    return RiskLabel.MEDIUM if weighted_hours <= rules.medium_below_h else RiskLabel.LOW


def _reasons(pump: PumpAtRisk, until_empty: float, until_due: float) -> Iterator[Reason]:
    facts = (
        (pump.therapy_stopped, Reason.THERAPY_STOPPED),
        (isinstance(pump.forecast, Refused), Reason.NO_FORECAST),
        (until_empty <= 0, Reason.MAY_BE_EMPTY),
        (until_due <= 0, Reason.OVERDUE),
        (pump.missed_visits > 0, Reason.MISSED_VISITS),
        (not pump.reachable, Reason.UNREACHABLE),
        (_over_infusing(pump), Reason.POSSIBLE_OVER_INFUSION),
    )
    yield from (reason for holds, reason in facts if holds)
    if pump.withdrawal_class in _WITHDRAWAL_REASONS:
        yield _WITHDRAWAL_REASONS[pump.withdrawal_class]
