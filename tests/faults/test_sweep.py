"""A worker is killed in the middle of a night's sweep: each forecast, finding and alert is made, and made once."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery  # type: ignore[import-untyped]
from sqlalchemy import Engine, func, select, update

from benchmarks.population import populate
from benchmarks.stand import application
from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.models import Alert, AlertEntry, Forecast, PainFinding, PainModel, WorkItem
from sc_stim.tasks.celery_app import QUEUE, WORK_OFF
from sc_stim.tasks.jobs import JUDGES
from sc_stim.tasks.upkeep import ask_nightly
from sc_stim.tasks.work import work_off
from sc_stim.workflows import outbox
from tests.faults import stack
from tests.intake import make_engine
from tests.servers import Postgres, Redis, wait_until

PUMPS = 1500  # and as many patients
CHUNK = 250  # here: after the kill each of a chunk is judged by itself
TICKS = 20
SMALL_CHUNKS = f"from sc_stim.tasks import work; work.CHUNK = {CHUNK}; from sc_stim.cli import main; main()"


@pytest.fixture
def nights(postgres: Postgres) -> Iterator[tuple[str, str]]:
    """Two copies of one database in which the work of a closed day is owed."""
    first = postgres.create_database()
    with application(first):
        db.create_all()
        populate(first, PUMPS, clock.now())
        ask_nightly(db.session(), clock.now())
        db.session.commit()
    second = postgres.create_database(first.rpartition("/")[2])
    yield first, second
    for url in (first, second):
        postgres.drop_database(url)


@pytest.mark.timeout(400)
def test_a_worker_killed_in_the_middle_of_a_sweep_loses_and_doubles_nothing(
    nights: tuple[str, str], redis_server: Redis
) -> None:
    disturbed, undisturbed = nights
    engine = make_engine(disturbed)
    worker = stack.celery(
        "worker", disturbed, redis_server, "--concurrency", "1", program=("-c", SMALL_CHUNKS)
    )
    beat = Celery(broker=redis_server.url)
    try:
        worker.start()
        for _ in range(TICKS):
            beat.send_task(WORK_OFF, queue=QUEUE)
        wait_until(lambda: judged(engine) and claimed(engine), "the second chunk to be begun", 120)
        worker.kill9()
        done = judged(engine)
        assert CHUNK <= len(done) < PUMPS
        assert not done & owed(engine), "what is judged is struck off, and nothing else"
        assert done | owed(engine) == set(range(1, PUMPS + 1))
        let_claims_run_out(engine)
        worker.start()
        wait_until(lambda: not count(engine, WorkItem.id), "another worker to finish", 240)
    finally:
        worker.kill9()
    with application(undisturbed):
        assert work_off(db.session(), JUDGES, until=clock.now() + dt.timedelta(hours=1)) == 2 * PUMPS
    other = make_engine(undisturbed)
    for columns in EFFECTS:
        effects = rows(engine, *columns)
        assert effects == rows(other, *columns)
        assert max(effects.values()) == 1
    engine.dispose()
    other.dispose()


EFFECTS: tuple[tuple[Any, ...], ...] = (
    (Forecast.device_id, Forecast.refill_by, Forecast.binding_clock, Forecast.earliest_empty_on, Forecast.refused),
    (PainModel.patient_id, PainModel.through_day, PainModel.state),  # a day observed twice would show here
    (PainFinding.patient_id, PainFinding.rule, PainFinding.day, PainFinding.kind, PainFinding.tier),
    (Alert.effect_key, Alert.condition, Alert.severity, Alert.state, Alert.historical),
    (AlertEntry.alert_id, AlertEntry.event, AlertEntry.to_state),
)  # fmt: skip


def rows(engine: Engine, *columns: Any) -> Counter[tuple[str, ...]]:
    """How often each is there. Alerts have other row ids in another run, but the same effect key."""
    named = [Alert.effect_key if column is AlertEntry.alert_id else column for column in columns]
    statement = select(*named)
    if named != list(columns):
        statement = statement.join(Alert, Alert.id == AlertEntry.alert_id)
    with engine.connect() as connection:
        return Counter(tuple(map(str, row)) for row in connection.execute(statement))


def count(engine: Engine, column: Any, *conditions: Any) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count(column)).where(*conditions)) or 0


def claimed(engine: Engine) -> int:
    return count(engine, WorkItem.claimed_until)


def judged(engine: Engine) -> set[int]:
    """The pumps with a forecast."""
    with engine.connect() as connection:
        return set(connection.scalars(select(Forecast.device_id)))


def owed(engine: Engine) -> set[int]:
    """The pumps to which a forecast is owed."""
    with engine.connect() as connection:
        return set(connection.scalars(select(WorkItem.subject_id).where(WorkItem.kind == outbox.REFILL)))


def let_claims_run_out(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(update(WorkItem).values(claimed_until=clock.now() - dt.timedelta(seconds=1)))
