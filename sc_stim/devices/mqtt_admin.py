"""Telling the broker which devices may connect.

Mosquitto keeps accounts of its own, which ``MosquittoAdmin`` changes. The embedded broker reads the
application's database, so there ``DatabaseCredentials`` has nothing left to do.
"""

import json
import queue
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from .broker_access import CONTROL_TOPIC
from .dynsec import Json, as_replacement, create_device, create_ingest, revoke_device

RESPONSE_TOPIC = f"{CONTROL_TOPIC}/response"

DEVICES_PER_MESSAGE = 50
"""Mosquitto 2.0 writes all its accounts anew for each command, and does nothing else meanwhile."""

_EXISTS = ("Role already exists", "Client already exists")
_GONE = ("Client not found", "Role not found")


class BrokerUnavailable(ConnectionError):
    """The broker cannot be reached, or does not answer. Nothing is known of what it did: try again."""


class BrokerRefused(RuntimeError):
    """The broker answered, and said no: wrong account, or a command it does not take."""


class BrokerAdmin(Protocol):
    def put_devices(self, credentials: Iterable[tuple[str, str]]) -> None:
        """Let these devices, given as (device id, password), connect. Again with the same: no change."""

    def revoke(self, device_id: str) -> None:
        """End the device's live session and let it in no more. Again: no change."""


class DatabaseCredentials:
    """The embedded broker's: it signs devices in against ``broker_login`` and looks there for revocations."""

    def put_devices(self, credentials: Iterable[tuple[str, str]]) -> None:
        """Nothing to do: the row is the account."""

    def revoke(self, device_id: str) -> None:
        """Nothing to do: ``revoked_at`` in the row ends the session within two seconds."""


class MosquittoAdmin:
    """Mosquitto's accounts, changed over MQTT by its dynamic-security plugin."""

    def __init__(self, url: str, *, ca_file: str | None = None, timeout_s: float = 30) -> None:
        """``url`` is ``mqtt://user:password@host:port`` or ``mqtts://...``."""
        self._url = urlsplit(url)
        self._tls = ssl.create_default_context(cafile=ca_file) if self._url.scheme == "mqtts" else None
        self._timeout_s = timeout_s

    def put_devices(self, credentials: Iterable[tuple[str, str]]) -> None:
        waiting = list(credentials)
        groups = [
            waiting[at : at + DEVICES_PER_MESSAGE] for at in range(0, len(waiting), DEVICES_PER_MESSAGE)
        ]
        self._put([command for device in group for command in create_device(*device)] for group in groups)

    def put_ingest(self, usernames: Iterable[str], password: str) -> None:
        """Let ingest accounts connect, for another split of the shards."""
        self._put([create_ingest(username, password) for username in usernames])

    def revoke(self, device_id: str) -> None:
        with self._session() as session:
            _check(session.ask(revoke_device(device_id)), harmless=_GONE)

    def _put(self, groups: Iterable[list[Json]]) -> None:
        with self._session() as session:
            for commands in groups:
                answers = session.ask(commands)
                _check(answers, harmless=_EXISTS)
                existing = [c for c, a in zip(commands, answers, strict=True) if a.get("error") in _EXISTS]
                if existing:
                    _check(session.ask([as_replacement(command) for command in existing]), harmless=())

    @contextmanager
    def _session(self) -> Iterator["_Session"]:
        # No client id: the broker makes one up, so two administrators do not end each other's session.
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set(unquote(self._url.username or ""), unquote(self._url.password or ""))
        if self._tls is not None:
            client.tls_set_context(self._tls)
        session = _Session(client, self._timeout_s)
        client.connect_timeout = self._timeout_s
        try:
            client.connect(self._url.hostname or "127.0.0.1", self._url.port or (8883 if self._tls else 1883))
        except OSError as error:
            raise BrokerUnavailable(f"broker {self._url.hostname}:{self._url.port}: {error}") from error
        client.loop_start()
        try:
            session.wait_until_subscribed()
            yield session
        finally:
            client.disconnect()
            client.loop_stop()


class _Session:
    """One signed-in connection. What the network thread hears goes through a queue to the caller."""

    def __init__(self, client: paho.Client, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        client.on_connect = self._on_connect
        client.on_disconnect = lambda *_: self._heard.put(
            BrokerUnavailable("the broker closed the connection")
        )
        client.on_subscribe = lambda *_: self._heard.put("subscribed")
        client.on_message = lambda _client, _data, message: self._heard.put(message.payload)

    def wait_until_subscribed(self) -> None:
        self._next()

    def ask(self, commands: list[Json]) -> list[Json]:
        """The broker's answer to each command, in their order."""
        self._client.publish(CONTROL_TOPIC, json.dumps({"commands": commands}), qos=1)
        answers: list[Json] = json.loads(self._next())["responses"]
        return answers

    def _on_connect(
        self, client: paho.Client, _data: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        if reason.is_failure:
            self._heard.put(BrokerRefused(f"the broker refused the administrator: {reason}"))
        else:
            client.subscribe(RESPONSE_TOPIC, qos=1)

    def _next(self) -> Any:
        try:
            heard = self._heard.get(timeout=self._timeout_s)
        except queue.Empty:
            raise BrokerUnavailable(f"the broker did not answer within {self._timeout_s:g} s") from None
        if isinstance(heard, Exception):
            raise heard
        return heard


def admin_of(url: str, *, ca_file: str | None = None, timeout_s: float = 30) -> BrokerAdmin:
    """Who tells the broker at ``url``; ``embedded`` is the one that reads the rows itself."""
    if url == "embedded":
        return DatabaseCredentials()
    return MosquittoAdmin(url, ca_file=ca_file, timeout_s=timeout_s)


def _check(answers: list[Json], harmless: tuple[str, ...]) -> None:
    errors = {
        f"{a['command']}: {a['error']}" for a in answers if a.get("error") and a["error"] not in harmless
    }
    if errors:
        raise BrokerRefused("the broker refused " + "; ".join(sorted(errors)))
