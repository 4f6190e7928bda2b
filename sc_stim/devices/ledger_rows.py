"""The record numbers settled in each epoch of a device, and the stored-acks they make true."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from sc_stim.devices import messages, topics
from sc_stim.devices.ledger import SeqRanges
from sc_stim.devices.state_rows import Known
from sc_stim.devices.store import Bulk
from sc_stim.models import DeviceEpoch

StoredAck = tuple[str, bytes]  # topic, payload
Key = tuple[Known, str]  # device and epoch

MAX_RANGES = 10_000
"""Kept of one epoch. What lies in the oldest ones past it counts as not taken: sent again, it is found stored."""

MAX_REJECTED_TOLD = 1000
"""In one ack; it covers the others all the same, unless they lie among its oldest gaps."""

_COLUMNS = ("device_id", "epoch", "taken", "rejected", "first_at", "last_at")
_UPDATE = """(device_id, epoch) DO UPDATE SET
    taken = excluded.taken, rejected = excluded.rejected, last_at = excluded.last_at"""


@dataclass(slots=True)
class Ledger:
    """The numbers of one epoch; `rejected` are those of the taken that are in quarantine alone."""

    taken: SeqRanges
    rejected: SeqRanges
    rejected_now: set[int] = field(default_factory=set)

    def has_stored(self, seq: int) -> bool:
        return seq in self.taken and seq not in self.rejected

    def store(self, seq: int) -> None:
        self.taken.add(seq)
        self.rejected.discard(seq)
        self.rejected_now.discard(seq)

    def reject(self, seq: int) -> None:
        self.taken.add(seq)
        self.rejected.add(seq)
        self.rejected_now.add(seq)


class LedgerRows:
    """The ledgers of one batch. Their devices must be locked."""

    def __init__(self, bulk: Bulk) -> None:
        self._bulk = bulk
        self._ledgers: dict[Key, Ledger] = {}

    def load(self, keys: Iterable[Key]) -> None:
        wanted = {(device.id, epoch): (device, epoch) for device, epoch in keys}
        found = {
            (row[0], row[1]): (row[2], row[3])
            for row in self._bulk.select(
                "SELECT device_id, epoch, taken, rejected FROM keys "
                "JOIN device_epoch ON device_id = keys.a AND epoch = keys.b",
                sorted(wanted),
                "bigint, text",
            )
        }
        for ids, key in wanted.items():
            taken, rejected = found.get(ids, ("", ""))
            self._ledgers[key] = Ledger(SeqRanges.from_text(taken), SeqRanges.from_text(rejected))

    def __getitem__(self, key: Key) -> Ledger:
        return self._ledgers[key]

    def write(self, at: dt.datetime) -> list[StoredAck]:
        """Returns the acks of all these ledgers, to be sent after the commit."""
        moment = self._bulk.moment(at)
        rows, acks = [], []
        for (device, epoch), ledger in self._ledgers.items():
            taken, rejected = ledger.taken, ledger.rejected
            taken.forget_oldest(MAX_RANGES)
            rows.append((device.id, epoch, taken.to_text(), rejected.to_text(), moment, moment))
            told = sorted(ledger.rejected_now)[-MAX_REJECTED_TOLD:]
            answer = messages.encode_ack(epoch, taken.upto, taken.missing(), told)
            acks.append((topics.down(device.public_id, "ack"), answer))
        self._bulk.upsert(DeviceEpoch.__table__, _COLUMNS, sorted(rows), _UPDATE)
        return acks
