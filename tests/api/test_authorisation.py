"""Who may do what, walked over every route there is: API and pages, every role, own, foreign and missing ids."""

import contextvars
import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from sc_stim import guard
from sc_stim.access import ACTIONS, PUBLIC, ROLES, SIGNED_IN, allowed, requires
from sc_stim.api.openapi import example
from sc_stim.extensions import db
from sc_stim.models import Assessment, Clinic, SavedView, Treatment, User
from tests.apps import both_databases, openapi
from tests.builders import (
    AT,
    create_alert,
    create_appointment,
    create_calendar_feed,
    create_care_task,
    create_clinic,
    create_contact,
    create_fill,
    create_ladder,
    create_long_work,
    create_outreach,
    create_pain_score,
    create_patient,
    create_pump,
    create_quarantine,
    create_recall,
    create_resource,
    create_review,
    create_shift,
    create_stimulator,
    create_token,
    create_user,
)

SENT_ANYWAY = {"Date", "Set-Cookie", "Content-Length"}
CSRF_TOKEN = re.compile(r'(?<=name="csrf_token" value=")[^"]*')
ID = re.compile(r"/([a-z-]+)/<uuid:(\w+)>")
FIGURE = "silence.intervals"


@dataclass(frozen=True)
class Cell:
    """One method of one route, and the action it declares."""

    rule: Rule
    method: str
    action: str

    def path(self, ids: dict[str, uuid.UUID]) -> str:
        """The address with an id for each; `ids` is keyed by the segment before it (patients, fills, ...)."""
        path = ID.sub(lambda match: f"/{match[1]}/{ids[match[1]]}", self.rule.rule)
        return path.replace("<key>", FIGURE)

    @property
    def kinds(self) -> list[str]:
        return [match[1] for match in ID.finditer(self.rule.rule)]

    @property
    def is_api(self) -> bool:
        return self.rule.rule.startswith("/api/v1/")

    def __str__(self) -> str:
        return f"{self.method} {self.rule.rule}"


def cells(app: Flask) -> Iterator[Cell]:
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            yield Cell(rule, method, guard.declared_action(app, rule.endpoint, method))


class Visitor:
    """A person with a token for the API and a session for the pages."""

    def __init__(self, app: Flask, user: User | None) -> None:
        self.app = app
        self.user_id = user.get_id() if user else None
        self.token = create_token(user=user) if user else None

    def visit(self, cell: Cell, ids: dict[str, uuid.UUID], **more: Any) -> TestResponse:
        """One request in a context of its own. To the API it sends the documented example, with what is in `more`."""
        options = {"headers": {"If-Match": '"1"'} if cell.method in ("PATCH", "PUT") else {}} | more
        if self.token:
            options["headers"]["Authorization"] = f"Bearer {self.token}"
        if cell.is_api and cell.method != "GET":
            options["json"] = body_of(self.app, cell) | more.get("json", {})
        db.session.commit()
        return contextvars.Context().run(self._client().open, cell.path(ids), method=cell.method, **options)

    def _client(self) -> FlaskClient:
        client = self.app.test_client()
        if self.user_id:
            with client.session_transaction() as session:
                session["_user_id"] = self.user_id
                session["begun_at"] = AT.timestamp()
        return client


def documented(app: Flask, cell: Cell) -> dict[str, Any]:
    template = re.sub(r"<(?:uuid:)?(\w+)>", r"{\1}", cell.rule.rule)
    operation: dict[str, Any] = openapi(app)["paths"].get(template, {}).get(cell.method.lower(), {})
    return operation


def body_of(app: Flask, cell: Cell) -> dict[str, Any]:
    """The example of the documentation."""
    content = documented(app, cell).get("requestBody", {}).get("content", {}).get("application/json")
    body: dict[str, Any] = example(content["schema"], openapi(app)["components"]) if content else {}
    return body


