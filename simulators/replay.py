"""`python -m simulators.replay`: recorded diaries, sent over `up/diary` by one device for each patient.

    python -m simulators.replay diary.csv --credentials devices.json --mqtt mqtt://127.0.0.1:1883

The device keeps every score until a stored-ack covers it, and sends again what none covers. The same scores of a
patient have the same numbers in the same epoch, so replaying them again changes nothing; other scores are another
epoch, as of a device that lost its memory, and are stored beside those of before.
"""

import argparse
import datetime as dt
import hashlib
import json
import logging
import selectors
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from sc_stim.devices import messages, topics
from sc_stim.devices.records import InvalidMessage

from . import credentials, diary_file
from .__main__ import EXIT_NOT_FINISHED, PROGRESS_EVERY_S, Watch
from .agent import MAX_IN_FLIGHT, Message
from .credentials import Credential, CredentialsError
from .device_memory import RESEND_AFTER_S, DeviceMemory, Record
from .diary_file import Entry
from .link import Broker, Link
from .options import duration_s
from .seeds import stream

log = logging.getLogger("simulators")

SCORES_A_MESSAGE = 500  # some 30 KB
TRY_AGAIN_S = 5.0  # from one attempt to connect to the next
IDLE_S = 0.1


class DiaryDevice:
    """What a patient wrote, and the link it goes out by. Commands are left unanswered: a recording cannot obey."""

    def __init__(
        self,
        login: Credential,
        entries: Sequence[Entry],
        broker: Broker,
        selector: selectors.BaseSelector,
        resend_after_s: float = RESEND_AFTER_S,
    ) -> None:
        self.id = login.device
        self.scores = len(entries)
        self.rejected = 0
        self.memory = DeviceMemory(_epoch(entries), stream(0, self.id, "resend"), resend_after_s)
        for entry in entries:
            self.memory.add(entry.at, "score", msgspec.json.encode({"nrs": entry.nrs}))
        self.link = Link(self.id, login.password, self._state(online=False), broker, selector, self)
        self._birth_due = False
        self._try_at_s = 0.0

    @property
    def stored(self) -> int:
        return self.scores - len(self.memory) - self.rejected

    def turn(self, now_s: float, at: dt.datetime) -> None:
        """Connect, or send what is due; to be called every moment."""
        if self.link.open:
            self.link.keep_alive()
        if self.link.up:
            self._send(now_s, at)
        elif now_s >= self._try_at_s:
            self._try_at_s = now_s + TRY_AGAIN_S
            self._connect()

    def _connect(self) -> None:
        self.link.cut()  # an attempt that the broker did not answer
        try:
            self.link.connect()
        except OSError as error:
            log.warning("broker out of reach, trying again: %s", error)

    def _send(self, now_s: float, at: dt.datetime) -> None:
        if self._birth_due:
            self._birth_due = False
            self.link.publish(self._state(online=True))
        groups = self.memory.take_overdue(now_s)
        room = MAX_IN_FLIGHT - self.memory.in_flight
        groups += [(self.memory.take_unsent(min(SCORES_A_MESSAGE, room)), 0)]
        for records, attempts in groups:
            if records:
                self.memory.note_sent(records, now_s, attempts)
                self.link.publish(Message(topics.up(self.id, "diary"), self._payload(records, at)))

    def _payload(self, records: Sequence[Record], at: dt.datetime) -> bytes:
        scores = [{"seq": r.seq, "at": r.at, **msgspec.json.decode(r.body)} for r in records]
        return msgspec.json.encode({"epoch": self.memory.epoch, "sent_at": at, "scores": scores})

    def _state(self, *, online: bool) -> Message:
        return Message(topics.up(self.id, "state"), msgspec.json.encode({"online": online}), retain=True)

    # --- called by the link

    def link_up(self) -> None:
        self._birth_due = True

    def link_down(self, refused: bool) -> None:
        if refused:
            log.warning("%s: the broker refuses this device; is its password right?", self.id)

    def take(self, kind: str, payload: bytes) -> None:
        if kind != "ack":
            return
        try:
            ack = messages.decode_ack(payload)
        except InvalidMessage as error:
            log.warning("%s: cannot read a stored-ack: %s", self.id, error)
            return
        if ack.epoch == self.memory.epoch:
            self.rejected += len(set(ack.rejected) & {record.seq for record in self.memory})
        self.memory.take_ack(ack)


