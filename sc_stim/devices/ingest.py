"""From a batch of messages to rows, exactly once, in one transaction.

Every message ends in one of three ways: stored, in quarantine, or unacknowledged (the transaction did not commit,
so the broker delivers it again). What a device may erase is told by the stored-acks that `receive` returns; they
speak only of what has been committed.
"""

import datetime as dt
import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import structlog
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from sc_stim.devices import clock, commands, messages, topics
from sc_stim.devices.alarm_rows import AlarmRows
from sc_stim.devices.clock import ClockEstimate, Verdict
from sc_stim.devices.ledger import SeqRanges
from sc_stim.devices.messages import AnyItem, Envelope, InvalidMessage
from sc_stim.devices.mqtt import Delivery
from sc_stim.devices.sample_rows import Known, SampleRows
from sc_stim.devices.state_rows import write_states
from sc_stim.devices.store import Bulk
from sc_stim.models import DeviceEpoch, Quarantine, WorkItem
from sc_stim.models.base import new_public_id
from sc_stim.workflows import outbox

log = structlog.get_logger(__name__)

StoredAck = tuple[str, bytes]  # topic, payload
FaultPoint = Callable[[str], None]
MAX_QUARANTINED_BYTES = 256 * 1024
_CLOCK = msgspec.json.Decoder(ClockEstimate)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)  # fills columns that an update leaves alone


def no_faults(_point: str) -> None:
    """Where tests break the program; here nothing happens."""


@dataclass(slots=True)
class _Ledger:
    """The record numbers of one (device, epoch), locked until the commit."""

    device_id: int
    taken: SeqRanges
    rejected: SeqRanges
    rejected_now: list[int] = field(default_factory=list)

    def has_stored(self, seq: int) -> bool:
        return seq in self.taken and seq not in self.rejected

    def reject(self, seq: int) -> None:
        self.taken.add(seq)
        self.rejected.add(seq)
        self.rejected_now.append(seq)

    def row(self, epoch: str, at: object) -> tuple[object, ...]:
        return (self.device_id, epoch, self.taken.to_text(), self.rejected.to_text(), at, at)

    def acknowledgement(self, epoch: str) -> bytes:
        return messages.encode_ack(epoch, self.taken.upto, self.taken.missing(), sorted(self.rejected_now))


class _Message(NamedTuple):
    delivery: Delivery
    device: Known
    envelope: Envelope


class Receiver:
    """Takes batches into one database."""

    def __init__(self, engine: Engine, *, faults: FaultPoint = no_faults) -> None:
        self._engine = engine
        self._faults = faults

    def receive(self, deliveries: Sequence[Delivery], queue_delay_s: float | None = None) -> list[StoredAck]:
        """Commit a batch and return the stored-acks it has earned.

        A message that breaks the transaction is found by halving the batch and goes to quarantine alone. Raises
        sqlalchemy.exc.DBAPIError when the database itself cannot work now; then nothing of the batch is committed
        that is not safe to receive again.
        """
        try:
            return self._commit(deliveries, queue_delay_s)
        except (DataError, IntegrityError) as error:
            return self._isolate(deliveries, queue_delay_s, type(error.orig).__name__)
        except DBAPIError:
            raise
        except Exception as error:  # a fault of ours on one message must not stop the others; it is kept by name
            log.exception("ingest_fault", messages=len(deliveries))
            return self._isolate(deliveries, queue_delay_s, type(error).__name__)

    def _commit(self, deliveries: Sequence[Delivery], queue_delay_s: float | None) -> list[StoredAck]:
        with self._engine.begin() as connection:
            batch = _Batch(connection, queue_delay_s)
            batch.take(deliveries)
            self._faults("before_insert")
            acks = batch.write()
            self._faults("after_insert")
        self._faults("after_commit")
        return acks

    def _isolate(self, deliveries: Sequence[Delivery], queue_delay_s: float | None, why: str) -> list[StoredAck]:
        if len(deliveries) == 1:
            with self._engine.begin() as connection:
                batch = _Batch(connection, queue_delay_s)
                batch.refuse(deliveries[0], "not_storable", None, f"the record could not be stored ({why})")
                return batch.write()
        half = len(deliveries) // 2
        return self.receive(deliveries[:half], queue_delay_s) + self.receive(deliveries[half:], queue_delay_s)


