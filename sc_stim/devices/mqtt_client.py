"""paho's client with fewer steps for each packet: of all that ingest does, this was most.

paho makes four system calls to read a packet and one to send it, and reads the properties of a PUBLISH, mostly none,
longer than everything else in it. Here both directions of the socket go in large pieces and the properties, of
which ingest needs none, are passed over. Connecting, TLS, keepalive and publishing stay paho's.
"""

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import VariableByteIntegers

READ_BYTES = 64 * 1024
_PUBACK = struct.Struct("!BBH")  # type, length, packet id: the same in MQTT 3.1.1 and 5
_PUBACK_TYPE = PacketTypes.PUBACK << 4


class Publish(NamedTuple):
    """A PUBLISH packet; `mid` is its packet id, 0 for QoS 0."""

    topic: str
    payload: bytes
    retained: bool
    qos: int
    mid: int


def read_publish(first_byte: int, body: bytes, version: int) -> Publish:
    """Read a PUBLISH packet of MQTT 3.1.1 or 5, given its first byte and what follows its length."""
    qos = first_byte >> 1 & 3
    at = 2 + int.from_bytes(body[:2])
    topic, mid = body[2:at], 0
    if qos:
        mid, at = int.from_bytes(body[at : at + 2]), at + 2
    if version == paho.MQTTv5:
        length, own_length = VariableByteIntegers.decode(body[at : at + 4])  # type: ignore[no-untyped-call]
        at += own_length + length
    if at > len(body):
        raise MalformedPacket("PUBLISH ends too early")
    return Publish(_text(topic), body[at:], bool(first_byte & 1), qos, mid)


def _text(topic: bytes) -> str:
    try:
        return topic.decode()
    except UnicodeDecodeError:
        return "(topic is not UTF-8)"


class Client(paho.Client):
    """Used by one thread, with acknowledgements by hand. Every PUBLISH goes to `on_packet`."""

    on_packet: Callable[[Publish], None]
    _unread = b""
    _read_to = 0

    @property
    def has_unread(self) -> bool:
        """Something is read from the socket that `loop_read` has not taken yet."""
        return self._read_to < len(self._unread)

    def ack_all(self, mids: Sequence[int]) -> None:
        """Acknowledge these messages of QoS 1, in this order."""
        if mids:
            self._queue(b"".join(_PUBACK.pack(_PUBACK_TYPE, 2, mid) for mid in mids))

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self.has_unread:
            self._unread, self._read_to = super()._sock_recv(READ_BYTES), 0
        piece = self._unread[self._read_to : self._read_to + bufsize]
        self._read_to += len(piece)
        return piece

    def _handle_publish(self) -> MQTTErrorCode:
        packet = self._in_packet
        self.on_packet(read_publish(packet["command"], bytes(packet["packet"]), self._protocol))
        return paho.MQTT_ERR_SUCCESS

    def _packet_write(self) -> MQTTErrorCode:
        """All that waits in one piece, but for the last packet: it may be the goodbye, which paho must know."""
        if len(self._out_packet) > 2:
            last = self._out_packet.pop()
            joined = b"".join(packet["packet"][packet["pos"] :] for packet in self._out_packet)
            self._out_packet.clear()
            self._queue(joined)
            self._out_packet.append(last)
        return super()._packet_write()

    def _queue(self, packets: bytes) -> None:
        """To paho they are one packet of a kind of which it keeps no account."""
        self._packet_queue(_PUBACK_TYPE, packets, mid=0, qos=0)
