"""What a run must remember to go on after a restart: what it was, which commands it obeyed, what is stored.

A course gives the same records again for the same cohort and commands, so nothing else needs keeping. JSON
Lines, appended to; rewritten without what is outdated when it is opened.
"""

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sc_stim.devices.records import Command

from .cohort import Cohort


class JournalError(ValueError):
    """A journal that cannot be used; the message says why and what to do."""


class Obeyed(NamedTuple):
    device: str
    at: dt.datetime
    command: Command


class Journal:
    """`obeyed`: commands of earlier runs, in order. `stored`: device -> epoch -> all up to this number is stored."""

    def __init__(self, path: Path, cohort: Cohort) -> None:
        self.obeyed: list[Obeyed] = []
        self.stored: dict[str, dict[str, int]] = {}
        self._path = path
        run = run_of(cohort)
        if path.exists():
            self._read(run)
        self._rewrite(run)
        self._file = path.open("ab")

    def note_command(self, device: str, at: dt.datetime, command: Command) -> None:
        """Must be on disk before the command has any effect: the numbers of later records depend on it."""
        line = {"type": "command", "device": device, "at": at, "command": msgspec.to_builtins(command)}
        self._append(line)
        os.fsync(self._file.fileno())

    def note_stored(self, device: str, epoch: str, upto: int) -> None:
        """All records of this epoch up to `upto` are stored; may be late, they would only be sent again."""
        if upto > self.stored.setdefault(device, {}).get(epoch, -1):
            self.stored[device][epoch] = upto
            self._append({"type": "stored", "device": device, "epoch": epoch, "upto": upto})

    def close(self) -> None:
        self._file.close()

    def _append(self, line: Mapping[str, Any]) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()

    def _read(self, run: Mapping[str, Any]) -> None:
        lines = _lines(self._path)
        if not lines or lines[0] != run:
            raise JournalError(
                f"journal {self._path}: written by another run; "
                "give the same scenario, seed, size and now, or another file"
            )
        for line in lines[1:]:
            if line["type"] == "command":
                command = msgspec.convert(line["command"], Command)
                self.obeyed.append(Obeyed(line["device"], dt.datetime.fromisoformat(line["at"]), command))
            else:
                self.stored.setdefault(line["device"], {})[line["epoch"]] = line["upto"]

    def _rewrite(self, run: Mapping[str, Any]) -> None:
        lines = [run]
        lines += [
            {"type": "command", "device": o.device, "at": o.at, "command": msgspec.to_builtins(o.command)}
            for o in self.obeyed
        ]
        lines += [
            {"type": "stored", "device": device, "epoch": epoch, "upto": upto}
            for device, epochs in self.stored.items()
            for epoch, upto in epochs.items()
        ]
        new = self._path.with_suffix(".new")
        new.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        new.replace(self._path)


def run_of(cohort: Cohort) -> dict[str, Any]:
    """What must be the same for a journal to fit."""
    run = {
        "type": "run",
        "scenario": cohort.scenario,
        "seed": cohort.seed,
        "now": cohort.now,
        "days": cohort.days,
        "report_interval_s": cohort.report_interval_s,
        "devices": sorted(device.id for device in cohort.devices),
    }
    return msgspec.json.decode(msgspec.json.encode(run))  # type: ignore[no-any-return]


def anchor_of(path: Path) -> dt.datetime | None:
    """The `now` of the run that wrote this journal; None: there is no journal yet. Raises JournalError."""
    if not path.exists():
        return None
    try:
        return dt.datetime.fromisoformat(_lines(path)[0]["now"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise JournalError(f"journal {path}: does not begin with a run: {error}") from error


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines; a last line that was cut off by a crash is left out."""
    whole = path.read_bytes().rpartition(b"\n")[0]
    try:
        return [msgspec.json.decode(line) for line in whole.split(b"\n") if line]
    except msgspec.DecodeError as error:
        raise JournalError(f"journal {path}: is damaged ({error}); remove it to begin a new run") from error
