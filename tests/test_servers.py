"""The real servers of the tests: their data outlives a crash, and they do not outlive the test run."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
import redis

from tests.servers import Mosquitto, Postgres, Redis, Server, program, wait_until


def running(pid: int) -> bool:
    """Whether the process exists and is more than an entry nobody has reaped yet."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state) and not state.startswith("Z")


@pytest.fixture(params=[Redis, Mosquitto], ids=["redis", "mosquitto"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    server = request.param()
    yield server
    server.close()


def test_a_server_answers_again_on_its_port_after_a_crash_and_after_a_restart(server: Server) -> None:
    port = server.start().port
    server.kill9()
    assert not server.answers()
    server.start()
    server.restart()
    assert server.answers() and server.port == port


def test_a_closed_server_leaves_neither_process_nor_files(server: Server) -> None:
    server.start()
    assert server.process is not None
    pid = server.process.pid
    server.close()
    assert not running(pid) and not server.directory.exists()


def test_committed_rows_outlive_a_crash_of_postgres() -> None:
    postgres = Postgres(durable=True).start()
    try:
        with psycopg.connect(postgres.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        postgres.kill9()
        postgres.start()
        with psycopg.connect(postgres.url) as connection:
            kept = connection.execute("SELECT answer FROM kept").fetchall()
            durable = connection.execute("SHOW fsync").fetchone()
    finally:
        postgres.close()
    assert kept == [(42,)] and durable == ("on",)


def test_each_database_of_a_test_is_empty(postgres: Postgres) -> None:
    count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    for _ in range(2):
        url = postgres.create_database()
        with psycopg.connect(url) as connection:
            assert connection.execute(count).fetchone() == (0,)
            connection.execute("CREATE TABLE left_behind ()")
        postgres.drop_database(url)


def test_redis_keeps_what_it_acknowledged_and_refuses_the_application_what_an_administrator_may() -> None:
    server = Redis().start()
    try:
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "42")
            server.kill9()
            server.start()
            assert client.get("kept") == b"42"
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.flushall()
    finally:
        server.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_server_dies_with_a_test_run_that_is_killed() -> None:
    script = "from tests.servers import Redis; s = Redis().start(); print(s.process.pid, flush=True); input()"
    run = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=os.getcwd(),
        text=True,
    )
    assert run.stdin and run.stdout
    pid = int(run.stdout.readline())
    with run:
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: not running(pid), "redis to end")


def test_a_missing_program_fails_the_test_and_names_the_package() -> None:
    with pytest.raises(pytest.fail.Exception, match="apt-get install postgresql"):
        program("no-such-program", (), "postgresql")
