"""What a refill visit says about the pump: the residual that was expected against the one that was drawn out.

Sign as in the literature: a positive difference is less drug left than expected (over-infusion, an earlier
pocket fill, a leak, diversion), a negative one is more (stall, occlusion, under-infusion).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

from sc_stim.clinical import reference
from sc_stim.clinical.flow_belief import FlowRatio, prior, surprise
from sc_stim.clinical.refill_rules import RefillRules, shipped_rules

REMEASURE: Final = "remeasure"
POSSIBLE_POCKET_FILL: Final = "possible_pocket_fill"
POSSIBLE_OVER_INFUSION: Final = "possible_over_infusion"
POSSIBLE_UNDER_INFUSION: Final = "possible_under_infusion"


@dataclass(frozen=True, slots=True)
class Flag:
    """`name` is one of the constants above, `rule` the rule that fired, `sentence` says it with its figures."""

    name: str
    rule: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`ratio`: volume delivered by measurement over volume programmed; None when nothing was programmed.

    `surprise_sd`: standard deviations between that ratio and the one expected of this pump.
    """

    expected_ml: float
    aspirated_ml: float
    difference_ml: float
    delivered_ml: float
    programmed_ml: float
    ratio: float | None
    surprise_sd: float | None
    flags: tuple[Flag, ...]

    @property
    def flag_names(self) -> tuple[str, ...]:
        """Each flag once, in the order in which they were raised."""
        return tuple(dict.fromkeys(flag.name for flag in self.flags))


@dataclass(frozen=True, slots=True)
class FlagSeverity:
    """How bad a flag is, as FHIR devicealert-priority, by what stopping the drugs in the pump does."""

    severity: str
    by_withdrawal: dict[str, str]
    source: str
    note: str

    def for_class(self, withdrawal_class: str) -> str:
        return self.by_withdrawal.get(withdrawal_class, self.severity)


@cache
def flag_severities() -> dict[str, FlagSeverity]:
    """The flags that are alerts, worst first (data/refill.json)."""
    return {
        name: FlagSeverity(entry["severity"], entry.get("by_withdrawal", {}), entry["source"], entry["note"])
        for name, entry in reference.load("refill.json")["flags"].items()
    }


def alerting(flags: Iterable[str]) -> list[str]:
    """Those of a fill's flags that are alerts; to measure again is one only where no other flag says more."""
    found = [name for name in flag_severities() if name in set(flags)]
    return [name for name in found if name != REMEASURE or len(found) == 1]


def reconcile(
    *,
    expected_ml: float,
    aspirated_ml: float,
    volume_after_last_fill_ml: float,
    reservoir_ml: float,
    accuracy_pct: float | None = None,
    usual: FlowRatio | None = None,
    injected_ml: float | None = None,
    measured_after_ml: float | None = None,
    rules: RefillRules | None = None,
) -> Reconciliation:
    """Compare one refill with the pump's own arithmetic.

    `expected_ml` is the residual by programmed arithmetic, below zero if the pump should have run dry.
    `usual` is the ratio of delivered to programmed volume that is usual for this pump
    (flow_belief.FlowBelief.usual); None: a pump never measured. `injected_ml` and `measured_after_ml`: what
    went in, and what was measured in the reservoir afterwards.
    """
    rules = rules or shipped_rules()
    programmed_ml = volume_after_last_fill_ml - expected_ml
    expected_ml = max(0.0, expected_ml)
    delivered_ml = volume_after_last_fill_ml - aspirated_ml
    difference_ml = expected_ml - aspirated_ml
    ratio = surprise_sd = None
    flags = _remeasure_by_difference(difference_ml, rules)
    if programmed_ml > 0:
        usual = usual or prior(rules, accuracy_pct).flow_ratio
        ratio = delivered_ml / programmed_ml
        surprise_sd = surprise(usual, ratio, programmed_ml, rules)
        change = f"{100 * (ratio - 1):+.0f} %"
        measured = f"{delivered_ml:.1f} mL delivered for {programmed_ml:.1f} mL programmed ({change})"
        found_empty = aspirated_ml <= rules.found_empty_ml
        # A pump found empty delivered at least this much: that cannot speak of a slow one.
        if not found_empty or ratio > usual.mean:
            flags += _remeasure_by_accuracy(ratio, accuracy_pct, measured)
            flags += _flow_flags(surprise_sd, usual, found_empty, measured, rules)
        if found_empty:
            flags += _pocket_fill_when_empty(expected_ml, surprise_sd, rules)
    if injected_ml is not None and measured_after_ml is not None:
        flags += pocket_fill_flags(injected_ml, measured_after_ml, reservoir_ml, rules)
    return Reconciliation(
        expected_ml,
        aspirated_ml,
        difference_ml,
        delivered_ml,
        programmed_ml,
        ratio,
        surprise_sd,
        tuple(flags),
    )


def _remeasure_by_difference(difference_ml: float, rules: RefillRules) -> list[Flag]:
    if abs(difference_ml) <= rules.remeasure_difference_ml:
        return []
    sentence = (
        f"{abs(difference_ml):.1f} mL {'less' if difference_ml > 0 else 'more'} than expected was drawn out,"
        f" above {rules.remeasure_difference_ml:g} mL: measure again"
    )
    return [Flag(REMEASURE, "difference_above_limit", sentence)]


def _remeasure_by_accuracy(ratio: float, accuracy_pct: float | None, measured: str) -> list[Flag]:
    if accuracy_pct is None or abs(ratio - 1) * 100 <= accuracy_pct:
        return []
    sentence = f"{measured}, outside the labelled {accuracy_pct:g} %: measure again"
    return [Flag(REMEASURE, "outside_labelled_accuracy", sentence)]


def _flow_flags(
    surprise_sd: float, usual: FlowRatio, found_empty: bool, measured: str, rules: RefillRules
) -> list[Flag]:
    """An empty reservoir shows only part of what is missing, so less surprise is enough."""
    over = surprise_sd > (rules.flow_flag_when_empty if found_empty else rules.flow_flag)
    if not over and surprise_sd >= -rules.flow_flag:
        return []
    sentence = (
        f"{measured}, {abs(surprise_sd):.1f} standard deviations {'above' if over else 'below'}"
        f" the {usual.mean:.2f} times that is usual for this pump"
    )
    return [
        Flag(POSSIBLE_OVER_INFUSION if over else POSSIBLE_UNDER_INFUSION, "flow_ratio_surprise", sentence)
    ]


def _pocket_fill_when_empty(expected_ml: float, surprise_sd: float, rules: RefillRules) -> list[Flag]:
    """An empty reservoir hides how much is missing: a fill beside the reservoir is as likely as a fast pump."""
    if surprise_sd <= rules.flow_flag_when_empty:
        return []
    sentence = f"found empty with {expected_ml:.1f} mL expected: the last fill may have missed the reservoir"
    return [Flag(POSSIBLE_POCKET_FILL, "found_empty", sentence)]


def pocket_fill_flags(
    injected_ml: float, measured_ml: float, reservoir_ml: float, rules: RefillRules
) -> list[Flag]:
    """The check after filling alone, for a first fill, which has no residual to compare."""
    small = reservoir_ml <= rules.small_pump_up_to_ml
    limit_ml = rules.pocket_fill_small_pump_ml if small else rules.pocket_fill_large_pump_ml
    if injected_ml - measured_ml <= limit_ml:
        return []
    sentence = (
        f"{injected_ml:.1f} mL injected but {measured_ml:.1f} mL measured, more than {limit_ml:g} mL missing"
    )
    return [Flag(POSSIBLE_POCKET_FILL, "injected_above_measured", sentence)]
