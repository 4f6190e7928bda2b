"""Devices that keep every record until a stored-ack covers it, over a network and servers that fail them.

Lean beside `simulators.fleet`: they know nothing of pumps, but keep count of every receipt. All run in one thread.
"""

import datetime as dt
import itertools
import random
import threading
import time
from collections.abc import Iterable

import paho.mqtt.client as mqtt

from sc_stim.devices import messages, topics
from simulators.device_memory import DeviceMemory, Record

RESEND_AFTER_S = 2.0
RECONNECT_AFTER_S = 0.3
ITEMS_A_MESSAGE = 5
IN_FLIGHT = 60  # records sent and not covered, per device
EPOCH = "e1"
BAD_SHARE = 0.02  # of the records: out of range, so to be kept in quarantine
ALARM = b'{"kind":"low_reservoir","state":"raised"}'  # once from each device, and nothing that takes it back

Identity = tuple[str, str, int]  # device, epoch, seq


class Talker:
    """One device. `generated`, `pubacked` and `covered` are record numbers; `bad` those that must not be stored."""

    def __init__(
        self, device_id: str, password: str, port: int, rng: random.Random, alarm_before: int
    ) -> None:
        self.id = device_id
        self.memory = DeviceMemory(EPOCH, rng, RESEND_AFTER_S)
        self.generated = 0
        self.alarm_at = rng.randrange(alarm_before)
        self.bad: set[int] = set()
        self.pubacked: set[int] = set()
        self.covered: set[int] = set()
        self.needless: set[int] = set()  # acknowledged by the broker, and yet sent again
        self.wrong_acks: list[messages.Ack] = []  # that cover what never was
        self._port = port
        self._rng = rng
        self._mids: dict[int, list[int]] = {}
        self._connect_at = 0.0
        self._is_up = False
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=device_id,
            clean_session=False,
            reconnect_on_failure=False,
        )
        self._client.username_pw_set(device_id, password)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish

    def generate(self, body: bytes, *, bad: bool = False) -> None:
        kind = "event" if b'"kind"' in body else "sample"
        seq = self.memory.add(dt.datetime.now(dt.UTC), kind, body).seq
        self.generated = seq + 1
        if bad:
            self.bad.add(seq)

    def turn(self, now_s: float) -> None:
        """What is to be done on the socket, and what is due to be sent."""
        if not self._is_up:
            self._connect(now_s)
            return
        if self._client.loop(timeout=0) != mqtt.MQTT_ERR_SUCCESS or not self._is_up:
            return
        room = IN_FLIGHT - self.memory.in_flight
        for records, attempts in [*self.memory.take_overdue(now_s), (self.memory.take_unsent(room), 0)]:
            for at in range(0, len(records), ITEMS_A_MESSAGE):
                part = records[at : at + ITEMS_A_MESSAGE]
                self.memory.note_sent(part, now_s, attempts)
                self.needless |= self.pubacked.intersection(record.seq for record in part)
                for _ in range(self._rng.choice((1, 1, 1, 2))):
                    self._publish(part)

    def close(self) -> None:
        self._client.disconnect()

    def _connect(self, now_s: float) -> None:
        if now_s < self._connect_at:
            return
        self._connect_at = now_s + RECONNECT_AFTER_S * self._rng.uniform(0.5, 1.5)
        try:
            self._client.connect("127.0.0.1", self._port, keepalive=30)
        except OSError:
            return
        deadline = time.monotonic() + 2
        while not self._is_up and time.monotonic() < deadline:
            if self._client.loop(timeout=0.1) != mqtt.MQTT_ERR_SUCCESS:
                return

    def _publish(self, records: list[Record]) -> None:
        kind: topics.UpKind = self._rng.choice(("telemetry", "telemetry", "telemetry", "history"))
        info = self._client.publish(topics.up(self.id, kind), _message(records), qos=1)
        self._mids[info.mid] = [record.seq for record in records]

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: object, reason: object, _p: object
    ) -> None:
        if not getattr(reason, "is_failure", True):
            client.subscribe(topics.down(self.id, "ack"), qos=1)
            self._is_up = True

    def _on_disconnect(self, *_: object) -> None:
        self._is_up = False

    def _on_publish(self, _client: object, _data: object, mid: int, *_: object) -> None:
        self.pubacked.update(self._mids.pop(mid, ()))

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        ack = messages.decode_ack(message.payload)
        if ack.upto >= self.generated or ack.epoch != EPOCH:
            self.wrong_acks.append(ack)
        self.covered |= {seq for seq in range(self.generated) if seq not in self.covered and ack.covers(seq)}
        self.memory.take_ack(ack)


def _message(records: list[Record]) -> bytes:
    lists = {
        "samples": [r for r in records if r.kind == "sample"],
        "events": [r for r in records if r.kind == "event"],
    }
    parts = [
        b'"%b":[%b]' % (name.encode(), b",".join(map(_item, chosen)))
        for name, chosen in lists.items()
        if chosen
    ]
    head = f'"epoch":"{EPOCH}","sent_at":"{dt.datetime.now(dt.UTC).isoformat()}",'.encode()
    return b"{" + head + b",".join(parts) + b"}"


def _item(record: Record) -> bytes:
    return f'{{"seq":{record.seq},"at":"{record.at.isoformat()}",'.encode() + record.body[1:]


class Talkers:
    """All devices, in a thread. They generate up to `allowed` records in all, and keep few that are not stored yet."""

    def __init__(self, passwords: dict[str, str], port: int, seed: int, records: int) -> None:
        rng = random.Random(seed)
        each = records // len(passwords)
        self.devices = [
            Talker(device_id, password, port, random.Random(rng.random()), each)
            for device_id, password in passwords.items()
        ]
        self.allowed = 0
        self._rng = rng
        self._turns = itertools.cycle(self.devices)
        self._generated = 0
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Talkers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for device in self.devices:
            device.close()

    def check(self) -> None:
        """Raises what went wrong in the thread."""
        if self._error is not None:
            raise self._error

    @property
    def covered(self) -> int:
        self.check()
        return sum(len(device.covered) for device in self.devices)

    @property
    def waiting(self) -> int:
        """Records that no stored-ack covers yet."""
        self.check()
        return sum(len(device.memory) for device in self.devices)

    def identities(self, numbers: str = "generated") -> set[Identity]:
        """All records, or those whose numbers a device counts under this name."""

        def of(device: Talker) -> Iterable[int]:
            found = getattr(device, numbers)
            return range(found) if isinstance(found, int) else found

        return {(device.id, EPOCH, seq) for device in self.devices for seq in of(device)}

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                for device in self.devices:
                    device.turn(time.monotonic())
                self._generate()
        except BaseException as error:
            self._error = error
            raise

    def _generate(self) -> None:
        waiting = sum(len(device.memory) for device in self.devices)
        room = min(
            self.allowed - self._generated, len(self.devices) * IN_FLIGHT - waiting, 2 * len(self.devices)
        )
        for _ in range(max(room, 0)):
            device = next(self._turns)
            bad = self._rng.random() < BAD_SHARE
            level_ml = 900 if bad else round(self._rng.uniform(1, 40), 2)
            body = f'{{"state":"running","reservoir_ml":{level_ml}}}'.encode()
            is_alarm = device.generated == device.alarm_at
            device.generate(ALARM if is_alarm else body, bad=bad and not is_alarm)
            self._generated += 1
        if room <= 0:
            time.sleep(0.002)
