"""MQTT 3.1.1 packets, bytes to values and back. Pure; QoS 0 and 1 only.

Every ``parse_...`` raises ``Malformed`` for bytes that are not such a packet, and nothing else.
"""

import re
import struct
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14

ACCEPTED, WRONG_PROTOCOL, WRONG_CLIENT_ID, UNAVAILABLE, WRONG_PASSWORD = 0, 1, 2, 3, 4
SUBSCRIPTION_REFUSED = 0x80

_FILTER = re.compile(r"(?=.)(?:(?:\+|[^+#/]*)/)*(?:#|\+|[^+#/]*)", re.DOTALL)


class Malformed(ValueError):
    """These bytes are no MQTT 3.1.1 packet we take. The connection they came on is of no more use."""


class WrongProtocol(Malformed):
    """A CONNECT of another version of MQTT."""


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Connect:
    client_id: str
    username: str | None
    password: str | None
    clean_session: bool
    keepalive_s: int
    will: Message | None


class _Reader:
    """Takes one field after another from a packet's body."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def finished(self) -> bool:
        return self._at == len(self._body)

    def take(self, count: int) -> bytes:
        taken = self._body[self._at : self._at + count]
        if len(taken) < count:
            raise Malformed("the packet ends too early")
        self._at += count
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        return int.from_bytes(self.take(2))

    def binary(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        try:
            text = self.binary().decode()
        except UnicodeDecodeError as error:
            raise Malformed("text is not UTF-8") from error
        if "\0" in text:
            raise Malformed("text holds a null character")
        return text

    def rest(self) -> bytes:
        return self.take(len(self._body) - self._at)


def take_packet(buffer: bytearray, max_bytes: int) -> tuple[int, int, bytes] | None:
    """Cut the first packet off ``buffer``: its type, its flags and its body; None while it is incomplete."""
    length = 0
    for at in range(1, 5):
        if at >= len(buffer):
            return None
        length |= (buffer[at] & 0x7F) << (7 * (at - 1))
        if length > max_bytes:
            raise Malformed(f"a packet of {length} bytes or more, at most {max_bytes} are taken")
        if not buffer[at] & 0x80:
            break
    else:
        raise Malformed("the packet's length has no end")
    start, end = at + 1, at + 1 + length
    if len(buffer) < end:
        return None
    kind, flags, body = buffer[0] >> 4, buffer[0] & 0x0F, bytes(buffer[start:end])
    del buffer[:end]
    return kind, flags, body


def parse_connect(body: bytes) -> Connect:
    reader = _Reader(body)
    if reader.binary() != b"MQTT" or reader.byte() != 4:
        raise WrongProtocol("only MQTT 3.1.1 is spoken here")
    flags, keepalive_s, client_id = reader.byte(), reader.number(), reader.text()
    will = None
    if flags & 0x04:
        will = Message(reader.text(), reader.binary(), min(flags >> 3 & 3, 1), bool(flags & 0x20))
        _check_name(will.topic)
    username = reader.text() if flags & 0x80 else None
    password = reader.text() if flags & 0x40 else None
    return Connect(client_id, username, password, bool(flags & 0x02), keepalive_s, will)


def parse_publish(flags: int, body: bytes) -> tuple[Message, int]:
    """The message and its packet id (0 at QoS 0)."""
    qos = flags >> 1 & 3
    if qos > 1:
        raise Malformed("QoS 2 is not offered")
    reader = _Reader(body)
    topic = reader.text()
    _check_name(topic)
    packet_id = reader.number() if qos else 0
    return Message(topic, reader.rest(), qos, bool(flags & 1)), packet_id


def parse_subscribe(body: bytes) -> tuple[int, list[tuple[str, int]]]:
    """The packet id, and each topic filter with the QoS asked for."""
    reader = _Reader(body)
    packet_id, filters = reader.number(), []
    while not reader.finished:
        topic_filter = reader.text()
        if not _FILTER.fullmatch(topic_filter):
            raise Malformed("a topic filter has a wildcard in the wrong place, or is empty")
        filters.append((topic_filter, reader.byte() & 3))
    return packet_id, filters


def parse_unsubscribe(body: bytes) -> tuple[int, list[str]]:
    reader = _Reader(body)
    packet_id, filters = reader.number(), []
    while not reader.finished:
        filters.append(reader.text())
    return packet_id, filters


def parse_packet_id(body: bytes) -> int:
    return _Reader(body).number()


def connack(code: int, *, session_present: bool = False) -> bytes:
    return bytes((CONNACK << 4, 2, session_present, code))


def publish(message: Message, packet_id: int, *, duplicate: bool = False) -> bytes:
    topic = message.topic.encode()
    flags = duplicate << 3 | message.qos << 1 | message.retain
    head = struct.pack("!H", len(topic)) + topic + (struct.pack("!H", packet_id) if message.qos else b"")
    return bytes((PUBLISH << 4 | flags,)) + _length(len(head) + len(message.payload)) + head + message.payload


def puback(packet_id: int) -> bytes:
    return struct.pack("!BBH", PUBACK << 4, 2, packet_id)


def suback(packet_id: int, codes: list[int]) -> bytes:
    return bytes((SUBACK << 4,)) + _length(2 + len(codes)) + struct.pack("!H", packet_id) + bytes(codes)


def unsuback(packet_id: int) -> bytes:
    return struct.pack("!BBH", UNSUBACK << 4, 2, packet_id)


def pingresp() -> bytes:
    return bytes((PINGRESP << 4, 0))


def _check_name(topic: str) -> None:
    if not topic or "+" in topic or "#" in topic:
        raise Malformed("a message's topic is empty or holds a wildcard")


def _length(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
