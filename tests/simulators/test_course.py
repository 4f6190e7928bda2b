"""A patient's course: one time line, the same whenever it is run and at whatever pace."""

import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sc_stim.devices.records import EventKind, PumpSample, Score, StimulatorSample
from simulators.cohort import Patient
from simulators.course import Course
from simulators.happenings import AnyHappening, MemoryReset, MriScan, Stall
from tests.simulators.builders import (
    BEGIN,
    DAY,
    create_cohort,
    create_patient,
    create_pump,
    create_stimulator,
    events_of,
    samples_of,
    told_by,
)

HOUR = dt.timedelta(hours=1)


def both(*script: AnyHappening, **habits: Any) -> Patient:
    pump = create_pump(bolus_ml=0.02, max_boluses=4, lockout_min=60, requests=5)
    return create_patient(
        *script, pump=pump, stimulator=create_stimulator(closed_loop=True), sd=1.0, **habits
    )


def test_the_same_seed_gives_the_same_records_and_another_seed_others() -> None:
    assert told_by(both(), seed=7) == told_by(both(), seed=7)
    assert told_by(both(), seed=7) != told_by(both(), seed=8)


@settings(max_examples=15, deadline=None)
@given(hours=st.lists(st.floats(0.01, 70), min_size=1, max_size=30))
def test_a_course_tells_the_same_at_any_pace(hours: list[float]) -> None:
    patient = both(MriScan(at=BEGIN + 3 * DAY), MemoryReset(at=BEGIN + 4 * DAY))
    cohort = create_cohort(patient, days=20)
    slow, fast = Course(patient, cohort), Course(patient, cohort)
    told = [one for length in hours for one in slow.advance(slow.position + length * HOUR)]
    assert told == fast.advance(slow.position)


def test_samples_come_at_the_historys_interval_and_then_at_the_live_one() -> None:
    cohort = create_cohort(both(), days=10, history_interval_s=21_600, report_interval_s=600)
    told = Course(cohort.patients[0], cohort).advance(cohort.now + DAY)
    times = [t.emission.at for t in told if t.slot == "pump" and t.emission.kind == "sample"]
    history = [later - earlier for earlier, later in itertools.pairwise(times) if later < cohort.now]
    live = [later - earlier for earlier, later in itertools.pairwise(times) if earlier >= cohort.now]
    assert set(history) == {6 * HOUR}
    assert live[0] <= HOUR / 6  # it reports when it goes live, and then falls into a rhythm of its own
    assert set(live[1:]) == {HOUR / 6}
    assert min(at for at in times if at >= cohort.now) <= cohort.now + HOUR / 120


def test_every_body_is_one_that_the_protocol_knows() -> None:
    patient = both(MriScan(at=BEGIN + 3 * DAY), Stall(at=BEGIN + 5 * DAY, recovers_after_h=3))
    fields = {
        ("pump", "sample"): set(PumpSample.__struct_fields__),
        ("stimulator", "sample"): set(StimulatorSample.__struct_fields__),
        ("stimulator", "score"): set(Score.__struct_fields__),
    }
    for slot, emission in told_by(patient):
        if emission.kind == "event":
            assert emission.body["kind"] in EventKind.__args__
        else:
            assert emission.body.keys() <= fields[slot, emission.kind]


def test_what_happened_before_the_history_is_in_effect_but_not_told() -> None:
    patient = create_patient(pump=create_pump(flow=0.5))
    cohort = create_cohort(patient, days=30)
    late = type(cohort)(**{f: getattr(cohort, f) for f in cohort.__struct_fields__} | {"days": 3.0})
    told = Course(patient, late).advance(late.now)
    assert min(t.emission.at for t in told) >= late.start
    assert samples_of(told)[0]["reservoir_ml"] == pytest.approx(20 - 0.5 * 27, abs=0.5)


def test_an_interrogation_adds_one_sample_at_that_moment() -> None:
    cohort = create_cohort(both(), days=2)
    plain, asked = Course(cohort.patients[0], cohort), Course(cohort.patients[0], cohort)
    at = cohort.now - dt.timedelta(minutes=17)
    asked.interrogate("pump", at)
    usual = [
        t.emission.at for t in plain.advance(cohort.now) if t.slot == "pump" and t.emission.kind == "sample"
    ]
    more = [
        t.emission.at for t in asked.advance(cohort.now) if t.slot == "pump" and t.emission.kind == "sample"
    ]
    assert sorted([*usual, at]) == more


def test_a_new_report_interval_holds_from_then_on_for_that_device_alone() -> None:
    cohort = create_cohort(both(), days=1)
    course = Course(cohort.patients[0], cohort)
    course.set_interval("pump", cohort.now + DAY, 3600)
    told = course.advance(cohort.now + 2 * DAY)
    late = [t for t in told if t.emission.at > cohort.now + DAY and t.emission.kind == "sample"]
    assert len([t for t in late if t.slot == "pump"]) == 24
    assert len([t for t in late if t.slot == "stimulator"]) == 24 * 4


def test_a_device_reports_within_half_a_minute_of_going_live() -> None:
    cohort = create_cohort(both(), days=0, report_interval_s=86_400)
    told = Course(cohort.patients[0], cohort).advance(cohort.now + HOUR / 120)
    assert {t.slot for t in told if t.emission.kind == "sample"} == {"pump", "stimulator"}


def test_a_prompted_patient_answers_within_minutes_or_not_at_all() -> None:
    cohort = create_cohort(both(), days=2)
    course = Course(cohort.patients[0], cohort)
    course.advance(cohort.now)
    course.prompt_diary(cohort.now)
    told = course.advance(cohort.now + HOUR / 4)
    assert len([t for t in told if t.emission.kind == "score"]) >= 1
    silent = create_cohort(both(misses_after_report=1.0), days=2)
    course = Course(silent.patients[0], silent)
    course.advance(silent.now)
    course.prompt_diary(silent.now)
    assert [t for t in course.advance(silent.now + HOUR / 4) if t.emission.kind == "score"] == []


def test_a_memory_reset_is_the_first_thing_told_in_the_new_epoch() -> None:
    told = told_by(both(MemoryReset(at=BEGIN + 4 * DAY, device="pump")), days=6)
    of_pump = [t.emission for t in told if t.slot == "pump"]
    place = next(place for place, emission in enumerate(of_pump) if emission.kind == "reset")
    assert of_pump[place + 1].body == {"kind": "reset", "detail": {"cause": "memory"}}
    assert [t for t in told if t.slot == "stimulator" and t.emission.kind == "reset"] == []


def test_one_scan_concerns_both_devices_of_a_patient() -> None:
    told = told_by(both(MriScan(at=BEGIN + 3 * DAY)))
    slots = {t.slot for t in told if t.emission.body.get("kind") == "mri_entered"}
    assert slots == {"pump", "stimulator"}
    assert len(events_of(told, "mri_left")) == 2
