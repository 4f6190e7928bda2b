"""One device as the outside sees it: it numbers and keeps records, packs them into messages, answers.

No MQTT here: messages are topics and bytes, and every time is an argument.
"""

import datetime as dt
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, NamedTuple

import msgspec

from sc_stim.devices import messages, topics
from sc_stim.devices.records import Command, InvalidMessage, Reason

from .cohort import Cohort, Pump, Stimulator
from .connection import DeviceClock, Faults, OfflineWindows, scripted_windows
from .course import Course
from .device_memory import RESEND_AFTER_S, DeviceMemory, Record
from .emission import Emission, RecordKind
from .seeds import epoch_name, stream

HISTORY_AFTER = dt.timedelta(hours=1)  # older records travel as history, so that they cannot delay new ones
HISTORY_SPAN = dt.timedelta(days=30)  # of one message
MAX_ITEMS_BYTES = messages.MAX_PAYLOAD_BYTES - 1024
MAX_IN_FLIGHT = 1000  # records sent and not covered, per device
MAX_ANSWERS_KEPT = 50

_LISTS: dict[RecordKind, str] = {"sample": "samples", "event": "events", "score": "scores"}
_LIVE_TOPICS: dict[RecordKind, topics.UpKind] = {"sample": "telemetry", "event": "event", "score": "diary"}


class Message(NamedTuple):
    topic: str
    payload: bytes
    retain: bool = False


