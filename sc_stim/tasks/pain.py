"""The pain rule over the patients with new scores: go on from the stored state, or replay where the past changed."""

import datetime as dt
from collections.abc import Collection, Mapping

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from sc_stim.clinical import pain
from sc_stim.devices.store import Bulk, document
from sc_stim.models import Alert, PainFinding, PainModel
from sc_stim.tasks.pain_courses import Course, load_courses
from sc_stim.tasks.work import Subjects
from sc_stim.workflows import alerts

CURRENT = dt.timedelta(days=21)
"""A change found this long ago may still be news (the rule looks for steps as far back); older ones are history."""

CONDITIONS = {"rise": "pain_rise", "fall": "pain_fall", "silence": "stopped_reporting"}
FINDING = (
    "clinic_id", "patient_id", "rule", "day", "kind", "tier", "onset", "baseline_nrs", "level_nrs", "model_version",
    "severity", "found_at",
)  # fmt: skip
_AGAIN = """(patient_id, rule, day, model_version) DO UPDATE SET
    kind = excluded.kind, tier = excluded.tier, onset = excluded.onset, baseline_nrs = excluded.baseline_nrs,
    level_nrs = excluded.level_nrs, severity = excluded.severity"""

Key = tuple[int, str, dt.date]  # patient, rule, day
Found = dict[Key, pain.Finding]


def judge_pain(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
    """Observe every day that has closed since each patient was last judged."""
    courses = load_courses(session, subjects)
    known = _known(session, courses)
    found: Found = {}
    for patient_id, course in courses.items():
        for finding in course.observe(course.local(at)):
            found[patient_id, finding.rule, finding.day] = finding
    _write(Bulk(session.connection()), courses, found, at)
    gone = [key for key in known if courses[key[0]].is_replay and key not in found]
    _withdraw(session, gone, at)
    reopened = {(patient_id, rule) for patient_id, rule, _ in gone}
    for key, finding in found.items():
        said = (finding.kind, finding.tier, finding.severity)
        if known.get(key) != said or key[:2] in reopened:
            _tell(session, courses[key[0]], finding, at, is_known=key in known)
    for patient_id in _unheard(session, list(courses)):
        _end_silence(session, courses[patient_id], at)
    return {}


def _known(session: Session, courses: Mapping[int, Course]) -> dict[Key, tuple[str, str, str]]:
    """Kind, tier and severity of what was found in these patients before."""
    rows = session.execute(
        select(
            PainFinding.patient_id, PainFinding.rule, PainFinding.day, PainFinding.kind, PainFinding.tier,
            PainFinding.severity,
        ).where(PainFinding.patient_id.in_(courses), PainFinding.model_version == pain.MODEL_VERSION)
    )  # fmt: skip
    return {(row[0], row[1], row[2]): (row[3], row[4], row[5]) for row in rows}


def _write(bulk: Bulk, courses: Mapping[int, Course], found: Found, at: dt.datetime) -> None:
    models = [
        (patient_id, bulk.date(course.state.day), pain.MODEL_VERSION, document(course.state.to_json()))
        for patient_id, course in courses.items()
        if course.state.day is not None
    ]
    bulk.upsert(
        PainModel.__table__,
        ("patient_id", "through_day", "model_version", "state"),
        models,
        "(patient_id) DO UPDATE SET through_day = excluded.through_day, model_version = excluded.model_version, "
        "state = excluded.state",
    )
    rows = [
        (
            courses[patient_id].patient.clinic_id, patient_id, rule, bulk.date(day), finding.kind, finding.tier,
            bulk.date(finding.onset), finding.baseline_nrs, finding.level_nrs, finding.model_version,
            finding.severity, bulk.moment(at),
        )
        for (patient_id, rule, day), finding in found.items()
    ]  # fmt: skip
    bulk.upsert(PainFinding.__table__, FINDING, rows, _AGAIN)


def _withdraw(session: Session, gone: Collection[Key], at: dt.datetime) -> None:
    """Corrected or late scores tell another story: these findings were none, and what was alerted is over."""
    for key in gone:
        patient_id, rule, day = key
        session.execute(
            delete(PainFinding).where(
                PainFinding.patient_id == patient_id, PainFinding.rule == rule, PainFinding.day == day
            )
        )
        raised = select(Alert.open_key).where(
            Alert.effect_key == _effect_key(key), Alert.open_key.is_not(None)
        )
        open_key = session.scalar(raised)
        if open_key is not None:
            alerts.return_to_normal(session, open_key, at=at)


def _tell(
    session: Session, course: Course, finding: pain.Finding, at: dt.datetime, *, is_known: bool
) -> None:
    """An alert for what may still be so; a note in the record for what late scores tell of long ago."""
    condition = alerts.Condition(
        clinic_id=course.patient.clinic_id,
        patient_id=course.patient.id,
        device_id=None,
        name=CONDITIONS[finding.rule],
        severity=finding.severity,
        since=dt.datetime.combine(finding.onset, dt.time(), course.zone).astimezone(dt.UTC),
        effect_key=_effect_key((course.patient.id, finding.rule, finding.day)),
        model_version=finding.model_version,
        detail={
            "kind": finding.kind,
            "baseline_nrs": finding.baseline_nrs,
            "level_nrs": finding.level_nrs,
            "onset": finding.onset.isoformat(),
            "flagged": finding.day.isoformat(),
            "tier": finding.tier,
        },
    )
    if course.local(at) - finding.day > CURRENT:
        if not is_known:
            alerts.record_finding(session, condition, at=at)
    elif alerts.raise_alert(session, condition, at=at) and finding.kind == "flare":
        alerts.return_to_normal(session, condition.open_key, at=at)  # a flare is a rise that is over


def _effect_key(key: Key) -> str:
    patient_id, rule, day = key
    return f"pain:{patient_id}:{rule}:{day.isoformat()}:{pain.MODEL_VERSION}"


def _unheard(session: Session, ids: list[int]) -> list[int]:
    """Those of these patients about whom an alert says that they stopped reporting."""
    statement = select(Alert.patient_id).where(
        Alert.patient_id.in_(ids), Alert.condition == CONDITIONS["silence"], Alert.open_key.is_not(None)
    )
    return [patient_id for patient_id in session.scalars(statement) if patient_id is not None]


def _end_silence(session: Session, course: Course, at: dt.datetime) -> None:
    """Scores have come again."""
    newest = max((moment for moment, _ in course.scores), default=None)
    if newest is not None:
        key = alerts.open_key(CONDITIONS["silence"], device_id=None, patient_id=course.patient.id)
        alerts.return_to_normal(session, key, at=at, over_at=newest)
