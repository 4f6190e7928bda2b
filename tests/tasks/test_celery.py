"""Celery only wakes workers up: whatever happens to Redis, workers and beats, what is owed is done, once."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import redis
from flask import Flask
from sqlalchemy import Engine, func, select

from sc_stim import clock
from sc_stim.devices.ingest import Receiver
from sc_stim.extensions import db
from sc_stim.models import Alert, AlertEntry, Heartbeat, WorkItem
from sc_stim.tasks import jobs
from sc_stim.tasks.celery_app import beat_table, celery
from tests.builders import settings
from tests.faults import stack
from tests.intake import Speaker
from tests.servers import Redis, wait_until


def test_every_tick_of_the_beat_wakes_a_task_that_exists(app: Flask) -> None:
    celery.loader.import_default_modules()
    ours = {name for name in celery.tasks if name.startswith("sc_stim.")}
    table = beat_table(settings("sqlite://"))
    assert {entry["task"] for entry in table.values()} == ours
    assert {task.name for task in vars(jobs).values() if hasattr(task, "apply_async")} == ours


def test_no_task_waits_for_a_time_or_carries_more_than_ids(app: Flask) -> None:
    for entry in beat_table(settings("sqlite://")).values():
        assert set(entry) == {"task", "schedule", "options"}
        assert set(entry["options"]) == {"expires"}
    assert (celery.conf.task_serializer, celery.conf.accept_content) == ("json", ["json"])
    assert celery.conf.task_acks_late
    assert celery.conf.task_reject_on_worker_lost
    assert celery.conf.task_ignore_result


def test_the_jobs_run_on_an_empty_clinic_and_say_so(app: Flask) -> None:
    for job in (
        jobs.work_off_task, jobs.find_silent_task, jobs.ask_nightly_task, jobs.expire_task, jobs.notify_task,
        jobs.deliver_task, jobs.watch_task, jobs.follow_therapy_task, jobs.long_work_task,
    ):  # fmt: skip
        job()
    beats = {name for (name,) in db.session.execute(select(Heartbeat.name)).all()}
    assert beats == {
        "worker",
        "beat",
        "job:find_silent",
        "job:ask_nightly",
        "job:expire",
        "job:notify",
        "job:deliver",
        "job:follow_therapy",
        "job:long_work",
    }


@pytest.fixture
def clinic(postgres_database: str, redis_server: Redis) -> Iterator[tuple[Engine, dict[str, int]]]:
    """Two workers and two beats at work for a clinic of some pumps."""
    engine = stack.make_tables(postgres_database)
    pumps = stack.register(engine, 20)
    programs = [
        stack.celery(which, postgres_database, redis_server, *words)
        for which, *words in [
            ("worker", "--concurrency", "1"),
            ("worker", "--concurrency", "2"),
            ("beat",),
            ("beat",),
        ]
    ]
    with ExitStack() as running:
        for program in programs:
            running.callback(program.kill9)
            program.start()
        yield engine, pumps
    engine.dispose()


@pytest.mark.timeout(180)
def test_two_workers_two_beats_and_an_emptied_redis_do_each_effect_once(
    clinic: tuple[Engine, dict[str, int]], redis_server: Redis
) -> None:
    engine, pumps = clinic
    speakers = [Speaker(row_id, public_id) for public_id, row_id in pumps.items()]

    def count(model: type, *conditions: object) -> int:
        with engine.begin() as connection:
            return connection.scalar(select(func.count()).select_from(model).where(*conditions)) or 0  # type: ignore[arg-type]

    def tell(state: str, seq: int) -> None:
        at = clock.now()
        sample = {"seq": seq, "at": at.isoformat(), "state": state}
        said = [one.says(sample, sent_at=at, received_at=at) for one in speakers]
        Receiver(engine).receive(said, 0.0)

    def all_alerts_are(state: str) -> Callable[[], bool]:
        return lambda: count(Alert, Alert.condition == "pump_stopped", Alert.state == state) == len(pumps)

    wait_until(lambda: count(Heartbeat, Heartbeat.name == "beat"), "the workers to work", 60)
    tell("stopped", 0)
    with redis.Redis.from_url(redis_server.admin_url) as client:
        for _ in range(5):
            client.flushall()
    wait_until(all_alerts_are("unacknowledged"), "an alert of every pump")
    tell("running", 1)
    with redis.Redis.from_url(redis_server.admin_url) as client:
        client.flushall()
    wait_until(all_alerts_are("returned_to_normal"), "every pump to run again")
    wait_until(lambda: not count(WorkItem), "all that is owed to be done")

    with engine.begin() as connection:
        events = Counter(
            tuple(row) for row in connection.execute(select(AlertEntry.alert_id, AlertEntry.event))
        )
    assert len([event for _, event in events if event != "call"]) == 2 * len(pumps)
    assert set(events.values()) == {1}, "raised, called at most, and returned to normal once"
