"""Real PostgreSQL, Redis and Mosquitto for the tests: children of this process, on free loopback ports.

Each keeps its port and its data over ``stop``, ``kill9`` and ``start``. A missing program fails the test that
asks for it and says what to install: such a test is never skipped. They run with the shipped configuration.
"""

import atexit
import hashlib
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from glob import glob
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sc_stim.devices.broker_access import SALT_BYTES, Role, make_login
from sc_stim.devices.dynsec import ADMIN, ingest_usernames
from sc_stim.devices.mosquitto_conf import Listener, find_plugin, write_broker_files
from sc_stim.devices.mqtt_admin import MosquittoAdmin
from sc_stim.embedded.broker import command as embedded_broker_command

DEPLOY = Path(__file__).parents[1] / "deploy"
_BELOW_EPHEMERAL = range(20_000, 32_000)
_ports = random.SystemRandom()


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Return once ``condition()`` is true; fail the test with ``what`` was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain for: {what}")
        time.sleep(0.01)


def free_port() -> int:
    """A loopback port nobody listens on, and outside the range that outgoing connections take theirs from: a
    server that is killed finds its port free when it comes back."""
    while True:
        port = _ports.choice(_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def program(name: str, places: tuple[str, ...], package: str) -> str:
    """The path of a server program, or a failed test that names the package to install."""
    found = shutil.which(name) or next(
        (path for place in places for path in sorted(glob(place), reverse=True)), None
    )
    if found is None:
        pytest.fail(
            f"{name} is missing: run `make provide-servers`, or `apt-get install {package}`", pytrace=False
        )
    return found


class Server:
    """One server process. Subclasses say how it is started and how it shows that it answers."""

    name = "server"
    user: str | None = None
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix=f"sc_stim_{self.name}_"))
        self.log = self.directory / "log"
        self.process: subprocess.Popen[bytes] | None = None
        if self.user is not None:
            shutil.chown(self.directory, self.user, self.user)
        atexit.register(self.close)

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*_dying_with_parent(), *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                **_as_user(self.user),
            )
        wait_until(self._answers_or_failed, f"{self.name} to answer on port {self.port}")
        return self

    def stop(self) -> None:
        self._end(self.stop_signal)

    def kill9(self) -> None:
        """The crash: no signal handler runs, nothing is flushed."""
        self._end(signal.SIGKILL)

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def close(self) -> None:
        """End it for good and remove its data."""
        self.kill9()
        shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self.close)

    def _answers_or_failed(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            pytest.fail(f"{self.name} ended at once:\n{self.log.read_text()[-2000:]}")
        return self.answers()

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        workers = _children(self.process) if how is signal.SIGKILL else []
        self.process.send_signal(how)
        for worker in workers:
            _kill(worker)
        self.process.wait(timeout=30)
        self.process = None


class Postgres(Server):
    """``durable=True`` keeps every safety setting on, for tests that count what survives."""

    name = "postgres"
    stop_signal = signal.SIGINT

    def __init__(self, *, durable: bool = False) -> None:
        self.user = "postgres" if os.geteuid() == 0 else None
        super().__init__()
        self.durable = durable
        self.password = secrets.token_urlsafe(16)
        self.data = self.directory / "data"
        self.bin = Path(
            program(
                "postgres",
                ("/usr/lib/postgresql/*/bin/postgres", "/opt/homebrew/opt/postgresql@*/bin/postgres"),
                "postgresql",
            )
        ).parent
        self._initialise()

    def _initialise(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(self.password)
        subprocess.run(
            [
                self.bin / "initdb",
                "-k",
                "--no-sync",
                "--no-instructions",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--username=postgres",
                "--auth=scram-sha-256",
                f"--pwfile={password_file}",
                self.data,
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=self.directory,
            **_as_user(self.user),
        )
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write((DEPLOY / "postgres" / "postgresql.conf").read_text())

    def command(self) -> list[str]:
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories="]
        settings += [] if self.durable else ["fsync=off", "full_page_writes=off"]
        options = [word for setting in settings for word in ("-c", setting)]
        return [str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]

    def answers(self) -> bool:
        try:
            self._run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{name}"

    def create_database(self, template: str = "template1") -> str:
        """The URL of a fresh copy of ``template`` (which nobody may be connected to)."""
        name = f"test_{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.database_url(name)

    def drop_database(self, url: str) -> None:
        self._run(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)


class Redis(Server):
    """Started from ``deploy/redis``. ``url`` is the application's account, ``admin_url`` may do anything."""

    name = "redis"

    def __init__(self) -> None:
        super().__init__()
        self.password = secrets.token_urlsafe(16)
        self.program = program("redis-server", (), "redis-server")
        hashed = hashlib.sha256(self.password.encode()).hexdigest()
        accounts = (DEPLOY / "redis" / "users.acl").read_text().replace("$password_sha256", hashed)
        (self.directory / "users.acl").write_text(f"{accounts}user admin on #{hashed} ~* &* +@all\n")

    def command(self) -> list[str]:
        return [
            self.program,
            str(DEPLOY / "redis" / "redis.conf"),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self.directory),
            "--aclfile",
            str(self.directory / "users.acl"),
        ]

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), retries=0)) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False

    @property
    def url(self) -> str:
        return f"redis://sc_stim:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def admin_url(self) -> str:
        return f"redis://admin:{self.password}@127.0.0.1:{self.port}/0"


