"""The processes of the real stack as children that can be killed, and the devices registered in its database."""

import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.orm import Session

from sc_stim import clock
from sc_stim.devices.mqtt_admin import MosquittoAdmin
from sc_stim.extensions import db
from sc_stim.models import Clinic, Device, Patient
from sc_stim.models.base import new_public_id
from tests import builders
from tests.intake import make_engine
from tests.servers import Mosquitto, MqttBroker, Redis, Server

ROOT = Path(__file__).parents[2]


class Program:
    """One of our own processes."""

    def __init__(self, name: str, *words: str, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._words = words
        self._environment = {**os.environ, **(environment or {})}
        self.log = Path(tempfile.mkdtemp(prefix=f"sc_stim_{name}_")) / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self, *more: str) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self._words, *more], stdout=log, stderr=log, cwd=ROOT, env=self._environment
            )
        self.starts += 1
        return self

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill9(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(how)
        return self.process.wait(timeout=30)


def ingest(database_url: str, broker: MqttBroker, version: int = 5) -> Program:
    return Program(
        "ingest", "-m", "tests.faults.ingest_program", "--database", database_url, "--mqtt", broker.url,
        f"--password={broker.ingest_password}", "--version", str(version),  # it may begin with a hyphen
    )  # fmt: skip


def celery(
    which: str, database_url: str, redis: Redis, *words: str, program: tuple[str, str] = ("-m", "sc_stim")
) -> Program:
    """`sc-stim worker` or `sc-stim beat`; `program`: what Python runs instead of sc-stim."""
    environment = {
        "SC_STIM_DATABASE_URL": database_url,
        "SC_STIM_REDIS_URL": redis.url,
        "SC_STIM_MQTT_URL": "mqtt://127.0.0.1:1",
        "SC_STIM_MQTT_PASSWORD": "unused",
        "SC_STIM_BROKER_ADMIN_URL": "embedded",
        "SC_STIM_SECRET_KEY": builders.SECRET_KEY,
        "SC_STIM_LOG_LEVEL": "INFO",
        "SC_STIM_WORK_POLL_S": "1",
    }
    return Program(which, *program, which, *words, environment=environment)


def start_again(victim: Server | Program, attempts: int = 20) -> None:
    """As a supervisor would: a killed PostgreSQL cannot start while one of its workers is still dying."""
    for _ in range(attempts - 1):
        try:
            victim.start()
            return
        except pytest.fail.Exception:
            time.sleep(0.2)
    victim.start()


def make_tables(database_url: str) -> Engine:
    engine = make_engine(database_url)
    db.metadata.create_all(engine)
    return engine


def register(engine: Engine, count: int) -> dict[str, int]:
    """So many pumps with a patient each; their row ids by public id."""
    at = clock.now() - dt.timedelta(days=1)
    with Session(engine) as session:
        clinic = Clinic(
            name=f"Clinic {new_public_id()}", time_zone="Europe/Berlin", country="DE", created_at=at
        )
        session.add(clinic)
        session.flush()
        first = session.scalar(select(func.coalesce(func.max(Patient.id), 0))) or 0
        same = {"clinic_id": clinic.id, "created_at": at}
        session.execute(
            insert(Patient),
            [
                {
                    "mrn": str(n), "given_name": "Ada", "family_name": "Example", "birth_date": dt.date(1961, 4, 12),
                    "time_zone": "Europe/Berlin", **same,
                }
                for n in range(count)
            ],
        )  # fmt: skip
        session.execute(
            insert(Device),
            [
                {
                    "public_id": new_public_id(), "patient_id": first + 1 + n, "kind": "pump", "serial": f"{first + n}",
                    "manufacturer": "Example", "model": "One", "implanted_on": at.date(), "report_interval_s": 86_400,
                    **same,
                }
                for n in range(count)
            ],
        )  # fmt: skip
        session.commit()
        rows = session.execute(select(Device.public_id, Device.id).where(Device.clinic_id == clinic.id))
        return {str(public_id): row_id for public_id, row_id in rows}


def let_in(broker: MqttBroker, device_ids: list[str]) -> dict[str, str]:
    """Passwords of these devices at the broker."""
    if isinstance(broker, Mosquitto):
        passwords = {device_id: f"password of {device_id}" for device_id in device_ids}
        MosquittoAdmin(broker.admin_url).put_devices(passwords.items())
        return passwords
    return {device_id: broker.add_device(device_id) for device_id in device_ids}
