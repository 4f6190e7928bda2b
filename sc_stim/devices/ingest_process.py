"""The ingest process: two MQTT sessions, each with a thread that reads and a thread that commits.

Live and back-filled telemetry have sessions of their own, so that months of history cannot delay an alarm. While
the database is away nothing is acknowledged: the session hangs up, waits with back-off, comes back and drains.
"""

import datetime as dt
import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.devices import commands, topics
from sc_stim.devices.ingest import FaultPoint, Receiver, no_faults
from sc_stim.devices.mqtt import Address, Delivery, MqttSession, Refused
from sc_stim.workflows.heartbeat import beat

log = structlog.get_logger(__name__)

BACK_OFF_S = (0.5, 30.0)  # first and longest wait
CANARY_EVERY_S = 2.0
HEARTBEAT_EVERY_S = 5.0
COMMANDS_EVERY_S = 1.0
GATHER_S = 0.02  # how long a batch may wait for company


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One session's name, topics and share of the fleet."""

    name: str  # `live` or `history`
    shards_text: str
    address: Address
    filters: list[str]

    @property
    def canary_topic(self) -> str:
        return f"{topics.ROOT}/canary/{self.address.username}"


def lanes(shards_text: str, url: str, username: str, password: str, ca_file: str | None, version: int) -> list[Lane]:
    """The two sessions of a process for these shards; user names as the broker's ingest accounts are named."""
    shards = topics.parse_shards(shards_text)

    def lane(name: str, filters: list[str]) -> Lane:
        address = Address(url, f"{username}-{shards_text.replace(',', '-')}-{name}", password, ca_file, version)
        return Lane(name=name, shards_text=shards_text, address=address, filters=filters)

    return [lane("live", topics.live_filters(shards)), lane("history", topics.history_filters(shards))]


class LaneRunner:
    """Runs one lane until told to stop; `run` returns when what was read has been committed or handed back."""

    def __init__(self, lane: Lane, engine: Engine, *, batch: int, faults: FaultPoint = no_faults) -> None:
        self._lane = lane
        self._engine = engine
        self._batch = batch
        self._receiver = Receiver(engine, faults=faults)
        self._inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._oldest: Delivery | None = None
        self._canary = Canary()
        self._hang_up = threading.Event()
        self._stopping = threading.Event()
        self._session = MqttSession(
            lane.address, [*lane.filters, lane.canary_topic], self._take, faults=faults
        )

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        writer = threading.Thread(target=self._write, name=f"{self._lane.name}-writer")
        writer.start()
        back_off = BackOff()
        while not self._stopping.is_set():
            try:
                self._session.connect()
                log.info("ingest_connected", lane=self._lane.name, shards=self._lane.shards_text)
                back_off.reset()
                self._read()
            except Refused as error:
                log.error("ingest_refused", lane=self._lane.name, why=str(error))
            except OSError as error:
                log.warning("ingest_disconnected", lane=self._lane.name, why=type(error).__name__)
            if not self._stopping.is_set():
                self._canary.lose()
                self._session.drop()
                self._hang_up.clear()
                back_off.wait(self._stopping)
        writer.join()
        self._last_words()

    # --- the reading thread ---

    def _take(self, delivery: Delivery) -> None:
        if delivery.topic == self._lane.canary_topic:
            self._canary.returned(delivery.payload, delivery.received_at)
            self._session.finish([delivery])
        else:
            self._inbox.put(delivery)

    def _read(self) -> None:
        while not self._stopping.is_set() and not self._hang_up.is_set():
            payload = self._canary.due()
            if payload is not None:
                self._session.send([(self._lane.canary_topic, payload)])
            self._session.read(0.1)

    def _last_words(self) -> None:
        """Send the acknowledgements of the batch that was being written when we were told to stop."""
        if not self._session.ready:
            return
        try:
            self._session.read(0)
            self._session.close()
            self._session.read(0)
        except OSError as error:
            log.info("ingest_closed", lane=self._lane.name, why=type(error).__name__)

    # --- the writing thread ---

    def _write(self) -> None:
        back_off = BackOff()
        next_heartbeat = next_commands = 0.0
        while not self._stopping.is_set():
            batch = self._gather()
            try:
                if batch:
                    self._commit(batch)
                if self._lane.name == "live" and time.monotonic() >= next_commands:
                    self._send_commands()
                    next_commands = time.monotonic() + COMMANDS_EVERY_S
                if time.monotonic() >= next_heartbeat:
                    self._beat()
                    next_heartbeat = time.monotonic() + HEARTBEAT_EVERY_S
                back_off.reset()
            except DBAPIError as error:
                log.error("database_away", lane=self._lane.name, why=type(error.orig).__name__, waiting=len(batch))
                self._give_back()
                back_off.wait(self._stopping)

    def _gather(self) -> list[Delivery]:
        batch: list[Delivery] = []
        try:
            batch.append(self._inbox.get(timeout=0.2))
            until = time.monotonic() + GATHER_S
            while len(batch) < self._batch:
                batch.append(self._inbox.get(timeout=max(until - time.monotonic(), 0)))
        except queue.Empty:
            pass
        self._oldest = batch[0] if batch else None
        return batch

    def _commit(self, batch: list[Delivery]) -> None:
        acks = self._receiver.receive(batch, self._canary.queue_delay_s)
        self._session.finish(batch)
        self._session.send(acks)
        self._oldest = None

    def _give_back(self) -> None:
        """Hang up, so that the broker keeps what we hold and delivers it again when the database is back."""
        self._hang_up.set()
        while not self._inbox.empty():
            self._inbox.get_nowait()
        self._oldest = None

    def _send_commands(self) -> None:
        if not self._session.ready:
            return
        with Session(self._engine) as session:
            messages = commands.take_pending(session, topics.parse_shards(self._lane.shards_text), clock.now())
            session.commit()
        self._session.send(messages)

    def _beat(self) -> None:
        if not self._session.ready:
            return  # no word is the truth: we do no work
        oldest = self._oldest
        detail = {
            "shards": self._lane.shards_text,
            "canary_age_s": self._canary.age_s,
            "queue_delay_s": self._canary.queue_delay_s,
            "unacked_oldest_s": (clock.now() - oldest.received_at).total_seconds() if oldest else 0.0,
        }
        prefix = "ingest" if self._lane.name == "live" else "ingest-history"
        with Session(self._engine) as session:
            beat(session, f"{prefix}:{self._lane.shards_text}", clock.now(), detail)
            session.commit()


