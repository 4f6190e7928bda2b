"""Programmes that repeat every day: their volume is the same however the time is cut up, across clock changes too."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.delivery import NOTHING_COUNTED, day_number, exposure, stretches
from sc_stim.clinical.pattern import mean_ml_per_day, pieces, slip
from sc_stim.clinical.pump_record import PatternStep, PumpSetting
from sc_stim.clinical.refill_case import CaseError, decode_cases

BERLIN = ZoneInfo("Europe/Berlin")
# 0.2 mL/day by night, 0.8 mL/day from 06:00 to 18:00: 0.5 mL each day
NIGHT_AND_DAY = (
    PatternStep(since="00:00", flow_ml_per_day=0.2),
    PatternStep(since="06:00", flow_ml_per_day=0.8),
    PatternStep(since="18:00", flow_ml_per_day=0.2),
)
SUMMER = datetime(2026, 7, 1, 9, 0, tzinfo=BERLIN)

moments = st.floats(20_000, 20_400)
patterns = st.lists(st.integers(1, 1439), max_size=6, unique=True).flatmap(
    lambda minutes: st.tuples(
        *(
            st.builds(
                PatternStep,
                since=st.just(f"{minute // 60:02}:{minute % 60:02}"),
                flow_ml_per_day=st.floats(0, 5),
            )
            for minute in sorted([0, *minutes])
        )
    )
)


def volume_ml(pattern: tuple[PatternStep, ...], begin: float, end: float, offset: float = 0.0) -> float:
    return sum(days * flow for days, flow in pieces(pattern, begin, end, offset))


@given(patterns, moments, st.floats(0.01, 30), st.floats(-0.5, 0.5))
def test_the_pieces_cover_the_time_and_whole_days_give_the_mean(
    pattern: tuple[PatternStep, ...], begin: float, days: float, offset: float
) -> None:
    assert sum(part for part, _ in pieces(pattern, begin, begin + days, offset)) == pytest.approx(days)
    assert volume_ml(pattern, begin, begin + 7, offset) == pytest.approx(
        7 * mean_ml_per_day(pattern), abs=1e-6
    )


@given(patterns, moments, st.floats(0.01, 3), st.floats(0.01, 3))
def test_a_time_gives_what_its_parts_give(
    pattern: tuple[PatternStep, ...], begin: float, first: float, second: float
) -> None:
    middle, end = begin + first, begin + first + second
    parts = volume_ml(pattern, begin, middle) + volume_ml(pattern, middle, end)
    assert volume_ml(pattern, begin, end) == pytest.approx(parts, abs=1e-6)


@pytest.mark.parametrize(
    ("local", "hours", "ml"),
    [
        ("2026-07-10T06:00:00+02:00", 12, 0.4),
        ("2026-07-10T18:00:00+02:00", 12, 0.1),
        ("2026-07-10T00:00:00+02:00", 24, 0.5),
        # After the clocks went back the pump still steps by summer time: 05:00 on the wall.
        ("2026-12-10T05:00:00+01:00", 12, 0.4),
        ("2026-12-10T06:00:00+01:00", 12, 0.8 * 11 / 24 + 0.2 / 24),
    ],
)
def test_the_pumps_clock_keeps_the_offset_it_was_set_with(local: str, hours: int, ml: float) -> None:
    setting = PumpSetting(since=SUMMER, flow_ml_per_day=0.5, pattern=NIGHT_AND_DAY)
    begin = datetime.fromisoformat(local)
    end = begin + timedelta(hours=hours)
    programme = stretches(
        [setting], [day_number(SUMMER)], day_number(begin), day_number(end), NOTHING_COUNTED, BERLIN
    )
    assert exposure(programme, 0.0).known_ml == pytest.approx(ml)


def test_without_an_end_the_mean_goes_on_for_ever() -> None:
    last = list(pieces(NIGHT_AND_DAY, day_number(datetime(2026, 7, 10, 12, tzinfo=UTC)), float("inf"), 0.0))[
        -1
    ]
    assert last == (float("inf"), pytest.approx(0.5))


@pytest.mark.parametrize(
    ("steps", "flow", "message"),
    [
        ([("06:00", 0.5)], 0.5, "must begin with a step from 00:00"),
        ([("00:00", 0.2), ("12:00", 0.8), ("12:00", 0.2)], 0.5, "must name its steps in order"),
        ([("00:00", 0.2), ("12:00", 0.8)], 0.6, "adds up to 0.5 mL/day, but flow_ml_per_day is 0.6"),
    ],
)
def test_a_pattern_that_cannot_be_is_said_in_words(
    steps: list[tuple[str, float]], flow: float, message: str
) -> None:
    pattern = tuple(PatternStep(since=since, flow_ml_per_day=ml) for since, ml in steps)
    assert message in str(slip(pattern, flow, 0.02))


def test_a_backtest_case_may_have_a_pattern_and_a_wrong_one_is_refused_by_name() -> None:
    case = (
        '{"pump": "p1", "at": "2026-11-22", "timezone": "Europe/Berlin", "reservoir_ml": 20, "drugs": [],'
        ' "fills": [], "settings": [{"from": "2026-07-01T09:00:00+02:00", "flow_ml_per_day": %s, "pattern":'
        ' [{"from": "00:00", "flow_ml_per_day": 0.2}, {"from": "12:00", "flow_ml_per_day": 0.8}]}]}'
    )
    (decoded,) = decode_cases((case % "0.5").encode())
    assert len(decoded.settings[0].pattern) == 2
    with pytest.raises(CaseError, match=r"settings\[0\]\.pattern adds up to 0\.5 mL/day"):
        decode_cases((case % "0.7").encode())
    with pytest.raises(CaseError, match="from"):
        decode_cases((case % "0.5").replace("12:00", "24:00").encode())
