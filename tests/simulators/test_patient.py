"""The diary: variability, gaps, and what the devices do to pain."""

import datetime as dt
import statistics
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sc_stim.devices.records import Symptom
from simulators.happenings import (
    AnyHappening,
    BatteryFault,
    FlowJump,
    LeadFracture,
    Migration,
    MriScan,
    PainDrift,
    PainFlare,
    PainStep,
    Refill,
    Stall,
    StopsReporting,
)
from simulators.patient import Change
from tests.simulators.builders import (
    BEGIN,
    DAY,
    create_patient,
    create_pump,
    create_stimulator,
    scores_of,
    told_by,
)

Scores = list[tuple[dt.datetime, dict[str, Any]]]


def scores(*script: AnyHappening, days: float = 60, seed: int = 1, **options: Any) -> Scores:
    options = {"stimulator": create_stimulator(), **options}
    return scores_of(told_by(create_patient(*script, **options), days=days, seed=seed))


def daily_means(entries: Scores) -> list[float]:
    days: dict[dt.date, list[float]] = defaultdict(list)
    for at, body in entries:
        days[at.date()].append(body["nrs"])
    return [statistics.mean(values) for _, values in sorted(days.items())]


def mean_between(entries: Scores, first: float, last: float) -> float:
    return statistics.mean(body["nrs"] for at, body in entries if first <= (at - BEGIN) / DAY < last)


def symptoms(entries: Iterable[tuple[dt.datetime, dict[str, Any]]]) -> set[str]:
    return {symptom for _, body in entries for symptom in body.get("symptoms", ())}


@settings(max_examples=25, deadline=None)
@given(level=st.floats(-3, 13), sd=st.floats(0, 4), half=st.booleans(), seed=st.integers(0, 10**6))
def test_scores_stay_on_the_scale_in_the_patients_own_steps(
    level: float, sd: float, half: bool, seed: int
) -> None:
    entries = scores(days=20, seed=seed, level=level, sd=sd, half_points=half)
    step = 0.5 if half else 1.0
    for _, body in entries:
        assert 0 <= body["nrs"] <= 10
        assert body["nrs"] % step == 0
        assert 0 <= body["interference"] <= 10
        assert set(body.get("symptoms", ())) <= set(Symptom.__args__)


def test_daily_means_vary_as_much_as_the_person_does_and_wander_slowly() -> None:
    sds, first_lags, weekly_lags = [], [], []
    for seed in range(8):
        means = daily_means(scores(days=360, seed=seed, level=5.0, sd=1.2))
        sds.append(statistics.stdev(means))
        first_lags.append(statistics.correlation(means[:-1], means[1:]))
        weekly_lags.append(statistics.correlation(means[:-7], means[7:]))
    assert statistics.mean(sds) == pytest.approx(1.25, abs=0.15)
    assert (
        0.25 < statistics.mean(first_lags) < 0.5
    )  # phi .94 times the wander's share: .42, less the rounding
    assert 0.12 < statistics.mean(weekly_lags) < statistics.mean(first_lags)


def test_gaps_cluster_and_adherence_is_as_set() -> None:
    reported = []
    for seed in range(6):
        days = {
            at.date() for at, _ in scores(days=300, seed=seed, misses_after_report=0.1, misses_after_miss=0.6)
        }
        reported += [BEGIN.date() + dt.timedelta(days=n) in days for n in range(1, 300)]
    missed_after_miss = [not later for earlier, later in pairwise(reported) if not earlier]
    missed_after_report = [not later for earlier, later in pairwise(reported) if earlier]
    assert statistics.mean(reported) == pytest.approx(0.8, abs=0.05)
    assert statistics.mean(missed_after_miss) == pytest.approx(0.6, abs=0.08)
    assert statistics.mean(missed_after_report) == pytest.approx(0.1, abs=0.03)


def test_people_write_while_awake_by_their_own_clock_also_across_a_clock_change() -> None:
    entries = scores(days=90, zone="America/New_York", scores_per_day=3.0)
    hours = [at.astimezone(ZoneInfo("America/New_York")).hour for at, _ in entries]
    assert min(hours) >= 8
    assert max(hours) < 22
    assert len(entries) / 90 == pytest.approx(3, abs=0.3)


