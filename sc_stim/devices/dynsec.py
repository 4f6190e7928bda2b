"""JSON for Mosquitto's dynamic-security plugin: its first file and the commands that change it. Pure.

Each account but the administrator's is tied to one client id, its own name: otherwise whoever connects with
the client id of another session ends that session and wipes its queue. Mosquitto 2.0 knows no ``%u`` in this
plugin, so each device has a role of its own, named after it.
"""

from collections.abc import Iterable
from typing import Any

from .broker_access import Login, Role, check_username, rules

ADMIN = "admin"
INGEST_SESSIONS = ("live", "history")

Json = dict[str, Any]


def ingest_usernames(shards: str) -> list[str]:
    """The accounts of one ingest process, one per session: ``0-7`` gives ``ingest-0-7-live`` and so on."""
    return [check_username(f"ingest-{shards.replace(',', '-')}-{session}") for session in INGEST_SESSIONS]


def first_document(logins: Iterable[Login]) -> Json:
    """``dynamic-security.json`` for a new broker, or for one rebuilt from the hashes in our database.

    Everything is refused by default, receiving too: a message that slips into a queue is still not delivered.
    """
    accounts = list(logins)
    roles = {_role_name(login.username, login.role): _role(login.username, login.role) for login in accounts}
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [_stored_client(login) for login in accounts],
        "roles": list(roles.values()),
        "groups": [],
    }


def create_device(device_id: str, password: str) -> list[Json]:
    """Commands that make the device's role and account."""
    return [
        {"command": "createRole", **_role(device_id, Role.DEVICE)},
        {"command": "createClient", "password": password, **_client(device_id, Role.DEVICE)},
    ]


def create_ingest(username: str, password: str) -> list[Json]:
    """Commands that make one more ingest account, for another split of the shards."""
    return [
        {"command": "createClient", "password": password, **_client(check_username(username), Role.INGEST)}
    ]


def as_replacement(command: Json) -> Json:
    """The command that sets anew what this ``create...`` command found to exist."""
    return {**command, "command": command["command"].replace("create", "modify")}


def revoke_device(device_id: str) -> list[Json]:
    """Commands that cut the device off now and for good.

    ``disableClient`` ends its session at once, ``deleteClient`` keeps out one that has a certificate.
    """
    check_username(device_id)
    return [
        {"command": "disableClient", "username": device_id},
        {"command": "deleteClient", "username": device_id},
        {"command": "deleteRole", "rolename": device_id},
    ]


def _stored_client(login: Login) -> Json:
    secret = {"password": login.password_hash, "salt": login.salt, "iterations": login.iterations}
    return {**_client(login.username, login.role), **secret}


def _client(username: str, role: Role) -> Json:
    tie = {} if role is Role.ADMIN else {"clientid": username}
    return {"username": username, **tie, "roles": [{"rolename": _role_name(username, role)}]}


def _role(username: str, role: Role) -> Json:
    acls = [
        {"acltype": rule.act, "topic": rule.topic_filter, "allow": True} for rule in rules(username, role)
    ]
    return {"rolename": _role_name(username, role), "acls": acls}


def _role_name(username: str, role: Role) -> str:
    return username if role is Role.DEVICE else role
