"""Whatever arrives, the decoder answers with a value or with InvalidMessage."""

import json
import math
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sc_stim.devices import messages
from sc_stim.devices.messages import DataKind, DeviceKind, Envelope, InvalidMessage
from sc_stim.devices.records import Event, Message, PumpSample, Score

PAYLOADS = Path(__file__).parents[1] / "payloads"
EXAMPLES = [path.read_bytes() for path in sorted(PAYLOADS.glob("*/*.json")) if path.stat().st_size < 4096]

data_kinds = st.sampled_from(get_args(DataKind))
device_kinds = st.sampled_from(get_args(DeviceKind))

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["2026-11-22T12:00:00Z", "2026-11-22T12:00:00", "9999-12-31T23:59:59-14:00", "running", "e\0"]
    )
)
NAMES = [
    *PumpSample.__struct_fields__,
    *Event.__struct_fields__,
    *Score.__struct_fields__,
    *Message.__struct_fields__,
]


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), values, max_size=8)


anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | objects(inner), max_leaves=12)


def near_messages() -> st.SearchStrategy[dict[str, Any]]:
    """Objects in the shape of a message, with anything in any place."""
    items = st.lists(
        st.fixed_dictionaries({"seq": st.integers(0, 9) | anything, "at": scalars}) | objects(scalars)
    )
    lists = st.fixed_dictionaries({}, optional=dict.fromkeys(("samples", "events", "scores"), items))
    return st.builds(lambda head, body: {"epoch": "e", **head, **body}, objects(scalars), lists)


def take(data: bytes, kind: Any = "telemetry", device: Any = "pump") -> Envelope | None:
    """Decode, and hold every value to what the types promise."""
    try:
        envelope = messages.decode(kind, device, data)
    except InvalidMessage:
        return None
    assert envelope.items or envelope.rejects
    for item in envelope.items:
        assert 0 <= item.seq < 2**53 and item.at.tzinfo is UTC
        numbers = [
            value for name in item.__struct_fields__ if isinstance(value := getattr(item, name), float)
        ]
        assert all(math.isfinite(number) and number >= 0 for number in numbers)
    return envelope


@given(st.binary(max_size=400), data_kinds, device_kinds)
@example(b"\x00{\x00}", "telemetry", "pump")
def test_any_bytes_are_taken_or_refused(data: bytes, kind: str, device: str) -> None:
    take(data, kind, device)


@given(
    st.sampled_from(EXAMPLES), st.lists(st.tuples(st.integers(0, 4095), st.binary(max_size=3)), max_size=4)
)
def test_any_damage_to_an_example_is_taken_or_refused(data: bytes, cuts: list[tuple[int, bytes]]) -> None:
    for position, replacement in cuts:
        data = data[: position % (len(data) + 1)] + replacement + data[position % (len(data) + 1) + 1 :]
    take(data)
    for decode in (
        messages.decode_state,
        messages.decode_result,
        messages.decode_ack,
        messages.decode_command,
    ):
        with suppress(InvalidMessage):
            assert decode(data) is not None


@settings(max_examples=150)
@given(near_messages(), data_kinds, device_kinds)
@example({"epoch": "e", "samples": [{"seq": 1, "at": "9999-12-31T23:59:59-14:00"}]}, "telemetry", "pump")
@example(
    {
        "epoch": "e",
        "events": [{"seq": 1, "at": "2026-11-22T12:00:00Z", "kind": "reset", "detail": {"n": 2**64}}],
    },
    "event",
    "pump",
)
def test_anything_in_the_shape_of_a_message_is_taken_or_refused(message: Any, kind: str, device: str) -> None:
    envelope = take(json.dumps(message).encode(), kind, device)
    if envelope is not None:
        sent = sum(len(message.get(name) or ()) for name in ("samples", "events", "scores"))
        assert len(envelope.items) + len(envelope.rejects) == sent


@given(near_messages())
def test_what_was_rejected_is_rejected_again_for_the_same_reason(message: Any) -> None:
    envelope = take(json.dumps(message).encode())
    for reject in envelope.rejects if envelope else ():
        again = take(messages.message_of(envelope, reject))  # type: ignore[arg-type]
        assert again is not None
        assert again.rejects == [reject]


@pytest.mark.parametrize("depth", [*range(850, 1001, 10), 30_000])
@pytest.mark.parametrize(
    "place", ['"x":%s', '"samples":[%s]', '"samples":[{"x":%s}]', '"events":[{"detail":{"a":%s}}]']
)
def test_any_depth_is_taken_or_refused(depth: int, place: str) -> None:
    nested = place % ("[" * depth + "]" * depth)
    take(f'{{"epoch":"e",{nested}}}'.encode())


@pytest.mark.parametrize(
    "token", ["NaN", "-Infinity", "1e400", "1" * 5000, '"\\ud800"', '"\\u0000"', "01", "+1", "1.", "'a'"]
)
def test_odd_tokens_are_refused_wherever_they_stand(token: str) -> None:
    for field in ("seq", "at", "reservoir_ml", "boluses", "state"):
        good = {"seq": "1", "at": '"2026-11-22T12:00:00Z"', field: token}
        item = ",".join(f'"{name}":{value}' for name, value in good.items())
        envelope = take(f'{{"epoch":"e","samples":[{{{item}}}]}}'.encode())
        assert envelope is None or envelope.items == []
