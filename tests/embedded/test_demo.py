"""The demo as a newcomer starts it, held against what the simulators say really happened."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.servers import free_port, wait_until

pytestmark = pytest.mark.timeout(360)  # what the demo judges by the minute comes late on a busy machine


@dataclass
class RunningDemo:
    process: subprocess.Popen[str]
    directory: Path
    url: str
    output: list[str]

    def get(self, role: str, path: str) -> Any:
        """What this role reads from the API."""
        logins = json.loads((self.directory / "logins.json").read_text())
        login = next(login for login in logins if login["role"] == role)
        answer = requests.post(
            f"{self.url}/api/v1/auth/token",
            json={"email": login["email"], "password": login["password"]},
            timeout=30,
        )
        token = answer.json()["access_token"]
        found = requests.get(self.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        found.raise_for_status()
        return found.json()

    def stop(self) -> int:
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGINT)
        with self.process.stdout:
            return self.process.wait(60)


def start(directory: Path) -> RunningDemo:
    """Start the demo and read what it prints until it is ready."""
    port = free_port()
    command = [sys.executable, "-m", "sc_stim", "demo", "--port", str(port), "--data-dir", str(directory)]
    process = subprocess.Popen(
        [*command, "--patients", "13", "--days", "60", "--seed", "20261122"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    output = []
    for line in process.stdout:
        output.append(line.rstrip())
        if line.startswith("Not a certified"):
            return RunningDemo(process, directory, f"http://127.0.0.1:{port}", output)
    process.stdout.close()
    process.wait()
    raise AssertionError("the demo ended before it was ready:\n" + "\n".join(output))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    running = start(tmp_path_factory.mktemp("demo") / "data")
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture(scope="module")
def truth(demo: RunningDemo) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (demo.directory / "truth.jsonl").read_text().splitlines()]


def device_of(truth: list[dict[str, Any]], role: str, kind: str) -> str:
    """The device of the patient who plays this role."""
    found = next(line for line in truth if line["type"] == "patient" and line.get("role") == role)
    device: str = found["devices"][kind]
    return device


def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def test_it_says_where_it_is_ready_and_who_may_sign_in(demo: RunningDemo) -> None:
    ready = demo.output.index(f"READY {demo.url}")
    roles = {line.split()[0] for line in demo.output[ready + 1 :] if "@demo.example" in line}
    assert roles == {"clinician", "nurse", "engineer", "auditor", "admin"}
    assert (demo.directory / "logins.json").stat().st_mode & 0o777 == 0o600


def test_every_part_reports_work_done(demo: RunningDemo) -> None:
    parts = requests.get(f"{demo.url}/health/ready", timeout=30).json()["parts"]
    assert {name for name, part in parts.items() if part["ok"]} == {
        "database", "cache", "broker", "ingest", "worker", "beat", "messages",
    }  # fmt: skip


def test_the_overdue_pump_of_the_truth_leads_the_pumps_that_run(
    demo: RunningDemo, truth: list[dict[str, Any]]
) -> None:
    rows = demo.get("nurse", "/api/v1/refills?due_within_days=14")["items"]
    first = next(row for row in rows if "therapy_stopped" not in row["reasons"])
    assert first["device_id"] == device_of(truth, "overdue refill", "pump")
    assert dt.date.fromisoformat(first["refill_by"]) < today()


def test_the_pump_that_stalled_stands_above_all(demo: RunningDemo, truth: list[dict[str, Any]]) -> None:
    stalled = device_of(truth, "pump stalled after a scan", "pump")

    def conditions() -> set[str]:
        found = demo.get("nurse", "/api/v1/alerts?severity=high&state=unacknowledged")["items"]
        return {alert["kind"] for alert in found if alert["device_id"] == stalled}

    # A late alarm waits some minutes for what may contradict it.
    wait_until(lambda: "motor_stall" in conditions(), "the alert about the stalled pump", seconds=300)


def test_the_pump_due_this_week_is_on_the_worklist(demo: RunningDemo, truth: list[dict[str, Any]]) -> None:
    rows = {row["device_id"]: row for row in demo.get("nurse", "/api/v1/refills?due_within_days=14")["items"]}
    due = rows[device_of(truth, "refill due this week, baclofen", "pump")]
    assert today() <= dt.date.fromisoformat(due["refill_by"]) <= today() + dt.timedelta(days=7)


def test_the_broken_lead_shows_as_a_pain_step_with_its_alert(
    demo: RunningDemo, truth: list[dict[str, Any]]
) -> None:
    device = demo.get("nurse", f"/api/v1/devices/{device_of(truth, 'lead fracture', 'stimulator')}")
    alerts = demo.get("nurse", "/api/v1/alerts?kind=pain_rise&state=unacknowledged")["items"]
    [alert] = [alert for alert in alerts if alert["patient"]["id"] == device["patient"]["id"]]
    broken = next(line for line in truth if line.get("kind") == "lead_fracture")
    onset = dt.date.fromisoformat(alert["detail"]["onset"])
    assert alert["detail"]["kind"] in (
        "step_up",
        "drift_up",
    )  # pain that rises over some days may look like either
    assert abs(onset - dt.datetime.fromisoformat(broken["at"]).date()) <= dt.timedelta(days=5)


def test_the_silent_device_has_an_alert_and_the_others_report(
    demo: RunningDemo, truth: list[dict[str, Any]]
) -> None:
    silent = device_of(truth, "gone silent", "stimulator")

    def called_silent() -> list[str]:
        found = demo.get("nurse", "/api/v1/alerts?kind=no_data&state=unacknowledged")["items"]
        return [alert["device_id"] for alert in found]

    wait_until(lambda: called_silent() == [silent], "the alert about the silent device alone", seconds=240)


def test_the_readme_connects_a_strangers_device(demo: RunningDemo) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    block = (
        readme.split("<!-- A test runs this block as it stands. -->")[1].split("```")[1].removeprefix("sh\n")
    )
    port = next(line for line in demo.output if line.startswith("Devices connect to")).rpartition(":")[2]
    environment = {
        "API": f"{demo.url}/api/v1",
        "LOGINS": str(demo.directory / "logins.json"),
        "MQTT_PORT": port,
    }
    shell = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shell.returncode == 0, shell.stderr
    telemetry, diary = (json.loads(line) for line in shell.stdout.splitlines() if line)
    [sample], [score, *_] = telemetry["samples"], diary["items"]
    assert (sample["readings"]["state"], sample["readings"]["battery_pct"]) == ("on", 81)
    assert (score["nrs"], score["site"]) == (4.5, "back")


def test_started_again_it_goes_on_where_it_was(demo: RunningDemo) -> None:
    before = demo.get("auditor", "/api/v1/audit?action=clinic.create")["items"]
    assert demo.stop() == 0
    again = start(demo.directory)
    try:
        assert f"Going on with the clinic in {demo.directory}." in again.output
        assert again.get("auditor", "/api/v1/audit?action=clinic.create")["items"] == before
        rows = again.get("nurse", "/api/v1/refills?due_within_days=14")["items"]
        assert rows
    finally:
        assert again.stop() == 0
