"""Recalls: preview a list, keep it, match devices against it, follow every one of them up."""

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.orm.attributes import flag_modified

from sc_stim.access import in_clinic
from sc_stim.clinical.outreach import FINISHED, Outreach, check_step, severity
from sc_stim.clinical.recall import Candidate, Match, Matcher, names_nobody_bears
from sc_stim.clinical.recall_list import NotUnderstood, RecallList, read_list
from sc_stim.clinical.reference import load
from sc_stim.devices.catalogue import UnknownModel, find_model
from sc_stim.models import Alert, Device, Recall, RecallListVersion, RecallOutreach, RecallOutreachEntry
from sc_stim.models.base import new_public_id
from sc_stim.models.recall import MATCHED, NOT_EXCLUDED, counts_of, open_recalls_of
from sc_stim.workflows import alerts, audit, outbox
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.outbox import UPSERT
from sc_stim.workflows.refusals import Conflict, FieldRefused
from sc_stim.workflows.registry import record_about

CONDITION: Final = "device_recall"
CHUNK: Final = 5_000
MOST_SHOWN: Final = 200  # devices of each kind in a preview
TOLD_AT_ONCE: Final = 100  # alerts that a request waits for; the worker raises those of a longer list


@dataclass
class Preview:
    """What a list would do. The lists of devices hold the first MOST_SHOWN of those counted."""

    entries: int
    matched: list[tuple[Device, Match]] = field(default_factory=list)
    matched_count: int = 0
    not_excluded: list[tuple[Device, Match]] = field(default_factory=list)
    not_excluded_count: int = 0
    explanted_count: int = 0  # on the list, but no longer in anybody
    unread: list[dict[str, Any]] = field(default_factory=list)
    models_not_here: list[str] = field(default_factory=list)


def preview(session: Session, clinic_id: int, text: str) -> Preview:
    """Match a list against the clinic's devices and keep nothing. Raises FieldRefused."""
    recall = _read(text)
    matcher, seen = Matcher(recall.conditions), Preview(len(recall.conditions))
    names: set[str] = set()
    matched: dict[int, Match] = {}
    not_excluded: dict[int, Match] = {}
    found = itertools.chain.from_iterable(_candidates(session, clinic_id))
    for device_id, explanted, candidate in found:
        names.update(candidate.models)
        match = matcher.match(candidate)
        if match is None:
            continue
        if explanted:
            seen.explanted_count += 1
        elif match.certain:
            matched[device_id] = match
        else:
            not_excluded[device_id] = match
    seen.matched_count, seen.not_excluded_count = len(matched), len(not_excluded)
    seen.matched, seen.not_excluded = _shown(session, matched), _shown(session, not_excluded)
    seen.unread = [asdict(line) for line in recall.unread]
    seen.models_not_here = names_nobody_bears(recall, names)
    return seen


def match_clinic(
    session: Session, clinic_id: int, recall: RecallList, after: int = 0
) -> Iterator[list[tuple[int, bool, Match | None]]]:
    """Chunks of (device id, whether it was explanted, match) of the clinic's devices after this one, in their order."""
    matcher = Matcher(recall.conditions)
    for chunk in _candidates(session, clinic_id, after=after):
        yield [(device_id, explanted, matcher.match(candidate)) for device_id, explanted, candidate in chunk]


def create_recall(
    session: Session,
    actor: Actor,
    values: Mapping[str, Any],
    text: str,
    *,
    accept_unread: bool,
    at: dt.datetime,
) -> Recall:
    """Keep a recall and owe outreach to every device it means. Raises FieldRefused."""
    read = _read_to_keep(text, accept_unread)
    recall = Recall(clinic_id=actor.clinic_id, created_by_id=actor.user_id, created_at=at, **values)
    session.add(recall)
    session.flush()
    # The entry first: it waits for registrations in flight and makes later ones wait, so no device is missed.
    audit.record(session, actor, "recall.create", "recall", recall.public_id, at=at)
    _add_list(session, actor, recall, text, read, at)
    _match(session, recall, at)
    return recall


def change_recall(
    session: Session,
    actor: Actor,
    recall: Recall,
    changes: Mapping[str, Any],
    text: str | None = None,
    *,
    accept_unread: bool = False,
    at: dt.datetime,
) -> None:
    """Change what is said of a recall, or put a corrected list in place of the last. Outreach keeps its history.

    changes: columns by name, and `closed`. Raises FieldRefused and Conflict.
    """
    read = None if text is None else _read_to_keep(text, accept_unread)
    columns = {name: value for name, value in changes.items() if name != "closed"}
    changed = sorted(name for name, value in columns.items() if getattr(recall, name) != value)
    changed += ["text"] * (read is not None) + ["closed"] * ("closed" in changes)
    audit.record(session, actor, "recall.change", "recall", recall.public_id, {"changed": changed}, at=at)
    for name in columns:
        setattr(recall, name, columns[name])
    if text is not None and read is not None:
        _add_list(session, actor, recall, text, read, at)
        recall.closed_at = None
        flag_modified(recall, "title")  # the version covers the list too
    if "closed" in changes:
        recall.closed_at = at if changes["closed"] else None
    session.flush()
    if {"text", "closed", "recall_class", "title", "advice"} & set(changed):
        _match(session, recall, at)
    _refuse_closed_early(session, recall)


