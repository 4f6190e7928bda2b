"""The courses of patients as the pain rule wants them: scores, sedation, therapy changes and refills by local day.

What is read starts at a stored state: that of yesterday, or for news about days that were judged already a checkpoint
before them. So a new score costs the same after one year and after ten, and a late one as much as it is late.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from sc_stim.clinical import pain, therapy_changes
from sc_stim.models import (
    Device,
    DeviceEvent,
    Fill,
    PainCheckpoint,
    PainModel,
    PainScore,
    Patient,
    Treatment,
)
from sc_stim.models.base import among
from sc_stim.models.device import DeviceSetting, fillings_of, settings_of
from sc_stim.models.replaced import not_replaced
from sc_stim.workflows.prescribing import FIELDS

ONE_DAY: Final = dt.timedelta(days=1)
CHECKPOINT_DAYS: Final = 28
Subjects = Mapping[int, dt.datetime]  # patient id -> the earliest news
CHECKPOINTS_KEPT: Final = 13  # a year: what comes later than that replays the whole diary


@dataclass(slots=True)
class Course:
    """What the rule needs to know of one patient from `state` on.

    begin: the last day of the state it starts from; None: from the first score on
    judged: the last day that was judged before; `begin` unless the past has changed
    """

    patient: Patient
    state: pain.PainState
    begin: dt.date | None = None
    judged: dt.date | None = None
    scores: list[tuple[dt.datetime, float]] = field(default_factory=list)
    sedation: set[dt.date] = field(default_factory=set)
    therapy_changes: set[dt.date] = field(default_factory=set)
    refills: set[dt.date] = field(default_factory=set)
    checkpoints: list[pain.PainState] = field(default_factory=list)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.patient.time_zone)

    @property
    def is_replay(self) -> bool:
        return self.begin is None or self.begin != self.judged

    def local(self, at: dt.datetime) -> dt.date:
        return at.astimezone(self.zone).date()

    def means(self, today: dt.date) -> list[tuple[dt.date, float]]:
        """The mean scores of the closed days that were read."""
        return pain.daily_means(self.scores, self.zone, today)

    def diary(self, today: dt.date) -> pain.Diary | None:
        """Every closed day since the state; None where there is none."""
        means = self.means(today)
        start = self.state.day + ONE_DAY if self.state.day else (means[0][0] if means else today)
        if start >= today:
            return None
        by_day = dict(means)
        days = [start + i * ONE_DAY for i in range((today - start).days)]
        scores = [by_day.get(day) for day in days]
        return pain.Diary(start, scores, self.therapy_changes, self.sedation, self.refills)

    def observe(self, today: dt.date) -> list[pain.Finding]:
        """Take every closed day since the state; returns the last judgement of each finding."""
        diary = self.diary(today)
        if diary is None:
            return []
        found: list[pain.Finding] = []
        for state, findings in pain.replay(diary, self.state):
            self.state = state
            found += findings
            if _is_checkpoint(state):
                self.checkpoints = [*self.checkpoints, state][-CHECKPOINTS_KEPT:]
        return pain.latest(found)


def load_courses(session: Session, subjects: Subjects) -> dict[int, Course]:
    """The course of each patient since its stored state, or since one before the earliest news."""
    courses = _courses(session, subjects)
    _read(session, courses)
    return courses


def whole_course(session: Session, patient: Patient) -> Course:
    """A patient's course from the first score on, whatever is stored: for the eye."""
    course = Course(patient, pain.PainState.fresh())
    _read(session, {patient.id: course})
    return course


def _read(session: Session, courses: Mapping[int, Course]) -> None:
    for begin, some in by_begin(courses):
        since = dt.datetime.combine(begin, dt.time(), dt.UTC) if begin else None
        _read_scores(session, some, since)
        _read_settings(session, some, since)
        _read_events(session, some, since)
        _read_fills(session, some, since)
        _read_treatments(session, some, begin)


def by_begin(courses: Mapping[int, Course]) -> Iterator[tuple[dt.date | None, dict[int, Course]]]:
    """Those that start on the same day, together: checkpoints are of the same days for all."""
    groups: dict[dt.date | None, dict[int, Course]] = defaultdict(dict)
    for patient_id, course in courses.items():
        groups[course.begin][patient_id] = course
    yield from groups.items()


def _courses(session: Session, subjects: Subjects) -> dict[int, Course]:
    rows = session.execute(
        select(Patient, PainModel)
        .outerjoin(PainModel, PainModel.patient_id == Patient.id)
        .where(among(session, Patient.id, subjects))
        .order_by(Patient.id)
    )
    courses, wanted = {}, {}
    for patient, model in rows:
        course = courses[patient.id] = Course(patient, pain.PainState.fresh())
        if model is None:
            continue
        course.judged = model.through_day
        if (model.model_version, model.time_zone) != (pain.MODEL_VERSION, patient.time_zone):
            continue  # other days or another rule: from the start
        news = course.local(subjects[patient.id])
        if news > model.through_day:
            course.state, course.begin = pain.PainState.from_json(model.state), model.through_day
        else:
            wanted[patient.id] = _checkpoint_before(news)
    _start_from_checkpoints(session, courses, wanted)
    return courses


