"""deploy/part-ok: the health check of the containers reads what the web process says of one part."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "part-ok"
PARTS = {"ingest": {"ok": True, "why": "works"}, "worker": {"ok": False, "why": "is late"}}


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/health/live": 200, "/health/ready": 503}.get(self.path, 404))
        self.end_headers()
        self.wfile.write(json.dumps({"ready": False, "parts": PARTS}).encode())

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run(*words: str) -> tuple[bool, str]:
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True)
    return done.returncode == 0, done.stdout.strip()


def test_a_part_that_works_is_ok_even_while_another_does_not(url: str) -> None:
    assert run(url, "ingest") == (True, "works")


def test_a_part_that_does_not_work_fails_with_the_reason(url: str) -> None:
    assert run(url, "worker") == (False, "is late")


def test_a_part_nobody_knows_and_a_server_that_is_away_fail(url: str) -> None:
    assert run(url, "printer") == (False, "")
    assert run("http://127.0.0.1:9", "ingest") == (False, "")


def test_without_a_part_it_asks_only_whether_web_answers(url: str) -> None:
    assert run(url)[0]
    assert not run(f"{url}/elsewhere")[0]