class _Batch:
    """One transaction's worth of messages."""

    def __init__(self, connection: Connection, queue_delay_s: float | None) -> None:
        self._bulk = Bulk(connection)
        self._session = Session(connection)
        self._queue_delay_s = queue_delay_s
        self._devices: dict[str, Known] = {}
        self._ledgers: dict[tuple[str, str], _Ledger] = {}  # by device and epoch
        self._rows = SampleRows(self._bulk)
        self._alarms = AlarmRows(self._session)
        self._results: list[tuple[Known, messages.Result, dt.datetime]] = []
        self.refused: dict[bytes, tuple[object, ...]] = {}

    @property
    def stored(self) -> bool:
        """Whether anything new came of it."""
        return bool(self._rows or self._results)

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Decode, judge and sort every message; only reads the database, and locks the ledgers it reads."""
        parsed = [(delivery, self._parse_topic(delivery)) for delivery in deliveries]
        self._load_devices(sorted({topic.device_id for _, topic in parsed if topic}))
        opened = [self._open(delivery, topic) for delivery, topic in parsed if topic]
        taken = [message for message in opened if message]
        self._load_ledgers(taken)
        for message in taken:
            self._take_items(message)

    def write(self) -> list[StoredAck]:
        """Everything the batch became, few statements a table; returns the stored-acks to send after the commit."""
        self._rows.write()
        write_states(self._bulk, list(self._devices.values()))
        self._write_ledgers()
        self._write_quarantine()
        self._alarms.write()
        for device, result, at in self._results:
            commands.take_result(self._session, device.id, result, at)
        self._ask_for_judgement()
        return [
            (topics.down(public_id, "ack"), ledger.acknowledgement(epoch))
            for (public_id, epoch), ledger in self._ledgers.items()
        ]

    def refuse(
        self,
        delivery: Delivery,
        reason: str,
        field_name: str | None,
        detail: str,
        *,
        device: Known | None = None,
        epoch: str | None = None,
        seq: int | None = None,
        payload: bytes | None = None,
    ) -> None:
        """Keep what cannot be taken: the message as it came, or a message made of the one item that is wrong."""
        kept = (delivery.payload if payload is None else payload)[:MAX_QUARANTINED_BYTES]
        topic = delivery.topic.replace("\0", "\N{REPLACEMENT CHARACTER}")
        identity = "\0".join((topic, epoch or "", "" if seq is None else str(seq)))
        fingerprint = hashlib.sha256(identity.encode() + b"\0" + (kept if seq is None else b"")).digest()
        self.refused[fingerprint] = (
            self._bulk.uuid(new_public_id()), device and device.clinic_id, device and device.id, fingerprint, topic,
            kept, epoch, seq, reason, field_name, detail, self._bulk.moment(delivery.received_at), 1,
        )  # fmt: skip

    def _parse_topic(self, delivery: Delivery) -> topics.UpTopic | None:
        try:
            return topics.parse_up(delivery.topic)
        except topics.InvalidTopic as error:
            self.refuse(delivery, "bad_topic", None, str(error))
            return None

    def _load_devices(self, ids: list[str]) -> None:
        rows = self._bulk.select(
            "SELECT keys.b, d.id, d.clinic_id, d.patient_id, d.kind, l.revoked_at, s.clock "
            f"FROM keys JOIN device d ON d.public_id = {self._bulk.uuid_of('keys.a')} "
            "LEFT JOIN broker_login l ON l.username = keys.b LEFT JOIN device_state s ON s.device_id = d.id",
            [[self._bulk.uuid(uuid.UUID(device_id)) for device_id in ids], ids],
        )
        for public_id, device_id, clinic_id, patient_id, kind, revoked_at, estimate in rows:
            known = _CLOCK.decode(estimate) if estimate else ClockEstimate()
            self._devices[public_id] = Known(
                public_id, device_id, clinic_id, patient_id, kind, revoked_at is not None, known
            )

    def _open(self, delivery: Delivery, topic: topics.UpTopic) -> _Message | None:
        """The decoded message of a device we know, or None when it is settled already."""
        device = self._devices.get(topic.device_id)
        if device is None:
            self.refuse(delivery, "unknown_device", None, "no device with this id is registered")
            return None
        if device.revoked:
            self.refuse(delivery, "revoked_device", None, "this device's login was revoked", device=device)
            return None
        try:
            return self._decode(delivery, topic, device)
        except InvalidMessage as error:
            self.refuse(delivery, error.reason, error.field, error.detail, device=device)
            return None

    def _decode(self, delivery: Delivery, topic: topics.UpTopic, device: Known) -> _Message | None:
        if topic.kind == "state":
            device.hear_state(messages.decode_state(delivery.payload), delivery.received_at, delivery.retained)
            return None
        if topic.kind == "result":
            result = messages.decode_result(delivery.payload)
            self._results.append((device, result, delivery.received_at))
            device.hear(delivery.received_at)
            return None
        envelope = messages.decode(topic.kind, device.kind, delivery.payload)
        device.clock = clock.observe(device.clock, envelope.sent_at, delivery.received_at, self._queue_delay_s)
        device.unknown_fields += envelope.unknown_fields
        device.hear(delivery.received_at)
        return _Message(delivery, device, envelope)

    def _load_ledgers(self, taken: list[_Message]) -> None:
        """Create, lock and read the ledger of every (device, epoch) here: two sessions may carry one device."""
        seen = {(m.device.id, m.envelope.epoch): m for m in reversed(taken)}
        moments = {key: self._bulk.moment(message.delivery.received_at) for key, message in seen.items()}
        rows = [(*key, "", "", moments[key], moments[key]) for key in sorted(seen)]
        for device_id, epoch, numbers, rejected in self._bulk.upsert(
            DeviceEpoch.__table__,
            ("device_id", "epoch", "taken", "rejected", "first_at", "last_at"),
            rows,
            "(device_id, epoch) DO UPDATE SET last_at = excluded.last_at",
            returning="device_id, epoch, taken, rejected",
        ):
            device = seen[device_id, epoch].device
            self._ledgers[device.public_id, epoch] = _Ledger(
                device.id, SeqRanges.from_text(numbers), SeqRanges.from_text(rejected)
            )

    def _take_items(self, message: _Message) -> None:
        delivery, device, envelope = message
        ledger = self._ledgers[device.public_id, envelope.epoch]
        for reject in envelope.rejects:
            if reject.seq is None or not ledger.has_stored(reject.seq):
                self._refuse_item(message, ledger, reject)
        for item in envelope.items:
            if ledger.has_stored(item.seq):
                continue
            problem = self._problem(message, item)
            if problem:
                self._refuse_item(message, ledger, messages.refuse(item, *problem))
                continue
            ledger.taken.add(item.seq)
            measured_at = clock.measured_at(device.clock, item.at, delivery.received_at)
            self._rows.add(device, envelope.epoch, item, measured_at, delivery.received_at)
            if isinstance(item, messages.Event):
                self._alarms.add(device, item, measured_at, delivery.received_at)

    def _problem(self, message: _Message, item: AnyItem) -> tuple[str, str | None, str] | None:
        """Why a well-formed item cannot be taken: reason, field, what to do."""
        delivery, device, envelope = message
        verdict = clock.verdict(device.clock, item.at, envelope.sent_at, delivery.received_at, self._queue_delay_s)
        if verdict is Verdict.IMPOSSIBLE:
            return "impossible_clock", "at", "this time cannot be right: check the device's clock"
        if device.patient_id is None and isinstance(item, messages.Score):
            return "no_patient", None, "the device has no patient: assign it to one, then replay"
        return None

    def _refuse_item(self, message: _Message, ledger: "_Ledger", reject: messages.Reject) -> None:
        if reject.seq is not None:
            ledger.reject(reject.seq)
        self.refuse(
            message.delivery,
            reject.reason,
            reject.field,
            reject.detail,
            device=message.device,
            epoch=message.envelope.epoch,
            seq=reject.seq,
            payload=messages.message_of(message.envelope, reject),
        )

    def _write_ledgers(self) -> None:
        self._bulk.upsert(
            DeviceEpoch.__table__,
            ("device_id", "epoch", "taken", "rejected", "first_at", "last_at"),
            [ledger.row(epoch, self._bulk.moment(EPOCH)) for (_, epoch), ledger in sorted(self._ledgers.items())],
            "(device_id, epoch) DO UPDATE SET taken = excluded.taken, rejected = excluded.rejected",
        )

    def _ask_for_judgement(self) -> None:
        """Owe what this news may change: `workflows.outbox.ask` for many subjects, each with its own `since`."""
        moment = self._bulk.moment
        at = moment(max((device.heard_at for device in self._devices.values() if device.heard_at), default=None))
        earlier = "LEAST" if self._bulk.is_postgres else "MIN"
        self._bulk.upsert(
            WorkItem.__table__,
            outbox.COLUMNS,
            [(*key, 1, moment(since), at, at, 0) for key, since in sorted(self._rows.news.items())],
            "(kind, subject_id) DO UPDATE SET generation = old.generation + 1, "
            f"since = {earlier}(old.since, excluded.since), due_at = {earlier}(old.due_at, excluded.due_at)",
        )

    def _write_quarantine(self) -> None:
        self._bulk.upsert(
            Quarantine.__table__,
            ("public_id", "clinic_id", "device_id", "fingerprint", "topic", "payload", "epoch", "seq", "reason",
             "field", "detail", "received_at", "times_seen"),
            list(self.refused.values()),
            "(fingerprint) DO UPDATE SET times_seen = old.times_seen + 1",
        )  # fmt: skip


def replay(session: Session, public_ids: list[uuid.UUID], at: dt.datetime) -> list[tuple[uuid.UUID, str]]:
    """Try quarantined messages once more, in the caller's transaction.

    Returns the outcome of each by its public id: `stored`, `duplicate` or `quarantined` (still, with its reason).
    """
    outcomes: list[tuple[uuid.UUID, str]] = []
    for row in session.scalars(select(Quarantine).where(Quarantine.public_id.in_(public_ids)).order_by(Quarantine.id)):
        row.outcome, row.replayed_at = _replay_one(session, row), at
        outcomes.append((row.public_id, row.outcome))
    session.flush()
    return outcomes


def _replay_one(session: Session, row: Quarantine) -> str:
    """Receive the kept payload as if it came now for the first time, by the time at which it came first."""
    batch = _Batch(session.connection(), None)
    batch.take([Delivery(row.topic, row.payload, row.received_at, False, 0, 0, 0)])
    if batch.refused:
        return "quarantined"
    batch.write()
    return "stored" if batch.stored else "duplicate"
