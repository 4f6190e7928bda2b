"""What cannot be taken: kept whole, by reason, replayable, and no more of it than a sender may fill."""

import datetime as dt
import hashlib
from collections import Counter
from dataclasses import dataclass, replace

from sc_stim.devices.mqtt import Delivery
from sc_stim.devices.state_rows import Known
from sc_stim.devices.store import Bulk, Row
from sc_stim.models import Quarantine
from sc_stim.models.base import new_public_id

KEPT_OF_ONE_DEVICE = 10_000  # unsettled rows; past them one more row counts what else comes
KEPT_OF_STRANGERS = 10_000  # of all senders together that are no device of ours
MAX_PAYLOAD_BYTES = 66 * 1024  # the broker allows little more than 64 KiB
MAX_TEXT = 500
FULL = "quarantine_full"

_COLUMNS = (
    "public_id", "clinic_id", "device_id", "fingerprint", "topic", "payload", "epoch", "seq", "reason", "field",
    "detail", "received_at", "times_seen",
)  # fmt: skip
_AGAIN = """(fingerprint) DO UPDATE SET times_seen = CASE WHEN old.times_seen > 1000000000
    THEN old.times_seen ELSE old.times_seen + excluded.times_seen END"""

_UNSETTLED_OF_DEVICE = """SELECT count(*) FROM (
    SELECT 1 FROM quarantine, keys WHERE device_id = keys.a AND (outcome IS NULL OR outcome = 'quarantined')
    LIMIT (SELECT b FROM keys)) AS unsettled"""
_UNSETTLED_OF_STRANGERS = _UNSETTLED_OF_DEVICE.replace("device_id = keys.a", "device_id IS NULL")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message as it came, or one made of the single item that is wrong; then it has epoch and, if known, seq."""

    topic: str
    payload: bytes
    received_at: dt.datetime
    reason: str
    field: str | None
    detail: str
    device: Known | None = None
    epoch: str | None = None
    seq: int | None = None

    @classmethod
    def whole(
        cls, delivery: Delivery, reason: str, field: str | None, detail: str, device: Known | None = None
    ) -> "Refusal":
        return cls(delivery.topic, delivery.payload, delivery.received_at, reason, field, detail, device)

    @property
    def sender(self) -> int | None:
        return None if self.device is None else self.device.id

    @property
    def fingerprint(self) -> bytes:
        """The same record refused again is one row, and so are the same bytes of what has no number."""
        name = "\0".join((self.topic, self.epoch or "", "" if self.seq is None else str(self.seq)))
        return hashlib.sha256(name.encode() + b"\0" + (self.payload if self.seq is None else b"")).digest()


class QuarantineRows:
    """The refusals of one batch."""

    def __init__(self, bulk: Bulk) -> None:
        self._bulk = bulk
        self._refusals: dict[bytes, Refusal] = {}
        self._times: Counter[bytes] = Counter()
        self._room: dict[int | None, int] = {}

    def __bool__(self) -> bool:
        return bool(self._refusals)

    def keep(self, refusal: Refusal, *, again: bool = False) -> bool:
        """Keep it, unless there is no room left for its sender; then it is only counted, and False returned.

        again: it is there already, and needs no room.
        """
        fingerprint, sender = refusal.fingerprint, refusal.sender
        kept = again or fingerprint in self._refusals or self._left(sender) > 0
        if not kept:
            fingerprint, refusal = _overflow(sender), replace(refusal, reason=FULL, epoch=None, seq=None)
        elif fingerprint not in self._refusals and not again:
            self._room[sender] -= 1
        self._refusals[fingerprint] = refusal
        self._times[fingerprint] += 1
        return kept

    def write(self) -> None:
        rows = [self._row(fingerprint, self._refusals[fingerprint]) for fingerprint in self._refusals]
        self._bulk.upsert(Quarantine.__table__, _COLUMNS, rows, _AGAIN)

    def _left(self, sender: int | None) -> int:
        """For how many more rows of this sender there is room."""
        if sender not in self._room:
            kept, statement = (
                (KEPT_OF_STRANGERS, _UNSETTLED_OF_STRANGERS)
                if sender is None
                else (KEPT_OF_ONE_DEVICE, _UNSETTLED_OF_DEVICE)
            )
            [(unsettled,)] = self._bulk.select(statement, [(sender, kept)], "bigint, bigint")
            self._room[sender] = kept - unsettled
        return self._room[sender]

    def _row(self, fingerprint: bytes, refusal: Refusal) -> Row:
        device = refusal.device
        return (
            self._bulk.uuid(new_public_id()), device and device.clinic_id, device and device.id,
            self._bulk.blob(fingerprint), _clean(refusal.topic), self._bulk.blob(refusal.payload[:MAX_PAYLOAD_BYTES]),
            refusal.epoch, refusal.seq, refusal.reason, refusal.field, _clean(refusal.detail),
            self._bulk.moment(refusal.received_at), self._times[fingerprint],
        )  # fmt: skip


def _overflow(sender: int | None) -> bytes:
    return hashlib.sha256(f"{FULL} {sender}".encode()).digest()


def _clean(text: str) -> str:
    """Text that every database takes: what a device sent may be quoted in it."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_TEXT]
