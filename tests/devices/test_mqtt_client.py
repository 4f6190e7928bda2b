"""What our client does instead of paho comes to the same as what paho does."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho
from paho.mqtt._packet import decode_publish
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from sc_stim.devices.mqtt_client import Client, Publish, read_publish

PUBLISH_TYPE = PacketTypes.PUBLISH << 4
VERSIONS = (paho.MQTTv311, paho.MQTTv5)


def properties(users: list[tuple[str, str]]) -> bytes:
    told = Properties(PacketTypes.PUBLISH)
    told.MessageExpiryInterval = 60
    if users:
        told.UserProperty = users
    return bytes(told.pack())


def body(topic: bytes, qos: int, mid: int, told: bytes, payload: bytes) -> bytes:
    number = mid.to_bytes(2) if qos else b""
    return len(topic).to_bytes(2) + topic + number + told + payload


@given(
    topic=st.text(min_size=1, max_size=40),
    payload=st.binary(max_size=200),
    qos=st.integers(0, 2),
    retained=st.booleans(),
    mid=st.integers(1, 65_535),
    users=st.lists(st.tuples(st.text("ab", max_size=90), st.text("ab", max_size=90)), max_size=3),
    has_properties=st.booleans(),
    version=st.sampled_from(VERSIONS),
)
def test_a_publish_reads_as_paho_reads_it(
    topic: str, payload: bytes, qos: int, retained: bool, mid: int, users: list[tuple[str, str]],
    has_properties: bool, version: int,
) -> None:  # fmt: skip
    told = (properties(users) if has_properties else b"\0") if version == paho.MQTTv5 else b""
    packet = body(topic.encode("utf-8", "replace"), qos, mid, told, payload)
    first_byte = PUBLISH_TYPE | qos << 1 | retained
    theirs = decode_publish(first_byte, packet, version)
    ours = read_publish(first_byte, packet, version)
    assert ours == Publish(theirs.topic.decode(), theirs.payload, theirs.retain, theirs.qos, theirs.mid)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("packet", [b"", b"\0", b"\0\5abc", b"\0\1a", b"\0\1a\0"])
def test_a_publish_that_ends_too_early_is_malformed(packet: bytes, version: int) -> None:
    with pytest.raises(MalformedPacket):
        read_publish(PUBLISH_TYPE | 2, packet, version)


def test_properties_longer_than_the_packet_are_malformed() -> None:
    with pytest.raises(MalformedPacket):
        read_publish(PUBLISH_TYPE, b"\0\1a\x05\x02\0", paho.MQTTv5)


def test_a_topic_that_is_no_utf_8_gets_a_name_that_is_no_topic() -> None:
    packet = body(b"\xff", 0, 0, b"", b"payload")
    assert read_publish(PUBLISH_TYPE, packet, paho.MQTTv311).topic == "(topic is not UTF-8)"


class _Line(Client):
    """A client whose broker is the other end of a pair of sockets."""

    def __init__(self, own_end: socket.socket) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id="ingest", manual_ack=True)
        self.on_socket_register_write = lambda *_: None
        self.heard: list[Publish] = []
        self.on_packet = self.heard.append
        self._sock = own_end


@pytest.fixture
def line() -> Iterator[tuple[_Line, socket.socket]]:
    ours, broker = socket.socketpair()
    ours.setblocking(False)
    with ours, broker:
        yield _Line(ours), broker


def test_packets_that_come_together_are_read_one_by_one_and_at_once(
    line: tuple[_Line, socket.socket],
) -> None:
    client, broker = line
    packets = [body(b"t", 1, mid, b"", b"%d" % mid) for mid in (1, 2, 3)]
    broker.sendall(b"".join(bytes([PUBLISH_TYPE | 2, len(packet)]) + packet for packet in packets))
    client.loop_read()
    assert [one.payload for one in client.heard] == [b"1"]
    assert client.has_unread
    client.loop_read()
    client.loop_read()
    assert [(one.mid, one.payload) for one in client.heard] == [(1, b"1"), (2, b"2"), (3, b"3")]
    assert not client.has_unread


def test_acknowledgements_and_messages_leave_in_the_order_in_which_they_were_handed_in(
    line: tuple[_Line, socket.socket],
) -> None:
    client, broker = line
    client.ack_all([7, 258])
    for payload in (b"x", b"y", b"z"):
        client.publish("t", payload, qos=1)
    client.loop_write()
    assert broker.recv(1000) == (
        b"\x40\2\0\7\x40\2\1\2"
        + b"".join(b"\x32\6\0\1t\0%b%b" % (bytes([n]), p) for n, p in enumerate([b"x", b"y", b"z"], 1))
    )
    assert not client.want_write()


def test_what_the_socket_does_not_take_is_sent_later(line: tuple[_Line, socket.socket]) -> None:
    client, broker = line
    mids = list(range(1, 65_536)) * 8
    for first in range(0, len(mids), 1000):
        client.ack_all(mids[first : first + 1000])
    received = b""
    while client.want_write():
        client.loop_write()
        received += broker.recv(1 << 20)
    assert received == b"".join(b"\x40\2" + mid.to_bytes(2) for mid in mids)