def _checkpoint_before(news: dt.date) -> dt.date:
    """The newest checkpoint after which all findings lie that the news may change."""
    latest = news - (pain.REJUDGED_WITHIN_DAYS + 1) * ONE_DAY
    return latest - latest.toordinal() % CHECKPOINT_DAYS * ONE_DAY


def _is_checkpoint(state: pain.PainState) -> bool:
    return bool(state.first_day and state.day and state.day.toordinal() % CHECKPOINT_DAYS == 0)


def _start_from_checkpoints(
    session: Session, courses: Mapping[int, Course], wanted: Mapping[int, dt.date]
) -> None:
    if not wanted:
        return
    rows = session.execute(
        select(PainCheckpoint.patient_id, PainCheckpoint.day, PainCheckpoint.state).where(
            among(session, PainCheckpoint.patient_id, wanted),
            PainCheckpoint.day.in_(set(wanted.values())),
            PainCheckpoint.model_version == pain.MODEL_VERSION,
        )
    )
    for patient_id, day, state in rows:
        if wanted[patient_id] == day:
            courses[patient_id].state = pain.PainState.from_json(state)
            courses[patient_id].begin = day


def _read_scores(session: Session, courses: Mapping[int, Course], since: dt.datetime | None) -> None:
    statement = select(PainScore.patient_id, PainScore.measured_at, PainScore.nrs, PainScore.symptoms).where(
        among(session, PainScore.patient_id, courses),
        not_replaced(PainScore),
        *_from(PainScore.measured_at, since),
    )
    for patient_id, measured_at, nrs, symptoms in session.execute(statement):
        course = courses[patient_id]
        if nrs is not None:
            course.scores.append((measured_at, nrs))
        if "sedation" in symptoms:
            course.sedation.add(course.local(measured_at))


def _read_settings(session: Session, courses: Mapping[int, Course], since: dt.datetime | None) -> None:
    """Days of prescriptions that differ from the one before."""
    prescribed = _devices_with(session, DeviceSetting, DeviceSetting.effective_at, courses, since)
    owners = {device_id: (patient_id, kind) for device_id, patient_id, kind in session.execute(prescribed)}
    for device_id, history in settings_of(session, owners).items():
        patient_id, kind = owners[device_id]
        before: dict[str, Any] = {}
        for row in history:
            values = {name: getattr(row, name) for name in FIELDS[kind]}
            if therapy_changes.is_new(before, values):
                courses[patient_id].therapy_changes.add(courses[patient_id].local(row.effective_at))
            before = values


def _read_events(session: Session, courses: Mapping[int, Course], since: dt.datetime | None) -> None:
    """Days on which a device says that its therapy was changed."""
    statement = select(
        Device.patient_id,
        Device.kind,
        Device.id,
        DeviceEvent.measured_at,
        DeviceEvent.kind,
        DeviceEvent.detail,
    ).join(Device, Device.id == DeviceEvent.device_id)
    told = session.execute(
        statement.where(
            among(session, Device.patient_id, courses),
            DeviceEvent.kind.in_((*therapy_changes.REPORTED, *therapy_changes.SESSION)),
            *_from(DeviceEvent.measured_at, since),
        )
    ).all()
    days: dict[tuple[int, dt.date], set[str]] = defaultdict(set)
    for patient_id, _, device_id, at, kind, _ in told:
        days[device_id, courses[patient_id].local(at)].add(kind)
    for patient_id, device_kind, device_id, at, kind, detail in told:
        day = courses[patient_id].local(at)
        if kind in therapy_changes.REPORTED and therapy_changes.is_reported_change(
            kind, detail or {}, of_pump=device_kind == "pump", same_day=days[device_id, day]
        ):
            courses[patient_id].therapy_changes.add(day)


def _read_fills(session: Session, courses: Mapping[int, Course], since: dt.datetime | None) -> None:
    """Days of refills, and of those that put another drug or strength into the pump."""
    reach = since - pain.REFILL_DAYS * ONE_DAY if since else None
    filled = _devices_with(session, Fill, Fill.at, courses, reach)
    owners = {device_id: patient_id for device_id, patient_id, _ in session.execute(filled)}
    for device_id, fills in fillings_of(session, owners).items():
        course = courses[owners[device_id]]
        drugs = None
        for fill in fills:
            course.refills.add(course.local(fill.at))
            new = {drug["name"]: drug.get("mg_per_ml") for drug in fill.drugs}
            if drugs is not None and therapy_changes.is_new(drugs, new):
                course.therapy_changes.add(course.local(fill.at))
            drugs = new


def _read_treatments(session: Session, courses: Mapping[int, Course], begin: dt.date | None) -> None:
    treated = select(Treatment.patient_id, Treatment.started_on).where(
        among(session, Treatment.patient_id, courses),
        Treatment.kind.in_(therapy_changes.TREATMENTS),
        *_from(Treatment.started_on, begin),
    )
    for patient_id, day in session.execute(treated):
        courses[patient_id].therapy_changes.add(day)


def _devices_with(
    session: Session, table: Any, at: Any, patients: Collection[int], since: dt.datetime | None
) -> Any:
    """(id, patient, kind) of the devices of these patients of which the table tells something since then."""
    told = select(Device.id, Device.patient_id, Device.kind).join(table, table.device_id == Device.id)
    return told.where(among(session, Device.patient_id, patients), *_from(at, since)).distinct()


def _from(column: Any, since: Any) -> tuple[Any, ...]:
    return () if since is None else (column >= since,)
