"""What the figures were measured on, and how busy it was with other things."""

import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from tests.servers import program

LIBRARIES = ("SQLAlchemy", "psycopg", "paho-mqtt", "msgspec", "numpy", "Flask")
WATCHED_S = 2.0
FSYNCS = 50


def facts() -> dict[str, Any]:
    """Processor, memory, disk and versions of this machine, and the commit that is measured."""
    return {
        "cpu": _first_line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": _first_line("/proc/meminfo", "MemTotal") or "not known",
        "fsync_ms": round(fsync_ms(), 2),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "postgresql": _words("postgres", ("/usr/lib/postgresql/*/bin/postgres",), "--version"),
        "mosquitto": _words("mosquitto", ("/usr/sbin/mosquitto",), "-h"),
        "libraries": {name: version(name) for name in LIBRARIES},
        "commit": _commit(),
    }


def fsync_ms() -> float:
    """The median time to make 8 KiB durable in the folder where the servers keep their data."""
    took = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(FSYNCS):
            began = time.perf_counter()
            os.write(file.fileno(), bytes(8192))
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return median(took) * 1000


def others_busy_pct() -> float | None:
    """How much of all processors others use while we sleep; None where the system does not tell."""
    before = _cpu_times()
    time.sleep(WATCHED_S)
    after = _cpu_times()
    if before is None or after is None:
        return None
    busy, total = after[0] - before[0], after[1] - before[1]
    return round(100 * busy / total, 1) if total else 0.0


def _cpu_times() -> tuple[float, float] | None:
    """Ticks busy and in all, since the start of the machine."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return None
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)  # idle and waiting for the disk


def _first_line(path: str, key: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def _words(name: str, places: tuple[str, ...], option: str) -> str:
    """How a server program names its version."""
    answer = subprocess.run([program(name, places, name), option], capture_output=True, text=True)
    return answer.stdout.splitlines()[0]


def _commit() -> str:
    """Of the working copy; with a plus sign where files differ from it."""
    if not (Path(__file__).parents[1] / ".git").exists():
        return "not known"
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+"]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip()
