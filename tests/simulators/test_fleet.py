"""The whole simulator against a real broker with the shipped configuration."""

import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest

from simulators import scenario
from simulators.cohort import Cohort, Network
from simulators.fleet import Fleet, Progress
from simulators.happenings import MemoryReset, Silent
from tests.servers import EmbeddedBroker, Mosquitto, free_port, wait_until
from tests.simulators.clinic import Clinic

LIMIT_S = 60.0

Accounts = Callable[[Cohort], dict[str, str]]


def until(condition: Callable[[], bool]) -> Callable[[], bool]:
    """A `stop` for Fleet.run: when the condition holds; a failed test if it never does."""
    deadline = time.monotonic() + LIMIT_S

    def stop() -> bool:
        if time.monotonic() > deadline:
            pytest.fail("waited in vain")
        return condition()

    return stop


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def accounts(mosquitto: Mosquitto) -> Accounts:
    """Gives every device of a cohort an account at the broker; returns the passwords."""
    known: dict[str, str] = {}

    def make(cohort: Cohort) -> dict[str, str]:
        for device in cohort.devices:
            if device.id not in known:
                known[device.id] = mosquitto.add_device(device.id)
        return known

    return make


def cohort_of(seed: int, **options: Any) -> Cohort:
    """Each test has a seed of its own, and so devices of its own at the broker they share."""
    return scenario.load(
        "normal", seed=seed, now=dt.datetime.now(dt.UTC), **{"patients": 3, "days": 5, **options}
    )


def one_device(seed: int, *script: Any, **options: Any) -> Cohort:
    """A single stimulator, whose history of one day ends now."""
    drawn = cohort_of(seed, **{"pumps": 0, "stimulators": 1, "days": 1, **options})
    patient = msgspec.structs.replace(drawn.patients[0], script=script)
    return msgspec.structs.replace(drawn, patients=(patient,))


def test_history_arrives_whole_and_valid(mosquitto: Mosquitto, accounts: Accounts) -> None:
    cohort = cohort_of(101, patients=4, days=40)
    with Clinic(mosquitto, cohort) as clinic:
        fleet = Fleet(cohort, mosquitto.url, accounts(cohort), samples=0)
        progress = fleet.run(until(never))
    assert set(clinic.stored) == set(fleet.generated)
    assert len(fleet.generated) > 4 * 40 * 4
    assert clinic.rejects == []
    assert fleet.unacknowledged() == set()
    assert progress.history_stored
    assert progress.share == 1.0
    assert progress.connected == progress.devices
    assert max(clinic.sizes) <= 64 * 1024


def test_live_samples_are_counted_sent_and_stored(mosquitto: Mosquitto, accounts: Accounts) -> None:
    cohort = cohort_of(102, days=0, report_interval_s=0.05)
    with Clinic(mosquitto, cohort) as clinic:
        fleet = Fleet(cohort, mosquitto.url, accounts(cohort), samples=60)
        fleet.run(until(never))
    kinds = list(fleet.generated.values())
    assert kinds.count("sample") == 60
    assert set(clinic.stored) == set(fleet.generated)


def test_history_stops_growing_while_nothing_is_acknowledged(
    mosquitto: Mosquitto, accounts: Accounts
) -> None:
    cohort = cohort_of(103, patients=8, days=300)
    with Clinic(mosquitto, cohort, acks=False) as clinic:
        fleet = Fleet(cohort, mosquitto.url, accounts(cohort), samples=0, max_unstored=400)
        progress = fleet.run(until(lambda: len(clinic.stored) >= 400))
    assert progress.stored == 0
    assert progress.share == 0.0
    assert len(fleet.generated) < 400 + 600  # the chunk that crossed the line
    assert fleet.unacknowledged() == set(fleet.generated)