def clinic_with_everything() -> tuple[Clinic, dict[str, uuid.UUID]]:
    """A clinic and the id of one thing of each kind an address can name."""
    clinic = create_clinic()
    patient = create_patient(clinic=clinic)
    pump = create_pump(patient=patient)
    common = {"clinic_id": clinic.id, "patient_id": patient.id, "created_at": AT}
    treatment = Treatment(**common, kind="medication", started_on=AT.date())
    assessment = Assessment(**common, kind="mri", performed_on=AT.date(), finding="stenosis")
    nurse = create_user(clinic=clinic, role="nurse")
    view = SavedView(clinic_id=clinic.id, user_id=nurse.id, name="Mine", query={}, created_at=AT)
    db.session.add_all([treatment, assessment, view])
    resource = create_resource(clinic=clinic)
    db.session.commit()
    contact = create_contact(clinic=clinic)
    create_ladder(clinic=clinic)
    recall = create_recall(clinic=clinic)
    rows = {
        "recalls": recall,
        "outreach": create_outreach(recall=recall, device=pump),
        "reviews": create_review(patient=patient),
        "clinics": clinic,
        "contacts": contact,
        "shifts": create_shift(contact=contact),
        "users": nurse,
        "resources": resource,
        "appointments": create_appointment(pump=create_pump(patient=patient), resource=resource),
        "calendar-feeds": create_calendar_feed(by=nurse, token=str(clinic.public_id)),
        "feeds": create_calendar_feed(by=nurse, token=f"{clinic.public_id} page"),
        "patients": patient,
        "treatments": treatment,
        "assessments": assessment,
        "pumps": pump,
        "fills": create_fill(pump=pump),
        "devices": create_stimulator(patient=patient),
        "pain-scores": create_pain_score(patient=patient),
        "alerts": create_alert(patient=patient, device=pump),
        "tasks": create_care_task(device=pump),
        "views": view,
        "work": create_long_work(
            by=nurse, kind="recall_file", state="done", expires_at=AT + dt.timedelta(days=7)
        ),
        "quarantine": create_quarantine(clinic=clinic),
    }
    return clinic, {kind: row.public_id for kind, row in rows.items()}


def seen(answer: TestResponse) -> tuple[Any, ...]:
    """All that a caller learns from an answer."""
    headers = {name: value for name, value in answer.headers if name not in SENT_ANYWAY}
    return answer.status_code, headers, CSRF_TOKEN.sub("", answer.text)


