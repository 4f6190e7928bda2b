from pathlib import Path

import pytest

from sc_stim.clinical import reference
from sc_stim.clinical.rules_doc import TABLES, refreshed

DOCUMENT = (Path(__file__).parents[2] / "docs" / "clinical-rules.md").read_text(encoding="utf-8")


def test_the_clinical_rules_document_is_current() -> None:
    assert refreshed(DOCUMENT) == DOCUMENT, "run: python -m sc_stim.clinical.rules_doc docs/clinical-rules.md"


def test_every_table_stands_in_the_document() -> None:
    assert all(f"<!-- figures: {name} -->" in DOCUMENT for name in TABLES)


@pytest.mark.parametrize(
    "name",
    ["drugs.json", "refill.json", "alarms.json", "risk.json", "therapy.json", "impedance.json", "mri.json"],
)
def test_every_figure_and_its_source_or_mark_stands_in_the_document(name: str) -> None:
    rows = DOCUMENT.splitlines()
    figures = list(reference.figures_in(reference.load(name)))
    assert figures
    for figure in figures:
        told = [f"{figure.value:g}", figure.unit, figure.source or "unverified"]
        assert any(all(part in row for part in told) for row in rows), figure


def test_an_unknown_marker_is_an_error() -> None:
    with pytest.raises(KeyError, match="dosage"):
        refreshed("<!-- figures: dosage -->\n<!-- end -->")
