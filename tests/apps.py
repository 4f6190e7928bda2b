"""The application as a fixture, on SQLite or PostgreSQL, and callers of its API.

A folder's conftest imports what it needs from here. `app` is on SQLite; a test or module marked `both_databases` runs
on each. Time stands at `builders.AT` until a test moves it. Every answer of the API is checked against the OpenAPI
document.
"""

import contextvars
import datetime as dt
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, has_app_context
from jsonschema import Draft202012Validator
from sqlalchemy import Select
from werkzeug.test import TestResponse

from sc_stim import clock
from sc_stim.app import create_app
from sc_stim.extensions import db
from sc_stim.models import User
from sc_stim.workflows import accounts
from tests import builders
from tests.servers import Postgres

both_databases = pytest.mark.parametrize("app", ["sqlite", "postgresql"], indirect=True)

_addresses = itertools.count(1)  # the sign-in throttle counts per address: each test has its own


class Time:
    """The clock of the application: it stands still until it is moved."""

    def __init__(self) -> None:
        self.at = builders.AT

    def now(self) -> dt.datetime:
        return self.at

    def pass_by(self, **duration: float) -> None:
        self.at += dt.timedelta(**duration)


class Caller:
    """One user (or nobody) calling the API: `caller.get("/patients", limit=2)`, `caller.post("/patients", {...})`."""

    def __init__(self, app: Flask, token: str | None, address: str = "192.0.2.1") -> None:
        self.app = app
        self.token = token
        self.address = address

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> TestResponse:
        return self.call("GET", path, headers=headers, query_string=query or None)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.call("POST", path, json=body, headers=headers)

    def put(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.call("PUT", path, json=body, headers=headers)

    def patch(self, path: str, body: Any, *, version: int | None = 1) -> TestResponse:
        """With If-Match for this version, or without it for None."""
        return self.call(
            "PATCH", path, json=body, headers={} if version is None else {"If-Match": f'"{version}"'}
        )

    def delete(self, path: str) -> TestResponse:
        return self.call("DELETE", path)

    def call(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        check: bool = True,
        **options: Any,
    ) -> TestResponse:
        """One request, in a context of its own as on a server. Header names may have `_` for `-`.

        `check=False` where the answer is a mistake of ours, which the OpenAPI document does not know.
        """
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if not path.startswith(("/api", "/calendar/", "/health", "/metrics")):
            path = "/api/v1" + path
        options = {name: value for name, value in options.items() if value is not None}
        if has_app_context():
            db.session.commit()  # SQLite has one writer: the test must not be it
        context = contextvars.Context()
        options["environ_base"] = {"REMOTE_ADDR": self.address}
        client = self.app.test_client()
        response = context.run(client.open, path, method=method, headers=sent, buffered=True, **options)
        if has_app_context():
            db.session.expire_all()
        if check:
            check_documented(self.app, path, method, response)
        return response


def check_documented(app: Flask, path: str, method: str, response: TestResponse) -> None:
    """Fail unless the OpenAPI document has this status, content type and body for the operation."""
    with app.test_request_context(path, method=method) as context:
        rule = context.request.url_rule
    document = openapi(app)
    template = "" if rule is None else "/".join(_segment(part) for part in rule.rule.split("/"))
    operation = document["paths"].get(template, {}).get(method.lower())
    if operation is None:
        assert response.status_code in (404, 405), f"{method} {path} is not documented"
        return
    documented = operation["responses"].get(str(response.status_code))
    assert documented, (
        f"{method} {template} answers {response.status_code}, which is not documented: {response.text}"
    )
    if "$ref" in documented:
        documented = document["components"]["responses"][documented["$ref"].rpartition("/")[2]]
    content = documented.get("content", {})
    if not content:
        assert response.data == b"", f"{method} {template} {response.status_code} documents no body"
        return
    assert response.mimetype in content, f"{response.mimetype} is not documented for {method} {template}"
    if response.is_json:
        schema = {**content[response.mimetype]["schema"], "components": document["components"]}
        Draft202012Validator(schema).validate(response.json)


def openapi(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of the app."""
    if "tests openapi" not in app.extensions:
        document = app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict()
        app.extensions["tests openapi"] = document
    found: dict[str, Any] = app.extensions["tests openapi"]
    return found


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    standing = Time()
    monkeypatch.setattr(clock, "now", standing.now)
    return standing


@pytest.fixture(scope="session")
def apps(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Flask]]:
    """One app per database for the whole session; each has its tables made once."""
    made: dict[str, Flask] = {}

    def app_on(database: str) -> Flask:
        if database not in made:
            made[database] = create_app(builders.settings(_database_url(database, request, tmp_path_factory)))
            made[database].testing = True
            with made[database].app_context():
                db.create_all()
        return made[database]

    yield app_on
    for app in made.values():
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(
    request: pytest.FixtureRequest, apps: Callable[[str], Flask], time: Time, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Flask]:
    """The app with empty tables, in an application context."""
    monkeypatch.setattr(accounts, "argon2id", builders.QUICK_HASHER)
    app = apps(getattr(request, "param", "sqlite"))
    with app.app_context():
        yield app
        db.session.rollback()
        for table in reversed(db.metadata.sorted_tables):
            db.session.execute(table.delete())
        db.session.commit()


As = Callable[..., Caller]


@pytest.fixture
def api(app: Flask) -> As:
    """`api(user)` calls the API as this user, `api(None)` as nobody, `api(None, token=...)` with a given token."""
    address = f"2001:db8::{next(_addresses):x}"

    def caller(user: User | None, token: str | None = None, **token_values: Any) -> Caller:
        made = builders.create_token(user=user, **token_values) if user else token
        return Caller(app, made, address)

    return caller


def read(statement: Select[Any]) -> list[Any]:
    """What the database holds now: rows of one entity or column."""
    db.session.expire_all()
    found = list(db.session.scalars(statement))
    db.session.commit()
    return found


def _database_url(database: str, request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> str:
    if database == "sqlite":
        path: Path = folders.mktemp("app") / "sc_stim.db"
        return f"sqlite:///{path}"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.create_database()


def _segment(part: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", part)
