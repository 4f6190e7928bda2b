"""Accounts of staff, as their administrator keeps them."""

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.models import AuditEntry, User
from tests.apps import As, both_databases, read
from tests.builders import PASSWORD, create_clinic, create_user


@both_databases
def test_an_administrator_creates_an_account_and_finds_it_again(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    caller = api(admin)
    new = {"email": "Kim@Example.org", "name": "Kim Example", "role": "nurse", "password": PASSWORD}
    made = caller.post("/users", new)
    assert made.status_code == 201
    assert made.json["email"] == "kim@example.org"
    assert "password" not in made.text
    assert caller.get(made.headers["Location"]).json == made.json
    assert made.json in caller.get("/users").json["items"]
    created = read(select(AuditEntry).where(AuditEntry.action == "user.create"))
    assert [(entry.actor, entry.subject) for entry in created] == [(str(admin.public_id), made.json["id"])]


def test_an_email_address_belongs_to_one_account_whatever_its_case(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    new = {"email": admin.email.upper(), "name": "Kim", "role": "nurse", "password": PASSWORD}
    answer = api(admin).post("/users", new)
    assert answer.status_code == 409


def test_a_list_shows_the_own_clinic_only_and_filters(app: Flask, api: As) -> None:
    clinic = create_clinic()
    admin = create_user(role="admin", clinic=clinic)
    nurse = create_user(role="nurse", clinic=clinic, active=False)
    create_user(role="nurse")
    caller = api(admin)

    def names(**query: str) -> list[str]:
        return [item["name"] for item in caller.get("/users", **query).json["items"]]

    assert names() == [admin.name, nurse.name]
    assert names(role="nurse") == [nurse.name]
    assert names(active="true") == [admin.name]


def test_pages_follow_each_other_without_gap_or_doubling_while_accounts_are_added(
    app: Flask, api: As
) -> None:
    clinic = create_clinic()
    admin = create_user(role="admin", clinic=clinic)
    expected = [str(create_user(clinic=clinic, role="nurse").public_id) for _ in range(7)]
    caller, found = api(admin), []
    answer = caller.get("/users", limit="3", role="nurse")
    while True:
        found += [item["id"] for item in answer.json["items"]]
        assert len(answer.json["items"]) <= 3
        if "Link" not in answer.headers:
            break
        address, _, relation = answer.headers["Link"].partition(">; ")
        assert relation == 'rel="next"'
        assert f"cursor={answer.json['next_cursor']}" in address
        if len(found) == 3:
            expected.append(str(create_user(clinic=clinic, role="nurse").public_id))
        answer = caller.get(address.removeprefix("<"))
    assert answer.json["next_cursor"] is None
    assert found == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "WzFd"}, "cursor"),
        ({"cursor": "WzFd.c2lnbmF0dXJl"}, "cursor"),
    ],
)
def test_a_bad_limit_or_cursor_is_refused_by_name(
    app: Flask, api: As, query: dict[str, str], field: str
) -> None:
    answer = api(create_user(role="admin")).get("/users", **query)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)


def test_a_cursor_of_one_list_is_none_of_another(app: Flask, api: As) -> None:
    clinic = create_clinic()
    admin, auditor = create_user(role="admin", clinic=clinic), create_user(role="auditor", clinic=clinic)
    cursor = api(admin).get("/users", limit="1").json["next_cursor"]
    assert cursor
    assert api(auditor).get("/audit", cursor=cursor).status_code == 422


def test_closing_an_account_ends_its_tokens_and_sessions_at_once(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    nurse = create_user(role="nurse", clinic=admin.clinic)
    signed_in, path = api(nurse), f"/users/{nurse.public_id}"
    assert signed_in.get("/me").status_code == 200
    closed = api(admin).patch(path, {"active": False})
    assert (closed.status_code, closed.json["active"]) == (200, False)
    assert signed_in.get("/me").status_code == 401
    assert read(select(User.session_epoch).where(User.id == nurse.id)) == [2]
    opened = api(admin).patch(path, {"active": True}, version=closed.json["version"])
    assert opened.status_code == 200
    assert signed_in.get("/me").status_code == 401


def test_setting_a_password_ends_the_tokens_of_its_owner(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    nurse = create_user(role="nurse", clinic=admin.clinic)
    signed_in = api(nurse)
    answer = api(admin).post(f"/users/{nurse.public_id}/password", {"password": "seven quiet lanterns"})
    assert answer.status_code == 204
    assert signed_in.get("/me").status_code == 401
    body = {"email": nurse.email, "password": "seven quiet lanterns"}
    assert api(None).post("/auth/token", body).status_code == 200


@pytest.mark.parametrize("change", [{"role": "nurse"}, {"active": False}])
def test_nobody_takes_their_own_rights_away(app: Flask, api: As, change: dict[str, object]) -> None:
    admin = create_user(role="admin")
    answer = api(admin).patch(f"/users/{admin.public_id}", change)
    assert answer.status_code == 409
    assert api(admin).patch(f"/users/{admin.public_id}", {"name": "Kim"}).json["name"] == "Kim"


def test_a_change_of_role_holds_for_the_next_request(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    other = create_user(role="nurse", clinic=admin.clinic)
    signed_in = api(other)
    assert signed_in.get("/users").status_code == 403
    api(admin).patch(f"/users/{other.public_id}", {"role": "admin"})
    assert signed_in.get("/users").status_code == 200


def test_every_change_is_on_record_with_what_changed(app: Flask, api: As) -> None:
    admin = create_user(role="admin")
    nurse = create_user(role="nurse", clinic=admin.clinic)
    api(admin).patch(f"/users/{nurse.public_id}", {"role": "engineer", "name": nurse.name})
    [entry] = read(select(AuditEntry).where(AuditEntry.action == "user.change"))
    assert (entry.subject, entry.detail) == (str(nurse.public_id), {"role": "engineer"})
