"""How quick the pages are for a person: 2,000 devices with two years of data, the real web process, a real browser.

Every pump has one sample a day for two years; the patient who is looked at has one an hour and scores every day.
"""

import datetime as dt
import gzip
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

from benchmarks.figures import Figure, Target, percentile
from benchmarks.judging import judge_everybody
from benchmarks.population import PASSWORD, populate
from benchmarks.stand import Stand, application, running, settings
from benchmarks.waiting import until
from sc_stim import clock
from sc_stim.settings import variable
from sc_stim.web.assets import STATIC
from tests.servers import free_port, program

TITLE = "Pages with 2,000 devices and two years of data"
CLINIC, EMAIL = 2, "nurse2@example.org"  # clinic 2 holds 2,000 devices
VIEWERS = 10
PAN_S = 3.0
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
    """`devices` of all clinics; the one that is looked at has 2,000 of them at most."""

    devices: int
    days: int
    requests: int
    rounds: int


FULL = Size(4_000, days=730, requests=20, rounds=5)
QUICK = Size(1_000, days=90, requests=5, rounds=2)


def measure(stand: Stand, size: Size) -> Iterator[Figure]:
    with stand.database() as url:
        at = clock.now()
        with application(url):
            populate(url, size.devices, at, judge=judge_everybody)
        patient = _two_years(url, size.days, at)
        stand.settle()
        with _served(url) as address:
            reader = Reader(address)
            yield from _answers(reader, patient, size)
            yield from _weights()
            yield from _browser(address, patient, size)
            yield from _viewers(reader)


class Reader:
    """Somebody signed in, who keeps the connection as a browser does."""

    def __init__(self, address: str) -> None:
        self._connection = HTTPConnection(address.removeprefix("http://"), timeout=60)
        self.cookies: SimpleCookie = SimpleCookie()
        token = re.findall(r'name="csrf_token" value="([^"]+)"', self.get("/sign-in"))[0]
        form = urlencode({"email": EMAIL, "password": PASSWORD, "csrf_token": token})
        self._ask("POST", "/sign-in", form, 303)

    def get(self, path: str) -> str:
        return self._ask("GET", path, None, 200)

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
        "timeline": f"/patients/{patient}/timeline.json",
    }  # fmt: skip
    for name, path in pages.items():
        reader.get(path)  # the first one warms up
        rounds = [[_milliseconds(reader, path) for _ in range(size.requests)] for _ in range(size.rounds)]
        target = Target(150, at_least=False) if name != "timeline" else None
        medians = tuple(percentile(times, 0.5) for times in rounds)
        yield Figure(f"{name}_median", f"{name} answered by the server, median", "ms", medians, target)
        yield Figure(
            f"{name}_p95", "... 95th percentile", "ms", tuple(percentile(times, 0.95) for times in rounds)
        )


def _milliseconds(reader: Reader, path: str) -> float:
    began = time.perf_counter()
    reader.get(path)
    return (time.perf_counter() - began) * 1000


def _weights() -> Iterator[Figure]:
    kilobytes = sum(len(gzip.compress(path.read_bytes())) for path in STATIC.glob("*.[cj]s*")) / 1000
    yield Figure(
        "weight", "all script and style, compressed", "kB", (kilobytes,), Target(150, at_least=False)
    )


def _browser(address: str, patient: str, size: Size) -> Iterator[Figure]:
    with sync_playwright() as playwright:
        executable = program("chromium", ("/usr/bin/chromium*",), "chromium")
        page = playwright.chromium.launch(executable_path=executable, args=CHROMIUM).new_page(
            base_url=address, viewport={"width": 1440, "height": 900}
        )
        page.goto("/sign-in")
        page.get_by_label("E-mail address").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        for name, path, ready in (
            ("worklist", "/worklist?due=14", "h1"),
            ("patient", f"/patients/{patient}", ".timeline .u-over"),
        ):
            times = tuple(_until_ready(page, path, ready) for _ in range(size.rounds))
            reads = f"{name} usable in Chromium" + (", time line drawn" if name == "patient" else "")
            yield Figure(f"{name}_usable", reads, "ms", times, Target(1000, at_least=False))
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


def _viewers(reader: Reader) -> Iterator[Figure]:
    """What the web processes burn for people who only look on: nothing else runs meanwhile."""
    alone = _cpu_ms_per_s()
    with ExitStack() as looking:
        for _ in range(VIEWERS):
            request = urllib.request.Request(f"{_Web.address}/live", headers={"Cookie": reader.cookie})
            looking.enter_context(urllib.request.urlopen(request, timeout=60)).readline()
        watched = _cpu_ms_per_s()
    yield Figure("viewers", f"processor time for {VIEWERS} live viewers", "ms/s", (watched - alone,))


class _Web:
    """The web process under test."""

    address = ""
    pid = 0


def _cpu_ms_per_s(seconds: float = 10.0) -> float:
    before, began = _cpu_ticks(), time.perf_counter()
    time.sleep(seconds)  # what is measured is a time without events
    spent = (_cpu_ticks() - before) / os.sysconf("SC_CLK_TCK")
    return 1000 * spent / (time.perf_counter() - began)


def _cpu_ticks() -> int:
    """User and system time of the web process and its workers."""
    own = [_Web.pid, *_children(_Web.pid)]
    return sum(sum(map(int, _stat(pid)[11:13])) for pid in own)


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name of the program."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


@contextmanager
def _served(database_url: str) -> Iterator[str]:
    """The address of `sc-stim web`, once it answers."""
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
        _Web.address, _Web.pid = f"http://127.0.0.1:{port}", process.pid
        until(lambda: _answers_at(port), "the web process to answer")
        yield _Web.address


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
