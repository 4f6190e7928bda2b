"""MQTT packets: what is written can be read again, and no bytes do more than be refused."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.embedded import packets
from sc_stim.embedded.packets import Malformed, Message

LIMIT = 65_536
topics = st.text(st.characters(codec="utf-8", exclude_characters="+#\0"), min_size=1, max_size=40)
messages = st.builds(Message, topics, st.binary(max_size=300), st.integers(0, 1), st.booleans())


@given(messages, st.integers(1, 0xFFFF), st.booleans(), st.binary(max_size=20))
def test_a_published_message_is_read_as_it_was_written(
    message: Message, packet_id: int, duplicate: bool, following: bytes
) -> None:
    buffer = bytearray(packets.publish(message, packet_id, duplicate=duplicate) + following)
    taken = packets.take_packet(buffer, LIMIT)
    assert taken is not None
    kind, flags, body = taken
    assert (kind, bytes(buffer)) == (packets.PUBLISH, following)
    assert packets.parse_publish(flags, body) == (message, packet_id if message.qos else 0)
    assert bool(flags & 8) is duplicate


@given(messages, st.integers(0, 10_000))
def test_a_packet_that_is_not_whole_yet_is_left_alone(message: Message, cut: int) -> None:
    whole = packets.publish(message, 1)
    buffer = bytearray(whole[: cut % len(whole)])
    before = bytes(buffer)
    assert packets.take_packet(buffer, LIMIT) is None
    assert bytes(buffer) == before


@pytest.mark.parametrize(
    "parse",
    [
        packets.parse_connect,
        packets.parse_subscribe,
        packets.parse_unsubscribe,
        packets.parse_packet_id,
        lambda body: packets.parse_publish(0b0010, body),
        lambda body: packets.parse_publish(0b0111, body),
    ],
)
@given(body=st.binary(max_size=64) | st.binary(max_size=40).map(lambda tail: b"\0\4MQTT\4" + tail))
def test_any_bytes_are_read_or_refused(parse: Callable[[bytes], Any], body: bytes) -> None:
    try:
        parsed = parse(body)
    except Malformed:
        return
    assert parse(body) == parsed


@given(st.binary(max_size=200))
def test_cutting_any_stream_into_packets_ends(stream: bytes) -> None:
    buffer = bytearray(stream)
    left = len(stream) + 1
    with contextlib.suppress(Malformed):
        while packets.take_packet(buffer, LIMIT) is not None:
            assert len(buffer) < left
            left = len(buffer)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"\x30\xff\xff\xff\x7f", "at most 65536"),
        (b"\x30\x81\x80\x80\x80\x01", "no end"),
        (b"\x30\x81\x80\x04", "at most 65536"),
    ],
)
def test_a_packet_beyond_the_limit_is_refused_by_its_header(stream: bytes, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        packets.take_packet(bytearray(stream), LIMIT)


@pytest.mark.parametrize("topic_filter", ["#", "+", "a/#", "+/a/+/#", "/", "a//b", "a/", "$SYS/#"])
def test_a_topic_filter_may_hold_wildcards_in_their_places(topic_filter: str) -> None:
    assert packets.parse_subscribe(subscribe_body(topic_filter)) == (7, [(topic_filter, 1)])


@pytest.mark.parametrize("topic_filter", ["", "a#", "#/a", "a+", "a/+b/c", "a/#/b", "##"])
def test_a_topic_filter_with_a_misplaced_wildcard_is_refused(topic_filter: str) -> None:
    with pytest.raises(Malformed, match="topic filter"):
        packets.parse_subscribe(subscribe_body(topic_filter))


def subscribe_body(topic_filter: str) -> bytes:
    return b"\0\7" + len(topic_filter).to_bytes(2) + topic_filter.encode() + b"\1"


def test_an_older_or_newer_mqtt_is_told_apart_from_rubbish() -> None:
    for version in (3, 5):
        with pytest.raises(packets.WrongProtocol):
            packets.parse_connect(b"\0\4MQTT" + bytes([version, 2, 0, 60, 0, 1]) + b"a")


def test_quality_of_service_2_is_refused() -> None:
    with pytest.raises(Malformed, match="QoS 2"):
        packets.parse_publish(0b0100, b"\0\1a\0\1")
