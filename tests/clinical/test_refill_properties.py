"""What must hold of every refill forecast, whatever the pump."""

import datetime as dt
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sc_stim.clinical.pump_record import BolusCount, DrugInPump, Fill, PumpRecord, PumpSetting
from sc_stim.clinical.refill import Forecast, forecast
from sc_stim.clinical.refill_case import CaseError, decode_cases
from sc_stim.clinical.refusal import Refused

START = dt.datetime(2026, 1, 5, 9, 0, tzinfo=dt.UTC)
DRUGS = ("morphine", "baclofen", "ziconotide", "hydromorphone", "clonidine")

flows = st.floats(0.02, 3.0)
residuals = st.one_of(st.none(), st.floats(0, 20))
days_of_year = st.dates(dt.date(2025, 12, 1), dt.date(2027, 12, 31))


@st.composite
def pumps(draw: st.DrawFn) -> PumpRecord:
    gaps = draw(st.lists(st.floats(1, 170), max_size=4))
    fill_days = [sum(gaps[:index]) for index in range(len(gaps) + 1)]
    allowed = draw(st.sampled_from([0.0, 4.0, 12.0]))
    changed_on = draw(st.floats(1, 200))
    with_boluses = {"bolus_ml": draw(st.floats(0, 0.1)), "max_boluses_per_day": allowed}
    counts = draw(st.lists(st.integers(0, 300), max_size=2))
    return PumpRecord(
        timezone=draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland"])),
        reservoir_ml=20,
        low_reservoir_alarm_ml=draw(st.one_of(st.none(), st.floats(0, 5))),
        accuracy_pct=draw(st.one_of(st.none(), st.floats(1, 30))),
        end_of_service=draw(st.one_of(st.none(), days_of_year)),
        drugs=tuple(
            DrugInPump(name=name, mg_per_ml=1.0) for name in draw(st.sets(st.sampled_from(DRUGS), min_size=1))
        ),
        settings=(
            PumpSetting(since=START, flow_ml_per_day=draw(flows), **with_boluses),
            PumpSetting(
                since=START + dt.timedelta(days=changed_on), flow_ml_per_day=draw(flows), **with_boluses
            ),
        ),
        fills=tuple(
            Fill(
                at=START + dt.timedelta(days=day),
                filled_ml=draw(st.floats(1, 20)),
                aspirated_ml=draw(residuals),
            )
            for day in fill_days
        ),
        boluses=tuple(
            BolusCount(
                first_day=START.date() + dt.timedelta(days=40 * index),
                until=START.date() + dt.timedelta(days=40 * (index + 1)),
                count=count,
            )
            for index, count in enumerate(counts)
        ),
        closed_days=tuple(draw(st.lists(days_of_year, max_size=5))),
        country=draw(st.sampled_from([None, "DE", "US-NY", "SA"])),
        pharmacy_lead_days=draw(st.integers(0, 10)),
        margin_days=draw(st.integers(0, 10)),
    )


def judged(pump: PumpRecord, **options: float) -> Forecast:
    result = forecast(pump, pump.fills[-1].at + dt.timedelta(hours=1), **options)
    assert not isinstance(result, Refused), result
    return result


@given(pumps())
def test_the_date_is_never_after_any_clock_and_the_named_clock_is_the_earliest(pump: PumpRecord) -> None:
    result = judged(pump)
    assert all(result.refill_by <= clock.date for clock in result.clocks)
    named = next(clock for clock in result.clocks if clock.name == result.binding_clock)
    assert named.date == min(clock.date for clock in result.clocks)


@given(pumps())
def test_the_empty_dates_are_in_order(pump: PumpRecord) -> None:
    empty = judged(pump).empty
    dates = [day or dt.date.max for day in (empty.p05, empty.p50, empty.p95)]
    assert dates == sorted(dates)


@given(pumps())
def test_what_is_left_is_between_nothing_and_the_fill(pump: PumpRecord) -> None:
    assert 0 <= judged(pump).expected_residual_ml <= pump.fills[-1].filled_ml


@given(pumps(), st.floats(1.0, 3.0))
def test_more_flow_from_the_last_fill_on_never_moves_the_date_later(pump: PumpRecord, factor: float) -> None:
    last_fill = pump.fills[-1].at
    before = tuple(setting for setting in pump.settings if setting.since < last_fill) or pump.settings[:1]
    after = (replace(before[-1], since=last_fill), *(row for row in pump.settings if row.since > last_fill))
    steady = replace(pump, settings=(*before, *after))
    faster = replace(
        pump,
        settings=(*before, *(replace(row, flow_ml_per_day=row.flow_ml_per_day * factor) for row in after)),
    )
    assert judged(faster).refill_by <= judged(steady).refill_by


@given(pumps(), st.integers(0, 30))
def test_a_closed_day_more_never_moves_the_date_later(pump: PumpRecord, days_before: int) -> None:
    open_before = judged(pump).refill_by
    closed = open_before - dt.timedelta(days=days_before)
    assert judged(replace(pump, closed_days=(*pump.closed_days, closed))).refill_by <= open_before


@given(pumps(), st.integers(0, 20))
def test_more_margin_or_lead_time_never_moves_the_date_later(pump: PumpRecord, days: int) -> None:
    careful = replace(pump, margin_days=pump.margin_days + days)
    slower_pharmacy = replace(pump, pharmacy_lead_days=pump.pharmacy_lead_days + days)
    assert judged(careful).refill_by <= judged(pump).refill_by
    assert judged(slower_pharmacy).refill_by <= judged(pump).refill_by


@given(pumps(), st.floats(0, 4))
def test_a_floor_never_moves_the_date_later(pump: PumpRecord, floor_ml: float) -> None:
    assert judged(pump, floor_ml=floor_ml).refill_by <= judged(pump).refill_by


@given(pumps())
def test_the_order_of_fills_and_settings_does_not_matter(pump: PumpRecord) -> None:
    shuffled = replace(pump, fills=pump.fills[::-1], settings=pump.settings[::-1])
    result = forecast(shuffled, pump.fills[-1].at + dt.timedelta(hours=1))
    assert result == judged(pump)


def refusal_of(text: bytes) -> str | None:
    try:
        decode_cases(text)
    except CaseError as refused:
        return str(refused)
    return None


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode)))
def test_any_bytes_are_cases_or_refused_with_a_reason(text: bytes) -> None:
    assert refusal_of(text) != ""


CASE = {
    "pump": "p1", "at": "2026-11-22", "timezone": "UTC", "reservoir_ml": 20, "drugs": [], "settings": [], "fills": [],
    "boluses": [], "country": None,
}  # fmt: skip


@given(
    st.sampled_from(sorted(CASE)),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
        st.just([{}]),
        st.just({}),
    ),
)
def test_a_bad_value_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    refusal = refusal_of(json.dumps(CASE | {field: value}).encode())
    assert refusal is None or field in refusal
