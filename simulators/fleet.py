"""Thousands of devices in one process and one loop: courses go on, records go out, stored-acks come in.

First every course catches up with the present (its history), as fast as records are stored; then it goes on in real
time. With a `speed` the simulated time runs that many times as fast as the clock until it has caught up.
"""

import datetime as dt
import logging
import random
import selectors
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from sc_stim.devices.records import Command

from .agent import Agent
from .cohort import Cohort, Patient
from .connection import BACK_WITHIN_S
from .course import Course, Told
from .device_memory import RESEND_AFTER_S
from .emission import RecordKind
from .happenings import MemoryReset, Slot
from .journal import Journal
from .ledger import Identity, Ledger
from .link import Broker, Link
from .pace import Pace
from .port import Port
from .progress import Progress
from .seeds import stream
from .timers import Timers
from .truth import TruthFile

__all__ = ["Fleet", "Progress"]

log = logging.getLogger("simulators")

CHUNK = dt.timedelta(days=30)  # of history, generated at a stretch
TURN_S = 0.02  # spent on generating before the sockets get their turn
IDLE_S = 0.2  # longest sleep: how late `stop` may be noticed
CONNECTS_PER_S = 400.0
JOURNAL_EVERY_S = 5.0
BROKER_WAIT_S = (0.5, 15.0)  # between attempts of the fleet while the broker is out of reach: first, longest


@dataclass(slots=True, eq=False)
class _Line:
    """One patient: a course, a port for each device, and when it goes on (seconds; 0: not planned).

    `resets`: of device memories, in the history. `blocked`: behind the present, and waiting for a connection.
    """

    course: Course
    ports: dict[Slot, Port]
    resets: deque[dt.datetime]
    due_s: float = 0.0
    blocked: bool = False


