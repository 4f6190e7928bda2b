"""Clocks, offline windows and a lossy network."""

import datetime as dt
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.cohort import Network
from simulators.connection import (
    BACK_WITHIN_S,
    FOREVER,
    REORDER_DELAY_S,
    DeviceClock,
    Faults,
    OfflineWindows,
    Window,
    scripted_windows,
)
from simulators.happenings import Silent
from simulators.seeds import stream
from tests.simulators.builders import BEGIN, DAY, create_patient, create_pump, create_stimulator

HOUR = dt.timedelta(hours=1)
SECOND = dt.timedelta(seconds=1)


def windows(hours: float = 6.0, scripted: list[Window] | None = None, seed: int = 1) -> OfflineWindows:
    return OfflineWindows(hours, stream(seed, "x"), BEGIN, scripted or [])


def test_a_skewed_clock_is_off_by_as_much_as_the_network_says_one_way_or_the_other() -> None:
    errors = {
        (DeviceClock.drawn(Network(skew_s=2820), stream(seed), BEGIN).shows(BEGIN) - BEGIN).total_seconds()
        for seed in range(30)
    }
    assert errors == {-2820.0, 2820.0}


def test_a_drifting_clock_gains_with_time() -> None:
    clock = DeviceClock(BEGIN, error_s=10, drift_ppm=100)
    assert clock.shows(BEGIN + DAY) - (BEGIN + DAY) == 10 * SECOND + 8.64 * SECOND


def test_a_clock_that_was_set_is_right_from_then_on_also_about_the_past() -> None:
    clock = DeviceClock(BEGIN, error_s=2820)
    clock.set(BEGIN + DAY, BEGIN + DAY)
    assert clock.shows(BEGIN + DAY) == BEGIN + DAY
    assert clock.shows(BEGIN) == BEGIN


def test_a_clock_set_by_a_late_command_is_late() -> None:
    clock = DeviceClock(BEGIN)
    clock.set(BEGIN + DAY, BEGIN + DAY - 5 * SECOND)
    assert clock.shows(BEGIN + DAY) == BEGIN + DAY - 5 * SECOND


def test_the_first_window_ends_shortly_after_the_start() -> None:
    window = windows().at(BEGIN)
    assert window is not None
    assert window.start == BEGIN - 6 * HOUR
    assert BEGIN < window.end <= BEGIN + BACK_WITHIN_S * SECOND
    assert windows().at(window.end) is None


@given(days=st.floats(1.1, 400), seed=st.integers(0, 99), hours=st.floats(0.5, 23))
def test_there_is_one_window_a_day_and_the_next_change_is_its_edge(
    days: float, seed: int, hours: float
) -> None:
    offline = windows(hours, seed=seed)
    at = BEGIN + days * DAY
    changes = []
    while len(changes) < 4:
        at = offline.next_change(at)
        changes.append(at)
    inside = [offline.at(at) is not None for at in changes]
    assert inside in ([True, False] * 2, [False, True] * 2)
    lengths = {
        later - earlier for earlier, later, away in zip(changes, changes[1:], inside, strict=False) if away
    }
    assert all(abs(length - hours * HOUR) < SECOND for length in lengths)
    assert changes[2] - changes[0] == DAY


def test_without_windows_there_is_no_change() -> None:
    assert windows(0.0).next_change(BEGIN) == FOREVER
    assert windows(0.0).at(BEGIN) is None


def test_the_script_silences_the_device_it_names() -> None:
    script = (Silent(at=BEGIN, for_days=2, device="pump"), Silent(at=BEGIN + 9 * DAY))
    patient = create_patient(*script, pump=create_pump(), stimulator=create_stimulator())
    assert scripted_windows(patient, "pump") == [
        Window(BEGIN, BEGIN + 2 * DAY),
        Window(BEGIN + 9 * DAY, FOREVER),
    ]
    assert scripted_windows(patient, "stimulator") == [Window(BEGIN + 9 * DAY, FOREVER)]
    silent = windows(0.0, scripted_windows(patient, "pump"))
    assert silent.at(BEGIN + DAY) == (BEGIN, BEGIN + 2 * DAY)
    assert silent.next_change(BEGIN + DAY) == BEGIN + 2 * DAY


def deliveries(count: int = 4000, **options: float) -> list[list[float]]:
    faults = Faults(Network(**options), 1, "S1")
    return [faults.deliveries() for _ in range(count)]


def test_a_sound_network_delivers_each_message_once_at_once() -> None:
    assert deliveries(50) == [[0.0]] * 50


def test_every_message_three_times() -> None:
    assert {len(copies) for copies in deliveries(duplicate=3.0)} == {3}


def test_fractions_of_copies_hold_on_average() -> None:
    assert statistics.mean(map(len, deliveries(duplicate=1.3))) == pytest.approx(1.3, abs=0.05)


def test_loss_and_reordering_hit_their_share() -> None:
    lost = [copies for copies in deliveries(loss=0.1) if not copies]
    late = [copies for copies in deliveries(reorder=0.2) if copies[0]]
    assert len(lost) / 4000 == pytest.approx(0.1, abs=0.02)
    assert len(late) / 4000 == pytest.approx(0.2, abs=0.03)
    assert all(REORDER_DELAY_S[0] <= copies[0] <= REORDER_DELAY_S[1] for copies in late)


def test_the_dice_are_seeded() -> None:
    options = {"loss": 0.1, "duplicate": 2.5, "reorder": 0.3}
    assert deliveries(100, **options) == deliveries(100, **options)


@pytest.mark.parametrize(
    ("field", "value"), [("loss", 1.0), ("loss", -0.1), ("reorder", 2), ("duplicate", 0.5), ("offline_h", 24)]
)
def test_an_impossible_network_is_refused_by_the_fields_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        Network(**{field: value})
