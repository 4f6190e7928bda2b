"""Every change that moves a refill date: the stored date says that it is old at once, and is made anew when judged."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.devices.ingest import Receiver
from sc_stim.extensions import db
from sc_stim.models import Device, Forecast, WorkItem
from sc_stim.tasks.jobs import JUDGES
from sc_stim.tasks.work import work_off
from tests.apps import As, Caller, both_databases, read
from tests.builders import (
    AT,
    create_clinic,
    create_fill,
    create_patient,
    create_pump,
    create_setting,
    create_user,
)
from tests.intake import Speaker

DAY = dt.timedelta(days=1)
MORPHINE = [{"name": "morphine", "mg_per_ml": 10.0}]


class Scene:
    """A pump filled 10 days ago that gives 0.5 mL a day."""

    def __init__(self, api: As) -> None:
        clinic = create_clinic()
        self.clinician: Caller = api(create_user(clinic=clinic))
        self.admin: Caller = api(create_user(clinic=clinic, role="admin"))
        self.pump: Device = create_pump(patient=create_patient(clinic=clinic))
        create_setting(device=self.pump, effective_at=AT - 10 * DAY)
        self.fill = create_fill(pump=self.pump, at=AT - 10 * DAY)
        self.clinic = f"/clinics/{clinic.public_id}"
        self.device = f"/devices/{self.pump.public_id}"
        self.fills = f"/pumps/{self.pump.public_id}/fills"

    def said(self, sample: dict[str, Any] | None = None, event: dict[str, Any] | None = None) -> None:
        speaker = Speaker(self.pump.id, str(self.pump.public_id))
        db.session.commit()  # SQLite has one writer: the test must not be it
        times = {"sent_at": AT, "received_at": AT}
        item = {"seq": 0, "at": AT.isoformat()}
        if sample is not None:
            Receiver(db.engine).receive([speaker.says(item | sample, **times)])
        else:
            Receiver(db.engine).receive([speaker.says(events=[item | (event or {})], topic="event", **times)])

    def row(self) -> dict[str, Any]:
        (row,) = self.clinician.get("/refills", due_within_days=366).json["items"]
        found: dict[str, Any] = row
        return found

    def judge(self) -> None:
        work_off(db.session(), JUDGES, until=AT + dt.timedelta(seconds=1))
        db.session.commit()


def owe(pump: Device, **values: Any) -> None:
    defaults = {"kind": "refill", "subject_id": pump.id, "since": AT, "due_at": AT, "asked_at": AT}
    db.session.add(WorkItem(**defaults | values))
    db.session.commit()


def prescribe(**values: Any) -> Callable[[Scene], Any]:
    return lambda scene: scene.clinician.post(f"{scene.device}/settings", values)


def change_clinic(**values: Any) -> Callable[[Scene], Any]:
    return lambda scene: scene.admin.patch(scene.clinic, values)


def fill_again(scene: Scene) -> Any:
    visit = {"at": AT.isoformat(), "aspirated_ml": 15.0, "filled_ml": 20.0, "drugs": MORPHINE}
    return scene.clinician.post(scene.fills, visit)


def correct(scene: Scene) -> Any:
    body = {"at": scene.fill.at.isoformat(), "filled_ml": 15.0, "drugs": MORPHINE}
    return scene.clinician.post(scene.fills, body | {"replaces": str(scene.fill.public_id)})


MOVES: dict[str, Callable[[Scene], Any]] = {
    "rate": prescribe(flow_ml_per_day=0.8),
    "pattern": prescribe(
        pattern=[{"from": "00:00", "flow_ml_per_day": 0.5}, {"from": "08:00", "flow_ml_per_day": 1.0}]
    ),
    "bolus limits": prescribe(flow_ml_per_day=0.5, bolus_ml=0.1, max_boluses_per_day=4),
    "fill": fill_again,
    "correction": correct,
    "reported flow": lambda scene: scene.said({"flow_ml_per_day": 1.0, "state": "running"}),
    "reported alarm level": lambda scene: scene.said({"low_reservoir_alarm_ml": 8.0}),
    "patient prone to withdrawal": lambda scene: scene.clinician.patch(
        f"/patients/{scene.pump.patient.public_id}", {"withdrawal_prone": True}
    ),
    "clinic margin": change_clinic(refill_margin_days=14),
    "pharmacy lead": change_clinic(pharmacy_lead_days=5),
    "closures": change_clinic(closures=[{"day": "2026-12-16", "reason": "Holiday"}]),
}


@both_databases
@pytest.mark.parametrize("name", MOVES)
def test_what_moves_the_date_makes_the_stored_one_old_at_once(app: Flask, api: As, name: str) -> None:
    scene = Scene(api)
    owe(scene.pump)
    scene.judge()
    before = scene.row()
    assert before["being_recomputed"] is False
    MOVES[name](scene)
    old = scene.row()
    assert (old["being_recomputed"], old["refill_by"]) == (True, before["refill_by"])
    live = scene.clinician.get(f"/pumps/{scene.pump.public_id}/forecast").json["refill_by"]
    assert live != before["refill_by"]
    scene.judge()
    after = scene.row()
    assert (after["being_recomputed"], after["refill_by"]) == (False, live)


@pytest.mark.parametrize(
    "said",
    [
        {"sample": {"state": "stopped"}},
        {"sample": {"state": "minimum_rate"}},
        {"sample": {"boluses": 3, "bolus_ml": 0.02}},
        {"event": {"kind": "rate_changed"}},
        {"event": {"kind": "session_closed"}},
    ],
)
def test_what_a_pump_says_of_mode_boluses_and_rate_has_it_judged_again(
    app: Flask, api: As, said: dict[str, Any]
) -> None:
    scene = Scene(api)
    scene.said(**said)
    (item,) = read(select(WorkItem).where(WorkItem.kind == "refill"))
    assert (item.subject_id, item.due_at) == (scene.pump.id, AT)


def test_a_judgement_that_failed_is_still_owed_and_the_row_says_so(app: Flask, api: As) -> None:
    scene = Scene(api)
    owe(scene.pump)
    scene.judge()
    assert len(read(select(Forecast))) == 1
    owe(scene.pump, due_at=AT + DAY, attempts=3)
    assert scene.row()["being_recomputed"] is True
