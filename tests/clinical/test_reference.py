from typing import Any

import pytest

from sc_stim.clinical.reference import ReferenceDataError, figure, figures_in, load
from sc_stim.clinical.units import check_unit

FILES = ("drugs.json", "refill.json", "alarms.json", "risk.json")


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_figure_has_a_known_unit_and_a_source_or_the_mark_unverified(name: str) -> None:
    document = load(name)
    figures = list(figures_in(document))
    assert document["version"]
    assert figures
    for found in figures:
        check_unit(found.unit)


@pytest.mark.parametrize(
    "entry",
    [
        {"value": 1, "unit": "d"},
        {"value": 1, "unit": "d", "verified": True},
        {"value": 1, "unit": "d", "source": "a label", "verified": False},
        {"value": 1, "source": "a label"},
        {"unit": "d", "source": "a label"},
    ],
)
def test_a_figure_without_unit_source_or_mark_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ReferenceDataError, match="needs value, unit and either a source"):
        figure(entry)


def test_an_unverified_figure_says_so_wherever_it_is_printed() -> None:
    assert str(figure({"value": 15, "unit": "mg/d", "verified": False})) == "15 mg/d (unverified)"
    assert str(figure({"value": 20, "unit": "mg/d", "source": "label"})) == "20 mg/d"
