"""A device on the line: connects when it is to be online, sends what its agent has, and waits longer after failures."""

import datetime as dt
import logging
import random
import selectors
from collections.abc import Callable
from functools import partial
from typing import Protocol

from sc_stim.devices.records import Command, InvalidMessage

from .agent import Agent, Message
from .link import Broker, Link
from .timers import Timers

log = logging.getLogger("simulators")

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
REFUSED_WAIT_S = 30.0  # wrong password, or not registered: trying often does not help
STEADY_AFTER_S = 30.0  # a connection that lasted so long was a good one
ANSWER_WITHIN_S = 15.0  # from TCP connection to the broker's answer
KEEP_ALIVE_EVERY_S = 15.0


class Surroundings(Protocol):
    """What a port needs from the fleet around it."""

    timers: Timers
    rng: random.Random
    now_s: Callable[[], float]

    @property
    def history_end(self) -> dt.datetime: ...

    def true_time(self) -> dt.datetime: ...

    def connect_delay_s(self) -> float:
        """How long to wait before any connection: the broker is away, or many devices come back at once."""

    def may_connect(self) -> bool: ...

    def note_reachable(self) -> None: ...

    def note_unreachable(self, error: OSError) -> None: ...

    def note_change(self, port: "Port") -> None:
        """Records were added, sent or stored, or the connection changed."""

    def note_stored(self, port: "Port", records: int) -> None: ...

    def note_command(self, port: "Port", command: Command, at: dt.datetime) -> None: ...

    def advance(self, port: "Port") -> None:
        """Bring the port's course up to the present."""


class Port:
    """Owner of one agent and its link.

    `settling` until the history is stored: so long the device stays connected, even if the present moment lies in
    one of its offline windows, and sends what happened before that window.
    """

    def __init__(
        self,
        agent: Agent,
        password: str,
        broker: Broker,
        selector: selectors.BaseSelector,
        fleet: Surroundings,
    ) -> None:
        self.agent = agent
        self.settling = True
        self.wanted = False
        self.link = Link(agent.device.id, password, agent.will, broker, selector, self)
        self._fleet = fleet
        self._replies: list[Message] = []
        self._failures = 0
        self._attempt_planned = False
        self._up_since_s = 0.0
        self._flush_due_s = float("inf")

    # --- when to be connected

    def review(self) -> None:
        """Decide whether to be connected now, and see to it."""
        now = self._fleet.true_time()
        window = self.agent.offline.at(now)
        if self.settling:
            self.settling = not self._is_settled(window.start if window else None)
        self.wanted = window is None or self.settling
        if self.wanted:
            self._plan_attempt(0.0)
        elif self.link.open:
            self.link.cut()
        self._fleet.note_change(self)

    def review_at_changes(self) -> None:
        """Review now and whenever an offline window begins or ends."""
        self.review()
        now = self._fleet.true_time()
        wait = self.agent.offline.next_change(now) - now
        self._fleet.timers.at(self._fleet.now_s() + wait.total_seconds(), self.review_at_changes)

    def _is_settled(self, held_from: dt.datetime | None) -> bool:
        """Is all history stored, or all that happened before the offline window that still lasts?"""
        end = min(self._fleet.history_end, held_from or self._fleet.history_end)
        if self.agent.course.position < end:
            return False
        return not any(record.at < end for record in self.agent.memory)

    # --- connecting

    def _plan_attempt(self, wait_s: float) -> None:
        if self.link.open or self._attempt_planned:
            return
        self._attempt_planned = True
        due_s = self._fleet.now_s() + wait_s + self._fleet.connect_delay_s()
        self._fleet.timers.at(due_s, self._attempt)

    def _attempt(self) -> None:
        self._attempt_planned = False
        if not self.wanted or self.link.open:
            return
        if not self._fleet.may_connect():
            self._plan_attempt(0.0)
            return
        try:
            self.link.connect()
        except OSError as error:
            self._fleet.note_unreachable(error)
            self._plan_attempt(self._backoff_s())
            return
        self._fleet.note_reachable()
        self._fleet.timers.at(self._fleet.now_s() + ANSWER_WITHIN_S, self._check_answer)

    def _check_answer(self) -> None:
        if self.link.open and not self.link.up:
            self.link.cut()

    def _backoff_s(self) -> float:
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**self._failures)
        self._failures = min(self._failures + 1, 10)
        return wait_s * self._fleet.rng.uniform(0.5, 1.0)

    def _keep_alive(self) -> None:
        if self.link.open:
            self.link.keep_alive()
            self._fleet.timers.at(self._fleet.now_s() + KEEP_ALIVE_EVERY_S, self._keep_alive)

    # --- called by the link

    def link_up(self) -> None:
        self._up_since_s = self._fleet.now_s()
        self._replies.insert(0, self.agent.birth)
        self._fleet.timers.at(self._up_since_s + KEEP_ALIVE_EVERY_S, self._keep_alive)
        self._fleet.note_change(self)

    def link_down(self, refused: bool) -> None:
        if self._up_since_s and self._fleet.now_s() - self._up_since_s > STEADY_AFTER_S:
            self._failures = 0
        self._up_since_s = 0.0
        if refused:
            log.warning("%s: the broker refuses this device", self.agent.device.id)
        if self.wanted:
            self._plan_attempt(REFUSED_WAIT_S if refused else self._backoff_s())
        self._fleet.note_change(self)

    def take(self, kind: str, payload: bytes) -> None:
        try:
            if kind == "ack":
                self._fleet.note_stored(self, self.agent.take_ack(payload))
            else:
                self._obey(payload)
        except InvalidMessage as error:
            log.warning("%s: cannot read a message on down/%s: %s", self.agent.device.id, kind, error)

    def _obey(self, payload: bytes) -> None:
        at = self._fleet.true_time()
        answer = self.agent.answer(payload, at, lambda command: self._fleet.note_command(self, command, at))
        if answer:
            self._replies.append(answer)
        self._fleet.advance(self)
        self._fleet.note_change(self)

    # --- sending

    def flush(self) -> None:
        """Send replies, overdue records and new ones, if the connection is up."""
        if not self.link.up:
            return
        now_s = self._fleet.now_s()
        replies, self._replies = self._replies, []
        for reply in replies:
            self.link.publish(reply)
        for message in self.agent.outgoing(now_s, self._fleet.true_time()):
            for delay_s in self.agent.faults.deliveries():
                if delay_s:
                    self._fleet.timers.at(now_s + delay_s, partial(self._publish_late, message))
                else:
                    self.link.publish(message)
        self._plan_resending()

    def _publish_late(self, message: Message) -> None:
        if self.link.up:
            self.link.publish(message)

    def _plan_resending(self) -> None:
        due_s = self.agent.memory.next_due_s()
        if due_s is not None and due_s < self._flush_due_s:
            self._flush_due_s = due_s
            self._fleet.timers.at(due_s, partial(self._flush_again, due_s))

    def _flush_again(self, due_s: float) -> None:
        if due_s == self._flush_due_s:  # only the last timer is alive
            self._flush_due_s = float("inf")
            self.flush()
