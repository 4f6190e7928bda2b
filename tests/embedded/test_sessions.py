"""Queues and routes of the embedded broker, without a socket."""

import uuid

import pytest

from sc_stim.devices.broker_access import Login, Role
from sc_stim.embedded import packets, sessions
from sc_stim.embedded.packets import Message
from sc_stim.embedded.sessions import Router, Session

DEVICE = str(uuid.UUID(int=10))
UP = f"scs/v1/a/{DEVICE}/up/telemetry"
STATE = f"scs/v1/a/{DEVICE}/up/state"


def login(username: str, role: Role) -> Login:
    return Login(username, role, "", "", 1)


INGEST = login("ingest-0-f-live", Role.INGEST)
SENDER = login(DEVICE, Role.DEVICE)


class Wire:
    """Stands for a client's socket: what the session sent, and an answer to it."""

    def __init__(self, session: Session) -> None:
        self.sent: list[tuple[bytes, int, bool]] = []
        self._session = session
        session.attach(self._on_packet)

    def _on_packet(self, packet: bytes) -> None:
        taken = packets.take_packet(bytearray(packet), 100_000)
        assert taken is not None
        _kind, flags, body = taken
        message, packet_id = packets.parse_publish(flags, body)
        self.sent.append((message.payload, packet_id, bool(flags & 8)))

    def acknowledge(self, count: int) -> None:
        for _payload, packet_id, _duplicate in list(self.sent[:count]):
            self._session.acknowledge(packet_id)

    @property
    def payloads(self) -> list[bytes]:
        return [payload for payload, _packet_id, _duplicate in self.sent]


@pytest.fixture
def router() -> Router:
    return Router()


def open_ingest(router: Router) -> Session:
    session, _present = router.open(INGEST, clean=False)
    assert router.subscribe(session, "scs/v1/+/+/up/#", 1) == 1
    return session


def send(router: Router, *payloads: bytes, topic: str = UP, retain: bool = False) -> None:
    for payload in payloads:
        assert router.publish(SENDER, Message(topic, payload, 1, retain))


def test_what_an_absent_client_missed_waits_for_it_in_order(router: Router) -> None:
    session = open_ingest(router)
    send(router, b"1", b"2", b"3")
    again, present = router.open(INGEST, clean=False)
    assert present and again is session
    assert Wire(again).payloads == [b"1", b"2", b"3"]


def test_what_was_not_acknowledged_comes_again_marked_and_before_all_else(router: Router) -> None:
    session = open_ingest(router)
    first = Wire(session)
    send(router, b"1", b"2", b"3")
    first.acknowledge(1)
    session.detach()
    send(router, b"4")
    assert Wire(session).sent == [(b"2", 2, True), (b"3", 3, True), (b"4", 4, False)]


def test_no_more_is_in_flight_than_the_client_must_hold(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "IN_FLIGHT", 2)
    wire = Wire(open_ingest(router))
    send(router, b"1", b"2", b"3", b"4")
    assert wire.payloads == [b"1", b"2"]
    wire.acknowledge(1)
    assert wire.payloads == [b"1", b"2", b"3"]


def test_a_full_queue_drops_what_is_new_and_counts_it(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "QUEUED", 2)
    session = open_ingest(router)
    send(router, b"1", b"2", b"3")
    assert Wire(session).payloads == [b"1", b"2"]
    assert session.dropped == 1


def test_packet_ids_start_over_without_meeting_one_in_flight(router: Router) -> None:
    session = open_ingest(router)
    wire = Wire(session)
    send(router, b"kept")
    for _ in range(0xFFFF):
        send(router, b"x")
        session.acknowledge(wire.sent.pop()[1])
    assert list(session.inflight) == [1]


def test_a_clean_session_forgets_and_keeps_nothing_while_absent(router: Router) -> None:
    open_ingest(router)
    send(router, b"1")
    session, present = router.open(INGEST, clean=True)
    assert not present
    assert Wire(session).payloads == []
    router.subscribe(session, "scs/v1/+/+/up/#", 1)
    session.detach()
    send(router, b"2")
    assert Wire(session).payloads == []


def test_one_message_comes_once_through_two_filters_that_match_it(router: Router) -> None:
    session = open_ingest(router)
    router.subscribe(session, f"scs/v1/a/{DEVICE}/up/#", 0)
    wire = Wire(session)
    send(router, b"1")
    assert wire.payloads == [b"1"]
    router.unsubscribe(session, f"scs/v1/a/{DEVICE}/up/#")
    router.unsubscribe(session, "scs/v1/+/+/up/#")
    send(router, b"2")
    assert wire.payloads == [b"1"]


def test_only_the_last_state_is_retained_and_an_empty_one_removes_it(router: Router) -> None:
    send(router, b"old", b"new", topic=STATE, retain=True)
    send(router, b"sample", retain=True)
    assert Wire(open_ingest(router)).payloads == [b"new"]
    send(router, b"", topic=STATE, retain=True)
    router.forget(router.sessions[INGEST.username])
    assert Wire(open_ingest(router)).payloads == []


def test_a_paused_client_gets_nothing_until_it_reads_again(router: Router) -> None:
    session = open_ingest(router)
    wire = Wire(session)
    session.paused = True
    send(router, b"1")
    assert wire.payloads == []
    session.paused = False
    session.pump()
    assert wire.payloads == [b"1"]


def test_hostile_topics_do_not_fill_the_memory_of_routes(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_ROUTES_KEPT", 10)
    wire = Wire(open_ingest(router))
    for number in range(25):
        send(router, b"%d" % number, topic=f"scs/v1/a/{DEVICE}/up/{number}")
    assert len(wire.payloads) == 25
    assert len(router._routes) <= 10
