"""Thousands of bad messages among good ones, through the real broker: none stops ingest, none is lost sight of."""

import json
import os
import queue
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import paho.mqtt.client as mqtt
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.devices import messages, topics
from sc_stim.devices.broker_access import Act
from sc_stim.devices.mqtt_admin import MosquittoAdmin
from sc_stim.models import BrokerLogin, Device, PumpSample, Quarantine
from sc_stim.models.base import new_public_id
from tests.faults import stack
from tests.faults.malformed import Bad, Generator
from tests.intake import make_engine
from tests.servers import Mosquitto, wait_until

SEED = int(os.environ.get("SC_STIM_FAULT_SEED") or 20261122)
COUNT = int(os.environ.get("SC_STIM_FAULT_MESSAGES") or 5_000)
DEVICES, REVOKED, STRANGERS = 30, 3, 3
EPOCH = "e1"


def now() -> str:
    return clock.now().isoformat()


class Everybody:
    """A client that may speak as any device, on any topic: from the devices themselves the broker takes less."""

    def __init__(self, broker: Mosquitto) -> None:
        name, password = "everybody", "test"
        acls = [{"acltype": act.value, "topic": f"{topics.ROOT}/#", "allow": True} for act in Act]
        with MosquittoAdmin(broker.admin_url)._session() as session:
            session.ask(
                [
                    {"command": "createRole", "rolename": name, "acls": acls},
                    {
                        "command": "createClient",
                        "username": name,
                        "password": password,
                        "roles": [{"rolename": name}],
                    },
                ]
            )
        self.acks: defaultdict[str, list[messages.Ack]] = defaultdict(list)  # by device
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
        self._client.username_pw_set(name, password)
        self._client.max_inflight_messages_set(200)
        self._client.on_message = self._on_message
        subscribed: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._client.on_subscribe = lambda *_: subscribed.put(None)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        self._client.subscribe(f"{topics.ROOT}/+/+/down/ack", qos=1)
        subscribed.get(timeout=10)

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1)

    def covers(self, device: str, seq: int) -> bool:
        return any(ack.covers(seq) for ack in self.acks[device])

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        self.acks[message.topic.split("/")[3]].append(messages.decode_ack(message.payload))


@contextmanager
def speaking(broker: Mosquitto) -> Iterator[Everybody]:
    everybody = Everybody(broker)
    try:
        yield everybody
    finally:
        everybody.close()


def good(rng: random.Random, devices: list[str], count: int) -> Iterator[tuple[str, str, bytes, list[int]]]:
    """Device, topic, payload and the numbers in it."""
    seqs = dict.fromkeys(devices, 0)
    for _ in range(count):
        device = rng.choice(devices)
        numbers = list(range(seqs[device], seqs[device] + rng.randrange(1, 4)))
        seqs[device] = numbers[-1] + 1
        samples = [{"seq": seq, "at": now(), "reservoir_ml": seq % 40, "state": "running"} for seq in numbers]
        payload = {"epoch": EPOCH, "sent_at": now(), "samples": samples}
        yield (
            device,
            topics.up(device, rng.choice(("telemetry", "history"))),
            json.dumps(payload).encode(),
            numbers,
        )


@pytest.mark.timeout(300)
def test_among_thousands_of_bad_messages_every_good_one_is_stored_and_every_bad_one_named(
    postgres_database: str, mosquitto: Mosquitto
) -> None:
    rng = random.Random(SEED)
    engine = stack.make_tables(postgres_database)
    registered = stack.register(engine, DEVICES + REVOKED)
    known, revoked = list(registered)[:DEVICES], list(registered)[DEVICES:]
    strangers = [str(new_public_id()) for _ in range(STRANGERS)]
    with Session(engine) as session:
        secret = {"role": "device", "password_hash": "", "salt": "", "iterations": 1}
        times = {"issued_at": clock.now(), "revoked_at": clock.now()}
        session.add_all(BrokerLogin(username=device, **secret, **times) for device in revoked)
        session.commit()
    bad = list(Generator(SEED, known, revoked, strangers, now).messages(COUNT))
    stored: set[tuple[str, int]] = set()
    program = stack.ingest(postgres_database, mosquitto)
    with speaking(mosquitto) as everybody:
        program.start()
        wait_until(lambda: program.log.read_bytes().count(b"ingest_connected") == 2, "ingest to listen")
        left: list[Bad | tuple[str, str, bytes, list[int]]] = [*bad, *good(rng, known, COUNT // 2)]
        _shuffle_keeping_good_in_order(left, rng)
        for message in left:
            if isinstance(message, Bad):
                everybody.publish(message.topic, message.payload)
            else:
                device, topic, payload, numbers = message
                stored |= {(device, seq) for seq in numbers}
                everybody.publish(topic, payload)
        named = {(one.device, one.seq) for one in bad if one.seq is not None}
        wait_until(
            lambda: all(everybody.covers(device, seq) for device, seq in stored | named),
            f"stored-acks for every record that can be named, seed {SEED}",
            120,
        )
        wait_until(lambda: _count(postgres_database) >= COUNT, f"every bad message to be kept, seed {SEED}")
        assert program.alive
        assert program.stop() == 0
        for device, acks in everybody.acks.items():
            covered = {seq for ack in acks for seq in range(ack.upto + 2) if ack.covers(seq)}
            assert covered == {seq for other, seq in stored | named if other == device}, f"seed {SEED}"
    log = program.log.read_text()
    assert (log.count("ingest_connected"), log.count('"level": "error"')) == (2, 0), log[-2000:]
    by_id = {row_id: device for device, row_id in registered.items()}
    with engine.begin() as connection:
        rows = connection.execute(select(PumpSample.device_id, PumpSample.seq)).all()
        kept = connection.execute(
            select(Quarantine.topic, Quarantine.reason, Quarantine.seq, Quarantine.device_id)
        ).all()
        assert connection.scalar(select(Device.id).where(Device.id.not_in(by_id))) is None
    assert sorted((by_id[device_id], seq) for device_id, seq in rows) == sorted(stored), f"seed {SEED}"
    expected = Counter((one.topic, one.reason, one.seq) for one in bad)
    assert Counter((topic, reason, seq) for topic, reason, seq, _ in kept) == expected, f"seed {SEED}"
    engine.dispose()


def _shuffle_keeping_good_in_order(
    left: list[Bad | tuple[str, str, bytes, list[int]]], rng: random.Random
) -> None:
    in_order = [message for message in left if not isinstance(message, Bad)]
    rng.shuffle(left)
    following = iter(in_order)
    left[:] = [message if isinstance(message, Bad) else next(following) for message in left]


def _count(database_url: str) -> int:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        found = len(connection.execute(select(Quarantine.id)).all())
    engine.dispose()
    return found
