"""The administrator looks after the accounts of the staff."""

import csv
import io

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, User
from tests import builders

PASSWORD = "seven quiet lanterns"


@pytest.fixture
def admin(app):
    clinic = builders.create_clinic(name="Riverside")
    return builders.create_user(clinic=clinic, role="admin", name="Anton Admin")


@pytest.fixture
def nurse(admin):
    return builders.create_user(
        clinic=admin.clinic, role="nurse", name="Nadia Berger", email="nadia@example.org"
    )


def actions():
    return list(db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def test_a_new_colleague_can_sign_in_with_the_password_they_were_given(admin, visit):
    visitor = visit(admin)
    visitor.page("/users")

    page = visitor.done(
        "/users", name="Kim Example", email="Kim@Example.org", role="nurse", password=PASSWORD
    )

    assert page.texts("h1") == ["Kim Example"]
    assert "Kim Example may sign in now." in page.text
    kim = db.session.scalars(select(User).where(User.email == "kim@example.org")).one()
    assert (kim.role, kim.clinic_id) == ("nurse", admin.clinic_id)
    assert visit(None).sign_in(kim, PASSWORD).status_code == 303


@pytest.mark.parametrize(
    ("typed", "field", "error"),
    [
        ({"password": "short"}, "password", "Password must have 15 to 200 characters."),
        ({"password": "riverside riverside"}, "password", "Password is easily guessed"),
        ({"email": "kim"}, "email", "Email is not an e-mail address."),
        ({"email": "nadia@example.org"}, "email", "There is an account with this e-mail address already."),
        ({"role": "boss"}, "role", "Choose role from the list."),
        ({"name": ""}, "name", "Name is needed."),
    ],
)
def test_what_cannot_be_an_account_is_said_beside_its_field(admin, nurse, visit, typed, field, error):
    visitor = visit(admin)
    visitor.page("/users")
    good = {"name": "Kim Example", "email": "kim@example.org", "role": "nurse", "password": PASSWORD}

    page = visitor.submitted("/users", 422, **good | typed)

    assert error in page.within(f"{field}-error")
    values = {one.get("name"): one.get("value") for one in page.all("input")}
    assert values["email"] == (good | typed)["email"]
    assert values["password"] == ""
    assert db.session.query(User).count() == 2


def test_name_and_role_are_changed(admin, nurse, visit):
    visitor, here = visit(admin), f"/users/{nurse.public_id}"
    visitor.page(here)

    page = visitor.done(here, name="Nadia Berger-Koch", role="clinician", version=str(nurse.version))

    assert page.texts("h1") == ["Nadia Berger-Koch"]
    assert db.session.get_one(User, nurse.id).role == "clinician"
    assert "user.change" in actions()


def test_a_form_opened_before_another_change_is_refused_and_says_what_changed(admin, nurse, visit):
    visitor, here = visit(admin), f"/users/{nurse.public_id}"
    visitor.page(here)
    nurse.name = "Nadia Koch"
    db.session.commit()

    page = visitor.submitted(here, 422, name="Nadia Berger", role="nurse", version="1")

    assert "Name is “Nadia Koch” now: somebody changed it meanwhile." in page.within("name-error")
    assert db.session.get_one(User, nurse.id).name == "Nadia Koch"
    version = next(one.get("value") for one in page.all("input") if one.get("name") == "version")
    visitor.done(here, name="Nadia Berger", role="nurse", version=version)
    assert db.session.get_one(User, nurse.id).name == "Nadia Berger"


def test_a_closed_account_is_signed_out_and_can_be_opened_again(admin, nurse, visit):
    working = visit(nurse)
    working.page("/worklist")
    visitor, here = visit(admin), f"/users/{nurse.public_id}"
    visitor.page(here)

    page = visitor.done(here + "/close", version=str(nurse.version))

    assert "no: the account is closed" in page.text
    assert working.get("/worklist").location.startswith("/sign-in")
    page = visitor.done(here + "/open", version=str(db.session.get_one(User, nurse.id).version))
    assert "Nadia Berger can sign in again" in page.text
    assert visit(None).sign_in(nurse).status_code == 303


def test_a_button_of_an_old_page_closes_nothing(admin, nurse, visit):
    visitor, here = visit(admin), f"/users/{nurse.public_id}"
    visitor.page(here)

    page = visitor.done(here + "/close", version="7")

    assert "Nothing was changed: somebody has changed this since you opened it." in page.text
    assert db.session.get_one(User, nurse.id).active


def test_a_lost_telephone_is_signed_out_without_closing_the_account(admin, nurse, visit):
    working = visit(nurse)
    working.page("/worklist")
    visitor, here = visit(admin), f"/users/{nurse.public_id}"
    visitor.page(here)

    visitor.done(here + "/sign-out", version=str(nurse.version))

    assert working.get("/worklist").location.startswith("/sign-in")
    assert db.session.get_one(User, nurse.id).active
    assert "user.sign_out" in actions()


def test_another_password_ends_the_sessions_and_works(admin, nurse, visit):
    visitor, here = visit(admin), f"/users/{nurse.public_id}"
    visitor.page(here)
    page = visitor.submitted(here + "/password", 422, password="nope")
    assert "Password must have" in page.within("password-error")

    visitor.done(here + "/password", password=PASSWORD)

    assert visit(None).sign_in(nurse, PASSWORD).status_code == 303


def test_nobody_closes_their_own_account_or_changes_their_own_role(admin, visit):
    visitor, here = visit(admin), f"/users/{admin.public_id}"
    assert "Close the account" not in visitor.page(here).texts("button")

    page = visitor.done(here + "/close", version=str(admin.version))
    assert "Ask another administrator" in page.text
    page = visitor.submitted(here, 422, name="Anton Admin", role="nurse", version=str(admin.version))
    assert "Ask another administrator" in page.within("role-error")
    me = db.session.get_one(User, admin.id)
    assert (me.role, me.active) == ("admin", True)


def test_another_clinics_account_does_not_exist(admin, visit):
    stranger = builders.create_user(role="nurse")
    visitor = visit(admin)
    visitor.page("/users")

    visitor.page(f"/users/{stranger.public_id}", 404)
    for act in ("", "/close", "/open", "/sign-out", "/password"):
        form = {"name": "X", "role": "admin", "version": "1", "password": PASSWORD}
        assert visitor.post(f"/users/{stranger.public_id}{act}", **form).status_code == 404
    assert stranger.email not in visitor.page("/users").html
    assert db.session.get_one(User, stranger.id).role == "nurse"


def test_users_as_a_file(admin, nurse, visit):
    answer = visit(admin).file("/users.csv")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["name"], row["role"], row["may sign in"]) for row in rows] == [
        ("Anton Admin", "Administrator", "yes"),
        ("Nadia Berger", "Nurse", "yes"),
    ]
    assert "user.export" in actions()
