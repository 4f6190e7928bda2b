from datetime import UTC, datetime, timedelta

import pytest

from sc_stim.clinical import reference
from sc_stim.clinical.drugs import (
    WITHDRAWAL_CLASSES,
    UnknownDrug,
    daily_dose_mg,
    formulary_from,
    shipped_formulary,
)
from sc_stim.clinical.pump_record import DrugInPump
from sc_stim.clinical.reference import ReferenceDataError
from sc_stim.clinical.refusal import Refused

FORMULARY = shipped_formulary()
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def in_pump(name: str, mg_per_ml: float = 1.0) -> DrugInPump:
    return DrugInPump(name=name, mg_per_ml=mg_per_ml)


@pytest.mark.parametrize(
    ("drugs", "first_fill", "days", "verified"),
    [
        ([in_pump("morphine", 10)], True, 90, True),
        ([in_pump("ziconotide", 0.025)], True, 14, True),
        ([in_pump("ziconotide", 0.1)], False, 84, True),
        ([in_pump("ziconotide", 0.025)], False, 40, True),
        ([in_pump("hydromorphone")], False, 120, True),
        ([in_pump("baclofen")], False, 180, False),
        ([in_pump("clonidine"), in_pump("morphine")], False, 90, True),
        ([in_pump("morphine"), in_pump("bupivacaine"), in_pump("clonidine")], False, 90, True),
        ([in_pump("morphine"), in_pump("ziconotide", 0.1)], False, 40, False),
        ([in_pump("hydromorphone"), in_pump("ziconotide", 0.1)], True, 14, False),
    ],
)
def test_stability_depends_on_drug_mixture_and_fill(
    drugs: list[DrugInPump], first_fill: bool, days: float, verified: bool
) -> None:
    figure = FORMULARY.stability(drugs, first_fill=first_fill)
    assert (figure.value, figure.unit, figure.verified) == (days, "d", verified)


def test_an_unknown_drug_is_refused_by_name() -> None:
    with pytest.raises(UnknownDrug, match="'morphin' is not in the formulary; known drugs: baclofen"):
        FORMULARY.lookup("morphin")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["morphine"], "opioid"),
        (["morphine", "clonidine"], "severe"),
        (["ziconotide", "baclofen"], "life_threatening"),
        (["ziconotide", "bupivacaine"], "none"),
        ([], "life_threatening"),
    ],
)
def test_the_worst_drug_of_a_mixture_decides_its_withdrawal_class(names: list[str], expected: str) -> None:
    assert FORMULARY.withdrawal_class(names) == expected


def test_a_dose_above_a_limit_warns_and_says_whether_the_limit_is_verified() -> None:
    warnings = FORMULARY.limit_warnings([in_pump("morphine", 25)], flow_ml_per_day=0.9)
    assert [str(warning) for warning in warnings] == [
        "morphine: 22.5 mg/d is above the daily dose caution of 20 mg/d",
        "morphine: 22.5 mg/d is above the daily dose ceiling of 15 mg/d (unverified)",
        "morphine: 25 mg/mL is above the concentration ceiling of 20 mg/mL (unverified)",
    ]


def test_allowed_boluses_count_towards_the_dose() -> None:
    drugs = [in_pump("ziconotide", 0.1)]
    assert FORMULARY.limit_warnings(drugs, flow_ml_per_day=0.18) == []
    (warning,) = FORMULARY.limit_warnings(drugs, flow_ml_per_day=0.18, bolus_ml_per_day=0.06)
    assert (warning.limit, round(warning.actual, 3)) == ("daily_dose_maximum", 24.0)


def test_a_drug_without_known_concentration_has_no_dose_to_judge() -> None:
    assert FORMULARY.limit_warnings([DrugInPump(name="morphine")], flow_ml_per_day=5) == []


def test_the_dose_is_flow_times_concentration() -> None:
    assert daily_dose_mg(in_pump("morphine", 10), 0.2, AT) == 2.0


def test_while_a_bridge_bolus_runs_no_dose_is_named() -> None:
    running = daily_dose_mg(in_pump("morphine", 10), 0.2, AT, bridge_ends_at=AT + timedelta(hours=5))
    over = daily_dose_mg(in_pump("morphine", 10), 0.2, AT, bridge_ends_at=AT)
    assert isinstance(running, Refused)
    assert running.reason == "bridge_bolus"
    assert over == 2.0


def test_without_a_concentration_no_dose_is_named() -> None:
    found = daily_dose_mg(DrugInPump(name="morphine"), 0.2, AT)
    assert isinstance(found, Refused)
    assert found.reason == "unknown_concentration"


def test_every_drug_has_a_stability_and_a_withdrawal_class() -> None:
    assert all("any" in drug.stability for drug in FORMULARY.drugs.values())
    assert {drug.withdrawal_class for drug in FORMULARY.drugs.values()} == set(WITHDRAWAL_CLASSES)


def test_a_formulary_with_an_unknown_withdrawal_class_is_refused() -> None:
    document = reference.load("drugs.json")
    document["drugs"]["morphine"]["withdrawal"]["class"] = "mild"
    with pytest.raises(ReferenceDataError, match="morphine: withdrawal class must be one of"):
        formulary_from(document)
