"""The JSON form of a refill case, in and out."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sc_stim.clinical.refill_case import CaseError, decode_cases, forecast_case

# The case of the documented form.
CASE: dict[str, Any] = {
    "pump": "p1", "at": "2026-11-22", "timezone": "Europe/Berlin",
    "reservoir_ml": 20, "low_reservoir_alarm_ml": 2, "accuracy_pct": 14.5, "end_of_service": None,
    "drugs": [{"name": "morphine", "mg_per_ml": 10}],
    "settings": [
        {"from": "2026-07-01T09:00:00+02:00", "flow_ml_per_day": 0.2, "bolus_ml": 0.02, "max_boluses_per_day": 6}
    ],
    "fills": [
        {"at": "2026-07-01T09:30:00+02:00", "aspirated_ml": None, "filled_ml": 20.0},
        {"at": "2026-09-20T10:00:00+02:00", "aspirated_ml": 3.4, "filled_ml": 20.0},
    ],
    "boluses": [{"from": "2026-07-01", "to": "2026-09-20", "count": 210}],
    "closed_days": [], "country": "DE", "pharmacy_lead_days": 0, "margin_days": 0,
}  # fmt: skip


def refused(document: object) -> str:
    with pytest.raises(CaseError) as error:
        decode_cases(json.dumps(document).encode())
    return str(error.value)


def test_the_documented_case_gives_every_documented_field_and_no_other() -> None:
    (case,) = decode_cases(json.dumps(CASE).encode())
    result = forecast_case(case)
    assert list(result) == [
        "pump", "refill_by", "binding_clock", "clocks", "empty", "expected_residual_ml", "flow_ratio", "flags",
        "refused",
    ]  # fmt: skip
    assert [clock["name"] for clock in result["clocks"]] == [
        "empty_probability", "low_reservoir", "drug_stability", "max_interval",
    ]  # fmt: skip
    assert result["empty"].keys() == {"p05", "p50", "p95"}
    assert result["flow_ratio"].keys() == {"mean", "sd"}
    assert json.loads(json.dumps(result)) == result


def test_a_list_of_cases_is_decoded_in_order() -> None:
    cases = decode_cases(json.dumps([CASE, CASE | {"pump": "p2"}]).encode())
    assert [case.pump for case in cases] == ["p1", "p2"]


def test_fields_that_may_be_missing_may_be_missing() -> None:
    needed = ("pump", "at", "timezone", "reservoir_ml", "drugs", "settings", "fills")
    (case,) = decode_cases(json.dumps({name: CASE[name] for name in needed}).encode())
    assert forecast_case(case)["refused"] is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"reservoir": 20}, "unknown field `reservoir`"),
        ({"fills": [{"at": "2026-07-01T09:30:00+02:00", "filled": 20}]}, "unknown field `filled` - at `fills[0]`"),
        ({"fills": [{"at": "2026-07-01T09:30:00", "filled_ml": 20}]}, "timezone component - at `fills[0].at`"),
        ({"fills": [{"at": "2026-07-01T09:30:00Z", "filled_ml": -1}]}, "`float` >= 0.0 - at `fills[0].filled_ml`"),
        ({"fills": [{"at": "2026-07-01T09:30:00Z", "filled_ml": 23}]}, "fills[0].filled_ml 23 is more than"),
        ({"reservoir_ml": 0}, "`reservoir_ml`"),
        ({"reservoir_ml": "20"}, "Expected `float`, got `str` - at `reservoir_ml`"),
        ({"timezone": "Berlin"}, "timezone 'Berlin' is not an IANA zone"),
        ({"timezone": "../etc/passwd"}, "is not an IANA zone"),
        ({"country": "Germany"}, "country 'Germany' has no holiday calendar"),
        ({"at": "22.11.2026"}, "`at`"),
        ({"at": "0001-01-01"}, "at 0001-01-01 must be between the years 1980 and 2200"),
        ({"boluses": [{"from": "2026-07-01", "to": "2026-07-01", "count": 1}]}, "boluses[0].to 2026-07-01 must be"),
        ({"settings": [{"from": "9999-12-31T23:59:59-12:00", "flow_ml_per_day": 1}]}, "settings[0].from 9999"),
    ],
)  # fmt: skip
def test_a_bad_case_is_refused_with_field_and_fix(change: dict[str, Any], says: str) -> None:
    assert says in refused(CASE | change)


def test_the_message_names_the_case_in_a_list() -> None:
    assert refused([CASE, CASE | {"pump": "p2", "timezone": "Mars"}]).startswith("case 1 (p2): ")
    assert refused([CASE, {"pump": "p2"}]).startswith("case 1: Object missing required field")


@pytest.mark.parametrize("text", [b"", b"{", b"[{]", b"[1]", b"nonsense", b"\xff\xfe"])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(CaseError):
        decode_cases(text)


@pytest.mark.parametrize(
    ("at", "fill_at", "moment"),
    [
        ("2026-11-22", "2026-09-20T10:00:00+02:00", datetime(2026, 11, 22, 11, tzinfo=UTC)),
        ("2026-11-22", "2026-11-22T10:00:00+01:00", datetime(2026, 11, 22, 11, tzinfo=UTC)),
        ("2026-11-22", "2026-11-22T15:00:00+01:00", datetime(2026, 11, 22, 14, tzinfo=UTC)),
        ("2026-11-22", "2026-11-22T23:30:00Z", datetime(2026, 11, 22, 11, tzinfo=UTC)),
    ],
)
def test_the_forecast_of_a_date_is_made_at_noon_or_after_a_later_fill(
    at: str, fill_at: str, moment: datetime
) -> None:
    change = {"at": at, "fills": [{"at": fill_at, "filled_ml": 20}]}
    (case,) = decode_cases(json.dumps(CASE | change).encode())
    assert case.moment() == moment