def test_what_is_not_acknowledged_is_sent_again(mosquitto: Mosquitto, accounts: Accounts) -> None:
    cohort = one_device(104)
    with Clinic(mosquitto, cohort, acks=False) as clinic:

        def acknowledge_once_repeated() -> bool:
            clinic.acks = clinic.acks or any(times > 2 for times in list(clinic.stored.values()))
            return False

        fleet = Fleet(cohort, mosquitto.url, accounts(cohort), samples=0, resend_after_s=0.1)
        fleet.run(until(acknowledge_once_repeated))
    assert set(clinic.stored) == set(fleet.generated)
    assert max(clinic.stored.values()) > 2
    assert fleet.unacknowledged() == set()
    assert clinic.conflicts == []


def test_nothing_is_lost_on_a_hostile_network(mosquitto: Mosquitto, accounts: Accounts) -> None:
    network = Network(duplicate=3, reorder=0.1, loss=0.3, skew_s=2820)
    cohort = cohort_of(105, patients=6, network=network)
    with Clinic(mosquitto, cohort) as clinic:
        fleet = Fleet(cohort, mosquitto.url, accounts(cohort), samples=0, resend_after_s=0.2)
        fleet.run(until(never))
    assert set(clinic.stored) == set(fleet.generated)
    assert median(clinic.stored.values()) == 3, "the last copies may come when nobody listens any more"
    assert clinic.conflicts == []


def test_two_runs_with_the_same_anchor_send_the_same_records(
    mosquitto: Mosquitto, accounts: Accounts
) -> None:
    cohort = cohort_of(106)
    with Clinic(mosquitto, cohort) as clinic:
        Fleet(cohort, mosquitto.url, accounts(cohort), samples=0).run(until(never))
        first = set(clinic.stored)
        Fleet(cohort, mosquitto.url, accounts(cohort), samples=0).run(until(never))
    assert set(clinic.stored) == first
    assert clinic.conflicts == []


def test_a_crash_of_the_broker_loses_nothing(accounts: Accounts) -> None:
    broker = Mosquitto().start()
    try:
        cohort = cohort_of(107, days=0, report_interval_s=0.05)
        passwords = {device.id: broker.add_device(device.id) for device in cohort.devices}
        crashed = False

        with Clinic(broker, cohort) as clinic:

            def crash_once() -> bool:
                nonlocal crashed
                if not crashed and len(clinic.stored) > 30:
                    crashed = True
                    broker.restart()
                return False

            fleet = Fleet(cohort, broker.url, passwords, samples=90, resend_after_s=0.3)
            fleet.run(until(crash_once))
    finally:
        broker.close()
    assert crashed
    assert set(clinic.stored) == set(fleet.generated)
    assert fleet.unacknowledged() == set()
    assert clinic.conflicts == []


def test_a_device_says_when_it_comes_and_its_will_speaks_when_it_goes(
    mosquitto: Mosquitto, accounts: Accounts
) -> None:
    cohort = one_device(108)
    [device] = cohort.devices
    with Clinic(mosquitto, cohort) as clinic:
        Fleet(cohort, mosquitto.url, accounts(cohort), samples=0).run(until(never))
        wait_until(lambda: len(clinic.states.get(device.id, [])) == 2, "birth and will")
    born, gone = clinic.states[device.id]
    assert (born.online, born.model, born.firmware) == (True, device.model, device.firmware)
    assert not gone.online


def test_a_silent_device_delivers_what_came_before_and_leaves(
    mosquitto: Mosquitto, accounts: Accounts
) -> None:
    cohort = one_device(109)
    silent_from = cohort.now - dt.timedelta(hours=9)
    patient = msgspec.structs.replace(cohort.patients[0], script=(Silent(at=silent_from),))
    cohort = msgspec.structs.replace(cohort, patients=(patient,))
    [device] = cohort.devices
    with Clinic(mosquitto, cohort) as clinic:
        fleet = Fleet(cohort, mosquitto.url, accounts(cohort))
        fleet.run(
            until(lambda: [state.online for state in clinic.states.get(device.id, [])] == [True, False])
        )
    assert set(clinic.stored) | fleet.unacknowledged() == set(fleet.generated)
    assert set(clinic.stored)
    assert fleet.unacknowledged()
    assert all(item.at < silent_from for item in clinic.items.values())
    assert fleet.progress().history_stored


