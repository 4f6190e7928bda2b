"""Simulators as programs of their own, and the hostile network that they play."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import simulators
from simulators import scenario
from simulators.cohort import Pump, Stimulator
from tests.e2e.embedded_stack import Clinic

BACK_ONLINE_WITHIN = dt.timedelta(seconds=30)  # of the scenario's now
TABLES = ("pump_sample", "stimulator_sample", "device_event", "pain_score")


def simulate(module: str, *arguments: str, within_s: float = 100) -> dict[str, Any]:
    """Run a simulator to its end; its summary."""
    run = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=within_s
    )
    assert run.returncode == 0, run.stderr
    summary: dict[str, Any] = json.loads(run.stdout)
    return summary


def hostile_scenario(directory: Path) -> Path:
    """The shipped one with an alarm that was over long ago. Nothing gets lost: devices wait 20 s to send again. None
    falls silent: it would keep what it has."""
    shipped = Path(simulators.__file__).parent / "scenarios" / "hostile_network.json"
    changed = json.loads(shipped.read_text())
    stall = {"kind": "stall", "days_ago": 1, "recovers_after_h": 3}
    changed["cast"] = [{"role": "stalled for three hours", "pump": {}, "happenings": [stall]}]
    changed["network"]["loss"] = 0
    del changed["ordinary"]["per_year"]["silent"]
    path = directory / "hostile.json"
    path.write_text(json.dumps(changed))
    return path


def volumes(device: Pump | Stimulator) -> dict[str, float]:
    """What the catalogue wants to be told of a pump."""
    return {"reservoir_ml": device.reservoir_ml} if isinstance(device, Pump) else {}


class HostileFleet:
    """Devices of a clinic that were offline for 6 h and then send everything three times, 47 minutes off."""

    def __init__(self, clinic: Clinic, directory: Path, devices: int) -> None:
        path, seed, now = hostile_scenario(directory), 77, dt.datetime.now(dt.UTC) - BACK_ONLINE_WITHIN
        cohort = scenario.load(path, seed=seed, now=now, patients=devices)
        self._stack, self._patience_s = clinic.stack, 90 + 2 * devices
        self.serials = [device.serial for device in cohort.devices]
        self.devices = [
            clinic.device(
                clinic.patient(device.serial), device.model, serial=device.serial, **volumes(device)
            )
            for device in cohort.devices
        ]
        logins = [
            {"device": device, "serial": serial, "password": clinic.issue_login(device)}
            for device, serial in zip(self.devices, self.serials, strict=True)
        ]
        (directory / "logins").write_text(json.dumps(logins))
        self._options = [
            f"--scenario={path}", f"--seed={seed}", f"--now={now.isoformat()}", f"--patients={devices}", "--samples=0",
            f"--mqtt=mqtt://127.0.0.1:{clinic.stack.broker.port}", f"--credentials={directory / 'logins'}",
            f"--exit-after={self._patience_s}s",
        ]  # fmt: skip

    def run(self) -> dict[str, int]:
        """Until every record is stored; how many rows there are then."""
        summary = simulate("simulators", *self._options, within_s=self._patience_s + 10)
        assert summary["unacknowledged"] == summary["forgotten"] == 0
        return {table: self._ask("count(*)", table) for table in TABLES}

    def newest(self, serial: str) -> dt.datetime:
        """When the newest reading of a device was measured."""
        found = [
            self._ask("max(measured_at)", table, serial) for table in ("pump_sample", "stimulator_sample")
        ]
        return max(dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC) for at in found if at)

    def _ask(self, what: str, table: str, *serials: str) -> Any:
        asked = serials or tuple(self.serials)
        of = f"(SELECT id FROM device WHERE serial IN ({', '.join('?' * len(asked))}))"
        [(answer,)] = self._stack.query(f"SELECT {what} FROM {table} WHERE device_id IN {of}", *asked)
        return answer
