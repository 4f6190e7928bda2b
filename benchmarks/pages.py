"""How quick the pages are for a person: 2,000 devices with two years of data, the real web process, a real browser.

Every pump has one sample a day for two years; the patient who is looked at has one an hour and scores every day.
Then what it costs ingest when people look on.
"""

import datetime as dt
import os
import re
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import psycopg
from playwright.sync_api import Page, sync_playwright

from benchmarks.figures import Figure, Target, percentile, ratios
from benchmarks.ingest import Load, Rig, Run, templates
from benchmarks.judging import judge_everybody
from benchmarks.population import PASSWORD, populate
from benchmarks.stand import Stand, application, running, settings
from benchmarks.waiting import until
from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.models import User
from sc_stim.settings import variable
from sc_stim.workflows.accounts import argon2id
from tests.servers import free_port, program

TITLE = "Pages with 2,000 devices and two years of data"
CLINIC, EMAIL = 2, "nurse2@example.org"  # clinic 2 holds 2,000 devices
VIEWER, VIEWERS = "viewer@example.org", 10
UNHARMED = Target(0.95)  # two runs of the same differ by as much on a quiet machine
PAN_S = 3.0
QUICKLY = Target(1000, at_least=False)
DRAWN = ".timeline .u-over"
SHADED = ".timeline figcaption [role=status]:has-text('shaded')"
CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
]

# Holds an arrow key down: every frame moves all panels. Tells frames per second and the longest frame in ms.
PAN = """seconds => new Promise(done => {
    const panels = document.querySelector('[data-timeline-panels]')
    const begun = performance.now(), frames = []
    const press = now => {
        frames.push(now)
        const key = Math.floor((now - begun) / 500) % 2 ? 'ArrowRight' : 'ArrowLeft'
        panels.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))
        if (now - begun < seconds * 1000) return requestAnimationFrame(press)
        const gaps = frames.slice(1).map((at, index) => at - frames[index])
        done([1000 * gaps.length / (frames.at(-1) - frames[0]), Math.max(...gaps)])
    }
    requestAnimationFrame(press)
})"""


@dataclass(frozen=True)
class Size:
    """`devices` of all clinics; the one that is looked at has 2,000 of them at most. `load`: what ingest drains."""

    devices: int
    days: int
    requests: int
    rounds: int
    load: Load


FULL = Size(4_000, days=730, requests=20, rounds=5, load=Load(20_000, 200))
QUICK = Size(1_000, days=90, requests=5, rounds=2, load=Load(4_000, 200))


@dataclass(frozen=True)
class Web:
    """A web process that answers."""

    address: str
    pid: int

    def cpu_s(self) -> float:
        """User and system time that it and its workers have taken up to now."""
        ticks = sum(sum(map(int, _stat(pid)[11:13])) for pid in (self.pid, *_children(self.pid)))
        return ticks / os.sysconf("SC_CLK_TCK")


def measure(stand: Stand, size: Size) -> Iterator[Figure]:
    with stand.database() as url:
        at = clock.now()
        with application(url):
            populate(url, size.devices, at, judge=judge_everybody)
        patient = _two_years(url, size.days, at)
        stand.settle()
        with _served(url) as web:
            reader = Reader(web, EMAIL)
            yield from _answers(reader, patient, size)
            yield from _weights(web, reader, patient)
            yield from _browser(web, patient, size)
    yield from looked_on(stand, size.load, size.rounds)


