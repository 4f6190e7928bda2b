"""Fixtures that several folders share.

Databases start once per test process, on first use. A broker is each module's own: sessions, queues and retained
messages of one module's accounts would reach the next."""

from collections.abc import Iterator
from typing import TypeVar

import pytest
from hypothesis import settings

from tests.servers import EmbeddedBroker, Mosquitto, Postgres, Redis, Server

S = TypeVar("S", bound=Server)

# A busy machine is no failure; a failing example is printed so that it can be run again.
settings.register_profile("sc_stim", settings(), deadline=None, print_blob=True)
settings.load_profile("sc_stim")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    yield from _running(Postgres())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    yield from _running(Redis())


@pytest.fixture(scope="module")
def mosquitto() -> Iterator[Mosquitto]:
    yield from _running(Mosquitto())


@pytest.fixture(scope="module")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    yield from _running(EmbeddedBroker())


@pytest.fixture
def postgres_database(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database of this test's own."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


def _running(server: S) -> Iterator[S]:
    try:
        yield server.start()
    finally:
        server.close()
