"""What long work there is, and how each kind does it: in steps, any of which may be the last that a worker lives.

A kind is a generator of steps. Each names the text it adds to the result, how far the work is, and the `cursor` at
which the next begins; begun again from there, the same text follows. Nothing is judged on the record: a back-test
raises no alert and changes no rule.
"""

import datetime as dt
import itertools
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sc_stim import backtest
from sc_stim.access import in_clinic
from sc_stim.clinical import pain
from sc_stim.clinical.recall_list import NotUnderstood, RecallList, read_list
from sc_stim.clinical.refill_case import (
    CaseError,
    decode_cases,
    encode_forecast,
    forecast_case,
    is_list,
    split_cases,
)
from sc_stim.clinical.refusal import Refused
from sc_stim.models import AuditEntry, Device, PainScore, Patient, PumpSample, StimulatorSample, User
from sc_stim.models.audit import trail
from sc_stim.models.device import FilledPump, fillings_of
from sc_stim.workflows.pain_courses import whole_course
from sc_stim.workflows.recalls import match_clinic
from sc_stim.workflows.refill_case import RefillCase, drugs_of, refill_case
from sc_stim.workflows.spreadsheet import lines

ENTRIES_AT_ONCE: Final = 2_000
PUMPS_AT_ONCE: Final = 20
CASES_AT_ONCE: Final = 50
DIARIES_AT_ONCE: Final = 50
READINGS_OF: Final = dt.timedelta(days=90)  # of one device in one step
NOBODYS: Final = ("device_id", "epoch", "seq", "clinic_id", "measured_at", "device_at", "received_at")
RECALL_COLUMNS: Final = (
    "says", "list_line", "device", "kind", "manufacturer", "model", "serial", "not_on_record", "text", "what_to_do",
)  # fmt: skip


class Step(NamedTuple):
    """`done` of `total` is what a person reads; `cursor` is JSON."""

    text: str
    done: int
    total: int
    cursor: Any


@dataclass(frozen=True)
class Job:
    """One piece of work as a kind needs it. `cursor` None: nothing is done yet. `at`: when it was asked for."""

    clinic_id: int
    zone: ZoneInfo
    at: dt.datetime
    asked: dict[str, Any]
    upload: bytes
    cursor: Any | None

    def csv(self, rows: Iterable[Sequence[Any]]) -> str:
        return "".join(lines(rows, self.zone))

    @property
    def since(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self.asked["since"])

    @property
    def until(self) -> dt.datetime:
        """What happens later is not waited for."""
        return min(dt.datetime.fromisoformat(self.asked["until"]), self.at)


# what is wrong with an upload, in words for the person who sent it
UNUSABLE: Final = (backtest.BacktestError, CaseError, NotUnderstood, UnicodeDecodeError)

Run = Callable[[Session, Job], Iterator[Step]]


def export_audit(session: Session, job: Job) -> Iterator[Step]:
    """Entries of the trail, oldest first. cursor: number of the last one."""
    wanted = trail(job.clinic_id, since=job.since, until=job.until)
    total = session.scalar(select(func.count()).select_from(wanted.subquery())) or 0
    last = job.cursor or 0
    done = session.scalar(
        select(func.count()).select_from(wanted.where(AuditEntry.number <= last).subquery())
    ) or 0  # fmt: skip
    if job.cursor is None:
        header = "number", "at", "actor", "actor_name", "action", "subject_kind", "subject", "detail"
        yield Step(job.csv([header]), 0, total, 0)
    people = in_clinic(select(User.public_id, User.name), User, job.clinic_id)
    names = {str(public_id): name for public_id, name in session.execute(people)}
    columns = (AuditEntry.number, AuditEntry.at, AuditEntry.actor, AuditEntry.action, AuditEntry.subject_kind,
               AuditEntry.subject, AuditEntry.detail)  # fmt: skip
    ordered = wanted.with_only_columns(*columns).order_by(AuditEntry.number).limit(ENTRIES_AT_ONCE)
    while entries := session.execute(ordered.where(AuditEntry.number > last)).all():
        rows = [
            (number, at, actor, names.get(actor), *about, json.dumps(detail, sort_keys=True))
            for number, at, actor, *about, detail in entries
        ]
        last, done = entries[-1].number, done + len(entries)
        yield Step(job.csv(rows), done, total, last)


def export_pump_readings(session: Session, job: Job) -> Iterator[Step]:
    return _export_readings(session, job, "pump", PumpSample)


def export_stimulator_readings(session: Session, job: Job) -> Iterator[Step]:
    return _export_readings(session, job, "stimulator", StimulatorSample)


