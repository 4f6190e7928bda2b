"""Messages on their way out: once each, again after failures, and honest about what became of them."""

import datetime as dt
import threading

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.models import Message, MessageAttempt
from sc_stim.tasks.delivery import CLAIM, deliver
from sc_stim.workflows import messaging
from sc_stim.workflows.transport import NotDelivered
from tests import builders
from tests.apps import Time, both_databases, read
from tests.builders import AT

MINUTE = dt.timedelta(minutes=1)


class Postman:
    """Keeps what it is given; fails as often as it is told to."""

    def __init__(self, failures: int = 0, problem: str = "transport_refused", final: bool = False) -> None:
        self.sent: list[tuple[str, str]] = []
        self.failures, self.problem, self.final = failures, problem, final

    def __call__(self, channel: str, address: str, title: str, body: str) -> None:
        if self.failures:
            self.failures -= 1
            raise NotDelivered(self.problem, final=self.final)
        self.sent.append((address, title))


def owe(key: str = "key", **values: object) -> bool:
    clinic = values.pop("clinic", None) or builders.create_clinic()
    new = messaging.owe(
        db.session(), clinic_id=clinic.id, effect_key=key, channel="email", at=AT,
        **{"address": "a@example.org", "title": key, "body": "b"} | values,
    )  # fmt: skip
    db.session.commit()
    return new


def go(postman: Postman) -> int:

    return deliver(db.session(), postman, until=clock.now() + MINUTE)


def states() -> list[tuple[str, int, str | None]]:
    return [(row.state, row.attempts, row.problem) for row in read(select(Message).order_by(Message.id))]


pytestmark = both_databases


def test_the_same_effect_is_owed_once(app: Flask) -> None:
    assert owe("a") is True
    assert owe("a", title="again") is False
    assert [row.title for row in read(select(Message))] == ["a"]


def test_what_is_due_is_sent_once_and_what_is_not_waits(app: Flask, time: Time) -> None:
    postman = Postman()
    owe("now")
    owe("later", due_at=AT + 5 * MINUTE)
    assert (go(postman), go(postman)) == (1, 0)
    assert postman.sent == [("a@example.org", "now")]
    time.at = AT + 5 * MINUTE
    assert go(postman) == 1
    assert states() == [("sent", 1, None), ("sent", 1, None)]


def test_a_failure_is_tried_again_later_and_later_and_every_attempt_is_kept(app: Flask, time: Time) -> None:
    postman = Postman(failures=2)
    owe()
    assert go(postman) == 0
    assert states() == [("waiting", 1, "transport_refused")]
    time.at = AT + dt.timedelta(seconds=15)
    go(postman)
    assert go(postman) == 0
    time.at = AT + dt.timedelta(seconds=45)
    assert go(postman) == 1
    outcomes = [
        (row.outcome, row.problem) for row in read(select(MessageAttempt).order_by(MessageAttempt.id))
    ]
    assert outcomes == [("failed", "transport_refused")] * 2 + [("delivered", None)]


def test_after_its_time_a_message_is_given_up_and_never_sent(app: Flask, time: Time) -> None:
    postman = Postman()
    owe(expires_at=AT + MINUTE)
    time.at = AT + MINUTE
    assert go(postman) == 0
    assert states() == [("failed", 1, "expired")]


def test_a_channel_that_is_not_configured_is_said_at_once(app: Flask) -> None:
    owe()
    go(Postman(failures=1, problem="not_configured", final=True))
    assert states() == [("failed", 1, "not_configured")]


def test_a_cancelled_message_is_not_sent(app: Flask) -> None:
    postman = Postman()
    owe("alert:1:a")
    owe("alert:1:b")
    owe("alert:11:a")
    assert messaging.cancel(db.session(), at=AT, prefix="alert:1:") == 2
    assert go(postman) == 1
    assert [state for state, _, _ in states()] == ["cancelled", "cancelled", "sent"]


def test_a_worker_that_died_with_a_message_leaves_it_to_another_once_its_claim_ran_out(
    app: Flask, time: Time
) -> None:
    class Dead(Exception):
        pass

    def dying(channel: str, address: str, title: str, body: str) -> None:
        raise Dead

    owe()
    with pytest.raises(Dead):
        deliver(db.session(), dying, until=AT + MINUTE)
    db.session.rollback()
    postman = Postman()
    assert go(postman) == 0
    time.at = AT + CLAIM + MINUTE
    assert go(postman) == 1
    assert [row.outcome for row in read(select(MessageAttempt).order_by(MessageAttempt.id))] == [
        "begun",
        "delivered",
    ]


def test_two_workers_at_once_send_each_message_once(app: Flask) -> None:
    clinic = builders.create_clinic()
    for number in range(20):
        owe(f"key {number}", clinic=clinic)
    postman = Postman()

    def work() -> None:
        with app.app_context():
            deliver(db.session(), postman, until=AT + MINUTE)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(title for _, title in postman.sent) == sorted(f"key {number}" for number in range(20))
