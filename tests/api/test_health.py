"""Ready means that every part does its work; each that does not is named with its reason."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from sc_stim.api import health
from sc_stim.extensions import db
from sc_stim.models import WorkItem
from sc_stim.workflows.health import PARTS, ready
from sc_stim.workflows.heartbeat import beat
from tests.apps import As, both_databases
from tests.builders import AT, create_alert, create_patient, create_pump, create_quarantine
from tests.servers import Redis

GOOD = {"canary_age_s": 1.0, "unacked_oldest_s": 0.0}


def everything_works(**changes: Any) -> None:
    """Heartbeats of a system in which all is well, two seconds old; `changes` replace details or ages by name."""
    at = AT - dt.timedelta(seconds=2)
    for shards in ("0-7", "8-f"):
        beat(db.session(), f"ingest:{shards}", at, GOOD | {"shards": shards})
    beat(db.session(), "worker", at)
    beat(db.session(), "beat", at)
    db.session.commit()


def late(name: str, seconds: float, **detail: Any) -> Callable[[], None]:
    return lambda: beat(db.session(), name, AT - dt.timedelta(seconds=seconds), detail)


def owe(kind: str, seconds: float) -> Callable[[], None]:
    due_at = AT - dt.timedelta(seconds=seconds)
    item = {"kind": kind, "subject_id": 1, "asked_at": due_at, "due_at": due_at, "since": due_at}
    return lambda: db.session.add(WorkItem(**item))


def tried_in_vain(kind: str, seconds: float) -> Callable[[], None]:
    asked_at, due_at = AT - dt.timedelta(seconds=seconds), AT + dt.timedelta(minutes=30)
    item = {"kind": kind, "subject_id": 1, "asked_at": asked_at, "due_at": due_at, "since": asked_at}
    return lambda: db.session.add(WorkItem(**item, attempts=7, last_error="KeyError"))


def judge() -> dict[str, Any]:
    return ready(db.session(), AT, lambda: None)


@both_databases
def test_where_all_is_well_every_part_is_named_and_well(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_ping_cache", lambda: True)
    everything_works()
    answer = api(None).get("/health/ready")
    assert answer.status_code == 200
    assert answer.json["ready"] is True
    assert tuple(answer.json["parts"]) == PARTS
    assert answer.json["parts"]["ingest"] == {"ok": True, "why": "takes messages", "age_s": 2.0}
    assert answer.json["parts"]["broker"]["age_s"] == 3.0


def test_on_an_empty_database_nothing_has_ever_worked(app: Flask) -> None:
    parts = judge()
    assert [name for name, part in parts.items() if part.ok] == ["database", "cache", "messages"]
    assert parts["worker"].why == parts["beat"].why == parts["ingest"].why == "has never worked"


@pytest.mark.parametrize(
    ("what", "part", "why"),
    [
        (late("ingest:8-f", 31, shards="8-f", **GOOD), "ingest", "nobody takes messages of shards 89abcdef"),
        (
            late("ingest:0-7", 2, shards="0-7", canary_age_s=1.0, unacked_oldest_s=61.0),
            "ingest",
            "wait for their commit",
        ),
        (
            late("ingest:0-7", 2, shards="0-7", canary_age_s=29.0, unacked_oldest_s=0.0),
            "broker",
            "does not return",
        ),
        (
            late("ingest:0-7", 2, shards="0-7", canary_age_s=None, unacked_oldest_s=0.0),
            "broker",
            "not yet returned",
        ),
        (late("worker", 61), "worker", "has stopped working"),
        (owe("refill", 301), "worker", "judgements are overdue"),
        (tried_in_vain("pain", 301), "worker", "cannot finish a judgement (pain: KeyError)"),
        (late("beat", 181), "beat", "has stopped working"),
    ],
)
def test_the_part_that_stopped_is_named_and_the_others_are_well(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch, what: Callable[[], None], part: str, why: str
) -> None:
    monkeypatch.setattr(health, "_ping_cache", lambda: True)
    everything_works()
    what()
    answer = api(None).get("/health/ready")
    assert answer.status_code == 503
    parts = answer.json["parts"]
    assert [name for name in PARTS if not parts[name]["ok"]] == [part]
    assert why in parts[part]["why"]


@pytest.mark.parametrize(
    "what",
    [
        late("worker", 60),
        late("beat", 180),
        owe("pain", 300),
        tried_in_vain("pain", 300),
        late("ingest:0-f", 86_400, shards="0-f"),
    ],
)
def test_at_the_limit_and_with_remains_of_older_processes_all_is_well(
    app: Flask, what: Callable[[], None]
) -> None:
    everything_works()
    what()
    assert all(part.ok for part in judge().values())


def test_work_that_is_not_yet_due_is_not_owed(app: Flask) -> None:
    everything_works()
    owe("refill", -3600)()
    assert judge()["worker"].ok


@pytest.mark.parametrize(
    "error", [redis.ConnectionError("refused"), redis.AuthenticationError("no"), OSError("no")]
)
def test_a_cache_that_fails_in_any_way_does_not_answer(app: Flask, error: Exception) -> None:
    def ping() -> None:
        raise error

    everything_works()
    parts = ready(db.session(), AT, ping)
    assert [name for name, part in parts.items() if not part.ok] == ["cache"]


def test_while_the_database_is_away_only_the_cache_is_known(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr(health, "_ping_cache", lambda: True)
    monkeypatch.setattr(Session, "scalars", fail)
    caller = api(None)
    answer = caller.get("/health/ready")
    assert answer.status_code == 503
    assert [name for name, part in answer.json["parts"].items() if part["ok"]] == ["cache"]
    assert "refused" not in answer.text
    metrics = caller.get("/metrics")
    assert metrics.status_code == 200
    assert 'sc_stim_part_ok{part="database"} 0.0' in metrics.text


def test_the_cache_is_asked_at_its_address(
    app: Flask, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        with pytest.raises(redis.ConnectionError):
            health._ping_cache()
        settings = app.config["SETTINGS"]
        monkeypatch.setitem(
            app.config, "SETTINGS", type(settings)(**vars(settings) | {"redis_url": redis_server.url})
        )
        assert health._ping_cache() is True


def test_metrics_count_and_name_nobody(app: Flask, api: As) -> None:
    patient = create_patient(given_name="Zaphod", family_name="Beeblebrox")
    create_alert(patient=patient, device=create_pump(patient=patient), severity="high")
    create_alert(patient=patient, open_key=None, state="closed")
    create_quarantine(clinic=patient.clinic)
    everything_works()
    answer = api(None).get("/metrics")
    for line in (
        'sc_stim_devices{kind="pump"} 1.0',
        'sc_stim_open_alerts{severity="high"} 1.0',
        'sc_stim_quarantined_messages{reason="not_json"} 1.0',
        'sc_stim_part_ok{part="beat"} 1.0',
        'sc_stim_part_ok{part="cache"} 0.0',
    ):
        assert line in answer.text
    assert 'severity="medium"' not in answer.text
    assert "Beeblebrox" not in answer.text


def test_live_asks_nothing_of_anybody(app: Flask, api: As, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = api(None)
    with monkeypatch.context() as patched:
        patched.setattr(Session, "execute", None)
        assert caller.get("/health/live").status_code == 200