@pytest.fixture
def no_csrf(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The matrix asks who may, not whether a form is ours: `tests/web` asks that."""
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", False)


@pytest.mark.usefixtures("no_csrf")
def test_without_signing_in_only_what_is_public_answers(app: Flask) -> None:
    _, ids = clinic_with_everything()
    visitor = Visitor(app, None)
    for cell in cells(app):
        if cell.action == PUBLIC:
            continue
        answer = visitor.visit(cell, ids)
        refused = answer.status_code == (401 if cell.is_api else 302)
        assert refused, f"{cell} answers {answer.status_code}"
        assert cell.is_api or "/sign-in" in answer.headers["Location"]


@pytest.mark.usefixtures("no_csrf")
@pytest.mark.parametrize("role", ROLES)
def test_a_role_gets_through_exactly_where_the_table_allows_it(app: Flask, role: str) -> None:
    clinic, own = clinic_with_everything()
    _, foreign = clinic_with_everything()
    missing = dict.fromkeys(own, uuid.UUID(int=17))
    wrong = []
    for cell in cells(app):
        if cell.action == PUBLIC:
            continue
        visitor = Visitor(app, create_user(clinic=clinic, role=role))
        for ids in [own, foreign, missing] if cell.kinds else [own]:
            answer = visitor.visit(cell, ids)
            if (answer.status_code != 403) != allowed(role, cell.action) or answer.status_code in (401, 500):
                wrong.append(f"{cell}: {answer.status_code}")
    assert wrong == []


# What this walk cannot find though it is the clinic's: gone by a cell before it, or another person's.
NOT_THERE = {
    "POST /escalation/shifts/<uuid:public_id>/remove",
    "POST /fills/<uuid:public_id>/call-off",
    "POST /worklist/views/<uuid:public_id>/first",
    "POST /worklist/views/<uuid:public_id>/query",
    "POST /worklist/views/<uuid:public_id>/delete",
}


@pytest.mark.usefixtures("no_csrf")
@both_databases
def test_another_clinics_id_answers_exactly_like_one_that_never_was(app: Flask) -> None:
    clinic, own = clinic_with_everything()
    _, foreign = clinic_with_everything()
    wrong = []
    for cell in cells(app):
        if not cell.kinds:
            continue
        role = next(role for role in ROLES if allowed(role, cell.action))
        for kind in cell.kinds:  # one of the ids in the address is not ours, the others are
            visitor = Visitor(app, create_user(clinic=clinic, role=role))
            theirs = visitor.visit(cell, own | {kind: foreign[kind]})
            nobodys = visitor.visit(cell, own | {kind: uuid.UUID(int=17)})
            if theirs.status_code != 404 or seen(theirs) != seen(nobodys):
                wrong.append(
                    f"{cell} with another clinic's {kind}: {theirs.status_code}, {nobodys.status_code}"
                )
        visitor = Visitor(app, create_user(clinic=clinic, role=role))
        if visitor.visit(cell, own).status_code == 404 and str(cell) not in NOT_THERE:
            wrong.append(f"{cell}: 404 for one's own")
    assert wrong == []


@both_databases
def test_another_clinics_id_in_a_query_or_body_answers_like_one_that_never_was(app: Flask) -> None:
    clinic, own = clinic_with_everything()
    _, foreign = clinic_with_everything()
    wrong, tried = [], set()
    for cell in cells(app):
        for place, name in referring_fields(app, cell):
            tried.add((cell.method, place, name))
            role = next(role for role in ROLES if allowed(role, cell.action))
            visitor = Visitor(app, create_user(clinic=clinic, role=role))
            kind = next(kind for part, kind in REFERRED.items() if part in f"{cell.rule.rule} {name}")
            theirs = visitor.visit(cell, own, **{place: {name: str(foreign[kind])}})
            nobodys = visitor.visit(cell, own, **{place: {name: str(uuid.UUID(int=17))}})
            if seen(theirs) != seen(nobodys) or (place == "json" and theirs.status_code < 400):
                wrong.append(
                    f"{cell} with another clinic's {name}: {theirs.status_code}, {nobodys.status_code}"
                )
    assert wrong == []
    assert {
        ("GET", "query_string", "device_id"),
        ("POST", "json", "patient"),
        ("POST", "json", "replaces"),
    } <= tried


# What a field refers to, by its name or by where it is sent.
REFERRED = {
    " resource_id": "resources",
    " user_id": "users",
    " contact_id": "contacts",
    " patient": "patients",
    " device_id": "devices",
    "/fills": "fills",
    "/reviews": "reviews",
    "/pain-scores": "pain-scores",
}


def referring_fields(app: Flask, cell: Cell) -> Iterator[tuple[str, str]]:
    """(where, name) of the ids of other rows that an operation takes besides those in its address."""
    operation = documented(app, cell)
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query" and parameter["schema"].get("format") == "uuid":
            yield "query_string", parameter["name"]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    schemas = openapi(app)["components"]["schemas"]
    schema = schemas[content["schema"]["$ref"].rpartition("/")[2]] if content else {}
    for name, value in schema.get("properties", {}).items():
        if value.get("format") == "uuid":
            yield "json", name


def test_every_action_of_the_table_is_declared_by_a_route_and_the_other_way_round(app: Flask) -> None:
    declared = {cell.action for cell in cells(app)} - {PUBLIC, SIGNED_IN}
    assert declared == set(ACTIONS)


def test_what_anybody_may_see_is_listed_here(app: Flask) -> None:
    assert {str(cell) for cell in cells(app) if cell.action == PUBLIC} == {
        "POST /api/v1/auth/token",
        "GET /api/v1/openapi.json",
        "GET /api/docs",
        "GET /api/docs/static/<path:filename>",
        "GET /calendar/<token>.ics",
        "GET /emergency/<token>",
        "GET /health/live",
        "GET /health/ready",
        "GET /metrics",
        "GET /sign-in",
        "POST /sign-in",
        "GET /static/<name>",
    }


@pytest.mark.parametrize("view", [lambda: "seen by everybody"])
def test_the_app_does_not_start_with_a_route_that_declares_no_action(view: Callable[[], str]) -> None:
    app = Flask("undeclared")
    app.add_url_rule("/declared", view_func=requires(SIGNED_IN)(lambda: ""), endpoint="declared")
    guard.install(app)
    app.add_url_rule("/forgotten", view_func=view, endpoint="forgotten")
    with pytest.raises(guard.UndeclaredEndpoint, match="GET /forgotten"):
        guard.install(app)


def test_a_route_that_slipped_in_later_without_an_action_lets_nobody_in(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "declared_action", lambda *_: None)
    cell = next(cell for cell in cells(app) if str(cell) == "GET /api/v1/me")
    assert Visitor(app, create_user()).visit(cell, {}).status_code == 403
    assert Visitor(app, None).visit(cell, {}).status_code == 401


def test_an_action_that_is_not_in_the_table_cannot_be_declared() -> None:
    with pytest.raises(KeyError, match="rob"):
        requires("patients.rob")


def test_a_method_that_checks_a_version_must_have_checked_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = create_user(role="admin")
    monkeypatch.setattr(
        "sc_stim.api.users.find_to_edit", lambda model, public_id: db.session.get_one(User, admin.id)
    )
    token = create_token(user=admin)
    with pytest.raises(RuntimeError, match="without find_to_edit"):
        app.test_client().patch(
            f"/api/v1/users/{admin.public_id}", json={}, headers={"Authorization": f"Bearer {token}"}
        )
