"""Everything is killed, again and again, in the middle of the load: nothing is lost, nothing is there twice.

SC_STIM_FAULT_SEED=7 repeats a run; SC_STIM_FAULT_SAMPLES and SC_STIM_FAULT_ROUNDS make it longer.
"""

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import func, select

from sc_stim.models import Alert, Device, DeviceEvent, PumpSample, Quarantine, WorkItem
from tests.faults import stack
from tests.faults.devices import Identity, Talkers
from tests.faults.ingest_program import FAULT_POINTS
from tests.faults.stack import Program
from tests.intake import make_engine
from tests.servers import EmbeddedBroker, Mosquitto, MqttBroker, Postgres, Redis, Server, wait_until

SEED = int(os.environ.get("SC_STIM_FAULT_SEED") or 1261093072)
SAMPLES = int(os.environ.get("SC_STIM_FAULT_SAMPLES") or 20_000)
ROUNDS = int(os.environ.get("SC_STIM_FAULT_ROUNDS") or 1)
BETWEEN_KILLS_S = 10.0  # at most; a kill follows when some records were stored since the last
BY_MESSAGE = ("after_puback", "before_stored_ack")  # fault points that a batch passes many times


@dataclass
class Stack:
    """What runs, by name; each of it can be killed."""

    database_url: str
    broker: MqttBroker
    victims: dict[str, Server | Program]
    devices: dict[str, int]
    passwords: dict[str, str]
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def ingest(self) -> Program:
        return cast(Program, self.victims["ingest"])

    def kill(self, name: str) -> None:
        self.victims[name].kill9()
        self.kills[name] += 1
        stack.start_again(self.victims[name])

    def let_ingest_die_at(self, point: str, hits: int, talkers: Talkers) -> None:
        def is_dead() -> bool:
            talkers.allowed += 2  # it dies of work: there must be some
            return not self.ingest.alive

        self.ingest.kill9()
        self.ingest.start("--die-at", point, "--hits", str(hits))
        wait_until(is_dead, f"ingest to die at {point}", 60)
        self.kills[f"ingest {point}"] += 1
        self.ingest.start()


@contextmanager
def started(database_url: str, broker: MqttBroker, servers: dict[str, Server], count: int) -> Iterator[Stack]:
    """Ingest, and with Redis a worker and a beat, around servers that run."""
    engine = stack.make_tables(database_url)
    devices = stack.register(engine, count)
    engine.dispose()
    passwords = stack.let_in(broker, list(devices))
    programs = {"ingest": stack.ingest(database_url, broker, version=5 if "redis" in servers else 3)}
    redis = servers.get("redis")
    if isinstance(redis, Redis):
        programs["worker"] = stack.celery("worker", database_url, redis, "--concurrency", "1")
        programs["beat"] = stack.celery("beat", database_url, redis)
    try:
        for program in programs.values():
            program.start()
        yield Stack(database_url, broker, {**servers, **programs}, devices, passwords)
    finally:
        for program in programs.values():
            program.kill9()


@pytest.fixture
def real_stack() -> Iterator[Stack]:
    with ExitStack() as servers:
        database, broker, redis = Postgres(durable=True), Mosquitto(), Redis()
        for server in (database, broker, redis):
            servers.callback(server.close)
            server.start()
        by_name: dict[str, Server] = {"database": database, "broker": broker, "redis": redis}
        yield servers.enter_context(started(database.url, broker, by_name, 40))


@pytest.fixture
def embedded_stack(tmp_path: Path) -> Iterator[Stack]:
    with ExitStack() as servers:
        broker = EmbeddedBroker()
        servers.callback(broker.close)
        broker.start()
        url = f"sqlite:///{tmp_path / 'sc_stim.db'}"
        yield servers.enter_context(started(url, broker, {"broker": broker}, 10))


Act = Callable[[Talkers], None]


