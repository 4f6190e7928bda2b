"""The other end for fleet tests: a clinic that stores records and acknowledges them."""

import threading
from collections import Counter

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from sc_stim.devices import messages, topics
from simulators.cohort import Cohort
from tests.servers import MqttBroker


def _client(broker: MqttBroker, *, clean_session: bool) -> paho.Client:
    name = broker.ingest_username()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean_session)
    client.username_pw_set(name, broker.ingest_password)
    return client


def _empty_queue(broker: MqttBroker) -> None:
    """What came after an earlier clinic left still waits for its successor, who does not know those devices."""
    client, connected = _client(broker, clean_session=True), threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert connected.wait(10)
    client.disconnect()
    client.loop_stop()


class Clinic:
    """Takes what devices send, checks it as ingest does, and sends stored-acks.

    `stored` counts how often each (device, epoch, seq) came, `conflicts` has those that came with another content.
    `acks` False: stores, but never says so.
    """

    def __init__(self, broker: MqttBroker, cohort: Cohort, *, acks: bool = True) -> None:
        self.stored: Counter[tuple[str, str, int]] = Counter()
        self.items: dict[tuple[str, str, int], messages.AnyItem] = {}
        self.conflicts: list[tuple[str, str, int]] = []
        self.rejects: list[messages.Reject] = []
        self.states: dict[str, list[messages.DeviceState]] = {}
        self.results: list[messages.Result] = []
        self.sent_at: list[object] = []
        self.sizes: list[int] = []
        self.acks = acks
        self._kinds = {device.id: device.kind for device in cohort.devices}
        self._ready = threading.Event()
        _empty_queue(broker)
        self._client = _client(broker, clean_session=False)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{topics.ROOT}/+/+/up/#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(0.1, 0.2)
        self._client.connect("127.0.0.1", broker.port)

    def __enter__(self) -> "Clinic":
        self._client.loop_start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def command(self, device: str, **fields: object) -> None:
        self._client.publish(topics.down(device, "command"), msgspec.json.encode(fields), qos=1)

    def acknowledge(self, device: str, epoch: str) -> None:
        seqs = {seq for of, in_epoch, seq in list(self.stored) if (of, in_epoch) == (device, epoch)}
        upto = max(seqs)
        missing = [(seq, seq) for seq in range(upto) if seq not in seqs]
        self._client.publish(topics.down(device, "ack"), messages.encode_ack(epoch, upto, missing, []), qos=1)

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        topic = topics.parse_up(message.topic)
        self.sizes.append(len(message.payload))
        if topic.kind == "state":
            self.states.setdefault(topic.device_id, []).append(messages.decode_state(message.payload))
        elif topic.kind == "result":
            self.results.append(messages.decode_result(message.payload))
        else:
            self._store(topic.device_id, topic.kind, message.payload)

    def _store(self, device: str, kind: messages.DataKind, payload: bytes) -> None:
        envelope = messages.decode(kind, self._kinds[device], payload)
        self.rejects += envelope.rejects
        self.sent_at.append(envelope.sent_at)
        assert envelope.unknown_fields == 0
        for item in envelope.items:
            identity = (device, envelope.epoch, item.seq)
            self.stored[identity] += 1
            if self.items.setdefault(identity, item) != item:
                self.conflicts.append(identity)
        if self.acks:
            self.acknowledge(device, envelope.epoch)
