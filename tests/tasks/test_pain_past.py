"""What is late, corrected or changed around a diary: the past is mended at a bounded cost, and the therapy counts."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, insert, select

from sc_stim.clinical import pain
from sc_stim.clinical.alert_lifecycle import State
from sc_stim.extensions import db
from sc_stim.models import (
    Alert,
    AlertEntry,
    DeviceEvent,
    PainCheckpoint,
    PainFinding,
    PainModel,
    PainScore,
    Patient,
    Treatment,
)
from sc_stim.tasks.pain import judge_pain
from sc_stim.workflows.pain_courses import CHECKPOINTS_KEPT, load_courses
from tests.apps import both_databases, read
from tests.builders import (
    AT,
    create_fill,
    create_pain_score,
    create_patient,
    create_pump,
    create_setting,
    create_stimulator,
)

DAY = dt.timedelta(days=1)
BEGIN = AT - 60 * DAY

pytestmark = both_databases


def diary(patient: Patient, levels: list[float | None], begin: dt.datetime = BEGIN) -> None:
    """One score each morning, None for a day without."""
    rows = [
        {
            "clinic_id": patient.clinic_id, "patient_id": patient.id, "measured_at": begin + day * DAY,
            "received_at": begin + day * DAY, "nrs": nrs, "site": "overall", "symptoms": [],
        }
        for day, nrs in enumerate(levels)
        if nrs is not None
    ]  # fmt: skip
    db.session.execute(insert(PainScore), rows)
    db.session.commit()


def steady(days: int, level: float) -> list[float | None]:
    return [level + (day % 3 - 1) * 0.5 for day in range(days)]


def judge(patient: Patient, at: dt.datetime, since: dt.datetime = BEGIN) -> None:
    judge_pain(db.session(), {patient.id: since}, at)
    db.session.commit()


def judge_nightly(patient: Patient, until: dt.datetime, nights: int) -> None:
    for ago in range(nights - 1, -1, -1):
        judge(patient, until - ago * DAY, since=until - (ago + 1) * DAY)


def told() -> list[tuple[str, str, str]]:
    alerts = read(select(Alert).order_by(Alert.id))
    return [(row.condition, row.severity, row.state) for row in alerts]


def tell(device: Any, kind: str, at: dt.datetime, **detail: Any) -> None:
    number = db.session.scalar(select(func.count()).select_from(DeviceEvent)) or 0
    db.session.add(
        DeviceEvent(
            device_id=device.id, epoch="e", seq=number, clinic_id=device.clinic_id, measured_at=at, device_at=at,
            received_at=at, kind=kind, detail=detail or None,
        )
    )  # fmt: skip
    db.session.commit()


@contextmanager
def statements() -> Iterator[list[str]]:
    said: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        said.append(statement)

    event.listen(db.engine, "after_cursor_execute", note)
    yield said
    event.remove(db.engine, "after_cursor_execute", note)


# --- cost


@pytest.mark.parametrize("years", [1, 5])
def test_a_score_costs_the_same_after_one_year_and_after_five_and_a_late_one_as_much_as_it_is_late(
    app: Flask, years: int
) -> None:
    patient = create_patient()
    days = 365 * years
    diary(patient, steady(days, 4.0), begin=AT - days * DAY)
    judge(patient, AT, since=AT - days * DAY)
    read_scores = {}
    for name, since in (("new", AT), ("late", AT - 3 * DAY), ("very late", AT - 150 * DAY)):
        with statements() as said:
            judge(patient, AT, since=since)
        course = load_courses(db.session(), {patient.id: since})[patient.id]
        read_scores[name] = len(course.scores)
        assert len(said) <= 20
        db.session.commit()
    assert read_scores["new"] <= 2
    assert read_scores["late"] <= 3 + 15 + 28 + 1
    assert read_scores["very late"] <= 150 + 15 + 28 + 1
    assert len(read(select(PainCheckpoint.day))) == CHECKPOINTS_KEPT


def test_a_replay_from_a_checkpoint_ends_as_one_from_the_start(app: Flask) -> None:
    patient = create_patient()
    diary(patient, [*steady(150, 3.0), None, None, *steady(48, 6.0)], begin=AT - 200 * DAY)
    judge(patient, AT, since=AT - 200 * DAY)
    create_pain_score(patient=patient, measured_at=AT - 20 * DAY, nrs=9.0)
    judge(patient, AT, since=AT - 20 * DAY)
    state = read(select(PainModel.state))
    findings = read(select(PainFinding.baseline_nrs).order_by(PainFinding.day))
    checkpoints = read(select(PainCheckpoint.state).order_by(PainCheckpoint.day))
    judge(patient, AT, since=AT - 400 * DAY)
    assert read(select(PainModel.state)) == state
    assert read(select(PainFinding.baseline_nrs).order_by(PainFinding.day)) == findings
    assert read(select(PainCheckpoint.state).order_by(PainCheckpoint.day)) == checkpoints


def test_another_time_zone_is_another_diary_and_the_same_alert(app: Flask) -> None:
    """Scores just before midnight in Berlin are of the same evening in New York and of the next day in Tokyo."""
    patient = create_patient()
    evening = (AT - 60 * DAY).replace(hour=22, minute=30)
    diary(patient, [*steady(40, 3.0), *steady(19, 7.0)], begin=evening)
    judge_nightly(patient, AT, 25)
    [onset] = read(select(PainFinding.onset))
    history = len(read(select(AlertEntry)))
    patient.time_zone = "Asia/Tokyo"
    db.session.commit()
    judge(patient, AT, since=AT)
    [after] = read(select(PainFinding))
    assert read(select(PainModel.time_zone)) == ["Asia/Tokyo"]
    assert after.onset == onset + DAY
    assert len(read(select(AlertEntry))) == history
    assert [alert.historical for alert in read(select(Alert))] == [False]


def test_a_corrected_score_that_shifts_a_change_by_a_day_calls_nobody_again(app: Flask) -> None:
    patient = create_patient()
    diary(patient, [*steady(46, 4.0), 6.0, *steady(12, 7.0)])
    judge_nightly(patient, AT, 14)
    [day] = read(select(PainFinding.day))
    history = len(read(select(AlertEntry)))
    for score in read(
        select(PainScore).where(PainScore.measured_at.between(BEGIN + 46 * DAY, BEGIN + 47 * DAY))
    ):
        create_pain_score(patient=patient, measured_at=score.measured_at, nrs=4.0, replaces_id=score.id)
    judge(patient, AT, since=BEGIN + 46 * DAY)
    [after] = read(select(PainFinding))
    assert after.day > day
    assert len(read(select(AlertEntry))) == history
    [alert] = read(select(Alert))
    assert (alert.detail["flagged"], alert.detail["tier"]) == (after.day.isoformat(), after.tier)


# --- a new therapy: the baseline is learned anew, and a rise right after it is no news


def rising_after(patient: Patient) -> list[tuple[str, str, str]]:
    diary(patient, [*steady(50, 3.0), *steady(9, 6.5)])
    judge(patient, AT)
    return told()


def test_without_a_change_of_therapy_the_rise_is_told(app: Flask) -> None:
    assert [row[0] for row in rising_after(create_patient())] == ["pain_rise"]


def test_a_prescription_that_differs_mutes_and_the_same_one_entered_again_does_not(app: Flask) -> None:
    for amplitude_ma, conditions in ((5.0, []), (4.2, ["pain_rise"])):
        device = create_stimulator()
        assert device.patient
        create_setting(device=device, effective_at=AT - 200 * DAY)
        create_setting(device=device, effective_at=BEGIN + 49 * DAY, amplitude_ma=amplitude_ma)
        rising_after(device.patient)
        mine = select(Alert.condition).where(Alert.patient_id == device.patient_id)
        assert read(mine) == conditions


def test_a_programme_changed_at_the_clinic_mutes_and_the_patients_own_switch_does_not(app: Flask) -> None:
    for kinds, conditions in (
        (["session_opened", "program_changed", "session_closed"], []),
        (["program_changed"], ["pain_rise"]),
    ):
        device = create_stimulator()
        assert device.patient
        for kind in kinds:
            tell(device, kind, BEGIN + 49 * DAY)
        rising_after(device.patient)
        assert read(select(Alert.condition).where(Alert.patient_id == device.patient_id)) == conditions


def test_a_pump_rate_that_changed_mutes_unless_it_is_rounding(app: Flask) -> None:
    for after, conditions in ((0.4, []), (0.501, ["pain_rise"])):
        pump = create_pump()
        assert pump.patient
        tell(pump, "rate_changed", BEGIN + 49 * DAY, before_ml_per_day=0.5, after_ml_per_day=after)
        rising_after(pump.patient)
        assert read(select(Alert.condition).where(Alert.patient_id == pump.patient_id)) == conditions


def test_a_refill_with_another_concentration_mutes_and_one_with_the_same_does_not(app: Flask) -> None:
    for mg_per_ml, conditions in ((25.0, []), (10.0, ["pain_rise"])):
        pump = create_pump()
        assert pump.patient
        create_fill(pump=pump, at=AT - 90 * DAY)
        create_fill(pump=pump, at=BEGIN + 49 * DAY, drugs=[{"name": "morphine", "mg_per_ml": mg_per_ml}])
        rising_after(pump.patient)
        assert read(select(Alert.condition).where(Alert.patient_id == pump.patient_id)) == conditions


def test_a_revision_mutes(app: Flask) -> None:
    patient = create_patient()
    db.session.add(
        Treatment(
            clinic_id=patient.clinic_id, patient_id=patient.id, kind="revision_surgery",
            started_on=(BEGIN + 49 * DAY).date(), created_at=AT,
        )
    )  # fmt: skip
    assert rising_after(patient) == []


def test_after_a_fortnight_the_new_level_is_the_usual_one(app: Flask) -> None:
    device = create_stimulator()
    assert device.patient
    create_setting(device=device, effective_at=AT - 40 * DAY)
    diary(device.patient, [*steady(20, 3.0), *steady(39, 6.0)])
    judge_nightly(device.patient, AT, 59)
    assert told() == []


# --- a fall that may be over-delivery


def test_a_fall_with_sedation_and_a_fall_after_a_refill_are_urgent_and_another_one_is_not(app: Flask) -> None:
    for case, severity in (("sedation", "high"), ("refill", "high"), ("neither", "info")):
        pump = create_pump()
        assert pump.patient
        diary(pump.patient, [*steady(50, 7.0), *steady(9, 2.0)])
        if case == "sedation":
            for day in range(50, 59):
                create_pain_score(
                    patient=pump.patient, measured_at=BEGIN + day * DAY, nrs=2.0, symptoms=["sedation"]
                )
        if case == "refill":
            create_fill(pump=pump, at=BEGIN + 48 * DAY)
        judge(pump.patient, AT)
        [alert] = read(select(Alert).where(Alert.patient_id == pump.patient_id))
        assert (alert.condition, alert.severity) == ("pain_fall", severity), case
        assert alert.detail["next_step"] == ("check_for_over_delivery" if severity == "high" else "none")


# --- tiers


def test_first_a_score_is_asked_for_and_only_what_lasts_asks_for_a_review(app: Flask) -> None:
    patient = create_patient()
    diary(patient, [*steady(40, 3.0), *steady(19, 7.0)])
    steps = []
    for night in range(40, 60):
        judge(patient, BEGIN + night * DAY, since=BEGIN + (night - 1) * DAY)
        steps += [alert.detail["next_step"] for alert in read(select(Alert))][:1]
    assert [step for i, step in enumerate(steps) if i == 0 or steps[i - 1] != step] == [
        "ask_for_score", "review_device",
    ]  # fmt: skip
    assert steps.count("ask_for_score") == pain.CHECK_ON_DAY
    assert told() == [("pain_rise", "medium", State.UNACKNOWLEDGED)]
    [finding] = read(select(PainFinding))
    assert [card["verdict"] for card in finding.cause_cards] == ["no_device", "no_device"]
