"""A receiver on SQLite or PostgreSQL, devices that say what a test wants, and a look at what became of it."""

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from sc_stim import logs
from sc_stim.devices import messages, topics
from sc_stim.devices.ingest import Receiver, replay
from sc_stim.devices.ledger_rows import StoredAck
from sc_stim.devices.mqtt import Delivery
from sc_stim.devices.records import Ack
from sc_stim.extensions import db
from sc_stim.models import (
    BrokerLogin,
    Clinic,
    Device,
    DeviceEvent,
    DeviceState,
    PainScore,
    Patient,
    PumpSample,
    Quarantine,
    StimulatorSample,
)
from sc_stim.models.base import new_public_id
from tests.servers import Postgres

AT = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
RECORDS: tuple[Any, ...] = (PumpSample, StimulatorSample, DeviceEvent, PainScore)
Identity = tuple[int, str, int]  # device, epoch, seq

on_both = pytest.mark.parametrize("intake", ["sqlite", "postgresql"], indirect=True)


@dataclass(frozen=True)
class Speaker:
    """A registered device (or, with id 0, one that is not) and what it sends."""

    id: int
    public_id: str

    def item(self, seq: int, *, ago_s: float = 0, **values: Any) -> dict[str, Any]:
        return {"seq": seq, "at": _time(AT - dt.timedelta(seconds=ago_s)), **values}

    def says(
        self,
        *samples: Any,
        events: Any = None,
        scores: Any = None,
        topic: topics.UpKind = "telemetry",
        epoch: str = "e1",
        sent_at: dt.datetime | None = AT,
        received_at: dt.datetime = AT,
        **more: Any,
    ) -> Delivery:
        lists = {"samples": samples or None, "events": events, "scores": scores}
        envelope = {"epoch": epoch, "sent_at": _time(sent_at) if sent_at else None, **lists, **more}
        return self.sends(json.dumps(envelope).encode(), topic=topic, received_at=received_at)

    def sends(
        self,
        payload: bytes,
        *,
        topic: str = "telemetry",
        received_at: dt.datetime = AT,
        retained: bool = False,
    ) -> Delivery:
        name = f"{topics.ROOT}/{self.public_id[-1]}/{self.public_id}/up/{topic}"
        return Delivery(name, payload, received_at, retained, 1, 1, 1)


