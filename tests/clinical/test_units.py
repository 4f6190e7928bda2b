from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical import units
from sc_stim.clinical.refill_rules import shipped_rules
from sc_stim.clinical.units import UnitError, convert, days_to_empty, flow_warning, ratio

PAIRS = [
    (one, other)
    for one, (quantity, _) in units.UNITS.items()
    for other, (other_quantity, _) in units.UNITS.items()
    if quantity == other_quantity
]


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "expected"),
    [
        (19.2, "ug/d", "mg/d", 0.0192),
        (0.1, "mg/mL", "ug/mL", 100.0),
        (0.5, "mL/h", "mL/d", 12.0),
        (25, "ug/h", "mg/d", 0.6),
        (40, "kOhm", "Ohm", 40_000),
        (450, "us", "ms", 0.45),
        (12, "mo", "d", 365.25),
        (14.5, "%", "1", 0.145),
    ],
)
def test_a_value_is_converted_exactly(value: float, from_unit: str, to_unit: str, expected: float) -> None:
    assert convert(value, from_unit, to_unit) == expected


@pytest.mark.parametrize(
    ("unit", "fix"),
    [
        ("mcg/d", "'ug/d'"),
        ("µg/day", "'ug/d'"),
        ("uS", "microsiemens"),
        ("usec", "'us'"),
        ("ohm", "'Ohm'"),
        ("mL/day", "'mL/d'"),
        ("furlong", "use one of"),
    ],
)
def test_an_unknown_unit_is_refused_by_name_with_the_fix(unit: str, fix: str) -> None:
    with pytest.raises(UnitError) as refused:
        convert(1, unit, "ug/d")
    assert repr(unit) in str(refused.value)
    assert fix in str(refused.value)


def test_units_of_different_quantities_do_not_convert() -> None:
    with pytest.raises(UnitError, match="'mg/d' measures dose rate, 'mg/mL' measures concentration"):
        convert(1, "mg/d", "mg/mL")


@given(st.sampled_from(PAIRS), st.fractions())
def test_a_conversion_there_and_back_changes_nothing(pair: tuple[str, str], value: Fraction) -> None:
    one, other = pair
    assert value * ratio(one, other) * ratio(other, one) == value


def refusal_of(unit: str) -> str | None:
    try:
        units.check_unit(unit)
    except UnitError as refused:
        return str(refused)
    return None


@given(st.one_of(st.text(max_size=6), st.sampled_from(sorted(units.UNITS))))
def test_any_text_is_a_unit_or_refused_by_name(unit: str) -> None:
    refusal = refusal_of(unit)
    assert refusal is None if unit in units.UNITS else repr(unit) in str(refusal)


def test_a_rate_in_ml_per_hour_typed_as_ml_per_day_is_noticed() -> None:
    shortest = shipped_rules().shortest_plausible_emptying_d
    warning = flow_warning(20, 12, shortest)
    assert warning is not None
    assert "1.7 days" in warning
    assert "0.5 mL/day is meant" in warning
    assert flow_warning(20, 0.5, shortest) is None


def test_a_pump_without_flow_never_empties() -> None:
    assert days_to_empty(20, 0) == float("inf")
