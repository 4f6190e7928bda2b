"""What must hold for every diary, whatever the scores."""

import json
from datetime import date, timedelta
from itertools import cycle, islice, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sc_stim.clinical.pain import Diary, Finding, PainState, latest, observe, rebuild, replay

FIRST_DAY = date(2026, 1, 1)
quick = settings(max_examples=25, deadline=None)
halves = st.integers(0, 20).map(lambda half: half / 2)
day_scores = st.none() | halves
some_days = st.sets(st.integers(0, 80).map(lambda day: FIRST_DAY + timedelta(days=day)), max_size=4)


@st.composite
def shifting_scores(draw: st.DrawFn) -> list[float | None]:
    """A few stretches, each around its own level and with days missing: rises, falls and gaps do occur."""
    scores: list[float | None] = []
    for _ in range(draw(st.integers(1, 4))):
        level = draw(st.integers(1, 9))
        offsets = draw(st.lists(st.sampled_from([-1, 0, 0, 1, None]), min_size=1, max_size=6))
        days = islice(cycle(offsets), draw(st.integers(5, 40)))
        scores += [None if offset is None else float(level + offset) for offset in days]
    return scores


diaries = st.builds(Diary, st.just(FIRST_DAY), shifting_scores(), some_days, some_days, some_days)


def findings_of(diary: Diary) -> list[Finding]:
    return [finding for _, findings in replay(diary) for finding in findings]


@quick
@given(nrs=halves, missed=st.lists(st.booleans(), min_size=1, max_size=150))
def test_a_constant_score_never_becomes_a_change_whatever_is_missed(nrs: float, missed: list[bool]) -> None:
    diary = Diary(FIRST_DAY, [None if gap else nrs for gap in missed])
    (rebuilt,) = rebuild([diary])
    assert {finding.kind for finding in rebuilt.findings} <= {"stopped_reporting"}
    assert {finding.baseline_nrs for finding in rebuilt.findings} <= {nrs}


@quick
@given(scores=shifting_scores())
def test_a_missing_day_is_never_a_score(scores: list[float | None]) -> None:
    reported = [nrs for nrs in scores if nrs is not None]
    for finding in findings_of(Diary(FIRST_DAY, scores)):
        if finding.level_nrs is not None:
            assert min(reported) <= finding.level_nrs <= max(reported)
        assert (finding.level_nrs is None) == (finding.kind == "stopped_reporting")


@settings(quick, derandomize=True)  # a tie that rounding breaks either way would be a false alarm
@given(scores=shifting_scores(), shift=st.integers(1, 10).map(lambda half: half / 2))
def test_the_scale_has_no_favourite_level(scores: list[float | None], shift: float) -> None:
    lower = [None if nrs is None else nrs / 2 for nrs in scores]
    raised = [None if nrs is None else nrs + shift for nrs in lower]
    before, after = rebuild([Diary(FIRST_DAY, lower), Diary(FIRST_DAY, raised)])
    assert [(f.kind, f.key, f.onset, f.tier) for f in before.findings] == [
        (f.kind, f.key, f.onset, f.tier) for f in after.findings
    ]


@quick
@given(diary=diaries, cut=st.integers(0, 120))
def test_a_state_stored_and_read_back_goes_on_as_if_never_stored(diary: Diary, cut: int) -> None:
    whole = list(replay(diary))
    cut = min(cut, len(whole))
    state = whole[cut - 1][0] if cut else PainState.fresh()
    stored = json.loads(json.dumps(state.to_json(), allow_nan=False))
    rest = Diary(
        FIRST_DAY + timedelta(days=cut),
        diary.scores[cut:],
        diary.therapy_changes,
        diary.sedation_days,
        diary.refill_days,
    )
    resumed = list(replay(rest, PainState.from_json(stored)))
    assert [findings for _, findings in resumed] == [findings for _, findings in whole[cut:]]
    assert [state.to_json() for state, _ in resumed] == [state.to_json() for state, _ in whole[cut:]]


@quick
@given(own=st.lists(diaries, min_size=1, max_size=4))
def test_many_at_once_are_judged_exactly_as_one_by_one(own: list[Diary]) -> None:
    for diary, rebuilt in zip(own, rebuild(own), strict=True):
        assert list(rebuilt.findings) == findings_of(diary)
        *_, (state, _) = replay(diary)
        assert rebuilt.state.to_json() == state.to_json()


@quick
@given(diary=diaries)
def test_alerts_are_keyed_once_dated_in_order_and_well_apart(diary: Diary) -> None:
    alerts = latest(findings_of(diary))
    assert all(FIRST_DAY <= alert.onset <= alert.day for alert in alerts)
    ordinary = [alert.day for alert in alerts if alert.rule != "silence" and alert.severity != "high"]
    assert all((later - earlier).days >= 14 for earlier, later in pairwise(ordinary))
    assert all(alert.severity == "medium" for alert in alerts if alert.tier == "persistent")


@quick
@given(diary=diaries)
def test_the_past_does_not_depend_on_the_future(diary: Diary) -> None:
    half = len(diary.scores) // 2
    cut = Diary(FIRST_DAY, diary.scores[:half], diary.therapy_changes, diary.sedation_days, diary.refill_days)
    assert findings_of(cut) == [finding for _, findings in list(replay(diary))[:half] for finding in findings]


@quick
@given(scores=st.lists(day_scores, min_size=1, max_size=40))
def test_observing_leaves_the_given_state_untouched(scores: list[float | None]) -> None:
    state = PainState.fresh()
    for i, nrs in enumerate(scores):
        before = state.to_json()
        after, _ = observe(state, FIRST_DAY + timedelta(days=i), nrs)
        assert state.to_json() == before
        state = after
