"""Fixed moments and small cohorts for the simulators' tests."""

import datetime as dt

import pytest

from simulators import scenario
from simulators.cohort import Cohort


@pytest.fixture(scope="session")
def now() -> dt.datetime:
    return dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def demo(now: dt.datetime) -> Cohort:
    return scenario.load("demo", seed=1, now=now)
