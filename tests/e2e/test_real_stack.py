"""The real stack by its own commands: provisioning, a diary, a hostile network, and the end.

Everything is a process of its own, as docs/operations.md says, and is seen only from outside: through the API, by the
exit codes, and in the rows.
"""

import csv
import datetime as dt
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from celery import Celery

from sc_stim.tasks.celery_app import EXPIRE, QUEUE
from simulators import scenario
from tests.devices.mqtt_client import Client, connected
from tests.e2e.simulated import hostile_scenario, simulate, volumes
from tests.e2e.stack import Broker, Stack
from tests.servers import Postgres, Redis, wait_until

SIMULATORS_CALL_IT = {"5": "5", "3": "3.1.1"}  # versions of MQTT, as ingest and the simulators name them


@pytest.fixture(scope="module")
def stack(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    redis, broker, database_url = Redis(), Broker(), postgres.create_database()
    running = Stack(database_url, redis, broker, tmp_path_factory.mktemp("logs"))
    try:
        redis.start()
        running.prepare("clinician", "engineer")
        running.start()
        yield running
    finally:
        running.close()
        broker.close()
        redis.close()
        postgres.drop_database(database_url)


@pytest.fixture(scope="module", params=["5", "3"])
def protocol(stack: Stack, request: pytest.FixtureRequest) -> str:
    """The version of MQTT that ingest speaks."""
    stack.speak(request.param)
    return str(request.param)


def register(
    stack: Stack, model: str, serial: str, time_zone: str = "Europe/Berlin", **more: float
) -> dict[str, str]:
    """A patient with a device and its login, as the API gave them."""
    names = {"mrn": serial, "given_name": "Ada", "family_name": serial, "time_zone": time_zone}
    patient = stack.user("clinician").post("/patients", names)
    wanted = {"model": model, "serial": serial, "patient": patient["id"], **more}
    device = stack.user("clinician").post("/devices", wanted)
    login = stack.user("engineer").post(f"/devices/{device['id']}/credentials")
    return {"patient": patient["id"], "device": device["id"], "password": login["password"], "serial": serial}


# --- provisioning


def test_an_engineer_provisions_a_device_asks_it_and_cuts_it_off(stack: Stack, protocol: str) -> None:
    engineer = stack.user("engineer")
    scanned = {"model": "Prometra II 20 mL", "udi": f"(01)00643169007222(17)291231(10)L77(21)NGP-{protocol}"}
    device = engineer.post("/devices", scanned)
    assert (device["serial"], device["lot"], device["expires_on"]) == (f"NGP-{protocol}", "L77", "2029-12-31")
    engineer.call("POST", "/devices", 409, json=scanned)

    here = f"/devices/{device['id']}"
    login = engineer.post(f"{here}/credentials")
    assert login["password"] not in json.dumps([engineer.get(here), engineer.get("/devices")])
    base = login["topics"]
    with connected(stack.broker, login["username"], login["password"]) as implant:
        implant.subscribe(f"{base}down/#")
        asked = engineer.post(f"{here}/commands", {"kind": "interrogate"})
        assert asked["state"] == "pending"
        received = received_command(implant, base)
        assert (received["id"], received["kind"]) == (asked["id"], "interrogate")
        assert command_state(stack, device["id"]) == "sent"
        implant.publish(f"{base}up/result", json.dumps({"id": asked["id"], "status": "done"}).encode())
        wait_until(lambda: command_state(stack, device["id"]) == "reported", "the device's own word")

        now = dt.datetime.now(dt.UTC).isoformat()
        sample = {"epoch": "e", "sent_at": now, "samples": [{"seq": 0, "at": now, "reservoir_ml": 12.5}]}
        implant.publish(f"{base}up/telemetry", json.dumps(sample).encode())
        wait_until(lambda: f"{base}down/ack" in [topic for topic, _ in implant.received()], "the stored-ack")
        [stored] = engineer.get(f"{here}/telemetry")["samples"]
        assert stored["readings"]["reservoir_ml"] == 12.5

        engineer.call("DELETE", f"{here}/credentials", 204)
        wait_until(lambda: implant.disconnected, "the revoked device to be cut off")
    again = Client(stack.broker, login["username"], login["password"])
    assert not again.connect()
    again.close()


def test_a_command_to_an_absent_device_is_never_called_done(stack: Stack, protocol: str) -> None:
    absent = register(stack, "Intellis", f"ABSENT-{protocol}")["device"]
    asked = stack.user("engineer").post(f"/devices/{absent}/commands", {"kind": "diary_prompt"})
    wait_until(lambda: command_state(stack, absent) == "sent", "the command to be sent")
    stack.query("UPDATE command SET expires_at = now() WHERE public_id = %s", asked["id"])
    with Celery(broker=stack.environment["SC_STIM_REDIS_URL"]) as celery:
        celery.send_task(EXPIRE, queue=QUEUE)  # as beat does every minute
    wait_until(lambda: command_state(stack, absent) != "sent", "the command to expire")
    [command] = stack.user("engineer").get(f"/devices/{absent}/commands")["items"]
    assert (command["state"], command["answered_at"]) == ("not_confirmed", None)


def received_command(implant: Client, base: str) -> dict[str, Any]:
    def payloads() -> list[bytes]:
        return [payload for topic, payload in implant.received() if topic == f"{base}down/command"]

    wait_until(payloads, "the command at the device")
    command: dict[str, Any] = json.loads(payloads()[0])
    return command


def command_state(stack: Stack, device: str) -> str:
    return str(stack.user("engineer").get(f"/devices/{device}/commands")["items"][0]["state"])


# --- diaries

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")


def make_diary(rng: random.Random, zone: ZoneInfo) -> list[tuple[str, float]]:
    """Sixty days around the change to winter time: up to three scores on a day, half points, gaps of days."""
    scores, day = [], dt.datetime(2025, 10, 1, tzinfo=zone)
    while day < dt.datetime(2025, 12, 1, tzinfo=zone):
        for hour in sorted(rng.sample(range(24), rng.randint(1, 3))):
            at = (day + dt.timedelta(hours=hour, minutes=rng.randrange(60))).isoformat()
            scores.append((at, rng.randrange(21) / 2))
        day += dt.timedelta(days=rng.choice((1, 1, 1, 2, 6)))
    return scores


def test_a_replayed_diary_lands_exactly_and_a_second_replay_changes_nothing(
    stack: Stack, protocol: str, tmp_path: Path
) -> None:
    rng = random.Random(protocol)
    diaries = {zone: make_diary(rng, ZoneInfo(zone)) for zone in ZONES}
    rows = [(zone, at, nrs) for zone, scores in diaries.items() for at, nrs in scores]
    with (tmp_path / "diary.csv").open("w") as file:
        csv.writer(file).writerows([("patient", "at", "nrs"), *rng.sample(rows, len(rows))])
    people = {zone: register(stack, "Intellis", f"{zone}-{protocol}", zone) for zone in ZONES}
    (tmp_path / "logins").write_text(json.dumps([people[zone] | {"patient": zone} for zone in ZONES]))

    version = f"--mqtt-version={SIMULATORS_CALL_IT[protocol]}"
    where = ("--mqtt", stack.broker.url, "--credentials", str(tmp_path / "logins"), version)
    for _ in range(2):
        summary = simulate("simulators.replay", str(tmp_path / "diary.csv"), *where, "--exit-after=60s")
        assert (summary["scores"], summary["stored"], summary["unacknowledged"]) == (len(rows), len(rows), 0)
        for zone, scores in diaries.items():
            window = {"from": "2025-09-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
            stored = stack.user("clinician").all(f"/patients/{people[zone]['patient']}/pain-scores", **window)
            assert sorted((local(one["measured_at"], zone), one["nrs"]) for one in stored) == sorted(scores)


def local(at: str, zone: str) -> str:
    return dt.datetime.fromisoformat(at).astimezone(ZoneInfo(zone)).isoformat()


# --- a hostile network

SKEW = dt.timedelta(minutes=47)
SEED = "7"
SAMPLES = ("pump_sample", "stimulator_sample")
TABLES = (*SAMPLES, "device_event", "pain_score")
KINDS = {"sample": SAMPLES, "event": ("device_event",), "score": ("pain_score",)}
Identity = tuple[str, str, int]  # device, epoch, seq


class Row(NamedTuple):
    device: str
    epoch: str
    seq: int
    device_at: dt.datetime
    measured_at: dt.datetime


@dataclass
class Hostile:
    """A fleet run twice. `truth`: of each record its kind and true time; `counts`: rows after each run."""

    devices: list[str]
    truth: dict[Identity, tuple[str, dt.datetime]]
    counts: list[dict[str, int]]


@pytest.fixture(scope="module")
def hostile(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    """Twelve devices of the scenario run twice, with ingest at MQTT 5 and then at 3.1.1."""
    directory = tmp_path_factory.mktemp("hostile")
    path = hostile_scenario(directory)
    now = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=15)  # devices are back online within 30 s of it
    cohort = scenario.load(path, seed=int(SEED), now=now, patients=12)
    logins = [register(stack, device.model, device.serial, **volumes(device)) for device in cohort.devices]
    (directory / "logins").write_text(json.dumps([login | {"patient": None} for login in logins]))
    what = ("--scenario", str(path), "--seed", SEED, "--now", now.isoformat(), "--patients=12", "--samples=0")
    where = ("--mqtt", stack.broker.url, "--credentials", str(directory / "logins"))
    truth = ("--truth", str(directory / "truth"), "--truth-records")
    devices, counts = [login["device"] for login in logins], []
    for protocol in SIMULATORS_CALL_IT:
        stack.speak(protocol)
        version = f"--mqtt-version={SIMULATORS_CALL_IT[protocol]}"
        summary = simulate("simulators", *what, *where, *truth, version, "--exit-after=90s")
        assert summary["unacknowledged"] == summary["forgotten"] == 0
        counts.append({table: len(rows_of(stack, devices, table)) for table in TABLES})
    return Hostile(devices, true_records(directory / "truth"), counts)


def true_records(path: Path) -> dict[Identity, tuple[str, dt.datetime]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {
        (line["device"], line["epoch"], line["seq"]): (line["kind"], dt.datetime.fromisoformat(line["at"]))
        for line in lines
        if line["type"] == "record"
    }


def rows_of(stack: Stack, devices: list[str], *tables: str) -> list[Row]:
    """In the order of measurement within each table."""
    statement = (
        "SELECT device.public_id::text, epoch, seq, device_at, measured_at FROM {}"
        " JOIN device ON device.id = device_id WHERE device.public_id::text = ANY(%s) ORDER BY measured_at"
    )
    return [Row(*row) for table in tables for row in stack.query(statement.format(table), devices)]


def test_every_record_is_there_once_and_the_second_run_adds_none(stack: Stack, hostile: Hostile) -> None:
    for kind, tables in KINDS.items():
        stored = [row[:3] for row in rows_of(stack, hostile.devices, *tables)]
        true = {identity for identity, (of_kind, _) in hostile.truth.items() if of_kind == kind}
        assert set(stored) == true
        assert len(stored) == len(true) > 0
    first, second = hostile.counts
    assert first == second


def test_every_record_keeps_the_devices_own_time_and_stands_in_order(stack: Stack, hostile: Hostile) -> None:
    clock_errors = set()
    for table in TABLES:
        for device in hostile.devices:
            rows = rows_of(stack, [device], table)
            assert all(one.device_at <= next_one.device_at for one, next_one in pairwise(rows))
            clock_errors |= {(row.device_at - hostile.truth[row[:3]][1]) / SKEW for row in rows}
    assert {round(error, 5) for error in clock_errors} == {-1.0, 1.0}


def test_a_clock_that_is_ahead_is_put_right(stack: Stack, hostile: Hostile) -> None:
    rows = rows_of(stack, hostile.devices, *TABLES)
    ahead = [row for row in rows if row.device_at > hostile.truth[row[:3]][1]]
    off = [abs(row.measured_at - hostile.truth[row[:3]][1]) for row in ahead]
    assert max(off) < dt.timedelta(seconds=15)  # as long as a message may have been on its way


def test_the_latest_is_the_newest_measured(stack: Stack, hostile: Hostile) -> None:
    newest = {row.device: row.measured_at for row in rows_of(stack, hostile.devices, *SAMPLES)}
    latest = {
        device: stack.user("clinician").get(f"/devices/{device}")["newest"]["measured_at"]
        for device in hostile.devices
    }
    assert {device: dt.datetime.fromisoformat(at) for device, at in latest.items()} == newest


def test_an_alarm_that_was_over_when_we_heard_of_it_is_on_record_and_pages_nobody(
    stack: Stack, hostile: Hostile
) -> None:
    stack.query(
        "UPDATE work_item SET due_at = now()"
    )  # a late alarm waits some minutes for what contradicts it
    owed = "SELECT count(*) FROM work_item WHERE due_at <= now()"
    wait_until(lambda: stack.query(owed) == [(0,)], "all judgements", 60)
    alerts = [one for one in stack.user("clinician").all("/alerts") if one["device_id"] in hostile.devices]
    stalls = [(one["state"], one["historical"]) for one in alerts if one["kind"] == "motor_stall"]
    assert stalls == [("closed", True)]
    assert [one for one in alerts if one["state"] != "closed" and one["severity"] == "high"] == []


# --- the end


def test_every_process_ends_well_at_a_signal_and_the_audit_trail_is_whole(stack: Stack) -> None:
    codes = stack.stop()
    assert codes == dict.fromkeys(["web", "worker", "beat", "ingest 0-7", "ingest 8-f"], 0)
    assert stack.command("audit", "verify") == "The audit trail is whole.\n"
