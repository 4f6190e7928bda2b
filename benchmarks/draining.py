"""Three ways to drain the queue of one MQTT session, each in a process of its own. Reads a job, prints the time.

`bare`: paho alone, which only acknowledges: the ceiling. `naive`: the ORM, one row and one commit for each message,
which is acknowledged after it. `ours`: ingest as `sc-stim ingest` runs it.
"""

import datetime as dt
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.orm import Session

import sc_stim.extensions  # noqa: F401  (sets SQLite up for durability)
from benchmarks.waiting import until
from sc_stim import logs
from sc_stim.devices import topics
from sc_stim.devices.ingest_process import lanes, run
from sc_stim.devices.mqtt import RECEIVE_MAXIMUM, SESSION_EXPIRY_S
from sc_stim.models import Device, PumpSample

Job = dict[str, Any]  # mqtt_url, mqtt_password, database (for SQLAlchemy), batch, messages, samples
SHARDS, PREFIX = "0-f", "ingest"
USERNAME = f"{PREFIX}-{SHARDS}-live"
POLL_S = 0.25


def open_session(job: Job) -> None:
    """Throw away what the session holds, subscribe as ingest does, and leave: from now on the broker queues."""
    client, options = _client(job, clean=True)
    filters = [(name, 1) for name in topics.live_filters(tuple(topics.SHARDS))]
    client.on_connect = lambda client, *_: client.subscribe(filters) and None
    client.on_subscribe = lambda client, *_: client.disconnect() and None
    client.connect("127.0.0.1", **options)
    client.loop_forever()


def drain_bare(job: Job) -> float:
    return _drain(job, lambda _message: None)


def drain_naive(job: Job) -> float:
    """Without even asking the database which device this is."""
    with Session(_engine(job)) as session:
        keys = select(Device.public_id, Device.id, Device.clinic_id)
        known = {str(public_id): key for public_id, *key in session.execute(keys)}
        session.commit()

        def store(message: paho.MQTTMessage) -> None:
            session.add_all(_rows(json.loads(message.payload), *known[message.topic.split("/")[3]]))
            session.commit()

        return _drain(job, store)


def drain_ours(job: Job) -> float:
    """From before the connection to the end of the last commit."""
    engine, committed = _engine(job), [0.0]
    both = lanes(SHARDS, job["mqtt_url"], PREFIX, job["mqtt_password"], None, 5)

    def note(point: str) -> None:
        if point == "after_commit":
            committed[0] = time.perf_counter()

    began = time.perf_counter()
    stop = run(both, engine, batch=job["batch"], faults=note)
    try:
        until(
            lambda: _stored(engine) >= job["samples"], f"{job['samples']} samples to be stored", poll_s=POLL_S
        )
    finally:
        stop()
    return committed[0] - began


def _engine(job: Job) -> Engine:
    return create_engine(job["database"])


def _stored(engine: Engine) -> int:
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(PumpSample)) or 0


def _client(job: Job, *, clean: bool = False) -> tuple[paho.Client, dict[str, Any]]:
    """A client for the session of ingest, and how it connects: as ingest does."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=USERNAME, protocol=paho.MQTTv5, manual_ack=True
    )
    client.username_pw_set(USERNAME, job["mqtt_password"])
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    return client, {"clean_start": clean, "properties": properties, "port": urlsplit(job["mqtt_url"]).port}


def _drain(job: Job, store: Callable[[paho.MQTTMessage], None]) -> float:
    """Take every message, store it, acknowledge it."""
    client, options = _client(job)
    left = job["messages"]

    def on_message(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        nonlocal left
        store(message)
        client.ack(message.mid, message.qos)
        left -= 1
        if not left:
            client.disconnect()

    client.on_message = on_message
    began = time.perf_counter()
    client.connect("127.0.0.1", **options)
    client.loop_forever()
    took = time.perf_counter() - began
    if left:
        raise ConnectionError(f"the connection ended with {left} messages outstanding")
    return took


def _rows(message: dict[str, Any], device_id: int, clinic_id: int) -> Iterator[PumpSample]:
    received_at = dt.datetime.now(dt.UTC)
    for sample in message["samples"]:
        at = dt.datetime.fromisoformat(sample.pop("at"))
        yield PumpSample(
            device_id=device_id, epoch=message["epoch"], clinic_id=clinic_id, measured_at=at, device_at=at,
            received_at=received_at, **sample,
        )  # fmt: skip


WAYS = {"bare": drain_bare, "naive": drain_naive, "ours": drain_ours}


def main() -> None:
    job = json.load(sys.stdin)
    logs.configure("ERROR")
    began = time.process_time()
    seconds = WAYS[job["way"]](job)
    json.dump({"seconds": seconds, "cpu_s": time.process_time() - began}, sys.stdout)


if __name__ == "__main__":
    main()
