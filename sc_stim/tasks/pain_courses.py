"""The courses of patients as the pain rule wants them: scores, sedation, therapy changes and refills by local day."""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.clinical import pain
from sc_stim.models import Device, DeviceSetting, Fill, PainModel, PainScore, Patient, Treatment
from sc_stim.models.replaced import not_replaced
from sc_stim.tasks.work import Subjects

ONE_DAY = dt.timedelta(days=1)


@dataclass(slots=True)
class Course:
    """What the rule needs to know of one patient; `is_replay` from the first score on, not from a stored state."""

    patient: Patient
    state: pain.PainState
    is_replay: bool = True
    scores: list[tuple[dt.datetime, float]] = field(default_factory=list)
    sedation: set[dt.date] = field(default_factory=set)
    therapy_changes: set[dt.date] = field(default_factory=set)
    refills: set[dt.date] = field(default_factory=set)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.patient.time_zone)

    def local(self, at: dt.datetime) -> dt.date:
        return at.astimezone(self.zone).date()

    def observe(self, today: dt.date) -> list[pain.Finding]:
        """Take every closed day since the state; returns the last judgement of each finding."""
        means = pain.daily_means(self.scores, self.zone, today)
        start = self.state.day + ONE_DAY if self.state.day else (means[0][0] if means else today)
        if start >= today:
            return []
        by_day = dict(means)
        days = [start + i * ONE_DAY for i in range((today - start).days)]
        scores = [by_day.get(day) for day in days]
        diary = pain.Diary(start, scores, self.therapy_changes, self.sedation, self.refills)
        found: list[pain.Finding] = []
        for state, findings in pain.replay(diary, self.state):
            self.state = state
            found += findings
        return pain.latest(found)


def load_courses(session: Session, subjects: Subjects) -> dict[int, Course]:
    """The course of each patient since its stored state, or from the start where what is new lies before that."""
    courses = _courses(session, subjects)
    _read_scores(session, courses)
    _read_therapy(session, courses)
    return courses


def _courses(session: Session, subjects: Subjects) -> dict[int, Course]:
    rows = session.execute(
        select(Patient, PainModel)
        .outerjoin(PainModel, PainModel.patient_id == Patient.id)
        .where(Patient.id.in_(subjects))
        .order_by(Patient.id)
    )
    courses = {}
    for patient, model in rows:
        course = courses[patient.id] = Course(patient, pain.PainState.fresh())
        # News about a day that was judged already changes the past: replay it from the start.
        is_current = model is not None and model.model_version == pain.MODEL_VERSION
        if is_current and course.local(subjects[patient.id]) > model.through_day:
            course.state, course.is_replay = pain.PainState.from_json(model.state), False
    return courses


def _read_scores(session: Session, courses: Mapping[int, Course]) -> None:
    _take_scores(session, courses, [key for key, course in courses.items() if course.is_replay], None)
    going_on = {key: course.state.day for key, course in courses.items() if course.state.day is not None}
    if going_on:
        since = dt.datetime.combine(min(going_on.values()), dt.time(), dt.UTC)
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
    of_patients = (
        select(Patient.id).join(Device, Device.patient_id == Patient.id).where(Patient.id.in_(courses))
    )
    changed = of_patients.join(DeviceSetting, DeviceSetting.device_id == Device.id)
    for patient_id, moment in session.execute(changed.add_columns(DeviceSetting.effective_at)):
        courses[patient_id].therapy_changes.add(courses[patient_id].local(moment))
    filled = of_patients.join(Fill, Fill.device_id == Device.id).where(not_replaced(Fill))
    for patient_id, moment in session.execute(filled.add_columns(Fill.at)):
        courses[patient_id].refills.add(courses[patient_id].local(moment))
    treated = select(Treatment.patient_id, Treatment.started_on).where(
        Treatment.patient_id.in_(courses), Treatment.kind == "revision_surgery"
    )
    for patient_id, day in session.execute(treated):
        courses[patient_id].therapy_changes.add(day)
