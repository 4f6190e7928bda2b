"""The ingest process: two MQTT sessions, each with a thread that reads and a thread that commits.

Live and back-filled telemetry have sessions of their own, so that months of history cannot delay an alarm. While
the database is away nothing is acknowledged: the session hangs up, waits with back-off, comes back and drains.
"""

import datetime as dt
import gc
import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.devices import commands, topics
from sc_stim.devices.ingest import FaultPoint, Receiver, no_faults
from sc_stim.devices.mqtt import Address, Delivery, MqttSession
from sc_stim.devices.store import DatabaseAway, transaction
from sc_stim.workflows.heartbeat import beat

log = structlog.get_logger(__name__)

LIVE, HISTORY = "live", "history"
BACK_OFF_S = (0.5, 5.0)  # first and longest wait: work goes on soon after database or broker are back
CANARY_EVERY = dt.timedelta(seconds=2)
HEARTBEAT_EVERY_S = 5.0
COMMANDS_EVERY_S = 1.0
IDLE_S = 0.2  # how long the writer waits for a message before it looks for other work
GATHER_S = 0.02  # how long a message may wait for company before it is committed
ENOUGH = 200  # messages worth a commit: while it goes on, those that the broker allows besides are read
MAX_BATCH_BYTES = 2 * 1024 * 1024  # of payload; some thousands of records


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One session's name, topics and share of the fleet."""

    name: str  # LIVE or HISTORY
    shards_text: str
    address: Address
    filters: list[str]

    @property
    def canary_topic(self) -> str:
        return f"{topics.ROOT}/canary/{self.address.username}"


def lanes(
    shards_text: str, url: str, username: str, password: str, ca_file: str | None, version: int
) -> list[Lane]:
    """The two sessions of a process for these shards; user names as the broker's ingest accounts are named."""
    shards = topics.parse_shards(shards_text)

    def lane(name: str, filters: list[str]) -> Lane:
        address = Address(
            url, f"{username}-{shards_text.replace(',', '-')}-{name}", password, ca_file, version
        )
        return Lane(name=name, shards_text=shards_text, address=address, filters=filters)

    return [lane(LIVE, topics.live_filters(shards)), lane(HISTORY, topics.history_filters(shards))]


class LaneRunner:
    """Runs one lane until told to stop; `run` returns when the batch in hand is committed and acknowledged.

    Any error ends no thread: the lane hangs up, so that the broker keeps what is not acknowledged, waits, and comes
    back. While that goes on it gives no sign of life, which shows on `/health/ready`.
    """

    def __init__(self, lane: Lane, engine: Engine, *, batch: int, faults: FaultPoint = no_faults) -> None:
        self._lane = lane
        self._engine = engine
        self._batch = batch
        self._receiver = Receiver(engine, faults=faults)
        self._inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._given_up = 0  # connections up to this one are over: what they delivered will come again
        self._waited_s = 0.0  # longest wait of a message for its commit since the last sign of life
        self._canary = Canary()
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
            except OSError as error:
                log.warning(
                    "ingest_disconnected", lane=self._lane.name, why=f"{type(error).__name__}: {error}"
                )
            except Exception:
                log.exception("ingest_fault", lane=self._lane.name)
            if not self._stopping.is_set():
                self._session.drop()
                self._canary.lose()
                back_off.wait(self._stopping)
        writer.join()
        try:
            self._session.close()  # with the acknowledgements of the batch that was being written
        except OSError as error:
            self._log_loss("ingest_closed", error)

    def _log_loss(self, event: str, error: OSError) -> None:
        log.warning(event, lane=self._lane.name, why=f"{type(error).__name__}: {error}")

    # --- the reading thread ---

    def _read(self) -> None:
        while not self._stopping.is_set() and self._session.connection > self._given_up:
            payload = self._canary.due()
            if payload is not None:
                self._session.send([(self._lane.canary_topic, payload)])
            self._session.read(0.1)

    def _take(self, delivery: Delivery) -> None:
        if delivery.topic == self._lane.canary_topic:
            self._canary.returned(delivery.payload, delivery.received_at)
            self._session.finish([delivery])
        else:
            self._inbox.put(delivery)

    # --- the writing thread ---

    def _write(self) -> None:
        back_off = BackOff()
        heartbeat, commands_due = Every(HEARTBEAT_EVERY_S), Every(COMMANDS_EVERY_S)
        while not self._stopping.is_set():
            batch = self._gather()
            try:
                if batch:
                    self._commit(batch)
                if self._lane.name == LIVE and self._session.ready and commands_due():
                    self._send_commands()
                if self._session.ready and heartbeat():
                    self._beat()
                back_off.reset()
            except DatabaseAway as error:
                log.error("database_away", lane=self._lane.name, why=str(error), waiting=len(batch))
                self._give_up(back_off)
            except Exception:
                log.exception("ingest_fault", lane=self._lane.name, waiting=len(batch))
                self._give_up(back_off)

    def _give_up(self, back_off: "BackOff") -> None:
        """Have the reading thread hang up: what this connection delivered will come again on the next."""
        self._given_up = self._session.connection
        back_off.wait(self._stopping)

    def _gather(self) -> list[Delivery]:
        """What has come, if anything comes soon; what a connection delivered that was given up will come again."""
        batch: list[Delivery] = []
        size, until = 0, time.monotonic() + IDLE_S
        while len(batch) < self._batch and size < MAX_BATCH_BYTES:
            wait_s = 0.0 if len(batch) >= ENOUGH else max(until - time.monotonic(), 0.0)
            try:
                delivery = self._inbox.get(timeout=wait_s)
            except queue.Empty:
                break
            if delivery.connection > self._given_up:
                if not batch:
                    until = time.monotonic() + GATHER_S
                batch.append(delivery)
                size += len(delivery.payload)
        return batch

    def _commit(self, batch: list[Delivery]) -> None:
        acks = self._receiver.receive(batch, self._canary.queue_delay_s)
        self._session.finish(batch)
        self._session.send(acks)
        self._waited_s = max(self._waited_s, (clock.now() - batch[0].received_at).total_seconds())

    def _send_commands(self) -> None:
        with transaction(self._engine) as connection, Session(connection) as session:
            messages = commands.take_pending(
                session, topics.parse_shards(self._lane.shards_text), clock.now()
            )
        self._session.send(messages)

    def _beat(self) -> None:
        detail = {
            "shards": self._lane.shards_text,
            "canary_age_s": self._canary.age_s,
            "queue_delay_s": self._canary.queue_delay_s,
            "unacked_oldest_s": self._waited_s,
        }
        prefix = "ingest" if self._lane.name == LIVE else "ingest-history"
        with transaction(self._engine) as connection, Session(connection) as session:
            beat(session, f"{prefix}:{self._lane.shards_text}", clock.now(), detail)
        self._waited_s = 0.0


