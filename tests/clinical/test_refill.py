"""The forecast in Python: what the JSON form does not show."""

from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from sc_stim.clinical.pump_record import BolusCount, DrugInPump, Fill, PumpRecord, PumpSetting
from sc_stim.clinical.refill import Forecast, forecast
from sc_stim.clinical.refusal import Refused

FILLED = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
PUMP = PumpRecord(
    timezone="Europe/Berlin",
    reservoir_ml=20,
    low_reservoir_alarm_ml=2,
    accuracy_pct=14.5,
    drugs=(DrugInPump(name="hydromorphone", mg_per_ml=10),),
    settings=(PumpSetting(since=FILLED, flow_ml_per_day=0.2),),
    fills=(Fill(at=FILLED, filled_ml=20),),
)


def judged(pump: PumpRecord, at: datetime = FILLED, floor_ml: float = 0.0) -> Forecast:
    found = forecast(pump, at, floor_ml=floor_ml)
    assert isinstance(found, Forecast), found
    return found


def test_the_earliest_empty_moment_is_never_before_the_refill_date() -> None:
    found = judged(PUMP)
    assert found.earliest_empty is not None
    assert found.earliest_empty.date() >= found.refill_by


def test_the_labelled_worst_case_of_a_new_pump_is_covered() -> None:
    """20 mL at +14.5 % of 0.20 mL/day are empty on day 87, before the pump's own date on day 90."""
    assert judged(PUMP).refill_by < FILLED.date() + timedelta(days=87)


def test_a_patient_prone_to_withdrawal_is_refilled_before_the_floor_is_reached() -> None:
    assert judged(PUMP, floor_ml=4.0).refill_by < judged(PUMP).refill_by - timedelta(days=10)


def test_three_good_residuals_give_back_days_that_a_new_pump_must_leave_unused() -> None:
    fills = [FILLED + timedelta(days=70 * visit) for visit in range(4)]
    known = replace(
        PUMP,
        fills=tuple(Fill(at=at, filled_ml=20, aspirated_ml=None if at == FILLED else 5.9) for at in fills),
    )
    last = fills[-1]
    new = replace(PUMP, fills=(Fill(at=last, filled_ml=20),))
    assert judged(known, last).refill_by > judged(new, last).refill_by


def test_boluses_taken_since_the_fill_bring_the_date_forward() -> None:
    setting = PumpSetting(since=FILLED, flow_ml_per_day=0.2, bolus_ml=0.05, max_boluses_per_day=4)
    known = replace(
        PUMP,
        settings=(setting,),
        fills=(
            Fill(at=FILLED, filled_ml=20),
            Fill(at=FILLED + timedelta(days=40), filled_ml=20, aspirated_ml=10),
        ),
        boluses=(BolusCount(first_day=date(2026, 3, 2), until=date(2026, 4, 11), count=40),),
    )
    later = FILLED + timedelta(days=60)
    keen = BolusCount(first_day=date(2026, 4, 11), until=date(2026, 5, 1), count=80)
    with_keen = replace(known, boluses=(*known.boluses, keen))
    assert judged(with_keen, later).refill_by < judged(known, later).refill_by
    assert judged(with_keen, later).expected_residual_ml < judged(known, later).expected_residual_ml


def test_a_patient_who_takes_few_boluses_is_not_booked_as_if_they_were_all_taken() -> None:
    setting = PumpSetting(since=FILLED, flow_ml_per_day=0.2, bolus_ml=0.05, max_boluses_per_day=4)
    fills = (
        Fill(at=FILLED, filled_ml=20),
        Fill(at=FILLED + timedelta(days=40), filled_ml=20, aspirated_ml=11.0),
    )
    unknown = replace(PUMP, settings=(setting,), fills=fills[:1])
    learned = replace(PUMP, settings=(setting,), fills=fills)
    gained = judged(learned, fills[1].at).refill_by - fills[1].at.date()
    assert gained > judged(unknown).refill_by - FILLED.date()


def test_an_overdue_pump_keeps_its_date_in_the_past() -> None:
    found = judged(PUMP, FILLED + timedelta(days=120))
    assert found.refill_by == judged(PUMP).refill_by
    assert found.expected_residual_ml == 0


def test_dates_are_local_dates_of_the_clinic() -> None:
    midnight = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
    pump = replace(PUMP, settings=(PumpSetting(since=midnight, flow_ml_per_day=0.2),))
    in_berlin = judged(replace(pump, fills=(Fill(at=midnight, filled_ml=20),)), midnight)
    in_auckland = judged(
        replace(pump, fills=(Fill(at=midnight, filled_ml=20),), timezone="Pacific/Auckland"), midnight
    )
    stability = [
        next(row.date for row in found.clocks if row.name == "drug_stability")
        for found in (in_berlin, in_auckland)
    ]
    assert stability == [date(2026, 6, 29), date(2026, 6, 30)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"timezone": "Berlin"}, "unknown_timezone"), ({"country": "XX"}, "unknown_country")],
)
def test_a_record_that_cannot_be_placed_is_refused_by_name(change: dict[str, str], reason: str) -> None:
    found = forecast(replace(PUMP, **change), FILLED)
    assert isinstance(found, Refused)
    assert found.reason == reason


def test_the_newest_measured_residual_is_compared_with_what_was_expected() -> None:
    second, third = FILLED + timedelta(days=70), FILLED + timedelta(days=100)
    fills = (
        Fill(at=FILLED, filled_ml=20),
        Fill(at=second, filled_ml=20, aspirated_ml=3.1),
        Fill(at=third, filled_ml=20),
    )
    found = judged(replace(PUMP, fills=fills), third)
    assert found.last_refill is not None
    assert found.last_refill.expected_ml == pytest.approx(6.0)
    assert "possible_over_infusion" in found.flags
