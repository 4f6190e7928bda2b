"""Which alarm conditions hold now, from everything a device said, in whatever order it arrived.

Evidence is ordered by when it was measured, never by when it was received. The newest word on a condition
decides: a pump whose newest word is `stopped` is stopped now, however old that word is, and a late alarm that
something newer contradicts is history. Silence since then is a finding of its own (see silence).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sc_stim.clinical.alarms import AlarmCondition, AlarmTable, Effect, Severity, duration, shipped_table

_MRI_MODE: Final = "mri_mode"
_WORST_WITHDRAWAL: Final = "life_threatening"
_NO_WITHDRAWAL: Final = "none"


class UnknownEvent(LookupError):
    """The event kind is not in the alarm table."""


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """`at` is the measurement by the corrected device clock; `state` is "raised", "cleared" or None."""

    kind: str
    at: datetime
    received_at: datetime
    state: str | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class ReportedState:
    """The newest measured state of a device ("running", "stopped", "on", "mri", ...).

    `since`: when the unbroken run of samples with this state began, if that is known; it lasts since then.
    """

    state: str
    at: datetime
    received_at: datetime
    seq: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class HoldingCondition:
    """A condition that holds now. `evidence`: the event kind or `state:...` that first asserted it."""

    name: str
    severity: Severity
    since: datetime
    evidence: str
    stops_therapy: bool


@dataclass(frozen=True, slots=True)
class PastCondition:
    """A condition that held and is over (or an event that was over at once): for the time line, never a page."""

    name: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Conditions:
    """`waiting`: alarms that arrived late, just now; the backlog behind them may contradict them.

    `judge_again_at`: the next moment at which time alone changes this judgement.
    """

    now: tuple[HoldingCondition, ...]
    waiting: tuple[HoldingCondition, ...]
    past: tuple[PastCondition, ...]
    judge_again_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Evidence:
    at: datetime
    seq: int
    asserts: bool
    received_at: datetime
    said_by: str


@dataclass(frozen=True, slots=True)
class _Run:
    """A time in which a condition held: its assertions in order, and when it ended, if it did."""

    name: str
    assertions: tuple[_Evidence, ...]
    until: datetime | None

    @property
    def since(self) -> datetime:
        return self.assertions[0].at


def conditions_now(
    device_kind: str,
    at: datetime,
    *,
    newest_state: ReportedState | None = None,
    events: Iterable[DeviceEvent] = (),
    withdrawal_class: str = _WORST_WITHDRAWAL,
    table: AlarmTable | None = None,
) -> Conditions:
    """Judge one device ("pump" or "stimulator"). `withdrawal_class`: drugs.Formulary.withdrawal_class of its
    drugs.

    Raises UnknownEvent for an event kind that the table does not know.
    """
    table = table or shipped_table()
    runs = list(_runs(device_kind, newest_state, events, table))
    open_runs = [run for run in runs if run.until is None]
    mri_since = next((run.since for run in open_runs if run.name == _MRI_MODE), None)
    settling = {run.name: _settles_at(run, table) for run in open_runs}
    held = [(run, _holding(run, device_kind, at, withdrawal_class, mri_since, table)) for run in open_runs]
    return Conditions(
        now=tuple(holding for run, holding in held if settling[run.name] <= at),
        waiting=tuple(holding for run, holding in held if settling[run.name] > at),
        past=tuple(PastCondition(run.name, run.since, run.until) for run in runs if run.until is not None),
        judge_again_at=min(_later_changes(open_runs, settling, at, table), default=None),
    )


def _runs(
    device_kind: str, newest_state: ReportedState | None, events: Iterable[DeviceEvent], table: AlarmTable
) -> Iterator[_Run]:
    evidence: dict[str, list[_Evidence]] = {}
    for name, item in (*_from_events(events, table), *_from_state(newest_state, table)):
        if device_kind in table.conditions[name].severity:
            evidence.setdefault(name, []).append(item)
    for name, items in evidence.items():
        # At the very same moment and number an assertion counts as the newer word.
        items.sort(key=lambda item: (item.at, item.seq, item.asserts))
        yield from _condition_runs(table.conditions[name], items)


def _from_events(events: Iterable[DeviceEvent], table: AlarmTable) -> Iterator[tuple[str, _Evidence]]:
    for event in events:
        if event.kind not in table.events:
            raise UnknownEvent(f"event kind {event.kind!r} is not in the alarm table")
        for name, effect in table.events[event.kind]:
            if effect is Effect.ASSERTS and event.state == "cleared":
                continue  # such a condition is not over because the device says so
            asserts = effect is Effect.ASSERTS or (effect is Effect.FOLLOWS and event.state != "cleared")
            yield name, _Evidence(event.at, event.seq, asserts, event.received_at, event.kind)


def _from_state(newest: ReportedState | None, table: AlarmTable) -> Iterator[tuple[str, _Evidence]]:
    if newest is None:
        return
    said_by = f"state:{newest.state}"
    for condition in table.conditions.values():
        asserts = newest.state in condition.states_asserting
        if asserts and newest.since is not None and newest.since < newest.at:
            yield condition.name, _Evidence(newest.since, -1, True, newest.received_at, said_by)
        if asserts or newest.state in condition.states_ending:
            yield condition.name, _Evidence(newest.at, newest.seq, asserts, newest.received_at, said_by)


def _condition_runs(condition: AlarmCondition, items: list[_Evidence]) -> Iterator[_Run]:
    if condition.momentary:
        yield from (_Run(condition.name, (item,), item.at) for item in items)
        return
    assertions: list[_Evidence] = []
    for item in items:
        if item.asserts:
            assertions.append(item)
        elif assertions:
            yield _Run(condition.name, tuple(assertions), item.at)
            assertions = []
    if assertions:
        yield _Run(condition.name, tuple(assertions), None)


def _settles_at(run: _Run, table: AlarmTable) -> datetime:
    """When the run counts: on arrival of a timely assertion, a little after that of a late one."""
    late_after, settle = duration(table.late_after), duration(table.late_settle)
    return min(
        item.received_at + (settle if item.received_at - item.at > late_after else settle * 0)
        for item in run.assertions
    )


def _holding(
    run: _Run,
    device_kind: str,
    at: datetime,
    withdrawal_class: str,
    mri_since: datetime | None,
    table: AlarmTable,
) -> HoldingCondition:
    condition = table.conditions[run.name]
    severity = condition.severity[device_kind]
    if withdrawal_class == _NO_WITHDRAWAL and condition.severity_without_withdrawal is not None:
        severity = condition.severity_without_withdrawal
    if condition.severity_in_mri is not None and _in_mri(run, at, mri_since, table):
        severity = min(severity, condition.severity_in_mri)
    if condition.escalation is not None and at - run.since >= condition.escalation.after:
        severity = max(severity, condition.escalation.to)
    return HoldingCondition(run.name, severity, run.since, run.assertions[0].said_by, condition.stops_therapy)


def _in_mri(run: _Run, at: datetime, mri_since: datetime | None, table: AlarmTable) -> bool:
    """A stop inside an MRI is expected for as long as the MRI mode itself is not overdue."""
    overdue_after = table.conditions[_MRI_MODE].escalation
    if mri_since is None or run.since < mri_since or overdue_after is None:
        return False
    return at - mri_since < overdue_after.after


def _later_changes(
    open_runs: list[_Run], settling: dict[str, datetime], at: datetime, table: AlarmTable
) -> Iterator[datetime]:
    for run in open_runs:
        escalation = table.conditions[run.name].escalation
        moments = [settling[run.name]]
        if escalation is not None:
            moments.append(run.since + escalation.after)
        yield from (moment for moment in moments if moment > at)