class Reader:
    """Somebody signed in, who keeps the connection as a browser does."""

    def __init__(self, web: Web, email: str) -> None:
        self._connection = HTTPConnection(web.address.removeprefix("http://"), timeout=60)
        self.cookies: SimpleCookie = SimpleCookie()
        token = re.findall(r'name="csrf_token" value="([^"]+)"', self.get("/sign-in"))[0]
        form = urlencode({"email": email, "password": PASSWORD, "csrf_token": token})
        self._ask("POST", "/sign-in", form, 303)

    def get(self, path: str) -> str:
        return self._ask("GET", path, None, 200)

    def close(self) -> None:
        self._connection.close()

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())

    def _ask(self, method: str, path: str, body: str | None, status: int) -> str:
        headers = {"Cookie": self.cookie, "Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != status:
            raise RuntimeError(f"{path} answered {answer.status}: {text[:500]}")
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            self.cookies.load(cookie)
        return text


def _answers(reader: Reader, patient: str, size: Size) -> Iterator[Figure]:
    pages = {
        "worklist": "/worklist?due=14", "patient": f"/patients/{patient}",
        "timeline": f"/patients/{patient}/timeline.json", "usual": f"/patients/{patient}/usual.json",
    }  # fmt: skip
    reads = {"timeline": "time line (JSON)", "usual": "usual range of pain (JSON), asked for afterwards,"}
    for name, path in pages.items():
        reader.get(path)  # the first one warms up
        rounds = [[_milliseconds(reader, path) for _ in range(size.requests)] for _ in range(size.rounds)]
        target = None if name in reads else Target(150, at_least=False)
        medians = tuple(percentile(times, 0.5) for times in rounds)
        yield Figure(
            f"{name}_median", f"{reads.get(name, name)} answered by the server, median", "ms", medians, target
        )
        yield Figure(
            f"{name}_p95", "... 95th percentile", "ms", tuple(percentile(times, 0.95) for times in rounds)
        )


def _milliseconds(reader: Reader, path: str) -> float:
    began = time.perf_counter()
    reader.get(path)
    return (time.perf_counter() - began) * 1000


def _weights(web: Web, reader: Reader, patient: str) -> Iterator[Figure]:
    """Of all script and style that a page names, as a browser gets it."""
    for name, path in (("worklist", "/worklist"), ("patient", f"/patients/{patient}")):
        named = re.findall(r'(?:src|href)="(/static/[^"]+[.](?:js|css))"', reader.get(path))
        kilobytes = sum(_sent_bytes(web.address + each) for each in named) / 1000
        reads = f"script and style of the {name}, as sent"
        yield Figure(f"{name}_weight", reads, "kB", (kilobytes,), Target(150, at_least=False))


def _sent_bytes(address: str) -> int:
    request = urllib.request.Request(address, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return len(answer.read())


def _browser(web: Web, patient: str, size: Size) -> Iterator[Figure]:
    with sync_playwright() as playwright:
        executable = program("chromium", ("/usr/bin/chromium*",), "chromium")
        page = playwright.chromium.launch(executable_path=executable, args=CHROMIUM).new_page(
            base_url=web.address, viewport={"width": 1440, "height": 900}
        )
        page.goto("/sign-in")
        page.get_by_label("E-mail address").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        for key, reads, path, ready, target in (
            ("worklist_usable", "worklist usable in Chromium", "/worklist?due=14", "h1", QUICKLY),
            (
                "patient_usable",
                "patient usable in Chromium, time line drawn",
                f"/patients/{patient}",
                DRAWN,
                QUICKLY,
            ),
            (
                "patient_shaded",
                "... and the usual range of pain shaded",
                f"/patients/{patient}",
                SHADED,
                None,
            ),
        ):
            times = tuple(_until_ready(page, path, ready) for _ in range(size.rounds))
            yield Figure(key, reads, "ms", times, target)
        page.get_by_role("button", name="All", exact=True).click()
        pans = [page.evaluate(PAN, PAN_S) for _ in range(size.rounds)]
        rates = tuple(pan[0] for pan in pans)
        yield Figure(
            "pan", "frames while the whole time line pans, without a graphics card", "/s", rates, Target(30)
        )
        yield Figure("pan_longest", "... longest frame", "ms", tuple(pan[1] for pan in pans))


def _until_ready(page: Page, path: str, ready: str) -> float:
    began = time.perf_counter()
    page.goto(path, wait_until="domcontentloaded")
    page.locator(ready).first.wait_for()
    return (time.perf_counter() - began) * 1000


def looked_on(stand: Stand, load: Load, rounds: int) -> Iterator[Figure]:
    """How fast ingest drains its queue with nobody and with VIEWERS looking on, in turning order.

    The web process runs in both. A viewer holds a live connection, as an open worklist does; nothing is judged
    meanwhile, so there is no news for which its page would be fetched again.
    """
    runs: dict[int, list[tuple[Run, float]]] = {0: [], VIEWERS: []}
    with stand.broker() as broker, templates(stand, load.devices) as (postgres, sqlite):
        _add_viewer(postgres)
        rig = Rig(stand, broker, postgres, sqlite)
        for number in range(rounds):
            for viewers in (0, VIEWERS) if number % 2 else (VIEWERS, 0):
                runs[viewers].append(_drained(rig, load, viewers))
    rates = {viewers: tuple(run.per_s for run, _ in some) for viewers, some in runs.items()}
    for key, viewers, reads in (
        ("alone", 0, "nobody looks on"),
        ("watched", VIEWERS, f"{VIEWERS} live viewers"),
    ):
        yield Figure(f"ingest_{key}", f"ingest drains its queue, {reads}", "messages/s", rates[viewers])
        cpu = tuple(run.cpu_us for run, _ in runs[viewers])
        yield Figure(f"ingest_{key}_cpu_us", "... processor time of ingest, each", "us", cpu)
    of_alone = ratios(rates[VIEWERS], rates[0])
    yield Figure(
        "ingest_watched_of_alone", f"ingest with {VIEWERS} live viewers / without", "", of_alone, UNHARMED
    )
    extra = tuple(watched - alone for (_, watched), (_, alone) in zip(runs[VIEWERS], runs[0], strict=True))
    yield Figure("viewers", f"processor time of the web process for {VIEWERS} live viewers", "ms/s", extra)


def _add_viewer(database_url: str) -> None:
    with application(database_url):
        db.session.add(
            User(
                clinic_id=1,
                email=VIEWER,
                name="Nurse",
                role="nurse",
                password_hash=argon2id.hash(PASSWORD),
                created_at=clock.now(),
            )
        )
        db.session.commit()


def _drained(rig: Rig, load: Load, viewers: int) -> tuple[Run, float]:
    """And the processor time of the web process meanwhile, in ms/s."""
    spent = []

    @contextmanager
    def watched(url: str) -> Iterator[None]:
        with _served(url) as web, ExitStack() as looking:
            reader = Reader(web, VIEWER)
            looking.callback(reader.close)
            for _ in range(viewers):
                request = urllib.request.Request(f"{web.address}/live", headers={"Cookie": reader.cookie})
                looking.enter_context(urllib.request.urlopen(request, timeout=60)).readline()
            before, began = web.cpu_s(), time.perf_counter()
            yield
            spent.append(1000 * (web.cpu_s() - before) / (time.perf_counter() - began))

    run = rig.drain("ours", load, meanwhile=watched)
    return run, spent[0]


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name of the program."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


@contextmanager
def _served(database_url: str) -> Iterator[Web]:
    """`sc-stim web`, once it answers."""
    port, ours = free_port(), settings(database_url)
    names = (
        "database_url",
        "redis_url",
        "mqtt_url",
        "mqtt_password",
        "broker_admin_url",
        "secret_key",
        "log_level",
    )
    environment = os.environ | {variable(name): getattr(ours, name) for name in names}
    environment |= {"SC_STIM_WEB_PORT": str(port), "SC_STIM_SECURE_COOKIES": "false"}
    with running([sys.executable, "-m", "sc_stim", "web"], environment) as process:
        until(lambda: _answers_at(port), "the web process to answer")
        yield Web(f"http://127.0.0.1:{port}", process.pid)


def _answers_at(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _two_years(database_url: str, days: int, at: dt.datetime) -> str:
    """One sample a day of every pump before those it has, one an hour for one patient; returns who that is."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        number, public_id = connection.execute(
            "SELECT p.id, p.public_id FROM patient p JOIN forecast f ON f.device_id = p.id "
            "WHERE p.clinic_id = %s AND f.refill_by IS NOT NULL ORDER BY p.id LIMIT 1", (CLINIC,)
        ).fetchone() or (0, "")  # fmt: skip
        fill = """
            INSERT INTO pump_sample (device_id, epoch, seq, clinic_id, measured_at, device_at, received_at, state,
                flow_ml_per_day, reservoir_ml, battery_v)
            SELECT d.id, %(epoch)s, n, d.clinic_id, moment, moment, moment, 'running', 0.2,
                20 - 0.2 * ((n / %(per_day)s) %% 90), 2.9
            FROM device d, generate_series(1, %(count)s) n, LATERAL (
                SELECT %(at)s::timestamptz - n * (interval '1 day' / %(per_day)s) AS moment) t
            WHERE d.clinic_id = %(clinic)s AND d.id BETWEEN %(first)s AND %(last)s"""
        common = {"at": at - dt.timedelta(days=8), "clinic": CLINIC}
        connection.execute(
            fill, common | {"epoch": "e0", "per_day": 1, "count": days, "first": 1, "last": 2**31}
        )
        hourly = {"epoch": "h0", "per_day": 24, "count": 24 * days, "first": number, "last": number}
        connection.execute(fill, common | hourly)
        connection.execute(
            "INSERT INTO pain_score (public_id, clinic_id, patient_id, measured_at, received_at, nrs, site, symptoms) "
            "SELECT gen_random_uuid(), %(clinic)s, %(who)s, %(at)s::timestamptz - n * interval '1 day', "
            "%(at)s::timestamptz, 4 + 2 * sin(n), 'overall', '[]' FROM generate_series(1, %(days)s) n",
            common | {"who": number, "days": days},
        )
        connection.execute("VACUUM ANALYZE")
    return str(public_id)
