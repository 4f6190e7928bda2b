"""One device's MQTT connection. The only file here that imports paho, used without threads.

The fleet's loop asks a selector which sockets are ready and calls `service`; nothing here waits, except for the TCP
connection itself.
"""

import contextlib
import selectors
import socket
import ssl
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sc_stim.devices import topics

from .agent import Message

CONNECT_TIMEOUT_S = 3.0  # the whole fleet waits while one device connects
KEEPALIVE_S = 60
SESSION_EXPIRY_S = 60 * 86_400
MAX_IN_FLIGHT = 100
PORTS = {"mqtt": 1883, "mqtts": 8883}


class Broker(NamedTuple):
    """Where to connect. `tls` None: without TLS."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    version: MQTTProtocolVersion

    @classmethod
    def of(cls, url: str, *, version: str = "3.1.1", ca: Path | None = None) -> "Broker":
        """From `mqtt://host[:port]` or `mqtts://host[:port]`; raises ValueError that says what is wrong."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.username:
            raise ValueError(f"MQTT address {url!r}: write mqtt://host:port, or mqtts://host:port for TLS")
        versions = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}
        if version not in versions:
            raise ValueError(f"MQTT version {version!r}: 3.1.1 or 5")
        try:
            tls = ssl.create_default_context(cafile=ca) if parts.scheme == "mqtts" else None
        except OSError as error:
            raise ValueError(f"certificate authority {ca}: {error.strerror or error}") from error
        return cls(parts.hostname, parts.port or PORTS[parts.scheme], tls, versions[version])


class Owner(Protocol):
    """Who is told what happens on a link. Calls come from inside paho: they must not publish."""

    def link_up(self) -> None: ...

    def link_down(self, refused: bool) -> None: ...

    def take(self, kind: str, payload: bytes) -> None: ...


class Link:
    """Device id, user name and client id are one. The session is kept, so commands wait for the device."""

    def __init__(
        self,
        device_id: str,
        password: str,
        will: Message,
        broker: Broker,
        selector: selectors.BaseSelector,
        owner: Owner,
    ) -> None:
        self.up = False
        self._broker = broker
        self._selector = selector
        self._owner = owner
        self._device_id = device_id
        self._refused = False
        self._writing = False
        self._client = self._make_client(password, will)

    def _make_client(self, password: str, will: Message) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._device_id,
            clean_session=None if self._broker.version == MQTTProtocolVersion.MQTTv5 else False,
            protocol=self._broker.version,
            reconnect_on_failure=False,
        )
        client.username_pw_set(self._device_id, password)
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        client.max_inflight_messages_set(MAX_IN_FLIGHT)
        client.connect_timeout = CONNECT_TIMEOUT_S
        if self._broker.tls:
            client.tls_set_context(self._broker.tls)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        return client

    @property
    def open(self) -> bool:
        """Is there a TCP connection? `up` also says that the broker has accepted it."""
        return self._client.socket() is not None

    def connect(self) -> None:
        """Begin to connect; raises OSError when the broker cannot be reached."""
        self._refused = False
        arguments: dict[str, Any] = {}
        if self._broker.version == MQTTProtocolVersion.MQTTv5:
            arguments["clean_start"] = False
            arguments["properties"] = properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
        self._client.connect(self._broker.host, self._broker.port, KEEPALIVE_S, **arguments)
        self._write()

    def publish(self, message: Message) -> None:
        """Hand a message to the broker. Only while `up`: what is not sent stays in the device's memory."""
        self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        self._write()

    def cut(self) -> None:
        """Lose the connection as a device does that goes out of reach: the broker publishes the last will."""
        while (sock := self._client.socket()) is not None:
            with contextlib.suppress(OSError):  # the other side was faster
                cast(socket.socket, sock).shutdown(socket.SHUT_RDWR)
            self._client.loop_read()

    def service(self, events: int) -> None:
        """The selector says that the socket is ready."""
        if events & selectors.EVENT_READ:
            self._read()
        self._write()

    def keep_alive(self) -> None:
        """To be called every few seconds: pings, and notices a broker that no longer answers."""
        self._client.loop_misc()
        self._write()

    def _read(self) -> None:
        self._client.loop_read()
        while isinstance(sock := self._client.socket(), ssl.SSLSocket) and sock.pending():
            self._client.loop_read()

    def _write(self) -> None:
        """Write what can be written now; ask the selector to call again for the rest."""
        if self._client.want_write():
            self._client.loop_write()
        sock = self._client.socket()
        if sock is not None and self._client.want_write() != self._writing:
            self._writing = not self._writing
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._writing else 0)
            self._selector.modify(sock, events, self)

    # --- called by paho

    def _on_socket_open(self, client: paho.Client, userdata: object, sock: Any) -> None:
        self._writing = False
        self._selector.register(sock, selectors.EVENT_READ, self)

    def _on_socket_close(self, client: paho.Client, userdata: object, sock: Any) -> None:
        self._selector.unregister(sock)

    def _on_connect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._refused = reason.is_failure
        if reason.is_failure:
            return
        client.subscribe([(topics.down(self._device_id, kind), 1) for kind in topics.DOWN_KINDS])
        self.up = True
        self._owner.link_up()

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.up = False
        self._owner.link_down(self._refused)

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        self._owner.take(message.topic.rpartition("/")[2], bytes(message.payload))
