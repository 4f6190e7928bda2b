"""Alerts of a device whose conditions can hold no more, and of pumps that a visit left standing."""

import datetime as dt

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.extensions import db
from sc_stim.models import Alert, Device, DeviceEvent, PumpSample
from sc_stim.workflows.conditions import judge_conditions
from simulators.happenings import SessionLeftOpen
from tests.apps import both_databases
from tests.builders import AT, create_alert, create_fill, create_pump, create_pump_sample
from tests.simulators.builders import BEGIN, create_patient, told_by
from tests.simulators.builders import create_pump as create_simulated_pump

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)


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


def alerts_of(pump: Device, at: dt.datetime) -> list[tuple[str, str, bool]]:
    judge_conditions(db.session(), {pump.id: at}, at)
    db.session.commit()
    rows = db.session.scalars(select(Alert).where(Alert.device_id == pump.id).order_by(Alert.id))
    return [(row.condition, row.severity, bool(row.detail.get("left_after_visit"))) for row in rows]


@both_databases
@pytest.mark.parametrize("state", ["stopped", "minimum_rate"])
def test_a_pump_left_standing_after_its_refill_is_high_whatever_the_drug(app: Flask, state: str) -> None:
    pump = create_pump()
    create_fill(pump=pump, at=AT - HOUR, drugs=[{"name": "ziconotide", "mg_per_ml": 0.025}])
    create_pump_sample(pump=pump, state=state, measured_at=AT)
    name = {"stopped": "pump_stopped", "minimum_rate": "minimum_rate"}[state]
    assert alerts_of(pump, AT) == [(name, "high", True)]


@both_databases
def test_a_pump_with_the_same_drug_that_stops_by_itself_is_not(app: Flask) -> None:
    pump = create_pump()
    create_fill(pump=pump, drugs=[{"name": "ziconotide", "mg_per_ml": 0.025}])
    create_pump_sample(pump=pump, state="stopped", measured_at=AT)
    assert alerts_of(pump, AT) == [("pump_stopped", "medium", False)]


def test_a_session_that_is_never_finished_is_found_from_what_the_simulated_pump_says(app: Flask) -> None:
    """The patient leaves with a stopped pump: high by the drug at once, and by the open session after two hours."""
    simulated = create_simulated_pump(drug="ziconotide")
    left_at = BEGIN + 10 * DAY
    told = told_by(create_patient(SessionLeftOpen(at=left_at), pump=simulated), days=12)
    pump = create_pump()
    create_fill(pump=pump, at=BEGIN, drugs=[{"name": "ziconotide", "mg_per_ml": 0.025}])
    for number, one in enumerate(told):
        row = {
            "device_id": pump.id, "epoch": "e", "seq": number, "clinic_id": pump.clinic_id,
            "measured_at": one.emission.at, "device_at": one.emission.at, "received_at": one.emission.at,
        }  # fmt: skip
        if one.emission.kind == "event":
            db.session.add(
                DeviceEvent(**row, kind=one.emission.body["kind"], state=one.emission.body.get("state"))
            )
        elif one.emission.kind == "sample":
            db.session.add(PumpSample(**row, state=one.emission.body["state"]))
    db.session.commit()
    assert alerts_of(pump, left_at + 3 * HOUR)[0] == ("programming_session", "high", False)
    assert ("pump_stopped", "medium", False) in alerts_of(pump, left_at + 3 * HOUR)
