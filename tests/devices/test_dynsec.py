"""The accounts Mosquitto starts with, and the commands that change them."""

import json
import uuid

import pytest

from sc_stim.devices.broker_access import SALT_BYTES, Role, make_login
from sc_stim.devices.dynsec import (
    as_replacement,
    create_device,
    create_ingest,
    first_document,
    ingest_usernames,
    revoke_device,
)
from sc_stim.devices.topics import InvalidTopic

SALT = b"s" * SALT_BYTES
ADMIN = make_login("admin", Role.ADMIN, "secret", SALT)
DEVICE = str(uuid.UUID(int=10))


def test_everything_is_refused_that_no_role_allows() -> None:
    document = first_document([ADMIN])
    allowed = {act for act, allow in document["defaultACLAccess"].items() if allow}
    assert allowed == {"unsubscribe"}
    assert all(acl["allow"] for role in document["roles"] for acl in role["acls"])


def test_the_administrator_changes_accounts_and_reads_no_telemetry() -> None:
    document = first_document([ADMIN])
    admin = next(role for role in document["roles"] if role["rolename"] == "admin")
    assert {acl["topic"] for acl in admin["acls"]} == {"$CONTROL/dynamic-security/v1/#"}


def test_a_lost_broker_is_rebuilt_with_the_hashes_of_the_database() -> None:
    logins = [
        make_login("ingest-0-f-live", Role.INGEST, "secret", SALT),
        make_login(DEVICE, Role.DEVICE, "password", SALT),
    ]
    document = first_document([ADMIN, *logins])
    rebuilt = {client["username"]: client for client in document["clients"]}
    for login in logins:
        client = rebuilt[login.username]
        assert (client["password"], client["salt"]) == (login.password_hash, login.salt)
        assert client["clientid"] == login.username
    assert rebuilt[DEVICE]["roles"] == [{"rolename": DEVICE}]
    created = create_device(DEVICE, "password")[0]
    assert {"rolename": DEVICE, "acls": created["acls"]} in document["roles"]
    assert json.loads(json.dumps(document)) == document


def test_a_device_may_do_three_things() -> None:
    role, client = create_device(DEVICE, "password")
    assert [(acl["acltype"], acl["topic"]) for acl in role["acls"]] == [
        ("publishClientSend", f"scs/v1/a/{DEVICE}/up/#"),
        ("subscribePattern", f"scs/v1/a/{DEVICE}/down/#"),
        ("publishClientReceive", f"scs/v1/a/{DEVICE}/down/#"),
    ]
    assert client["clientid"] == client["username"] == DEVICE


def test_a_replacement_changes_only_the_verb() -> None:
    for command in [*create_device(DEVICE, "password"), *create_ingest("ingest-0-3-live", "password")]:
        changed = as_replacement(command)
        assert changed.pop("command") == command["command"].replace("create", "modify")
        assert changed.items() <= command.items()


def test_revoking_ends_the_session_before_it_removes_the_account() -> None:
    assert [command["command"] for command in revoke_device(DEVICE)] == [
        "disableClient",
        "deleteClient",
        "deleteRole",
    ]


@pytest.mark.parametrize("name", ["#", "+", "admin/x", ""])
def test_a_name_with_a_wildcard_makes_no_command(name: str) -> None:
    with pytest.raises(InvalidTopic):
        create_device(name, "password")
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        create_ingest(name, "password")
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        revoke_device(name)


def test_each_ingest_process_has_an_account_for_each_of_its_sessions() -> None:
    assert ingest_usernames("0-3,8") == ["ingest-0-3-8-live", "ingest-0-3-8-history"]