class Canary:
    """A message of our own through our own session: how long the broker's queue is now, and whether it works."""

    def __init__(self) -> None:
        self._sent_at = 0.0
        self._out = False
        self._returned_at: dt.datetime | None = None
        self.queue_delay_s: float | None = None

    def due(self) -> bytes | None:
        """The next canary, when the last one is back and it is time; None otherwise."""
        if self._out or time.monotonic() - self._sent_at < CANARY_EVERY_S:
            return None
        self._out, self._sent_at = True, time.monotonic()
        return clock.now().isoformat().encode()

    def returned(self, payload: bytes, at: dt.datetime) -> None:
        self.queue_delay_s = (at - dt.datetime.fromisoformat(payload.decode())).total_seconds()
        self._out, self._returned_at = False, at

    def lose(self) -> None:
        """The connection ended: until a new one is back, how long the queue is is not known."""
        self._out, self.queue_delay_s = False, None

    @property
    def age_s(self) -> float | None:
        return None if self._returned_at is None else (clock.now() - self._returned_at).total_seconds()


class BackOff:
    """Waits that double, with jitter, so that many processes do not come back at once."""

    def __init__(self) -> None:
        self._wait_s = BACK_OFF_S[0]

    def reset(self) -> None:
        self._wait_s = BACK_OFF_S[0]

    def wait(self, unless: threading.Event) -> None:
        unless.wait(self._wait_s * random.uniform(0.5, 1.0))
        self._wait_s = min(self._wait_s * 2, BACK_OFF_S[1])


def run(
    all_lanes: list[Lane], engine: Engine, *, batch: int, faults: FaultPoint = no_faults
) -> Callable[[], None]:
    """Start every lane in a thread of its own; returns a function that stops them and waits."""
    runners = [LaneRunner(lane, engine, batch=batch, faults=faults) for lane in all_lanes]
    threads = [threading.Thread(target=runner.run, name=lane.name) for runner, lane in zip(runners, all_lanes, strict=True)]
    for thread in threads:
        thread.start()

    def stop() -> None:
        for runner in runners:
            runner.stop()
        for thread in threads:
            thread.join()

    return stop
