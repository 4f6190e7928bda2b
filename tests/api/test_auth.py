"""Signing in, signing out, and tokens that end."""

from tests.apps import both_databases
from tests.builders import PASSWORD, create_user


@both_databases
def test_a_person_signs_in_and_is_known(app, api):
    user = create_user(role="nurse")
    answer = api(None).post("/auth/token", {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200
    token = answer.json["access_token"]
    me = api(None).get("/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json["email"] == user.email
    assert me.json["id"] == str(user.public_id)
