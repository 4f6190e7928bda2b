"""The rules about silent therapy, one by one, on days spelled out."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.therapy_health import (
    Day,
    DeviceHistory,
    Finding,
    ImpedanceReading,
    Judgement,
    Prescribed,
    judge_therapy,
    shipped_rules,
)
from sc_stim.clinical.therapy_health.runs import Verdict, runs

FIRST = dt.datetime(2026, 9, 1, 22, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
WELL: dict[str, Any] = {"state": "on", "said_on": True, "on_s": 80_000.0, "covered": DAY}
OFF: dict[str, Any] = {"state": "off", "said_off": True, "on_s": 0.0, "covered": DAY}


def days(*reported: dict[str, Any]) -> tuple[Day, ...]:
    """One after the other; an empty one is a day without a report."""
    return tuple(Day(at=FIRST + number * DAY, **values) for number, values in enumerate(reported) if values)


def judged(*reported: dict[str, Any], **more: Any) -> Judgement:
    return judge_therapy(DeviceHistory(more.pop("kind", "stimulator"), days(*reported), **more))


def standing(*reported: dict[str, Any], **more: Any) -> dict[str, Finding]:
    return {one.name: one for one in judged(*reported, **more).findings if one.until is None}


def charged(pct: float, **more: Any) -> dict[str, Any]:
    return WELL | {"battery_pct": pct, "charged_s": 0.0} | more


def test_two_days_off_are_a_patients_own_affair_and_three_are_a_finding() -> None:
    assert standing(*[WELL] * 10, OFF, OFF) == {}
    found = standing(*[WELL] * 10, OFF, OFF, OFF)["therapy_off"]
    assert (found.since, found.well_until) == (FIRST + 10 * DAY, FIRST + 9 * DAY)
    assert found.severity.code == "medium"


def test_stimulation_that_was_never_used_is_less_than_one_that_was_given_up() -> None:
    found = standing(*[OFF] * 10)["therapy_off"]
    assert found.severity.code == "low"
    assert "no earlier use is known" in found.sentence


def test_a_month_without_use_is_called_a_virtual_explant() -> None:
    assert "virtual explant" not in standing(WELL, *[OFF] * 20)["therapy_off"].sentence
    assert "virtual explant" in standing(WELL, *[OFF] * 31)["therapy_off"].sentence


def test_who_often_pauses_is_compared_with_the_own_longest_pause() -> None:
    pauses = [*[WELL] * 4, *[OFF] * 4] * 3
    assert standing(*pauses, WELL, *[OFF] * 5) == {}
    assert set(standing(*pauses, WELL, *[OFF] * 6)) == {"therapy_off"}


def test_days_without_a_report_are_not_days_off_nor_do_they_end_a_finding() -> None:
    assert standing(*[WELL] * 10, OFF, {}, {}, {}) == {}
    assert set(standing(*[WELL] * 10, OFF, {}, OFF, {}, OFF, {}, {})) == {"therapy_off"}


def test_a_field_that_is_missing_says_nothing() -> None:
    silent = {"state": None, "covered": DAY}
    found = judged(*[WELL] * 10, OFF, OFF, OFF, silent, silent)
    assert [finding.name for finding in found.findings] == ["therapy_off"]
    assert "therapy_off" not in found.well
    nothing = judged(*[silent] * 40, rechargeable=True)
    assert (nothing.findings, dict(nothing.well)) == ((), {})


def test_the_state_alone_tells_where_seconds_of_stimulation_are_not_reported() -> None:
    off = {"state": "off", "said_off": True, "covered": DAY}
    assert set(standing(*[off] * 3)) == {"therapy_off"}
    assert standing(*[off | {"said_on": True}] * 3) == {}


def test_a_day_in_mri_mode_or_with_an_empty_battery_is_not_a_day_off() -> None:
    assert standing(*[WELL] * 10, *[OFF | {"state": "mri", "mri": True}] * 9) == {}
    flat = OFF | {"battery_pct": 0.0, "charged_s": 0.0}
    assert set(standing(*[charged(60.0)] * 10, *[flat] * 9, rechargeable=True)) == {"uncharged"}


def test_half_a_day_of_reports_is_not_judged_by_its_usage() -> None:
    assert standing(*[WELL] * 10, *[OFF | {"covered": DAY / 3}] * 3) == {}


def test_usage_is_compared_with_the_patients_own() -> None:
    little, less = WELL | {"on_s": 25_000.0}, WELL | {"on_s": 11_000.0}
    assert standing(*[little] * 40) == {}
    assert standing(*[little] * 20, *[less] * 6) == {}
    found = standing(*[little] * 20, *[less] * 7)["usage_down"]
    assert found.severity.code == "low"
    assert found.since == FIRST + 20 * DAY


def test_a_change_to_cycling_is_no_loss_of_usage() -> None:
    cycling = WELL | {"state": "cycling", "cycling": True, "said_on": False, "on_s": 20_000.0}
    assert standing(*[WELL] * 20, *[cycling] * 20) == {}
    assert set(standing(*[cycling] * 20, *[cycling | {"on_s": 5_000.0}] * 7)) == {"usage_down"}


def test_a_battery_that_falls_is_a_finding_when_charging_is_later_than_ever() -> None:
    week = [charged(95.0, charged_s=5_000.0), *(charged(pct) for pct in (85, 75, 65, 55, 45))]
    assert standing(*week, *week, *week, rechargeable=True) == {}
    found = standing(*week, *week, *week, charged(35), charged(25), charged(15), rechargeable=True)[
        "uncharged"
    ]
    assert "Battery at 15 %: empty about 2026-09-23" in found.sentence
    assert found.severity.code == "low"


def test_a_device_that_was_never_charged_is_said_to_be() -> None:
    found = standing(*(charged(100.0 - 9 * day) for day in range(11)), rechargeable=True)["uncharged"]
    assert "never charged since 2026-09-01" in found.sentence
    late = standing(WELL, *(charged(100.0 - 9 * day) for day in range(11)), rechargeable=True)
    assert set(late) == {"uncharged"}, "the first report need not name the battery"


def test_what_cannot_be_charged_is_never_uncharged() -> None:
    days_ = [WELL | {"battery_pct": 5.0 - 0.05 * day} for day in range(40)]
    assert set(standing(*days_, rechargeable=False)) == {"replacement_near"}
    assert set(standing(*days_)) == {"replacement_near"}, "nothing was ever said of charging"


@pytest.mark.parametrize(
    ("kind", "months", "severity"),
    [("pump", 7.0, None), ("pump", 6.0, "low"), ("pump", 0.0, "medium"), ("stimulator", 2.0, "low")],
)
def test_the_device_tells_its_replacement_date(kind: str, months: float, severity: str | None) -> None:
    found = standing({"state": "running", "eri_months": months}, kind=kind).get("replacement_near")
    assert (found and found.severity.code) == severity


def test_a_voltage_counts_only_where_the_models_replacement_voltage_is_known() -> None:
    falling = [WELL | {"battery_v": 2.9 - 0.005 * day} for day in range(40)]
    assert standing(*falling, rechargeable=False) == {}
    assert set(standing(*falling, rechargeable=False, replacement_v=2.6)) == {"replacement_near"}


def test_settings_are_compared_after_the_grace_in_what_both_sides_name() -> None:
    wanted = Prescribed(FIRST, {"flow_ml_per_day": 0.5, "bolus_ml": None})

    def at(hours: float, flow: float | None, state: str = "running") -> dict[str, Finding]:
        day = Day(FIRST + dt.timedelta(hours=hours), state=state, settings={"flow_ml_per_day": flow})
        found = judge_therapy(DeviceHistory("pump", (day,), prescribed=(wanted,))).findings
        return {one.name: one for one in found}

    assert at(23, 0.8) == at(30, 0.505) == at(30, None) == at(30, 0.0, "stopped") == {}
    assert "flow_ml_per_day 0.8, prescribed 0.5" in at(30, 0.8)["settings_mismatch"].sentence


def test_a_new_prescription_is_a_new_cause() -> None:
    days_ = [{"state": "running", "settings": {"flow_ml_per_day": 0.5}}] * 20
    rows = [Prescribed(FIRST + day * DAY, {"flow_ml_per_day": flow}) for day, flow in ((0, 0.7), (10, 0.8))]
    found = standing(*days_, kind="pump", prescribed=tuple(rows))["settings_mismatch"]
    assert found.since == FIRST + 11 * DAY
    assert found.well_until == FIRST + 10 * DAY


def test_a_patient_may_adjust_the_amplitude_a_little() -> None:
    wanted = Prescribed(FIRST - 9 * DAY, {"program": "A", "amplitude_ma": 4.0})
    assert standing(WELL | {"settings": {"program": "A", "amplitude_ma": 4.9}}, prescribed=(wanted,)) == {}
    assert set(
        standing(WELL | {"settings": {"program": "A", "amplitude_ma": 6.0}}, prescribed=(wanted,))
    ) == {"settings_mismatch"}


def test_a_loop_that_was_never_in_its_window_is_not_out_of_it_now() -> None:
    assert standing(*[WELL | {"ecap_in_window_pct": 40.0}] * 30) == {}
    found = standing(*[WELL | {"ecap_in_window_pct": 90.0}] * 10, *[WELL | {"ecap_in_window_pct": 50.0}] * 3)
    assert set(found) == {"closed_loop_out"}


def contact_history(*prescribed: Prescribed, program: str | None = "A") -> DeviceHistory:
    """Contact 3 of 8 is open in the last two of ten readings."""
    ohm = [
        tuple(20_000.0 if contact == 3 and day > 7 else 500.0 for contact in range(8)) for day in range(10)
    ]
    return DeviceHistory(
        "stimulator",
        days(*[WELL | {"settings": {"program": program}}] * 10),
        tuple(ImpedanceReading(FIRST + day * DAY, one) for day, one in enumerate(ohm)),
        prescribed,
    )


def test_the_contacts_in_use_are_those_of_the_programme_that_the_device_reports() -> None:
    a = Prescribed(FIRST - 9 * DAY, {"program": "A"}, (3, 4))
    b = Prescribed(FIRST - 8 * DAY, {"program": "B"}, (0, 1))
    mine = {one.name for one in judge_therapy(contact_history(a, b, program="A")).findings}
    other = {one.name for one in judge_therapy(contact_history(a, b, program="B")).findings}
    assert "contact_open" in mine
    assert "contact_open" not in other


@pytest.mark.parametrize("prescribed", [(), (Prescribed(FIRST - 9 * DAY, {"program": "A"}, None),)])
def test_where_the_contacts_in_use_are_not_on_record_all_count_and_it_is_said(
    prescribed: tuple[Prescribed, ...],
) -> None:
    [found] = [one for one in judge_therapy(contact_history(*prescribed)).findings if one.contacts]
    assert found.contacts == (3,)
    assert "not on record, so all count" in found.sentence


def test_one_odd_reading_is_a_suspicion_and_neither_a_finding_nor_all_well() -> None:
    history = contact_history()
    once = judge_therapy(replace(history, impedance=history.impedance[:-1]))
    assert [fault.contact for fault in once.suspects] == [3]
    assert once.findings == ()
    assert "contact_open" not in once.well


reports = st.lists(
    st.sampled_from(
        [WELL, OFF, {}, {"state": None, "covered": DAY}, charged(50.0), charged(0.5), charged(9.0)]
    ),
    max_size=60,
)


@given(reports, st.integers(1, 20))
def test_silence_after_the_newest_report_changes_nothing(reported: list[dict[str, Any]], more: int) -> None:
    assert judged(*reported) == judged(*reported, *[{}] * more)


@given(reports)
def test_no_condition_stands_and_is_well_at_once(reported: list[dict[str, Any]]) -> None:
    found = judged(*reported, rechargeable=True)
    assert not {one.name for one in found.findings if one.until is None} & set(found.well)
    for finding in found.findings:
        assert finding.well_until is None or finding.well_until < finding.since
        assert finding.until is None or finding.since < finding.until
        assert finding.points
        assert finding.sentence


@given(st.lists(st.sampled_from([True, False, None])), st.integers(1, 4))
def test_runs_are_bad_points_in_a_row_and_long_enough(words: list[bool | None], needed: int) -> None:
    verdicts = [Verdict(FIRST + n * DAY, bad, n, needed) for n, bad in enumerate(words)]
    for run in runs(verdicts):
        begin, end = run.bad[0].value, run.bad[-1].value
        assert len(run.bad) >= needed
        assert False not in words[begin : end + 1]
        assert words[begin : end + 1].count(True) == len(run.bad)


def test_every_condition_has_a_source_or_says_why_and_only_known_severities() -> None:
    for condition in shipped_rules().conditions.values():
        assert condition.rationale
        assert condition.severity
        for kind, severity in condition.worse.items():
            assert severity > condition.severity[kind]
            assert condition.worse_when
