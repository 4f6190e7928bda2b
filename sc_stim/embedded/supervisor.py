"""Child processes that belong to one program: started in order, started again when they die, ended with it."""

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RESTART_AFTER_S = 1.0
STOP_WITHIN_S = 15.0


@dataclass(slots=True)
class _Child:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    died_at: float | None = None


@dataclass(slots=True)
class Supervisor:
    """Writes the output of each child to a log of its own in `logs`."""

    logs: Path
    _children: list[_Child] = field(default_factory=list)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        child = _Child(name, command, environment)
        self._children.append(child)
        self._spawn(child)

    def watch(self) -> list[str]:
        """Start again what has died; returns the names of those that are down now."""
        down = []
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                child.process, child.died_at = None, time.monotonic()
            if child.process is None:
                down.append(child.name)
                if child.died_at is None or time.monotonic() - child.died_at >= RESTART_AFTER_S:
                    self._spawn(child)
        return down

    def stop(self) -> None:
        """End all, the newest first, each with time to finish what it is at."""
        deadline = time.monotonic() + STOP_WITHIN_S
        for child in reversed(self._children):
            if child.process is None or child.process.poll() is not None:
                continue
            child.process.terminate()
            try:
                child.process.wait(max(deadline - time.monotonic(), 1.0))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self._children.clear()

    def last_line(self, name: str) -> str:
        """The last line a child wrote, for progress and for telling why it died."""
        path = self.logs / f"{name}.log"
        with path.open("rb") as log:
            log.seek(max(path.stat().st_size - 2000, 0))
            lines = log.read().decode(errors="replace").splitlines()
        return lines[-1] if lines else ""

    def _spawn(self, child: _Child) -> None:
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{child.name}.log").open("ab") as log:
            child.process = subprocess.Popen(
                [*prefix, *child.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(child.environment),
                start_new_session=True,  # Ctrl-C is for us; we end them in order
            )
