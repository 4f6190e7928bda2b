"""`sc-stim backtest`: files in, files out."""

import csv
import datetime as dt
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sc_stim import backtest as rules
from sc_stim.cli import main
from sc_stim.clinical.pain import cohort

DAY = dt.timedelta(days=1)
FIRST = dt.date(2026, 7, 1)
CASE = json.loads(
    """{"pump": "p1", "at": "2026-11-22", "timezone": "Europe/Berlin", "reservoir_ml": 20, "low_reservoir_alarm_ml": 2,
    "accuracy_pct": 14.5, "end_of_service": null, "drugs": [{"name": "morphine", "mg_per_ml": 10}],
    "settings": [{"from": "2026-07-01T09:00:00+02:00", "flow_ml_per_day": 0.1}],
    "fills": [{"at": "2026-10-01T09:30:00+02:00", "aspirated_ml": 9.0, "filled_ml": 20.0}], "country": "DE"}"""
)

Backtest = Callable[..., Result]


@pytest.fixture
def backtest(tmp_path: Path) -> Backtest:
    def run(rule: str, text: str, *more: str) -> Result:
        path = tmp_path / "export"
        path.write_text(text)
        return CliRunner().invoke(main, ["backtest", rule, str(path), *more])

    return run


def diary(patient: str, scores: list[float | None], first: dt.date = FIRST) -> str:
    """One score a day; None: a day without."""
    rows = [(first + i * DAY, nrs) for i, nrs in enumerate(scores) if nrs is not None]
    return "".join(f"{patient},{day},{nrs}\n" for day, nrs in rows)


def pain_file(*diaries: str) -> str:
    return "patient,at,nrs\n" + "".join(diaries)


def rows(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.output)))


STEADY = [4.0, 4.5, 3.5, 4.0] * 7


def test_four_weeks_near_4_then_days_at_7_are_one_step_with_its_baseline_and_level(
    backtest: Backtest,
) -> None:
    result = backtest("pain", pain_file(diary("ada", [*STEADY, *[7.0] * 16])))
    assert result.output.startswith("patient,at,kind,severity,baseline,level\n")
    [found] = rows(result)
    assert (found["patient"], found["kind"]) == ("ada", "step_up")
    assert 0 <= (dt.date.fromisoformat(found["at"]) - (FIRST + 28 * DAY)).days <= 3
    assert float(found["baseline"]) == pytest.approx(4, abs=0.3)
    assert float(found["level"]) == pytest.approx(7, abs=0.3)


def test_who_falls_silent_before_the_newest_day_in_the_file_is_found_and_the_others_are_not(
    backtest: Backtest,
) -> None:
    found = rows(backtest("pain", pain_file(diary("ada", STEADY), diary("ben", STEADY + STEADY))))
    assert [(row["patient"], row["kind"], row["level"]) for row in found] == [
        ("ada", "stopped_reporting", "")
    ]


def test_scores_of_a_day_count_as_their_mean_on_the_day_as_written(backtest: Backtest) -> None:
    """Just before midnight and just after, by the patient's own clock, whatever day it is in UTC."""
    daily = diary("ada", [*STEADY, *[7.0] * 4])
    several = "".join(
        f"ada,{day}T00:10:00+14:00,{float(nrs) - 0.5}\nada,{day}T23:50:00-11:00,{float(nrs) + 0.5}\n"
        for _, day, nrs in (line.split(",") for line in daily.splitlines())
    )
    assert rows(backtest("pain", pain_file(several))) == rows(backtest("pain", pain_file(daily))) != []


def test_more_patients_than_are_held_at_once_come_out_in_the_order_of_the_file(
    backtest: Backtest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort, "PATIENTS_AT_ONCE", 2)
    names = ["eve", "ada", "dan", "ben", "cem"]
    diaries = [diary(name, [*STEADY, *[7.0] * 5]) for name in names]
    diaries.insert(2, diary("fay", STEADY + STEADY[:5]))
    assert [row["patient"] for row in rows(backtest("pain", pain_file(*diaries)))] == names


def test_rows_in_any_order_give_the_same_as_rows_by_patient(backtest: Backtest) -> None:
    """As in an export by date, or by time of entry, the newest first."""
    diaries = [diary(name, [*STEADY, *[7.0] * 5, *STEADY]) for name in ("ada", "ben", "cem")]
    lines = "".join(diaries).splitlines(keepends=True)
    expected = rows(backtest("pain", pain_file(*diaries)))
    by_date = sorted(lines, key=lambda line: line.split(",")[1])
    assert rows(backtest("pain", pain_file(*by_date))) == expected != []
    mixed = rows(backtest("pain", pain_file(*reversed(by_date))))
    assert sorted(mixed, key=lambda row: row["patient"]) == expected
    within = [line for one in diaries for line in reversed(one.splitlines(keepends=True))]
    assert rows(backtest("pain", pain_file(*within))) == expected