def test_a_memory_reset_in_the_history_takes_nothing_with_it(
    mosquitto: Mosquitto, accounts: Accounts
) -> None:
    now = dt.datetime.now(dt.UTC)
    cohort = one_device(
        110, MemoryReset(at=now - dt.timedelta(hours=10)), MemoryReset(at=now - dt.timedelta(hours=5))
    )
    with Clinic(mosquitto, cohort) as clinic:
        fleet = Fleet(cohort, mosquitto.url, accounts(cohort), samples=0)
        fleet.run(until(never))
    assert fleet.forgotten() == set()
    assert set(clinic.stored) == set(fleet.generated)
    assert len({epoch for _, epoch, _ in fleet.generated}) == 3


def test_a_memory_reset_loses_what_no_ack_covered_and_says_so(
    mosquitto: Mosquitto, accounts: Accounts
) -> None:
    reset = MemoryReset(at=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.5))
    cohort = one_device(119, reset, days=0, report_interval_s=0.05)
    with Clinic(mosquitto, cohort, acks=False) as clinic:
        fleet = Fleet(cohort, mosquitto.url, accounts(cohort))
        progress = fleet.run(until(lambda: bool(fleet.forgotten() and fleet.unacknowledged())))
    assert progress.forgotten == len(fleet.forgotten())
    assert fleet.forgotten() | fleet.unacknowledged() == set(fleet.generated)
    assert not fleet.forgotten() & fleet.unacknowledged()
    assert set(clinic.stored) <= set(fleet.generated)
    assert len({epoch for _, epoch, _ in fleet.generated}) == 2


def test_commands_are_answered_and_a_refused_device_does_not_hold_up_the_others(
    mosquitto: Mosquitto, accounts: Accounts
) -> None:
    cohort = cohort_of(111, pumps=1, stimulators=1, days=2)
    stimulator, pump = sorted(cohort.devices, key=lambda device: device.kind, reverse=True)
    passwords = {**accounts(cohort), stimulator.id: "wrong"}
    asked = False

    with Clinic(mosquitto, cohort) as clinic:
        fleet = Fleet(cohort, mosquitto.url, passwords)

        def ask_then_await_result() -> bool:
            nonlocal asked
            if not asked and fleet.stored == len(fleet.generated) > 0:
                asked = True
                now = dt.datetime.now(dt.UTC)
                clinic.command(pump.id, id="c1", kind="interrogate", issued_at=now)
                clinic.command(pump.id, id="c2", kind="report_interval", issued_at=now, interval_s=10)
                clinic.command(pump.id, id="c3", kind="set_rate", issued_at=now)
            return len(clinic.results) == 3

        before = len(clinic.stored)
        progress = fleet.run(until(ask_then_await_result))
        wait_until(lambda: len(clinic.stored) == len(fleet.generated), "the sample that was asked for")
    assert progress.connected == 1
    assert {(result.id, result.status) for result in clinic.results} == {
        ("c1", "done"),
        ("c2", "done"),
        ("c3", "refused"),
    }
    assert len(clinic.stored) > before
    assert {device for device, _, _ in clinic.stored} == {pump.id}


