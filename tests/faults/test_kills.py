"""Everything is killed, again and again, in the middle of the load: nothing is lost, nothing is there twice.

SC_STIM_FAULT_SEED=7 repeats a run; SC_STIM_FAULT_SAMPLES and SC_STIM_FAULT_ROUNDS make it longer.
"""

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import func, select

from sc_stim.models import Alert, Device, DeviceEvent, PumpSample, Quarantine, WorkItem
from tests.faults import stack
from tests.faults.devices import Identity, Talkers
from tests.faults.ingest_program import FAULT_POINTS
from tests.faults.stack import Mosquitto, Postgres, Program, Redis, wait_until
from tests.intake import make_engine
from tests.servers import Server

SEED = int(os.environ.get("SC_STIM_FAULT_SEED") or random.randrange(2**32))
SAMPLES = int(os.environ.get("SC_STIM_FAULT_SAMPLES") or 20_000)
ROUNDS = int(os.environ.get("SC_STIM_FAULT_ROUNDS") or 1)
DEVICES = 40
BETWEEN_KILLS_S = 10.0  # at most; a kill follows when some records were stored since the last
BY_MESSAGE = ("after_puback", "before_stored_ack")  # fault points that a batch passes many times


@dataclass
class Stack:
    database: Postgres
    broker: Mosquitto
    redis: Redis
    ingest: Program
    worker: Program
    beat: Program
    devices: dict[str, int]
    passwords: dict[str, str]
    kills: Counter[str] = field(default_factory=Counter)

    def kill(self, name: str, victim: Server | Program) -> None:
        victim.kill9()
        self.kills[name] += 1
        victim.start()

    def let_ingest_die_at(self, point: str, hits: int) -> None:
        self.ingest.kill9()
        self.ingest.start("--die-at", point, "--hits", str(hits))
        wait_until(lambda: not self.ingest.alive, f"ingest to die at {point}", 60)
        self.kills[f"ingest {point}"] += 1
        self.ingest.start()


@pytest.fixture
def running() -> Iterator[Stack]:
    servers: list[Server] = []
    programs: list[Program] = []
    try:
        database, broker, redis = Postgres(durable=True), Mosquitto(), Redis()
        for server in (database, broker, redis):
            servers.append(server)
            server.start()
        engine = stack.make_tables(database.url)
        devices = stack.register(engine, DEVICES)
        engine.dispose()
        passwords = stack.let_in(broker, list(devices))
        programs += [
            stack.ingest(database.url, broker),
            stack.celery("worker", database.url, redis, "--concurrency", "1"),
            stack.celery("beat", database.url, redis),
        ]
        for program in programs:
            program.start()
        yield Stack(database, broker, redis, *programs, devices, passwords)
    finally:
        for program in programs:
            program.kill9()
        for server in servers:
            server.close()


def nemesis(running: Stack, rng: random.Random) -> list[Callable[[], None]]:
    """What is going to be done to the stack, in a random order."""
    acts: list[Callable[[], None]] = []
    for _ in range(ROUNDS):
        for point in FAULT_POINTS:
            hits = rng.randrange(1, 40 if point in BY_MESSAGE else 4)
            acts.append(lambda point=point, hits=hits: running.let_ingest_die_at(point, hits))  # type: ignore[misc]
        victims = {"ingest": 3, "broker": 3, "database": 3, "worker": 2, "redis": 2}
        for name, times in victims.items():
            acts += [lambda name=name: running.kill(name, getattr(running, name))] * times  # type: ignore[misc]
    rng.shuffle(acts)
    return acts


