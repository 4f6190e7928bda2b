"""A worker that was killed is told of by the web process, straight to the operator."""

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from sqlalchemy import select, update

from sc_stim import clock
from sc_stim.models import Heartbeat, Outage
from tests.faults import stack
from tests.servers import Redis, free_port, wait_until

LONG = dt.timedelta(minutes=5)


@pytest.fixture
def operator() -> Iterator[tuple[str, list[str]]]:
    """An Apprise URL, and the titles of what was sent there."""
    titles: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            titles.append(json.loads(body)["title"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}", titles
        server.shutdown()


def test_a_killed_worker_is_told_of_by_the_web_process(
    postgres_database: str, redis_server: Redis, operator: tuple[str, list[str]]
) -> None:
    url, titles = operator
    engine = stack.make_tables(postgres_database)
    worker = stack.celery("worker", postgres_database, redis_server, "--concurrency", "1")
    beat = stack.celery("beat", postgres_database, redis_server)
    web = stack.celery("web", postgres_database, redis_server)
    web._environment |= {"SC_STIM_OPERATOR_URL": url, "SC_STIM_WEB_PORT": str(free_port())}

    def has(statement: object) -> Callable[[], bool]:
        def found() -> bool:
            with engine.begin() as connection:
                return bool(connection.scalar(statement))  # type: ignore[call-overload]

        return found

    def age(table: type, column: str, *which: object) -> None:
        """Time passes."""
        with engine.begin() as connection:
            connection.execute(update(table).where(*which).values({column: clock.now() - LONG}))  # type: ignore[arg-type]

    try:
        worker.start()
        beat.start()
        wait_until(has(select(Heartbeat.name).where(Heartbeat.name == "worker")), "the worker to work", 60)
        worker.kill9()
        beat.kill9()
        age(Heartbeat, "at")
        web.start()
        wait_until(has(select(Outage.id).where(Outage.part == "worker")), "web to notice", 60)
        web.kill9()
        age(Outage, "since")
        web.start()
        wait_until(lambda: "sc_stim: worker stopped" in titles, "the operator to be told", 60)
    finally:
        for program in (web, worker, beat):
            if program.alive:
                program.kill9()
        engine.dispose()
    assert titles.count("sc_stim: worker stopped") == 1
