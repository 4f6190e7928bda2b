import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.burden import YEAR, Life, burden, patient_years

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)


def test_alerts_are_counted_per_patient_year_by_kind_and_severity() -> None:
    lives = [
        Life("pump_stopped", "high", AT, AT + 10 * MINUTE, True),
        Life("pump_stopped", "high", AT, AT + 30 * MINUTE, False),
        Life("refill_due", "low", AT),
    ]
    found = burden(lives, 2.0)
    assert (found.total.alerts, found.total.per_patient_year, found.total.actionable_share) == (3, 1.5, 0.5)
    stopped, refill = found.by_kind_and_severity
    assert (stopped.kind, stopped.per_patient_year, stopped.minutes_to_acknowledge) == (
        "pump_stopped",
        1.0,
        20.0,
    )
    assert (refill.alerts, refill.actionable_share, refill.minutes_to_acknowledge) == (1, None, None)
    reached = {aim.name: aim.reached for aim in found.aims}
    assert reached == {
        "alerts_per_patient_year": True,
        "high_per_patient_year": False,
        "actionable_share": True,
        "minutes_to_acknowledge_high": False,
    }


def test_without_patients_or_alerts_nothing_is_claimed() -> None:
    found = burden([], 0.0)
    assert found.total.per_patient_year is None
    assert [aim.reached for aim in found.aims] == [None] * 4


def test_two_devices_of_a_patient_at_once_are_one_patient() -> None:
    spans = [(AT, AT + 100 * DAY), (AT + 50 * DAY, AT + 150 * DAY), (AT + 60 * DAY, AT + 70 * DAY)]
    assert patient_years([spans], (AT, AT + YEAR)) == pytest.approx(150 * DAY / YEAR)


days = st.integers(-400, 800).map(lambda count: AT + count * DAY)


@given(st.lists(st.lists(st.tuples(days, days), max_size=4), max_size=4))
def test_nobody_is_watched_for_longer_than_the_window(
    watched: list[list[tuple[dt.datetime, dt.datetime]]],
) -> None:
    years = patient_years(watched, (AT, AT + YEAR))
    assert 0 <= years <= len(watched) * (1 + 1e-9)