def nemesis(running: Stack, times: Mapping[str, int], rng: random.Random) -> list[Act]:
    """What is going to be done to the stack, in a random order."""

    def kill(name: str) -> Act:
        return lambda _: running.kill(name)

    def die_at(point: str) -> Act:
        hits = rng.randrange(1, 40 if point in BY_MESSAGE else 4)
        return lambda talkers: running.let_ingest_die_at(point, hits, talkers)

    victims = [name for name, count in times.items() if name != "worker" for _ in range(count * ROUNDS)]
    acts = [*map(kill, victims), *map(die_at, FAULT_POINTS * ROUNDS)]
    rng.shuffle(acts)
    for _ in range(
        times.get("worker", 0) * ROUNDS
    ):  # early, as what it had claimed is free after a minute only
        acts.insert(rng.randrange(len(acts) // 2), kill("worker"))
    return acts


def torment(running: Stack, times: Mapping[str, int], records: int) -> Talkers:
    """Let the devices talk until every record is covered by a stored-ack, and kill what there is meanwhile."""
    rng = random.Random(SEED)
    acts = nemesis(running, times, rng)
    with Talkers(running.passwords, running.broker.port, SEED, records) as talkers:
        for done, act in enumerate(acts):
            talkers.allowed = max(talkers.allowed, records * (done + 1) // (len(acts) + 1))
            _wait_for(talkers, talkers.allowed - rng.randrange(records // (len(acts) + 1)))
            act(talkers)
        talkers.allowed = max(talkers.allowed, records)
        wait_until(lambda: not talkers.waiting and talkers.covered >= records, f"acks, seed {SEED}", 180)
    return talkers


@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_is_there_twice_whatever_is_killed(
    real_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    talkers = torment(real_stack, {"ingest": 3, "broker": 3, "database": 3, "worker": 2, "redis": 2}, SAMPLES)
    _wait_for_the_workers(real_stack)
    assert real_stack.ingest.stop() == 0, "it ends in peace when it is asked to"
    with capsys.disabled():
        _account(real_stack, talkers)


@pytest.mark.timeout(300)
def test_the_embedded_stack_loses_nothing_either(
    embedded_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    talkers = torment(embedded_stack, {"ingest": 2, "broker": 2}, SAMPLES // 8)
    assert embedded_stack.ingest.stop() == 0
    with capsys.disabled():
        _account(embedded_stack, talkers)


def _wait_for(talkers: Talkers, covered: int) -> None:
    """For progress, but not for long: servers that recover slowly are to be killed again, too."""
    deadline = time.monotonic() + BETWEEN_KILLS_S
    while talkers.covered < covered and time.monotonic() < deadline:
        time.sleep(0.01)


def _wait_for_the_workers(running: Stack) -> None:
    engine = make_engine(running.database_url)
    owed = select(func.count()).select_from(WorkItem)

    def is_done() -> bool:
        with engine.begin() as connection:
            return not connection.scalar(owed)

    wait_until(is_done, f"the workers to judge everything, seed {SEED}", 120)
    engine.dispose()


def _account(running: Stack, talkers: Talkers) -> None:
    """Each record that was ever generated is in the database exactly once, or in quarantine by its number."""
    engine = make_engine(running.database_url)
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
        f"\nseed {SEED}: {sum(running.kills.values())} kills {dict(running.kills)}\n"
        f"{len(generated)} generated, {len(stored)} stored, {len(kept)} in quarantine; "
        f"{len(pubacked)} acknowledged by the broker, of these {len(pubacked - here)} lost in the end and "
        f"{len(talkers.identities('needless'))} sent again, as no stored-ack had come\n"
    )
    assert not generated - here, f"lost, seed {SEED}"
    assert not here - generated, f"invented, seed {SEED}"
    assert max(stored.values()) == 1, f"stored twice, seed {SEED}"
    assert stored.keys() == generated - bad, f"stored, seed {SEED}"
    assert kept == dict.fromkeys(bad, "out_of_range"), f"in quarantine, seed {SEED}"
    assert not covered - here, f"acknowledged without being there, seed {SEED}"
    assert not any(device.wrong_acks for device in talkers.devices)
    assert not pubacked - here, f"acknowledged by the broker and lost, seed {SEED}"
    assert len(alerts) == len(running.devices) and set(alerts.values()) == {1}, (
        f"alerts, seed {SEED}: {alerts}"
    )
    assert {state for _, _, state in alerts} == {"unacknowledged"}
    assert failed == 0
