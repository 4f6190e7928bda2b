"""The bridge bolus: the old drug at the new dose until tubing and catheter are free of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.bridge import Bridge, bridge, bridging, with_bridges
from sc_stim.clinical.delivery import NOTHING_COUNTED, day_number, exposure, stretches
from sc_stim.clinical.dose import Dose, doses
from sc_stim.clinical.pump_record import DrugInPump, PumpSetting
from sc_stim.clinical.refusal import Refused

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MORPHINE = DrugInPump(name="morphine", mg_per_ml=20.0)

figures = st.floats(0.05, 20)


@given(figures, figures, figures, figures)
def test_the_old_drug_is_given_at_the_new_dose_and_the_dead_space_is_emptied(
    volume_ml: float, old: float, new: float, flow: float
) -> None:
    made = bridge(AT, volume_ml, old, new, flow)
    if made.until - made.since < timedelta(seconds=10):
        return  # the clock counts microseconds: a shorter one has no exact flow
    assert made.flow_ml_per_day * old == pytest.approx(flow * new, rel=1e-4)
    assert made.flow_ml_per_day * ((made.until - made.since) / DAY) == pytest.approx(volume_ml)


@given(st.floats(0.05, 1), figures, st.floats(0.05, 2), st.floats(1, 30))
def test_while_a_bridge_runs_no_dose_is_named_and_afterwards_flow_times_concentration_is(
    volume_ml: float, old: float, flow: float, days: float
) -> None:
    running = bridge(AT, volume_ml, old, 20.0, flow)
    for at in (AT, running.since + 0.999 * (running.until - running.since)):
        refused = doses([MORPHINE], flow, 0.0, at, bridging([running], at))
        assert isinstance(refused, Refused)
        assert (refused.reason, str(running.until) in refused.detail) == ("bridge_bolus", True)
    later = running.until + days * DAY
    assert doses([MORPHINE], flow, 0.1, later, bridging([running], later)) == [
        Dose("morphine", 20.0 * flow, 20.0 * (flow + 0.1))
    ]


def test_the_forecast_counts_the_flow_of_the_bridge_and_nothing_else_changes() -> None:
    settings = [
        PumpSetting(since=AT - 30 * DAY, flow_ml_per_day=0.5),
        PumpSetting(since=AT, flow_ml_per_day=0.25, bolus_ml=0.02, max_boluses_per_day=4),
    ]
    running = bridge(AT, 0.3, 10.0, 20.0, 0.25)
    assert running.until == AT + 0.6 * DAY
    bridged = with_bridges(settings, [running])
    assert [(row.since, row.flow_ml_per_day) for row in bridged] == [
        (AT - 30 * DAY, 0.5), (AT, pytest.approx(0.5)), (AT + 0.6 * DAY, 0.25),
    ]  # fmt: skip
    assert [row.max_boluses_per_day for row in bridged] == [0.0, 4, 4]
    starts = [day_number(row.since) for row in bridged]
    programme = stretches(bridged, starts, day_number(AT), day_number(AT + DAY), NOTHING_COUNTED)
    assert exposure(programme, 0.0).known_ml == pytest.approx(0.3 + 0.4 * 0.25)


def test_a_setting_made_while_a_bridge_runs_holds_after_it() -> None:
    running = Bridge(AT, AT + DAY, 0.3)
    settings = [
        PumpSetting(since=AT, flow_ml_per_day=0.25),
        PumpSetting(since=AT + DAY / 2, flow_ml_per_day=0.4),
        PumpSetting(since=AT + 9 * DAY, flow_ml_per_day=0.1),
    ]
    bridged = with_bridges(settings, [running])
    assert [row.flow_ml_per_day for row in bridged] == [pytest.approx(0.3), 0.4, 0.1]


@pytest.mark.parametrize("wrong", [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)])
def test_a_bridge_needs_all_its_figures(wrong: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="above zero"):
        bridge(AT, *wrong)


def test_without_a_drug_or_a_concentration_no_dose_is_named() -> None:
    assert doses([], 0.5, 0.0, AT) == Refused("no_drug_recorded", "record the drugs in this pump")
    unknown = doses([MORPHINE, DrugInPump(name="clonidine")], 0.5, 0.0, AT)
    assert unknown == Refused("unknown_concentration", "record the concentration of clonidine")