class Agent:
    """`stored` says up to which number each epoch is known to be stored: such records are not kept again."""

    def __init__(
        self,
        device: Pump | Stimulator,
        course: Course,
        cohort: Cohort,
        *,
        stored: Mapping[str, int] | None = None,
        resend_after_s: float = RESEND_AFTER_S,
    ) -> None:
        self.device = device
        self.course = course
        self.faults = Faults(cohort.network, cohort.seed, device.serial)
        self.clock = DeviceClock.drawn(
            cohort.network, stream(cohort.seed, device.serial, "clock"), cohort.now
        )
        self.offline = OfflineWindows(
            cohort.network.offline_h,
            stream(cohort.seed, device.serial, "offline"),
            cohort.now,
            scripted_windows(course.patient, device.kind),
        )
        self._seed = cohort.seed
        self._anchor = cohort.now.isoformat()
        self._resets = 0
        self._stored = stored or {}
        self._answers: OrderedDict[str, Message] = OrderedDict()
        self.forgotten: set[tuple[str, int]] = set()  # epoch and number of what was lost with the memory
        self.memory = DeviceMemory(
            self._epoch_name(), stream(cohort.seed, device.serial, "resend"), resend_after_s
        )

    def _epoch_name(self) -> str:
        return epoch_name(self._seed, self.device.serial, self._anchor, self._resets)

    # --- what it keeps

    def keep(self, emission: Emission) -> tuple[str, int] | None:
        """Number and keep a record; returns epoch and number. None: the device lost its memory instead."""
        if emission.kind == "reset":
            old_epoch = self.memory.epoch
            self._resets += 1
            self.forgotten |= {(old_epoch, record.seq) for record in self.memory.forget(self._epoch_name())}
            return None
        seq = self.memory.next_seq
        if seq <= self._stored.get(self.memory.epoch, -1):
            self.memory.skip()
        else:
            self.memory.add(emission.at, emission.kind, msgspec.json.encode(emission.body))
        return self.memory.epoch, seq

    def take_ack(self, payload: bytes) -> int:
        """Erase what a stored-ack covers, and say how many records that was; raises InvalidMessage."""
        return self.memory.take_ack(messages.decode_ack(payload))

    # --- what it says

    def outgoing(self, now_s: float, at: dt.datetime) -> list[Message]:
        """The messages to send now: overdue ones again, then new records as far as there is room in flight.

        Records of an offline window that still lasts are held back.
        """
        window = self.offline.at(at)
        room = MAX_IN_FLIGHT - self.memory.in_flight
        groups = self.memory.take_overdue(now_s)
        groups.append((self.memory.take_unsent(room, before=window.start if window else None), 0))
        out = []
        for records, attempts in groups:
            for kind, part in _parts(records, at):
                self.memory.note_sent(part, now_s, attempts)
                out.append(Message(topics.up(self.device.id, kind), self._envelope(part, at)))
        return out

    def _envelope(self, records: list[Record], at: dt.datetime) -> bytes:
        """Every time in it is by the device's clock as it is set now."""
        lists = []
        for kind, name in _LISTS.items():
            items = [self._item(record) for record in records if record.kind == kind]
            if items:
                lists.append(b'"%s":[%s]' % (name.encode(), b",".join(items)))
        head = f'{{"epoch":"{self.memory.epoch}","sent_at":"{self._time(at)}",'.encode()
        return head + b",".join(lists) + b"}"

    def _item(self, record: Record) -> bytes:
        return f'{{"seq":{record.seq},"at":"{self._time(record.at)}",'.encode() + record.body[1:]

    def _time(self, at: dt.datetime) -> str:
        return self.clock.shows(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def birth(self) -> Message:
        body = {"online": True, "model": self.device.model, "firmware": self.device.firmware}
        return Message(topics.up(self.device.id, "state"), msgspec.json.encode(body), retain=True)

    @property
    def will(self) -> Message:
        return Message(topics.up(self.device.id, "state"), b'{"online":false}', retain=True)

    # --- what it is asked

    def obey(self, command: Command, at: dt.datetime) -> None:
        """Do what was asked at `at`; the reports it leads to come from the course."""
        match command.kind:
            case "interrogate":
                self.course.interrogate(self.device.kind, at)
            case "report_interval" if command.interval_s:
                self.course.set_interval(self.device.kind, at, command.interval_s)
            case "time_sync":
                self.clock.set(at, command.issued_at)
            case "diary_prompt":
                self.course.prompt_diary(at)

    def answer(self, payload: bytes, at: dt.datetime, note: Callable[[Command], None]) -> Message | None:
        """Obey a command and answer it; `note` is called with the command before it takes effect.

        The same command again gets the same answer, without effect. None: it has expired. Raises
        InvalidMessage for what cannot even be refused.
        """
        try:
            command = messages.decode_command(payload)
        except InvalidMessage as error:
            return self._result(_id_of(payload), "refused", at, reason=str(error))
        if command.id in self._answers:
            return self._answers[command.id]
        if command.expires_at and command.expires_at <= at:
            return None
        if at - self.course.position > HISTORY_AFTER:
            return self._result(command.id, "refused", at, reason="still sending its history")
        note(command)
        self.obey(command, at)
        self._answers[command.id] = answer = self._result(command.id, "done", at)
        while len(self._answers) > MAX_ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return answer

    def _result(self, command_id: str, status: str, at: dt.datetime, **detail: str) -> Message:
        body = {"id": command_id, "status": status, "at": self._time(at), "detail": detail}
        return Message(topics.up(self.device.id, "result"), msgspec.json.encode(body))


def _parts(records: list[Record], at: dt.datetime) -> Iterator[tuple[topics.UpKind, list[Record]]]:
    """Split by topic: old records together as history, new ones by kind; each part fits one message."""
    by_topic: dict[topics.UpKind, list[Record]] = {}
    for record in records:
        topic = "history" if at - record.at > HISTORY_AFTER else _LIVE_TOPICS[record.kind]
        by_topic.setdefault(topic, []).append(record)
    for topic, chosen in by_topic.items():
        for part in _messages(chosen):
            yield topic, part


def _messages(records: list[Record]) -> Iterator[list[Record]]:
    part: list[Record] = []
    size = 0
    for record in records:
        item_size = len(record.body) + 80
        if part and (size + item_size > MAX_ITEMS_BYTES or record.at - part[0].at > HISTORY_SPAN):
            yield part
            part, size = [], 0
        part.append(record)
        size += item_size
    if part:
        yield part


class _Named(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


def _id_of(payload: bytes) -> str:
    try:
        return msgspec.json.decode(payload, type=_Named).id
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidMessage(Reason.BAD_JSON, "id", f"a command without a readable id: {error}") from error
