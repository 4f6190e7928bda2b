"""Intrathecal drugs: strengths, dose limits, stability in the pump and what stopping them does.

The figures live in data/drugs.json. A clinic may load its own formulary of the same form. Limits warn, never
block: textbook ranges are far wider than consensus ceilings (clinical rules, section on drugs).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from sc_stim.clinical import reference
from sc_stim.clinical.pump_record import DrugInPump
from sc_stim.clinical.reference import Figure
from sc_stim.clinical.refusal import Refused
from sc_stim.clinical.units import convert

# From the most to the least dangerous when the drug stops; each drug of the formulary names one of these.
WITHDRAWAL_CLASSES: Final = ("life_threatening", "severe", "opioid", "none")


class UnknownDrug(LookupError):
    """The drug is not in the formulary."""


@dataclass(frozen=True, slots=True)
class Drug:
    """`limits` by kind; `stability` by fill: "first_fill", "undiluted" or "any". `no_patient_bolus`: the source that
    forbids boluses by the patient, None where none does.
    """

    name: str
    approved_intrathecal: bool
    withdrawal_class: str
    withdrawal_onset: Figure | None
    withdrawal_source: str
    warning: str
    strengths: tuple[Figure, ...]
    limits: dict[str, Figure]
    stability: dict[str, Figure]
    no_patient_bolus: str | None = None

    @property
    def undiluted_mg_per_ml(self) -> float:
        """The strongest solution sold: only this is surely undiluted."""
        return max(convert(strength.value, strength.unit, "mg/mL") for strength in self.strengths)


@dataclass(frozen=True, slots=True)
class LimitWarning:
    """A programmed value above a limit, with the figure it was compared with."""

    drug: str
    limit: str
    actual: float
    figure: Figure

    def __str__(self) -> str:
        limit = self.limit.replace("_", " ")
        return f"{self.drug}: {self.actual:g} {self.figure.unit} is above the {limit} of {self.figure}"


@dataclass(frozen=True, slots=True)
class Formulary:
    """The drugs a clinic uses. `mixtures`: stability of studied mixtures, by their set of drug names."""

    version: str
    drugs: dict[str, Drug]
    mixtures: dict[frozenset[str], Figure]

    def lookup(self, name: str) -> Drug:
        """The drug of exactly this name. Raises UnknownDrug, which names it and the known ones."""
        try:
            return self.drugs[name]
        except KeyError:
            known = ", ".join(sorted(self.drugs))
            raise UnknownDrug(f"drug {name!r} is not in the formulary; known drugs: {known}") from None

    def stability(self, drugs: Sequence[DrugInPump], *, first_fill: bool) -> Figure:
        """Days a filled mixture lasts in the pump. Raises UnknownDrug.

        A mixture nobody studied gets the shortest figure of its parts, and that is unverified.
        """
        if len(drugs) == 1:
            return _stability_alone(self.lookup(drugs[0].name), first_fill, drugs[0].mg_per_ml)
        alone = [_stability_alone(self.lookup(drug.name), first_fill, None) for drug in drugs]
        studied = self.mixtures.get(frozenset(drug.name for drug in drugs))
        if studied is not None:
            return studied
        shortest = min(figure.value for figure in alone)
        return Figure(shortest, "d", None, "mixture not studied: the shortest figure of its drugs is taken")

    def withdrawal_class(self, names: Iterable[str]) -> str:
        """The most dangerous class of these drugs; the worst when none is named. Raises UnknownDrug."""
        ranks = [WITHDRAWAL_CLASSES.index(self.lookup(name).withdrawal_class) for name in names]
        return WITHDRAWAL_CLASSES[min(ranks, default=0)]

    def limit_warnings(
        self, drugs: Sequence[DrugInPump], flow_ml_per_day: float, bolus_ml_per_day: float = 0.0
    ) -> list[LimitWarning]:
        """Doses and concentrations above a limit, when every allowed bolus is taken. Raises UnknownDrug."""
        volume_ml_per_day = flow_ml_per_day + bolus_ml_per_day
        return [
            warning
            for drug in drugs
            if drug.mg_per_ml is not None
            for warning in _limit_warnings(self.lookup(drug.name), drug.mg_per_ml, volume_ml_per_day)
        ]


def formulary_from(document: dict[str, Any]) -> Formulary:
    """A formulary from its JSON form (see data/drugs.json). Raises ReferenceDataError or KeyError."""
    mixtures = {frozenset(row["drugs"]): reference.figure(row["stability"]) for row in document["mixtures"]}
    drugs = {name: _drug(name, entry) for name, entry in document["drugs"].items()}
    return Formulary(document["version"], drugs, mixtures)


@cache
def shipped_formulary() -> Formulary:
    return formulary_from(reference.load("drugs.json"))


def daily_dose_mg(
    drug: DrugInPump, ml_per_day: float, at: datetime, bridge_ends_at: datetime | None = None
) -> float | Refused:
    """Programmed dose per day. During a bridge bolus the catheter still holds the old concentration: refused."""
    if drug.mg_per_ml is None:
        return Refused("unknown_concentration", f"record the concentration of {drug.name}")
    if bridge_ends_at is not None and at < bridge_ends_at:
        return Refused(
            "bridge_bolus",
            f"a bridge bolus runs until {bridge_ends_at}: until then the dose is not that of the new drug",
        )
    return drug.mg_per_ml * ml_per_day


def _drug(name: str, entry: dict[str, Any]) -> Drug:
    withdrawal = entry["withdrawal"]
    if withdrawal["class"] not in WITHDRAWAL_CLASSES:
        raise reference.ReferenceDataError(
            f"{name}: withdrawal class must be one of {', '.join(WITHDRAWAL_CLASSES)}"
        )
    return Drug(
        name=name,
        approved_intrathecal=entry["approved_intrathecal"],
        withdrawal_class=withdrawal["class"],
        withdrawal_onset=reference.figure(withdrawal["onset"]) if withdrawal["onset"] else None,
        withdrawal_source=withdrawal["source"],
        warning=entry["warning"],
        strengths=tuple(map(reference.figure, entry["strengths"])),
        limits={kind: reference.figure(figure) for kind, figure in entry["limits"].items()},
        stability={fill: reference.figure(figure) for fill, figure in entry["stability"].items()},
        no_patient_bolus=entry.get("no_patient_bolus"),
    )


def _stability_alone(drug: Drug, first_fill: bool, unmixed_mg_per_ml: float | None) -> Figure:
    if first_fill and "first_fill" in drug.stability:
        return drug.stability["first_fill"]
    if "undiluted" in drug.stability and unmixed_mg_per_ml and unmixed_mg_per_ml >= drug.undiluted_mg_per_ml:
        return drug.stability["undiluted"]
    return drug.stability["any"]


def _limit_warnings(drug: Drug, mg_per_ml: float, volume_ml_per_day: float) -> Iterable[LimitWarning]:
    for kind, limit in drug.limits.items():
        if kind.startswith("start_"):
            continue  # a starting dose says nothing about later settings
        if kind == "concentration_ceiling":
            actual = convert(mg_per_ml, "mg/mL", limit.unit)
        else:
            actual = convert(mg_per_ml * volume_ml_per_day, "mg/d", limit.unit)
        if actual > limit.value:
            yield LimitWarning(drug.name, kind, actual, limit)
