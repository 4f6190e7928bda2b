"""The alarm of the alarm clock: who is told, once, that a part has stopped, and that it works again."""

import datetime as dt
from collections.abc import Callable

import pytest
from flask import Flask
from redis.exceptions import ConnectionError as NoCache
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from sc_stim import clock, watchman
from sc_stim.extensions import db
from sc_stim.models import Outage
from sc_stim.tasks.delivery import deliver
from sc_stim.tasks.watch import watch
from sc_stim.watchman import Watchman
from sc_stim.workflows import messaging
from sc_stim.workflows.health import Part, ready
from sc_stim.workflows.heartbeat import beat
from sc_stim.workflows.transport import NotDelivered
from tests.apps import Time, both_databases, read
from tests.builders import AT, create_alert, create_contact, create_patient


class Postbox:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def __call__(self, channel: str, address: str, title: str, body: str) -> None:
        if channel == "sms":
            raise NotDelivered("not_configured", final=True)
        self.sent.append((channel, title))


def alive(*without: str) -> None:
    """Every part but these has just done its work."""
    at = clock.now()
    detail = {"shards": "0-f", "unacked_oldest_s": 0.0, "canary_age_s": 1.0}
    for name in {"worker", "beat", "ingest:0-f", "web"} - set(without):
        beat(db.session(), name, at, detail if name.startswith("ingest") else {})
    db.session.commit()


def look(postbox: Postbox, ping: Callable[[], object] = lambda: True) -> None:
    watch(db.session(), postbox, clock.now(), ping)


@both_databases
@pytest.mark.parametrize("stopped", ["worker", "beat", "ingest:0-f", "web"])
def test_a_part_that_has_stopped_is_told_once_to_everybody_and_so_is_its_return(
    app: Flask,
    time: Time,
    stopped: str,
) -> None:
    name, postbox = stopped.split(":")[0], Postbox()
    create_contact(system=True)
    create_contact(system=True, channel="sms")
    create_contact()
    alive()
    look(postbox)
    for _ in range(20):
        time.pass_by(seconds=15)
        alive(stopped)
        look(postbox)
        look(postbox)  # the worker, web and ingest all look
    assert postbox.sent.count(("operator", f"sc_stim: {name} stopped")) == 1
    assert postbox.sent.count(("email", f"sc_stim: {name} stopped")) == 1
    before = len(postbox.sent)
    alive()
    look(postbox)
    look(postbox)
    told = set(postbox.sent[before:])
    assert {("operator", f"sc_stim: {name} recovered"), ("email", f"sc_stim: {name} recovered")} <= told
    assert len(postbox.sent) - before == len(told)
    assert read(select(Outage).where(Outage.open_part.is_not(None))) == []


def test_a_part_that_is_only_started_again_is_no_outage(app: Flask, time: Time) -> None:
    postbox = Postbox()
    alive()
    look(postbox)

    def no_cache() -> object:
        raise NoCache

    look(postbox, no_cache)
    time.pass_by(seconds=45)
    alive()
    look(postbox)
    assert postbox.sent == []
    assert [outage.part for outage in read(select(Outage))] == ["cache"]


def test_messages_that_nobody_sends_are_an_outage_of_their_own(app: Flask, time: Time) -> None:

    alive()
    messaging.owe(
        db.session(),
        clinic_id=None,
        effect_key="k",
        channel="email",
        address="a",
        title="t",
        body="b",
        at=clock.now(),
    )
    time.pass_by(seconds=121)
    part = ready(db.session(), clock.now(), lambda: True)["messages"]
    assert (part.ok, part.why) == (False, "messages wait to be sent")


@pytest.mark.parametrize("final", [False, True])
def test_an_alert_whose_messages_nobody_takes_is_an_outage_until_somebody_has_it(
    app: Flask, time: Time, final: bool
) -> None:
    alert = create_alert(patient=create_patient(), called_at=AT)
    for channel in ("email", "sms"):
        messaging.owe(
            db.session(), clinic_id=alert.clinic_id, effect_key=channel, channel=channel, address="a", title="t",
            body="b", at=AT, alert_id=alert.id,
        )  # fmt: skip

    def refuse(*_: str) -> None:
        raise NotDelivered("transport_refused", final=final)

    deliver(db.session(), refuse, until=AT + dt.timedelta(minutes=1))
    assert messages_part().ok, "it may be taken the second time"
    alive()
    time.pass_by(seconds=121)
    deliver(db.session(), refuse, until=clock.now() + dt.timedelta(minutes=1))
    assert messages_part().why == "alerts reach nobody: their messages are not taken"
    alert.state = "acknowledged"
    db.session.commit()
    assert messages_part().ok


def messages_part() -> Part:
    return ready(db.session(), clock.now(), lambda: True)["messages"]


def test_while_the_database_is_away_a_watchman_tells_by_itself_and_once(
    app: Flask,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postbox = Postbox()
    monkeypatch.setitem(app.extensions, "transport", postbox)
    monkeypatch.setattr(watchman, "ping_cache", lambda url: True)
    create_contact(system=True)
    alive()
    guard = Watchman(app, "ingest")
    guard.look()

    def away(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    with monkeypatch.context() as broken:
        broken.setattr(watchman, "watch", away)
        for _ in range(8):
            time.pass_by(seconds=15)
            guard.look()
    stopped = "sc_stim: database stopped"
    assert postbox.sent == [("operator", stopped), ("email", stopped)]
    alive()
    guard.look()
    assert postbox.sent[2:] == [
        ("operator", "sc_stim: database recovered"),
        ("email", "sc_stim: database recovered"),
    ]


def test_the_watchman_of_the_web_process_says_that_web_works(app: Flask, time: Time) -> None:
    guard = Watchman(app, "web")
    guard.look()
    time.pass_by(seconds=61)
    parts = watch(db.session(), Postbox(), clock.now(), lambda: True)
    assert (parts["web"].ok, parts["web"].age_s) == (False, pytest.approx(61))
    guard.look()
    assert watch(db.session(), Postbox(), clock.now(), lambda: True)["web"].ok
    assert dt.timedelta(seconds=watchman.EVERY_S) < dt.timedelta(seconds=60)
