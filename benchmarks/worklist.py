"""How long the nurse waits: the worklist by API and as a page, and a patient's page, through the WSGI test client.

And what a browser fetches to show them: script and style, compressed, which it then keeps for a year.
"""

import gzip
import re
import time
from collections.abc import Callable, Iterator
from contextvars import Context
from dataclasses import dataclass

from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from benchmarks.figures import Figure, percentile
from benchmarks.judging import Counted, count_statements, judge_everybody
from benchmarks.population import CLINIC_SIZE, PASSWORD, populate
from benchmarks.stand import Stand, application
from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.models import Patient
from sc_stim.web.assets import STATIC

TITLE = "Worklist of one clinic among many"
API, PAGE = "/api/v1/refills?due_within_days=14", "/worklist?due=14"
EVERY_PAGE = ("page.css", "page.js", "connection.js", "htmx.min.js")
SHIPPED = {
    "worklist": (*EVERY_PAGE, "worklist.js"),
    "patient": (*EVERY_PAGE, "timeline.js", "uPlot.iife.min.js", "uPlot.min.css"),
}
Request = Callable[[], TestResponse]


@dataclass(frozen=True)
class Size:
    """A median and a 95th percentile are taken of `requests` in each of `rounds`."""

    devices: int
    requests: int
    rounds: int


FULL = Size(100_000, requests=40, rounds=5)
QUICK = Size(5_000, requests=10, rounds=2)


def measure(stand: Stand, size: Size) -> Iterator[Figure]:
    with stand.database() as url, application(url) as app:
        count_statements(db.engine)
        populate(url, size.devices, clock.now(), judge=judge_everybody)
        stand.settle()
        first = size.devices // 5
        for clinic, devices in ((1, first), (2, min(CLINIC_SIZE, size.devices - first))):
            where = f"clinic of {devices:,} among {size.devices:,} devices"
            ways = {
                "api": ("API", _by_api(app, clinic)),
                "page": ("page", _by_page(app, clinic, PAGE)),
                "patient": ("patient", _by_page(app, clinic, _patient(clinic))),
            }
            for way, (name, request) in ways.items():
                yield from _timed(f"{way}_{clinic}", f"{name}, {where}", request, size)
    yield from _shipped()


def _shipped() -> Iterator[Figure]:
    for page, names in SHIPPED.items():
        size_kb = sum(len(gzip.compress((STATIC / name).read_bytes())) for name in names) / 1000
        yield Figure(f"{page}_shipped_kb", f"script and style of the {page}, compressed", "kB", (size_kb,))


def _timed(key: str, reads: str, request: Request, size: Size) -> Iterator[Figure]:
    before = Counted.statements
    _checked(request)  # the first one also warms up
    statements = Counted.statements - before
    rounds = [[_milliseconds(request) for _ in range(size.requests)] for _ in range(size.rounds)]
    yield Figure(f"{key}_median", f"{reads}, median", "ms", tuple(percentile(times, 0.5) for times in rounds))
    yield Figure(
        f"{key}_p95", "... 95th percentile", "ms", tuple(percentile(times, 0.95) for times in rounds)
    )
    yield Figure(f"{key}_statements", "... statements, BEGIN and COMMIT aside", "", (statements,))


def _milliseconds(request: Request) -> float:
    began = time.perf_counter()
    _checked(request)
    return (time.perf_counter() - began) * 1000


def _checked(request: Request, status: int = 200) -> TestResponse:
    response = Context().run(request)  # as on a server, where no request sees the context of another
    if response.status_code != status:
        raise RuntimeError(f"{response.request.path} answered {response.status}: {response.text[:500]}")
    return response


def _by_api(app: Flask, clinic: int) -> Request:
    client, login = app.test_client(), {"email": _nurse(clinic), "password": PASSWORD}
    signed_in = _checked(lambda: client.post("/api/v1/auth/token", json=login))
    headers = {"Authorization": f"Bearer {signed_in.json['access_token']}"}  # type: ignore[index]
    return lambda: client.get(API, headers=headers)


def _patient(clinic: int) -> str:
    """The address of the first patient's page."""
    first = select(Patient).where(Patient.clinic_id == clinic).order_by(Patient.id).limit(1)
    return f"/patients/{db.session.scalars(first).one().public_id}"


def _by_page(app: Flask, clinic: int, path: str) -> Request:
    client = app.test_client()
    token = re.findall(r'name="csrf_token" value="([^"]+)"', _checked(lambda: client.get("/sign-in")).text)[0]
    form = {"email": _nurse(clinic), "password": PASSWORD, "csrf_token": token}
    _checked(lambda: client.post("/sign-in", data=form), 303)
    return lambda: client.get(path)


def _nurse(clinic: int) -> str:
    return f"nurse{clinic}@example.org"
