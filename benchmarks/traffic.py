"""Messages of pumps, and the client that publishes them for all devices."""

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.stand import LOADER, LoadedMosquitto
from benchmarks.waiting import until
from sc_stim.devices import topics
from sc_stim.devices.records import Message, PumpSample

EPOCH = "b1"
READINGS = {
    "state": "running", "reservoir_ml": 12.5, "flow_ml_per_day": 0.45, "boluses": 2, "bolus_ml": 0.05,
    "battery_v": 2.9, "eri_months": 50.0, "low_reservoir_alarm_ml": 2.0,
}  # fmt: skip

Outgoing = tuple[str, bytes]  # topic, payload


def device_ids(count: int) -> list[str]:
    """The same every time, spread over the shards."""
    return [
        str(UUID(int=(0x0193_8000 << 96) + (7 << 76) + (8 << 60) + number)) for number in range(1, count + 1)
    ]


def pump_messages(devices: Sequence[str], count: int, items: int = 1) -> Iterator[Outgoing]:
    """`count` messages of `items` samples each, every device in turn; samples a minute apart up to now."""
    now = dt.datetime.now(dt.UTC)
    rounds = -(-count // len(devices))
    for number in range(count):
        turn, device = divmod(number, len(devices))
        newest_at = now - dt.timedelta(minutes=(rounds - 1 - turn) * items)
        yield pump_message(devices[device], turn * items, items, newest_at)


def pump_message(device: str, first_seq: int, items: int, newest_at: dt.datetime) -> Outgoing:
    samples = [
        PumpSample(seq=first_seq + n, at=newest_at - dt.timedelta(minutes=items - 1 - n), **READINGS)  # type: ignore[arg-type]
        for n in range(items)
    ]
    message = Message(epoch=EPOCH, sent_at=dt.datetime.now(dt.UTC), samples=samples)
    return topics.up(device, "telemetry"), msgspec.json.encode(message)


@contextmanager
def loader(
    broker: LoadedMosquitto, on_message: Callable[[paho.MQTTMessage], None] | None = None
) -> Iterator[paho.Client]:
    """A connected client that may speak for every device; `on_message` gets what is sent to them."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=LOADER, clean_session=True)
    client.username_pw_set(LOADER, broker.loader_password)
    client.max_inflight_messages_set(1000)
    client.max_queued_messages_set(0)
    ready: list[Any] = []
    client.on_subscribe = lambda *_: ready.append(True)
    if on_message:
        client.on_message = lambda _client, _data, message: on_message(message)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    client.subscribe(f"{topics.ROOT}/+/+/down/ack", qos=0)
    until(lambda: bool(ready), "the loader to be connected")
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def publish_all(client: paho.Client, messages: Iterable[Outgoing]) -> int:
    """Publish at QoS 1 and wait until the broker has taken every one; how many."""
    taken = itertools.count(1)
    reached = [0]
    client.on_publish = lambda *_: reached.__setitem__(0, next(taken))
    sent = 0
    for topic, payload in messages:
        client.publish(topic, payload, qos=1)
        sent += 1
    until(lambda: reached[0] == sent, f"the broker to take {sent} messages")
    client.on_publish = None
    return sent
