"""From a batch of messages to rows, exactly once, in one transaction.

Every message ends in one of three ways: stored, in quarantine, or unacknowledged (the transaction did not commit,
so the broker delivers it again). What a device may erase is told by the stored-acks that `receive` returns; they
speak only of what has been committed.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

import structlog
from sqlalchemy import Connection, Engine, select
from sqlalchemy.orm import Session

from sc_stim.devices import clock, commands, messages, topics
from sc_stim.devices.alarm_rows import AlarmRows
from sc_stim.devices.clock import Verdict
from sc_stim.devices.ledger_rows import Ledger, LedgerRows, StoredAck
from sc_stim.devices.messages import AnyItem, Envelope, Event, InvalidMessage, Reject, Score
from sc_stim.devices.mqtt import Delivery
from sc_stim.devices.quarantine_rows import QuarantineRows, Refusal
from sc_stim.devices.sample_rows import SampleRows
from sc_stim.devices.state_rows import Known, load_devices, lock_states, write_states
from sc_stim.devices.store import (
    DATABASE_ERRORS,
    Bulk,
    Conflict,
    DatabaseAway,
    NotStorable,
    meaning,
    transaction,
)
from sc_stim.models import Quarantine

log = structlog.get_logger(__name__)

FaultPoint = Callable[[str], None]
ATTEMPTS = 3  # at a batch that is in another transaction's way

Problem = tuple[str, str | None, str]  # reason, field at fault, what to do

_parse_topic = lru_cache(maxsize=100_000)(topics.parse_up)  # a device says all it says on the same few topics


def no_faults(_point: str) -> None:
    """Where tests break the program; here nothing happens."""


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
        store.DatabaseAway when the database cannot work now; what of the batch is committed is safe to receive again.
        queue_delay_s: how long messages wait in the broker at present, None: not known.
        """
        if not deliveries:
            return []
        try:
            return self._commit(lambda batch: batch.take(deliveries), deliveries, queue_delay_s)
        except DatabaseAway:
            raise
        except NotStorable as error:
            # Without the database's own words: they may quote a record.
            log.error("not_storable", messages=len(deliveries), why=str(error))
            return self._isolate(deliveries, queue_delay_s, str(error))
        except Exception as error:  # a fault of ours at one message must not stop the others
            log.exception("ingest_fault", messages=len(deliveries))
            return self._isolate(deliveries, queue_delay_s, type(error).__name__)

    def _isolate(
        self, deliveries: Sequence[Delivery], queue_delay_s: float | None, why: str
    ) -> list[StoredAck]:
        if len(deliveries) > 1:
            half = len(deliveries) // 2
            earlier = self.receive(deliveries[:half], queue_delay_s)
            return earlier + self.receive(deliveries[half:], queue_delay_s)
        return self._set_aside(deliveries[0], queue_delay_s, why)

    def _set_aside(self, delivery: Delivery, queue_delay_s: float | None, why: str) -> list[StoredAck]:
        """Keep what this message holds in quarantine: record by record if it can be read, else whole."""
        problem = "not_storable", None, f"the record could not be stored ({why})"
        try:
            return self._commit(lambda batch: batch.take([delivery], problem), [delivery], queue_delay_s)
        except DatabaseAway:
            raise
        except Exception:
            log.exception("message_not_readable", topic=delivery.topic)
            return self._commit(lambda batch: batch.refuse(delivery, *problem), [delivery], queue_delay_s)

    def _commit(
        self, fill: Callable[["_Batch"], None], deliveries: Sequence[Delivery], queue_delay_s: float | None
    ) -> list[StoredAck]:
        for _ in range(ATTEMPTS - 1):
            with suppress(Conflict):
                return self._attempt(fill, deliveries[-1].received_at, queue_delay_s)
        return self._attempt(fill, deliveries[-1].received_at, queue_delay_s)

    def _attempt(
        self, fill: Callable[["_Batch"], None], at: dt.datetime, queue_delay_s: float | None
    ) -> list[StoredAck]:
        with transaction(self._engine) as connection:
            batch = _Batch(connection, at, queue_delay_s)
            fill(batch)
            self._faults("before_insert")
            acks = batch.write()
            self._faults("after_insert")
        self._faults("after_commit")
        return acks