def _export_readings(session: Session, job: Job, kind: str, table: Any) -> Iterator[Step]:
    """Device after device, each from old to new; about devices and not about patients. cursor: [devices, spans] done.

    Devices registered meanwhile stand behind those that were there.
    """
    measured = [column for column in table.__table__.columns if column.name not in NOBODYS]
    if job.cursor is None:
        names = ("measured_at", "device", "model", "serial", *(column.name for column in measured))
        yield Step(job.csv([names]), 0, 0, [0, 0])
    statement = select(Device.id, Device.public_id, Device.model, Device.serial).where(Device.kind == kind)
    devices = session.execute(in_clinic(statement, Device, job.clinic_id).order_by(Device.id)).all()
    spans = _spans(job.since, job.until)
    done, begun = job.cursor or (0, 0)
    for number, (device_id, *identity) in enumerate(devices[done:], start=done + 1):
        for index, (since, until) in list(enumerate(spans))[begun:]:
            rows = session.execute(
                select(table.measured_at, *measured)
                .where(table.device_id == device_id, table.measured_at >= since, table.measured_at < until)
                .where(table.clinic_id == job.clinic_id)
                .order_by(table.measured_at, table.epoch, table.seq)
            ).all()
            text = job.csv((at, *identity, *map(_plain, values)) for at, *values in rows)
            is_last = index + 1 == len(spans)
            cursor = [number, 0] if is_last else [number - 1, index + 1]
            yield Step(text, cursor[0], len(devices), cursor)
        begun = 0


def _spans(since: dt.datetime, until: dt.datetime) -> list[tuple[dt.datetime, dt.datetime]]:
    """At least one, so that each device is counted."""
    edges = [since]
    while edges[-1] + READINGS_OF < until:
        edges.append(edges[-1] + READINGS_OF)
    return list(zip(edges, [*edges[1:], until], strict=True))


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def backtest_pain(session: Session, job: Job) -> Iterator[Step]:
    """The pain rule over every diary of the clinic, from its first score on. cursor: patients done."""
    with_scores = select(PainScore.patient_id).where(PainScore.clinic_id == job.clinic_id).distinct()
    patients = in_clinic(select(Patient.id), Patient, job.clinic_id).where(Patient.id.in_(with_scores))
    ids = session.scalars(patients.order_by(Patient.id)).all()
    if job.cursor is None:
        columns = (
            "patient", "record_number", "kind", "severity", "tier", "flagged_on", "onset_on", "baseline_nrs",
            "level_nrs", "model_version",
        )  # fmt: skip
        yield Step(job.csv([columns]), 0, len(ids), 0)
    for done, patient_id in enumerate(ids[job.cursor or 0 :], start=(job.cursor or 0) + 1):
        patient = session.get_one(Patient, patient_id)
        course = whole_course(session, patient)
        rows = [
            (patient.public_id, patient.mrn, one.kind, one.severity, one.tier, one.day, one.onset,
             one.baseline_nrs, one.level_nrs, pain.MODEL_VERSION)
            for one in course.observe(course.local(job.at))
        ]  # fmt: skip
        yield Step(job.csv(rows), done, len(ids), done)


def backtest_refill(session: Session, job: Job) -> Iterator[Step]:
    """What the refill rule said before each visit, and what was found at it. cursor: pumps done."""
    pumps = in_clinic(select(Device), Device, job.clinic_id).where(Device.kind == "pump").order_by(Device.id)
    ids = [device.id for device in session.scalars(pumps)]
    if job.cursor is None:
        columns = (
            "device", "model", "serial", "filled_at", "visit_at", "expected_residual_ml", "aspirated_ml",
            "less_than_expected_ml", "refill_by", "binding_clock", "empty_p05", "empty_p50", "empty_p95", "flags",
            "refused",
        )  # fmt: skip
        yield Step(job.csv([columns]), 0, len(ids), 0)
    for first in range(job.cursor or 0, len(ids), PUMPS_AT_ONCE):
        some = ids[first : first + PUMPS_AT_ONCE]
        cases, fillings = refill_case(session, some, job.at), fillings_of(session, some)
        devices = {device_id: session.get_one(Device, device_id) for device_id in some}
        rows = [
            (devices[each].public_id, devices[each].model, devices[each].serial, *row)
            for each in some
            for row in _before_visits(cases[each], fillings[each])
        ]
        done = first + len(some)
        yield Step(job.csv(rows), done, len(ids), done)


def _before_visits(case: RefillCase, fills: Sequence[FilledPump]) -> Iterator[tuple[Any, ...]]:
    """A row for every visit but the first, from nothing that was learned at or after it."""
    for before, visit in itertools.pairwise(fills):
        known = _as_known(case, before, visit.at)
        judged = known.forecast(visit.at)
        said = encode_forecast(case.pump, judged)
        expected, found = said["expected_residual_ml"], visit.aspirated_ml
        less = None if expected is None or found is None else round(expected - found, 2)
        empty = said["empty"] or dict.fromkeys(("p05", "p50", "p95"))
        yield (
            before.at, visit.at, expected, found, less, said["refill_by"], said["binding_clock"], *empty.values(),
            "; ".join(said["flags"]), said["refused"] if isinstance(judged, Refused) else None,
        )  # fmt: skip


