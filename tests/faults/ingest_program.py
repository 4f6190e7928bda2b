"""The lanes of `sc-stim ingest` as a program that can be told to die at a fault point.

python -m tests.faults.ingest_program --database URL --mqtt URL --password P [--die-at after_insert --hits 3]
"""

import argparse
import itertools
import os
import signal
import threading

from sqlalchemy import create_engine

import sc_stim.extensions  # noqa: F401  (sets SQLite up for durability)
from sc_stim import logs
from sc_stim.devices.ingest import FaultPoint, no_faults
from sc_stim.devices.ingest_process import lanes, run

FAULT_POINTS = ("before_insert", "after_insert", "after_commit", "after_puback", "before_stored_ack")


def dying(at: str, hits: int) -> FaultPoint:
    """The process ends, as by `kill -9`, when it comes to this point for the nth time."""
    counted = itertools.count(1)

    def reach(point: str) -> None:
        if point == at and next(counted) == hits:
            os.kill(os.getpid(), signal.SIGKILL)

    return reach


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True)
    parser.add_argument("--mqtt", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--version", type=int, default=5)
    parser.add_argument("--die-at", choices=FAULT_POINTS)
    parser.add_argument("--hits", type=int, default=1)
    given = parser.parse_args()
    logs.configure("INFO")
    engine = create_engine(
        given.database.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True
    )
    faults = dying(given.die_at, given.hits) if given.die_at else no_faults
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    both = lanes("0-f", given.mqtt, "ingest", given.password, None, given.version)
    stop = run(both, engine, batch=1000, faults=faults)
    stopped.wait()
    stop()


if __name__ == "__main__":
    main()