def follow_up(
    session: Session,
    actor: Actor,
    row: RecallOutreach,
    state: Outreach,
    way: str | None,
    note: str | None,
    *,
    at: dt.datetime,
) -> None:
    """Record a step of the outreach to one device; the last one ends its alert. Raises FieldRefused and Conflict."""
    if not row.on_list:
        raise Conflict("the device is not on the newest list of this recall: nothing is left to do")
    if refused := check_step(Outreach(row.state), state, way, note):
        raise FieldRefused(refused.reason, refused.detail)
    if row.state in FINISHED and state not in FINISHED:
        row.opened_at = at
    row.state, row.changed_at = state, at
    _enter(session, row, state, at, actor.user_id, way, note)
    session.flush()
    _tell(session, [row.device_id], at)
    detail = {"recall": str(row.recall.public_id), "state": state}
    record_about(session, actor, "recall.follow_up", row.device, detail, at=at)


def match_devices(
    session: Session, subjects: Mapping[int, dt.datetime], at: dt.datetime
) -> Mapping[int, dt.datetime]:
    """Judge new or changed devices by every open recall of their clinic; nothing is to be judged again later."""
    clinics = session.scalars(select(Device.clinic_id).where(Device.id.in_(subjects)).distinct()).all()
    for clinic_id in clinics:
        for recall in session.scalars(_open_recalls(clinic_id)):
            _match(session, recall, at, sorted(subjects))
    return {}


@cache
def names_of(device_model: str, manufacturer: str) -> tuple[str, ...]:
    """Every name a model goes by on a manufacturer's list: its own, with the maker's, and its catalogue numbers."""
    return (device_model, f"{manufacturer} {device_model}", *_catalogue_numbers(device_model))


# --- lists ---


def _read(text: str) -> RecallList:
    try:
        return read_list(text)
    except NotUnderstood as error:
        raise FieldRefused("text", str(error)) from error


def _read_to_keep(text: str, accept_unread: bool) -> RecallList:
    read = _read(text)
    if read.unread and not accept_unread:
        first = read.unread[0]
        raise FieldRefused(
            "text",
            f"line {first.line} is not understood: {first.problem}. {first.fix[:1].upper()}{first.fix[1:]}"
            + (f" ({len(read.unread)} such lines: see the preview)" if len(read.unread) > 1 else "")
            + ", or say accept_unread to leave them out",
        )
    if not read.conditions:
        raise FieldRefused(
            "text", "names no model, serial number, lot, day of manufacture or device identifier"
        )
    return read


def _add_list(
    session: Session, actor: Actor, recall: Recall, text: str, read: RecallList, at: dt.datetime
) -> None:
    recall.lists.append(
        RecallListVersion(
            number=len(recall.lists) + 1,
            text=text,
            unread=[asdict(line) for line in read.unread],
            entered_by_id=actor.user_id,
            created_at=at,
        )
    )


def _refuse_closed_early(session: Session, recall: Recall) -> None:
    left = counts_of(session, [recall.id])[recall.id]["left"]
    if recall.closed_at is not None and left:
        raise Conflict(f"outreach to {left} devices is not finished: a recall is closed when none is left")


# --- matching ---


def _open_recalls(clinic_id: int) -> Any:
    statement = in_clinic(select(Recall), Recall, clinic_id).where(Recall.closed_at.is_(None))
    return statement.order_by(Recall.id)


Found = tuple[int, bool, Candidate]  # device id, whether it was explanted, what is on record


def _candidates(
    session: Session, clinic_id: int, only: Sequence[int] | None = None, after: int = 0
) -> Iterator[list[Found]]:
    """The clinic's devices in chunks, as plain values: memory does not grow with their number."""
    columns = (
        Device.id, Device.explanted_on, Device.model, Device.manufacturer, Device.serial, Device.lot,
        Device.manufactured_on, Device.udi_device_identifier,
    )  # fmt: skip
    statement = in_clinic(select(*columns), Device, clinic_id).order_by(Device.id).limit(CHUNK)
    if only is not None:
        statement = statement.where(Device.id.in_(only))
    last = after
    while rows := session.execute(statement.where(Device.id > last)).all():
        yield [
            (
                device_id,
                explanted_on is not None,
                Candidate(names_of(model, maker), serial, lot, made_on, identifier),
            )
            for device_id, explanted_on, model, maker, serial, lot, made_on, identifier in rows
        ]
        last = rows[-1].id


