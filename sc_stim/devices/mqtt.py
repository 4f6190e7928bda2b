"""One MQTT session of ingest, over paho. Nothing here knows what a message means.

The caller's thread reads the socket; another thread may hand finished deliveries back. Acknowledgements are sent
only by the reading thread and only on the connection that delivered the message: packet ids are used again after a
reconnect, so a late one would acknowledge somebody else's message.
"""

import datetime as dt
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from msgspec import Struct
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from sc_stim import clock
from sc_stim.devices.mqtt_client import Client, Publish

KEEPALIVE_S = 30
SESSION_EXPIRY_S = 7 * 86_400
CONNECT_TIMEOUT_S = 10
CLOSE_TIMEOUT_S = 5
RECEIVE_MAXIMUM = 4000  # messages in our hands without an acknowledgement; the broker may allow fewer
PACKETS_A_ROUND = 256  # taken before we look after acknowledgements again


class Refused(ConnectionError):
    """The broker does not let us in: wrong credentials or not permitted. Retrying needs a person."""


class Delivery(Struct, frozen=True, gc=False):
    """A message as it came, and what is needed to acknowledge it."""

    topic: str
    payload: bytes
    received_at: dt.datetime
    retained: bool
    mid: int
    qos: int
    connection: int


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is, and as whom we sign in. User name and client id are one."""

    url: str
    username: str
    password: str
    ca_file: str | None = None
    version: int = 5


class MqttSession:
    """A persistent session: connect, read a round, acknowledge, publish. Raises OSError when the link is gone."""

    def __init__(
        self,
        address: Address,
        filters: list[str],
        on_delivery: Callable[[Delivery], None],
        *,
        faults: Callable[[str], None] = lambda _point: None,
    ) -> None:
        self._address = address
        self._filters = filters
        self._on_delivery = on_delivery
        self._faults = faults
        self._connection = 0
        self._ready = False
        self._finished: deque[Delivery] = deque()
        self._outgoing: deque[tuple[str, bytes]] = deque()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._refusal: str | None = None
        self._client = self._make_client()

    # --- called by any thread ---

    def finish(self, deliveries: list[Delivery]) -> None:
        """These are settled: acknowledge them, in this order."""
        self._finished.extend(deliveries)
        self._wake()

    def send(self, messages: list[tuple[str, bytes]]) -> None:
        """Publish these at QoS 1 after the acknowledgements handed in so far."""
        self._outgoing.extend(messages)
        self._wake()

    # --- called by the reading thread alone ---

    @property
    def ready(self) -> bool:
        """Connected and subscribed."""
        return self._ready

    @property
    def connection(self) -> int:
        """The number of the present connection, which its deliveries carry."""
        return self._connection

    def connect(self) -> None:
        """Open a new connection to the old session. Raises Refused or OSError."""
        url = urlsplit(self._address.url)
        self._client = self._make_client()
        self._connection += 1
        self._refusal = None
        options: dict[str, Any] = {}
        if self._address.version == 5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
            options = {"clean_start": False, "properties": properties}
        port = url.port or (8883 if url.scheme == "mqtts" else 1883)
        self._client.connect(url.hostname or "127.0.0.1", port, keepalive=KEEPALIVE_S, **options)
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while not self._ready:
            self.read(0.2)
            if time.monotonic() > deadline:
                raise TimeoutError("the broker did not answer")

    def read(self, wait_s: float) -> None:
        """One round: wait for the socket, take what is there, acknowledge and publish what others handed in."""
        if self._wait(wait_s):
            for _ in range(PACKETS_A_ROUND):
                self._check(self._client.loop_read())
                if not self._client.has_unread:
                    break
        self._hand_over()
        if self._client.want_write():
            self._check(self._client.loop_write())
        self._check(self._client.loop_misc())

    def close(self) -> None:
        """Send what was handed in and say goodbye, for good; the session and what it holds stay at the broker."""
        try:
            if self._ready:
                self._say_goodbye()
        finally:
            self.drop()
            self._wake_read.close()
            self._wake_write.close()

    def drop(self) -> None:
        """Cut the line, so that everything unacknowledged comes again on the next connection."""
        self._ready = False
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    # --- inside ---

    def _say_goodbye(self) -> None:
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        self._hand_over()
        self._client.disconnect()
        while self._client.socket() is not None and time.monotonic() < deadline:
            self._wait(0.1)
            self._check(self._client.loop_write())

    def _make_client(self) -> Client:
        version = paho.MQTTv5 if self._address.version == 5 else paho.MQTTv311
        options: dict[str, Any] = {} if self._address.version == 5 else {"clean_session": False}
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._address.username,
            protocol=version,
            manual_ack=True,
            **options,
        )
        client.username_pw_set(self._address.username, self._address.password)
        if urlsplit(self._address.url).scheme == "mqtts":
            client.tls_set_context(ssl.create_default_context(cafile=self._address.ca_file))
        # No limits: to keep one in flight, paho goes through all that are under way at each answer.
        client.max_inflight_messages_set(0)
        client.max_queued_messages_set(0)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_packet = self._on_packet
        # `read` writes, once a round, not paho for each packet
        client.on_socket_register_write = lambda *_: None
        return client

    def _wait(self, wait_s: float) -> bool:
        """Wait until there is something to do; True: something to read."""
        sock = cast(socket.socket, self._client.socket())
        if sock is None:
            raise ConnectionError("the connection is closed")
        if self._client.has_unread or (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            wait_s = 0
        poll = select.poll()
        poll.register(sock, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        poll.register(self._wake_read, select.POLLIN)
        events = dict(poll.poll(wait_s * 1000))
        if self._wake_read.fileno() in events:
            self._drain_wakes()
        return bool(events.get(sock.fileno(), 0) & ~select.POLLOUT) or wait_s == 0

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._refusal = str(reason)
            return
        # Also when the session is still there: filters may have changed, and subscribing again is harmless. The
        # broker repeats what it retains for a new subscription alone, where the protocol lets us say so.
        once = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        how: Any = once if self._address.version == 5 else 1
        client.subscribe([(name, how) for name in self._filters])

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        refused = [name for name, reason in zip(self._filters, reasons, strict=True) if reason.is_failure]
        if refused:
            self._refusal = f"the broker refused to subscribe us to {', '.join(refused)}"
        else:
            self._ready = True

    def _on_packet(self, packet: Publish) -> None:
        topic, payload, retained, qos, mid = packet
        self._on_delivery(Delivery(topic, payload, clock.now(), retained, mid, qos, self._connection))

    def _hand_over(self) -> None:
        """Acknowledge what is finished, then publish: a stored-ack never comes before the PUBACK."""
        mids = []
        while self._finished:
            delivery = self._finished.popleft()
            if delivery.connection == self._connection and delivery.qos:
                mids.append(delivery.mid)
        self._client.ack_all(mids)
        for _ in mids:
            self._faults("after_puback")
        while self._outgoing and self._ready:
            self._faults("before_stored_ack")
            topic, payload = self._outgoing.popleft()
            self._client.publish(topic, payload, qos=1)

    def _check(self, code: int) -> None:
        if self._refusal:
            raise Refused(self._refusal)
        if code not in (paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_AGAIN):
            raise ConnectionError(paho.error_string(code))

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # it is full of wakes
            self._wake_write.send(b"\0")

    def _drain_wakes(self) -> None:
        with suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                pass
