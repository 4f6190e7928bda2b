"""The embedded cache: starts, keeps what it was given, lets nobody in without the password."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sc_stim.embedded import cache
from tests.servers import free_port


def test_queued_tasks_outlive_a_stop_and_a_crash(tmp_path: Path) -> None:
    for end in ("terminate", "kill"):
        running = cache.start(tmp_path, free_port())
        try:
            with redis.Redis.from_url(running.url) as client:
                client.rpush("queue", end)
                client.execute_command("WAITAOF", 1, 0, 5000)
        finally:
            getattr(running.process, end)()
            running.process.wait()
    running = cache.start(tmp_path, free_port())
    try:
        with redis.Redis.from_url(running.url) as client:
            assert client.lrange("queue", 0, -1) == [b"terminate", b"kill"]
    finally:
        running.process.kill()
        running.process.wait()


def test_nobody_gets_in_without_the_password_or_from_outside(tmp_path: Path) -> None:
    port = free_port()
    running = cache.start(tmp_path, port)
    try:
        with (
            redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        with redis.Redis.from_url(running.url) as client:
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
    finally:
        running.process.kill()
        running.process.wait()
    password = urlsplit(running.url).password
    assert password not in "".join(
        path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()
    )


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    port = free_port()
    running = cache.start(tmp_path / "first", port)
    try:
        with pytest.raises(cache.CacheFailed, match="Address already in use"):
            cache.start(tmp_path / "second", port)
    finally:
        running.process.kill()
        running.process.wait()