def _as_known(case: RefillCase, before: FilledPump, at: dt.datetime) -> RefillCase:
    """The record before this visit. Its battery then is not on record, so no end of service is taken into account."""
    day = at.astimezone(ZoneInfo(case.timezone)).date()
    return replace(
        case,
        drugs=drugs_of(before),
        settings=tuple(row for row in case.settings if row.since < at),
        fills=tuple(row for row in case.fills if row.at < at),
        boluses=tuple(row for row in case.boluses if row.until <= day),
        bridges=tuple(row for row in case.bridges if row.since < at),
        reading=None,
        end_of_service=None,
        reported_ml_per_day=None,
    )


def judge_diaries(_: Session, job: Job) -> Iterator[Step]:
    """The pain rule over an uploaded CSV. cursor: patients done."""
    with tempfile.TemporaryDirectory(prefix="sc_stim-") as folder:
        source = Path(folder) / "diaries.csv"
        source.write_bytes(job.upload)
        checked = backtest.check_diaries(source)
        if job.cursor is None:
            yield Step(job.csv([backtest.FINDING_FIELDS]), 0, checked.patients, 0)
        begin, rows = job.cursor or 0, list[tuple[Any, ...]]()
        for done, (patient, findings) in enumerate(
            backtest.judge_diaries(source, checked, begin), start=begin + 1
        ):
            rows += backtest.finding_rows(patient, findings)
            if done % DIARIES_AT_ONCE == 0 or done == checked.patients:
                yield Step(job.csv(rows), done, checked.patients, done)
                rows.clear()


def judge_pumps(_: Session, job: Job) -> Iterator[Step]:
    """The refill rule over an uploaded JSON file, one case or a list; the answer is a list. cursor: chunks done."""
    chunks = split_cases(job.upload if is_list(job.upload) else b"[%b]" % job.upload, CASES_AT_ONCE)
    cases = [decode_cases(chunk, index * CASES_AT_ONCE) for index, chunk in enumerate(chunks)]
    total = sum(map(len, cases))
    if job.cursor is None:
        yield Step("[" if cases else "[]\n", 0, total, 0)
    for index in range(job.cursor or 0, len(cases)):
        told = ",\n".join(json.dumps(forecast_case(case)) for case in cases[index])
        end = "]\n" if index + 1 == len(cases) else ",\n"
        yield Step(told + end, index * CASES_AT_ONCE + len(cases[index]), total, index + 1)


def match_recall(session: Session, job: Job) -> Iterator[Step]:
    """An uploaded recall list against the clinic's devices; nothing of it is kept. cursor: [last device's id, done]."""
    recall = read_list(job.upload.decode("utf-8-sig"))
    statement = in_clinic(select(func.count(Device.id)), Device, job.clinic_id)
    total = session.scalar(statement) or 0
    last, done = job.cursor or (0, 0)
    if job.cursor is None:
        yield Step(job.csv([RECALL_COLUMNS, *_not_understood(recall)]), 0, total, [0, 0])
    for chunk in match_clinic(session, job.clinic_id, recall, last):
        meant = {device_id: (explanted, match) for device_id, explanted, match in chunk if match}
        rows = [_meant(session.get_one(Device, each), *meant[each]) for each in meant]
        last, done = chunk[-1][0], done + len(chunk)
        yield Step(job.csv(rows), done, total, [last, done])


def _not_understood(recall: RecallList) -> Iterator[tuple[Any, ...]]:
    for row in recall.unread:
        nothing = [None] * 6
        yield ("line not understood", row.line, *nothing, row.text, f"{row.problem}: {row.fix}")


def _meant(device: Device, explanted: bool, match: Any) -> tuple[Any, ...]:
    says = "explanted" if explanted else "meant" if match.certain else "cannot be excluded"
    return (
        says, match.line, device.public_id, device.kind, device.manufacturer, device.model, device.serial,
        "; ".join(match.missing), None, None,
    )  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """`action`: who may start it and take its result. `takes`: period, file or nothing."""

    run: Run
    action: str
    takes: str
    suffix: str = "csv"


KINDS: Final = {
    "audit": Kind(export_audit, "audit.read", "period"),
    "pump_readings": Kind(export_pump_readings, "telemetry.read", "period"),
    "stimulator_readings": Kind(export_stimulator_readings, "telemetry.read", "period"),
    "pain_backtest": Kind(backtest_pain, "diary.read", "nothing"),
    "refill_backtest": Kind(backtest_refill, "fills.read", "nothing"),
    "pain_file": Kind(judge_diaries, "diary.read", "file"),
    "refill_file": Kind(judge_pumps, "fills.read", "file", "json"),
    "recall_file": Kind(match_recall, "recalls.read", "file"),
}
