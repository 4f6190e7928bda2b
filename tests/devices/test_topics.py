import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.devices import topics
from sc_stim.devices.topics import InvalidTopic, UpTopic

DEVICE = "0197a3c0-5b1e-7c44-9a52-3d0e6f0a7b1c"
device_ids = st.uuids().map(str)


def matches(topic_filter: str, topic: str) -> bool:
    """MQTT's `+`: one level, whatever it is."""
    levels, wanted = topic.split("/"), topic_filter.split("/")
    return len(levels) == len(wanted) and all(
        w in ("+", level) for w, level in zip(wanted, levels, strict=True)
    )


def test_the_shard_is_the_last_digit_of_the_device_id() -> None:
    assert topics.shard_of(DEVICE) == "c"
    assert topics.up(DEVICE, "telemetry") == f"scs/v1/c/{DEVICE}/up/telemetry"
    assert topics.down(DEVICE, "ack") == f"scs/v1/c/{DEVICE}/down/ack"


@given(device_ids, st.sampled_from(topics.UP_KINDS))
def test_what_up_writes_parse_up_reads(device_id: str, kind: topics.UpKind) -> None:
    assert topics.parse_up(topics.up(device_id, kind)) == UpTopic(device_id[-1], device_id, kind)


@given(device_ids, st.sampled_from(topics.UP_KINDS), st.sampled_from(["0-7,8-f", "0,1-9,a,b,c,d,e,f"]))
def test_every_up_topic_has_exactly_one_subscription(device_id: str, kind: topics.UpKind, split: str) -> None:
    filters = [
        topic_filter
        for part in split.split(",")
        for topic_filter in (
            *topics.live_filters(topics.parse_shards(part)),
            *topics.history_filters(topics.parse_shards(part)),
        )
    ]
    assert sum(matches(topic_filter, topics.up(device_id, kind)) for topic_filter in filters) == 1


def test_history_is_subscribed_apart_from_the_rest() -> None:
    assert topics.history_filters(("a",)) == ["scs/v1/a/+/up/history"]
    assert not any("history" in topic_filter for topic_filter in topics.live_filters(("a",)))
    assert {topic_filter.rsplit("/")[-1] for topic_filter in topics.live_filters(("a",))} == {
        *topics.UP_KINDS
    } - {"history"}


@pytest.mark.parametrize(
    "topic",
    [
        "",
        f"scs/v1/c/{DEVICE}/down/ack",
        f"scs/v1/c/{DEVICE}/up/firmware",
        f"scs/v1/c/{DEVICE}/up/telemetry/more",
        f"scs/v1/c/{DEVICE}/up/telemetry\n",
        f"scs/v2/c/{DEVICE}/up/telemetry",
        f"scs/v1/c/{DEVICE.upper()}/up/telemetry",
        "scs/v1/c/+/up/telemetry",
        "scs/v1/c/canary/up/telemetry",
        "$SYS/broker/uptime",
    ],
)
def test_a_topic_that_is_not_ours_is_refused(topic: str) -> None:
    with pytest.raises(InvalidTopic):
        topics.parse_up(topic)


def test_a_device_cannot_speak_in_another_shard() -> None:
    with pytest.raises(InvalidTopic, match="belongs to shard c"):
        topics.parse_up(f"scs/v1/0/{DEVICE}/up/telemetry")


@given(st.text())
def test_any_text_is_a_topic_or_refused(topic: str) -> None:
    try:
        parsed = topics.parse_up(topic)
    except InvalidTopic:
        return
    assert topics.up(parsed.device_id, parsed.kind) == topic


@pytest.mark.parametrize(
    "device_id", ["", "ingest", "+", "#", f"{DEVICE}\n", DEVICE.upper(), uuid.UUID(DEVICE).hex]
)
def test_a_device_id_is_a_uuid_in_lower_case(device_id: str) -> None:
    with pytest.raises(InvalidTopic, match="not a UUID"):
        topics.up(device_id, "telemetry")


def test_a_kind_that_does_not_exist_has_no_topic() -> None:
    with pytest.raises(InvalidTopic, match="'ack' is none of telemetry"):
        topics.up(DEVICE, "ack")  # type: ignore[arg-type]
    with pytest.raises(InvalidTopic, match="'set_dose' is none of ack, command"):
        topics.down(DEVICE, "set_dose")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "shards"),
    [
        ("0-f", "0123456789abcdef"),
        ("0-7", "01234567"),
        ("0,3,a-c", "03abc"),
        ("c, 0-1 ,0", "01c"),
        ("9-a", "9a"),
    ],
)
def test_shards_are_read_as_an_operator_writes_them(text: str, shards: str) -> None:
    assert topics.parse_shards(text) == tuple(shards)


@pytest.mark.parametrize(
    ("text", "part"), [("", ""), ("0-g", "0-g"), ("7-0", "7-0"), ("0,,1", ""), ("0-3-5", "0-3-5")]
)
def test_shards_that_cannot_be_read_are_quoted(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=f"cannot read '{part}'"):
        topics.parse_shards(text)
