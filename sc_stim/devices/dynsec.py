"""JSON for Mosquitto's dynamic-security plugin: its first file and the commands that change it. Pure.

Each account but the administrator's is tied to one client id, its own name: otherwise whoever connects with
the client id of another session ends that session and wipes its queue. Mosquitto 2.0 knows no ``%u`` in this
plugin, so each device has a role of its own, named after it.
"""

from collections.abc import Iterable
from typing import Any

from .broker_access import Act, Login, Role, Rule, check_username, rules

ADMIN = "admin"
CONTROL_TOPIC = "$CONTROL/dynamic-security/v1"
RESPONSE_TOPIC = f"{CONTROL_TOPIC}/response"
INGEST_SESSIONS = ("live", "history", "commands")

Json = dict[str, Any]

_ADMIN_RULES = (
    Rule(Act.PUBLISH, f"{CONTROL_TOPIC}/#"),
    Rule(Act.SUBSCRIBE, f"{CONTROL_TOPIC}/#"),
    Rule(Act.RECEIVE, f"{CONTROL_TOPIC}/#"),
)


def ingest_usernames(shards: str) -> list[str]:
    """The accounts of one ingest process, one per session: ``0-7`` gives ``ingest-0-7-live`` and so on."""
    return [check_username(f"ingest-{shards}-{session}") for session in INGEST_SESSIONS]


def first_document(admin: Login, logins: Iterable[Login]) -> Json:
    """``dynamic-security.json`` for a new broker, or for one rebuilt from the hashes in our database.

    Everything is refused by default, receiving too: a message that slips into a queue is still not delivered.
    """
    accounts = list(logins)
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [
            _stored_client(admin, ADMIN),
            *(_stored_client(login, _role_of(login)) for login in accounts),
        ],
        "roles": [
            _role(ADMIN, _ADMIN_RULES),
            _role(Role.INGEST, rules("ingest", Role.INGEST)),
            *(
                _role(login.username, rules(login.username, Role.DEVICE))
                for login in accounts
                if _is_device(login)
            ),
        ],
        "groups": [],
    }


def create_device(device_id: str, password: str) -> list[Json]:
    """Commands that make the device's role and account."""
    return [
        {"command": "createRole", **_role(device_id, rules(device_id, Role.DEVICE))},
        {"command": "createClient", **_tied(_client(device_id, password, device_id))},
    ]


def create_ingest(username: str, password: str) -> list[Json]:
    """Commands that make one more ingest account, for another split of the shards."""
    return [{"command": "createClient", **_tied(_client(check_username(username), password, Role.INGEST))}]


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


def _is_device(login: Login) -> bool:
    return login.role is Role.DEVICE


def _role_of(login: Login) -> str:
    return login.username if _is_device(login) else Role.INGEST


def _stored_client(login: Login, role: str) -> Json:
    return {
        "username": login.username,
        "password": login.password_hash,
        "salt": login.salt,
        "iterations": login.iterations,
        "roles": [{"rolename": role}],
    }


def _client(username: str, password: str, role: str) -> Json:
    return {"username": username, "password": password, "roles": [{"rolename": role}]}


def _tied(client: Json) -> Json:
    return {**client, "clientid": client["username"]}


def _role(name: str, granted: Iterable[Rule]) -> Json:
    acls = [{"acltype": rule.act, "topic": rule.topic_filter, "allow": True} for rule in granted]
    return {"rolename": str(name), "acls": acls}