def test_a_journal_lets_a_second_run_go_on_with_the_same_records(
    mosquitto: Mosquitto, accounts: Accounts, tmp_path: Path
) -> None:
    cohort = one_device(112, report_interval_s=0.2)
    [device] = cohort.devices
    journal = tmp_path / "journal"
    with Clinic(mosquitto, cohort) as clinic:
        first = Fleet(cohort, mosquitto.url, accounts(cohort), journal=journal)
        asked = False

        def ask_then_await_more() -> bool:
            nonlocal asked
            if not asked and first.progress().history_stored:
                asked = True
                clinic.command(device.id, id="c1", kind="interrogate", issued_at=dt.datetime.now(dt.UTC))
            return bool(clinic.results) and not first.unacknowledged()

        first.run(until(ask_then_await_more))
        clinic.stored.clear()
        second = Fleet(cohort, mosquitto.url, accounts(cohort), journal=journal)
        second.run(until(lambda: second.stored > 0 and not second.unacknowledged()))
    assert set(first.generated) < set(second.generated)
    assert set(clinic.stored) == set(second.generated) - set(first.generated)
    assert clinic.conflicts == []


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_both_versions_of_the_protocol_work(mosquitto: Mosquitto, accounts: Accounts, version: str) -> None:
    cohort = one_device(113 if version == "5" else 114)
    with Clinic(mosquitto, cohort) as clinic:
        fleet = Fleet(cohort, mosquitto.url, accounts(cohort), samples=0, mqtt_version=version)
        fleet.run(until(never))
    assert set(clinic.stored) == set(fleet.generated)


def test_the_embedded_broker_works_too(embedded_broker: EmbeddedBroker) -> None:
    cohort = cohort_of(115)
    passwords = {device.id: embedded_broker.add_device(device.id) for device in cohort.devices}
    with Clinic(embedded_broker, cohort) as clinic:
        fleet = Fleet(cohort, embedded_broker.url, passwords, samples=0)
        fleet.run(until(never))
    assert set(clinic.stored) == set(fleet.generated)
    assert clinic.conflicts == []


def test_with_a_speed_history_goes_by_at_that_pace(mosquitto: Mosquitto, accounts: Accounts) -> None:
    cohort = one_device(116, days=0.5)
    seen: list[Progress] = []
    with Clinic(mosquitto, cohort):
        fleet = Fleet(cohort, mosquitto.url, accounts(cohort), speed=0.5 * 86_400)
        fleet.run(until(lambda: fleet.progress().history_stored), seen.append, progress_every_s=0.05)
    positions = [progress.position for progress in seen]
    assert positions == sorted(positions)
    assert any(0.1 < position < 0.9 for position in positions)


def test_a_device_without_password_is_named() -> None:
    cohort = one_device(117)
    [device] = cohort.devices
    with pytest.raises(ValueError, match=f"no password for 1 devices, the first is {device.id}"):
        Fleet(cohort, "mqtt://127.0.0.1:1", {})


def test_the_command_line_runs_a_load_and_accounts_for_it(mosquitto: Mosquitto, tmp_path: Path) -> None:
    cohort = cohort_of(118, pumps=2, stimulators=1)
    entries = [
        {"device": d.id, "password": mosquitto.add_device(d.id), "kind": d.kind} for d in cohort.devices
    ]
    (tmp_path / "credentials").write_text(json.dumps(entries))
    arguments = ["--pumps=2", "--stimulators=1", "--days=0.5", f"--credentials={tmp_path / 'credentials'}"]
    arguments += [
        "--report-interval=0.05",
        "--samples=30",
        f"--mqtt={mosquitto.url}",
        f"--exit-after={LIMIT_S:g}",
    ]
    with Clinic(mosquitto, cohort) as clinic:
        run = subprocess.run([sys.executable, "-m", "simulators", *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    assert summary["unacknowledged"] == 0
    assert summary["generated"] == summary["stored"] + summary["forgotten"] == len(clinic.stored)
    assert "connected 3/3" in run.stderr


def test_the_command_line_says_that_the_broker_is_away_and_that_it_did_not_finish() -> None:
    arguments = ["--patients=1", "--samples=0", f"--mqtt=mqtt://127.0.0.1:{free_port()}", "--exit-after=0.3"]
    run = subprocess.run([sys.executable, "-m", "simulators", *arguments], capture_output=True, text=True)
    assert run.returncode == 3
    assert run.stderr.count("broker out of reach, trying again") == 1


def test_the_command_line_ends_at_a_signal(mosquitto: Mosquitto) -> None:
    arguments = ["--patients=1", "--password=wrong", f"--mqtt={mosquitto.url}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "simulators", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "connected 0/" in process.stderr.readline()
    process.terminate()
    out, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert json.loads(out)["stored"] == 0
