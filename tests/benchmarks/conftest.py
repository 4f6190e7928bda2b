from collections.abc import Iterator

import pytest

from benchmarks.stand import Stand


@pytest.fixture(scope="session")
def stand() -> Iterator[Stand]:
    with Stand() as running:
        yield running
