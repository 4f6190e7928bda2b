from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.devices.clock import (
    AGREE_S,
    FUTURE_TOLERANCE,
    SHORT_QUEUE_S,
    UNCORRECTED_S,
    ClockEstimate,
    Verdict,
    measured_at,
    observe,
    verdict,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
SHORT, LONG, UNKNOWN = 0.5, 6 * HOUR, None
NEW = ClockEstimate()


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def hear(
    estimate: ClockEstimate, *, sent: float, error: float, delay: float = 0.0, queue: float | None = SHORT
) -> ClockEstimate:
    """One message sent `sent` seconds after noon by a clock that is off by `error`, `delay` seconds on the way."""
    return observe(estimate, after(sent + error), after(sent + delay), queue)


def settled(error: float, *, start: float = 0.0, every: float = MINUTE) -> ClockEstimate:
    """What three messages through a short queue teach."""
    estimate = NEW
    for number in range(3):
        estimate = hear(estimate, sent=start + number * every, error=error, delay=0.3)
    return estimate


def judge(
    estimate: ClockEstimate,
    *,
    at: float,
    sent: float | None,
    received: float = 0.0,
    queue: float | None = SHORT,
) -> Verdict:
    return verdict(estimate, after(at), None if sent is None else after(sent), after(received), queue)


# --- what is learned ---

delays = st.floats(min_value=0, max_value=10 * DAY)
queues = st.none() | st.floats(min_value=0, max_value=10 * DAY)
errors = st.floats(min_value=-5 * DAY, max_value=DAY - 1)


@given(errors, st.lists(st.tuples(delays, queues), min_size=1, max_size=30))
def test_no_queue_makes_a_clock_look_further_ahead_than_it_is(
    error: float, messages: list[tuple[float, float | None]]
) -> None:
    estimate = NEW
    for number, (delay, queue) in enumerate(messages):
        estimate = hear(estimate, sent=number * MINUTE, error=error, delay=delay, queue=queue)
        assert estimate.error_s is None or estimate.error_s <= error + 1e-3


@given(
    errors, st.lists(st.floats(min_value=0, max_value=SHORT_QUEUE_S), min_size=3, max_size=30), st.randoms()
)
def test_through_a_short_queue_the_error_is_found_in_any_order_of_arrival(
    error: float, late: list[float], random: Random
) -> None:
    messages = list(enumerate(late))
    random.shuffle(messages)
    estimate = NEW
    for number, delay in messages:
        estimate = hear(estimate, sent=number * MINUTE, error=error, delay=delay, queue=SHORT_QUEUE_S)
    assert estimate.certain
    assert estimate.error_s is not None
    assert error - SHORT_QUEUE_S - 1e-3 <= estimate.error_s <= error + 1e-3


def test_47_minutes_behind_is_learned_from_three_messages() -> None:
    estimate = settled(-47 * MINUTE)
    assert estimate.certain
    assert estimate.error_s == pytest.approx(-47 * MINUTE, abs=1)


def test_one_late_message_is_no_slow_clock() -> None:
    estimate = hear(NEW, sent=0, error=0, delay=47 * MINUTE)
    assert not estimate.certain
    assert estimate.correction == timedelta(0)


@pytest.mark.parametrize("queue", [UNKNOWN, LONG])
def test_six_hours_of_queue_draining_do_not_move_an_established_estimate(queue: float | None) -> None:
    estimate = settled(-90.0)
    drained = estimate
    for number in range(360):  # sent every minute for six hours, all received within seconds
        sent = HOUR + number * MINUTE
        drained = hear(drained, sent=sent, error=-90.0, delay=7 * HOUR - sent + number / 100, queue=queue)
    assert drained == estimate


def test_a_queue_draining_at_the_start_teaches_nothing_until_it_is_empty() -> None:
    estimate = NEW
    for number in range(360):
        estimate = hear(estimate, sent=number * MINUTE, error=0, delay=(360 - number) * MINUTE, queue=LONG)
        assert not estimate.certain
    assert hear(estimate, sent=DAY, error=0, delay=0.2).error_s == pytest.approx(-0.2)


def test_messages_a_device_held_back_and_sent_in_a_burst_are_no_slow_clock() -> None:
    estimate = NEW
    for number in range(100):  # one a second, 47 minutes ago; a hundred a second now
        estimate = hear(estimate, sent=number, error=0, delay=47 * MINUTE - number + number / 100)
    assert not estimate.certain


def test_the_same_message_delivered_again_and_again_is_no_slow_clock() -> None:
    estimate = hear(NEW, sent=0, error=0, delay=47 * MINUTE)
    for again in range(1, 5):
        estimate = hear(estimate, sent=0, error=0, delay=47 * MINUTE + 10 * again)
    assert not estimate.certain


def test_a_device_ahead_is_known_at_once_even_through_a_long_queue() -> None:
    estimate = hear(NEW, sent=0, error=2 * HOUR, delay=HOUR, queue=LONG)
    assert (estimate.certain, estimate.error_s) == (True, HOUR)
    assert hear(estimate, sent=MINUTE, error=2 * HOUR).error_s == 2 * HOUR


@pytest.mark.parametrize("drift_s_per_day", [-8.0, 8.0])
def test_slow_drift_is_followed(drift_s_per_day: float) -> None:
    estimate, error = NEW, 0.0
    for hour in range(60 * 24):
        error = drift_s_per_day * hour / 24
        estimate = hear(estimate, sent=hour * HOUR, error=error, delay=0.3)
    assert estimate.error_s == pytest.approx(error, abs=AGREE_S + 2)


@pytest.mark.parametrize(("before", "now"), [(2 * HOUR, 0.0), (0.0, -HOUR), (-HOUR, 0.0), (0.0, HOUR)])
def test_a_clock_that_was_set_is_learned_anew(before: float, now: float) -> None:
    estimate = settled(before)
    for number in range(3):
        estimate = hear(estimate, sent=DAY + number * MINUTE, error=now, delay=0.2)
    assert estimate.certain
    assert estimate.error_s == pytest.approx(now, abs=1)


@pytest.mark.parametrize("error", [25 * HOUR, -31 * DAY])
def test_an_impossible_clock_teaches_nothing(error: float) -> None:
    assert hear(NEW, sent=0, error=error) == NEW


def test_a_message_without_its_time_of_sending_teaches_nothing() -> None:
    assert observe(settled(0), None, NOON, SHORT) == settled(0)


@given(errors, st.lists(st.tuples(delays, queues), max_size=5))
def test_an_estimate_is_read_back_from_its_json(
    error: float, messages: list[tuple[float, float | None]]
) -> None:
    estimate = NEW
    for number, (delay, queue) in enumerate(messages):
        estimate = hear(estimate, sent=number * MINUTE, error=error, delay=delay, queue=queue)
    stored = msgspec.json.encode(estimate.to_json())
    assert ClockEstimate.from_json(msgspec.json.decode(stored)) == estimate
    assert len(stored) < 250


def test_a_device_not_heard_yet_has_an_empty_estimate() -> None:
    assert ClockEstimate.from_json(None) == NEW
    assert (NEW.error_s, NEW.certain) == (None, False)


# --- what it is used for ---


@given(errors, st.floats(min_value=0, max_value=30 * DAY), st.lists(st.tuples(delays, queues), max_size=10))
def test_no_correction_puts_a_reading_before_it_was_taken(
    error: float, age: float, messages: list[tuple[float, float | None]]
) -> None:
    estimate = NEW
    for number, (delay, queue) in enumerate(messages):
        estimate = hear(estimate, sent=number * MINUTE, error=error, delay=delay, queue=queue)
    corrected = measured_at(estimate, after(error - age), NOON)
    without = min(after(error - age), NOON + FUTURE_TOLERANCE)
    assert corrected >= min(after(-age), without) - timedelta(seconds=0.001)


def test_a_slow_clock_is_corrected() -> None:
    estimate = settled(-47 * MINUTE)
    corrected = measured_at(estimate, after(-47 * MINUTE - 600), NOON)
    assert abs(corrected - after(-600)) < timedelta(seconds=1)


def test_an_error_as_small_as_the_network_makes_is_left_alone() -> None:
    estimate = settled(-UNCORRECTED_S / 2)
    assert measured_at(estimate, after(-600), NOON) == after(-600)


@given(st.datetimes(timezones=st.just(UTC)), errors)
def test_a_reading_is_never_in_the_future_whatever_the_device_says(device_at: datetime, error: float) -> None:
    for estimate in (NEW, settled(error)):
        assert measured_at(estimate, device_at, NOON) <= NOON + FUTURE_TOLERANCE


@pytest.mark.parametrize(
    ("at", "sent", "queue"),
    [
        pytest.param(-600, 25 * HOUR, SHORT, id="ahead by more than a day"),
        pytest.param(-600, 25 * HOUR, LONG, id="ahead by more than a day, whatever the queue"),
        pytest.param(-31 * DAY, -31 * DAY, SHORT, id="behind by more than 30 days"),
        pytest.param(301, 0, SHORT, id="measured after it was sent"),
        pytest.param(-17 * 365 * DAY, 0, SHORT, id="before 2010"),
        pytest.param(25 * HOUR, None, SHORT, id="no time of sending, and tomorrow"),
    ],
)
def test_impossible_times(at: float, sent: float | None, queue: float | None) -> None:
    assert judge(NEW, at=at, sent=sent, queue=queue) == Verdict.IMPOSSIBLE


@pytest.mark.parametrize(
    ("at", "sent", "received", "queue"),
    [
        pytest.param(-600, 0, 0.2, SHORT, id="live"),
        pytest.param(-30 * DAY, 0, 0.2, SHORT, id="back-filled"),
        pytest.param(-8 * 365 * DAY, 0, 0.2, SHORT, id="a diary entry of eight years ago"),
        pytest.param(299, 0, 0.2, SHORT, id="a clock that ticks between measuring and sending"),
        pytest.param(0, 0, 6 * HOUR, 6 * HOUR, id="a queue that explains the delay"),
        pytest.param(-60 * DAY, -60 * DAY, 0, 60 * DAY, id="a queue of two months"),
        pytest.param(-600, None, 0, SHORT, id="no time of sending"),
    ],
)
def test_times_that_are_as_they_should_be(
    at: float, sent: float | None, received: float, queue: float
) -> None:
    assert judge(settled(0), at=at, sent=sent, received=received, queue=queue) == Verdict.OK


def test_a_known_error_is_corrected_and_no_cause_for_suspicion() -> None:
    estimate = settled(-47 * MINUTE)
    assert judge(estimate, at=-48 * MINUTE, sent=-47 * MINUTE) == Verdict.CORRECTED


@pytest.mark.parametrize("queue", [SHORT, UNKNOWN])
@pytest.mark.parametrize("estimate", [NEW, settled(0), settled(2 * HOUR)])
def test_a_message_later_than_clock_and_queue_explain_is_suspect(
    estimate: ClockEstimate, queue: float | None
) -> None:
    assert judge(estimate, at=-50 * MINUTE, sent=-47 * MINUTE, queue=queue) == Verdict.SUSPECT


def test_a_month_behind_is_possible_while_the_queue_is_not_known() -> None:
    assert judge(NEW, at=-31 * DAY, sent=-31 * DAY, queue=UNKNOWN) == Verdict.SUSPECT
