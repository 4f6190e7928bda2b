"""The pain rule over the patients with new scores: go on from the stored state, or replay where the past changed."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.clinical import pain
from sc_stim.devices.store import Bulk, document
from sc_stim.models import Alert, Device, DeviceSetting, Fill, PainFinding, PainModel, PainScore, Patient, Treatment
from sc_stim.models.replaced import not_replaced
from sc_stim.tasks.work import Subjects
from sc_stim.workflows import alerts

CURRENT = dt.timedelta(days=21)
"""A change found this long ago may still be news (the rule looks for steps as far back); older ones are history."""

CONDITIONS = {"rise": "pain_rise", "fall": "pain_fall", "silence": "stopped_reporting"}
ONE_DAY = dt.timedelta(days=1)
FINDING = (
    "clinic_id", "patient_id", "rule", "day", "kind", "tier", "onset", "baseline_nrs", "level_nrs", "model_version",
    "severity", "found_at",
)  # fmt: skip
_SAME = "(patient_id, rule, day, model_version) DO UPDATE SET kind = excluded.kind, tier = excluded.tier, " + (
    "onset = excluded.onset, baseline_nrs = excluded.baseline_nrs, level_nrs = excluded.level_nrs, "
    "severity = excluded.severity"
)


@dataclass(slots=True)
class Course:
    """What the rule needs to know of one patient from `first_day` on."""

    patient: Patient
    state: pain.PainState
    scores: list[tuple[dt.datetime, float]] = field(default_factory=list)
    sedation: set[dt.date] = field(default_factory=set)
    therapy_changes: set[dt.date] = field(default_factory=set)
    refills: set[dt.date] = field(default_factory=set)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.patient.time_zone)

    def local(self, at: dt.datetime) -> dt.date:
        return at.astimezone(self.zone).date()


def judge_pain(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
    """Observe every day that has closed since each patient was last judged."""
    courses = _courses(session, subjects)
    _read_scores(session, courses)
    _read_therapy(session, courses)
    bulk = Bulk(session.connection())
    findings: list[tuple[Course, pain.Finding]] = []
    models: list[tuple[object, ...]] = []
    for course in courses.values():
        today = course.local(at)
        found = _observe(course, today)
        findings += [(course, finding) for finding in found]
        if course.state.day is not None:
            models.append(
                (course.patient.id, bulk.date(course.state.day), pain.MODEL_VERSION, document(course.state.to_json()))
            )
    _write(bulk, models, findings, at)
    for course, finding in findings:
        _tell(session, course, finding, at)
    for patient_id in _unheard(session, list(courses)):
        _end_silence(session, courses[patient_id], at)
    return {}


def _courses(session: Session, subjects: Subjects) -> dict[int, Course]:
    rows = session.execute(
        select(Patient, PainModel)
        .outerjoin(PainModel, PainModel.patient_id == Patient.id)
        .where(Patient.id.in_(subjects))
    )
    courses = {}
    for patient, model in rows:
        course = Course(patient, pain.PainState.fresh())
        # News about a day that was judged already changes the past: replay it from the start.
        if model and model.model_version == pain.MODEL_VERSION and course.local(subjects[patient.id]) > model.through_day:
            course.state = pain.PainState.from_json(model.state)
        courses[patient.id] = course
    return courses


def _read_scores(session: Session, courses: Mapping[int, Course]) -> None:
    going_on = {patient_id: course for patient_id, course in courses.items() if course.state.day is not None}
    afresh = courses.keys() - going_on.keys()
    _take_scores(session, courses, afresh, None)
    if going_on:
        earliest = min(course.state.day for course in going_on.values() if course.state.day)
        since = dt.datetime.combine(earliest, dt.time(), dt.UTC)
        _take_scores(session, courses, going_on.keys(), since)


def _take_scores(
    session: Session, courses: Mapping[int, Course], ids: Collection[int], since: dt.datetime | None
) -> None:
    if not ids:
        return
    statement = select(PainScore.patient_id, PainScore.measured_at, PainScore.nrs, PainScore.symptoms).where(
        PainScore.patient_id.in_(ids), not_replaced(PainScore)
    )
    if since is not None:
        statement = statement.where(PainScore.measured_at >= since)
    for patient_id, measured_at, nrs, symptoms in session.execute(statement):
        course = courses[patient_id]
        if nrs is not None:
            course.scores.append((measured_at, nrs))
        if "sedation" in symptoms:
            course.sedation.add(course.local(measured_at))


def _read_therapy(session: Session, courses: Mapping[int, Course]) -> None:
    """Days on which the device or the treatment was changed, and days of refills."""
    changed = select(Device.patient_id, DeviceSetting.effective_at).join(Device, Device.id == DeviceSetting.device_id)
    for patient_id, moment in session.execute(changed.where(Device.patient_id.in_(courses))).tuples():
        courses[patient_id].therapy_changes.add(courses[patient_id].local(moment))
    filled = select(Device.patient_id, Fill.at).join(Device, Device.id == Fill.device_id)
    for patient_id, moment in session.execute(filled.where(Device.patient_id.in_(courses), not_replaced(Fill))):
        courses[patient_id].refills.add(courses[patient_id].local(moment))
    treated = select(Treatment.patient_id, Treatment.started_on).where(
        Treatment.patient_id.in_(courses), Treatment.kind == "revision_surgery"
    )
    for patient_id, day in session.execute(treated):
        courses[patient_id].therapy_changes.add(day)


def _observe(course: Course, today: dt.date) -> list[pain.Finding]:
    """Every closed day since the state; the last judgement of each finding."""
    means = pain.daily_means(course.scores, course.zone, today)
    start = course.state.day + ONE_DAY if course.state.day else (means[0][0] if means else today)
    means = [(day, nrs) for day, nrs in means if day >= start]
    if start >= today:
        return []
    by_day = dict(means)
    diary = pain.Diary(
        start,
        [by_day.get(start + i * ONE_DAY) for i in range((today - start).days)],
        course.therapy_changes,
        course.sedation,
        course.refills,
    )
    found: list[pain.Finding] = []
    for state, findings in pain.replay(diary, course.state):
        course.state = state
        found += findings
    return pain.latest(found)


def _write(
    bulk: Bulk,
    models: list[tuple[object, ...]],
    findings: Iterable[tuple[Course, pain.Finding]],
    at: dt.datetime,
) -> None:
    bulk.upsert(
        PainModel.__table__,
        ("patient_id", "through_day", "model_version", "state"),
        models,
        "(patient_id) DO UPDATE SET through_day = excluded.through_day, model_version = excluded.model_version, "
        "state = excluded.state",
    )
    rows = [
        (
            course.patient.clinic_id, course.patient.id, finding.rule, bulk.date(finding.day), finding.kind,
            finding.tier, bulk.date(finding.onset), finding.baseline_nrs, finding.level_nrs, finding.model_version,
            finding.severity, bulk.moment(at),
        )
        for course, finding in findings
    ]  # fmt: skip
    bulk.upsert(PainFinding.__table__, FINDING, rows, _SAME)


def _tell(session: Session, course: Course, finding: pain.Finding, at: dt.datetime) -> None:
    """An alert for what may still be so; a note in the record for what late scores tell of long ago."""
    rule, day, version = finding.key
    condition = alerts.Condition(
        clinic_id=course.patient.clinic_id,
        patient_id=course.patient.id,
        device_id=None,
        name=CONDITIONS[rule],
        severity=finding.severity,
        since=dt.datetime.combine(finding.onset, dt.time(), course.zone).astimezone(dt.UTC),
        effect_key=f"pain:{course.patient.id}:{rule}:{day.isoformat()}:{version}",
        model_version=version,
        detail={
            "kind": finding.kind,
            "baseline_nrs": finding.baseline_nrs,
            "level_nrs": finding.level_nrs,
            "onset": finding.onset.isoformat(),
            "flagged": day.isoformat(),
            "tier": finding.tier,
        },
    )
    if course.local(at) - day > CURRENT:
        alerts.record_finding(session, condition, at=at)
    elif alerts.raise_alert(session, condition, at=at) and finding.kind == "flare":
        alerts.return_to_normal(session, condition.open_key, at=at)  # a flare is a rise that is over


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
