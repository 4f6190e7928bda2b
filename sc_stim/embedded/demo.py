"""`sc-stim demo`: the whole stack on this machine, on loopback, with a seeded clinic and simulated devices."""

import datetime as dt
import json
import os
import re
import secrets
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import flask_migrate
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.app import create_app
from sc_stim.devices.dynsec import ingest_usernames
from sc_stim.embedded import broker, cache, seed
from sc_stim.embedded.supervisor import Supervisor
from sc_stim.extensions import db
from sc_stim.models import Device, DeviceState, Heartbeat, User, WorkItem
from sc_stim.settings import Settings, variable
from sc_stim.tasks import upkeep
from sc_stim.workflows import refilling
from simulators import scenario

SCENARIO = "demo"
READY_WITHIN_S = 900.0
REPORTS_WITHIN_S = 60.0  # each simulated device says something within half a minute of its history's end
_PROGRESS = re.compile(r"history +(\d+)% +connected (\d+)/")


BEFORE_ALL = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)


class DemoFailed(Exception):
    """The demo cannot start or go on; the message says why and what to do."""


class Demo:
    """One data directory and the processes that run on it."""

    def __init__(
        self, directory: Path, *, port: int, patients: int, days: int, seed: int | None = None
    ) -> None:
        self.directory = directory.resolve()
        self._port = port
        self._patients = patients
        self._days = days
        self._seed = secrets.randbelow(2**31) if seed is None else seed
        self._stopping = False
        self._supervisor = Supervisor(self.directory / "logs")

    def run(self, exit_after_s: float | None) -> None:
        """Start everything, say READY, and supervise until Ctrl-C or `exit_after_s` after READY."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        _require_free(self._port)
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        valkey = cache.start(self.directory / "cache", _free_port())
        try:
            settings = self._settings(valkey.url)
            app = create_app(settings)
            self._prepare(app, settings)
            self._start(app, settings)
            if not self._stopping:
                self._announce(settings)
            end = None if exit_after_s is None else time.monotonic() + exit_after_s
            while not self._stopping and (end is None or time.monotonic() < end):
                self._supervisor.watch()
                time.sleep(0.5)
        finally:
            self._supervisor.stop()
            valkey.process.terminate()
            valkey.process.wait()
        click.echo("Stopped.")

    def _on_signal(self, number: int, _frame: object) -> None:
        if self._stopping:
            raise KeyboardInterrupt  # asked twice
        self._stopping = True

    # --- what is on disk ---

    def _settings(self, redis_url: str) -> Settings:
        kept = self._kept()
        return Settings(
            database_url=f"sqlite:///{self.directory / 'sc_stim.db'}",
            redis_url=redis_url,
            mqtt_url=f"mqtt://127.0.0.1:{_free_port()}",
            mqtt_password=kept["ingest_password"],
            mqtt_version=3,
            broker_admin_url="embedded",
            secret_key=kept["secret_key"],
            secure_cookies=False,
            log_level="WARNING",
            web_port=self._port,
            work_poll_s=2,
        )

    def _kept(self) -> dict[str, Any]:
        """The secrets and the beginning of this data directory, made at the first start."""
        path = self.directory / "demo.json"
        if not path.exists():
            seed.write_private(
                path,
                {
                    "secret_key": secrets.token_hex(32),
                    "ingest_password": secrets.token_urlsafe(32),
                    "seed": self._seed,
                    "patients": self._patients,
                    "days": self._days,
                    "began_at": clock.now().isoformat(timespec="seconds"),
                },
            )
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept

    def _prepare(self, app: Flask, settings: Settings) -> None:
        """Migrate; at the first start also make the clinic. In one transaction, so that it is whole or not there."""
        kept = self._kept()
        with app.app_context():
            flask_migrate.upgrade()
            if db.session.scalar(select(func.count()).select_from(User)):
                click.echo(f"Going on with the clinic in {self.directory}.")
                return
            click.echo(
                f"Making a clinic of {kept['patients']} patients in {self.directory}: ready in a minute or two ..."
            )
            self._make_clinic(app, db.session(), settings, kept)
            db.session.commit()

    def _make_clinic(self, app: Flask, session: Session, settings: Settings, kept: dict[str, Any]) -> None:
        at = clock.now()
        began_at = dt.datetime.fromisoformat(kept["began_at"])
        cohort = scenario.load(
            SCENARIO, seed=kept["seed"], now=began_at, patients=kept["patients"], days=kept["days"]
        )
        logins = seed.seed(session, cohort, seal_key=app.config["AUDIT_SEAL_KEY"], at=at)
        credentials = seed.broker_logins(session, cohort, settings.mqtt_password, at)
        seed.write_private(self.directory / "logins.json", logins)
        seed.write_private(self.directory / "devices.json", credentials)

    # --- what runs ---

    def _start(self, app: Flask, settings: Settings) -> None:
        """In the order of what needs what; judgements begin when the history is there to judge."""
        environment = _environment(settings)
        start = self._supervisor.start
        broker_port = int(settings.mqtt_url.rpartition(":")[2])
        database = self.directory / "sc_stim.db"
        start("broker", broker.command(broker_port, database), environment)
        self._wait(lambda: _listens(broker_port), "the broker")
        start("web", _command("web"), environment)
        begun_at = clock.now()
        start("ingest", _command("ingest"), environment)
        self._wait(lambda: _takes_messages(app, begun_at), "ingest")  # what is sent before has nowhere to go
        start("simulators", self._simulators(settings.mqtt_url), environment)
        self._wait_for_history()
        _ask_for_judgements(app)
        start("worker", _command("worker", "--concurrency", "1"), environment)
        start("beat", _command("beat"), environment)
        click.echo("Judging refills and pain ...")
        self._wait(lambda: _is_ready(self._port) and _is_judged(app), "the first judgements")
        self._wait_for_reports(app)

    def _simulators(self, mqtt_url: str) -> list[str]:
        kept = self._kept()
        options = {
            "--scenario": SCENARIO,
            "--patients": kept["patients"],
            "--days": kept["days"],
            "--seed": kept["seed"],
            "--now": kept["began_at"],
            "--credentials": self.directory / "devices.json",
            "--truth": self.directory / "truth.jsonl",
            "--journal": self.directory / "simulators.journal",
            "--mqtt": mqtt_url,
        }
        flat = [str(part) for option in options.items() for part in option]
        return [sys.executable, "-m", "simulators", *flat]

    def _wait_for_history(self) -> None:
        shown = -1

        def arrived() -> bool:
            nonlocal shown
            found = _PROGRESS.search(self._supervisor.last_line("simulators"))
            share = int(found.group(1)) if found else 0
            if share != shown:
                click.echo(f"History over MQTT: {share} %")
                shown = share
            return share == 100

        self._wait(arrived, "the history")

    def _wait_for_reports(self, app: Flask) -> None:
        """Until then most devices look silent, which they are not."""
        began_at, until = (
            dt.datetime.fromisoformat(self._kept()["began_at"]),
            time.monotonic() + REPORTS_WITHIN_S,
        )

        def have_come() -> bool:
            found = _PROGRESS.search(self._supervisor.last_line("simulators"))
            connected = int(found.group(2)) if found else 0
            return _count_heard(app, began_at) >= connected or time.monotonic() > until

        self._wait(have_come, "the first reports")

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._stopping and not done():
            down = self._supervisor.watch()
            if time.monotonic() > deadline:
                why = "; ".join(f"{name}: {self._supervisor.last_line(name)}" for name in down)
                raise DemoFailed(
                    f"{what} did not come within {READY_WITHIN_S:.0f} s. Logs: {self._supervisor.logs}. {why}"
                )
            time.sleep(0.25)

    def _announce(self, settings: Settings) -> None:
        click.echo(f"READY http://127.0.0.1:{self._port}")
        click.echo("Open it in a browser and sign in as one of these (e-mail address, password):")
        for login in json.loads((self.directory / "logins.json").read_text()):
            click.echo(f"  {login['role']:<10} {login['email']:<24} {login['password']}")
        click.echo(f"They are kept in {self.directory / 'logins.json'}.")
        click.echo(f"Devices connect to {settings.mqtt_url}")
        click.echo("Not a certified medical device: simulated patients only. Ctrl-C stops everything.")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sc_stim", *arguments]


def _environment(settings: Settings) -> dict[str, str]:
    """The caller's environment without any setting of theirs, and with ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SC_STIM_")}
    ours = {
        variable(name): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in vars(settings).items()
        if value is not None
    }
    return kept | ours | {"PYTHONUNBUFFERED": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoFailed(f"port {port} is taken: choose another with --port") from error


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _takes_messages(app: Flask, since: dt.datetime) -> bool:
    """Whether every session of ingest has said since then that it is there."""
    with app.app_context():
        said = select(Heartbeat.name).where(Heartbeat.name.startswith("ingest"), Heartbeat.at >= since)
        there = len(db.session.scalars(said).all())
        db.session.rollback()
    return there == len(ingest_usernames(seed.SHARDS))


def _ask_for_judgements(app: Flask) -> None:
    """The nightly round, without waiting for the night; and what the fills of the history showed."""
    with app.app_context():
        for pump in db.session.scalars(select(Device).where(Device.kind == "pump")):
            refilling.judge_fills_after(db.session(), pump, BEFORE_ALL)
        upkeep.ask_nightly(db.session(), clock.now())
        db.session.commit()


def _is_judged(app: Flask) -> bool:
    """Nothing due is left."""
    with app.app_context():
        owed = db.session.scalar(select(func.count()).where(WorkItem.due_at <= clock.now()))
        db.session.rollback()
    return owed == 0


def _count_heard(app: Flask, since: dt.datetime) -> int:
    """How many devices have measured something since then."""
    with app.app_context():
        heard = db.session.scalar(select(func.count()).where(DeviceState.measured_at >= since))
        db.session.rollback()
    return heard or 0


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
