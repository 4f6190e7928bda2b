"""A POST sent again does nothing twice; a change of something that has changed is refused."""

import datetime as dt
import hmac
import json
import threading
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select

from sc_stim.api import users
from sc_stim.api.http import shown_once
from sc_stim.extensions import db
from sc_stim.models import AuditEntry, Clinic, IdempotencyKey, User
from tests.apps import As, Time, both_databases, read
from tests.builders import PASSWORD, create_clinic, create_user

KEY = {"Idempotency_Key": "visit-17"}


def new_user(number: int = 1) -> dict[str, str]:
    return {"email": f"kim{number}@example.org", "name": "Kim", "role": "nurse", "password": PASSWORD}


def count_users() -> int:
    [number] = read(select(func.count()).select_from(User).where(User.name == "Kim"))
    return int(number)


@both_databases
def test_the_same_key_and_body_give_the_same_answer_and_one_effect(app: Flask, api: As) -> None:
    caller = api(create_user(role="admin"))
    first = caller.post("/users", new_user(), **KEY)
    again = caller.post("/users", new_user(), **KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json == first.json
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert count_users() == 1
    assert read(select(AuditEntry.action)).count("user.create") == 1


def test_the_same_key_with_another_body_is_refused(app: Flask, api: As) -> None:
    caller = api(create_user(role="admin"))
    caller.post("/users", new_user(1), **KEY)
    answer = caller.post("/users", new_user(2), **KEY)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "Idempotency-Key"
    assert count_users() == 1


def test_keys_of_two_people_have_nothing_to_do_with_each_other(app: Flask, api: As) -> None:
    clinic = create_clinic()
    for number in (1, 2):
        answer = api(create_user(role="admin", clinic=clinic)).post("/users", new_user(number), **KEY)
        assert answer.status_code == 201
    assert count_users() == 2


def test_a_refused_request_leaves_its_key_free(app: Flask, api: As) -> None:
    caller = api(create_user(role="admin"))
    assert caller.post("/users", new_user() | {"password": "short"}, **KEY).status_code == 422
    assert caller.post("/users", new_user(), **KEY).status_code == 201


def test_a_key_is_forgotten_after_a_day(app: Flask, api: As, time: Time) -> None:
    admin = create_user(role="admin")
    api(admin).post("/users", new_user(1), **KEY)
    time.pass_by(hours=24)
    caller = api(admin, expires_at=time.at + dt.timedelta(hours=1), last_used_at=time.at)
    assert caller.post("/users", new_user(2), **KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 101, "tab\tbed", "schlüssel"])
def test_a_key_that_cannot_be_stored_is_refused(app: Flask, api: As, key: str) -> None:
    answer = api(create_user(role="admin")).post("/users", new_user(), Idempotency_Key=key)
    assert answer.status_code == 422
    assert count_users() == 0


def test_marking_a_view_as_shown_once_says_its_answer_is_secret() -> None:
    assert shown_once(lambda: None).secret is True


def test_an_answer_with_a_secret_is_neither_kept_nor_given_twice(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users.create_user, "secret", True, raising=False)
    caller = api(create_user(role="admin"))
    assert caller.post("/users", new_user(), **KEY).status_code == 201
    assert caller.post("/users", new_user(), **KEY).status_code == 409
    assert read(select(IdempotencyKey.body)) == [None]


def test_the_stored_fingerprint_of_a_body_with_a_password_is_keyed(app: Flask, api: As) -> None:
    caller = api(create_user(role="admin"))
    body = json.dumps(new_user()).encode()
    headers = {"Idempotency-Key": "visit-17"}
    caller.call("POST", "/users", data=body, content_type="application/json", headers=headers)
    [stored] = read(select(IdempotencyKey))
    message = b"POST\n/api/v1/users?\napplication/json\n" + body
    assert stored.request_sha256 == hmac.digest(app.secret_key.encode(), message, "sha256")
    assert PASSWORD not in str(stored.body)


@both_databases
def test_two_requests_with_one_key_at_once_have_one_effect(app: Flask, api: As) -> None:
    caller = api(create_user(role="admin"))
    answers = at_once(lambda: caller.post("/users", new_user(), **KEY), times=4)
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.json["id"] for answer in answers}) == 1
    assert count_users() == 1


@both_databases
def test_of_two_changes_of_one_version_at_once_one_is_stale(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    caller, path = api(admin), f"/clinics/{admin.clinic.public_id}"
    answers = at_once(lambda: caller.patch(path, {"phone": threading.current_thread().name}), times=4)
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    [won] = [answer for answer in answers if answer.status_code == 200]
    assert won.headers["ETag"] == '"2"'
    assert read(select(Clinic.phone)) == [won.json["phone"]]


@pytest.mark.parametrize("header", ['"2"', 'W/"1"', '"1', "nonsense"])
def test_a_change_with_another_version_than_the_present_one_is_412(app: Flask, api: As, header: str) -> None:
    admin = create_user(role="admin")
    path = f"/users/{create_user(clinic=admin.clinic).public_id}"
    answer = api(admin).call("PATCH", path, json={"name": "Kim"}, headers={"If-Match": header})
    assert answer.status_code == 412
    assert count_users() == 0


def test_a_change_without_a_version_is_428_and_nothing_is_changed(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    path = f"/users/{create_user(clinic=admin.clinic).public_id}"
    assert api(admin).patch(path, {"name": "Kim"}, version=None).status_code == 428
    assert count_users() == 0


def test_the_etag_read_is_the_version_to_change(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    caller, path = api(admin), f"/users/{create_user(clinic=admin.clinic).public_id}"
    etag = caller.get(path).headers["ETag"]
    first = caller.call("PATCH", path, json={"name": "Kim"}, headers={"If-Match": etag})
    assert (first.status_code, first.headers["ETag"]) == (200, '"2"')
    assert caller.call("PATCH", path, json={"name": "Lee"}, headers={"If-Match": etag}).status_code == 412


def at_once(act: Callable[[], object], *, times: int) -> list[object]:
    """Run `act` in several threads that start together; the test's own transaction is over before."""
    db.session.commit()
    gate, answers = threading.Barrier(times), []

    def run() -> None:
        gate.wait()
        answers.append(act())

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
