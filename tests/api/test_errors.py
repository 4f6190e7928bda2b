"""One shape for every error below /api; nothing internal in it."""

import json

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from sc_stim import failures
from sc_stim.api import auth
from sc_stim.extensions import db
from tests.apps import As, Caller, both_databases
from tests.builders import create_user

PROBLEM = {"type", "title", "status", "detail"}


def assert_problem(answer: object, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    document = json.loads(answer.text)
    assert document.keys() - {"errors"} == PROBLEM
    assert (document["type"], document["status"]) == ("about:blank", status)
    assert all(error.keys() == {"field", "message"} for error in document.get("errors", []))
    return document


def sign_in_with(api: As, body: str | bytes, content_type: str = "application/json") -> object:
    return api(None).call("POST", "/auth/token", data=body, content_type=content_type)


def test_every_wrong_field_is_named(app: Flask, api: As) -> None:
    new = {"name": " ", "role": "surgeon", "password": 7, "shoe_size": 43}
    document = assert_problem(api(create_user(role="admin")).post("/users", new), 422)
    assert {error["field"] for error in document["errors"]} == {
        "email",
        "name",
        "role",
        "password",
        "shoe_size",
    }


def test_a_field_within_a_list_is_named_by_its_path(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    closures = [{"day": "2026-12-24", "reason": "Christmas Eve"}, {"day": "24.12.2026", "reason": "again"}]
    answer = api(admin).patch(f"/clinics/{admin.clinic.public_id}", {"closures": closures})
    document = assert_problem(answer, 422)
    assert [error["field"] for error in document["errors"]] == ["closures.1.day"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff\xfe{}", 400),
        (b'{"email": NaN}', 400),
        (b'{"email": 1' + b"0" * 5000 + b"}", 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b"", 422),
        (b'{"email": 1e999, "password": "x"}', 422),
        (b'{"email": "a\\u0000b@c", "password": "x"}', 422),
        (b'{"email": "a\\ud800b@c", "password": "x"}', 422),
        (b'{"email": "a@b.c", "password": "x", "\\u0000": 1}', 422),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_body_that_cannot_be_used_is_refused_by_name(app: Flask, api: As, body: bytes, status: int) -> None:
    assert_problem(sign_in_with(api, body), status)


def test_a_body_that_is_not_json_is_415(app: Flask, api: As) -> None:
    assert_problem(sign_in_with(api, b"email=a@b.c", "application/x-www-form-urlencoded"), 415)


def test_a_body_beyond_a_mebibyte_is_413(app: Flask, api: As) -> None:
    assert_problem(sign_in_with(api, b'{"email": "' + b"x" * 1024 * 1024 + b'"}'), 413)


def test_unknown_and_unstorable_query_fields_are_refused(app: Flask, api: As) -> None:
    caller = api(create_user(role="admin"))
    assert assert_problem(caller.get("/users", rolle="nurse"), 422)["errors"][0]["field"] == "rolle"
    assert assert_problem(caller.get("/users", cursor="\0"), 422)["errors"][0]["field"] == "cursor"


def test_an_unknown_path_and_a_wrong_method_are_problems_too(app: Flask, api: As) -> None:
    assert_problem(api(None).get("/nothing-here"), 404)
    answer = api(None).call("DELETE", "/users")
    assert_problem(answer, 405)
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


def test_an_id_that_is_no_uuid_answers_like_one_that_is_missing(app: Flask, api: As) -> None:
    assert_problem(api(create_user(role="admin")).get("/users/17"), 404)


def test_a_mistake_of_ours_is_500_and_says_nothing_internal(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "testing", False)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the secret is 4711")

    monkeypatch.setattr(auth.accounts, "sign_in", fail)
    answer = Caller(app, None).call(
        "POST", "/auth/token", json={"email": "a@b.c", "password": "x"}, check=False
    )
    document = assert_problem(answer, 500)
    assert "4711" not in answer.text
    assert document["title"] == "Internal Server Error"


def test_while_the_database_is_away_the_answer_is_503_with_a_time_to_wait(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("connection refused"))

    caller = api(create_user())
    monkeypatch.setattr("sc_stim.guard._user_of_token", fail)
    answer = caller.get("/me")
    document = assert_problem(answer, 503)
    assert "secret" not in str(document)
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("app", ["postgresql"], indirect=True)
def test_a_locked_table_is_503_and_not_a_request_that_hangs(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "LOCK_PATIENCE_MS", 20)
    caller = api(create_user(role="admin"))
    with db.engine.connect() as other:
        other.execute(text("LOCK TABLE user_account"))
        assert_problem(caller.get("/users"), 503)
    assert caller.get("/users").status_code == 200


@both_databases
def test_only_a_doubled_row_is_a_conflict_other_broken_constraints_are_ours(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "testing", False)
    user = create_user(role="admin")
    statement = ""

    def break_constraint(*_: object, **__: object) -> None:
        db.session.execute(text(statement))

    monkeypatch.setattr("sc_stim.api.users.page", break_constraint)
    caller = api(user)
    columns = (
        "name, public_id, time_zone, country, pharmacy_lead_days, refill_margin_days, version, created_at"
    )
    statement = f"INSERT INTO clinic ({columns}) SELECT {columns} FROM clinic"
    assert_problem(caller.call("GET", "/users", check=False), 409)
    statement = "INSERT INTO clinic_closure (clinic_id, day, reason) VALUES (999999, '2026-01-01', 'x')"
    assert_problem(caller.call("GET", "/users", check=False), 500)


def test_every_answer_carries_the_headers_that_protect_a_browser(app: Flask, api: As) -> None:
    for path in ("/me", "/nothing", "/api/docs", "/health/live"):
        headers = api(None).call("GET", path, check=False).headers
        assert "'unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
