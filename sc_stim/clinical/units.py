"""The units this software accepts, by their UCUM codes, and exact conversion between them.

An unknown unit is refused by name: a unit that is silently taken for another is how a patient is overdosed.
"""

from fractions import Fraction
from functools import lru_cache
from typing import Final


class UnitError(ValueError):
    """The unit is not accepted, or does not measure the same thing as the other one."""


_DAY: Final = 86_400

# UCUM code -> (what it measures, factor to the base unit of that quantity)
UNITS: Final[dict[str, tuple[str, Fraction]]] = {
    "mL": ("volume", Fraction(1)),
    "uL": ("volume", Fraction(1, 1000)),
    "mL/d": ("flow", Fraction(1)),
    "mL/h": ("flow", Fraction(24)),
    "mg": ("mass", Fraction(1)),
    "ug": ("mass", Fraction(1, 1000)),
    "mg/d": ("dose rate", Fraction(1)),
    "ug/d": ("dose rate", Fraction(1, 1000)),
    "ug/h": ("dose rate", Fraction(24, 1000)),
    "mg/mL": ("concentration", Fraction(1)),
    "ug/mL": ("concentration", Fraction(1, 1000)),
    "Ohm": ("resistance", Fraction(1)),
    "kOhm": ("resistance", Fraction(1000)),
    "mA": ("current", Fraction(1)),
    "uA": ("current", Fraction(1, 1000)),
    "us": ("time", Fraction(1, 1_000_000)),
    "ms": ("time", Fraction(1, 1000)),
    "s": ("time", Fraction(1)),
    "min": ("time", Fraction(60)),
    "h": ("time", Fraction(3600)),
    "d": ("time", Fraction(_DAY)),
    "mo": ("time", Fraction(_DAY) * Fraction(36525, 1200)),
    "Hz": ("frequency", Fraction(1)),
    "V": ("voltage", Fraction(1)),
    "mV": ("voltage", Fraction(1, 1000)),
    "%": ("share", Fraction(1, 100)),
    "1": ("share", Fraction(1)),
    "{score}": ("score", Fraction(1)),
}

# Spellings people write, and the code they should have written.
_SLIPS: Final = {
    "ml": "mL",
    "cc": "mL",
    "ml/d": "mL/d",
    "mL/day": "mL/d",
    "ml/day": "mL/d",
    "mcg": "ug",
    "µg": "ug",
    "mcg/d": "ug/d",
    "µg/d": "ug/d",
    "mcg/day": "ug/d",
    "µg/day": "ug/d",
    "mg/day": "mg/d",
    "mcg/mL": "ug/mL",
    "µg/mL": "ug/mL",
    "ohm": "Ohm",
    "Ω": "Ohm",
    "kΩ": "kOhm",
    "usec": "us",
    "µs": "us",
    "hz": "Hz",
}


@lru_cache(maxsize=1024)  # the same few figures again and again
def convert(value: float, from_unit: str, to_unit: str) -> float:
    """The value in the other unit, rounded once to the nearest float."""
    return float(Fraction(value) * ratio(from_unit, to_unit))


def ratio(from_unit: str, to_unit: str) -> Fraction:
    """How many of `to_unit` make one `from_unit`, exactly. Raises UnitError."""
    from_quantity, from_factor = _known(from_unit)
    to_quantity, to_factor = _known(to_unit)
    if from_quantity != to_quantity:
        raise UnitError(f"unit {from_unit!r} measures {from_quantity}, {to_unit!r} measures {to_quantity}")
    return from_factor / to_factor


def check_unit(unit: str) -> None:
    """Raise UnitError unless the unit is accepted."""
    _known(unit)


def days_to_empty(volume_ml: float, flow_ml_per_day: float) -> float:
    """How long the volume lasts at this programmed flow; infinite when nothing flows."""
    return volume_ml / flow_ml_per_day if flow_ml_per_day > 0 else float("inf")


def flow_warning(volume_ml: float, flow_ml_per_day: float, shortest_plausible_days: float) -> str | None:
    """A sentence when the pump would empty so fast that mL/h was probably typed for mL/day."""
    days = days_to_empty(volume_ml, flow_ml_per_day)
    if days >= shortest_plausible_days:
        return None
    return (
        f"{volume_ml:g} mL at {flow_ml_per_day:g} mL/day would last {days:.1f} days:"
        f" if {flow_ml_per_day / 24:.3g} mL/day is meant, the rate was entered 24 times too high (mL/h for mL/day)"
    )


def _known(unit: str) -> tuple[str, Fraction]:
    if unit in UNITS:
        return UNITS[unit]
    if unit == "uS":
        raise UnitError("unit 'uS' is microsiemens: microseconds are written 'us'")
    meant = _SLIPS.get(unit)
    fix = f"write {meant!r}" if meant else f"use one of {', '.join(sorted(UNITS))}"
    raise UnitError(f"unit {unit!r} is not accepted: {fix}")
