"""Clocks 47 minutes wrong, six hours in the broker's queue, every message three times and out of order; twice over."""

import datetime as dt
import json
import os
import random
from collections.abc import Iterator

import paho.mqtt.client as mqtt
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.devices import messages, topics
from sc_stim.models import Alert, DeviceEvent, PumpSample, WorkItem
from sc_stim.workflows.conditions import judge_conditions
from tests.faults import stack
from tests.intake import Intake, Speaker
from tests.servers import Mosquitto, wait_until

SEED = int(os.environ.get("SC_STIM_FAULT_SEED") or 20261122)
WRONG_BY = dt.timedelta(minutes=47)
QUEUED = dt.timedelta(hours=6)
EVERY = dt.timedelta(minutes=10)
DEVICES = 6
EPOCH = "e1"

Sent = tuple[str, bytes]  # topic, payload


def told_by(device_id: str, skew: dt.timedelta, now: dt.datetime) -> Iterator[Sent]:
    """What a pump sent in the last hours, by its own clock: it stalled four hours ago, and ran again an hour later."""
    stalled, ran_again = now - dt.timedelta(hours=4), now - dt.timedelta(hours=3)
    seq, at = 0, now - QUEUED
    while at < now:
        shows = (at + skew).isoformat()
        lists: dict[str, list[dict[str, object]]] = {
            "samples": [{"seq": seq, "at": shows, "reservoir_ml": seq / 2}]
        }
        lists["samples"][0]["state"] = "stopped" if stalled <= at < ran_again else "running"
        seq += 1
        for moment, state in ((stalled, "raised"), (ran_again, "cleared")):
            if at <= moment < at + EVERY:
                lists["events"] = [{"seq": seq, "at": shows, "kind": "motor_stall", "state": state}]
                seq += 1
        payload = {"epoch": EPOCH, "sent_at": shows, **lists}
        yield topics.up(device_id, "telemetry"), json.dumps(payload).encode()
        at += EVERY


def hello(sent: list[Sent], skew: dt.timedelta) -> Sent:
    """The first sample, said at once: from then on it is known how far ahead a clock is."""
    topic, payload = sent[0]
    return topic, json.dumps(json.loads(payload) | {"sent_at": (clock.now() + skew).isoformat()}).encode()


def thrice_and_out_of_order(sent: list[Sent], rng: random.Random) -> list[Sent]:
    """As a bad network does: each message three times, some overtaken by their neighbours."""
    places = [(place + rng.uniform(0, 3), message) for place, message in enumerate(sent) for _ in range(3)]
    return [message for _, message in sorted(places, key=lambda pair: pair[0])]


class Device:
    """Sends what it has and waits for its stored-acks."""

    def __init__(self, broker: Mosquitto, device_id: str, password: str) -> None:
        self.acks: list[messages.Ack] = []
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=device_id, clean_session=False)
        self._client.username_pw_set(device_id, password)
        self._client.on_message = lambda _c, _d, message: self.acks.append(
            messages.decode_ack(message.payload)
        )
        self._client.on_connect = lambda client, *_: client.subscribe(topics.down(device_id, "ack"), qos=1)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def send(self, sent: list[Sent]) -> None:
        infos = [self._client.publish(topic, payload, qos=1) for topic, payload in sent]
        for info in infos:
            info.wait_for_publish(30)

    def covers_up_to(self, last: int) -> bool:
        return any(ack.upto == last and not ack.missing for ack in self.acks)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def judge(intake: Intake, at: dt.datetime) -> None:
    with Session(intake.engine) as session:
        judge_conditions(
            session, dict(session.execute(select(WorkItem.subject_id, WorkItem.since)).all()), at
        )
        session.commit()


@pytest.mark.timeout(180)
def test_late_history_is_in_order_opens_no_alert_and_changes_nothing_the_second_time(
    postgres_database: str, mosquitto: Mosquitto
) -> None:
    rng, now = random.Random(SEED), clock.now()
    intake = Intake(stack.make_tables(postgres_database))
    registered = stack.register(intake.engine, DEVICES)
    passwords = stack.let_in(mosquitto, list(registered))
    skews = [WRONG_BY, -WRONG_BY, dt.timedelta(0)] * (DEVICES // 3)
    sent = {
        device_id: list(told_by(device_id, skew, now))
        for device_id, skew in zip(registered, skews, strict=True)
    }
    last = {device_id: sum(told.count(b'"seq"') for _, told in sent[device_id]) - 1 for device_id in sent}
    devices = {device_id: Device(mosquitto, device_id, passwords[device_id]) for device_id in registered}
    ingest = stack.ingest(postgres_database, mosquitto)

    def run() -> None:
        """The whole of it waits in the broker before ingest comes back."""
        for device_id, device in devices.items():
            device.acks.clear()
            device.send(thrice_and_out_of_order(sent[device_id], rng))
        ingest.start()
        for device_id, device in devices.items():
            wait_until(
                lambda d=device, n=last[device_id]: d.covers_up_to(n), f"all of it stored, seed {SEED}", 60
            )  # type: ignore[misc]
        ingest.stop()

    try:
        ingest.start()
        wait_until(
            lambda: ingest.log.read_bytes().count(b"ingest_connected") == 2, "ingest to have its queue"
        )
        for (device_id, device), skew in zip(devices.items(), skews, strict=True):
            device.send([hello(sent[device_id], skew)])
            wait_until(lambda d=device: d.covers_up_to(0), "the first word to be stored", 30)  # type: ignore[misc]
        ingest.stop()
        run()
        once = intake.everything()
        run()
        assert intake.everything() == once, f"seed {SEED}"
    finally:
        ingest.kill9()
        for device in devices.values():
            device.close()

    for device_id, row_id in registered.items():
        speaker, skew = Speaker(row_id, device_id), dict(zip(registered, skews, strict=True))[device_id]
        samples = (
            select(PumpSample.seq, PumpSample.measured_at, PumpSample.device_at, PumpSample.reservoir_ml)
            .where(PumpSample.device_id == row_id)
            .order_by(PumpSample.measured_at, PumpSample.seq)
        )
        rows = intake.all(samples)
        assert len(rows) == len(sent[device_id])
        assert [row.seq for row in rows] == sorted(row.seq for row in rows), f"in order, seed {SEED}"
        true = [now - QUEUED + EVERY * place for place in range(len(rows))]
        assert [row.device_at for row in rows] == [at + skew for at in true], "the device's own time is kept"
        state = intake.state(speaker)
        assert state.measured_at == max(row.measured_at for row in rows)
        assert (state.sample or {})["reservoir_ml"] == rows[-1].reservoir_ml
    for minutes in (0, 3):  # when late news is judged for the first time, and when it has settled
        judge(intake, clock.now() + dt.timedelta(minutes=minutes))
    alerts = intake.all(select(Alert.device_id, Alert.condition, Alert.state, Alert.historical))
    assert {(state, historical) for *_, state, historical in alerts} == {("closed", True)}, f"seed {SEED}"
    stalls = sorted(device_id for device_id, condition, *_ in alerts if condition == "motor_stall")
    assert stalls == sorted(registered.values())
    assert len(intake.all(select(DeviceEvent.seq))) == 2 * DEVICES
    intake.engine.dispose()
