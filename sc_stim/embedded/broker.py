"""The MQTT broker of ``sc-stim demo``: MQTT 3.1.1 at QoS 0 and 1, on loopback, one process, queues in memory.

    python -m sc_stim.embedded.broker --port 1883 --database demo.db

It knows the same accounts and rules as Mosquitto in the real stack. A restart loses its queues, which costs
nothing: a device keeps a record until the server says that it is stored. Why this is not a broker from the
shelf stands in ``docs/decisions/embedded-broker.md``.
"""

import argparse
import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import cast

import structlog

from sc_stim import logs
from sc_stim.devices.broker_access import MAX_PACKET_BYTES, Login, password_matches

from . import packets
from .logins import LoginTable
from .packets import Connect, Malformed
from .sessions import Router, Session

log = structlog.get_logger(__name__)

LOOPBACK = "127.0.0.1"
SECONDS_TO_SIGN_IN = 10
MAX_KEEPALIVE_S = 300
SWEEP_S = 1.0
"""How often revoked accounts, silent clients and a vanished parent are looked for."""


class Broker:
    """Listens, signs clients in, and ends the connections of those that may stay no longer."""

    def __init__(self, logins: LoginTable) -> None:
        self.router = Router()
        self.connections: dict[str, Connection] = {}
        self.strangers: set[Connection] = set()
        self._logins = logins
        self._parent = os.getppid()

    async def serve(self, port: int) -> None:
        """Run until SIGTERM, SIGINT or the end of the process that started this one."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self, loop), LOOPBACK, port)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        log.info("broker listens", port=port)
        while not stop.is_set() and os.getppid() == self._parent:
            self.sweep(loop.time())
            try:
                await asyncio.wait_for(stop.wait(), SWEEP_S)
            except TimeoutError:
                continue
        server.close()
        for connection in [*self.connections.values(), *self.strangers]:
            connection.abort()

    def sign_in(self, asked: Connect) -> Login | int:
        """The account, or the code of the refusal."""
        if asked.username is None or asked.password is None:
            return packets.WRONG_PASSWORD
        if asked.client_id != asked.username:
            return packets.WRONG_CLIENT_ID
        try:
            login = self._logins.find(asked.username)
        except sqlite3.Error as error:
            log.error("accounts cannot be read", error=str(error))
            return packets.UNAVAILABLE
        if login is None or not password_matches(login, asked.password):
            return packets.WRONG_PASSWORD
        return login

    def sweep(self, now: float) -> None:
        """Cut off whoever was revoked, got a new password, or has been silent for too long; tell of lost messages."""
        try:
            valid = self._logins.valid()
        except sqlite3.Error as error:
            log.error("accounts cannot be read", error=str(error))
        else:
            self._cut_off_revoked(valid)
        for connection in [*self.connections.values(), *self.strangers]:
            if connection.last_heard < now - connection.patience_s:
                connection.abort()
        for username, session in self.router.sessions.items():
            if session.dropped:
                log.warning("queue full, messages dropped", username=username, count=session.dropped)
                session.dropped = 0

    def _cut_off_revoked(self, valid: dict[str, Login]) -> None:
        for session in list(self.router.sessions.values()):
            username = session.login.username
            if valid.get(username) == session.login:
                continue
            connection = self.connections.get(username)
            if connection is not None:
                log.info("account revoked or renewed: connection closed", username=username)
                connection.will = None
                connection.abort()
            if username not in valid:
                self.router.forget(session)


class Connection(asyncio.Protocol):
    """One client's socket. Until its CONNECT is accepted it has no session, and any other packet ends it."""

    will: packets.Message | None = None
    patience_s: float = SECONDS_TO_SIGN_IN

    def __init__(self, broker: Broker, loop: asyncio.AbstractEventLoop) -> None:
        self._broker = broker
        self._loop = loop
        self._received = bytearray()
        self._outgoing = bytearray()
        self._session: Session | None = None
        self.last_heard = loop.time()
        self._handlers: dict[int, Callable[[Session, int, bytes], None]] = {
            packets.PUBLISH: self._on_publish,
            packets.PUBACK: lambda session, _flags, body: session.acknowledge(packets.parse_packet_id(body)),
            packets.SUBSCRIBE: self._on_subscribe,
            packets.UNSUBSCRIBE: self._on_unsubscribe,
            packets.PINGREQ: lambda _session, _flags, _body: self._send(packets.pingresp()),
            packets.DISCONNECT: self._on_disconnect,
        }

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._broker.strangers.add(self)

    def data_received(self, data: bytes) -> None:
        self.last_heard = self._loop.time()
        self._received += data
        try:
            if self._session is None and self._received[0] >> 4 != packets.CONNECT:
                raise Malformed("the first packet is not CONNECT")
            while packet := packets.take_packet(self._received, MAX_PACKET_BYTES):
                self._take(*packet)
                if self._transport.is_closing():
                    return
        except Malformed as error:
            log.warning("connection closed", username=self._username, reason=str(error))
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._broker.strangers.discard(self)
        session = self._session
        if session is None or self._broker.connections.get(session.login.username) is not self:
            return
        del self._broker.connections[session.login.username]
        session.detach()
        if session.clean:
            self._broker.router.forget(session)
        if self.will is not None:
            self._broker.router.publish(session.login, self.will)

    def pause_writing(self) -> None:
        """The client does not read: send it nothing more, and take nothing it would want an answer to."""
        self._transport.pause_reading()
        if self._session is not None:
            self._session.paused = True

    def resume_writing(self) -> None:
        self._transport.resume_reading()
        if self._session is not None:
            self._session.paused = False
            self._session.pump()

    # --- the broker's side ---

    def abort(self) -> None:
        """End it at once, whatever is still to be sent."""
        self._transport.abort()
        self.connection_lost(None)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _send(self, packet: bytes) -> None:
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing += packet

    def _flush(self) -> None:
        if self._outgoing and not self._transport.is_closing():
            self._transport.write(bytes(self._outgoing))
        self._outgoing.clear()

    @property
    def _username(self) -> str | None:
        return self._session.login.username if self._session else None

    def _take(self, kind: int, flags: int, body: bytes) -> None:
        if self._session is None:
            self._on_connect(body)
        elif kind in self._handlers:
            self._handlers[kind](self._session, flags, body)
        else:
            raise Malformed(f"packet type {kind} is not expected from a client")

    def _on_connect(self, body: bytes) -> None:
        try:
            asked = packets.parse_connect(body)
        except packets.WrongProtocol:
            self._refuse(packets.WRONG_PROTOCOL)
            return
        login = self._broker.sign_in(asked)
        if isinstance(login, int):
            log.warning("sign-in refused", username=asked.username, code=login)
            self._refuse(login)
        else:
            self._accept(login, asked)

    def _refuse(self, code: int) -> None:
        self._send(packets.connack(code))
        self.close()

    def _accept(self, login: Login, asked: Connect) -> None:
        earlier = self._broker.connections.get(login.username)
        if earlier is not None:
            earlier.abort()
        self._broker.strangers.discard(self)
        self._broker.connections[login.username] = self
        self._session, present = self._broker.router.open(login, clean=asked.clean_session)
        self.will = asked.will
        self.patience_s = 1.5 * min(asked.keepalive_s or MAX_KEEPALIVE_S, MAX_KEEPALIVE_S)
        self._send(packets.connack(packets.ACCEPTED, session_present=present))
        self._session.attach(self._send)

    def _on_publish(self, session: Session, flags: int, body: bytes) -> None:
        message, packet_id = packets.parse_publish(flags, body)
        if not self._broker.router.publish(session.login, message):
            log.warning("publish refused", username=session.login.username)
        if message.qos:
            self._send(packets.puback(packet_id))

    def _on_subscribe(self, session: Session, _flags: int, body: bytes) -> None:
        packet_id, filters = packets.parse_subscribe(body)
        router = self._broker.router
        codes = [router.subscribe(session, topic_filter, qos) for topic_filter, qos in filters]
        self._send(packets.suback(packet_id, codes))

    def _on_unsubscribe(self, session: Session, _flags: int, body: bytes) -> None:
        packet_id, filters = packets.parse_unsubscribe(body)
        for topic_filter in filters:
            self._broker.router.unsubscribe(session, topic_filter)
        self._send(packets.unsuback(packet_id))

    def _on_disconnect(self, _session: Session, _flags: int, _body: bytes) -> None:
        self.will = None
        self.close()


def command(port: int, database: Path) -> list[str]:
    """The command line that runs this broker as a process of its own."""
    return [sys.executable, "-m", __spec__.name, "--port", str(port), "--database", str(database)]


def main() -> None:
    parser = argparse.ArgumentParser(description="MQTT broker of sc-stim demo, on loopback")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--database", type=Path, required=True, help="SQLite file with the table broker_login"
    )
    arguments = parser.parse_args()
    logs.configure("INFO")
    with closing(LoginTable(arguments.database)) as logins:
        asyncio.run(Broker(logins).serve(arguments.port))


if __name__ == "__main__":
    main()
