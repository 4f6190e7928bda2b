"""Changing the accounts of a real Mosquitto: again and again, in bulk, and when it is not there."""

import json
import uuid

import pytest

from sc_stim.devices.broker_access import MAX_PAYLOAD_BYTES
from sc_stim.devices.dynsec import create_device, ingest_usernames
from sc_stim.devices.mqtt_admin import (
    DEVICES_PER_MESSAGE,
    BrokerRefused,
    BrokerUnavailable,
    DatabaseCredentials,
    MosquittoAdmin,
)
from tests.devices.mqtt_client import Client, connected
from tests.servers import Mosquitto, free_port, wait_until


@pytest.fixture
def admin(mosquitto: Mosquitto) -> MosquittoAdmin:
    return MosquittoAdmin(mosquitto.admin_url)


def lets_in(broker: Mosquitto, username: str, password: str) -> bool:
    client = Client(broker, username, password)
    try:
        return client.connect()
    finally:
        client.close()


def test_putting_a_device_twice_keeps_the_newer_password(mosquitto: Mosquitto, admin: MosquittoAdmin) -> None:
    device = str(uuid.uuid4())
    for password in ("old", "new", "new"):
        admin.put_devices([(device, password)])
    assert lets_in(mosquitto, device, "new")
    assert not lets_in(mosquitto, device, "old")


def test_a_new_password_ends_the_session_of_the_old_one(mosquitto: Mosquitto, admin: MosquittoAdmin) -> None:
    device = str(uuid.uuid4())
    admin.put_devices([(device, "old")])
    with connected(mosquitto, device, "old") as stolen:
        admin.put_devices([(device, "new")])
        wait_until(lambda: stolen.disconnected, "the session with the old password to end", 5)
    assert lets_in(mosquitto, device, "new")


def test_a_revoked_device_may_be_revoked_again_and_put_back(
    mosquitto: Mosquitto, admin: MosquittoAdmin
) -> None:
    device = str(uuid.uuid4())
    admin.put_devices([(device, "first")])
    admin.revoke(device)
    admin.revoke(device)
    assert not lets_in(mosquitto, device, "first")
    admin.put_devices([(device, "second")])
    assert lets_in(mosquitto, device, "second")


def test_many_devices_are_put_in_messages_the_broker_takes(
    mosquitto: Mosquitto, admin: MosquittoAdmin
) -> None:
    credentials = [(str(uuid.uuid4()), f"{number:064}") for number in range(DEVICES_PER_MESSAGE + 20)]
    admin.put_devices(credentials)
    assert all(lets_in(mosquitto, *credentials[number]) for number in (0, DEVICES_PER_MESSAGE, -1))
    commands = [command for device in credentials[:DEVICES_PER_MESSAGE] for command in create_device(*device)]
    assert len(json.dumps({"commands": commands})) < MAX_PAYLOAD_BYTES


def test_accounts_outlive_a_crash_of_the_broker(mosquitto: Mosquitto, admin: MosquittoAdmin) -> None:
    device = str(uuid.uuid4())
    admin.put_devices([(device, "password")])
    mosquitto.kill9()
    mosquitto.start()
    assert lets_in(mosquitto, device, "password")


def test_another_split_of_the_shards_gets_its_accounts(mosquitto: Mosquitto, admin: MosquittoAdmin) -> None:
    usernames = ingest_usernames("0-3")
    admin.put_ingest(usernames, "password")
    assert all(lets_in(mosquitto, username, "password") for username in usernames)


def test_two_administrators_do_not_disturb_each_other(mosquitto: Mosquitto, admin: MosquittoAdmin) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    with admin._session() as session:
        MosquittoAdmin(mosquitto.admin_url).put_devices([(second, "password")])
        assert session.ask(create_device(first, "password")) == [
            {"command": "createRole"},
            {"command": "createClient"},
        ]
    assert lets_in(mosquitto, first, "password") and lets_in(mosquitto, second, "password")


def test_a_broker_that_is_away_is_unavailable() -> None:
    with pytest.raises(BrokerUnavailable, match="Connection refused"):
        MosquittoAdmin(f"mqtt://admin:secret@127.0.0.1:{free_port()}").revoke(str(uuid.uuid4()))


def test_a_broker_that_goes_away_meanwhile_is_unavailable() -> None:
    broker = Mosquitto().start()
    try:
        admin = MosquittoAdmin(broker.admin_url)
        with admin._session() as session:
            broker.kill9()
            with pytest.raises(BrokerUnavailable, match="closed the connection"):
                session.ask([])
    finally:
        broker.close()


def test_an_account_that_may_not_change_accounts_is_refused_or_gets_no_answer(mosquitto: Mosquitto) -> None:
    with pytest.raises(BrokerRefused, match="refused the administrator"):
        MosquittoAdmin(mosquitto.admin_url.replace(mosquitto.admin_password, "wrong")).revoke(
            str(uuid.uuid4())
        )
    ingest = f"mqtt://{mosquitto.ingest_username()}:{mosquitto.ingest_password}@127.0.0.1:{mosquitto.port}"
    with pytest.raises((BrokerRefused, BrokerUnavailable)):
        MosquittoAdmin(ingest, timeout_s=0.5).put_devices([(str(uuid.uuid4()), "password")])


def test_the_embedded_broker_needs_no_telling() -> None:
    """Its own tests show that it follows the table; this only fixes that nothing is asked of a broker."""
    admin = DatabaseCredentials()
    admin.put_devices([(str(uuid.uuid4()), "password")])
    admin.revoke(str(uuid.uuid4()))
    assert not vars(admin)
