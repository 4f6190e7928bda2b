"""The servers that are measured: PostgreSQL and Mosquitto as the tests start them, but every write is durable."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

import flask_migrate
import psycopg
from flask import Flask

from benchmarks.waiting import until
from sc_stim.app import create_app
from sc_stim.devices import topics
from sc_stim.devices.broker_access import SALT_BYTES, Login, Role, make_login
from sc_stim.devices.dynsec import first_document
from sc_stim.extensions import db
from sc_stim.settings import Settings, variable
from tests.servers import Mosquitto, Postgres

ROOT = Path(__file__).parents[1]
LOADER = "loader"


class DurablePostgres(Postgres):
    """With fsync on, and able to tell when each row was committed."""

    def __init__(self) -> None:
        super().__init__(durable=True)

    def command(self) -> list[str]:
        return [*super().command(), "-c", "track_commit_timestamp=on"]


class LoadedMosquitto(Mosquitto):
    """With one account more, which may publish for every device, and one for each device that shall come itself."""

    def __init__(self, devices: Iterable[Login] = ()) -> None:
        super().__init__()
        self.loader_password = secrets.token_urlsafe(16)
        accounts = self.directory / "dynamic-security.json"
        document, added = json.loads(accounts.read_text()), first_document(devices)
        document["clients"] += [*added["clients"], self._loader()]
        document["roles"] += [*added["roles"], _LOADER_ROLE]
        accounts.write_text(json.dumps(document))

    def _loader(self) -> dict[str, Any]:
        login = make_login(LOADER, Role.ADMIN, self.loader_password, secrets.token_bytes(SALT_BYTES))
        secret = {"password": login.password_hash, "salt": login.salt, "iterations": login.iterations}
        return {"username": LOADER, "roles": [{"rolename": LOADER}], **secret}


_LOADER_ROLE = {
    "rolename": LOADER,
    "acls": [
        {"acltype": "publishClientSend", "topic": f"{topics.ROOT}/+/+/up/#", "allow": True},
        {"acltype": "subscribePattern", "topic": f"{topics.ROOT}/+/+/down/#", "allow": True},
        {"acltype": "publishClientReceive", "topic": f"{topics.ROOT}/+/+/down/#", "allow": True},
    ],
}


class Stand:
    """One PostgreSQL for everything measured, with fresh databases; brokers as they are asked for."""

    def __init__(self) -> None:
        self.postgres = DurablePostgres()
        self._empty = ""

    def __enter__(self) -> Self:
        self.postgres.start()
        self._empty = self.postgres.create_database()
        make_tables(self._empty)
        return self

    def __exit__(self, *_: object) -> None:
        self.postgres.close()

    @contextmanager
    def broker(self, devices: Iterable[Login] = ()) -> Iterator[LoadedMosquitto]:
        broker = LoadedMosquitto(devices)
        try:
            broker.start()
            yield broker
        finally:
            broker.close()

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """The URL of a new database: with empty tables, or a copy of `template` (which nobody may be using)."""
        url = self.postgres.create_database((template or self._empty).rpartition("/")[2])
        try:
            yield url
        finally:
            self.postgres.drop_database(url)

    @contextmanager
    def ingest(self, broker: Mosquitto, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
        """The running process of `sc-stim ingest`, once it is at work."""
        ours = settings(database_url, mqtt_url=broker.url, mqtt_password=broker.ingest_password)
        names = (
            "database_url",
            "redis_url",
            "mqtt_url",
            "mqtt_password",
            "broker_admin_url",
            "secret_key",
            "log_level",
        )
        environment = os.environ | {variable(name): getattr(ours, name) for name in names}
        with running([sys.executable, "-m", "sc_stim", "ingest"], environment) as process:
            until(lambda: _has_beaten(database_url), "ingest to be at work")
            yield process

    def settle(self) -> None:
        """Write out what earlier work left behind, so that the next measurement does not pay for it."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")


def settings(
    database_url: str, mqtt_url: str = "mqtt://127.0.0.1:1", mqtt_password: str = "unused"
) -> Settings:
    """Of a process with nothing behind it but the database and, where it is given, the broker."""
    return Settings(
        database_url=database_url,
        redis_url="redis://127.0.0.1:1",
        mqtt_url=mqtt_url,
        mqtt_password=mqtt_password,
        broker_admin_url="embedded",
        secret_key=secrets.token_hex(32),
        secure_cookies=False,
        log_level="ERROR",
    )


@contextmanager
def running(
    command: list[str], environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A child process, ended at the end. Raises RuntimeError with its last words if it ended before."""
    with TemporaryFile() as errors:
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=nowhere, stdout=nowhere, stderr=errors
        )
        try:
            yield process
        finally:
            ended = process.poll()
            process.terminate()
            process.wait(timeout=30)
            if ended is not None:
                errors.seek(0)
                raise RuntimeError(f"{command} ended with {ended}:\n{errors.read()[-4000:].decode()}")


def _has_beaten(database_url: str) -> bool:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT 1 FROM heartbeat WHERE name LIKE 'ingest%'").fetchone() is not None


@contextmanager
def application(database_url: str) -> Iterator[Flask]:
    """The app in its context; every connection is closed afterwards."""
    app = create_app(settings(database_url))
    with app.app_context():
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()


def make_tables(database_url: str) -> None:
    """As `sc-stim db upgrade` makes them."""
    with application(database_url):
        flask_migrate.upgrade()


def in_own_process(module: str, job: dict[str, Any]) -> dict[str, Any]:
    """Run `python -m benchmarks.MODULE` on a job; its answer. So what is measured shares no interpreter with us."""
    command = [sys.executable, "-m", f"benchmarks.{module}"]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"benchmarks.{module} failed:\n{done.stderr[-4000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
