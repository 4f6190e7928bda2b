"""Since when a device says that it stands still, however late and in whatever order it says so."""

import datetime as dt
from typing import get_args

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from sc_stim.clinical.alarms import shipped_table
from sc_stim.devices.records import StimulatorState
from sc_stim.extensions import db
from sc_stim.models import Device, StimulatorSample
from sc_stim.workflows.conditions import _newest_words
from tests.apps import both_databases
from tests.builders import AT, create_stimulator

HOUR = dt.timedelta(hours=1)
ASSERTING = {"off", "mri"}  # the others are never asked since when
Said = tuple[int, str | None]  # hour, state; in the order in which it arrives

said = st.tuples(st.integers(0, 12), st.sampled_from([*get_args(StimulatorState), None]))


def arrives(device: Device, arrived: list[Said], first_seq: int) -> None:
    rows = [
        {
            "device_id": device.id, "clinic_id": device.clinic_id, "epoch": "e1", "seq": first_seq + number,
            "measured_at": AT + hour * HOUR, "device_at": AT, "received_at": AT, "state": state,
        }
        for number, (hour, state) in enumerate(arrived)
    ]  # fmt: skip
    if rows:
        db.session.execute(insert(StimulatorSample), rows)


def by_scan(known: list[Said]) -> tuple[str, dt.datetime | None] | None:
    """State and beginning of its run, from all samples one after the other."""
    spoken = [(hour, state) for hour, state in known if state is not None]
    if not spoken:
        return None
    newest = max(hour for hour, _ in spoken)
    state = [state for hour, state in spoken if hour == newest][-1]
    broken = max((hour for hour, other in spoken if other != state), default=-1)
    run = [hour for hour, same in spoken if same == state and hour > broken]
    return state, AT + min(run) * HOUR if run and state in ASSERTING else None


def told_of(device: Device) -> tuple[str, dt.datetime | None] | None:
    word = _newest_words(db.session(), [device], shipped_table()).get(device.id)
    return (word.state, word.since) if word else None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.lists(said, max_size=12), late=st.lists(said, max_size=4))
def test_a_run_begins_where_a_scan_of_all_samples_finds_its_beginning(
    app: Flask, first: list[Said], late: list[Said]
) -> None:
    device = create_stimulator()
    arrives(device, first, 0)
    assert told_of(device) == by_scan(first)
    arrives(device, late, len(first))
    assert told_of(device) == by_scan([*first, *late])
    db.session.rollback()
    db.session.execute(delete(StimulatorSample))
    db.session.commit()


@both_databases
@pytest.mark.parametrize(
    ("late", "since"),
    [((3, "on"), 4), ((0, "off"), 0), ((3, None), 1), ((5, "mri"), 6), ((0, "on"), 1)],
    ids=["breaks the run", "lengthens it", "says nothing", "breaks it by another state", "lies before it"],
)
def test_a_late_sample_moves_the_beginning_of_a_run(app: Flask, late: Said, since: int) -> None:
    device = create_stimulator()
    arrives(device, [(6, "off"), (1, "off"), (4, "off"), (2, "off")], 0)
    assert told_of(device) == ("off", AT + HOUR)
    arrives(device, [late], 4)
    assert told_of(device) == ("off", AT + since * HOUR)
