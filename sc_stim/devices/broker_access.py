"""Who may do what at the MQTT broker, whichever broker it is. Pure.

A device may write below its own ``up/`` and read below its own ``down/``, nothing else. An ingest account may
read every ``up/``, answer on every ``down/`` and use the canary topic. The rules stand here once: ``dynsec``
turns them into Mosquitto's roles, ``embedded.broker`` asks ``allows`` for each packet.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum

from .topics import ROOT, shard_of

CANARY = f"{ROOT}/canary/#"
CONTROL_TOPIC = "$CONTROL/dynamic-security/v1"
"""Mosquitto's alone: what changes its accounts."""

MAX_PAYLOAD_BYTES = 64 * 1024
MAX_PACKET_BYTES = MAX_PAYLOAD_BYTES + 1024
"""The payload with its topic and header."""

HASH_ITERATIONS = 1_000
"""Few, because the passwords are 256 random bits: stretching would only slow down a thousand devices that return
at once to a broker that hashes in its one thread."""

SALT_BYTES = 12
"""Mosquitto 2.0 knows no other length, and refuses the account without a word in its log."""

_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


class Role(StrEnum):
    DEVICE = "device"
    INGEST = "ingest"
    ADMIN = "admin"


class Act(StrEnum):
    """What a client may do with a topic, by the names of Mosquitto's dynamic-security plugin."""

    PUBLISH = "publishClientSend"
    RECEIVE = "publishClientReceive"
    SUBSCRIBE = "subscribePattern"


@dataclass(frozen=True)
class Rule:
    act: Act
    topic_filter: str


@dataclass(frozen=True)
class Login:
    """A broker account. Hash and salt are base64, PBKDF2 with HMAC-SHA-512: Mosquitto's own form."""

    username: str
    role: Role
    password_hash: str
    salt: str
    iterations: int


def check_username(username: str) -> str:
    """The name unchanged, or ValueError: a name with ``+``, ``#`` or ``/`` would read as a topic filter."""
    if not _USERNAME.fullmatch(username):
        raise ValueError(
            f"username {username!r}: use 1 to 64 letters, digits and hyphens, not starting with a hyphen"
        )
    return username


def make_login(
    username: str, role: Role, password: str, salt: bytes, *, iterations: int = HASH_ITERATIONS
) -> Login:
    """The account with its password hashed. Give ``SALT_BYTES`` random bytes as ``salt``."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"salt: {len(salt)} bytes, must be {SALT_BYTES}")
    return Login(
        check_username(username),
        role,
        _hash(password, salt, iterations),
        base64.b64encode(salt).decode(),
        iterations,
    )


def password_matches(login: Login, password: str) -> bool:
    expected = _hash(password, base64.b64decode(login.salt), login.iterations)
    return hmac.compare_digest(expected, login.password_hash)


def _hash(password: str, salt: bytes, iterations: int) -> str:
    return base64.b64encode(hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)).decode()


def rules(username: str, role: Role) -> tuple[Rule, ...]:
    """Everything this account may do; what is not listed is refused. InvalidTopic for a device id that is none."""
    if role is not Role.DEVICE:
        return _SERVER_RULES[role]
    base = f"{ROOT}/{shard_of(username)}/{username}"
    return (
        Rule(Act.PUBLISH, f"{base}/up/#"),
        Rule(Act.SUBSCRIBE, f"{base}/down/#"),
        Rule(Act.RECEIVE, f"{base}/down/#"),
    )


_SERVER_RULES = {
    Role.INGEST: (
        Rule(Act.SUBSCRIBE, f"{ROOT}/+/+/up/#"),
        Rule(Act.RECEIVE, f"{ROOT}/+/+/up/#"),
        Rule(Act.PUBLISH, f"{ROOT}/+/+/down/#"),
        *(Rule(act, CANARY) for act in Act),
    ),
    Role.ADMIN: tuple(Rule(act, f"{CONTROL_TOPIC}/#") for act in Act),
}


def allows(username: str, role: Role, act: Act, topic: str) -> bool:
    """Whether one of the account's rules covers ``topic`` (for SUBSCRIBE: a topic filter) as a whole."""
    return any(rule.act is act and covers(rule.topic_filter, topic) for rule in rules(username, role))


def may_retain(topic: str) -> bool:
    """Only a device's last known state is worth keeping for those who subscribe later."""
    levels = topic.split("/")
    return len(levels) == 6 and levels[4:] == ["up", "state"]


def covers(topic_filter: str, topic: str) -> bool:
    """Whether ``topic_filter`` matches every topic that ``topic``, a name or itself a filter, stands for."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") or not topic:
        return False
    for at, level in enumerate(wanted):
        if level == "#":
            return True
        if at >= len(given) or given[at] == "#" or (level != "+" and given[at] != level):
            return False
    return len(given) == len(wanted)
