"""Every refill case under tests/scenarios/refill gives what its file says."""

import json
from pathlib import Path
from typing import Any

import pytest

from sc_stim.clinical.refill_case import decode_cases, forecast_case

FOLDER = Path(__file__).parents[1] / "scenarios" / "refill"
SCENARIOS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
}


def forecast_of(scenario: dict[str, Any]) -> dict[str, Any]:
    (case,) = decode_cases(json.dumps(scenario["case"]).encode())
    return forecast_case(case)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_refill_scenario_gives_what_its_file_says(name: str) -> None:
    expect = dict(SCENARIOS[name]["expect"])
    result = forecast_of(SCENARIOS[name])
    clocks = {clock["name"]: clock["date"] for clock in result["clocks"] or []}
    refused = expect.pop("refused", None)
    assert (result["refused"] or "").partition(":")[0] == (refused or "")
    assert expect.pop("clocks", {}).items() <= clocks.items()
    assert not clocks.keys() & set(expect.pop("absent_clocks", []))
    for clock, day in expect.pop("clocks_after", {}).items():
        assert clocks[clock] > day
    if between := expect.pop("flow_ratio_between", None):
        assert between[0] <= result["flow_ratio"]["mean"] <= between[1]
    assert expect == {key: result[key] for key in expect}


@pytest.mark.parametrize("name", [name for name in SCENARIOS if "refused" not in SCENARIOS[name]["expect"]])
def test_the_date_is_never_after_any_clock(name: str) -> None:
    result = forecast_of(SCENARIOS[name])
    assert all(result["refill_by"] <= clock["date"] for clock in result["clocks"])
    assert result["binding_clock"] == min(result["clocks"], key=lambda clock: clock["date"])["name"]


def test_a_refused_forecast_has_no_dates() -> None:
    result = forecast_of(SCENARIOS["no_fill"])
    assert result["pump"] == "p1"
    assert {result[key] for key in ("refill_by", "binding_clock", "clocks", "empty", "flow_ratio")} == {None}
