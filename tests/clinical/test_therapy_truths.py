"""What really happens to a simulated stimulator leads to the right finding in time, and nothing else does.

The simulators know the truth; the rules see only what the device reports.
"""

import datetime as dt
from typing import Any

import pytest

from sc_stim.clinical.therapy_health import Finding, judge_therapy
from simulators.cohort import Stimulator
from simulators.course import Course
from simulators.happenings import (
    AnyHappening,
    LeadFracture,
    Migration,
    MriScan,
    ProgramChange,
    StopsCharging,
    SwitchedOff,
)
from simulators.implants import draw_stimulator
from simulators.scenario_file import StimulatorRole
from tests.clinical.therapy_days import Sample, history_of, samples_in
from tests.simulators.builders import BEGIN, create_cohort, create_patient, create_stimulator

DAY = dt.timedelta(days=1)
HAPPENS = BEGIN + 30 * DAY


def said(stimulator: Stimulator, *script: AnyHappening, days: int = 60, seed: int = 1) -> list[Sample]:
    """Every sample of so many days, one every six hours."""
    cohort = create_cohort(create_patient(*script, stimulator=stimulator), days=days, seed=seed)
    return samples_in(Course(cohort.patients[0], cohort).advance(cohort.now), "stimulator")


def findings(stimulator: Stimulator, samples: list[Sample], day: int, **more: Any) -> dict[str, Finding]:
    """Those that stand on the evening of a day after BEGIN."""
    judged = judge_therapy(history_of(stimulator, samples, BEGIN + day * DAY, **more))
    return {finding.name: finding for finding in judged.findings if finding.until is None}


def first_day(stimulator: Stimulator, samples: list[Sample], name: str, **more: Any) -> int:
    """How many days after it happened the finding stands for the first time."""
    return next(day for day in range(31) if name in findings(stimulator, samples, 30 + day, **more))


@pytest.mark.parametrize(
    ("happening", "device", "name", "within_d"),
    [
        (SwitchedOff(at=HAPPENS), {}, "therapy_off", 4),
        (SwitchedOff(at=HAPPENS), {"usage": 0.5}, "therapy_off", 4),
        (SwitchedOff(at=HAPPENS), {"rechargeable": False}, "therapy_off", 4),
        (StopsCharging(at=HAPPENS), {"drain": 15.0}, "uncharged", 8),
        (StopsCharging(at=HAPPENS), {"drain": 8.0}, "uncharged", 13),
        (LeadFracture(at=HAPPENS, contacts=(2,)), {}, "contact_open", 2),
        (LeadFracture(at=HAPPENS, contacts=(1, 2)), {"closed_loop": True}, "closed_loop_out", 4),
        (Migration(at=HAPPENS), {"closed_loop": True}, "closed_loop_out", 4),
        (ProgramChange(at=HAPPENS, program="Z", amplitude_ma=1.0, recorded=False), {}, "settings_mismatch", 1),
    ],
)  # fmt: skip
def test_each_truth_is_found_in_time_and_not_before(
    happening: AnyHappening, device: dict[str, Any], name: str, within_d: int
) -> None:
    stimulator = create_stimulator(**device)
    samples = said(stimulator, happening)
    assert findings(stimulator, samples, 29) == {}
    assert 0 < first_day(stimulator, samples, name) <= within_d


def test_a_finding_names_since_when_and_shows_the_raw_points() -> None:
    stimulator = create_stimulator()
    samples = said(stimulator, SwitchedOff(at=HAPPENS))
    found = findings(stimulator, samples, 40)["therapy_off"]
    assert dt.timedelta(0) <= found.since - HAPPENS <= 2 * DAY
    assert all(value < 0.02 for _, value in found.points)
    assert found.sentence.startswith("No stimulation on 9 reported days in a row, since 2026-10-02")
    assert found.severity.code == "medium"


def test_stimulation_that_comes_back_ends_the_finding() -> None:
    stimulator = create_stimulator()
    samples = said(stimulator, SwitchedOff(at=HAPPENS, for_days=8))
    history = history_of(stimulator, samples, BEGIN + 45 * DAY)
    judged = judge_therapy(history)
    [past] = [finding for finding in judged.findings if finding.name == "therapy_off"]
    assert past.until is not None
    assert dt.timedelta(0) <= past.until - (HAPPENS + 8 * DAY) <= 2 * DAY
    assert judged.well["therapy_off"] == history.days[-1].at


def test_a_fracture_of_a_contact_that_is_not_in_use_alarms_nobody() -> None:
    stimulator = create_stimulator()  # its programme uses contacts 1 and 2
    samples = said(stimulator, LeadFracture(at=HAPPENS, contacts=(7,)))
    assert findings(stimulator, samples, 45) == {}


def test_an_open_contact_with_a_rise_of_pain_is_worse_than_alone() -> None:
    stimulator = create_stimulator()
    samples = said(stimulator, LeadFracture(at=HAPPENS, contacts=(2,)))
    alone = findings(stimulator, samples, 45)["contact_open"]
    with_pain = findings(stimulator, samples, 45, pain_rose=True)["contact_open"]
    assert (alone.severity.code, with_pain.severity.code) == ("low", "medium")
    assert alone.contacts == with_pain.contacts == (2,)
    assert "No rise of pain is on record: ask the patient" in alone.sentence, (
        "it may not have been reported at all"
    )
    assert "fracture" in with_pain.sentence


def test_cycling_and_mri_mode_are_not_off() -> None:
    cycling = create_stimulator(duty=0.25)
    assert findings(cycling, said(cycling), 45) == {}
    scanned = create_stimulator()
    samples = said(scanned, MriScan(at=HAPPENS, stimulator_mode_left=False))
    assert "therapy_off" not in findings(scanned, samples, 45)


def test_who_never_charges_is_told_so_before_and_after_the_battery_is_empty() -> None:
    stimulator = create_stimulator(drain=10.0)
    samples = said(stimulator, StopsCharging(at=HAPPENS))
    first = 30 + first_day(stimulator, samples, "uncharged")
    warned = findings(stimulator, samples, first)["uncharged"]
    assert "empty about" in warned.sentence
    assert warned.severity.code == "low"
    emptied = findings(stimulator, samples, 50)
    assert set(emptied) == {"uncharged"}, "off because of the battery is told once"
    assert emptied["uncharged"].severity.code == "medium"
    assert "has stopped" in emptied["uncharged"].sentence


def test_a_battery_that_cannot_be_charged_tells_its_own_replacement_date() -> None:
    stimulator = create_stimulator(rechargeable=False, eri_at=BEGIN + 100 * DAY)
    found = findings(stimulator, said(stimulator), 45)["replacement_near"]
    ends = dt.date.fromisoformat(str(found.points[-1][1]["ends_at"])[:10])
    assert abs(ends - (BEGIN + 190 * DAY).date()) < dt.timedelta(days=30)  # 90 days after its ERI


@pytest.mark.parametrize("seed", [11, 12])
def test_a_quiet_year_calls_nobody(seed: int) -> None:
    """Judged every fifth day; the measured rate stands in the document of the rules."""
    end = BEGIN + 360 * DAY
    for number in range(3):
        stimulator = draw_stimulator(StimulatorRole(), seed, number, end)
        samples = said(stimulator, days=360, seed=seed + number)
        assert {name for day in range(10, 360, 5) for name in findings(stimulator, samples, day)} == set()