def assign(diaries: Mapping[str, Sequence[Entry]], logins: Sequence[Credential]) -> dict[str, Credential]:
    """The login of each patient in the diaries; raises CredentialsError that names who has none, or shares one."""
    found: dict[str, Credential] = {}
    for login in logins:
        if login.patient in found:
            raise CredentialsError(f"credentials: patient {login.patient} is there twice")
        if login.patient is not None and login.patient in diaries:
            found[login.patient] = login
    missing = [patient for patient in diaries if patient not in found]
    if missing:
        raise CredentialsError(f"credentials: no entry with patient {', '.join(missing)}")
    if len({login.device for login in found.values()}) < len(found):
        raise CredentialsError("credentials: two patients have the same device")
    return found


def replay(
    devices: Sequence[DiaryDevice],
    selector: selectors.BaseSelector,
    stop: Callable[[], bool],
    show: Callable[[], None],
) -> None:
    """Until every score is covered, or `stop()`."""
    show_at_s = 0.0
    while any(device.memory for device in devices) and not stop():
        now_s = time.monotonic()
        if now_s >= show_at_s:
            show()
            show_at_s = now_s + PROGRESS_EVERY_S
        for device in devices:
            device.turn(now_s, dt.datetime.now(dt.UTC))
        for key, events in selector.select(IDLE_S):
            key.data.service(events)
    show()
    for device in devices:
        device.link.cut()


def run(arguments: argparse.Namespace) -> int:
    """Replay; a summary as one JSON line on standard output."""
    watch = Watch(arguments.exit_after)
    diaries = diary_file.read(arguments.diary)
    logins = assign(diaries, credentials.read(arguments.credentials))
    broker = Broker.of(arguments.mqtt, version=arguments.mqtt_version, ca=arguments.ca)
    with selectors.DefaultSelector() as selector:
        devices = [DiaryDevice(logins[who], entries, broker, selector) for who, entries in diaries.items()]
        replay(devices, selector, watch, lambda: _show(devices))
    summary = {
        "patients": len(devices),
        "scores": sum(device.scores for device in devices),
        "stored": sum(device.stored for device in devices),
        "rejected": sum(device.rejected for device in devices),
        "unacknowledged": sum(len(device.memory) for device in devices),
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    return EXIT_NOT_FINISHED if summary["unacknowledged"] else 0


def _show(devices: Sequence[DiaryDevice]) -> None:
    up, stored = sum(device.link.up for device in devices), sum(device.stored for device in devices)
    scores = sum(device.scores for device in devices)
    sys.stderr.write(f"connected {up}/{len(devices)}  stored {stored}/{scores}\n")
    sys.stderr.flush()


def _epoch(entries: Sequence[Entry]) -> str:
    content = "\n".join(f"{at.timestamp()},{nrs}" for at, nrs in entries)
    return "diary-" + hashlib.sha256(content.encode()).hexdigest()[:16]


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators.replay", description="Send recorded diaries as devices do."
    )
    parser.add_argument("diary", type=Path, help="CSV patient,at,nrs; at with offset, nrs 0-10")
    parser.add_argument("--mqtt", required=True, metavar="URL", help="mqtt://host:port or mqtts://host:port")
    parser.add_argument("--mqtt-version", choices=("3.1.1", "5"), default="3.1.1")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="certificate authority of the broker")
    parser.add_argument(
        "--credentials",
        type=Path,
        required=True,
        metavar="FILE",
        help="JSON list or lines of patient, device and password",
    )
    parser.add_argument("--exit-after", type=duration_s, metavar="S")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 every score is stored or rejected, 2 wrong arguments or a bad row, 3 not finished."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        return run(arguments)
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
