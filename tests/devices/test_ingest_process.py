"""The ingest process at real brokers: what is acknowledged when, and that nothing makes it deaf."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from sc_stim import clock
from sc_stim.devices import ingest_process, messages, topics
from sc_stim.devices.ingest import Receiver
from sc_stim.devices.ingest_process import Canary, LaneRunner, lanes
from sc_stim.devices.mqtt import Delivery, MqttSession, Refused
from sc_stim.models import Heartbeat
from tests.devices.mqtt_client import Client, connected
from tests.devices.test_ingest_commands import ask, states
from tests.intake import AT, Intake, Speaker, intake, intake_engines
from tests.servers import MqttBroker, wait_until

__all__ = ["intake", "intake_engines"]

SHARDS = "0-f"


@dataclass
class Stand:
    """An ingest process's lanes at a broker, and devices that speak to it."""

    intake: Intake
    broker: MqttBroker
    version: int

    def lanes(self) -> list[ingest_process.Lane]:
        return lanes(SHARDS, self.broker.url, "ingest", self.broker.ingest_password, None, self.version)

    def runner(self, faults: Callable[[str], None] = lambda _: None, which: int = 0) -> LaneRunner:
        return LaneRunner(self.lanes()[which], self.intake.engine, batch=100, faults=faults)

    def add(self) -> tuple[Speaker, str]:
        speaker = self.intake.add()
        return speaker, self.broker.add_device(speaker.public_id)


@pytest.fixture(params=["mosquitto-5", "mosquitto-3", "embedded_broker-3"])
def stand(request: pytest.FixtureRequest, intake: Intake, monkeypatch: pytest.MonkeyPatch) -> Stand:
    monkeypatch.setattr(ingest_process, "BACK_OFF_S", (0.05, 0.2))
    name, version = request.param.split("-")
    return Stand(intake, request.getfixturevalue(name), int(version))


mosquitto_only = pytest.mark.parametrize("stand", ["mosquitto-5"], indirect=True)


class Running:
    """A lane in a thread."""

    def __init__(self, runner: LaneRunner) -> None:
        self.runner = runner
        self.thread = threading.Thread(target=runner.run)

    def __enter__(self) -> LaneRunner:
        self.thread.start()
        return self.runner

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.runner.stop()
        self.thread.join(timeout=30)
        assert not self.thread.is_alive()


def ready(runner: LaneRunner) -> None:
    wait_until(lambda: runner._session.ready, "ingest to be subscribed")


def acks(client: Client) -> list[messages.Ack]:
    heard = [payload for topic, payload, _ in client.delivered if topic.endswith("down/ack")]
    return [messages.decode_ack(payload) for payload in heard]


def await_ack(client: Client, upto: int) -> None:
    wait_until(lambda: any(ack.upto == upto for ack in acks(client)), f"a stored-ack up to {upto}")


@pytest.fixture
def device(stand: Stand) -> Iterator[tuple[Speaker, Client]]:
    speaker, password = stand.add()
    with connected(stand.broker, speaker.public_id, password) as client:
        client.subscribe(topics.down(speaker.public_id, "ack"), topics.down(speaker.public_id, "command"))
        yield speaker, client


def publish(client: Client, delivery: Delivery) -> None:
    client.publish(delivery.topic, delivery.payload)


def test_what_waits_in_the_queue_is_stored_and_answered(stand: Stand, device: tuple[Speaker, Client]) -> None:
    pump, client = device
    with Running(stand.runner()) as runner:
        ready(runner)
    for seq in range(3):  # nobody listens now
        publish(client, pump.says(pump.item(seq)))
    wait_until(client.all_acknowledged, "the broker to have them")
    assert (stand.intake.stored(), acks(client)) == ([], [])
    with Running(stand.runner()):
        await_ack(client, 2)
    assert stand.intake.stored() == [(pump.id, "e1", seq) for seq in range(3)]


