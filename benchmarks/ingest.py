"""Durable ingest: how fast the queue of an ingest process that was away is drained into the database."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import NullPool, create_engine, func, select
from sqlalchemy.orm import Session

from benchmarks.draining import Job, open_session
from benchmarks.figures import Figure, Target, ratios
from benchmarks.population import register
from benchmarks.stand import LoadedMosquitto, Stand, application, in_own_process, make_tables, settings
from benchmarks.traffic import device_ids, loader, publish_all, pump_messages
from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.models import PumpSample, Quarantine, WorkItem

TITLE = "Durable ingest: draining the queue of a session that was away"
WAYS = ("bare", "ours", "naive")
READS = {
    "ours": "ours, PostgreSQL with fsync",
    "bare": "paho alone, only acknowledging",
    "naive": "an ORM row and a commit each",
}


@dataclass(frozen=True)
class Load:
    """What stands in the queue: `items` samples in each of the messages, all devices in turn."""

    messages: int
    devices: int
    items: int = 1


@dataclass(frozen=True)
class Size:
    """`naive`: fewer messages, as each takes as long as the next. `rounds` to compare, `repeats` of the rest."""

    usual: Load
    naive: Load
    many_devices: Load
    many_items: Load
    rounds: int
    repeats: int


FULL = Size(
    Load(20_000, 200), Load(1_500, 200), Load(20_000, 2_000), Load(2_000, 200, 50), rounds=4, repeats=3
)
QUICK = Size(Load(4_000, 200), Load(300, 200), Load(4_000, 1_000), Load(200, 200, 50), rounds=2, repeats=1)


Meanwhile = Callable[[str], AbstractContextManager[object]]  # given the URL of the database


class NotAllStored(AssertionError):
    """A message was lost or refused: then its speed means nothing."""


@dataclass(frozen=True)
class Run:
    """Messages drained a second, and the processor time of the draining process for each."""

    per_s: float
    cpu_us: float


def measure(stand: Stand, size: Size) -> Iterator[Figure]:
    with stand.broker() as broker, templates(stand, size.many_devices.devices) as (postgres, sqlite):
        rig = Rig(stand, broker, postgres, sqlite)
        yield from _compared(rig, size)
        for key, load in (("many_devices", size.many_devices), ("many_items", size.many_items)):
            rates = tuple(rig.drain("ours", load).per_s for _ in range(size.repeats))
            reads = f"ours, {load.devices:,} devices, samples in each message: {load.items}"
            yield Figure(key, reads, "messages/s", rates)
        samples = tuple(rate * size.many_items.items for rate in rates)
        yield Figure("many_items_samples", "... samples", "samples/s", samples)
        rates = tuple(rig.drain("ours", size.usual, on_sqlite=True).per_s for _ in range(size.repeats))
        yield Figure("sqlite", "ours, SQLite with synchronous=FULL", "messages/s", rates)


def _compared(rig: "Rig", size: Size) -> Iterator[Figure]:
    """The three ways, in turning order."""
    loads = {"bare": size.usual, "ours": size.usual, "naive": size.naive}
    runs: dict[str, list[Run]] = {way: [] for way in WAYS}
    for number in range(size.rounds):
        for way in WAYS[number % 3 :] + WAYS[: number % 3]:
            runs[way].append(rig.drain(way, loads[way]))
    rates = {way: tuple(run.per_s for run in runs[way]) for way in WAYS}
    for way, reads in READS.items():
        yield Figure(way, reads, "messages/s", rates[way])
        yield Figure(
            f"{way}_cpu_us",
            "... processor time of the process, each",
            "us",
            tuple(run.cpu_us for run in runs[way]),
        )
    yield Figure("ours_of_bare", "ours / paho alone", "", ratios(rates["ours"], rates["bare"]), Target(0.5))
    cpu = {way: tuple(run.cpu_us for run in runs[way]) for way in WAYS}
    reads = "... processor time, ours / paho alone"
    yield Figure("cpu_of_bare", reads, "", ratios(cpu["ours"], cpu["bare"]))
    yield Figure(
        "ours_of_naive", "ours / ORM row by row", "", ratios(rates["ours"], rates["naive"]), Target(15)
    )


@contextmanager
def templates(stand: Stand, devices: int) -> Iterator[tuple[str, Path]]:
    """A PostgreSQL database and a SQLite file that know these devices, and nothing else."""
    with stand.database() as url, TemporaryDirectory() as directory:
        file = Path(directory) / "sc_stim.db"
        make_tables(f"sqlite:///{file}")
        for each in (url, f"sqlite:///{file}"):
            with application(each):
                register(db.session(), device_ids(devices), clock.now())
        yield url, file


class Rig:
    """Fills the queue and has it drained, each time into a fresh copy of a database."""

    def __init__(self, stand: Stand, broker: LoadedMosquitto, postgres: str, sqlite: Path) -> None:
        self._stand = stand
        self._broker = broker
        self._postgres = postgres
        self._sqlite = sqlite

    def drain(
        self, way: str, load: Load, *, on_sqlite: bool = False, meanwhile: Meanwhile = nullcontext
    ) -> Run:
        """`meanwhile`: what else goes on. Raises NotAllStored when not every message arrived in the database."""
        with self._fresh_sqlite() if on_sqlite else self._stand.database(self._postgres) as url:
            job: Job = {
                "way": way, "mqtt_url": self._broker.url, "mqtt_password": self._broker.ingest_password,
                "database": settings(url).sqlalchemy_url, "batch": settings(url).ingest_batch,
                "messages": load.messages, "samples": load.messages * load.items,
            }  # fmt: skip
            open_session(job)
            with loader(self._broker) as client:
                publish_all(client, pump_messages(device_ids(load.devices), load.messages, load.items))
            self._stand.settle()
            with meanwhile(url):
                took = in_own_process("draining", job)
            if way != "bare":
                check(job["database"], load, everything=way == "ours")
        return Run(load.messages / took["seconds"], took["cpu_s"] / load.messages * 1e6)

    @contextmanager
    def _fresh_sqlite(self) -> Iterator[str]:
        with TemporaryDirectory() as directory:
            copy = Path(directory) / "sc_stim.db"
            copyfile(self._sqlite, copy)
            yield f"sqlite:///{copy}"


def check(database: str, load: Load, *, everything: bool) -> None:
    """Every sample once, nothing in quarantine; and where everything is on, work owed for every device."""
    expected: dict[Any, int] = {PumpSample: load.messages * load.items, Quarantine: 0}
    if everything:
        expected[WorkItem] = load.devices
    engine = create_engine(database, poolclass=NullPool)
    with Session(engine) as session:
        found = {table: session.scalar(select(func.count()).select_from(table)) for table in expected}
    if found != expected:
        named = {table.__tablename__: (number, found[table]) for table, number in expected.items()}
        raise NotAllStored(f"rows (expected, found): {named}")
