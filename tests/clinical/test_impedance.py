"""One impedance rule: each contact against its own usual value."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.impedance import ContactFault, contact_faults, shipped_rules

FIRST = dt.datetime(2026, 10, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def faults(*daily: list[float | None], open_ohm: float | None = None) -> list[ContactFault]:
    """`daily`: the readings of contact 0, 1, ... day by day."""
    readings = [(FIRST + day * DAY, ohm) for day, ohm in enumerate(zip(*daily, strict=True))]
    return contact_faults(readings, open_ohm=open_ohm)


def test_a_contact_that_jumps_against_its_own_usual_value_is_found_with_the_readings_of_both() -> None:
    [fault] = faults([600.0] * 12, [500.0] * 10 + [900.0, 910.0])
    assert (fault.contact, fault.fault, fault.usual_ohm, fault.confirmed) == (1, "jump", 500.0, True)
    assert [ohm for _, ohm in fault.during] == [900.0, 910.0]
    assert fault.since == FIRST + 10 * DAY
    assert len(fault.before) == 10


def test_one_reading_alone_is_told_as_not_confirmed() -> None:
    [fault] = faults([500.0] * 10 + [12_000.0])
    assert (fault.fault, fault.confirmed, fault.over) == ("open", False, False)


def test_one_reading_that_the_next_one_takes_back_is_nothing() -> None:
    assert faults([500.0] * 10 + [12_000.0] + [500.0] * 3) == []


def test_a_confirmed_fault_stays_on_record_when_it_is_over() -> None:
    [fault] = faults([500.0] * 10 + [12_000.0, 12_000.0] + [500.0] * 3)
    assert (fault.fault, fault.confirmed, fault.over) == ("open", True, True)


def test_the_figure_of_the_model_goes_before_the_shipped_one() -> None:
    assert [fault.fault for fault in faults([9_000.0] * 4 + [12_000.0] * 2, open_ohm=40_000.0)] == []
    assert [fault.fault for fault in faults([9_000.0] * 4 + [12_000.0] * 2)] == ["open"]


def test_a_contact_that_was_never_measured_has_no_fault() -> None:
    assert faults([None] * 10, [500.0] * 10) == []


def test_without_enough_earlier_readings_there_is_no_jump_but_an_open_contact_is_one() -> None:
    assert faults([500.0, 500.0, 900.0]) == []
    assert [fault.usual_ohm for fault in faults([500.0, 500.0, 12_000.0, 12_000.0])] == [None]


@given(st.lists(st.floats(250.0, 350.0), max_size=60))
def test_readings_that_stay_near_each_other_are_never_a_fault(ohm: list[float]) -> None:
    assert faults(list(ohm)) == []


@given(
    st.lists(st.one_of(st.none(), st.floats(1.0, 50_000.0)), max_size=40),
    st.randoms(use_true_random=False),
)
def test_the_order_of_arrival_does_not_matter_and_every_fault_names_its_readings(ohm, random) -> None:  # type: ignore[no-untyped-def]
    readings = [(FIRST + day * DAY, [value]) for day, value in enumerate(ohm)]
    expected = contact_faults(readings)
    random.shuffle(readings)
    assert contact_faults(readings) == expected
    for fault in expected:
        assert set(fault.during) <= {(at, value) for at, (value,) in readings}
        assert fault.confirmed == (len(fault.during) >= shipped_rules().confirming_readings)
