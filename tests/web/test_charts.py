import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.web import charts
from sc_stim.web.charts import PLOT_HEIGHT_PX, Chart, Mark, Scale, Subject

TODAY = dt.date(2026, 11, 23)
DAY = dt.timedelta(days=1)
NRS = Scale(0, 10, (0, 5, 10))
PAIN = Subject("pain", "Pain", "NRS", "daily mean")
days_ago = st.integers(0, 200)


def drawn(values: dict[int, float], *, days: int = 10, **looks: object) -> Chart:
    """A chart of values by days ago."""
    axis = charts.axis(TODAY, days)
    by_day = {TODAY - ago * DAY: value for ago, value in values.items()}
    return charts.chart(PAIN, axis, NRS, by_day, **{"country": "DE", "since": axis.first} | looks)


def test_a_missing_day_breaks_the_line_and_is_marked_as_missing():
    chart = drawn({9: 4, 8: 4, 7: 5, 5: 6, 4: 6, 3: 5, 2: 5, 1: 5, 0: 5})

    assert len(chart.lines) == 2
    assert [(span.x_pct, span.width_pct) for span in chart.missing] == [(30, 10)]


def test_zero_is_a_value_and_a_missing_day_is_not_zero():
    chart = drawn({2: 0.0, 0: 3.0})

    assert [point.words for point in chart.points] == ["21 Nov: 0 NRS", "23 Nov: 3 NRS"]
    assert chart.points[0].y_px == PLOT_HEIGHT_PX
    assert chart.lowest == 0
    assert chart.days_missing == 8


def test_today_counts_as_missing_only_when_it_is_over():
    chart = drawn({1: 4.0})

    assert chart.rows[-1].first == TODAY - DAY
    assert chart.rows[-1].value == 4.0


def test_days_before_the_device_was_there_are_not_missing():
    chart = drawn({1: 4.0, 0: 4.0}, since=TODAY - 3 * DAY)

    assert chart.days_missing == 2


def test_nothing_is_missing_after_the_device_was_taken_out():
    chart = drawn({9: 4.0}, until=TODAY - 7 * DAY)

    assert [(row.first, row.last) for row in chart.rows if row.value is None] == [
        (TODAY - 8 * DAY, TODAY - 8 * DAY)
    ]


def test_history_older_than_the_record_of_the_device_is_shown_with_its_gaps():
    chart = drawn({8: 4.0, 6: 4.0, 0: 4.0}, since=TODAY)

    assert chart.days_missing == 6


def test_a_chart_without_any_value_says_so_for_every_day():
    chart = drawn({})

    assert chart.days_with_value == 0
    assert chart.days_missing == 9
    assert chart.points == chart.lines == ()


def test_a_value_outside_the_scale_stays_within_the_plot():
    chart = drawn({1: 12.0, 0: -1.0})

    assert [point.y_px for point in chart.points] == [0, PLOT_HEIGHT_PX]


def test_the_same_day_stands_at_the_same_place_in_every_chart_of_an_axis():
    axis = charts.axis(TODAY, 30)
    one = charts.chart(PAIN, axis, NRS, {TODAY: 3.0}, country="DE", since=axis.first)
    other = charts.chart(
        PAIN, axis, Scale(0, 24, (0, 24)), {TODAY: 20.0}, country="DE", since=TODAY, style="bars"
    )

    assert one.points[0].x_pct == other.points[0].x_pct == one.now_pct


def test_the_axis_reaches_to_dates_that_are_near_and_leaves_out_those_that_are_far():
    assert charts.axis(TODAY, 30, [TODAY + 10 * DAY, None]).last == TODAY + 11 * DAY
    assert charts.axis(TODAY, 30, [TODAY + 40 * DAY]).last == TODAY
    assert charts.axis(TODAY, 30, [TODAY - 5 * DAY]).last == TODAY


@pytest.mark.parametrize("refill_in", [10, -2])
def test_marks_with_words_stand_above_each_other_and_those_without_in_one_row(refill_in):
    axis = charts.axis(TODAY, 30, [TODAY + 12 * DAY])
    marks = [
        Mark(TODAY + 12 * DAY, "earliest_empty", "earliest empty"),
        Mark(TODAY + refill_in * DAY, "refill_by", "refill by"),
        Mark(TODAY - 3 * DAY, "fill", "filled with 20 mL"),
        Mark(TODAY - 300 * DAY, "fill", "long ago"),
    ]
    chart = charts.chart(PAIN, axis, NRS, {}, country="DE", since=axis.first, marks=marks)

    assert [(placed.mark.words, placed.row) for placed in chart.marks] == [
        ("filled with 20 mL", 0), ("refill by", 0), ("earliest empty", 1),
    ]  # fmt: skip
    assert chart.marks[1].leftwards  # there is no room to the right


@pytest.mark.parametrize(
    ("days", "labels"),
    [
        (30, ["26 Oct", "2 Nov", "9 Nov", "16 Nov", "23 Nov"]),
        (90, ["31 Aug", "14 Sep", "28 Sep", "12 Oct", "26 Oct", "9 Nov", "23 Nov"]),
        (
            365,
            ["Dec 2025", "Jan 2026", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov"],
        ),
    ],
)
def test_ticks_name_mondays_or_months(days, labels):
    assert [tick.label for tick in drawn({}, days=days).x_ticks] == labels


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 20, (0, 5, 10, 15, 20)),
        (0, 40, (0, 10, 20, 30, 40)),
        (0, 18, (0, 5, 10, 15, 20)),
        (2.61, 3.12, (2.6, 2.8, 3.0, 3.2)),
        (0, 0.03, (0, 0.01, 0.02, 0.03)),
    ],
)
def test_a_scale_has_round_steps_and_holds_its_values(low, high, ticks):
    scale = charts.scale(low, high)

    assert scale.ticks == ticks
    assert (scale.low, scale.high) == (ticks[0], ticks[-1])


def test_a_scale_without_height_is_refused():
    with pytest.raises(ValueError, match="low must be below high"):
        charts.scale(3, 3)


@given(st.dictionaries(days_ago, st.floats(0, 10)), st.sampled_from([30, 90, 365]), days_ago, st.booleans())
def test_every_day_is_told_once_in_order_and_every_position_lies_within_the_plot(
    values, days, since_ago, bars
):
    axis = charts.axis(TODAY, days, [TODAY + 7 * DAY])
    by_day = {TODAY - ago * DAY: value for ago, value in values.items()}
    since = TODAY - since_ago * DAY
    chart = charts.chart(PAIN, axis, NRS, by_day, country="DE", since=since, style="bars" if bars else "line")

    told = [row.first + index * DAY for row in chart.rows for index in range((row.last - row.first).days + 1)]
    assert told == sorted(set(told))
    assert {row.first for row in chart.rows if row.value is not None} == {
        day for day in by_day if day in axis
    }
    begin = max(axis.first, min([since, *(day for day in by_day if day in axis)]))
    assert set(told) >= {begin + index * DAY for index in range((TODAY - begin).days)}
    assert all(0 <= point.x_pct <= 100 and 0 <= point.y_px <= PLOT_HEIGHT_PX for point in chart.points)
    assert all(span.x_pct >= 0 and span.x_pct + span.width_pct <= 100.01 for span in chart.missing)


@given(st.floats(-1e3, 1e3), st.floats(0.01, 1e3))
def test_any_scale_holds_what_it_was_made_for_with_few_ticks(low, height):
    scale = charts.scale(low, low + height)

    assert scale.low <= low + 1e-6
    assert scale.high >= low + height - 1e-6
    assert 2 <= len(scale.ticks) <= 8
