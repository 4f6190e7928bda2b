"""What simulated devices and drugs are like: `reference.json` as types. For simulation only."""

from importlib import resources
from typing import Literal

import msgspec

Range = tuple[float, float]


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Model(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """gtin: 13 digits, the check digit of the UDI's device identifier is worked out."""

    manufacturer: str
    model: str
    gtin: str
    firmware: str
    service_years: float
    source: str = "simulation only"


class PumpModel(_Model, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reservoir_ml: float
    accuracy_pct: float


class StimulatorModel(_Model, frozen=True, kw_only=True, forbid_unknown_fields=True):
    power: Literal["rechargeable", "primary"]
    closed_loop: bool
    leads: tuple[int, ...]
    duty: float
    amplitude_ma: Range
    pulse_width_us: Range
    rate_hz: Range


class Recipe(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a pump is filled with. `mg_per_ml` are the strengths of the first drug, which decides the rate."""

    key: str
    drugs: tuple[str, ...]
    mg_per_ml: tuple[float, ...]
    mg_per_day: Range
    stability_days: float
    reservoirs_ml: tuple[float, ...]
    boluses: bool
    second_mg_per_ml: float | None


class Withdrawal(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    onset_h: float
    full_h: float
    symptoms: tuple[str, ...]
    source: str

    def share(self, hours: float) -> float:
        """How far withdrawal has come, 0-1, after so many hours without the drug."""
        return min(1.0, max(0.0, (hours - self.onset_h) / (self.full_h - self.onset_h)))


class Reference(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    about: str
    pumps: tuple[PumpModel, ...]
    stimulators: tuple[StimulatorModel, ...]
    recipes: tuple[Recipe, ...]
    withdrawal: dict[str, Withdrawal]


REFERENCE = msgspec.json.decode(
    (resources.files("simulators") / "reference.json").read_bytes(), type=Reference
)
RECIPES = {recipe.key: recipe for recipe in REFERENCE.recipes}


def withdrawal_of(drug: str) -> Withdrawal:
    """KeyError for a drug that no recipe uses first."""
    return REFERENCE.withdrawal[drug]


def gtin14(body13: str) -> str:
    """A GTIN-14 from its first 13 digits: the last one is the GS1 mod-10 check digit."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(body13))
    return body13 + str(-total % 10)