def test_a_step_stays_a_flare_passes_and_a_drift_creeps() -> None:
    step = scores(PainStep(at=BEGIN + 20 * DAY, points=3))
    flare = scores(PainFlare(at=BEGIN + 20 * DAY, points=3, for_days=5))
    drift = scores(PainDrift(at=BEGIN + 10 * DAY, points=3, over_days=40))
    assert mean_between(step, 0, 20) == pytest.approx(4, abs=0.3)
    assert mean_between(step, 20, 60) == pytest.approx(7, abs=0.3)
    assert mean_between(flare, 20, 25) == pytest.approx(7, abs=0.4)
    assert mean_between(flare, 25, 60) == pytest.approx(4, abs=0.3)
    assert mean_between(drift, 25, 35) == pytest.approx(5.5, abs=0.4)
    assert mean_between(drift, 50, 60) == pytest.approx(7, abs=0.3)


def test_a_change_is_a_ramp_and_then_flat() -> None:
    change = Change(BEGIN, points=2.0, over_days=10.0)
    assert [change.at(BEGIN + n * DAY) for n in (0, 5, 10, 50)] == [0.0, 1.0, 2.0, 2.0]


def test_who_stops_reporting_leaves_no_entries() -> None:
    entries = scores(StopsReporting(at=BEGIN + 20 * DAY, for_days=15))
    days = {(at.date() - BEGIN.date()).days for at, _ in entries}
    assert not days & set(range(21, 35))
    assert days >= {*range(20), *range(37, 60)}


def test_pain_follows_a_lead_fracture_within_days() -> None:
    entries = scores(LeadFracture(at=BEGIN + 30 * DAY, contacts=(2,), pain_points=3))
    assert mean_between(entries, 0, 30) == pytest.approx(4, abs=0.3)
    assert mean_between(entries, 32, 60) == pytest.approx(7, abs=0.3)


def test_pain_follows_a_migration_and_a_forgotten_mri_mode() -> None:
    migration = scores(Migration(at=BEGIN + 30 * DAY, pain_points=2))
    forgotten = scores(MriScan(at=BEGIN + 30 * DAY, stimulator_mode_left=False))
    left = scores(MriScan(at=BEGIN + 30 * DAY))
    assert mean_between(migration, 32, 60) == pytest.approx(6, abs=0.3)
    assert mean_between(forgotten, 32, 60) == pytest.approx(7, abs=0.3)
    assert mean_between(left, 32, 60) == pytest.approx(4, abs=0.3)


def test_a_stalled_baclofen_pump_brings_withdrawal_after_a_day_and_pain_with_it() -> None:
    script = [Refill(at=BEGIN + 29 * DAY, filled_ml=20), Stall(at=BEGIN + 30 * DAY)]
    entries = scores(*script, days=36, pump=create_pump(), stimulator=None)
    before = [entry for entry in entries if entry[0] < BEGIN + 31 * DAY]
    after = [entry for entry in entries if entry[0] > BEGIN + 33 * DAY]
    assert not symptoms(before) & {"spasms", "anxiety"}
    assert symptoms(after) >= {"spasms", "anxiety"}
    assert mean_between(entries, 33, 36) == pytest.approx(7, abs=0.5)


def test_an_empty_pump_brings_withdrawal_although_it_says_that_it_runs() -> None:
    entries = scores(days=70, pump=create_pump(flow=0.4, ratio=1.1), stimulator=None)
    empty = 20 / 0.44
    assert mean_between(entries, 0, empty) == pytest.approx(4, abs=0.3)
    assert mean_between(entries, empty + 3, 70) == pytest.approx(7, abs=0.3)


def test_ziconotide_knows_no_withdrawal_symptoms() -> None:
    entries = scores(
        BatteryFault(at=BEGIN + 5 * DAY), days=40, pump=create_pump(drug="ziconotide"), stimulator=None
    )
    assert not symptoms(entries) & {"spasms", "anxiety", "nausea"}
    assert mean_between(entries, 10, 40) == pytest.approx(7, abs=0.3)


def test_over_infusion_brings_sedation_and_less_pain() -> None:
    entries = scores(FlowJump(at=BEGIN + 5 * DAY, ratio=1.6), days=25, pump=create_pump(), stimulator=None)
    late = [entry for entry in entries if entry[0] > BEGIN + 6 * DAY]
    assert "sedation" in symptoms(late)
    assert mean_between(entries, 6, 25) < 3.6
