"""Reading the list of a recall, and which devices it means."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.outreach import CLASSES, FINISHED, Outreach, check_step, severity
from sc_stim.clinical.recall import Candidate, Match, Matcher, names_nobody_bears
from sc_stim.clinical.recall_list import (
    MOST_LINES,
    NotUnderstood,
    RecallList,
    key_of_serial,
    normal,
    read_list,
)

CASES = sorted((Path(__file__).parents[1] / "scenarios" / "recalls").glob("*.json"))
MODEL = "SynchroMed II"


def meant(text: str, serial: str, **on_record: Any) -> Match | None:
    device = Candidate(on_record.pop("models", (MODEL,)), serial, **on_record)
    return Matcher(read_list(text).conditions).match(device)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_list_means_the_devices_of_its_case(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    read = read_list("\n".join(case["list"]))
    matcher = Matcher(read.conditions)

    assert [unread.line for unread in read.unread] == case["unread"]
    assert all(unread.problem and unread.fix and unread.text for unread in read.unread)
    for device in case["devices"]:
        made_on = date.fromisoformat(device["made_on"]) if "made_on" in device else None
        candidate = Candidate(
            tuple(device.get("models", (MODEL,))),
            device["serial"],
            device.get("lot"),
            made_on,
            device.get("identifier"),
        )
        found = matcher.match(candidate)
        line, missing = (found.line, list(found.missing)) if found else (None, [])
        assert (line, missing) == (device["line"], device.get("missing", [])), device["is"]


numbers = st.integers(0, 10**9)
letters = st.text("ABCXYZ", max_size=4)


@given(letters, letters, numbers, numbers, numbers, st.integers(0, 12))
def test_a_range_holds_exactly_its_numbers_whatever_their_zeros_blanks_and_case(
    prefix: str, suffix: str, one: int, two: int, asked: int, width: int
) -> None:
    first, last = sorted((one, two))
    text = f"Serial: {prefix}{first:0{width}}{suffix} to {prefix.lower()}{last}{suffix}"

    found = meant(text, f" {prefix}-{asked:0{width}} {suffix.lower()} ")

    assert (found is not None) == (first <= asked <= last)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=12), st.integers(0, 60)
)
def test_overlapping_ranges_mean_what_each_of_them_means(pairs: list[tuple[int, int]], asked: int) -> None:
    ranges = [tuple(sorted(pair)) for pair in pairs]
    text = "\n".join(f"N{first}-N{last}" for first, last in ranges)

    found = meant(text, f"N{asked}")

    lines = [line for line, (first, last) in enumerate(ranges, start=1) if first <= asked <= last]
    assert (found.line in lines) if found else lines == []


@given(st.lists(st.from_regex(r"[A-Z]{0,3}[0-9]{1,9}[A-Z]{0,2}", fullmatch=True), min_size=1, max_size=20))
def test_every_serial_of_a_list_is_found_again_by_lines_commas_and_table(serials: list[str]) -> None:
    for text in ("\n".join(serials), ", ".join(serials), "serial\n" + "\n".join(serials)):
        assert all(meant(text, serial) for serial in serials), text


@given(st.text(max_size=200))
def test_any_text_is_read_or_handed_back(text: str) -> None:
    read = read_list(f"# no table\n{text}")
    said = {condition.line for condition in read.conditions} | {unread.line for unread in read.unread}
    for number, line in enumerate(text.splitlines(), start=2):
        if line.strip() and not line.lstrip().startswith("#") and not read.models:
            assert number in said, line


@given(st.text("AB01 -", min_size=1, max_size=12))
def test_the_key_of_a_serial_number_does_not_depend_on_how_it_is_typed(serial: str) -> None:
    assert key_of_serial(serial) == key_of_serial(f" {serial.lower()}") == key_of_serial(normal(serial))


def test_a_device_without_lot_cannot_be_excluded_but_one_of_another_model_can() -> None:
    found = meant("Model: SynchroMed II; Lot: L1", "N1")
    assert found is not None
    assert (found.certain, found.missing) == (False, ("lot",))
    assert meant("Model: SynchroMed II; Lot: L1", "N1", models=("Prometra II",)) is None


def test_a_device_without_serial_cannot_be_excluded() -> None:
    assert Matcher(read_list("N1-N9").conditions).match(Candidate((MODEL,), None)) == Match(1, ("serial",))


def test_a_certain_line_goes_before_one_that_only_cannot_be_excluded() -> None:
    assert meant("Lot: L1\nN1-N9", "N5") == Match(2)


def test_models_that_no_device_bears_are_named() -> None:
    read = read_list("Model: Synchromed 2, SynchroMed II\nN1")
    assert names_nobody_bears(read, [MODEL]) == ["Synchromed 2"]


def test_models_above_lines_that_are_all_unread_do_not_become_the_whole_list() -> None:
    read = read_list("Model: SynchroMed II\nserials see attachment")
    assert (read.conditions, [unread.line for unread in read.unread]) == ((), [2])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("model,colour\nA,red", "there is no column 'colour'"),
        ("model,model\nA,B", "named twice"),
        ("N1\n" * (MOST_LINES + 1), "20001 lines"),
    ],
)
def test_a_list_that_cannot_be_taken_at_all_says_why(text: str, problem: str) -> None:
    with pytest.raises(NotUnderstood, match=problem):
        read_list(text)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("A,N1,,,2019-01-01", "a range of made with one end"),
        ("A,N1,L1,,,,", "more cells than columns"),
        (f"A,{','.join([''] * 1)}Lx,,,", "no serial number"),
    ],
)
def test_a_row_of_a_table_that_cannot_be_read_is_handed_back(row: str, problem: str) -> None:
    (unread,) = read_list(f"model,serial,lot,made_from,made_to\n{row}").unread
    assert unread.line == 2
    assert problem in unread.problem


def test_a_line_that_stands_for_too_many_combinations_is_handed_back() -> None:
    many = ",".join(f"N{number}" for number in range(40))
    (unread,) = read_list(f"Serial: {many}; Lot: {many}").unread
    assert "1600 combinations" in unread.problem


def test_a_long_list_is_looked_up_not_searched() -> None:
    """Ten thousand ranges, and a device of each: a search would need a hundred million comparisons."""
    ranges = [f"N{number * 10}-N{number * 10 + 4}" for number in range(10_000)]
    matcher = Matcher(read_list("\n".join(ranges)).conditions)
    lines = [matcher.match(Candidate((MODEL,), f"N{number * 10 + 3}")) for number in range(10_000)]
    assert [found.line for found in lines if found] == list(range(1, 10_001))
    assert matcher.match(Candidate((MODEL,), "N55")) is None


def test_an_empty_list_means_nobody() -> None:
    assert read_list("\n \n# nothing\n") == RecallList((), (), {})


@pytest.mark.parametrize("after", Outreach)
@pytest.mark.parametrize("before", Outreach)
def test_every_step_of_the_outreach_is_taken_or_names_what_is_missing(
    before: Outreach, after: Outreach
) -> None:
    bare, full = (
        check_step(before, after, None, None),
        check_step(before, after, "phone", "moved to another town"),
    )
    assert full is None
    if after is Outreach.TRIED:
        assert bare is not None
        assert bare.reason == "way"
    else:
        needs_note = after in (Outreach.NOT_NEEDED, Outreach.ELSEWHERE) or (
            before in FINISHED and after not in FINISHED
        )
        assert (bare is not None and bare.reason == "note") == needs_note


def test_no_recall_is_as_urgent_as_a_stopped_pump_and_an_unknown_class_is_not_harmless() -> None:
    assert {each: severity(each) for each in CLASSES} == {
        "I": "medium",
        "II": "medium",
        "III": "low",
        "unclassified": "medium",
    }
