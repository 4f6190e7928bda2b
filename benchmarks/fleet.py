"""How many devices one simulator process keeps connected and reporting, with ingest behind the broker.

Linux only: processor time and memory of each process are read from /proc.
"""

import dataclasses
import datetime as dt
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.figures import Figure
from benchmarks.population import register
from benchmarks.stand import Stand, application, running
from benchmarks.waiting import until
from sc_stim import clock
from sc_stim.devices.broker_access import SALT_BYTES, Login, Role, make_login
from sc_stim.extensions import db
from simulators import scenario

TITLE = "Devices in one simulator process"
SEED = 7


@dataclass(frozen=True)
class Size:
    """Every device reports each `interval_s`, and is watched for as long."""

    fleets: tuple[int, ...]
    interval_s: int


FULL = Size((2_000, 5_000), interval_s=20)
QUICK = Size((500,), interval_s=10)


def measure(stand: Stand, size: Size) -> Iterator[Figure]:
    for devices in size.fleets:
        yield from _fleet(stand, devices, size.interval_s)


def _fleet(stand: Stand, devices: int, interval_s: int) -> Iterator[Figure]:
    now, password = clock.now(), secrets.token_urlsafe(16)
    cohort = scenario.load("normal", seed=SEED, now=now, pumps=devices, stimulators=0, days=0)
    ids = [device.id for device in cohort.devices]
    with stand.broker(_logins(ids, password)) as broker, stand.database() as url:
        with application(url):
            register(db.session(), ids, now)
        command = _command(broker.url, devices, now, password, interval_s)
        with stand.ingest(broker, url) as ingest, running(command) as fleet:
            began = time.perf_counter()
            until(lambda: _online(url) >= devices, f"{devices} devices to be connected and heard", poll_s=0.2)
            took = time.perf_counter() - began
            yield Figure(f"{devices}_connected_s", f"{devices:,} devices, until all are heard", "s", (took,))
            assert broker.process is not None
            processes = {"simulator": fleet, "ingest": ingest, "broker": broker.process}
            yield from _watched(url, devices, interval_s, processes)


def _watched(
    url: str, devices: int, interval_s: int, processes: dict[str, subprocess.Popen[bytes]]
) -> Iterator[Figure]:
    since = clock.now()
    before = {name: _cpu_s(process) for name, process in processes.items()}
    time.sleep(interval_s + 1)  # each device's turn comes once, and its report needs a moment
    seconds = (clock.now() - since).total_seconds()
    for name, process in processes.items():
        share = (_cpu_s(process) - before[name]) / seconds
        yield Figure(f"{devices}_{name}_cpu", f"... {name}, share of a processor", "", (share,))
    yield Figure(f"{devices}_rss_mib", "... simulator, memory", "MiB", (_rss_mib(processes["simulator"]),))
    samples, heard = _reported(url, since)
    yield Figure(f"{devices}_rate", "... samples stored", "samples/s", (samples / seconds,))
    yield Figure(f"{devices}_heard", f"... devices heard in {interval_s} s", "", (heard,))
    yield Figure(f"{devices}_still", "... devices still connected then", "", (_online(url),))


def _command(mqtt_url: str, devices: int, now: dt.datetime, password: str, interval_s: int) -> list[str]:
    return [
        sys.executable, "-m", "simulators", "--pumps", str(devices), "--stimulators", "0", "--seed", str(SEED),
        "--now", now.isoformat(), "--days", "0", "--report-interval", str(interval_s), "--mqtt", mqtt_url,
        "--password", password,
    ]  # fmt: skip


def _logins(ids: Sequence[str], password: str) -> list[Login]:
    """One password and salt for all, so that it is hashed once."""
    login = make_login(ids[0], Role.DEVICE, password, secrets.token_bytes(SALT_BYTES))
    return [dataclasses.replace(login, username=device_id) for device_id in ids]


def _online(url: str) -> int:
    statement = "SELECT count(*) FROM device_state WHERE online AND measured_at IS NOT NULL"
    with psycopg.connect(url) as connection:
        row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _reported(url: str, since: dt.datetime) -> tuple[int, int]:
    """Samples measured since then, and of how many devices."""
    statement = "SELECT count(*), count(DISTINCT device_id) FROM pump_sample WHERE measured_at > %s"
    with psycopg.connect(url) as connection:
        row = connection.execute(statement, [since]).fetchone()
    assert row is not None
    return row[0], row[1]


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mib(process: subprocess.Popen[bytes]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
