"""The embedded stack as a newcomer starts it, and the people and implants of stories that are acted out on it."""

import datetime as dt
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sc_stim.devices import topics
from tests.devices.mqtt_client import Client, connected
from tests.e2e.stack import PASSWORD, Caller
from tests.servers import free_port, wait_until

CLINIC = "Riverside Pain Centre"
PEOPLE = {
    "admin": "Anton Weber",
    "clinician": "Dr Ina Falk",
    "nurse": "Nadia Berger",
    "engineer": "Kim Dorn",
    "auditor": "Olga Brandt",
}
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Pacific/Auckland")
DAY = dt.timedelta(days=1)
STOPS_WITHIN_S = 60


class Login(NamedTuple):
    email: str
    password: str


class Broker(NamedTuple):
    """All that a device has to know of it."""

    port: int


class EmbeddedStack:
    """`sc-stim demo`: broker, cache, ingest, worker, beat, web and simulators, each a process of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[str] | None = None
        self.url = f"http://127.0.0.1:{free_port()}"
        self.printed: list[str] = []

    def start(self) -> None:
        """The one command, with the fewest patients and days it takes; read what it prints until it is ready."""
        setpriv = shutil.which("setpriv")
        words = ["demo", "--port", self.url.rpartition(":")[2], "--data-dir", str(self._directory)]
        self._process = subprocess.Popen(
            [
                *([setpriv, "--pdeathsig", "TERM"] if setpriv else []),
                *(sys.executable, "-m", "sc_stim", *words, "--patients", "8", "--days", "30", "--seed", "7"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.printed.append(line.rstrip())
            if line.startswith("Not a certified"):
                return
        raise AssertionError("the demo ended before it was ready:\n" + "\n".join(self.printed))

    def stop(self) -> int:
        """Ctrl-C; its exit code."""
        assert self._process is not None and self._process.stdout is not None
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOPS_WITHIN_S)
        finally:
            self._process.kill()
            self._process.stdout.close()

    @property
    def broker(self) -> Broker:
        address = next(line for line in self.printed if line.startswith("Devices connect to")).split()[-1]
        port = urlsplit(address).port
        assert port is not None
        return Broker(port)

    def login(self, role: str) -> Login:
        """Of the seeded clinic, as it was printed."""
        line = next(line for line in self.printed if line.split()[:1] == [role])
        return Login(*line.split()[1:])

    def command(self, *words: str, typed: str = "") -> str:
        """`sc-stim` by the operator of this stack; what it printed."""
        kept = json.loads((self._directory / "demo.json").read_text())
        settings = {
            "SC_STIM_DATABASE_URL": f"sqlite:///{self._database}",
            "SC_STIM_REDIS_URL": "redis://127.0.0.1/0",  # no command that we give needs it
            "SC_STIM_MQTT_URL": f"mqtt://127.0.0.1:{self.broker.port}",
            "SC_STIM_MQTT_PASSWORD": kept["ingest_password"],
            "SC_STIM_BROKER_ADMIN_URL": "embedded",
            "SC_STIM_SECRET_KEY": kept["secret_key"],
        }
        run = subprocess.run(
            [sys.executable, "-m", "sc_stim", *words], env=os.environ | settings, input=typed, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        return run.stdout

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows, straight from the database, past everything that guards them."""
        with closing(sqlite3.connect(self._database, timeout=30)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    @property
    def _database(self) -> Path:
        return self._directory / "sc_stim.db"


class Clinic:
    """A clinic of its own on the stack, where it is about noon: no story meets midnight. Its people use the API."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self.stack = stack
        self.zone = ZoneInfo(min(ZONES, key=lambda name: abs(12 - dt.datetime.now(ZoneInfo(name)).hour)))
        self._callers: dict[str, Caller] = {}
        where = ["--clinic", CLINIC, "--time-zone", self.zone.key, "--country", "DE"]
        admin = ["--email", self.login("admin").email, "--role", "admin", "--name", PEOPLE["admin"]]
        stack.command("users", "create", *where, *admin, "--password-stdin", typed=PASSWORD + "\n")
        for role in ("clinician", "nurse", "engineer", "auditor"):
            self._add(role, PEOPLE[role], role)
        self._add("nurse", "Emil Koch", "colleague")
        hours = [{"weekday": day, "opens": "08:00", "closes": "16:00", "slot_min": 60} for day in range(5)]
        admin_calls = self.user("admin")
        admin_calls.call("PATCH", "/clinic-hours", json={"hours": hours}, headers={"If-Match": '"1"'})
        admin_calls.post("/resources", {"kind": "room", "name": "Room 2"})

    def login(self, who: str) -> Login:
        return Login(f"{who}@riverside.example", PASSWORD)

    def user(self, who: str) -> Caller:
        if who not in self._callers:
            self._callers[who] = Caller(self.stack.url, self.login(who).email)
        return self._callers[who]

    @property
    def now(self) -> dt.datetime:
        return dt.datetime.now(self.zone)

    def at(self, days_ago: int, hour: int = 7) -> dt.datetime:
        """On the clock of the clinic."""
        day = self.now.date() - days_ago * DAY
        return dt.datetime.combine(day, dt.time(hour), self.zone)

    def patient(self, family_name: str, given_name: str = "Ada", **more: Any) -> str:
        """The id of a new one."""
        names = {"mrn": f"R-{family_name}", "family_name": family_name, "given_name": given_name}
        values = {"time_zone": self.zone.key, "phone": "+49 30 5550111"} | names | more
        return str(self.user("clinician").post("/patients", values)["id"])

    def device(self, patient: str | None, model: str, **more: Any) -> str:
        """The id of a new one, implanted a year ago if it is somebody's."""
        values = {"model": model, "serial": f"S-{os.urandom(4).hex()}", "patient": patient}
        implanted = {"implanted_on": self.at(400).date().isoformat()} if patient else {}
        return str(self.user("clinician").post("/devices", values | implanted | more)["id"])

    def pump(self, patient: str) -> str:
        volumes = {"reservoir_ml": 20, "catheter_tip_level": "T10", "report_interval_s": 86_400}
        return self.device(patient, "SynchroMed II 8637-20", **volumes)

    def stimulator(self, patient: str) -> str:
        leads = [{"contacts": 8, "tip_level": "T8"}]
        device = self.device(patient, "Intellis", leads=leads, report_interval_s=86_400)
        setting = {
            "effective_at": self.at(60).isoformat(),
            "program": "A",
            "amplitude_ma": 4.0,
            "contacts": [0, 1, 2],
        }
        self.user("clinician").post(f"/devices/{device}/settings", setting)
        return device

    def fill(self, pump: str, at: dt.datetime, drug: str = "morphine", mg_per_ml: float = 10.0) -> None:
        """20 mL, to run at 0.5 mL/day, and confirmed by a second person."""
        drawn = {"filled_ml": 20.0, "drugs": [{"name": drug, "mg_per_ml": mg_per_ml}]}
        body = {"at": at.isoformat(), "prescribe": {"flow_ml_per_day": 0.5}} | drawn
        filled = self.user("clinician").post(f"/pumps/{pump}/fills", body)
        self.user("colleague").post(f"/pumps/{pump}/fills/{filled['id']}/confirm", drawn)

    def tell_of_days(self, stimulator: str, nrs: list[float], ohm: list[list[float]]) -> None:
        """The device and the diary on it report of so many days up to yesterday; `nrs` may end before `ohm`."""
        days = range(len(ohm), 0, -1)
        samples = [
            {
                "at": self.at(day),
                "state": "on",
                "on_s": 82_800.0,
                "battery_pct": 60.0 + day,
                "impedance_ohm": one,
            }
            for day, one in zip(days, ohm, strict=True)
        ]
        scores = [{"at": self.at(day, 19), "nrs": one} for day, one in zip(days, nrs, strict=False)]
        with self.online(stimulator) as implant:
            implant.say("history", samples=samples, scores=scores)

    @contextmanager
    def online(self, device: str) -> Iterator["Implant"]:
        """The device itself, connected with a login of its own."""
        with connected(self.stack.broker, device, self.issue_login(device)) as client:  # type: ignore[arg-type]
            yield Implant(device, client)

    def issue_login(self, device: str) -> str:
        """The password of a device; one that it had before has ended."""
        return str(self.user("engineer").post(f"/devices/{device}/credentials")["password"])

    def close(self) -> None:
        for caller in self._callers.values():
            caller.close()

    def _add(self, role: str, name: str, who: str) -> None:
        account = {"email": self.login(who).email, "name": name, "role": role, "password": PASSWORD}
        self.user("admin").post("/users", account)


class Implant:
    """A device at the broker: numbers its records, and keeps on until a stored-ack covers them."""

    def __init__(self, device: str, client: Client) -> None:
        self.device, self.client = device, client
        self._epoch, self._next = os.urandom(4).hex(), 0
        client.subscribe(f"{topics.down(device, 'ack')[:-3]}#")

    def say(self, kind: topics.UpKind, **lists: list[dict[str, Any]]) -> None:
        """Records of samples, events or scores with `at`; returns once they are stored."""
        records: dict[str, Any] = {
            name: [self._numbered(one) for one in some] for name, some in lists.items()
        }
        message = {"epoch": self._epoch, "sent_at": dt.datetime.now(dt.UTC).isoformat()} | records
        self.client.publish(topics.up(self.device, kind), json.dumps(message).encode())
        wait_until(self._is_stored, f"the stored-ack for record {self._next - 1}")

    def event(self, kind: str, **more: Any) -> None:
        """Of just now."""
        self.say("event", events=[{"at": dt.datetime.now(dt.UTC), "kind": kind, **more}])

    def heard(self, kind: topics.DownKind) -> list[dict[str, Any]]:
        topic = topics.down(self.device, kind)
        return [json.loads(payload) for at, payload in self.client.received() if at == topic]

    def answer(self, command: dict[str, Any]) -> None:
        result = json.dumps({"id": command["id"], "status": "done"}).encode()
        self.client.publish(topics.up(self.device, "result"), result)

    def _numbered(self, record: dict[str, Any]) -> dict[str, Any]:
        self._next += 1
        return record | {"seq": self._next - 1, "at": record["at"].isoformat()}

    def _is_stored(self) -> bool:
        return any(
            ack["epoch"] == self._epoch
            and ack["upto"] >= self._next - 1
            and not ack["missing"]
            and not ack["rejected"]
            for ack in self.heard("ack")
        )
