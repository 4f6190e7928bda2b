"""The embedded broker as a process: bad clients hurt only themselves, good ones keep their queue."""

import socket
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest

from sc_stim.embedded.packets import Message, publish
from tests.devices.mqtt_client import FENCE, LAST_WILL, Client, connected
from tests.servers import EmbeddedBroker, wait_until

CONNECT_311 = b"\x10\x10\0\4MQTT\4\2\0\x01\0\4" + b"none"


@pytest.fixture
def device(embedded_broker: EmbeddedBroker) -> tuple[str, str]:
    device_id = str(uuid.uuid4())
    return device_id, embedded_broker.add_device(device_id)


def up(device_id: str) -> str:
    return f"scs/v1/{device_id[-1]}/{device_id}/up/telemetry"


@pytest.fixture
def ingest(embedded_broker: EmbeddedBroker) -> Iterator[Client]:
    with connected(
        embedded_broker, embedded_broker.ingest_username(), embedded_broker.ingest_password
    ) as client:
        client.subscribe("scs/v1/+/+/up/#")
        yield client


def raw_answer(broker: EmbeddedBroker, sent: bytes) -> bytes:
    """All the broker answers to these bytes before it closes the connection."""
    answer = b""
    with socket.create_connection(("127.0.0.1", broker.port), timeout=10) as connection:
        connection.sendall(sent)
        while chunk := connection.recv(1024):
            answer += chunk
    return answer


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        pytest.param(b"\x10\x10\0\4MQTT\5\2\0\x3c\0\4none", b"\x20\2\0\1", id="MQTT 5"),
        pytest.param(CONNECT_311, b"\x20\2\0\4", id="no account"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"", id="HTTP"),
        pytest.param(publish(Message("a", b"", 1, False), 1), b"", id="PUBLISH first"),
        pytest.param(b"\xc0\0", b"", id="PINGREQ first"),
        pytest.param(b"\x10\xff\xff\xff\xff\x7f", b"", id="endless length"),
    ],
)
def test_a_stranger_is_refused_and_disconnected(
    embedded_broker: EmbeddedBroker, sent: bytes, answer: bytes
) -> None:
    assert raw_answer(embedded_broker, sent) == answer


def test_a_client_that_sends_rubbish_ends_only_its_own_connection(
    embedded_broker: EmbeddedBroker, ingest: Client, device: tuple[str, str]
) -> None:
    with connected(embedded_broker, *device) as bad:
        bad.send_raw(b"\xf0\0")
        wait_until(lambda: bad.disconnected, "the bad client to be cut off", 5)
    with connected(embedded_broker, *device) as good:
        good.publish(up(device[0]), FENCE)
        ingest.await_delivery(up(device[0]))


def test_a_client_that_falls_silent_is_cut_off_and_its_last_will_is_spoken(
    embedded_broker: EmbeddedBroker, ingest: Client, device: tuple[str, str]
) -> None:
    state = up(device[0]).replace("telemetry", "state")
    silent = Client(embedded_broker, *device, will=state, keepalive_s=1)
    assert silent.connect()
    silent.stop_reading()
    ingest.await_delivery(state, LAST_WILL)
    silent.close()


def test_a_second_connection_of_one_account_ends_the_first(
    embedded_broker: EmbeddedBroker, device: tuple[str, str]
) -> None:
    with connected(embedded_broker, *device) as first, connected(embedded_broker, *device) as second:
        wait_until(lambda: first.disconnected, "the first connection to end", 5)
        assert not second.disconnected


def test_a_new_password_ends_the_session_of_the_old_one_but_keeps_its_queue(
    embedded_broker: EmbeddedBroker, ingest: Client, device: tuple[str, str]
) -> None:
    device_id, password = device
    down = up(device_id).replace("up/telemetry", "down/ack")
    with connected(embedded_broker, device_id, password, clean_session=False) as old:
        old.subscribe(down)
        renewed = embedded_broker.add_device(device_id)
        wait_until(lambda: old.disconnected, "the old session to end", 5)
    ingest.publish(down, FENCE)
    ingest.publish(up(device_id).replace("up/telemetry", "down/other"), FENCE)
    with connected(embedded_broker, device_id, renewed, clean_session=False) as new:
        new.await_delivery(down)


def test_what_ingest_did_not_acknowledge_comes_again_after_it_died(
    embedded_broker: EmbeddedBroker, device: tuple[str, str]
) -> None:
    username, password = embedded_broker.ingest_username(session="history"), embedded_broker.ingest_password
    with (
        connected(embedded_broker, username, password, clean_session=False, manual_ack=True) as dying,
        connected(embedded_broker, *device) as sender,
    ):
        dying.subscribe("scs/v1/+/+/up/#")
        for number in range(10):
            sender.publish(up(device[0]), b"%d" % number)
        wait_until(lambda: len(dying.received()) == 10, "the first delivery")
        dying.break_off()
    with connected(embedded_broker, username, password, clean_session=False) as again:
        wait_until(lambda: len(again.received()) == 10, "the second delivery", 5)
        assert again.received() == [(up(device[0]), b"%d" % number) for number in range(10)]


def test_without_its_database_nobody_is_let_in_and_live_sessions_go_on(device: tuple[str, str]) -> None:
    broker = EmbeddedBroker().start()
    try:
        device_id = str(uuid.uuid4())
        password = broker.add_device(device_id)
        username, ingest_password = broker.ingest_username(), broker.ingest_password
        with (
            connected(broker, username, ingest_password) as ingest,
            connected(broker, device_id, password) as sender,
        ):
            ingest.subscribe("scs/v1/+/+/up/#")
            with closing(sqlite3.connect(broker.database)) as connection:
                connection.execute("ALTER TABLE broker_login RENAME TO gone")
            late = Client(broker, broker.ingest_username(session="history"), ingest_password)
            assert not late.connect()
            late.close()
            sender.publish(up(device_id), FENCE)
            ingest.await_delivery(up(device_id))
    finally:
        broker.close()


def test_it_ends_at_sigterm(device: tuple[str, str]) -> None:
    broker = EmbeddedBroker().start()
    process = broker.process
    broker.stop()
    assert process is not None and process.returncode == 0
    broker.close()
