"""How long a message takes, at a steady rate: from when it was to be sent until its row was committed, and until the
device's side holds the stored-ack. Broker, ingest, database and the sender share the machine."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import paho.mqtt.client as paho
import psycopg

from benchmarks.figures import Figure, percentile
from benchmarks.population import register
from benchmarks.stand import Stand, application
from benchmarks.traffic import device_ids, loader, pump_message
from benchmarks.waiting import until
from sc_stim import clock
from sc_stim.devices import messages
from sc_stim.extensions import db

TITLE = "Live latency at a steady rate"


@dataclass(frozen=True)
class Size:
    """Each rate for `seconds`, which are cut into `slices`: the runs of the figures."""

    rates: tuple[int, ...]
    devices: int
    seconds: int
    slices: int


FULL = Size((200, 1_000), devices=1_000, seconds=20, slices=4)
QUICK = Size((200,), devices=200, seconds=5, slices=2)

Times = dict[tuple[str, int], float]  # of (device, seq), seconds since 1970


@dataclass
class Watch:
    """When each record was to be sent, and when the ack that covers it came."""

    due: Times = field(default_factory=dict)
    acknowledged: Times = field(default_factory=dict)
    waiting: dict[str, deque[int]] = field(default_factory=dict)

    def send(self, device: str, seq: int, due: float) -> None:
        self.due[device, seq] = due
        self.waiting.setdefault(device, deque()).append(seq)

    def take_ack(self, message: paho.MQTTMessage) -> None:
        now, device = time.time(), message.topic.split("/")[3]
        ack, waiting = messages.decode_ack(bytes(message.payload)), self.waiting.get(device, deque())
        while waiting and ack.covers(waiting[0]):
            self.acknowledged[device, waiting.popleft()] = now


def measure(stand: Stand, size: Size) -> Iterator[Figure]:
    for rate in size.rates:
        watch = Watch()
        committed = _followed(stand, watch, rate, size)
        yield from _figures(
            f"{rate}_committed", f"{rate:,} messages/s, until committed", watch.due, committed, size
        )
        yield from _figures(
            f"{rate}_acked", "... until the stored-ack is back", watch.due, watch.acknowledged, size
        )


def _followed(stand: Stand, watch: Watch, rate: int, size: Size) -> Times:
    """Send at this rate through the whole chain; when each record was committed."""
    ids = device_ids(size.devices)
    with stand.broker() as broker, stand.database() as url:
        with application(url):
            register(db.session(), ids, clock.now())
        with stand.ingest(broker, url), loader(broker, watch.take_ack) as client:
            _send(client, watch, ids, rate, size.seconds)
            until(lambda: len(watch.acknowledged) == len(watch.due), "the last stored-acks")
        return _committed(url)


def _send(client: paho.Client, watch: Watch, ids: Sequence[str], rate: int, seconds: int) -> None:
    """At even distances; a message that is late because we are counts from when it was due."""
    began = time.time()
    for number in range(rate * seconds):
        due = began + number / rate
        time.sleep(max(due - time.time(), 0))
        seq, device = divmod(number, len(ids))
        watch.send(ids[device], seq, due)
        client.publish(*pump_message(ids[device], seq, 1, clock.now()), qos=1)


def _committed(url: str) -> Times:
    """PostgreSQL's own time of each commit (taken just before it is flushed to the disk)."""
    statement = (
        "SELECT d.public_id::text, s.seq, pg_xact_commit_timestamp(s.xmin) "
        "FROM pump_sample s JOIN device d ON d.id = s.device_id"
    )
    with psycopg.connect(url) as connection:
        return {(device, seq): at.timestamp() for device, seq, at in connection.execute(statement)}


def _figures(key: str, reads: str, due: Times, reached: Times, size: Size) -> Iterator[Figure]:
    if reached.keys() != due.keys():
        raise AssertionError(f"{len(due.keys() - reached.keys())} of {len(due)} messages did not arrive")
    first, length = min(due.values()), size.seconds / size.slices
    slices: list[list[float]] = [[] for _ in range(size.slices)]
    for record, at in due.items():
        slices[min(int((at - first) / length), size.slices - 1)].append((reached[record] - at) * 1000)
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        runs = tuple(percentile(times, share) for times in slices)
        yield Figure(f"{key}_{name}", f"{reads}, {name}", "ms", runs)
