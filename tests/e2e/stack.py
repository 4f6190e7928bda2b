"""The real stack as docs/operations.md describes it: real servers, and every process started by its own command."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from tests.servers import Mosquitto, Redis, free_port, wait_until

SC_STIM = str(Path(sys.executable).with_name("sc-stim"))
CLINIC = ["--clinic", "Pain Centre", "--time-zone", "Europe/Berlin", "--country", "DE"]
PASSWORD = "seven quiet lanterns"
SHARDS = ("0-7", "8-f")
STOPS_WITHIN_S = 15


class Broker(Mosquitto):
    """Started from what `sc-stim broker init` writes."""

    def __init__(self) -> None:
        super().__init__()
        for path in (self.directory / "mosquitto.conf", self.directory / "dynamic-security.json"):
            path.unlink()


class Caller:
    """One user of the API."""

    def __init__(self, url: str, email: str) -> None:
        self._url = f"{url}/api/v1"
        self._session = requests.Session()
        token = self.post("/auth/token", {"email": email, "password": PASSWORD})["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, params=query).json()

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, json=body).json()

    def all(self, path: str, **query: Any) -> list[Any]:
        """Every item of a list, page by page."""
        items, query = [], {"limit": 200, **query}
        while True:
            found = self.get(path, **query)
            items += found["items"]
            if found["next_cursor"] is None:
                return items
            query["cursor"] = found["next_cursor"]

    def call(self, method: str, path: str, status: int | None = None, **options: Any) -> requests.Response:
        """Fails unless the answer has this status; None: any that is no error."""
        answer = self._session.request(method, self._url + path, timeout=30, **options)
        assert answer.status_code == status if status else answer.ok, answer.text
        return answer

    def close(self) -> None:
        self._session.close()


class Stack:
    """Web, worker, beat, and two ingest processes with half of the shards each."""

    def __init__(self, database_url: str, redis: Redis, broker: Mosquitto, logs: Path) -> None:
        self.broker = broker
        self.url = f"http://127.0.0.1:{free_port()}"
        self._database_url = database_url
        self._logs = logs
        self._protocol = "5"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._callers: dict[str, Caller] = {}
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("SC_STIM_")
        }
        self.environment |= {
            "SC_STIM_DATABASE_URL": database_url,
            "SC_STIM_REDIS_URL": redis.url,
            "SC_STIM_MQTT_URL": broker.url,
            "SC_STIM_MQTT_PASSWORD": broker.ingest_password,
            "SC_STIM_BROKER_ADMIN_URL": broker.admin_url,
            "SC_STIM_SECRET_KEY": "a key for the tests, known to all of them",
            "SC_STIM_SECURE_COOKIES": "false",
            "SC_STIM_LOG_LEVEL": "WARNING",
            "SC_STIM_WORK_POLL_S": "1",
            "SC_STIM_WEB_PORT": self.url.rpartition(":")[2],
        }

    # --- commands and processes

    def command(self, *words: str, typed: str = "") -> str:
        """Run one command to its end; what it printed."""
        run = subprocess.run(
            [SC_STIM, *words], env=self.environment, input=typed, capture_output=True, text=True, timeout=60
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    def prepare(self, *roles: str) -> None:
        """What is done once: the broker's files, the tables, the people."""
        where = [
            "--out",
            str(self.broker.directory),
            "--port",
            str(self.broker.port),
            "--address",
            "127.0.0.1",
        ]
        self.command("broker", "init", *where, *(["--user", self.broker.user] if self.broker.user else []))
        self.broker.start()
        self.command("db", "upgrade")
        for role in roles:
            who = ["--email", f"{role}@example.org", "--role", role, "--password-stdin"]
            self.command("users", "create", *CLINIC, *who, typed=PASSWORD + "\n")

    def start(self) -> None:
        """Start every process, and wait until all of them do their work."""
        for name in ("web", "worker", "beat"):
            self._start(name, name)
        self._start_ingest()
        wait_until(self._is_ready, "/health/ready to answer 200", 90)

    def speak(self, protocol: str) -> None:
        """Have the ingest processes speak this version of MQTT, "3" or "5"."""
        if protocol != self._protocol:
            codes = self.stop(*(f"ingest {shards}" for shards in SHARDS))
            assert set(codes.values()) == {0}
            self._protocol = protocol
            self._start_ingest()

    def stop(self, *names: str) -> dict[str, int]:
        """SIGTERM to these processes, or all; the exit code of each. One that takes too long fails the test."""
        ending = {name: self._processes.pop(name) for name in names or list(self._processes)}
        for process in ending.values():
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(STOPS_WITHIN_S) for name, process in ending.items()}

    def close(self) -> None:
        """End what is left."""
        for caller in self._callers.values():
            caller.close()
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _start_ingest(self) -> None:
        for shards in SHARDS:
            protocol = {"SC_STIM_MQTT_VERSION": self._protocol}
            self._start(f"ingest {shards}", "ingest", "--shards", shards, **protocol)

    def _start(self, name: str, *words: str, **settings: str) -> None:
        setpriv = shutil.which("setpriv")
        dying_with_us = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        with (self._logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*dying_with_us, SC_STIM, *words],
                env=self.environment | settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _is_ready(self) -> bool:
        for name, process in self._processes.items():
            if process.poll() is not None:
                pytest.fail(f"{name} ended:\n{(self._logs / f'{name}.log').read_text()[-2000:]}")
        try:
            return requests.get(f"{self.url}/health/ready", timeout=10).status_code == 200
        except requests.ConnectionError:
            return False

    # --- what tests ask

    def user(self, role: str) -> Caller:
        if role not in self._callers:
            self._callers[role] = Caller(self.url, f"{role}@example.org")
        return self._callers[role]

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows, or none for a statement that returns none."""
        with psycopg.connect(self._database_url) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []
