"""Signing in and out, tokens that end, the throttle, passwords."""

import itertools

import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import ApiToken, AuditEntry, User
from sc_stim.workflows.accounts import SHORTEST_PASSWORD, argon2id, digest
from tests.apps import As, Time, both_databases, read
from tests.builders import PASSWORD, QUICK_HASHER, create_clinic, create_token, create_user


def sign_in(api: As, email: str, password: str = PASSWORD) -> str:
    answer = api(None).post("/auth/token", {"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return str(answer.json["access_token"])


@both_databases
def test_a_person_signs_in_is_known_and_signs_out(app: Flask, api: As) -> None:
    user = create_user(role="nurse")
    token = sign_in(api, user.email.upper())
    caller = api(None, token=token)
    assert caller.get("/me").json["id"] == str(user.public_id)
    assert caller.delete("/auth/token").status_code == 204
    assert caller.get("/me").status_code == 401
    acts = read(
        select(AuditEntry.action).where(AuditEntry.actor == str(user.public_id)).order_by(AuditEntry.number)
    )
    assert acts == ["session.sign_in", "session.sign_out"]


def test_only_the_digest_of_a_token_is_stored(app: Flask, api: As) -> None:
    token = sign_in(api, create_user().email)
    assert read(select(ApiToken.token_sha256)) == [digest(token)]


@pytest.mark.parametrize("who", ["wrong password", "unknown", "inactive"])
def test_a_failed_sign_in_says_the_same_whatever_was_wrong_and_is_audited(
    app: Flask, api: As, who: str
) -> None:
    user = create_user(active=who != "inactive")
    email = "nobody@example.org" if who == "unknown" else user.email
    password = "not the password at all" if who == "wrong password" else PASSWORD
    answer = api(None).post("/auth/token", {"email": email, "password": password})
    assert (answer.status_code, answer.json["detail"]) == (401, "E-mail or password is wrong.")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    [entry] = read(select(AuditEntry))
    assert entry.action == "session.sign_in_failed"
    assert email not in str(entry.detail)


def test_an_unknown_email_costs_a_password_check_too(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    verify = PasswordHasher.verify
    monkeypatch.setattr(PasswordHasher, "verify", lambda *given: checked.append(given[1]) or verify(*given))
    for email in ("nobody@example.org", create_user().email):
        api(None).post("/auth/token", {"email": email, "password": PASSWORD})
    assert len(checked) == 2
    assert checked[0].split("$")[:4] == checked[1].split("$")[:4]  # algorithm and cost are the same


def test_passwords_are_hashed_with_argon2id_at_the_cost_rfc_9106_recommends() -> None:
    assert argon2id.hash(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_token_ends_an_hour_after_its_last_use(app: Flask, api: As, time: Time) -> None:
    caller = api(create_user())
    time.pass_by(minutes=59)
    assert caller.get("/me").status_code == 200
    time.pass_by(minutes=59)
    assert caller.get("/me").status_code == 200
    time.pass_by(minutes=60)
    assert caller.get("/me").status_code == 401


def test_a_token_ends_after_twelve_hours_however_much_it_is_used(app: Flask, api: As, time: Time) -> None:
    caller = api(create_user())
    answers = []
    for _ in range(13):
        time.pass_by(minutes=55)
        answers.append(caller.get("/me").status_code)
    time.pass_by(minutes=5)
    assert answers == [200] * 13
    assert caller.get("/me").status_code == 401


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer of-nothing", "bearer\ttoken"]
)
def test_without_a_good_token_nothing_is_shown(app: Flask, api: As, header: str) -> None:
    assert api(None).get("/me", headers={"Authorization": header}).status_code == 401


def test_a_good_token_must_come_as_a_bearer_token(app: Flask, api: As) -> None:
    token = create_token(user=create_user())
    assert api(None).get("/me", headers={"Authorization": f"bearer {token}"}).status_code == 200
    assert api(None).get("/me", headers={"Authorization": f"Basic {token}"}).status_code == 401


def test_eleven_failures_on_one_email_are_told_to_wait_and_others_are_not(app: Flask, api: As) -> None:
    user, other = create_user(), create_user()
    body = {"email": user.email, "password": "not the password at all"}
    statuses = [api(None).post("/auth/token", body).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    right = api(None).post("/auth/token", {"email": user.email, "password": PASSWORD})
    assert right.status_code == 429
    assert 0 < int(right.headers["Retry-After"]) <= 15 * 60 + 1
    assert sign_in(api, other.email)


def test_one_address_cannot_try_one_password_on_everybody(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sc_stim.workflows.accounts.verify_password", lambda user, password: False)
    caller = api(None)
    statuses = [
        caller.post("/auth/token", {"email": f"user{number}@example.org", "password": "x"}).status_code
        for number in range(101)
    ]
    assert statuses == [401] * 100 + [429]


def test_right_sign_ins_are_not_counted(app: Flask, api: As) -> None:
    user = create_user()
    assert len({sign_in(api, user.email) for _ in range(12)}) == 12


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("x" * (SHORTEST_PASSWORD - 1), "must have 15"),
        ("aaaaaaaaaaaaaaaaaaaa", "easily guessed"),
        ("abababababababababab", "easily guessed"),
        ("qwertyuiopasdfghjkl", "easily guessed"),
        ("98765432109876543", "easily guessed"),
        ("passwordpassword12", "easily guessed"),
        ("Westend Clinic 2026", "easily guessed"),
    ],
)
def test_a_password_that_is_easily_guessed_is_refused(app: Flask, api: As, password: str, why: str) -> None:
    admin = create_user(role="admin", clinic=create_clinic(name="Westend Clinic"))
    new = {"email": "kim@example.org", "name": "Kim", "role": "nurse", "password": password}
    answer = api(admin).post("/users", new)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "password"
    assert why in answer.json["errors"][0]["message"]


@pytest.mark.parametrize(
    "password", ["harbour violin thirteen", "пароль из четырёх слов", "!@#$%^&*()_+{}|:<>?"]
)
def test_a_long_password_of_any_characters_will_do(app: Flask, api: As, password: str) -> None:
    admin = create_user(role="admin")
    new = {"email": f"kim{next(_numbers)}@example.org", "name": "Kim", "role": "nurse", "password": password}
    assert api(admin).post("/users", new).status_code == 201
    assert sign_in(api, new["email"], password)


def test_people_change_their_own_password_and_are_signed_out_everywhere(app: Flask, api: As) -> None:
    user = create_user()
    first, second = api(user), api(user)
    wrong = {"current_password": "not the password at all", "password": "seven quiet lanterns"}
    assert first.post("/me/password", wrong).json["errors"][0]["field"] == "current_password"
    assert first.post("/me/password", wrong | {"current_password": PASSWORD}).status_code == 204
    assert [caller.get("/me").status_code for caller in (first, second)] == [401, 401]
    assert sign_in(api, user.email, "seven quiet lanterns")


def test_guessing_ones_current_password_is_throttled(
    app: Flask, api: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sc_stim.workflows.accounts.verify_password", lambda user, password: False)
    caller = api(create_user())
    body = {"current_password": "guess", "password": "seven quiet lanterns"}
    assert [caller.post("/me/password", body).status_code for _ in range(11)] == [422] * 10 + [429]


def test_a_hash_of_older_parameters_is_renewed_at_sign_in(app: Flask, api: As) -> None:
    user = create_user(password_hash=PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD))
    sign_in(api, user.email)
    assert not QUICK_HASHER.check_needs_rehash(db.session.get_one(User, user.id).password_hash)


def test_a_token_of_a_closed_account_is_worth_nothing(app: Flask, api: As) -> None:
    user = create_user(active=False)
    assert api(None, token=create_token(user=user)).get("/me").status_code == 401


_numbers = itertools.count()