@pytest.mark.parametrize(
    ("kind", "severity", "scores"),
    [
        ("step_up", "low", [*STEADY, *[7.0] * 5]),
        ("step_up", "medium", [*STEADY, *[7.0] * 16]),
        ("flare", "info", [*STEADY, *[8.0] * 6, *STEADY]),
        ("drift_up", "medium", [*STEADY, *(4.0 + day / 30 for day in range(120))]),
        ("step_down", "info", [*(nrs + 3.0 for nrs in STEADY), *[2.0] * 8]),
        ("stopped_reporting", "low", [*STEADY, *[None] * 12]),
    ],
)
def test_every_kind_of_finding_of_the_contract_is_told(
    backtest: Backtest, kind: str, severity: str, scores: list[float | None]
) -> None:
    last = diary("zoe", [4.0], FIRST + (len(scores) - 1) * DAY)  # one score, so that the file lasts as long
    assert (kind, severity) in {
        (row["kind"], row["severity"])
        for row in rows(backtest("pain", pain_file(diary("ada", scores), last)))
    }


@pytest.mark.parametrize("text", ["patient,at,nrs\n", "\ufeffnrs,at,patient\n"])
def test_a_file_without_scores_has_no_findings(backtest: Backtest, text: str) -> None:
    assert rows(backtest("pain", text)) == []


GOOD = "ada,2026-11-20,4"
BAD = [
    (
        "ada,2026-11-21T08:00:00,4",
        "line 3: at: '2026-11-21T08:00:00' is neither a date nor a time with offset",
    ),
    ("ada,2026-11-31,4", "line 3: at: '2026-11-31' is neither"),
    ("ada,2026-W47-1,4", "line 3: at: '2026-W47-1' is neither"),
    ("ada,0026-11-21,4", "line 3: at: the year must be from 1980 to 2199"),
    ("ada,2026-11-21,10.5", "line 3: nrs: '10.5' is not a score from 0 to 10"),
    ("ada,2026-11-21,nan", "line 3: nrs: 'nan'"),
    ("ada,2026-11-21,", "line 3: nrs: ''"),
    (" ,2026-11-21,4", "line 3: patient: is empty"),
    ("ada,2026-11-21", "line 3: 2 fields, not patient,at,nrs"),
]


@pytest.mark.parametrize(("row", "message"), BAD, ids=[row for row, _ in BAD])
def test_a_bad_row_is_named_by_line_and_field_and_nothing_is_written(
    backtest: Backtest, tmp_path: Path, row: str, message: str
) -> None:
    out = tmp_path / "out.csv"
    result = backtest("pain", f"patient,at,nrs\n{GOOD}\n{row}\n", "--out", str(out))
    assert result.exit_code == 1
    assert f"export: {message}" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export"]


@pytest.mark.parametrize("header", ["", "patient,at", "patient;at;nrs"])
def test_other_columns_are_refused(backtest: Backtest, header: str) -> None:
    assert "line 1: the columns are" in backtest("pain", header + "\n").output


def test_one_pump_gives_one_forecast_and_a_list_a_list(backtest: Backtest) -> None:
    one = json.loads(backtest("refill", json.dumps(CASE)).output)
    assert (one["pump"], one["refused"]) == ("p1", None)
    assert one["refill_by"] <= min(clock["date"] for clock in one["clocks"])
    several = json.loads(backtest("refill", json.dumps([CASE, CASE | {"pump": "p2", "fills": []}])).output)
    assert several[0] == one
    assert (several[1]["pump"], several[1]["refill_by"]) == ("p2", None)
    assert several[1]["refused"]


def test_the_result_goes_to_a_file_when_one_is_named(backtest: Backtest, tmp_path: Path) -> None:
    out = tmp_path / "forecasts.json"
    result = backtest("refill", json.dumps([CASE]), "--out", str(out))
    assert (result.exit_code, result.output) == (0, "")
    assert json.loads(out.read_text())[0]["pump"] == "p1"


def test_more_pumps_than_one_process_takes_come_out_in_the_order_of_the_file(
    backtest: Backtest, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = json.loads(backtest("refill", json.dumps([CASE])).output)[0]
    monkeypatch.setattr(rules, "CASES_AT_ONCE", 2)
    together = json.loads(backtest("refill", json.dumps([CASE | {"pump": f"p{i}"} for i in range(5)])).output)
    assert together == [alone | {"pump": f"p{i}"} for i in range(5)]
    result = backtest("refill", json.dumps([CASE, CASE, CASE, CASE | {"at": "soon"}, CASE | {"at": "later"}]))
    assert result.exit_code == 1
    assert "case 3: " in result.output


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (CASE | {"reservior_ml": 20}, "case: Object contains unknown field `reservior_ml`"),
        ([CASE, CASE | {"timezone": "Berlin"}], "case 1 (p1): timezone 'Berlin' is not an IANA zone"),
        ([CASE | {"reservoir_ml": "20"}], "case 0: Expected `float`, got `str`"),
    ],
)
def test_a_bad_case_is_named_by_its_place_and_field(backtest: Backtest, case: object, message: str) -> None:
    result = backtest("refill", json.dumps(case))
    assert result.exit_code == 1
    assert message in result.output


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["backtest", "pain", str(tmp_path / "nowhere.csv")])
    assert result.exit_code == 2
    assert "nowhere.csv" in result.output
