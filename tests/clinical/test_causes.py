"""Each file of tests/scenarios/causes is what the devices of one patient said, and the cause card it must give.

The pain changed on day 0 and was judged on day 4; times are days from there. `samples` are stretches: one sample every
`every_h` hours from `from_d` to `to_d`. In `expect`, `for` is in the order of the card; `against` and `no_data` need
only be there.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.causes import CauseCard, cause_card, span_of
from sc_stim.clinical.causes_evidence import DeviceEvent, DeviceRecord, Sample, shipped_rules

CASES = sorted((Path(__file__).parents[1] / "scenarios" / "causes").glob("*.json"))
ONSET = datetime(2026, 10, 29, tzinfo=UTC)
SPAN = span_of(ONSET, ONSET + timedelta(days=4))


def day(number: float) -> datetime:
    return ONSET + timedelta(days=number)


def stretch(from_d: float, to_d: float, every_h: float, **values: Any) -> list[dict[str, Any]]:
    steps = int((to_d - from_d) * 24 / every_h) + 1
    return [{"at": day(from_d + i * every_h / 24), **values} for i in range(steps)]


def record(device: dict[str, Any]) -> DeviceRecord:
    samples = [sample for one in device.pop("samples") for sample in stretch(**one)]
    lists = {
        name: [{"at": day(row.pop("at_d")), **row} for row in device.pop(name, [])]
        for name in ("events", "prescriptions", "fills")
    }
    return msgspec.convert({**device, "samples": samples, **lists}, DeviceRecord)


def kinds(card: CauseCard, says: str) -> list[str]:
    return [one.kind for one in card.evidence if one.says == says]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case_gives_the_card_it_expects(path: Path) -> None:
    case = json.loads(path.read_text())
    card = cause_card([record(device) for device in case["devices"]], SPAN, day(5))
    expected = case["expect"]
    assert kinds(card, "for") == expected["for"], card.words
    assert card.verdict == expected["verdict"]
    assert card.words.startswith(expected.get("words", ""))
    for side in ("against", "no_data"):
        assert set(expected.get(side, [])) <= set(kinds(card, side))
        assert expected.get(side) != [] or kinds(card, side) == []


def test_the_card_of_a_jump_shows_the_raw_readings_before_and_after_with_their_times() -> None:
    case = json.loads(next(path for path in CASES if path.stem == "impedance_jump").read_text())
    [jump] = [
        one for one in cause_card(map(record, case["devices"]), SPAN, day(5)).evidence if one.says == "for"
    ]
    assert (jump.device, jump.since) == ("stimulator", day(-1))
    assert [(point.at, point.value, point.unit) for point in jump.points] == [
        *((day(number), 610.0, "Ohm") for number in (-4, -3, -2)),
        *((day(number), 1900.0, "Ohm") for number in range(-1, 5)),
    ]


def test_every_kind_of_evidence_has_its_place_on_the_card() -> None:
    found = {
        one.kind
        for path in CASES
        for one in cause_card(map(record, json.loads(path.read_text())["devices"]), SPAN, day(5)).evidence
        if one.says == "for"
    }
    assert found == shipped_rules().ranks.keys()


SAMPLES = st.builds(
    Sample,
    at=st.floats(-30, 6).map(day),
    state=st.sampled_from([None, "on", "off", "mri", "cycling"]),
    on_s=st.none() | st.floats(0, 86_400),
    program=st.sampled_from([None, "A", "B"]),
    amplitude_ma=st.none() | st.floats(0, 25),
    battery_pct=st.none() | st.floats(0, 100),
    impedance_ohm=st.none() | st.lists(st.none() | st.floats(1, 50_000), max_size=4),
)
EVENTS = st.builds(
    DeviceEvent,
    at=st.floats(-30, 6).map(day),
    kind=st.sampled_from(["program_changed", "lead_disconnected", "charge_missed", "mri_entered"]),
    state=st.sampled_from([None, "raised", "cleared"]),
)
RECORDS = st.builds(
    DeviceRecord,
    label=st.sampled_from(["left", "right"]),
    kind=st.just("stimulator"),
    samples=st.lists(SAMPLES, max_size=30, unique_by=lambda sample: sample.at),
    events=st.lists(EVENTS, max_size=5),
)


@given(st.lists(RECORDS, max_size=2), st.randoms(use_true_random=False))
def test_whatever_the_devices_say(records: list[DeviceRecord], random: Any) -> None:
    card = cause_card(records, SPAN, day(5))
    _is_sound(card)
    shuffled = [
        msgspec.structs.replace(one, samples=random.sample(one.samples, len(one.samples))) for one in records
    ]
    assert [one.kind for one in cause_card(shuffled, SPAN, day(5)).evidence] == [
        one.kind for one in card.evidence
    ]
    assert msgspec.convert(msgspec.to_builtins(card), CauseCard) == card


def _is_sound(card: CauseCard) -> None:
    sides = [one.says for one in card.evidence]
    assert sides == sorted(sides, key=("for", "no_data", "against").index)
    ranks = [shipped_rules().ranks[one.kind] for one in card.evidence if one.says == "for"]
    assert ranks == sorted(ranks)
    is_silent = any(one.kind == "data_gap" for one in card.evidence)
    assert (card.verdict == "device_possible") == ("for" in sides)
    assert not (card.verdict == "device_unlikely" and (is_silent or "for" in sides))
    assert all(one.says == "no_data" for one in card.evidence if one.kind == "data_gap")
    assert all(point.at <= SPAN.until for one in card.evidence for point in one.points)
    assert all(one.points for one in card.evidence if one.says == "for")
