"""The broker as docker-compose.yml starts it: devices come in by TLS, with the certificate make-secrets.sh made."""

import socket
import ssl
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from tests.servers import DEPLOY, Mosquitto, free_port, wait_until


class TlsMosquitto(Mosquitto):
    """With the file of deploy/mosquitto in front; only paths and the port are of this machine."""

    def __init__(self) -> None:
        super().__init__()
        self.tls_port = free_port()
        self.secrets = self.directory / "secrets"
        subprocess.run([DEPLOY / "make-secrets.sh", self.secrets], check=True, capture_output=True)
        self.secrets.chmod(0o755)
        text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text()
        for path, here in (
            ("/mosquitto/data", self.directory),
            ("/run/secrets/broker_certificate", self.secrets / "broker.crt"),
            ("/run/secrets/broker_key", self.secrets / "broker.key"),
            ("listener 8883", f"listener {self.tls_port} 127.0.0.1"),
        ):
            text = text.replace(str(path), str(here))
        self.front = self.secrets / "front"
        self.front.write_text(text)

    def command(self) -> list[str]:
        return [self.program, "-c", str(self.front)]


@pytest.fixture
def broker() -> Iterator[TlsMosquitto]:
    server = TlsMosquitto()
    try:
        yield server.start()
    finally:
        server.close()


def connects(broker: TlsMosquitto, ca_file: Path, password: str, device: str) -> bool:
    answers: list[bool] = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=device)
    client.username_pw_set(device, password)
    client.tls_set_context(ssl.create_default_context(cafile=ca_file))
    client.on_connect = lambda _c, _d, _f, reason, _p: answers.append(not reason.is_failure)
    client.connect("localhost", broker.tls_port)
    client.loop_start()
    wait_until(lambda: answers, "the broker's answer", 10)
    client.disconnect()
    client.loop_stop()
    return answers[0]


def test_a_device_comes_in_by_tls_and_knows_the_broker_by_its_authority(broker: TlsMosquitto) -> None:
    device = str(uuid.uuid4())
    password = broker.add_device(device)
    assert connects(broker, broker.secrets / "ca.crt", password, device)
    assert not connects(broker, broker.secrets / "ca.crt", "wrong", device)
    connection = socket.create_connection(("localhost", broker.tls_port))
    with connection, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")