def _match(session: Session, recall: Recall, at: dt.datetime, only: Sequence[int] | None = None) -> None:
    """Bring the outreach of a recall, and the alerts about it, up to date for the clinic's devices.

    A long list is kept at once as well, so that it is there as a whole or not at all; its alerts follow.
    """
    matcher = Matcher(_read(recall.newest.text).conditions)
    room = TOLD_AT_ONCE if only is None and recall.closed_at is None else None
    for chunk in _candidates(session, recall.clinic_id, only):
        ids = [device_id for device_id, *_ in chunk]
        rows = select(RecallOutreach).where(
            RecallOutreach.recall_id == recall.id, RecallOutreach.device_id.in_(ids)
        )
        kept = {row.device_id: row for row in session.scalars(rows)}
        listed: dict[int, Match] = {}
        taken_off = []
        for device_id, explanted, candidate in chunk:
            match, row = matcher.match(candidate), kept.get(device_id)
            if match is not None and not explanted:
                listed[device_id] = match
            elif row is not None and row.on_list:
                _take_off(session, row, "explanted" if explanted else "left_list", at)
                taken_off.append(device_id)
        _list(session, recall, listed, kept, at)
        session.flush()
        now = list(listed)[:room]
        _tell(session, [*taken_off, *now], at)
        outbox.ask(session, outbox.RECALL, list(listed)[len(now) :], at)
        room = None if room is None else room - len(now)


def _list(
    session: Session,
    recall: Recall,
    listed: Mapping[int, Match],
    kept: Mapping[int, RecallOutreach],
    at: dt.datetime,
) -> None:
    new = []
    for device_id, match in listed.items():
        values: dict[str, Any] = {
            "match": MATCHED if match.certain else NOT_EXCLUDED,
            "line": match.line,
            "missing": list(match.missing),
        }
        row = kept.get(device_id)
        if row is None:
            new.append({"device_id": device_id} | values)
            continue
        for name, value in values.items():
            if getattr(row, name) != value:
                setattr(row, name, value)
        if not row.on_list:
            row.on_list, row.changed_at, row.opened_at = True, at, at
            _enter(session, row, "listed", at)
    _insert(session, recall, new, at)


def _insert(session: Session, recall: Recall, new: Sequence[dict[str, Any]], at: dt.datetime) -> None:
    if not new:
        return
    same = {
        "clinic_id": recall.clinic_id, "recall_id": recall.id, "on_list": True, "state": Outreach.TO_DO,
        "opened_at": at, "changed_at": at, "version": 1,
    }  # fmt: skip
    rows = [{"public_id": new_public_id()} | same | values for values in new]
    insert = UPSERT[session.get_bind().dialect.name](RecallOutreach).on_conflict_do_nothing()
    # What is not returned, another worker listed just now.
    listed = session.scalars(insert.returning(RecallOutreach.id), rows)
    session.add_all(RecallOutreachEntry(outreach_id=row_id, at=at, event="listed") for row_id in listed.all())


def _take_off(session: Session, row: RecallOutreach, why: str, at: dt.datetime) -> None:
    row.on_list, row.changed_at = False, at
    _enter(session, row, why, at)


def _tell(session: Session, device_ids: Sequence[int], at: dt.datetime) -> None:
    """An alert for each device as long as outreach about it is left. One that only cannot be excluded is work on the
    list, but no alert."""
    left = open_recalls_of(session, device_ids)
    about = Alert.device_id.in_(device_ids), Alert.condition == CONDITION, Alert.open_key.is_not(None)
    alerted = set(session.scalars(select(Alert.device_id).where(*about)))
    for device in session.scalars(select(Device).where(Device.id.in_(device_ids)).order_by(Device.id)).all():
        certain = [row for row in left[device.id] if row.match == MATCHED]
        for row in certain:
            alerts.raise_alert(session, _condition(device, row, certain), at=at)
        if not certain and device.id in alerted:
            key = alerts.open_key(CONDITION, device_id=device.id, patient_id=device.patient_id)
            alerts.return_to_normal(session, key, at=at)


def _condition(device: Device, row: RecallOutreach, certain: Sequence[RecallOutreach]) -> alerts.Condition:
    how_bad = severity(row.recall.recall_class)
    told = [
        {"title": each.recall.title, "class": each.recall.recall_class, "advice": each.recall.advice}
        for each in certain
    ]
    return alerts.Condition(
        clinic_id=device.clinic_id,
        patient_id=device.patient_id,
        device_id=device.id,
        name=CONDITION,
        severity=how_bad,
        since=row.opened_at,
        effect_key=f"recall:{row.recall_id}:{device.id}:{row.opened_at.isoformat()}:{how_bad}",
        model_version=f"recall-{load('recall.json')['version']}",
        detail={"recalls": told},
    )


def _shown(session: Session, found: dict[int, Match]) -> list[tuple[Device, Match]]:
    """The first of them, with their patients."""
    ids = list(itertools.islice(found, MOST_SHOWN))
    wanted = select(Device).where(Device.id.in_(ids)).options(joinedload(Device.patient)).order_by(Device.id)
    return [(device, found[device.id]) for device in session.scalars(wanted)]


@cache
def _catalogue_numbers(device_model: str) -> tuple[str, ...]:
    try:
        return find_model(device_model).catalogue_numbers
    except UnknownModel:
        return ()


# --- history ---


def _enter(
    session: Session,
    row: RecallOutreach,
    event: str,
    at: dt.datetime,
    user_id: int | None = None,
    way: str | None = None,
    note: str | None = None,
) -> None:
    row.history.append(RecallOutreachEntry(at=at, actor_id=user_id, event=event, way=way, note=note))
