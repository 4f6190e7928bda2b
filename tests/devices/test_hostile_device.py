"""What a device that was stolen or turned bad can do at the broker: nothing to anybody but itself.

Each probe runs against the real Mosquitto and the embedded broker. SUBACK and PUBACK prove nothing (Mosquitto
grants and acknowledges what it never delivers), so every test asserts on what was delivered: a lawful message
sent after the unlawful one arrives, and the unlawful one has not.
"""

import uuid
from collections.abc import Iterator

import pytest

from sc_stim.devices.broker_access import MAX_PAYLOAD_BYTES
from sc_stim.devices.topics import live_filters, shard_of
from tests.devices.mqtt_client import FENCE, LAST_WILL, Client, connected
from tests.servers import MqttBroker, wait_until


@pytest.fixture(params=["mosquitto", "embedded_broker"])
def broker(request: pytest.FixtureRequest) -> MqttBroker:
    server: MqttBroker = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def ingest(broker: MqttBroker) -> Iterator[Client]:
    with connected(broker, broker.ingest_username(), broker.ingest_password) as client:
        client.subscribe("scs/v1/+/+/up/#")
        yield client


class Device:
    def __init__(self, broker: MqttBroker) -> None:
        self.id = str(uuid.uuid4())
        self.password = broker.add_device(self.id)
        self.base = f"scs/v1/{self.id[-1]}/{self.id}"
        self.up = f"{self.base}/up/telemetry"
        self.down = f"{self.base}/down/ack"


@pytest.fixture
def victim(broker: MqttBroker) -> Device:
    return Device(broker)


@pytest.fixture
def attacker(broker: MqttBroker) -> Device:
    return Device(broker)


@pytest.fixture
def attack(broker: MqttBroker, attacker: Device) -> Iterator[Client]:
    """The attacker's connection."""
    with connected(broker, attacker.id, attacker.password) as client:
        yield client


@pytest.mark.parametrize("wanted", ["{base}/down/#", "{base}/down/+", "{base}/down/ack"])
def test_device_and_ingest_reach_each_other(
    broker: MqttBroker, attack: Client, attacker: Device, wanted: str
) -> None:
    attack.subscribe(wanted.format(base=attacker.base))
    with connected(broker, broker.ingest_username(), broker.ingest_password) as ingest:
        ingest.subscribe(*live_filters((shard_of(attacker.id),)))
        attack.publish(attacker.up, FENCE)
        ingest.await_delivery(attacker.up)
        ingest.publish(attacker.down, FENCE)
        attack.await_delivery(attacker.down)


def test_ingest_hears_its_own_canary(ingest: Client) -> None:
    ingest.subscribe("scs/v1/canary/#")
    ingest.publish("scs/v1/canary/0-f", FENCE)
    ingest.await_delivery("scs/v1/canary/0-f")


@pytest.mark.parametrize(
    "topic",
    [
        "{victim.base}/up/telemetry",
        "{victim.base}/up/event",
        "{victim.base}/down/command",
        "{attacker.base}/down/command",
        "{attacker.base}/side/telemetry",
        "scs/v1/{other_shard}/{attacker.id}/up/telemetry",
        "scs/v1/{attacker.id}/up/telemetry",
        "scs/v2/{attacker.id}/up/telemetry",
        "scs/v1/canary/0-f",
        "/{attacker.base}/up/telemetry",
        "$SYS/broker/version",
        "$CONTROL/dynamic-security/v1",
    ],
)
def test_a_device_publishes_nowhere_but_below_its_own_up(
    broker: MqttBroker, ingest: Client, attack: Client, attacker: Device, victim: Device, topic: str
) -> None:
    ingest.subscribe("scs/v1/canary/#")
    other_shard = "0" if attacker.id[-1] != "0" else "1"
    command = b'{"commands":[{"command":"deleteClient","username":"%s"}]}' % victim.id.encode()
    with connected(broker, victim.id, victim.password) as listener:
        listener.subscribe(f"{victim.base}/down/#")
        attack.subscribe(f"{attacker.base}/down/#")
        attack.publish(topic.format(victim=victim, attacker=attacker, other_shard=other_shard), command)
        attack.publish(attacker.up, FENCE)
        ingest.await_delivery(attacker.up)
        for device, client in ((victim, listener), (attacker, attack)):
            ingest.publish(device.down, FENCE)
            client.await_delivery(device.down)
        assert (ingest.received(), listener.received()) == ([(attacker.up, FENCE)], [(victim.down, FENCE)])
        assert attack.received() == [(attacker.down, FENCE)]