class Intake:
    """One database and its receiver. Every receive is checked: no ack covers what is neither stored nor kept."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.receiver = Receiver(engine)
        self._serial = 0

    def stranger(self) -> Speaker:
        return Speaker(0, str(new_public_id()))

    def add(self, kind: str = "pump", *, patient: bool = True, public_id: str | None = None) -> Speaker:
        """Register a device; public_id: of one that was a stranger so far."""
        public_id = public_id or str(new_public_id())
        self._serial += 1
        with Session(self.engine) as session:
            clinic_id = session.scalar(select(Clinic.id))
            if clinic_id is None:
                clinic = Clinic(name="Clinic", time_zone="Europe/Berlin", country="DE", created_at=AT)
                session.add(clinic)
                session.flush()
                clinic_id = clinic.id
            device = Device(
                public_id=uuid.UUID(public_id), clinic_id=clinic_id, kind=kind, manufacturer="Example", model="One",
                serial=str(self._serial), implanted_on=AT.date(), report_interval_s=3600, created_at=AT,
                patient_id=self._patient(session, clinic_id) if patient else None,
            )  # fmt: skip
            session.add(device)
            session.commit()
            return Speaker(device.id, public_id)

    def give_patient(self, speaker: Speaker) -> None:
        with Session(self.engine) as session:
            device = session.get_one(Device, speaker.id)
            device.patient_id = self._patient(session, device.clinic_id)
            session.commit()

    def _patient(self, session: Session, clinic_id: int) -> int:
        patient = Patient(
            clinic_id=clinic_id, mrn=str(self._serial), given_name="Ada", family_name="Example",
            birth_date=dt.date(1961, 4, 12), time_zone="Europe/Berlin", risk_factors=[], symptoms=[],
            withdrawal_prone=False, created_at=AT,
        )  # fmt: skip
        session.add(patient)
        session.flush()
        return patient.id

    def revoke(self, speaker: Speaker, at: dt.datetime | None = AT) -> None:
        """at None: give it its login back."""
        with self.engine.begin() as connection:
            login = select(BrokerLogin.username).where(BrokerLogin.username == speaker.public_id)
            if connection.execute(login).first() is None:
                values = {"role": "device", "password_hash": "", "salt": "", "iterations": 1, "issued_at": AT}
                row = {"username": speaker.public_id, "device_id": speaker.id, **values}
                connection.execute(insert(BrokerLogin).values(row))
            connection.execute(
                update(BrokerLogin).where(BrokerLogin.username == speaker.public_id).values(revoked_at=at)
            )

    def receive(self, *deliveries: Delivery, queue_delay_s: float | None = 0.0) -> list[Ack]:
        acks = self.receiver.receive(deliveries, queue_delay_s)
        self.check_acks(acks)
        return [messages.decode_ack(payload) for _, payload in acks]

    def check_acks(self, acks: list[StoredAck]) -> None:
        """No number below the highest is covered without being stored or in quarantine by its number."""
        kept = self.stored() + self.quarantined()
        for topic, payload in acks:
            ack = messages.decode_ack(payload)
            device_id = self.one(select(Device.id).where(Device.public_id == uuid.UUID(topic.split("/")[3])))
            known = {seq for device, epoch, seq in kept if (device, epoch) == (device_id, ack.epoch)}
            assert {seq for seq in range(ack.upto + 3) if ack.covers(seq)} <= known, (topic, ack)

    def stored(self) -> list[Identity]:
        """Identities of all records, as often as they are there."""
        found: list[Identity] = []
        for model in RECORDS:
            found += self.all(select(model.device_id, model.epoch, model.seq))
        return sorted(tuple(row) for row in found)  # type: ignore[misc]

    def quarantined(self) -> list[Identity]:
        rows = self.all(select(Quarantine.device_id, Quarantine.epoch, Quarantine.seq))
        return sorted(tuple(row) for row in rows if row[2] is not None)  # type: ignore[misc]

    def reasons(self) -> list[str]:
        return [row[0] for row in self.all(select(Quarantine.reason).order_by(Quarantine.id))]

    def state(self, speaker: Speaker) -> DeviceState:
        with Session(self.engine) as session:
            return session.get_one(DeviceState, speaker.id)

    def replay(self, at: dt.datetime = AT) -> list[str]:
        """Everything in quarantine once more; the outcomes in the order in which it came there."""
        with Session(self.engine) as session:
            ids = list(session.scalars(select(Quarantine.public_id)))
            outcomes = replay(session, ids, at)
            session.commit()
        return [outcome for _, outcome in outcomes]

    def all(self, statement: Any) -> list[Row[Any]]:
        with self.engine.begin() as connection:
            return list(connection.execute(statement).all())

    def one(self, statement: Any) -> Any:
        [row] = self.all(statement)
        return row[0]

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """The whole database as text, less what tells of the telling itself: when it was heard, and how often."""
        passing = {"heard_at", "last_at", "times_seen", "generation", "public_id", "clock"}
        tables = {}
        for table in db.metadata.sorted_tables:
            columns = [
                column for column in table.c if column.name not in passing and table.name != "heartbeat"
            ]
            if columns:
                tables[table.name] = sorted(tuple(map(str, row)) for row in self.all(select(*columns)))
        return tables


def _time(at: dt.datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def make_engine(url: str) -> Engine:
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))


def memory_engine() -> Engine:
    """SQLite without a file: for tests of many small transactions."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    db.metadata.create_all(engine)
    return engine


def emptied(engine: Engine) -> Engine:
    with engine.begin() as connection:
        for table in reversed(db.metadata.sorted_tables):
            connection.execute(table.delete())
    return engine


@pytest.fixture(scope="session")
def intake_engines(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Engine]]:
    """One engine per database for the whole session, its tables made once."""
    logs.configure("ERROR")
    made: dict[str, Engine] = {}

    def engine_on(database: str) -> Engine:
        if database not in made:
            if database == "sqlite":
                made[database] = create_engine(
                    f"sqlite:///{tmp_path_factory.mktemp('intake') / 'sc_stim.db'}"
                )
                event.listen(made[database], "connect", _impatient)
            else:
                postgres: Postgres = request.getfixturevalue("postgres")
                made[database] = make_engine(postgres.create_database())
            db.metadata.create_all(made[database])
        return made[database]

    yield engine_on
    for engine in made.values():
        engine.dispose()


@pytest.fixture
def intake(request: pytest.FixtureRequest, intake_engines: Callable[[str], Engine]) -> Intake:
    """On empty tables; on SQLite unless the test is marked `on_both`."""
    return Intake(emptied(intake_engines(getattr(request, "param", "sqlite"))))


def _impatient(connection: Any, _record: Any) -> None:
    """So that a test of a locked database need not wait for 30 s."""
    connection.execute("PRAGMA busy_timeout=200")