@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_is_there_twice_whatever_is_killed(
    running: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(SEED)
    acts = nemesis(running, rng)
    began = time.monotonic()
    with Talkers(running.passwords, running.broker.port, SEED, SAMPLES) as talkers:
        for done, act in enumerate(acts):
            talkers.allowed = SAMPLES * (done + 1) // (len(acts) + 1)
            _wait_for(talkers, talkers.allowed - rng.randrange(SAMPLES // (len(acts) + 1)))
            act()
        talkers.allowed = SAMPLES
        wait_until(lambda: not talkers.waiting and talkers.covered >= SAMPLES, f"acks, seed {SEED}", 180)
        sent_again = talkers.identities("needless")
    took_s = time.monotonic() - began
    _wait_for_the_workers(running)
    assert running.ingest.stop() == 0, "it ends in peace when it is asked to"
    with capsys.disabled():
        sys.stdout.write(
            f"\nseed {SEED}: {sum(running.kills.values())} kills in {took_s:.0f} s {dict(running.kills)}\n"
        )
        _account(running, talkers, sent_again)


def _wait_for(talkers: Talkers, covered: int) -> None:
    """For progress, but not for long: servers that recover slowly are to be killed again, too."""
    deadline = time.monotonic() + BETWEEN_KILLS_S
    while talkers.covered < covered and time.monotonic() < deadline:
        time.sleep(0.01)


def _wait_for_the_workers(running: Stack) -> None:
    engine = make_engine(running.database.url)
    owed = select(func.count()).select_from(WorkItem)

    def is_done() -> bool:
        with engine.begin() as connection:
            return not connection.scalar(owed)

    wait_until(is_done, f"the workers to judge everything, seed {SEED}", 120)
    engine.dispose()


def _account(running: Stack, talkers: Talkers, sent_again: set[Identity]) -> None:
    """Each record that was ever generated is in the database exactly once, or in quarantine by its number."""
    engine = make_engine(running.database.url)
    public_ids = {row_id: public_id for public_id, row_id in running.devices.items()}
    stored: Counter[Identity] = Counter()
    with engine.begin() as connection:
        for model in (PumpSample, DeviceEvent):
            for device_id, epoch, seq in connection.execute(select(model.device_id, model.epoch, model.seq)):
                stored[public_ids[device_id], epoch, seq] += 1
        kept = {
            (public_ids[device_id], epoch, seq): reason
            for device_id, epoch, seq, reason in connection.execute(
                select(Quarantine.device_id, Quarantine.epoch, Quarantine.seq, Quarantine.reason)
            )
        }
        alerts = Counter(
            tuple(row)
            for row in connection.execute(
                select(Device.public_id, Alert.condition, Alert.state).join(
                    Device, Device.id == Alert.device_id
                )
            )
        )
        failed = connection.scalar(select(func.count()).where(WorkItem.last_error.is_not(None)))
    engine.dispose()
    generated, bad = talkers.identities(), talkers.identities("bad")
    pubacked, covered = talkers.identities("pubacked"), talkers.identities("covered")
    here = stored.keys() | kept.keys()
    sys.stdout.write(
        f"{len(generated)} generated, {len(stored)} stored, {len(kept)} in quarantine; "
        f"{len(pubacked)} acknowledged by the broker, of these {len(pubacked - here)} lost in the end and "
        f"{len(sent_again)} sent again, as no stored-ack had come\n"
    )
    assert len(generated) == SAMPLES
    assert not generated - here, f"lost, seed {SEED}"
    assert not here - generated, f"invented, seed {SEED}"
    assert max(stored.values()) == 1, f"stored twice, seed {SEED}"
    assert stored.keys() == generated - bad, f"stored, seed {SEED}"
    assert kept == dict.fromkeys(bad, "out_of_range"), f"in quarantine, seed {SEED}"
    assert not covered - here, f"acknowledged without being there, seed {SEED}"
    assert not any(device.wrong_acks for device in talkers.devices)
    assert not pubacked - here, f"acknowledged by the broker and lost, seed {SEED}"
    assert len(alerts) == DEVICES and set(alerts.values()) == {1}, f"alerts, seed {SEED}: {alerts}"
    assert {state for _, _, state in alerts} == {"unacknowledged"}
    assert failed == 0
