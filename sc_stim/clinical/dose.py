"""Dose per day as programmed, for as long as that can be said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sc_stim.clinical.bridge import Bridge
from sc_stim.clinical.drugs import daily_dose_mg
from sc_stim.clinical.pump_record import DrugInPump
from sc_stim.clinical.refusal import Refused


@dataclass(frozen=True, slots=True)
class Dose:
    """`mg_per_day` by the programmed flow alone, `most_mg_per_day` with every allowed bolus."""

    drug: str
    mg_per_day: float
    most_mg_per_day: float


def doses(
    drugs: Sequence[DrugInPump],
    flow_ml_per_day: float,
    bolus_ml_per_day: float,
    at: datetime,
    running: Bridge | None = None,
) -> list[Dose] | Refused:
    """The dose of each drug in the pump; refused while a bridge runs and where a concentration is not known."""
    if not drugs:
        return Refused("no_drug_recorded", "record the drugs in this pump")
    until = running.until if running else None
    found: list[Dose] = []
    for drug in drugs:
        usual = daily_dose_mg(drug, flow_ml_per_day, at, until)
        most = daily_dose_mg(drug, flow_ml_per_day + bolus_ml_per_day, at, until)
        if isinstance(usual, Refused):
            return usual
        if isinstance(most, Refused):
            return most
        found.append(Dose(drug.name, usual, most))
    return found
