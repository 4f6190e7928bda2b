"""Closed days, bad input and the mechanics around the pain rule."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from sc_stim.clinical.pain import (
    MODEL_VERSION,
    Diary,
    PainState,
    daily_means,
    latest,
    observe,
    rebuild,
    replay,
)

DAY = date(2026, 3, 1)


def test_scores_are_averaged_on_the_patients_own_calendar() -> None:
    scores = [
        (datetime(2026, 3, 1, 23, 30, tzinfo=UTC), 6.0),  # already the 2nd in Berlin
        (datetime(2026, 3, 2, 12, 0, tzinfo=UTC), 3.0),
        (datetime(2026, 3, 1, 8, 0, tzinfo=UTC), 4.0),
    ]
    means = daily_means(scores, ZoneInfo("Europe/Berlin"), today=date(2026, 3, 3))
    assert means == [(date(2026, 3, 1), 4.0), (date(2026, 3, 2), 4.5)]


def test_the_day_that_can_still_change_is_left_out() -> None:
    scores = [(datetime(2026, 3, 2, 9, 0, tzinfo=UTC), 9.0)]
    assert daily_means(scores, ZoneInfo("UTC"), today=date(2026, 3, 2)) == []
    assert daily_means(scores, ZoneInfo("UTC"), today=date(2026, 3, 3)) == [(date(2026, 3, 2), 9.0)]


def test_both_hours_of_an_autumn_clock_change_belong_to_one_day() -> None:
    scores = [
        (datetime(2026, 10, 25, hour, 30, tzinfo=UTC), nrs) for hour, nrs in ((0, 3.0), (1, 4.0), (22, 6.0))
    ]
    assert daily_means(scores, ZoneInfo("Europe/Berlin"), today=date(2026, 10, 26)) == [
        (date(2026, 10, 25), 4.33)
    ]


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="no UTC offset"):
        daily_means([(datetime(2026, 3, 1, 8), 4.0)], ZoneInfo("UTC"), today=DAY)  # noqa: DTZ001


@pytest.mark.parametrize("nrs", [-0.1, 10.5, float("nan"), float("inf")])
def test_a_score_off_the_scale_is_refused(nrs: float) -> None:
    with pytest.raises(ValueError, match="0-10 scale"):
        observe(PainState.fresh(), DAY, nrs)


def test_a_cohort_with_a_score_off_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="0-10 scale"):
        list(rebuild([Diary(DAY, [4.0, 11.0])]))


@pytest.mark.parametrize("offset", [0, 2, -1])
def test_days_must_follow_each_other(offset: int) -> None:
    state, _ = observe(PainState.fresh(), DAY, 4.0)
    with pytest.raises(ValueError, match="must follow 2026-03-01"):
        observe(state, DAY + timedelta(days=offset), 4.0)


def test_a_diary_fills_the_days_between_and_after_with_unreported_ones() -> None:
    diary = Diary.of([(DAY, 4.0), (DAY + timedelta(days=2), 5.0)], until=DAY + timedelta(days=4))
    assert list(diary.scores) == [4.0, None, 5.0, None, None]


def test_unreported_days_before_the_first_score_are_no_gap() -> None:
    scores = [None] * 30 + [4.0] * 20
    late, plain = rebuild([Diary(DAY, scores), Diary(DAY + timedelta(days=30), scores[30:])])
    assert late.findings == plain.findings == ()
    assert late.state.to_json() == plain.state.to_json()


def test_an_array_with_nan_reads_like_a_list_with_none() -> None:
    listed = Diary(DAY, [4.0, None, 5.0])
    array = Diary(DAY, np.array([4.0, np.nan, 5.0]))
    assert list(listed.days()) == list(array.days())
    first, second = rebuild([listed, array])
    assert first.state.to_json() == second.state.to_json()


def test_a_state_of_another_model_version_is_refused() -> None:
    stored = PainState.fresh().to_json() | {"model_version": "pain-0"}
    with pytest.raises(ValueError, match=r"'pain-0'.*rebuild it from the scores"):
        PainState.from_json(stored)


def test_a_state_with_a_missing_field_is_refused_by_name() -> None:
    stored = PainState.fresh().to_json()
    del stored["tracks"]["level_nrs"]
    with pytest.raises(ValueError, match="level_nrs"):
        PainState.from_json(stored)


def test_a_late_score_is_replayed_from_the_state_before_it_without_doubling_alerts() -> None:
    scores: list[float | None] = [*[4.0, 5.0, 3.0, 4.0] * 8, *[7.0] * 10]
    told = list(replay(Diary(DAY, [*scores[:34], None, *scores[35:]])))
    stored = told[33][0]
    corrected = list(replay(Diary(DAY + timedelta(days=34), scores[34:]), stored))
    once = latest(finding for _, findings in told for finding in findings)
    both = latest(finding for _, findings in [*told, *corrected] for finding in findings)
    assert [finding.kind for finding in once] == ["step_up"]
    assert [finding.key for finding in both] == [finding.key for finding in once]
    assert once[0].key == ("rise", once[0].day, MODEL_VERSION)


def test_a_gap_is_flagged_once_and_again_only_after_a_score() -> None:
    scores: list[float | None] = [4.0] * 40 + [None] * 30 + [4.0] * 30 + [None] * 15
    (rebuilt,) = rebuild([Diary(DAY, scores)])
    days = [(finding.day - DAY).days for finding in rebuilt.findings]
    assert len(days) == 2
    assert 40 <= days[0] < 50
    assert 100 <= days[1] < 110


def test_a_replayed_diary_knows_the_days_since_the_last_refill() -> None:
    diary = Diary(DAY, [4.0], refill_days=[DAY - timedelta(days=9), DAY + timedelta(days=5)])
    assert diary.days_since_refill(DAY) == 9
    assert diary.days_since_refill(DAY + timedelta(days=6)) == 1
    assert diary.days_since_refill(DAY - timedelta(days=10)) is None
