"""The figures the refill rules compute with, as numbers; data/refill.json has their units, sources and marks."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sc_stim.clinical import reference


@dataclass(frozen=True, slots=True)
class RefillRules:
    """Field names are the names of the figures, with their units."""

    max_interval_d: float
    low_reservoir_alarm_ml: float
    shortest_plausible_emptying_d: float
    longest_fill_age_d: float
    withdrawal_floor_ml: float
    eri_to_end_of_service_d: float
    settings_alike: float
    overfill: float
    read_alike_ml: float
    longest_reading_age_d: float
    contradicting_reading_ml: float
    settings_gap_d: float
    empty_chance: float
    empty_chance_early_boluses: float
    remeasure_difference_ml: float
    pocket_fill_small_pump_ml: float
    pocket_fill_large_pump_ml: float
    small_pump_up_to_ml: float
    found_empty_ml: float
    flow_flag: float
    flow_flag_when_empty: float
    flow_downweight: float
    flow_prior_mean: float
    flow_prior_sd: float
    flow_drift_sd: float
    flow_least: float
    syringe_sd_ml: float
    emptying_sd_ml: float
    bolus_cv: float
    bolus_cv_weight: float
    bolus_least_share: float
    bolus_high_sd: float
    bolus_count_least_d: float


def rules_from(document: dict[str, Any]) -> RefillRules:
    """Rules from their JSON form (see data/refill.json). Raises ReferenceDataError or TypeError on a bad one."""
    return RefillRules(**{name: reference.figure(entry).value for name, entry in document["figures"].items()})


@cache
def shipped_rules() -> RefillRules:
    return rules_from(reference.load("refill.json"))
