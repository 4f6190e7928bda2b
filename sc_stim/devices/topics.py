"""The MQTT topic tree: `scs/v1/{shard}/{device}/up|down/{kind}`.

`device` is the device's id, its MQTT user name and its client id: UUID text in lower case. `shard` is the
id's last hex digit, so each ingest process can own some shards for good.
"""

import re
from typing import Literal, NamedTuple, get_args

ROOT = "scs/v1"
SHARDS = "0123456789abcdef"

UpKind = Literal["telemetry", "history", "event", "diary", "state", "result"]
DownKind = Literal["ack", "command"]
UP_KINDS: tuple[UpKind, ...] = get_args(UpKind)
DOWN_KINDS: tuple[DownKind, ...] = get_args(DownKind)

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{11}([0-9a-f])"
_DEVICE_ID = re.compile(_UUID)
_UP_TOPIC = re.compile(rf"{ROOT}/([0-9a-f])/({_UUID})/up/({'|'.join(UP_KINDS)})")


class InvalidTopic(ValueError):
    """A topic or a device id that is not one of ours."""


class UpTopic(NamedTuple):
    """What the topic of a message from a device says."""

    shard: str
    device_id: str
    kind: UpKind


def shard_of(device_id: str) -> str:
    """The shard (one of `SHARDS`) that a device belongs to; raises InvalidTopic for anything but a UUID."""
    match = _DEVICE_ID.fullmatch(device_id)
    if match is None:
        raise InvalidTopic(f"device id {device_id!r} is not a UUID in lower case")
    return match[1]


def up(device_id: str, kind: UpKind) -> str:
    """The topic on which a device publishes messages of this kind."""
    if kind not in UP_KINDS:
        raise InvalidTopic(f"{kind!r} is none of {', '.join(UP_KINDS)}")
    return f"{ROOT}/{shard_of(device_id)}/{device_id}/up/{kind}"


def down(device_id: str, kind: DownKind) -> str:
    """The topic on which a device listens for messages of this kind."""
    if kind not in DOWN_KINDS:
        raise InvalidTopic(f"{kind!r} is none of {', '.join(DOWN_KINDS)}")
    return f"{ROOT}/{shard_of(device_id)}/{device_id}/down/{kind}"


def parse_up(topic: str) -> UpTopic:
    """Read the topic of a received message; raises InvalidTopic, also for a shard not the device's own."""
    match = _UP_TOPIC.fullmatch(topic)
    if match is None:
        raise InvalidTopic(f"{topic!r} is not {ROOT}/<shard>/<device>/up/<{'|'.join(UP_KINDS)}>")
    shard, device_id, own_shard, kind = match.groups()
    if shard != own_shard:
        raise InvalidTopic(f"{topic!r} names shard {shard}, its device belongs to shard {own_shard}")
    return UpTopic(shard, device_id, kind)  # type: ignore[arg-type]  # the pattern allows only an UpKind


def parse_shards(text: str) -> tuple[str, ...]:
    """Read a list of shards as an operator writes it: `0-f`, `0-7`, `0,3,a-c`. Sorted, each once.

    Raises ValueError that quotes the part it cannot read.
    """
    shards: set[str] = set()
    for part in text.split(","):
        match = re.fullmatch(r"([0-9a-f])(?:-([0-9a-f]))?", part.strip())
        named = SHARDS[SHARDS.index(match[1]) : SHARDS.index(match[2] or match[1]) + 1] if match else ""
        if not named:
            raise ValueError(f"shards: cannot read {part!r}; write shards or ranges, such as 0,3,a-c or 0-f")
        shards.update(named)
    return tuple(sorted(shards))


def live_filters(shards: tuple[str, ...]) -> list[str]:
    """Subscriptions for everything that must not wait: all up kinds but history."""
    return [f"{ROOT}/{shard}/+/up/{kind}" for shard in shards for kind in UP_KINDS if kind != "history"]


def history_filters(shards: tuple[str, ...]) -> list[str]:
    """Subscriptions for back-filled records, kept apart so that they cannot delay the rest."""
    return [f"{ROOT}/{shard}/+/up/history" for shard in shards]
