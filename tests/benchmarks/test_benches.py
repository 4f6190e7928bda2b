"""Every bench at a tiny size: it counts what it measures. How fast anything is, is not asserted."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import pytest

from benchmarks import fleet, forecast, ingest, latency, pages, pain, pain_cohort, refill, sweep, worklist
from benchmarks.figures import Figure, Table
from benchmarks.ingest import Load, NotAllStored, Rig
from benchmarks.pain_detectors import COMPARATORS, Alert
from benchmarks.pain_variants import VARIANTS
from benchmarks.refill_cohort import RULES, Scenario, run_part
from benchmarks.refill_variants import BOLUS_VARIANTS, FLOW_VARIANTS
from benchmarks.stand import Stand, settings


def keyed(figures: Iterable[Figure]) -> dict[str, Figure]:
    named: dict[str, Figure] = {}
    for figure in figures:
        assert figure.key not in named, "two figures have one key"
        named[figure.key] = figure
    return named


@pytest.fixture(scope="module")
def rig(stand: Stand) -> Iterator[Rig]:
    with stand.broker() as broker, ingest.templates(stand, devices=6) as (postgres, sqlite):
        yield Rig(stand, broker, postgres, sqlite)


@pytest.mark.parametrize(
    ("way", "on_sqlite"), [("bare", False), ("naive", False), ("ours", False), ("ours", True)]
)
def test_every_message_of_the_queue_is_drained(rig: Rig, way: str, on_sqlite: bool) -> None:
    run = rig.drain(way, Load(messages=30, devices=6, items=2), on_sqlite=on_sqlite)
    assert min(run.per_s, run.cpu_us) > 0


def test_a_lost_message_spoils_the_measurement(stand: Stand) -> None:
    with stand.database() as url, pytest.raises(NotAllStored, match=r"'pump_sample': \(10, 0\)"):
        ingest.check(settings(url).sqlalchemy_url, Load(messages=5, devices=1, items=2), everything=False)


def test_the_comparison_is_made_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"bare": 100.0, "ours": 60.0, "naive": 3.0}
    order: list[str] = []

    def drain(self: Rig, way: str, load: Load, *, on_sqlite: bool = False) -> ingest.Run:
        order.append(way)
        return ingest.Run(rates[way] * len(order), 50.0)

    monkeypatch.setattr(Rig, "drain", drain)
    monkeypatch.setattr(ingest, "templates", lambda *_: nullcontext(("", Path())))
    size = ingest.Size(Load(1, 1), Load(1, 1), Load(1, 2), Load(1, 1, 5), rounds=3, repeats=2)
    figures = keyed(ingest.measure(Mock(broker=nullcontext), size))
    assert order[:9] == ["bare", "ours", "naive", "ours", "naive", "bare", "naive", "bare", "ours"]
    assert figures["ours_of_bare"].runs == pytest.approx((0.6 * 2 / 1, 0.6 * 4 / 6, 0.6 * 9 / 8))
    assert figures["many_items_samples"].runs == pytest.approx(
        [5 * run for run in figures["many_items"].runs]
    )


def test_ingest_is_watched_and_left_alone_in_turning_order(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[int] = []

    def drained(_rig: object, _load: Load, viewers: int) -> tuple[ingest.Run, float]:
        order.append(viewers)
        return ingest.Run(90.0 if viewers else 100.0, 50.0 + viewers), 7.0 + viewers

    monkeypatch.setattr(pages, "_drained", drained)
    monkeypatch.setattr(pages, "_add_viewer", lambda _url: None)
    monkeypatch.setattr(pages, "templates", lambda *_: nullcontext(("", Path())))
    figures = keyed(pages.looked_on(Mock(broker=nullcontext), Load(1, 1), rounds=3))
    assert order == [10, 0, 0, 10, 10, 0]
    assert figures["ingest_watched_of_alone"].median == pytest.approx(0.9)
    assert figures["ingest_watched_of_alone"].verdict == "not reached"
    assert (figures["ingest_alone_cpu_us"].median, figures["ingest_watched_cpu_us"].median) == (50, 60)
    assert figures["viewers"].median == 10


def test_everybody_is_judged_in_a_night_and_then_some_by_themselves(stand: Stand) -> None:
    night = sweep.night(stand, pumps=50)
    assert (night["judged"], night["forecasts"]) == (100, 50)
    assert night["statements"] > 10
    assert night["peak_mib"] > 10
    assert night["sample_statements"] > night["score_statements"] > 10


def test_the_therapy_of_stimulators_is_judged_by_itself(stand: Stand) -> None:
    figures = keyed(sweep.therapy(stand, 5))
    assert figures["therapy_cpu_ms"].median > 0
    assert figures["therapy_statements"].median > 5


def test_the_growth_is_that_from_the_smallest_night_to_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    def night(_stand: object, pumps: int) -> dict[str, float]:
        rest = dict.fromkeys(NIGHT, 1.0)
        return rest | {"seconds": pumps * 0.2, "cpu_s": pumps * 0.1 + 5}

    monkeypatch.setattr(sweep, "night", night)
    monkeypatch.setattr(sweep, "therapy", lambda *_: iter(()))
    figures = keyed(sweep.measure(Mock(), sweep.Size((10, 20, 40), stimulators=1)))
    assert [figures[f"{number}_seconds"].runs for number in (10, 20, 40)] == [(2,), (4,), (8,)]
    assert figures["growth_seconds"].runs == (4,)
    assert figures["growth_cpu_s"].runs == (1.5,)
    target = figures["growth_cpu_s"].target
    assert target and target.value == pytest.approx(4.8) and not target.at_least


NIGHT = (
    "peak_mib", "statements", "sample_cpu_ms", "sample_statements", "score_cpu_ms", "score_statements",
)  # fmt: skip


def test_both_clinics_get_their_worklist(stand: Stand) -> None:
    figures = keyed(worklist.measure(stand, worklist.Size(devices=20, requests=2, rounds=1)))
    for key in ("api_1", "page_1", "api_2", "page_2"):
        assert figures[f"{key}_p95"].median >= figures[f"{key}_median"].median > 0
        assert figures[f"{key}_statements"].median > 2


def test_every_message_is_followed_to_its_commit_and_its_ack(stand: Stand) -> None:
    size = latency.Size(rates=(40,), devices=4, seconds=1, slices=2)
    figures = keyed(latency.measure(stand, size))
    assert 0 < figures["40_committed_p50"].median < figures["40_acked_p99"].median
    assert len(figures["40_committed_p50"].runs) == 2


@pytest.mark.skipif(not Path("/proc").exists(), reason="processor time of other processes is read from /proc")
def test_every_simulated_device_is_heard(stand: Stand) -> None:
    figures = keyed(fleet.measure(stand, fleet.Size(fleets=(3,), interval_s=2)))
    assert figures["3_heard"].median == 3
    assert figures["3_still"].median == 3
    assert figures["3_rss_mib"].median > 1


def test_forecasts_are_scaled_to_a_hundred_thousand() -> None:
    figures = keyed(forecast.measure(None, forecast.Size(pumps=4, repeats=2, copies=2)))
    assert figures["all_s"].reads == "100,000 pumps, processor time of one process, from 4"
    for figure in figures.values():
        assert min(figure.runs) > 0
        assert len(figure.runs) == 2


@pytest.fixture(scope="module")
def judged_pain() -> Iterator[list[Figure | Table]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pain, "VARIANTS", dict(list(VARIANTS.items())[:2]))
        yield list(pain.measure(None, pain.Size(patients=12, compared=3, slow=1, varied=2, seed=5)))


def test_the_pain_rule_is_judged_by_its_own_targets(judged_pain: list[Figure | Table]) -> None:
    figures = keyed(one for one in judged_pain if isinstance(one, Figure))
    assert set(pain_cohort.TARGETS) <= set(figures)
    low, high = figures["step_found_21d"].interval or (1, 0)
    assert low <= figures["step_found_21d"].median <= high


def test_every_comparator_stands_beside_ours_as_it_comes_and_tuned(judged_pain: list[Figure | Table]) -> None:
    tables = {one.key: one for one in judged_pain if isinstance(one, Table)}
    assert len(tables["comparison"].rows) == 1 + 2 * len(COMPARATORS)
    assert [row[0] for row in tables["variants"].rows] == list(VARIANTS)[:2]
    assert all(len(row) == len(table.heads) for table in tables.values() for row in table.rows)


def test_a_variant_breaks_only_beyond_chance() -> None:
    few, many = pain_cohort.Score(0.8, (0.7, 0.95)), pain_cohort.Score(0.8, (0.78, 0.82))
    assert pain._marked("step_found_21d", few) == "0.800"
    assert pain._marked("step_found_21d", many) == "**0.800**"


def test_every_miss_of_a_step_has_one_cause() -> None:
    trial = pain_cohort.Trial.of(6, 30)
    silent: list[list[Alert]] = [[] for _ in range(30)]
    just_before = [[Alert("step_up", int(day) - 3)] for day in trial.truth["step"].onset]
    first, *_ = pain_cohort.CAUSES
    assert pain_cohort.misses(trial, just_before)[first] == 30
    causes = pain_cohort.misses(trial, silent)
    assert causes[first] == 0
    assert sum(causes.values()) == 30


def test_the_refill_forecast_is_judged_by_its_own_targets() -> None:
    judged = list(refill.measure(None, refill.Size(pumps=4, bolus_users=3, varied=2, seed=5)))
    figures = keyed(one for one in judged if isinstance(one, Figure))
    assert all(figure.target and figure.interval for figure in figures.values())
    tables = {one.key: one for one in judged if isinstance(one, Table)}
    assert len(tables["comparison"].rows) == 2 * 3 * len(RULES)
    assert len(tables["variants"].rows) == 2 * len(FLOW_VARIANTS | BOLUS_VARIANTS)


def test_a_cohort_of_pumps_depends_on_its_seed_alone() -> None:
    scenario = Scenario(20, "counted")
    one, again, other = (run_part(scenario, 3, (seed,)) for seed in (1, 1, 2))
    assert one.wasted_ml.tolist() == again.wasted_ml.tolist() != other.wasted_ml.tolist()