class MqttBroker(Server):
    """What both brokers have for a test: an address, ingest accounts, and devices that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.ingest_password = secrets.token_urlsafe(16)

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def ingest_username(self, shards: str = "0-f", session: str = "live") -> str:
        return next(name for name in ingest_usernames(shards) if name.endswith(session))

    def add_device(self, device_id: str) -> str:
        """The password of a device that may connect from now on."""
        raise NotImplementedError

    def revoke(self, device_id: str) -> None:
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it says yes or no to a client (here: no)."""
        heard: list[object] = []
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="nobody")
        client.username_pw_set("nobody", "wrong")
        client.on_connect = lambda *args: heard.append(args)
        try:
            client.connect("127.0.0.1", self.port)
        except OSError:
            return False
        while not heard and client.loop(timeout=1) == mqtt.MQTT_ERR_SUCCESS:
            pass
        client.disconnect()
        return bool(heard)


class Mosquitto(MqttBroker):
    """Started from the files ``sc-stim broker init`` writes, with ingest accounts for 0-f, 0-7 and 8-f."""

    name = "mosquitto"

    def __init__(self) -> None:
        self.user = "mosquitto" if os.geteuid() == 0 else None
        places = ("/usr/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto")
        self.program = program("mosquitto", places, "mosquitto")
        super().__init__()
        self.admin_password = secrets.token_urlsafe(16)
        write_broker_files(
            self.directory,
            admin_password=self.admin_password,
            ingest_password=self.ingest_password,
            shards=["0-f", "0-7", "8-f"],
            listeners=[Listener(self.port, "127.0.0.1")],
            plugin=find_plugin(),
            user=self.user,
        )

    def command(self) -> list[str]:
        return [self.program, "-c", str(self.directory / "mosquitto.conf")]

    @property
    def admin_url(self) -> str:
        return f"mqtt://{ADMIN}:{self.admin_password}@127.0.0.1:{self.port}"

    def add_device(self, device_id: str) -> str:
        password = secrets.token_urlsafe(32)
        MosquittoAdmin(self.admin_url).put_devices([(device_id, password)])
        return password

    def revoke(self, device_id: str) -> None:
        MosquittoAdmin(self.admin_url).revoke(device_id)


class EmbeddedBroker(MqttBroker):
    """The broker of ``sc-stim demo`` with a database that holds nothing but its accounts."""

    name = "embedded_broker"

    def __init__(self) -> None:
        super().__init__()
        self.database = self.directory / "accounts.db"
        self._run(
            "CREATE TABLE broker_login (username TEXT PRIMARY KEY, password_hash TEXT, salt TEXT,"
            " iterations INTEGER, role TEXT CHECK (role IN ('device', 'ingest')), revoked_at TEXT)"
        )
        for username in ingest_usernames("0-f"):
            self._add(username, Role.INGEST, self.ingest_password)

    def command(self) -> list[str]:
        return embedded_broker_command(self.port, self.database)

    def add_device(self, device_id: str) -> str:
        password = secrets.token_urlsafe(32)
        self._add(device_id, Role.DEVICE, password)
        return password

    def revoke(self, device_id: str) -> None:
        self._run("UPDATE broker_login SET revoked_at = '2026-11-22T12:00:00Z' WHERE username = ?", device_id)

    def _add(self, username: str, role: Role, password: str) -> None:
        login = make_login(username, role, password, secrets.token_bytes(SALT_BYTES))
        row = (username, login.password_hash, login.salt, login.iterations, role)
        self._run("INSERT OR REPLACE INTO broker_login VALUES (?, ?, ?, ?, ?, NULL)", *row)

    def _run(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(statement, values)


def _as_user(user: str | None) -> dict[str, Any]:
    """Popen arguments: PostgreSQL refuses to run as root."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _dying_with_parent() -> list[str]:
    """On Linux the kernel ends the server when this process dies, however it dies. It watches the thread that
    started the server, so start one from the main thread. Elsewhere ``atexit`` has to do."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _children(process: subprocess.Popen[bytes]) -> list[int]:
    """PostgreSQL's workers hold its shared memory for a moment longer than its main process lives."""
    listing = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in listing.read_text().split()] if listing.exists() else []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