def test_a_device_hears_nothing_that_is_not_meant_for_it(
    broker: MqttBroker, ingest: Client, attack: Client, attacker: Device, victim: Device
) -> None:
    attack.subscribe(
        "#", "+/#", "scs/#", "scs/v1/#", "scs/v1/+/+/down/#", "scs/v1/+/+/up/#", f"{victim.base}/#",
        f"{victim.base}/down/#", victim.down, victim.up, f"{attacker.base}/#", f"{attacker.base}/+/+", "$SYS/#",
        "$CONTROL/#", "$CONTROL/dynamic-security/v1/response", "$share/group/#", "$share/group/scs/v1/+/+/up/#",
        f"$share/group/{victim.base}/down/#", "scs/v1/canary/#", f"{attacker.base}/down/#",
    )  # fmt: skip
    with connected(broker, victim.id, victim.password) as other:
        other.subscribe(f"{victim.base}/down/#")
        other.publish(victim.up, b"private")
        other.publish(f"{victim.base}/up/state", b"private", retain=True)
        ingest.await_delivery(f"{victim.base}/up/state", b"private")
        ingest.publish(victim.down, b"private")
        ingest.publish("scs/v1/canary/0-f", b"private")
        other.await_delivery(victim.down, b"private")
        ingest.publish(attacker.down, FENCE)
        attack.await_delivery(attacker.down)
    assert attack.delivered == [(attacker.down, FENCE, False)]


def test_ingest_hears_no_commands_and_changes_no_accounts(
    broker: MqttBroker, ingest: Client, victim: Device
) -> None:
    ingest.subscribe("#", "scs/v1/+/+/down/#", "$CONTROL/#", "$SYS/#")
    ingest.publish("$CONTROL/dynamic-security/v1", b'{"commands":[{"command":"listClients"}]}')
    ingest.publish(victim.down, b"private")
    with connected(broker, victim.id, victim.password) as device:
        device.publish(victim.up, FENCE)
        ingest.await_delivery(victim.up)
    assert set(ingest.received()) == {(victim.up, FENCE)}


@pytest.mark.parametrize("clean", [True, False])
def test_nobody_takes_over_the_session_of_an_absent_ingest(
    broker: MqttBroker, attacker: Device, victim: Device, clean: bool
) -> None:
    username = broker.ingest_username()
    with connected(broker, username, broker.ingest_password, clean_session=False) as first:
        first.subscribe("scs/v1/+/+/up/#")
    with connected(broker, victim.id, victim.password) as device:
        device.subscribe(f"{victim.base}/down/#")
        for number in range(50):
            device.publish(victim.up, b"%d" % number)
        with connected(broker, broker.ingest_username(session="history"), broker.ingest_password) as commands:
            wait_until(lambda: device.all_acknowledged(), "50 PUBACKs")
            commands.publish(victim.down, FENCE)
            device.await_delivery(victim.down)
    thefts = [
        Client(broker, attacker.id, attacker.password, client_id=username, clean_session=clean),
        Client(broker, username, "wrong", clean_session=clean),
        Client(broker, username, attacker.password, clean_session=clean),
        Client(broker, None, None, client_id=username, clean_session=clean),
    ]
    for thief in thefts:
        if thief.connect():
            thief.subscribe("scs/v1/+/+/up/#")
        thief.close()
    with connected(broker, username, broker.ingest_password, clean_session=False) as again:
        wait_until(lambda: len(again.delivered) >= 50, "what waited for ingest", 10)
        assert again.received() == [(victim.up, b"%d" % number) for number in range(50)]
    assert [thief.delivered for thief in thefts] == [[]] * 4
    with connected(broker, username, broker.ingest_password, clean_session=True):
        pass  # leaves no session behind for the next test


