"""Which alarm conditions hold now, from everything a device said, in whatever order it arrived.

Evidence is ordered by when it was measured, never by when it was received. The newest word on a condition
decides: a pump whose newest word is `stopped` is stopped now, however old that word is, and a late alarm that
something newer contradicts is history. Silence since then is a finding of its own (see silence).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sc_stim.clinical.alarms import AlarmCondition, AlarmTable, Effect, Severity, duration, shipped_table

MRI_MODE: Final = "mri_mode"
MRI_CHECK: Final = "post_mri_check_due"
INTERROGATION: Final = "interrogation"  # evidence that ends, besides the kinds of events
_SESSION: Final = "programming_session"
_SESSION_END: Final = "session_closed"
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
class Visits:
    """What the clinic did with the device, besides what the device tells of itself.

    fills: of a pump. interrogations: reports that were asked for and came, and read-outs that a person recorded.
    """

    fills: tuple[datetime, ...] = ()
    interrogations: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class MriCheck:
    """What a model needs after a scan: so many interrogations, `within` this time (None: the table's figure)."""

    interrogations: int = 1
    within: timedelta | None = None


@dataclass(frozen=True, slots=True)
class HoldingCondition:
    """A condition that holds now. `evidence`: the event kind or `state:...` that first asserted it.

    left_after_visit: a session or a fill ended, and the pump was left so
    recovered_at: the device says since then that it is over, but the check after the scan has not shown it
    """

    name: str
    severity: Severity
    since: datetime
    evidence: str
    stops_therapy: bool
    left_after_visit: bool = False
    recovered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PastCondition:
    """A condition that held and is over (or an event that was over at once): for the time line, never a page."""

    name: str
    since: datetime
    until: datetime
    ended_by: str = ""


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
    """A time in which a condition held: its assertions in order, and when and by what it ended, if it did."""

    name: str
    assertions: tuple[_Evidence, ...]
    until: datetime | None
    ended_by: str = ""
    recovered_at: datetime | None = None

    @property
    def since(self) -> datetime:
        return self.assertions[0].at


@dataclass(frozen=True, slots=True)
class _Scene:
    """What bears on the severity of every condition of the device."""

    device_kind: str
    at: datetime
    withdrawal_class: str
    mri_since: datetime | None
    in_session: bool
    visit_ends: tuple[datetime, ...]
    after_mri: MriCheck
    table: AlarmTable

    def escalates_at(self, run: _Run) -> datetime | None:
        """When time alone makes it worse."""
        escalation = self.table.conditions[run.name].escalation.get(self.device_kind)
        if escalation is None:
            return None
        within = self.after_mri.within if run.name == MRI_CHECK else None
        return run.since + (escalation.after if within is None else within)

    def in_mri(self, run: _Run) -> bool:
        """A stop inside an MRI is expected for as long as the MRI mode itself is not overdue."""
        overdue = self.table.conditions[MRI_MODE].escalation.get(self.device_kind)
        if self.mri_since is None or run.since < self.mri_since or overdue is None:
            return False
        return self.at - self.mri_since < overdue.after

    def left_after_visit(self, run: _Run) -> bool:
        """A session or a fill ended, and the pump stands still since then or stopped soon after."""
        if self.in_session or self.table.conditions[run.name].severity_after_visit is None:
            return False
        reach = duration(self.table.stop_within)
        return any(run.since - reach <= end <= self.at for end in self.visit_ends)


def conditions_now(
    device_kind: str,
    at: datetime,
    *,
    newest_state: ReportedState | None = None,
    events: Iterable[DeviceEvent] = (),
    visits: Visits = Visits(),
    after_mri: MriCheck = MriCheck(),
    withdrawal_class: str = _WORST_WITHDRAWAL,
    table: AlarmTable | None = None,
) -> Conditions:
    """Judge one device ("pump" or "stimulator"). `withdrawal_class`: drugs.Formulary.withdrawal_class of its
    drugs; `after_mri`: of its model.

    Raises UnknownEvent for an event kind that the table does not know.
    """
    table = table or shipped_table()
    events = tuple(events)
    runs = list(_runs(device_kind, newest_state, events, visits, after_mri, table))
    runs = _held_until_checked(runs, table)
    open_runs = [run for run in runs if run.until is None]
    scene = _Scene(
        device_kind,
        at,
        withdrawal_class,
        mri_since=next((run.since for run in open_runs if run.name == MRI_MODE), None),
        in_session=any(run.name == _SESSION for run in open_runs),
        visit_ends=(*visits.fills, *(event.at for event in events if event.kind == _SESSION_END)),
        after_mri=after_mri,
        table=table,
    )
    settling = {run.name: _settles_at(run, table) for run in open_runs}
    held = [(run, _holding(run, scene)) for run in open_runs]
    changes = [*settling.values(), *(scene.escalates_at(run) for run in open_runs)]
    return Conditions(
        now=tuple(holding for run, holding in held if settling[run.name] <= at),
        waiting=tuple(holding for run, holding in held if settling[run.name] > at),
        past=tuple(
            PastCondition(run.name, run.since, run.until, run.ended_by)
            for run in runs
            if run.until is not None
        ),
        judge_again_at=min((moment for moment in changes if moment and moment > at), default=None),
    )


def _runs(
    device_kind: str,
    newest_state: ReportedState | None,
    events: Iterable[DeviceEvent],
    visits: Visits,
    after_mri: MriCheck,
    table: AlarmTable,
) -> Iterator[_Run]:
    evidence: dict[str, list[_Evidence]] = {}
    told = (
        *_from_events(events, table),
        *_from_state(newest_state, table),
        *_from_interrogations(visits, table),
    )
    for name, item in told:
        if device_kind in table.conditions[name].severity:
            evidence.setdefault(name, []).append(item)
    for name, items in evidence.items():
        # At the very same moment and number an assertion counts as the newer word.
        items.sort(key=lambda item: (item.at, item.seq, item.asserts))
        condition = table.conditions[name]
        needed = after_mri.interrogations if condition.ended_by_interrogation else 1
        yield from _condition_runs(condition, items, needed, duration(table.interrogations_apart))


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


def _from_interrogations(visits: Visits, table: AlarmTable) -> Iterator[tuple[str, _Evidence]]:
    for condition in table.conditions.values():
        if condition.ended_by_interrogation:
            for at in visits.interrogations:
                yield condition.name, _Evidence(at, 0, False, at, INTERROGATION)


def _condition_runs(
    condition: AlarmCondition, items: list[_Evidence], needed: int, apart: timedelta
) -> Iterator[_Run]:
    """`needed`: so many ends after the last assertion end it; those less than `apart` are one."""
    if condition.momentary:
        yield from (_Run(condition.name, (item,), item.at) for item in items)
        return
    assertions: list[_Evidence] = []
    ends: list[_Evidence] = []
    for item in items:
        if item.asserts:
            assertions.append(item)
            ends = []
        elif assertions and (not ends or item.at - ends[-1].at >= apart):
            ends.append(item)
        if len(ends) >= needed:
            yield _Run(condition.name, tuple(assertions), item.at, item.said_by)
            assertions, ends = [], []
    if assertions:
        yield _Run(condition.name, tuple(assertions), None)


def _held_until_checked(runs: list[_Run], table: AlarmTable) -> list[_Run]:
    """What began in an MRI and ended by the device's own word is open until the check after the scan is done."""
    check = next((run for run in runs if run.name == MRI_CHECK and run.until is None), None)
    if check is None:
        return runs
    found = {run.name: run for run in runs if run.since >= check.since}  # the newest of each
    held = {
        id(run): replace(run, until=None, recovered_at=run.until)
        for run in found.values()
        if table.conditions[run.name].held_until_mri_check and run.until is not None
    }
    return [held.get(id(run), run) for run in runs]


def _settles_at(run: _Run, table: AlarmTable) -> datetime:
    """When the run counts: on arrival of a timely assertion, a little after that of a late one."""
    late_after, settle = duration(table.late_after), duration(table.late_settle)
    return min(
        item.received_at + (settle if item.received_at - item.at > late_after else settle * 0)
        for item in run.assertions
    )


def _holding(run: _Run, scene: _Scene) -> HoldingCondition:
    condition = scene.table.conditions[run.name]
    severity = condition.severity[scene.device_kind]
    if scene.withdrawal_class == _NO_WITHDRAWAL and condition.severity_without_withdrawal is not None:
        severity = condition.severity_without_withdrawal
    expected = run.recovered_at is not None or scene.in_mri(run)
    if condition.severity_in_mri is not None and expected:
        severity = min(severity, condition.severity_in_mri)
    worse_at, escalation = scene.escalates_at(run), condition.escalation.get(scene.device_kind)
    if escalation is not None and worse_at is not None and worse_at <= scene.at:
        severity = max(severity, escalation.to)
    left = scene.left_after_visit(run)
    if left and condition.severity_after_visit is not None:
        severity = max(severity, condition.severity_after_visit)
    return HoldingCondition(
        run.name,
        severity,
        run.since,
        run.assertions[0].said_by,
        condition.stops_therapy and run.recovered_at is None,
        left,
        run.recovered_at,
    )
