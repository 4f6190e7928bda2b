"""What decides when: timers, the pace of courses, and how a port waits for a broker that is away."""

import datetime as dt
import random
import selectors

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.devices.records import Command
from simulators.agent import Agent
from simulators.course import Course
from simulators.link import Broker
from simulators.pace import Pace
from simulators.port import LONGEST_WAIT_S, Port
from simulators.timers import Timers
from tests.servers import free_port
from tests.simulators.builders import BEGIN, DAY, create_cohort, create_patient, create_stimulator

SECOND = dt.timedelta(seconds=1)

# --- timers


@given(st.lists(st.floats(0, 100)), st.floats(0, 100))
def test_what_is_due_is_done_in_order_and_the_rest_waits(due: list[float], now: float) -> None:
    timers, done = Timers(), []
    for at in due:
        timers.at(at, lambda at=at: done.append(at))
    timers.run_due(now)
    assert done == sorted(at for at in due if at <= now)
    later = [at for at in due if at > now]
    assert timers.sleep_s(now, at_most=50.0) == pytest.approx(min([50.0, *(at - now for at in later)]))


def test_an_action_that_asks_for_now_waits_for_the_next_turn() -> None:
    timers, done = Timers(), []

    def again() -> None:
        done.append(len(done))
        timers.at(0.0, again)

    timers.at(0.0, again)
    timers.run_due(1.0)
    assert done == [0]
    assert timers.sleep_s(1.0, at_most=5.0) == 0.0


# --- pace


def test_courses_follow_true_time() -> None:
    pace = Pace(began_s=100.0, began_at=BEGIN, start=BEGIN - DAY)
    assert pace.target(160.0) == pace.true_time(160.0) == BEGIN + 60 * SECOND
    assert pace.due_s(BEGIN + 60 * SECOND) == 160.0


def test_with_a_speed_they_begin_at_the_start_and_catch_up() -> None:
    pace = Pace(began_s=0.0, began_at=BEGIN, start=BEGIN - DAY, speed=8641.0)
    assert pace.target(0.0) == BEGIN - DAY
    assert pace.target(5.0) == BEGIN - DAY + 5 * 8641 * SECOND
    assert pace.target(10.0) == pace.true_time(10.0) == BEGIN + 10 * SECOND
    assert pace.target(60.0) == BEGIN + 60 * SECOND


def test_with_an_end_they_stop_there() -> None:
    pace = Pace(began_s=0.0, began_at=BEGIN + DAY, start=BEGIN - DAY, end=BEGIN)
    assert pace.target(60.0) == BEGIN
    assert pace.due_s(BEGIN) is not None
    assert pace.due_s(BEGIN + SECOND) is None


@given(st.floats(-86_000, 86_000), st.one_of(st.none(), st.floats(1.5, 1e6)))
def test_what_is_due_is_within_the_target(ahead_s: float, speed: float | None) -> None:
    pace = Pace(began_s=7.0, began_at=BEGIN, start=BEGIN - DAY, speed=speed)
    at = BEGIN + ahead_s * SECOND
    due_s = pace.due_s(at)
    assert due_s is not None
    assert abs(pace.target(max(due_s, 7.0)) - at) < SECOND / 1000 or due_s < 7.0


# --- a port


class Around:
    """Surroundings of one port, with a clock that jumps from timer to timer."""

    def __init__(self) -> None:
        self.timers = Timers()
        self.rng = random.Random(1)
        self.history_end = BEGIN
        self.attempts: list[float] = []
        self.at_s = 0.0

    def now_s(self) -> float:
        return self.at_s

    def true_time(self) -> dt.datetime:
        return BEGIN + self.at_s * SECOND

    def connect_delay_s(self) -> float:
        return 0.0

    def may_connect(self) -> bool:
        return True

    def note_reachable(self) -> None:
        pytest.fail("there is no broker")

    def note_unreachable(self, error: OSError) -> None:
        self.attempts.append(self.at_s)

    def note_change(self, port: Port) -> None: ...

    def note_stored(self, port: Port, records: int) -> None: ...

    def note_command(self, port: Port, command: Command, at: dt.datetime) -> None: ...

    def advance(self, port: Port) -> None: ...

    def run_until(self, at_s: float) -> None:
        while self.at_s < at_s:
            self.timers.run_due(self.at_s)
            self.at_s += max(1e-3, self.timers.sleep_s(self.at_s, at_most=at_s - self.at_s))


def test_a_port_waits_longer_and_longer_for_a_broker_that_is_away() -> None:
    patient = create_patient(stimulator=create_stimulator())
    cohort = create_cohort(patient, days=0)
    agent = Agent(patient.devices[0], Course(patient, cohort), cohort)
    around = Around()
    with selectors.DefaultSelector() as selector:
        port = Port(agent, "secret", Broker.of(f"mqtt://127.0.0.1:{free_port()}"), selector, around)
        port.review_at_changes()
        around.run_until(3600.0)
        assert not selector.get_map()
    waits = [later - earlier for earlier, later in zip(around.attempts, around.attempts[1:], strict=False)]
    assert waits[0] < 1.1
    assert LONGEST_WAIT_S / 2 <= waits[-1] <= LONGEST_WAIT_S
    assert len(around.attempts) < 3600 / (LONGEST_WAIT_S / 2) + 10


@pytest.mark.parametrize(
    "url",
    ["localhost:1883", "http://x:1", "mqtt://", "mqtt://user:pw@x:1", "mqtt://x/topic", "mqtt://x:port"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"mqtt://host:port|port"):
        Broker.of(url)


def test_addresses_have_usual_ports_and_tls_where_asked_for() -> None:
    plain, secure = Broker.of("mqtt://broker.example"), Broker.of("mqtts://broker.example", version="5")
    assert (plain.host, plain.port, plain.tls) == ("broker.example", 1883, None)
    assert secure.port == 8883
    assert secure.tls is not None
    assert secure.tls.check_hostname