class Fleet:
    """Runs a cohort against a broker.

    passwords: by device id; ValueError names a device without one. samples: generate so many live samples (0: only
    the history), then only wait until all is stored. journal: file that lets a later run with the same cohort go on
    where this one was. truth: written to, not closed. wall and monotonic are the clocks.
    """

    def __init__(
        self,
        cohort: Cohort,
        mqtt_url: str,
        passwords: Mapping[str, str],
        *,
        seed: int | None = None,
        speed: float | None = None,
        samples: int | None = None,
        mqtt_version: str = "3.1.1",
        ca: Path | None = None,
        truth: TruthFile | None = None,
        journal: Path | None = None,
        max_unstored: int = 20_000,
        resend_after_s: float = RESEND_AFTER_S,
        wall: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        broker = Broker.of(mqtt_url, version=mqtt_version, ca=ca)
        missing = [device.id for device in cohort.devices if device.id not in passwords]
        if missing:
            raise ValueError(f"no password for {len(missing)} devices, the first is {missing[0]}")
        began_at = wall()
        if began_at < cohort.now:
            raise ValueError(f"the cohort begins in the future: {cohort.now.isoformat()}")
        self.cohort = cohort
        self.generated = Ledger()
        self.timers = Timers()
        self.rng: random.Random = stream(cohort.seed if seed is None else seed, "fleet")
        self.stored = 0
        self.finished = False  # everything that `samples` asks for is generated and stored
        self._samples = samples
        self._live_samples = 0
        self._truth = truth
        self._max_unstored = max_unstored
        self.now_s = monotonic
        end = cohort.now if samples == 0 else None
        self._pace = Pace(monotonic(), began_at, cohort.start, speed, end)
        self._selector = selectors.DefaultSelector()
        self._journal = Journal(journal, cohort) if journal else None
        self._lines = [self._make_line(p, passwords, broker, resend_after_s) for p in cohort.patients]
        self._ports = [port for line in self._lines for port in line.ports.values()]
        self._line_of = {id(port): line for line in self._lines for port in line.ports.values()}
        self._behind = deque(self._lines)
        self._blocked = 0
        self._dirty: dict[int, Port] = {}
        self._unstored: dict[int, int] = {}  # by port, while it is connected
        self._unstored_total = 0
        self._broker_wait_s = 0.0
        self._broker_away_until_s = self._next_connect_s = self.now_s()
        if self._journal:
            self._replay(self._journal)

    def _make_line(
        self, patient: Patient, passwords: Mapping[str, str], broker: Broker, resend_after_s: float
    ) -> _Line:
        course = Course(patient, self.cohort)
        known = self._journal.stored if self._journal else {}
        agents = [
            Agent(device, course, self.cohort, stored=known.get(device.id), resend_after_s=resend_after_s)
            for device in patient.devices
        ]
        ports = {
            agent.device.kind: Port(agent, passwords[agent.device.id], broker, self._selector, self)
            for agent in agents
        }
        resets = (h.when for h in patient.script if isinstance(h, MemoryReset))
        return _Line(course, ports, deque(at for at in resets if self.cohort.start < at < self.cohort.now))

    def _replay(self, journal: Journal) -> None:
        agents = {port.agent.device.id: port.agent for port in self._ports}
        for obeyed in journal.obeyed:
            agents[obeyed.device].obey(obeyed.command, obeyed.at)

    # --- for callers

    def run(
        self,
        stop: Callable[[], bool] = lambda: False,
        on_progress: Callable[[Progress], None] | None = None,
        progress_every_s: float = 1.0,
    ) -> Progress:
        """Run until `stop()` is true, or until all `samples` are stored; may be called once."""
        for port in self._ports:
            port.review_at_changes()
        if on_progress:
            self._report(on_progress, progress_every_s)
        if self._journal:
            self.timers.at(self.now_s() + JOURNAL_EVERY_S, self._keep_journal)
        try:
            while not stop() and not self.finished:
                self._turn()
                self.finished = self._is_finished()
            progress = self.progress()
        finally:
            self._close()
        if on_progress:
            on_progress(progress)
        return progress

    def progress(self) -> Progress:
        length_s = max(self.cohort.days * 86_400, 1e-9)
        done = [
            min(1.0, max(0.0, (line.course.position - self.cohort.start).total_seconds() / length_s))
            for line in self._lines
        ]
        return Progress(
            devices=len(self._ports),
            connected=sum(port.link.up for port in self._ports),
            generated=len(self.generated),
            stored=self.stored,
            forgotten=sum(len(port.agent.forgotten) for port in self._ports),
            position=sum(done) / len(done) if done else 1.0,
            history_stored=not any(port.settling for port in self._ports),
        )

    def unacknowledged(self) -> set[Identity]:
        """Records that the devices still keep."""
        return {
            (port.agent.device.id, port.agent.memory.epoch, record.seq)
            for port in self._ports
            for record in port.agent.memory
        }

    def forgotten(self) -> set[Identity]:
        """Records that devices lost with their memory before an ack came; some of them may be stored."""
        return {
            (port.agent.device.id, *identity) for port in self._ports for identity in port.agent.forgotten
        }

    # --- what ports need (see port.Surroundings)

    @property
    def history_end(self) -> dt.datetime:
        return self.cohort.now

    def true_time(self) -> dt.datetime:
        return self._pace.true_time(self.now_s())

    def may_connect(self) -> bool:
        return self.now_s() >= self._broker_away_until_s

    def connect_delay_s(self) -> float:
        now_s = self.now_s()
        earliest_s = max(now_s, self._next_connect_s, self._broker_away_until_s)
        self._next_connect_s = earliest_s + 1 / CONNECTS_PER_S
        return earliest_s - now_s

    def note_reachable(self) -> None:
        self._broker_wait_s = 0.0

    def note_unreachable(self, error: OSError) -> None:
        if not self._broker_wait_s:
            log.warning("broker out of reach, trying again: %s", error)
        first_s, longest_s = BROKER_WAIT_S
        self._broker_wait_s = min(longest_s, max(first_s, 2 * self._broker_wait_s))
        self._broker_away_until_s = self.now_s() + self._broker_wait_s * self.rng.uniform(0.5, 1)

    def note_change(self, port: Port) -> None:
        self._dirty[id(port)] = port
        unstored = len(port.agent.memory) if port.link.up else 0
        self._unstored_total += unstored - self._unstored.get(id(port), 0)
        self._unstored[id(port)] = unstored
        line = self._line_of[id(port)]
        if line.blocked:
            line.blocked = False
            self._blocked -= 1
            self._behind.append(line)

    def note_stored(self, port: Port, records: int) -> None:
        self.stored += records
        self.note_change(port)
        self._review_soon(port)

    def note_command(self, port: Port, command: Command, at: dt.datetime) -> None:
        if self._journal:
            self._journal.note_command(port.agent.device.id, at, command)

    def advance(self, port: Port) -> None:
        line = self._line_of[id(port)]
        if line not in self._behind and not line.blocked:
            self._advance(line)

    # --- one turn of the loop

    def _turn(self) -> None:
        self.timers.run_due(self.now_s())
        busy = self._catch_up()
        dirty, self._dirty = self._dirty, {}
        for port in dirty.values():
            port.flush()
        sleep_s = 0.0 if busy else self.timers.sleep_s(self.now_s(), IDLE_S)
        for key, events in self._selector.select(sleep_s):
            link: Link = key.data
            link.service(events)

    def _catch_up(self) -> bool:
        """Generate some history, as far as what is generated gets stored; True: more could be done at once."""
        until_s = self.now_s() + TURN_S
        for _ in range(len(self._behind)):
            if self._unstored_total >= self._max_unstored:
                return False
            if self.now_s() > until_s:
                return True
            line = self._behind.popleft()
            if all(port.link.up or not port.wanted for port in line.ports.values()):
                self._advance(line)
            else:
                line.blocked = True
                self._blocked += 1
        return False

    def _advance(self, line: _Line) -> None:
        target = self._pace.target(self.now_s())
        self._deliver(line, line.course.advance(self._next_stop(line, target)))
        if line.course.position < target:
            self._behind.append(line)
            return
        self._schedule(line)
        for port in line.ports.values():
            self._review_soon(port)

    def _next_stop(self, line: _Line, target: dt.datetime) -> dt.datetime:
        """How far to go at a stretch: a reset in the history must not take with it what was delivered long before."""
        stop = min(line.course.position + CHUNK, target)
        if not line.resets or stop < line.resets[0]:
            return stop
        before = line.resets[0] - dt.timedelta(microseconds=1)
        if line.course.position < before or any(self._has_business(port) for port in line.ports.values()):
            return before
        return line.resets.popleft()

    def _review_soon(self, port: Port) -> None:
        """Its history may be complete now. Not at once: we may be inside a call from its link."""
        if port.settling:
            self.timers.at(self.now_s(), port.review)

    def _schedule(self, line: _Line) -> None:
        """Wake up for the next thing in the course; only the last of a line's timers is alive."""
        at = line.course.next_at
        if line.course.position < self.cohort.now:
            at = min(at, self.cohort.now)  # the end of the history is an event, too
        due_s = self._pace.due_s(at)
        if due_s is not None:
            line.due_s = due_s
            self.timers.at(due_s, partial(self._go_on, line, due_s))

    def _go_on(self, line: _Line, due_s: float) -> None:
        if due_s == line.due_s:
            self._advance(line)

    def _deliver(self, line: _Line, told: list[Told]) -> None:
        for slot, emission in told:
            if self._is_full():
                return
            port = line.ports[slot]
            kept = port.agent.keep(emission)
            if kept is None:
                continue
            epoch, seq = kept
            kind = cast(RecordKind, emission.kind)  # a reset is not kept
            self.generated.note(port.agent.device.id, epoch, seq, kind)
            if self._truth:
                self._truth.note_record(port.agent.device.id, epoch, seq, kind, emission.at)
            if kind == "sample" and emission.at >= self.cohort.now:
                self._live_samples += 1
            self.note_change(port)

    def _is_full(self) -> bool:
        """Have all wanted live samples been generated?"""
        return 0 < (self._samples or 0) <= self._live_samples

    def _is_finished(self) -> bool:
        if self._samples is None:
            return False
        history_done = not self._behind and not self._blocked
        all_generated = self._is_full() if self._samples else history_done
        return all_generated and all(self._is_done(port) for port in self._ports)

    def _is_done(self, port: Port) -> bool:
        """Is everything stored, except what an offline device holds back for longer than we want to wait?"""
        now = self.true_time()
        window = port.agent.offline.at(now)
        back_soon = window is not None and (window.end - now).total_seconds() <= BACK_WITHIN_S
        return not port.settling and not back_soon and not self._has_business(port)

    def _has_business(self, port: Port) -> bool:
        """Is something out, or unsent, that an offline window does not hold back?"""
        window = port.agent.offline.at(self.true_time())
        if window is not None and not port.wanted:
            return False
        memory = port.agent.memory
        return memory.in_flight > 0 or memory.has_unsent(window.start if window else None)

    def _report(self, on_progress: Callable[[Progress], None], every_s: float) -> None:
        on_progress(self.progress())
        self.timers.at(self.now_s() + every_s, partial(self._report, on_progress, every_s))

    def _keep_journal(self) -> None:
        if self._journal is None:
            return
        for port in self._ports:
            memory = port.agent.memory
            self._journal.note_stored(port.agent.device.id, memory.epoch, memory.covered_upto)
        self.timers.at(self.now_s() + JOURNAL_EVERY_S, self._keep_journal)

    def _close(self) -> None:
        for port in self._ports:
            port.wanted = False
            port.link.cut()
        self._selector.close()
        if self._journal:
            self._keep_journal()
            self._journal.close()
