"""What the embedded broker remembers: each account's session with its queue, and the retained messages.

No sockets here: a connected session has a ``send`` function, an absent one has none and its queue grows.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from sc_stim.devices.broker_access import Act, Login, allows, covers, may_retain

from .packets import SUBSCRIPTION_REFUSED, Message, publish

IN_FLIGHT = 500
"""Messages at a client that it has not acknowledged: the bound of what it must hold."""

QUEUED = 200_000
"""Messages kept for one client. Past it new ones are dropped; devices keep theirs until they are stored."""

_ROUTES_KEPT = 20_000


class Session:
    """One account at the broker. ``inflight`` is what was sent and not yet acknowledged, by packet id."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.clean = True
        self.filters: dict[str, int] = {}
        self.waiting: deque[Message] = deque()
        self.inflight: dict[int, Message] = {}
        self.dropped = 0
        self.paused = False
        self._send: Callable[[bytes], None] | None = None
        self._last_id = 0

    def attach(self, send: Callable[[bytes], None]) -> None:
        """The client is here: what it has not acknowledged goes again, then what waits."""
        self._send, self.paused = send, False
        for packet_id, message in self.inflight.items():
            send(publish(message, packet_id, duplicate=True))
        self.pump()

    def detach(self) -> None:
        self._send = None

    def offer(self, message: Message) -> None:
        if self._send is None and (self.clean or not message.qos):
            return
        if len(self.waiting) >= QUEUED:
            self.dropped += 1
            return
        self.waiting.append(message)
        self.pump()

    def acknowledge(self, packet_id: int) -> None:
        self.inflight.pop(packet_id, None)
        self.pump()

    def pump(self) -> None:
        """Send what waits, as far as the client and its socket take it."""
        while self._send and self.waiting and not self.paused and len(self.inflight) < IN_FLIGHT:
            message = self.waiting.popleft()
            packet_id = self._next_id() if message.qos else 0
            if message.qos:
                self.inflight[packet_id] = message
            self._send(publish(message, packet_id))

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % 0xFFFF + 1
            if self._last_id not in self.inflight:
                return self._last_id


class Router:
    """All sessions, and who gets what. Each publish, subscription and delivery is held against the rules."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self._retained: dict[str, Message] = {}
        self._routes: dict[str, list[tuple[Session, int]]] = {}

    def open(self, login: Login, *, clean: bool) -> tuple[Session, bool]:
        """The account's session, and whether it was there before; ``clean`` begins a new one."""
        session = self.sessions.get(login.username)
        present = session is not None and not clean and not session.clean
        if session is None or not present:
            session = self.sessions[login.username] = Session(login)
            self._routes.clear()
        session.login, session.clean = login, clean
        return session, present

    def forget(self, session: Session) -> None:
        if self.sessions.get(session.login.username) is session:
            del self.sessions[session.login.username]
            self._routes.clear()

    def publish(self, login: Login, message: Message) -> bool:
        """Pass the message on; False if the account may not publish there."""
        if not allows(login.username, login.role, Act.PUBLISH, message.topic):
            return False
        if message.retain and may_retain(message.topic):
            self._retain(message)
        passing = replace(message, retain=False) if message.retain else message
        for session, qos in self._route(message.topic):
            session.offer(passing if passing.qos <= qos else replace(passing, qos=qos))
        return True

    def subscribe(self, session: Session, topic_filter: str, qos: int) -> int:
        """The code for the SUBACK. Retained messages follow through the session's queue."""
        login = session.login
        if not allows(login.username, login.role, Act.SUBSCRIBE, topic_filter):
            return SUBSCRIPTION_REFUSED
        granted = min(qos, 1)
        session.filters[topic_filter] = granted
        self._routes.clear()
        for topic, message in self._retained.items():
            if covers(topic_filter, topic) and self._may_receive(session, topic):
                session.offer(replace(message, qos=min(message.qos, granted)))
        return granted

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        session.filters.pop(topic_filter, None)
        self._routes.clear()

    def _retain(self, message: Message) -> None:
        if message.payload:
            self._retained[message.topic] = message
        else:
            self._retained.pop(message.topic, None)

    def _route(self, topic: str) -> list[tuple[Session, int]]:
        if topic not in self._routes:
            if len(self._routes) >= _ROUTES_KEPT:
                self._routes.clear()
            self._routes[topic] = [
                found for session in self.sessions.values() if (found := self._reach(session, topic))
            ]
        return self._routes[topic]

    def _reach(self, session: Session, topic: str) -> tuple[Session, int] | None:
        granted = [qos for topic_filter, qos in session.filters.items() if covers(topic_filter, topic)]
        return (session, max(granted)) if granted and self._may_receive(session, topic) else None

    @staticmethod
    def _may_receive(session: Session, topic: str) -> bool:
        return allows(session.login.username, session.login.role, Act.RECEIVE, topic)
