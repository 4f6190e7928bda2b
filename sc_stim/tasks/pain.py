"""The pain rule over the patients with new scores: go on from the stored state, or replay where the past changed."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from sc_stim.clinical import pain
from sc_stim.devices.store import Bulk, document
from sc_stim.models import Alert, PainCheckpoint, PainFinding, PainModel
from sc_stim.models.base import among
from sc_stim.tasks.work import Subjects
from sc_stim.workflows import alerts
from sc_stim.workflows.cause_cards import CONDITIONS, card_of
from sc_stim.workflows.pain_courses import (
    CHECKPOINT_DAYS,
    CHECKPOINTS_KEPT,
    ONE_DAY,
    Course,
    by_begin,
    load_courses,
)

CURRENT = dt.timedelta(days=21)
"""A change found this long ago may still be news (the rule looks for steps as far back); older ones are history."""

FINDING = (
    "clinic_id", "patient_id", "rule", "day", "kind", "tier", "onset", "baseline_nrs", "level_nrs", "model_version",
    "severity", "found_at",
)  # fmt: skip
_AGAIN = """(patient_id, rule, day, model_version) DO UPDATE SET
    kind = excluded.kind, tier = excluded.tier, onset = excluded.onset, baseline_nrs = excluded.baseline_nrs,
    level_nrs = excluded.level_nrs, severity = excluded.severity"""

Key = tuple[int, str, dt.date]  # patient, rule, day
Found = dict[Key, pain.Finding]
Said = tuple[str, str, str]  # kind, tier, severity


def judge_pain(session: Session, subjects: Subjects, at: dt.datetime) -> Mapping[int, dt.datetime]:
    """Observe every day that has closed since each patient was last judged.

    Where the past has changed, the findings about it are mended in silence: see `_is_news`.
    """
    courses = load_courses(session, subjects)
    known = _known(session, courses)
    found: Found = {}
    for patient_id, course in courses.items():
        for finding in course.observe(course.local(at)):
            found[patient_id, finding.rule, finding.day] = finding
    gone = [key for key in known if _is_judged_anew(courses[key[0]], key[2]) and key not in found]
    for old, new in _moved(gone, found, known).items():
        _move(session, old, new)
        known[new] = known.pop(old)
        gone.remove(old)
    _write(Bulk(session.connection()), courses, found, at)
    _keep_checkpoints(session, courses)
    _withdraw(session, gone, at)
    reopened = {(patient_id, rule) for patient_id, rule, _ in gone}
    for key, finding in found.items():
        _mend(session, courses[key[0]], key, finding)
        if known.get(key) != _said(finding) or key[:2] in reopened:
            _tell(session, courses[key[0]], finding, known.get(key), at)
    for patient_id in _unheard(session, list(courses)):
        _end_silence(session, courses[patient_id], at)
    return {}


def _said(finding: pain.Finding) -> Said:
    return finding.kind, finding.tier, finding.severity


def _is_judged_anew(course: Course, day: dt.date) -> bool:
    """Whether the replay went over this day itself: then it has found all there is to find on it."""
    return course.is_replay and (course.begin is None or day > course.begin)


def _known(session: Session, courses: Mapping[int, Course]) -> dict[Key, Said]:
    """What was found in these patients before, of the days about which something may be said now."""
    known: dict[Key, Said] = {}
    for begin, some in by_begin(courses):
        statement = select(
            PainFinding.patient_id, PainFinding.rule, PainFinding.day, PainFinding.kind, PainFinding.tier,
            PainFinding.severity,
        )  # fmt: skip
        of_model = PainFinding.model_version == pain.MODEL_VERSION
        statement = statement.where(among(session, PainFinding.patient_id, some), of_model)
        if begin is not None:
            statement = statement.where(PainFinding.day >= begin - pain.REJUDGED_WITHIN_DAYS * ONE_DAY)
        for patient_id, rule, day, *said in session.execute(statement):
            known[patient_id, rule, day] = (said[0], said[1], said[2])
    return known


def _moved(gone: Collection[Key], found: Found, known: Mapping[Key, Said]) -> dict[Key, Key]:
    """What is the same change under another day: corrected scores, or another time zone, shifted it."""
    moved: dict[Key, Key] = {}
    for old in gone:
        near = [
            key
            for key in found
            if key[:2] == old[:2]
            and key not in known
            and key not in moved.values()
            and abs(key[2] - old[2]) <= pain.REFRACTORY_DAYS * ONE_DAY
        ]
        if near:
            moved[old] = min(near, key=lambda key: abs(key[2] - old[2]))
    return moved


def _move(session: Session, old: Key, new: Key) -> None:
    session.execute(_finding(update(PainFinding), old).values(day=new[2]))
    for late in ("", "late:"):
        alert = session.scalar(select(Alert).where(Alert.effect_key == late + _effect_key(old)))
        if alert is not None:
            alert.effect_key = late + _effect_key(new)
            if alert.detail.get("flagged") == old[2].isoformat():
                alert.detail = alert.detail | {"flagged": new[2].isoformat()}


def _finding(statement: Any, key: Key) -> Any:
    patient_id, rule, day = key
    return statement.where(
        PainFinding.patient_id == patient_id,
        PainFinding.rule == rule,
        PainFinding.day == day,
        PainFinding.model_version == pain.MODEL_VERSION,
    )


def _write(bulk: Bulk, courses: Mapping[int, Course], found: Found, at: dt.datetime) -> None:
    models = [
        (
            patient_id, bulk.date(course.state.day), pain.MODEL_VERSION, course.patient.time_zone,
            document(course.state.to_json()),
        )
        for patient_id, course in courses.items()
        if course.state.day is not None
    ]  # fmt: skip
    bulk.upsert(
        PainModel.__table__,
        ("patient_id", "through_day", "model_version", "time_zone", "state"),
        models,
        "(patient_id) DO UPDATE SET through_day = excluded.through_day, model_version = excluded.model_version, "
        "time_zone = excluded.time_zone, state = excluded.state",
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


def _keep_checkpoints(session: Session, courses: Mapping[int, Course]) -> None:
    """The newest ones of each patient; of days that a replay went over, the new ones alone."""
    for begin, some in by_begin(courses):
        void = [patient_id for patient_id, course in some.items() if course.is_replay]
        after = () if begin is None else (PainCheckpoint.day > begin,)
        if void:
            session.execute(delete(PainCheckpoint).where(PainCheckpoint.patient_id.in_(void), *after))
    bulk = Bulk(session.connection())
    made = [(patient_id, state) for patient_id, course in courses.items() for state in course.checkpoints]
    rows = [
        (patient_id, bulk.date(state.day), pain.MODEL_VERSION, document(state.to_json()))
        for patient_id, state in made
        if state.day is not None
    ]
    bulk.add(PainCheckpoint.__table__, ("patient_id", "day", "model_version", "state"), rows)
    newest = max((state.day for _, state in made if state.day), default=None)
    if newest is not None:
        too_old = PainCheckpoint.day <= newest - CHECKPOINTS_KEPT * CHECKPOINT_DAYS * ONE_DAY
        of = {patient_id for patient_id, _ in made}
        session.execute(delete(PainCheckpoint).where(PainCheckpoint.patient_id.in_(of), too_old))


def _withdraw(session: Session, gone: Collection[Key], at: dt.datetime) -> None:
    """Corrected or late scores tell another story: these findings were none, and what was alerted is over."""
    for key in gone:
        session.execute(_finding(delete(PainFinding), key))
        raised = select(Alert.open_key).where(
            Alert.effect_key == _effect_key(key), Alert.open_key.is_not(None)
        )
        open_key = session.scalar(raised)
        if open_key is not None:
            alerts.return_to_normal(session, open_key, at=at)


def _mend(session: Session, course: Course, key: Key, finding: pain.Finding) -> None:
    """What an alert says of a change keeps to the scores as they are now; nobody is called for it."""
    if not course.is_replay:
        return
    effect_key = _effect_key(key)
    mended = select(Alert).where(Alert.effect_key.in_((effect_key, f"late:{effect_key}")))
    for alert in session.scalars(mended):
        detail = alert.detail | _detail(finding)
        if detail != alert.detail and detail["flagged"] == alert.detail.get("flagged"):
            alert.detail = detail


def _tell(
    session: Session, course: Course, finding: pain.Finding, before: Said | None, at: dt.datetime
) -> None:
    """An alert for what may still be so; a note in the record for what late scores tell of the past."""
    condition = alerts.Condition(
        clinic_id=course.patient.clinic_id,
        patient_id=course.patient.id,
        device_id=None,
        name=CONDITIONS[finding.rule],
        severity=finding.severity,
        since=dt.datetime.combine(finding.onset, dt.time(), course.zone).astimezone(dt.UTC),
        effect_key=_effect_key((course.patient.id, finding.rule, finding.day)),
        model_version=finding.model_version,
        detail=_detail(finding),
    )
    if not _is_news(course, finding, at):
        if before is None:
            alerts.record_finding(session, condition, at=at)
        elif finding.kind == "flare":
            alerts.return_to_normal(session, condition.open_key, at=at)
        return
    if alerts.raise_alert(session, condition, at=at) is None:
        return
    if finding.kind == "flare":
        alerts.return_to_normal(session, condition.open_key, at=at)  # a flare is a rise that is over
    _keep_card(session, course, finding, at)


def _is_news(course: Course, finding: pain.Finding, at: dt.datetime) -> bool:
    """Whether people are told: of what the newest days show, and of the rest only what still holds."""
    today = course.local(at)
    if today - finding.day > CURRENT:
        return False
    if not course.is_replay or (course.judged and finding.last_judged > course.judged):
        return True
    return pain.still_holds(finding, course.means(today))


def _detail(finding: pain.Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "baseline_nrs": finding.baseline_nrs,
        "level_nrs": finding.level_nrs,
        "onset": finding.onset.isoformat(),
        "flagged": finding.day.isoformat(),
        "tier": finding.tier,
        "next_step": finding.next_step,
    }


def _keep_card(session: Session, course: Course, finding: pain.Finding, at: dt.datetime) -> None:
    """What the devices said when people were told, for the record; a later look is another card."""
    key = (course.patient.id, finding.rule, finding.day)
    row = session.scalars(_finding(select(PainFinding), key)).one()
    card = card_of(session, course.patient, row, at)
    row.cause_cards = [*(row.cause_cards or ()), msgspec.to_builtins(card)]


def _effect_key(key: Key) -> str:
    patient_id, rule, day = key
    return f"pain:{patient_id}:{rule}:{day.isoformat()}:{pain.MODEL_VERSION}"


def _unheard(session: Session, ids: list[int]) -> list[int]:
    """Those of these patients about whom an alert says that they stopped reporting."""
    statement = select(Alert.patient_id).where(
        among(session, Alert.patient_id, ids),
        Alert.condition == CONDITIONS["silence"],
        Alert.open_key.is_not(None),
    )
    return [patient_id for patient_id in session.scalars(statement) if patient_id is not None]


def _end_silence(session: Session, course: Course, at: dt.datetime) -> None:
    """Scores have come again."""
    newest = max((moment for moment, _ in course.scores), default=None)
    if newest is not None:
        key = alerts.open_key(CONDITIONS["silence"], device_id=None, patient_id=course.patient.id)
        alerts.return_to_normal(session, key, at=at, over_at=newest)
