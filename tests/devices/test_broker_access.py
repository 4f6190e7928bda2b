"""Who may do what at the broker, as rules on topics."""

import base64
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.devices.broker_access import (
    SALT_BYTES,
    Act,
    Role,
    allows,
    check_username,
    covers,
    make_login,
    may_retain,
    password_matches,
)
from sc_stim.devices.topics import InvalidTopic, down, up

devices = st.uuids().map(str)
levels = st.sampled_from(["a", "b", "up", "", "$x"])
names = st.lists(levels, min_size=1, max_size=4).map("/".join)
filters = st.lists(levels | st.just("+"), max_size=3).flatmap(
    lambda head: st.sampled_from(["#", "+", "a"]).map(lambda last: "/".join([*head, last]))
)


@given(devices)
def test_a_device_sends_up_and_hears_down(device: str) -> None:
    assert allows(device, Role.DEVICE, Act.PUBLISH, up(device, "telemetry"))
    assert allows(device, Role.DEVICE, Act.SUBSCRIBE, down(device, "ack").replace("ack", "#"))
    assert allows(device, Role.DEVICE, Act.RECEIVE, down(device, "ack"))


@given(devices, devices, st.sampled_from(list(Act)))
def test_a_device_has_no_business_with_another(device: str, other: str, act: Act) -> None:
    for topic in (up(other, "event"), down(other, "command"), f"scs/v1/{other[-1]}/{other}/#"):
        assert device == other or not allows(device, Role.DEVICE, act, topic)


@given(filters, filters, names)
def test_a_covered_filter_matches_no_topic_that_the_covering_one_does_not(
    wide: str, narrow: str, name: str
) -> None:
    if covers(wide, narrow) and covers(narrow, name):
        assert covers(wide, name)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "covered"),
    [
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/+", "a/#", False),
        ("a/b", "a/+", False),
        ("a/+/c", "a/+/c", True),
        ("#", "$SYS/x", False),
        ("#", "$share/g/a", False),
        ("a/#", "", False),
    ],
)
def test_a_filter_covers(topic_filter: str, topic: str, covered: bool) -> None:
    assert covers(topic_filter, topic) is covered


def test_an_id_that_is_no_device_id_has_no_rules() -> None:
    for username in ("+", "#", "ingest", str(uuid.uuid4()).upper()):
        with pytest.raises(InvalidTopic):
            allows(username, Role.DEVICE, Act.PUBLISH, "scs/v1/a/x/up/telemetry")


@given(st.text(max_size=20))
def test_only_the_right_password_matches(password: str) -> None:
    login = make_login("ingest-0-f-live", Role.INGEST, "right", b"s" * SALT_BYTES)
    assert password_matches(login, password) is (password == "right")


def test_a_hash_is_the_one_mosquitto_computes() -> None:
    """The hash that ``mosquitto_ctrl dynsec init`` of Mosquitto 2.0.11 wrote for this password and salt."""
    salt = base64.b64decode("1Bs7eHiAHCjAovPc")
    login = make_login("admin", Role.INGEST, "secret", salt, iterations=101)
    assert login.password_hash == (
        "mIbVWLBzsmUfJUDRDlVxuDCTREROSsf6CMzBDO0zhDAqDbDfhEFYoIa1D1FtcF4KugcTIfphhm3hpvhmfm9RWQ=="
    )


@pytest.mark.parametrize("username", ["", "+", "#", "a/b", "-a", "a b", "ü", "a" * 65, "a\n"])
def test_a_name_that_could_be_read_as_a_filter_is_refused(username: str) -> None:
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        check_username(username)


def test_a_salt_mosquitto_would_refuse_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes, must be 12"):
        make_login("admin", Role.INGEST, "secret", b"s" * 16)


def test_only_a_state_may_be_retained() -> None:
    device = str(uuid.uuid4())
    assert [kind for kind in ("telemetry", "event", "state") if may_retain(up(device, kind))] == ["state"]
    assert not may_retain(f"scs/v1/a/{device}/up/1/up/state")