class Canary:
    """A message of our own through our own session: how long the broker's queue is now, and whether it works."""

    def __init__(self) -> None:
        self._sent_at: dt.datetime | None = None
        self._returned_at: dt.datetime | None = None
        self._delay_s: float | None = None
        self._is_out = False

    def due(self) -> bytes | None:
        """The next canary, when the last one is back and it is time; None otherwise."""
        now = clock.now()
        if self._is_out or (self._sent_at and now - self._sent_at < CANARY_EVERY):
            return None
        self._is_out, self._sent_at = True, now
        return now.isoformat().encode()

    def returned(self, payload: bytes, at: dt.datetime) -> None:
        """One is back; perhaps one that was sent before the connection ended."""
        sent_at = dt.datetime.fromisoformat(payload.decode())
        if sent_at == self._sent_at:
            self._is_out, self._returned_at = False, at
            self._delay_s = (at - sent_at).total_seconds()

    def lose(self) -> None:
        """The connection ended: until a new one is back, how long the queue is is not known."""
        self._is_out, self._sent_at, self._delay_s = False, None, None

    @property
    def queue_delay_s(self) -> float | None:
        """How long a message waits at the broker: no less than the canary that is on its way has waited by now."""
        delay_s, sent_at = self._delay_s, self._sent_at
        if delay_s is None or sent_at is None or not self._is_out:
            return delay_s
        return max(delay_s, (clock.now() - sent_at).total_seconds())

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


class Every:
    """True when called for the first time, and then once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def __call__(self) -> bool:
        due = time.monotonic() >= self._next
        if due:
            self._next = time.monotonic() + self._seconds
        return due


def run(
    all_lanes: list[Lane], engine: Engine, *, batch: int, faults: FaultPoint = no_faults
) -> Callable[[], None]:
    """Start every lane in a thread of its own; returns a function that stops them and waits."""
    # A batch makes thousands of objects, and none in cycles: looking for cycles among them took a third of the time.
    gc.set_threshold(50_000)
    runners = [LaneRunner(lane, engine, batch=batch, faults=faults) for lane in all_lanes]
    threads = [threading.Thread(target=runner.run) for runner in runners]
    for thread in threads:
        thread.start()

    def stop() -> None:
        for runner in runners:
            runner.stop()
        for thread in threads:
            thread.join()

    return stop
