"""The stimulator: usage, battery, leads and what the patient feels."""

import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.emission import Emission
from simulators.stimulator import OPEN_OHM, StimulatorSim
from tests.simulators.builders import BEGIN, DAY, create_stimulator


def running(**options: Any) -> StimulatorSim:
    return StimulatorSim(create_stimulator(**options), seed=1, begin=BEGIN)


def kinds(emissions: list[Emission]) -> list[str]:
    return [emission.body["kind"] for emission in emissions]


@settings(max_examples=50, deadline=None)
@given(
    duty=st.floats(0.05, 1),
    usage=st.floats(0, 1),
    hours=st.lists(st.floats(0.1, 80), min_size=1, max_size=20),
    acts=st.lists(
        st.sampled_from(["switch_off", "switch_on", "stop_charging", "resume_charging"]), max_size=20
    ),
)
def test_stimulation_is_never_longer_than_the_time_that_passed(
    duty: float, usage: float, hours: list[float], acts: list[str]
) -> None:
    device = running(duty=duty, usage=usage)
    for length, act in zip(hours, [*acts, *["switch_on"] * len(hours)], strict=False):
        getattr(device, act)()
        device.advance(device.at + dt.timedelta(hours=length))
        sample = device.sample().body
        assert 0 <= sample["on_s"] <= length * 3600 + 0.1
        assert 0 <= sample["battery_pct"] <= 100


def test_an_off_device_counts_no_stimulation() -> None:
    device = running()
    device.switch_off()
    device.advance(BEGIN + DAY)
    assert device.sample().body["on_s"] == 0.0


def test_a_cycling_device_says_so_and_counts_only_its_pulses() -> None:
    device = running(duty=0.25)
    device.advance(BEGIN + dt.timedelta(hours=4))
    sample = device.sample().body
    assert sample["state"] == "cycling"
    assert sample["on_s"] == pytest.approx(3600)


def test_a_rechargeable_device_is_charged_when_it_is_low() -> None:
    device = running(drain=20)
    charged = 0.0
    for _ in range(40):
        device.advance(device.at + DAY)
        charged += device.sample().body["charged_s"]
    assert charged > 3600
    assert device.state == "on"


def test_without_charging_it_warns_then_stops_and_the_pain_comes_back() -> None:
    device = running(drain=20)
    device.stop_charging()
    told = device.advance(BEGIN + 10 * DAY)
    assert set(kinds(told)) == {"charge_missed"}
    assert device.state == "off"
    assert device.sample().body["battery_pct"] == 0.0
    assert device.lost_points(device.at) == 3.0


def test_charging_an_empty_device_brings_stimulation_back() -> None:
    device = running(drain=20)
    device.stop_charging()
    device.advance(BEGIN + 10 * DAY)
    device.resume_charging()
    told = device.advance(BEGIN + 20 * DAY)
    assert ("charge_missed", "cleared") in [(e.body["kind"], e.body.get("state")) for e in told]
    assert device.state == "on"
    assert device.lost_points(device.at) == 0.0


def test_a_primary_cell_runs_down_announces_replacement_and_ends() -> None:
    device = running(rechargeable=False, eri_at=BEGIN + 100 * DAY)
    first = device.sample().body
    assert "charged_s" not in first
    told = device.advance(BEGIN + 200 * DAY)
    last = device.sample().body
    assert kinds(told) == ["eri", "eos"]
    assert last["battery_v"] < first["battery_v"]
    assert last["state"] == "off"
    assert device.switch_on() == []
    assert device.state == "off"


def test_impedance_is_measured_once_a_day_and_wanders_slowly() -> None:
    device = running()
    readings = []
    for _ in range(4 * 60):
        device.advance(device.at + DAY / 4)
        readings.append(device.sample().body.get("impedance_ohm"))
    measured = [reading for reading in readings if reading]
    assert 55 <= len(measured) <= 62
    changes = [abs(later[0] / earlier[0] - 1) for earlier, later in itertools.pairwise(measured)]
    assert max(changes) < 0.15
    assert len({reading[0] for reading in measured}) > 20


def test_a_fracture_opens_its_contacts_alone_and_pain_comes_within_days() -> None:
    device = running()
    device.fracture((3,), points=2.5, onset_days=1.0)
    reading = device.sample().body["impedance_ohm"]
    assert [contact for contact, ohm in enumerate(reading) if ohm > 10_000] == [3]
    assert reading[3] == pytest.approx(OPEN_OHM, rel=0.1)
    assert device.lost_points(BEGIN) == 0.0
    assert device.lost_points(BEGIN + DAY / 2) == pytest.approx(1.25)
    assert device.lost_points(BEGIN + 3 * DAY) == 2.5


def test_a_migration_brings_pain_without_a_change_of_impedance() -> None:
    device = running()
    device.migrate(points=2.0, onset_days=0.0)
    assert max(device.sample().body["impedance_ohm"]) < 1000
    assert device.lost_points(BEGIN + DAY) == 2.0


def test_closed_loop_leaves_its_window_when_a_lead_moves() -> None:
    device = running(closed_loop=True)
    before = device.sample().body["ecap_in_window_pct"]
    device.migrate(points=2.0, onset_days=0.0)
    assert device.sample().body["ecap_in_window_pct"] < 60 < before


def test_mri_mode_that_is_not_left_stays_in_every_sample_and_pain_returns() -> None:
    device = running()
    device.enter_mri()
    device.advance(BEGIN + 2 * DAY)
    sample = device.sample().body
    assert sample["state"] == "mri"
    assert sample["on_s"] == 0.0
    assert "impedance_ohm" not in sample
    assert device.lost_points(device.at) == 3.0


def test_an_empty_device_stays_off_after_a_scan() -> None:
    device = running(drain=20)
    device.stop_charging()
    device.advance(BEGIN + 10 * DAY)
    device.enter_mri()
    assert kinds(device.leave_mri()) == ["mri_left"]
    assert device.state == "off"


def test_a_new_programme_is_reported_as_set() -> None:
    device = running()
    told = device.change_program("B", 3.1)
    assert kinds(told) == ["session_opened", "program_changed", "session_closed"]
    sample = device.sample().body
    assert (sample["program"], sample["amplitude_ma"]) == ("B", 3.1)


def test_an_act_outside_the_table_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="leave_mri is impossible while on"):
        running().leave_mri()


def test_a_missed_charge_is_over_with_the_next_charge() -> None:
    device = running()
    told = device.advance(BEGIN + 200 * DAY)
    changes = [emission.body["state"] for emission in told if emission.body["kind"] == "charge_missed"]
    assert {"raised", "cleared"} == set(changes)
    assert all(earlier == "raised" for earlier, later in itertools.pairwise(changes) if later == "cleared")
    assert not device.flat