class _Batch:
    """One transaction's worth of messages; `at` is when the last of them came."""

    def __init__(
        self, connection: Connection, at: dt.datetime, queue_delay_s: float | None, *, replayed: bool = False
    ) -> None:
        self._at = at
        self._queue_delay_s = queue_delay_s
        self._replayed = replayed
        self._bulk = Bulk(connection)
        self._session = Session(connection)
        self._devices: dict[str, Known] = {}
        self._ledgers = LedgerRows(self._bulk)
        self._rows = SampleRows(self._bulk)
        self._alarms = AlarmRows(self._session)
        self._quarantine = QuarantineRows(self._bulk)
        self._results: list[tuple[Known, messages.Result, dt.datetime]] = []

    def take(self, deliveries: Sequence[Delivery], problem: Problem | None = None) -> None:
        """Decode, judge and sort every message. This reads the database, and locks the rows of the devices that spoke.

        problem: why none of the records may be stored
        """
        addressed = [(delivery, self._read_topic(delivery)) for delivery in deliveries]
        self._devices = load_devices(self._bulk, {topic.device_id for _, topic in addressed if topic})
        opened = [self._open(delivery, topic) for delivery, topic in addressed if topic]
        taken = [message for message in opened if message]
        lock_states(self._bulk, self._spoken())
        self._ledgers.load((message.device, message.envelope.epoch) for message in taken)
        # The whole batch teaches us the devices' clocks before any of its times is judged.
        for delivery, device, envelope in taken if not self._replayed else ():
            device.clock = clock.observe(
                device.clock, envelope.sent_at, delivery.received_at, self._queue_delay_s
            )
        for message in taken:
            self._take_items(message, problem)

    def refuse(
        self,
        delivery: Delivery,
        reason: str,
        field: str | None,
        detail: str,
        device: Known | None = None,
    ) -> None:
        """Keep a message whole that cannot be taken at all."""
        self._quarantine.keep(
            Refusal(delivery.topic, delivery.payload, delivery.received_at, reason, field, detail, device)
        )

    def write(self) -> list[StoredAck]:
        """Everything the batch became, few statements a table; returns the stored-acks to send after the commit."""
        self._rows.write()
        write_states(self._bulk, self._spoken())
        acks = self._ledgers.write(self._at)
        self._quarantine.write()
        for device, result, at in self._results:
            commands.take_result(self._session, device.id, result, at)
        self._alarms.judge(self._at)
        self._rows.ask_for_judgement(self._at)
        return acks

    @property
    def outcome(self) -> str:
        """What became of it, for a single message: `stored`, `quarantined`, or `duplicate`: it brought nothing new."""
        if self._rows or self._results or any(device.told for device in self._spoken()):
            return "stored"
        return "quarantined" if self._quarantine else "duplicate"

    def _spoken(self) -> list[Known]:
        return [device for device in self._devices.values() if device.spoke]

    def _read_topic(self, delivery: Delivery) -> topics.UpTopic | None:
        try:
            return _parse_topic(delivery.topic)
        except topics.InvalidTopic as error:
            self.refuse(delivery, "bad_topic", None, str(error))
            return None

    def _open(self, delivery: Delivery, topic: topics.UpTopic) -> _Message | None:
        """The records of a device we know, or None when the message is settled already."""
        device = self._devices.get(topic.device_id)
        if device is None:
            self.refuse(delivery, "unknown_device", None, "no device with this id is registered")
            return None
        if device.revoked:
            self.refuse(delivery, "revoked_device", None, "this device's login was revoked", device)
            return None
        try:
            return self._decode(delivery, topic.kind, device)
        except InvalidMessage as error:
            self.refuse(delivery, error.reason, error.field, error.detail, device)
            return None

    def _decode(self, delivery: Delivery, kind: topics.UpKind, device: Known) -> _Message | None:
        if kind == "state":
            told = messages.decode_state(delivery.payload)
            device.hear_state(told, delivery.received_at, delivery.retained or self._replayed)
            return None
        if kind == "result":
            self._results.append((device, messages.decode_result(delivery.payload), delivery.received_at))
            device.hear(delivery.received_at)
            return None
        envelope = messages.decode(kind, device.kind, delivery.payload)
        device.hear(delivery.received_at)
        return _Message(delivery, device, envelope)

    def _take_items(self, message: _Message, problem: Problem | None) -> None:
        delivery, device, envelope = message
        ledger = self._ledgers[device, envelope.epoch]
        for reject in envelope.rejects:
            self._refuse_item(message, ledger, reject)
        if envelope.unknown_fields and not all(ledger.has_stored(item.seq) for item in envelope.items):
            device.unknown_fields += envelope.unknown_fields
        for item in envelope.items:
            if ledger.has_stored(item.seq):
                continue
            found = problem or self._problem(message, item)
            if found:
                self._refuse_item(message, ledger, messages.refuse(item, *found))
                continue
            ledger.store(item.seq)
            measured_at = clock.measured_at(device.clock, item.at, delivery.received_at)
            self._rows.add(device, envelope.epoch, item, measured_at, delivery.received_at)
            if isinstance(item, Event):
                self._alarms.add(device, item, measured_at, delivery.received_at)

    def _problem(self, message: _Message, item: AnyItem) -> Problem | None:
        """Why a well-formed record cannot be taken."""
        delivery, device, envelope = message
        verdict = clock.verdict(
            device.clock, item.at, envelope.sent_at, delivery.received_at, self._queue_delay_s
        )
        if verdict is Verdict.IMPOSSIBLE:
            return "impossible_clock", "at", "this time cannot be right: check the device's clock"
        if device.patient_id is None and isinstance(item, Score):
            return "no_patient", None, "the device has no patient: assign it to one, then replay"
        return None

    def _refuse_item(self, message: _Message, ledger: Ledger, reject: Reject) -> None:
        """Keep one record in quarantine. Where there is no room for it, no ack covers it either."""
        delivery, device, envelope = message
        if reject.seq is not None and ledger.has_stored(reject.seq):
            return
        refusal = Refusal(
            delivery.topic, messages.message_of(envelope, reject), delivery.received_at, reject.reason, reject.field,
            reject.detail, device, envelope.epoch, reject.seq,
        )  # fmt: skip
        kept = self._quarantine.keep(refusal, again=reject.seq is not None and reject.seq in ledger.rejected)
        if kept and reject.seq is not None:
            ledger.reject(reject.seq)


def replay(session: Session, public_ids: Sequence[uuid.UUID], at: dt.datetime) -> list[tuple[uuid.UUID, str]]:
    """Try quarantined messages once more, in the caller's transaction.

    Returns the outcome of each by its public id: `stored`, `duplicate` or `quarantined` (still, with its reason).
    """
    outcomes: list[tuple[uuid.UUID, str]] = []
    wanted = select(Quarantine).where(Quarantine.public_id.in_(public_ids)).order_by(Quarantine.id)
    for row in session.scalars(wanted).all():
        row.outcome, row.replayed_at = _replay_one(session, row, at), at
        session.flush()
        outcomes.append((row.public_id, row.outcome))
    return outcomes


def _replay_one(session: Session, row: Quarantine, at: dt.datetime) -> str:
    """Receive the kept payload as if it came for the first time when it came first."""
    try:
        with session.begin_nested():
            batch = _Batch(session.connection(), at, None, replayed=True)
            batch.take([Delivery(row.topic, row.payload, row.received_at, False, 0, 0, 0)])
            if batch.outcome != "quarantined":
                batch.write()
    except DATABASE_ERRORS as error:
        if meaning(error) is not NotStorable:
            raise
        return "quarantined"
    return batch.outcome