def test_nobody_ends_the_live_session_of_ingest(
    broker: MqttBroker, ingest: Client, attacker: Device, victim: Device
) -> None:
    for username, password in (
        (attacker.id, attacker.password),
        (broker.ingest_username(), "wrong"),
        (None, None),
    ):
        thief = Client(broker, username, password, client_id=broker.ingest_username())
        thief.connect()
        thief.close()
    with connected(broker, victim.id, victim.password) as device:
        device.publish(victim.up, FENCE)
        ingest.await_delivery(victim.up)
    assert not ingest.disconnected


def test_only_the_right_password_opens_the_door(broker: MqttBroker, victim: Device, attacker: Device) -> None:
    for username, password in [
        (victim.id, "wrong"),
        (victim.id, ""),
        (victim.id, attacker.password),
        ("unknown", attacker.password),
        ("+", "wrong"),
        ("#", "wrong"),
        (victim.id.upper(), victim.password),
        ("admin", ""),
        (None, None),
    ]:
        client = Client(broker, username, password, client_id=username or victim.id)
        assert not client.connect(), f"{username} was let in"
        client.close()


def test_a_revoked_device_loses_its_live_session_and_does_not_come_back(
    broker: MqttBroker, ingest: Client, victim: Device
) -> None:
    stolen = Device(broker)
    with connected(broker, stolen.id, stolen.password) as thief:
        thief.publish(stolen.up, FENCE)
        ingest.await_delivery(stolen.up)
        broker.revoke(stolen.id)
        wait_until(lambda: thief.disconnected, "the revoked device to be cut off", 5)
    again = Client(broker, stolen.id, stolen.password)
    assert not again.connect()
    again.close()
    with connected(broker, victim.id, victim.password) as other:
        other.publish(victim.up, FENCE)
        ingest.await_delivery(victim.up)
    assert ingest.received() == [(stolen.up, FENCE), (victim.up, FENCE)]


def test_a_payload_at_the_limit_passes_and_one_beyond_it_does_not(
    broker: MqttBroker, ingest: Client, attack: Client, attacker: Device, victim: Device
) -> None:
    attack.publish(attacker.up, b"x" * MAX_PAYLOAD_BYTES)
    ingest.await_delivery(attacker.up, b"x" * MAX_PAYLOAD_BYTES)
    attack.publish(attacker.up, b"y" * (MAX_PAYLOAD_BYTES + 2048))
    wait_until(lambda: attack.disconnected, "the flooder to be cut off", 5)
    with connected(broker, victim.id, victim.password) as other:
        other.publish(victim.up, FENCE)
        ingest.await_delivery(victim.up)
    assert [topic for topic, _payload in ingest.received()] == [attacker.up, victim.up]


def test_a_device_retains_its_state_and_nothing_in_the_name_of_another(
    broker: MqttBroker, ingest: Client, attack: Client, attacker: Device, victim: Device
) -> None:
    attack.publish(f"{victim.base}/up/state", b"unlawful", retain=True)
    attack.publish(f"{victim.base}/down/command", b"unlawful", retain=True)
    attack.publish(f"{attacker.base}/up/state", FENCE, retain=True)
    ingest.await_delivery(f"{attacker.base}/up/state")
    with (
        connected(broker, broker.ingest_username(session="history"), broker.ingest_password) as later,
        connected(broker, victim.id, victim.password) as other,
    ):
        later.subscribe("scs/v1/+/+/up/#")
        later.await_delivery(f"{attacker.base}/up/state", retained=True)
        other.subscribe(f"{victim.base}/down/#")
        ingest.publish(victim.down, FENCE)
        other.await_delivery(victim.down)
        assert not [topic for topic, _payload, _retained in later.delivered if victim.id in topic]
        assert other.delivered == [(victim.down, FENCE, False)]


def test_a_last_will_in_the_name_of_another_is_never_spoken(
    broker: MqttBroker, ingest: Client, attacker: Device, victim: Device
) -> None:
    thief = Client(broker, attacker.id, attacker.password, will=f"{victim.base}/up/state")
    if thief.connect():
        thief.break_off()
    thief.close()
    with connected(broker, attacker.id, attacker.password, will=f"{attacker.base}/up/state") as honest:
        honest.break_off()
        ingest.await_delivery(f"{attacker.base}/up/state", LAST_WILL)
    assert ingest.received() == [(f"{attacker.base}/up/state", LAST_WILL)]
