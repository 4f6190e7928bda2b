"""An MQTT client for the tests of brokers: connects, remembers what is delivered, misbehaves when told to."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as mqtt

from tests.servers import MqttBroker, wait_until

FENCE = b"lawful"
LAST_WILL = b"gone"


class Client:
    """A connected client that remembers all that is delivered to it."""

    def __init__(
        self, broker: MqttBroker, username: str | None, password: str | None, **options: Any
    ) -> None:
        self._port = broker.port
        will, self._keepalive_s = options.pop("will", None), options.pop("keepalive_s", 60)
        options = {"client_id": username, "clean_session": True, "reconnect_on_failure": False} | options
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, **options)
        if username is not None:
            self._client.username_pw_set(username, password)
        if will is not None:
            self._client.will_set(will, LAST_WILL, qos=1, retain=True)
        self.delivered: list[tuple[str, bytes, bool]] = []
        self.disconnected = False
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._client.on_connect = lambda _c, _d, _f, reason, _p: self._answers.put(reason)
        self._client.on_subscribe = lambda _c, _d, _mid, reasons, _p: self._answers.put(reasons)
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect

    def connect(self) -> bool:
        """Whether the broker lets it in."""
        self._client.connect("127.0.0.1", self._port, keepalive=self._keepalive_s)
        self._client.loop_start()
        return not self._answers.get(timeout=10).is_failure

    def subscribe(self, *filters: str) -> None:
        for topic_filter in filters:
            self._client.subscribe(topic_filter, qos=1)
            self._answers.get(timeout=10)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain)

    def received(self) -> list[tuple[str, bytes]]:
        """What came while it was connected: no retained messages of earlier tests."""
        return [(topic, payload) for topic, payload, retained in self.delivered if not retained]

    def await_delivery(self, topic: str, payload: bytes = FENCE, *, retained: bool = False) -> None:
        wait_until(lambda: (topic, payload, retained) in self.delivered, f"{payload[:20]!r} on {topic}", 10)

    def break_off(self) -> None:
        """Vanish without a DISCONNECT."""
        self._socket.shutdown(2)
        wait_until(lambda: self.disconnected, "the connection to end")

    def send_raw(self, packet: bytes) -> None:
        self._socket.sendall(packet)

    def stop_reading(self) -> None:
        """Stay connected and do nothing any more, not even ping."""
        self._client.loop_stop()

    @property
    def _socket(self) -> Any:
        return self._client.socket()

    def all_acknowledged(self) -> bool:
        return not self._client._out_messages

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        self.delivered.append((message.topic, message.payload, message.retain))

    def _on_disconnect(self, *_: Any) -> None:
        self.disconnected = True


@contextmanager
def connected(
    broker: MqttBroker, username: str | None, password: str | None, **options: Any
) -> Iterator[Client]:
    client = Client(broker, username, password, **options)
    try:
        assert client.connect(), f"{username} was not let in"
        yield client
    finally:
        client.close()
