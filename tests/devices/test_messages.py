"""Example payloads, and what the decoder makes of them.

tests/payloads/valid/TOPIC.DEVICE.what.json
tests/payloads/invalid/TOPIC.DEVICE.reason.field.what.json, field `-` where none can be named
TOPIC is one of the data topics; `state`, `result`, `ack` and `command` have no DEVICE.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sc_stim.devices import messages
from sc_stim.devices.messages import (
    Command,
    Event,
    InvalidMessage,
    PumpSample,
    Reason,
    Score,
    StimulatorSample,
)

PAYLOADS = Path(__file__).parents[1] / "payloads"
VALID = sorted((PAYLOADS / "valid").iterdir())
INVALID = sorted((PAYLOADS / "invalid").iterdir())
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

OTHER_TOPICS: dict[str, Callable[[bytes], Any]] = {
    "state": messages.decode_state,
    "result": messages.decode_result,
    "ack": messages.decode_ack,
    "command": messages.decode_command,
}


def payload(name: str) -> bytes:
    return (PAYLOADS / name).read_bytes()


def pump_message(*samples: dict[str, object], **fields: object) -> bytes:
    return json.dumps(
        {"epoch": "b7c1", "sent_at": "2026-11-22T12:00:05Z", "samples": samples, **fields}
    ).encode()


def a_sample(seq: int = 1, **fields: object) -> dict[str, object]:
    return {"seq": seq, "at": "2026-11-22T12:00:00Z", **fields}


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_every_valid_example_is_taken_whole(path: Path) -> None:
    topic, device, *_ = path.name.split(".")
    if topic in OTHER_TOPICS:
        assert OTHER_TOPICS[topic](path.read_bytes())
        return
    sent = json.loads(path.read_bytes())
    envelope = messages.decode(topic, device, path.read_bytes())  # type: ignore[arg-type]
    assert envelope.rejects == []
    numbers = [item["seq"] for name in ("samples", "events", "scores") for item in sent.get(name) or ()]
    assert [item.seq for item in envelope.items] == numbers


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_every_invalid_example_is_refused_for_its_reason(path: Path) -> None:
    topic, *_, reason, field, _, _ = path.name.split(".")
    expected = (reason, None if field == "-" else field)
    if topic in OTHER_TOPICS:
        with pytest.raises(InvalidMessage) as caught:
            OTHER_TOPICS[topic](path.read_bytes())
        assert (caught.value.reason, caught.value.field) == expected
    else:
        assert why_refused(topic, path.name.split(".")[1], path.read_bytes()) == expected


def why_refused(topic: Any, device: Any, data: bytes) -> tuple[str, str | None]:
    try:
        envelope = messages.decode(topic, device, data)
    except InvalidMessage as error:
        return error.reason, error.field
    (reject,) = envelope.rejects
    assert envelope.items == []
    return reject.reason, reject.field


def test_every_reason_has_an_example() -> None:
    assert {path.name.split(".")[-4] for path in INVALID} == {*Reason}


def test_a_pump_sample_keeps_every_field() -> None:
    envelope = messages.decode("telemetry", "pump", payload("valid/telemetry.pump.every-field.json"))
    assert envelope.epoch == "b7c1"
    assert envelope.sent_at == datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)
    assert envelope.items == [
        PumpSample(
            seq=41,
            at=AT,
            state="running",
            reservoir_ml=17.2,
            flow_ml_per_day=0.2,
            boluses=2,
            bolus_ml=0.02,
            battery_v=2.9,
            eri_months=40,
            low_reservoir_alarm_ml=2,
        )
    ]


def test_a_stimulator_sample_keeps_every_field_and_the_order_of_contacts() -> None:
    envelope = messages.decode(
        "telemetry", "stimulator", payload("valid/telemetry.stimulator.every-field.json")
    )
    assert envelope.items == [
        StimulatorSample(
            seq=7,
            at=AT,
            state="on",
            on_s=3600,
            program="evening",
            amplitude_ma=4.2,
            pulse_width_us=300,
            rate_hz=40,
            battery_pct=81,
            battery_v=3.9,
            charged_s=0,
            impedance_ohm=(612, 598, None, 640.5),
            ecap_in_window_pct=93.9,
            posture="sitting",
        )
    ]


def test_an_event_and_a_score_keep_every_field() -> None:
    (event,) = messages.decode("event", "pump", payload("valid/event.pump.motor-stall.json")).items
    detail = {"code": 17, "since_s": 90.5, "note": "rotor"}
    assert event == Event(seq=42, at=AT, kind="motor_stall", state="raised", detail=detail)
    (score,) = messages.decode(
        "diary", "stimulator", payload("valid/diary.stimulator.every-field.json")
    ).items
    assert score == Score(
        seq=8,
        at=datetime(2026, 11, 22, 11, 58, tzinfo=UTC),
        nrs=4.5,
        site="back",
        flare=False,
        sleep=6,
        interference=3,
        symptoms=("tingling", "insomnia"),
    )


def test_what_was_not_measured_is_none_and_never_zero() -> None:
    (item,) = messages.decode(
        "telemetry", "pump", payload("valid/telemetry.pump.nothing-measured.json")
    ).items
    assert {getattr(item, name) for name in item.__struct_fields__ if name not in ("seq", "at")} == {None}


def test_times_are_utc_inside() -> None:
    (item,) = messages.decode(
        "telemetry", "pump", payload("valid/telemetry.pump.offset-and-fraction.json")
    ).items
    assert item.at.tzinfo is UTC
    assert item.at == datetime(2026, 11, 23, 4, 59, 59, 250_000, tzinfo=UTC)


def test_a_bad_item_costs_only_itself() -> None:
    data = pump_message(
        a_sample(1), a_sample(2, reservoir_ml=900), a_sample(3), {"seq": 4}, "what", a_sample(5)
    )
    envelope = messages.decode("telemetry", "pump", data)
    assert [item.seq for item in envelope.items] == [1, 3, 5]
    assert [(reject.seq, reject.reason, reject.field) for reject in envelope.rejects] == [
        (2, Reason.OUT_OF_RANGE, "reservoir_ml"),
        (4, Reason.MISSING_FIELD, "at"),
        (None, Reason.WRONG_TYPE, None),
    ]


def test_a_rejected_item_is_kept_as_it_was_sent() -> None:
    raw = b'{ "seq":2, "at":"2026-11-22T12:00:00Z","reservoir_ml":9e2 }'
    envelope = messages.decode("telemetry", "pump", b'{"epoch":"e","samples":[' + raw + b"]}")
    (reject,) = envelope.rejects
    assert (reject.list_name, reject.raw) == ("samples", raw)
    assert "reservoir_ml" in reject.detail


def test_a_rejected_item_can_be_sent_again_alone() -> None:
    stall = {"seq": 9, "at": "2026-11-22T12:00:00Z", "kind": "rotor_lock"}
    envelope = messages.decode("telemetry", "pump", pump_message(a_sample(1), events=[stall]))
    again = messages.decode("event", "pump", messages.message_of(envelope, envelope.rejects[0]))
    assert again == msgspec.structs.replace(envelope, items=[])


def test_a_well_formed_item_can_be_refused_and_read_again() -> None:
    envelope = messages.decode("diary", "pump", payload("valid/diary.pump.flare-without-a-score.json"))
    (score,) = envelope.items
    reject = messages.refuse(score, "no_patient", None, "the device has no patient")
    assert (reject.seq, reject.list_name) == (46, "scores")
    assert messages.decode("diary", "pump", messages.message_of(envelope, reject)) == envelope


def test_unknown_fields_are_left_out_and_counted() -> None:
    envelope = messages.decode("telemetry", "pump", payload("valid/telemetry.pump.unknown-fields.json"))
    known = messages.decode("telemetry", "pump", payload("valid/telemetry.pump.every-field.json"))
    assert envelope.unknown_fields == 3
    assert envelope.items == known.items


def test_unknown_content_is_not_judged() -> None:
    data = (
        b'{"epoch":"e","x":1e400,"samples":[{"seq":1,"at":"2026-11-22T12:00:00Z","y":'
        + b"[" * 90
        + b"]" * 90
        + b"}]}"
    )
    envelope = messages.decode("telemetry", "pump", data)
    assert (len(envelope.items), envelope.rejects, envelope.unknown_fields) == (1, [], 2)


@pytest.mark.parametrize("topic", ["telemetry", "history", "event", "diary"])
def test_all_three_lists_are_taken_on_every_data_topic(topic: messages.DataKind) -> None:
    envelope = messages.decode(topic, "pump", payload("valid/history.pump.all-three-lists.json"))
    assert [type(item) for item in envelope.items] == [PumpSample, Event, Score]


def test_a_stimulator_cannot_report_a_reservoir() -> None:
    envelope = messages.decode("telemetry", "stimulator", payload("valid/telemetry.pump.every-field.json"))
    (reject,) = envelope.rejects
    assert (reject.reason, reject.field) == (Reason.UNKNOWN_VALUE, "state")


def test_a_message_without_items_says_which_list_to_fill() -> None:
    with pytest.raises(InvalidMessage, match="put at least one in 'scores'"):
        messages.decode("diary", "pump", b'{"epoch":"e"}')


def test_the_largest_message_is_taken_and_one_byte_more_is_not() -> None:
    data = pump_message(a_sample())
    full = data + b" " * (messages.MAX_PAYLOAD_BYTES - len(data))
    assert len(messages.decode("telemetry", "pump", full).items) == 1
    with pytest.raises(InvalidMessage, match=r"65537 bytes, 65536 is the limit"):
        messages.decode("telemetry", "pump", full + b" ")


def test_an_unknown_word_cannot_pass_for_another_fault() -> None:
    data = pump_message(a_sample(state="Number out of range, got `int` regex"))
    (reject,) = messages.decode("telemetry", "pump", data).rejects
    assert reject.reason == Reason.UNKNOWN_VALUE


def test_birth_and_last_will_are_read() -> None:
    birth = messages.decode_state(payload("valid/state.birth.json"))
    assert (birth.online, birth.model, birth.firmware) == (True, "SynchroMed II 8637-20", "2.1.0")
    assert not messages.decode_state(payload("valid/state.will.json")).online


def test_an_ack_is_what_the_device_reads() -> None:
    ack = messages.decode_ack(messages.encode_ack("b7c1", 60, [(42, 43), (45, 49)], [12, 99]))
    assert (ack.epoch, ack.upto, ack.missing, ack.rejected) == ("b7c1", 60, [(42, 43), (45, 49)], [12, 99])
    assert [seq for seq in (0, 41, 42, 43, 44, 45, 49, 50, 60, 61, 99) if ack.covers(seq)] == [
        0,
        41,
        44,
        50,
        60,
        99,
    ]


def test_a_command_is_what_the_device_reads() -> None:
    command = Command(id="c1", kind="report_interval", issued_at=AT, interval_s=900)
    assert messages.decode_command(messages.encode_command(command)) == command


def test_a_command_that_a_device_would_refuse_is_not_sent() -> None:
    with pytest.raises(InvalidMessage, match="interval_s"):
        messages.encode_command(Command(id="c1", kind="report_interval", issued_at=AT, interval_s=1))
    with pytest.raises(InvalidMessage, match="interval_s"):
        messages.encode_command(Command(id="c1", kind="interrogate", issued_at=AT, interval_s=900))
    with pytest.raises(InvalidMessage, match="kind"):
        messages.encode_command(Command(id="c1", kind="set_flow", issued_at=AT))  # type: ignore[arg-type]
