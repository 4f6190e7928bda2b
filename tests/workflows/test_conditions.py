"""Alerts of a device whose conditions can hold no more."""

import datetime as dt

import pytest
from flask import Flask

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.extensions import db
from sc_stim.models import Alert
from sc_stim.workflows.conditions import judge_conditions
from tests.builders import AT, create_alert, create_pump


@pytest.mark.parametrize(
    ("condition", "explanted_on", "state"),
    [
        ("motor_stall", dt.date(2026, 11, 20), State.RETURNED_TO_NORMAL),
        ("refill_due", dt.date(2026, 11, 20), State.RETURNED_TO_NORMAL),
        ("refill_due", None, State.UNACKNOWLEDGED),
    ],
)
def test_alerts_of_a_device_end_when_it_is_explanted(
    app: Flask, condition: str, explanted_on: dt.date | None, state: State
) -> None:
    pump = create_pump(explanted_on=explanted_on)
    key = f"device:{pump.id}:{condition}"
    alert_id = create_alert(patient=pump.patient, device=pump, condition=condition, open_key=key).id
    judge_conditions(db.session(), {pump.id: AT}, AT)
    assert db.session.get_one(Alert, alert_id).state == state
