"""Pain diaries become alerts once, whatever arrives late or is corrected."""

import datetime as dt

from flask import Flask
from sqlalchemy import select

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.extensions import db
from sc_stim.models import Alert, AlertEntry, PainFinding, PainScore, Patient
from sc_stim.tasks.pain import judge_pain
from tests.apps import both_databases, read
from tests.builders import AT, create_pain_score, create_patient

DAY = dt.timedelta(days=1)
BEGIN = AT - 60 * DAY

pytestmark = both_databases


def diary(levels: list[float | None], patient: Patient | None = None, begin: dt.datetime = BEGIN) -> Patient:
    """One score each morning, None for a day without."""
    patient = patient or create_patient()
    for day, nrs in enumerate(levels):
        if nrs is not None:
            create_pain_score(patient=patient, measured_at=begin + day * DAY, nrs=nrs)
    return patient


def steady(days: int, level: float) -> list[float | None]:
    return [level + (day % 3 - 1) * 0.5 for day in range(days)]


def judge(patient: Patient, at: dt.datetime, since: dt.datetime = BEGIN) -> None:
    judge_pain(db.session(), {patient.id: since}, at)
    db.session.commit()


def told() -> list[tuple[str, str]]:
    return [(row.condition, row.state) for row in read(select(Alert).order_by(Alert.id))]


def test_a_step_in_pain_is_one_alert(app: Flask) -> None:
    patient = diary([*steady(46, 3.0), *steady(14, 7.0)])
    for days_ago in range(13, -1, -1):
        judge(patient, AT - days_ago * DAY, since=AT - (days_ago + 1) * DAY)
    assert told() == [("pain_rise", State.UNACKNOWLEDGED)]


def test_late_and_edited_scores_do_not_double_an_alert(app: Flask) -> None:
    patient = diary([*steady(20, 3.0), None, *steady(25, 3.0), *steady(14, 7.0)])
    judge(patient, AT)
    assert told() == [("pain_rise", State.UNACKNOWLEDGED)]
    findings = len(read(select(PainFinding.day)))
    late = create_pain_score(patient=patient, measured_at=BEGIN + 20 * DAY, nrs=3.0)
    judge(patient, AT, since=BEGIN + 20 * DAY)
    create_pain_score(patient=patient, measured_at=BEGIN + 20 * DAY, nrs=3.5, replaces_id=late.id)
    judge(patient, AT, since=BEGIN + 20 * DAY)
    assert told() == [("pain_rise", State.UNACKNOWLEDGED)]
    assert len(read(select(PainFinding.day))) == findings


def test_scores_that_come_again_end_stopped_reporting(app: Flask) -> None:
    patient = diary(steady(40, 4.0))
    judge(patient, AT)
    assert told() == [("stopped_reporting", State.UNACKNOWLEDGED)]
    create_pain_score(patient=patient, measured_at=AT, nrs=4.0)
    judge(patient, AT + DAY, since=AT)
    assert told() == [("stopped_reporting", State.RETURNED_TO_NORMAL)]


def test_a_replay_tells_nothing_of_an_alert_again(app: Flask) -> None:
    """Neither an open one, nor one that nobody has acknowledged since the flare was over."""
    patient = diary([*steady(30, 3.0), *steady(6, 8.0), *steady(20, 3.0)])
    for day in range(30, 57):
        judge(patient, BEGIN + day * DAY, since=BEGIN + (day - 1) * DAY)
    history = len(read(select(AlertEntry)))
    assert told() == [("pain_rise", State.RETURNED_TO_NORMAL)]
    for _ in range(2):
        judge(patient, BEGIN + 57 * DAY)
    assert (told(), len(read(select(AlertEntry)))) == ([("pain_rise", State.RETURNED_TO_NORMAL)], history)


def test_a_finding_that_corrected_scores_refute_is_withdrawn(app: Flask) -> None:
    patient = diary([*steady(46, 3.0), *steady(14, 7.0)])
    judge(patient, AT)
    assert told() == [("pain_rise", State.UNACKNOWLEDGED)]
    for score in read(select(PainScore).where(PainScore.nrs > 5)):
        create_pain_score(patient=patient, measured_at=score.measured_at, nrs=3.0, replaces_id=score.id)
    judge(patient, AT)
    assert told() == [("pain_rise", State.RETURNED_TO_NORMAL)]
    assert read(select(PainFinding)) == []


def test_a_change_of_long_ago_that_late_scores_tell_of_calls_nobody(app: Flask) -> None:
    patient = diary(steady(30, 3.0), begin=AT - 100 * DAY)
    judge(patient, AT - 69 * DAY, since=AT - 100 * DAY)
    diary(steady(69, 7.0), patient, begin=AT - 70 * DAY)
    judge(patient, AT, since=AT - 70 * DAY)
    rises = [alert for alert in read(select(Alert)) if alert.condition == "pain_rise"]
    assert [(alert.state, alert.historical) for alert in rises] == [(State.CLOSED, True)]
