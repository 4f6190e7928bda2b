"""The `sc-stim` command: one process of the real stack each, the demo, and the tools of those who run it."""

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import click
from flask import Flask

from sc_stim import __version__
from sc_stim.settings import Settings, SettingsError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Therapy management for spinal cord stimulators and intrathecal pumps. Not a certified medical device."""


def _settings() -> Settings:
    try:
        return Settings.from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def _app() -> Flask:
    from sc_stim.app import create_app

    return create_app(_settings())


@main.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port of the web pages."
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-data"),
    show_default=True,
    help="Where the demo lives; started again on the same directory it goes on where it was.",
)
@click.option("--patients", type=click.IntRange(8, 500), default=30, show_default=True)
@click.option(
    "--days", type=click.IntRange(30, 730), default=120, show_default=True, help="History to begin with."
)
@click.option(
    "--seed", type=click.IntRange(0), help="Makes the same patients again; without it, others each time."
)
@click.option("--exit-after", type=click.FloatRange(0), help="Stop this many seconds after READY.")
def demo(
    port: int, data_dir: Path, patients: int, days: int, seed: int | None, exit_after: float | None
) -> None:
    """Run the whole stack on this machine, on loopback only, with a seeded clinic and simulated devices.

    Example: sc-stim demo --port 8080
    """
    from sc_stim.embedded.demo import Demo, DemoFailed

    try:
        Demo(data_dir, port=port, patients=patients, days=days, seed=seed).run(exit_after)
    except DemoFailed as error:
        raise click.ClickException(str(error)) from error


@main.command()
def web() -> None:
    """Serve the pages and the API. Example: sc-stim web"""
    from sc_stim.serve import serve

    serve(_settings())


@main.command()
@click.option(
    "--shards", default="0-f", show_default=True, help="Which sixteenths of the fleet, e.g. 0-7 or 8-f."
)
def ingest(shards: str) -> None:
    """Take telemetry from the broker into the database. Example: sc-stim ingest --shards 0-7"""
    from sqlalchemy import create_engine

    import sc_stim.extensions  # noqa: F401  (sets SQLite up for durability)
    from sc_stim import logs
    from sc_stim.devices.ingest_process import lanes, run
    from sc_stim.watchman import Watchman

    settings = _settings()
    logs.configure(settings.log_level)
    try:
        both = lanes(
            shards, settings.mqtt_url, settings.mqtt_username, settings.mqtt_password, settings.mqtt_ca_file,
            settings.mqtt_version,
        )  # fmt: skip
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--shards") from error
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stop = run(both, create_engine(settings.sqlalchemy_url, pool_pre_ping=True), batch=settings.ingest_batch)
    Watchman(_app(), "ingest").start()
    stopped.wait()
    stop()


@main.command()
@click.option("--concurrency", type=click.IntRange(1), default=2, show_default=True)
def worker(concurrency: int) -> None:
    """Turn new rows into judgements. Example: sc-stim worker --concurrency 4"""
    from sc_stim.tasks.celery_app import QUEUE, celery

    app = _app()
    pool = "solo" if concurrency == 1 else "prefork"
    options = [
        "--pool",
        pool,
        "--concurrency",
        str(concurrency),
        "--queues",
        QUEUE,
        "--without-gossip",
        "--without-mingle",
    ]
    celery.worker_main(["worker", "--loglevel", app.config["SETTINGS"].log_level, *options])


@main.command()
def beat() -> None:
    """Wake the workers up, regularly. Two of these do no harm. Example: sc-stim beat"""
    from sc_stim.tasks.celery_app import celery

    app = _app()
    # No schedule file: it can be damaged, and nothing here depends on when a job last ran.
    celery.start(
        [
            "beat",
            "--loglevel",
            app.config["SETTINGS"].log_level,
            "--scheduler",
            "celery.beat:Scheduler",
            "--pidfile",
            "",
        ]
    )


@main.group()
def db() -> None:
    """The database."""


@db.command()
def upgrade() -> None:
    """Bring the tables up to this version. Example: sc-stim db upgrade"""
    import flask_migrate

    with _app().app_context():
        flask_migrate.upgrade()


@main.group()
def users() -> None:
    """Accounts of people."""


@users.command("create")
@click.option(
    "--clinic", "clinic_name", required=True, help="Name of the clinic; made when there is none of it."
)
@click.option("--time-zone", help="IANA zone of a clinic that is made, e.g. Europe/Berlin.")
@click.option("--country", help="Country of a clinic that is made, e.g. DE.")
@click.option("--email", required=True)
@click.option("--role", required=True, help="clinician, nurse, engineer, auditor or admin.")
@click.option("--name", help="As others see it; without it, the e-mail address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def create_user(
    clinic_name: str, time_zone: str | None, country: str | None, email: str, role: str, name: str | None,
    password_stdin: bool,
) -> None:  # fmt: skip
    """Make an account. Example: sc-stim users create --clinic "Pain Centre" --email a@b.org --role nurse"""
    from sc_stim import clock
    from sc_stim.workflows import accounts
    from sc_stim.workflows.refusals import Conflict, FieldRefused

    app = _app()
    password = (
        sys.stdin.readline().rstrip("\n")
        if password_stdin
        else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    with app.app_context():
        try:
            accounts.create_first_user(
                _session(), clinic_name, time_zone, country, email, name or email, role, password,
                seal_key=app.config["AUDIT_SEAL_KEY"], at=clock.now(),
            )  # fmt: skip
        except (FieldRefused, Conflict) as error:
            raise click.ClickException(str(error)) from error
        _session().commit()
    click.echo(f"{email} may sign in as {role} of {clinic_name}.")


@main.group()
def quarantine() -> None:
    """Messages that could not be taken."""


@quarantine.command("list")
@click.option("--reason", help="Only these, e.g. bad_json.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def list_quarantine(reason: str | None, limit: int) -> None:
    """Show the newest. Example: sc-stim quarantine list --reason unknown_device"""
    from sqlalchemy import select

    from sc_stim.models import Quarantine

    with _app().app_context():
        statement = select(Quarantine).order_by(Quarantine.id.desc()).limit(limit)
        if reason:
            statement = statement.where(Quarantine.reason == reason)
        for row in _session().scalars(statement):
            click.echo("\t".join((
                str(row.public_id), row.received_at.isoformat(timespec="seconds"), row.reason, row.field or "-",
                f"x{row.times_seen}", row.outcome or "not replayed", row.topic, row.detail,
            )))  # fmt: skip


@quarantine.command("replay")
@click.argument("ids", nargs=-1, type=click.UUID)
@click.option("--reason", help="All of one reason.")
def replay_quarantine(ids: tuple[Any, ...], reason: str | None) -> None:
    """Try again, after what was wrong is mended. Example: sc-stim quarantine replay --reason no_patient"""
    from sqlalchemy import or_, select

    from sc_stim import clock
    from sc_stim.models import Quarantine

    if not ids and not reason:
        raise click.UsageError("name messages by id, or all of one --reason")
    app = _app()
    with app.app_context():
        wanted = list(ids)
        if reason:
            unsettled = or_(Quarantine.outcome.is_(None), Quarantine.outcome == "quarantined")
            of_reason = select(Quarantine.public_id).where(Quarantine.reason == reason, unsettled)
            wanted += _session().scalars(of_reason.order_by(Quarantine.id)).all()
        for public_id in dict.fromkeys(wanted):
            for outcome in _replay(_session(), public_id, app.config["AUDIT_SEAL_KEY"], clock.now()):
                click.echo(f"{public_id}\t{outcome}")


def _replay(session: Any, public_id: Any, seal_key: bytes, at: Any) -> list[str]:
    """One message in a transaction of its own, so that a break loses nothing that was done; no outcome, no message."""
    from sqlalchemy import select

    from sc_stim.devices.ingest import replay
    from sc_stim.models import Quarantine
    from sc_stim.workflows import audit
    from sc_stim.workflows.audit import INSTALLATION, Actor

    outcomes = [outcome for _, outcome in replay(session, [public_id], at)]
    for outcome in outcomes:
        clinic_id = session.scalar(select(Quarantine.clinic_id).where(Quarantine.public_id == public_id))
        actor = Actor(clinic_id or INSTALLATION, "installation", seal_key)
        detail = {"outcome": outcome}
        audit.record(session, actor, "quarantine.replay", "quarantine", public_id, detail, at=at)
    session.commit()
    return outcomes


@main.group()
def audit() -> None:
    """The audit trail."""


@audit.command("verify")
def verify_audit() -> None:
    """Check every chain; exits 1 and names the first broken entry of each. Example: sc-stim audit verify"""
    from sc_stim.workflows.audit import verify

    app = _app()
    with app.app_context():
        broken = list(verify(_session(), app.config["AUDIT_SEAL_KEY"]))
    for one in broken:
        click.echo(f"clinic {one.clinic_id}, entry {one.number}: {one.reason}", err=True)
    if broken:
        sys.exit(1)
    click.echo("The audit trail is whole.")


@main.group()
def backtest() -> None:
    """What the rules would have said about your own data, before you rely on them."""


_FILE = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
_OUT = click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Instead of the screen.")


@backtest.command("pain")
@_FILE
@_OUT
def backtest_pain(file: Path, out: Path | None) -> None:
    """Show what the pain rules would have flagged in a CSV of patient,at,nrs, in any order.

    Example: sc-stim backtest pain diaries.csv --out flagged.csv
    """
    from sc_stim.backtest import find_pain

    _backtest(find_pain, file, out)


@backtest.command("refill")
@_FILE
@_OUT
def backtest_refill(file: Path, out: Path | None) -> None:
    """Forecast the refills of the pumps in a JSON file, one case or a list.

    Example: sc-stim backtest refill pumps.json --out forecasts.json
    """
    from sc_stim.backtest import refill

    _backtest(refill, file, out)


def _backtest(rule: Callable[[Path, TextIO], None], file: Path, out: Path | None) -> None:
    """Run a rule over a file. What it writes to `out` is there only once it is whole."""
    try:
        if out is None:
            rule(file, sys.stdout)
            return
        part = out.with_name(f"{out.name}.part")
        try:
            with part.open("w", encoding="utf-8", newline="") as written:
                rule(file, written)
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
    except (ValueError, OSError) as error:
        raise click.ClickException(f"{file}: {error}") from error


@main.group()
def broker() -> None:
    """The MQTT broker."""


@broker.command("init")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Its folder.")
@click.option(
    "--shards", multiple=True, default=("0-7", "8-f"), show_default=True, help="Of each ingest process."
)
@click.option("--port", type=int, default=1883, show_default=True)
@click.option("--address", default="", help="Listen only here, e.g. 127.0.0.1; without it, everywhere.")
@click.option("--user", help="Owner of the files: who Mosquitto runs as.")
@click.option(
    "--plugin", type=click.Path(path_type=Path), help="Path of the dynamic-security plugin where it will run."
)
def init_broker(
    out: Path, shards: tuple[str, ...], port: int, address: str, user: str | None, plugin: Path | None
) -> None:
    """Write Mosquitto's configuration and its first accounts. Example: sc-stim broker init --out /mosquitto/data"""
    from urllib.parse import unquote, urlsplit

    from sc_stim.devices.mosquitto_conf import Listener, find_plugin, write_broker_files

    settings = _settings()
    admin = urlsplit(settings.broker_admin_url).password
    if not admin:
        raise click.ClickException(
            "SC_STIM_BROKER_ADMIN_URL must hold the password of the broker's administrator"
        )
    write_broker_files(
        out,
        admin_password=unquote(admin),
        ingest_password=settings.mqtt_password,
        shards=shards,
        listeners=[Listener(port, address)],
        plugin=plugin or find_plugin(),
        user=user,
    )
    click.echo(f"Wrote mosquitto.conf and the first accounts to {out}.")


def _session() -> Any:
    from sc_stim.extensions import db as database

    return database.session()