def test_history_has_a_lane_of_its_own(stand: Stand, device: tuple[Speaker, Client]) -> None:
    pump, client = device
    with Running(stand.runner(which=1)) as history:
        ready(history)
        publish(client, pump.says(pump.item(7), topic="history"))
        await_ack(client, 7)
        publish(client, pump.says(pump.item(8)))
        with Running(stand.runner()) as live:
            ready(live)
            publish(client, pump.says(pump.item(9)))
            await_ack(client, 9)


def test_while_the_database_is_away_nothing_is_acknowledged_and_all_comes_again(
    stand: Stand, device: tuple[Speaker, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    pump, client = device
    failures: list[int] = []
    receive = Receiver.receive

    def away(receiver: Receiver, batch: Any, delay: Any) -> Any:
        if len(failures) < 3:
            failures.append(len(batch))
            with stand.intake.engine.begin() as connection:
                connection.execute(text("SELECT * FROM no_such_table"))
        return receive(receiver, batch, delay)

    with Running(stand.runner()) as runner:
        ready(runner)
        monkeypatch.setattr(Receiver, "receive", away)
        for seq in range(5):
            publish(client, pump.says(pump.item(seq)))
        await_ack(client, 4)
    assert len(failures) == 3
    assert stand.intake.stored() == [(pump.id, "e1", seq) for seq in range(5)]


@pytest.mark.parametrize("place", ["reading", "writing"])
@mosquitto_only
def test_a_fault_of_ours_ends_no_thread(
    stand: Stand, device: tuple[Speaker, Client], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    pump, client = device
    victim = {"reading": (Canary, "returned"), "writing": (LaneRunner, "_commit")}[place]
    whole, broken = getattr(*victim), []

    def break_once(*args: Any) -> Any:
        if not broken:
            broken.append(1)
            raise RuntimeError("a fault of ours")
        return whole(*args)

    monkeypatch.setattr(*victim, break_once)
    with Running(stand.runner()) as runner:
        ready(runner)
        publish(client, pump.says(pump.item(0)))
        wait_until(lambda: broken, "the fault")
        await_ack(client, 0)
        publish(client, pump.says(pump.item(1)))
        await_ack(client, 1)


@mosquitto_only
def test_a_broker_that_goes_away_and_comes_back_is_found_again(
    stand: Stand, device: tuple[Speaker, Client]
) -> None:
    pump, _ = device
    password = stand.broker.add_device(pump.public_id)
    with Running(stand.runner()) as runner:
        ready(runner)
        stand.broker.restart()
        with connected(stand.broker, pump.public_id, password) as client:
            client.subscribe(topics.down(pump.public_id, "ack"))
            wait_until(
                lambda: runner._session.connection > 1 and runner._session.ready, "the lane to be back"
            )
            publish(client, pump.says(pump.item(0)))
            await_ack(client, 0)


def test_stopping_finishes_the_batch_with_its_acknowledgements(
    stand: Stand, device: tuple[Speaker, Client]
) -> None:
    pump, client = device
    writing, go_on = threading.Event(), threading.Event()

    def wait(point: str) -> None:
        if point == "after_insert":
            writing.set()
            go_on.wait(30)

    running = Running(stand.runner(wait))
    with running as runner:
        ready(runner)
        publish(client, pump.says(pump.item(0)))
        assert writing.wait(30)
        runner.stop()
        go_on.set()
    await_ack(client, 0)
    lane, redelivered = stand.lanes()[0], list[Delivery]()
    session = MqttSession(lane.address, lane.filters, redelivered.append)
    session.connect()
    publish(client, pump.says(pump.item(1)))
    while not redelivered:
        session.read(0.1)
    session.finish(redelivered)
    session.close()
    assert [b'"seq": 1' in delivery.payload for delivery in redelivered] == [True], (
        "the first was acknowledged"
    )


@mosquitto_only
def test_an_acknowledgement_of_an_earlier_connection_settles_nothing(
    stand: Stand, device: tuple[Speaker, Client]
) -> None:
    pump, client = device
    heard: list[Delivery] = []
    lane = stand.lanes()[0]
    session = MqttSession(lane.address, lane.filters, heard.append)

    def hear(count: int) -> list[bytes]:
        while len(heard) < count:
            session.read(0.1)
        return [delivery.payload for delivery in heard]

    def come_back() -> None:
        heard.clear()
        session.drop()
        session.connect()

    session.connect()
    sent = [pump.says(pump.item(seq)) for seq in range(3)]
    for delivery in sent:
        publish(client, delivery)
    payloads = [delivery.payload for delivery in sent]
    assert hear(3) == payloads
    stale = list(heard)
    come_back()
    assert hear(3) == payloads
    session.finish([*stale, heard[0]])
    session.read(0.1)
    come_back()
    assert hear(2) == payloads[1:], "only what this connection delivered was acknowledged"
    session.finish(heard)
    session.close()


@mosquitto_only
def test_wrong_credentials_are_named(stand: Stand) -> None:
    [lane, _] = lanes(SHARDS, stand.broker.url, "ingest", "wrong", None, stand.version)
    session = MqttSession(lane.address, lane.filters, print)
    with closing(session), pytest.raises(Refused, match=r"[Nn]ot authori[sz]ed|Bad user"):
        session.connect()


@mosquitto_only
def test_a_subscription_that_is_refused_is_named(stand: Stand) -> None:
    [lane, _] = stand.lanes()
    session = MqttSession(lane.address, [*lane.filters, "$SYS/#"], print)
    with closing(session), pytest.raises(Refused, match=r"refused to subscribe us to \$SYS/#"):
        session.connect()


def test_commands_go_out_and_signs_of_life_are_written(
    stand: Stand, device: tuple[Speaker, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_process, "HEARTBEAT_EVERY_S", 0.0)
    pump, client = device
    ask(stand.intake, pump, expires_at=clock.now() + dt.timedelta(hours=1))

    def beat() -> dict[str, Any]:
        rows = stand.intake.all(Heartbeat.__table__.select().where(Heartbeat.name == f"ingest:{SHARDS}"))
        return dict(rows[0].detail) if rows else {}

    with Running(stand.runner()):
        wait_until(lambda: any(topic.endswith("command") for topic, *_ in client.delivered), "the command")
        wait_until(lambda: beat().get("canary_age_s") is not None, "a canary that came back")
    assert states(stand.intake) == ["sent"]
    assert beat()["shards"] == SHARDS
    assert beat()["queue_delay_s"] < 30


def test_a_large_batch_is_cut_by_its_bytes(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_process, "MAX_BATCH_BYTES", 1000)
    runner, pump = stand.runner(), stand.intake.add()
    for seq in range(4):
        runner._inbox.put(pump.says(pump.item(seq), note="x" * 600))
    assert [len(runner._gather()) for _ in range(2)] == [2, 2]
    runner._session.close()


# --- the canary ---


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], dt.datetime]:
    """Set the clock to so many seconds after AT."""

    def at(seconds: float) -> dt.datetime:
        moment = AT + dt.timedelta(seconds=seconds)
        monkeypatch.setattr(clock, "now", lambda: moment)
        return moment

    return at


def test_the_canary_measures_the_queue(now: Callable[[float], dt.datetime]) -> None:
    canary = Canary()
    now(0)
    payload = canary.due() or b""
    assert (canary.queue_delay_s, canary.age_s, canary.due()) == (None, None, None)
    canary.returned(payload, now(0.5))
    assert canary.queue_delay_s == 0.5
    now(1.9)
    assert (canary.due(), canary.age_s) == (None, 1.4)
    now(2.0)
    assert canary.due()
    now(9.0)
    assert canary.queue_delay_s == 7.0, "the one on its way has waited for so long already"


def test_after_a_lost_connection_the_queue_is_unknown_until_a_new_canary_is_back(
    now: Callable[[float], dt.datetime],
) -> None:
    canary = Canary()
    now(0)
    old = canary.due() or b""
    canary.lose()
    now(1)
    new = canary.due() or b""
    canary.returned(old, now(1.1))
    assert canary.queue_delay_s is None, "it was sent to an earlier connection"
    canary.returned(new, now(1.3))
    assert canary.queue_delay_s == pytest.approx(0.3)
