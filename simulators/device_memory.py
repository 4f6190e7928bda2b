"""What a device keeps: every record until a stored-ack covers it, sent again while none does.

PUBACK only says that the broker has a message, so it erases nothing here. Times are seconds of any steady
clock.
"""

import datetime as dt
import heapq
import random
from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain, count
from typing import NamedTuple

from sc_stim.devices.records import Ack

from .emission import RecordKind

RESEND_AFTER_S = 20.0
RESEND_AT_MOST_S = 300.0
JITTER = 0.2


class Record(NamedTuple):
    """One thing to report. `at` is the true time; `body` is the JSON of the item without `seq` and `at`."""

    seq: int
    at: dt.datetime
    kind: RecordKind
    body: bytes


class _Group(NamedTuple):
    due_s: float
    order: int
    attempts: int
    seqs: tuple[int, ...]


class DeviceMemory:
    """The records of one epoch, numbered from 0 over all kinds."""

    def __init__(self, epoch: str, rng: random.Random, resend_after_s: float = RESEND_AFTER_S) -> None:
        self.epoch = epoch
        self.next_seq = 0
        self._rng = rng
        self._resend_after_s = resend_after_s
        self._unsent: OrderedDict[int, Record] = OrderedDict()
        self._out: dict[int, Record] = {}  # sent at least once, not covered
        self._groups: list[_Group] = []  # a heap by due time
        self._orders = count()

    def __len__(self) -> int:
        """Records not covered yet."""
        return len(self._unsent) + len(self._out)

    def __iter__(self) -> Iterator[Record]:
        """The records not covered yet, those that were sent first."""
        return chain(self._out.values(), self._unsent.values())

    @property
    def in_flight(self) -> int:
        """Records sent at least once and not covered yet."""
        return len(self._out)

    @property
    def covered_upto(self) -> int:
        """The number up to which nothing is kept any more; -1: none."""
        return min((record.seq for record in self), default=self.next_seq) - 1

    def add(self, at: dt.datetime, kind: RecordKind, body: bytes) -> Record:
        """Keep a new record under the next number."""
        record = Record(self.next_seq, at, kind, body)
        self._unsent[record.seq] = record
        self.next_seq += 1
        return record

    def skip(self) -> None:
        """Use up a number without keeping its record: it is known to be stored already."""
        self.next_seq += 1

    def has_unsent(self, before: dt.datetime | None = None) -> bool:
        """Is there a record that was never sent (and happened before `before`)?"""
        oldest = next(iter(self._unsent.values()), None)
        return oldest is not None and (before is None or oldest.at < before)

    def take_unsent(self, at_most: int, before: dt.datetime | None = None) -> list[Record]:
        """The oldest records that were never sent and happened before `before`. `note_sent` must follow."""
        taken: list[Record] = []
        while len(taken) < at_most and self.has_unsent(before):
            taken.append(self._unsent.popitem(last=False)[1])
        return taken

    def take_overdue(self, now_s: float) -> list[tuple[list[Record], int]]:
        """Records sent together whose time is over, less the covered ones, and how often they were sent."""
        groups = []
        while self._groups and self._groups[0].due_s <= now_s:
            group = heapq.heappop(self._groups)
            left = [self._out[seq] for seq in group.seqs if seq in self._out]
            if left:
                groups.append((left, group.attempts))
        return groups

    def note_sent(self, records: list[Record], now_s: float, attempts: int = 0) -> None:
        """These went out together now; unless covered they are due again, after a longer time each time."""
        wait_s = min(RESEND_AT_MOST_S, self._resend_after_s * 2**attempts)
        due_s = now_s + wait_s * self._rng.uniform(1 - JITTER, 1 + JITTER)
        self._out |= {record.seq: record for record in records}
        seqs = tuple(record.seq for record in records)
        heapq.heappush(self._groups, _Group(due_s, next(self._orders), attempts + 1, seqs))

    def next_due_s(self) -> float | None:
        """When something sent will be overdue; None: nothing is out."""
        return self._groups[0].due_s if self._groups else None

    def take_ack(self, ack: Ack) -> int:
        """Erase what the stored-ack covers, and say how many records that was; 0 for another epoch's ack."""
        if ack.epoch != self.epoch:
            return 0
        before = len(self)
        for kept in (self._out, self._unsent):
            for seq in [seq for seq in kept if ack.covers(seq)]:
                del kept[seq]
        return before - len(self)

    def forget(self, epoch: str) -> list[Record]:
        """Lose everything and begin a new epoch; returns the records that were lost."""
        lost = list(self)
        self.epoch = epoch
        self.next_seq = 0
        self._out.clear()
        self._unsent.clear()
        self._groups.clear()
        return lost
