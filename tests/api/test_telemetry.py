"""What devices sent, through HTTP: raw in pages, by hour and by the patient's own day."""

import datetime as dt

import pytest
from flask import Flask

from sc_stim.extensions import db
from sc_stim.models import Device, DeviceEvent
from tests.apps import As, both_databases
from tests.builders import (
    AT,
    create_patient,
    create_pump,
    create_pump_sample,
    create_stimulator,
    create_stimulator_sample,
    create_user,
)
from tests.trail import actions_on

HOUR = dt.timedelta(hours=1)


def create_event(device: Device, seq: int, at: dt.datetime, kind: str = "motor_stall") -> None:
    row = DeviceEvent(
        device_id=device.id, epoch="e", seq=seq, clinic_id=device.clinic_id, measured_at=at, device_at=at,
        received_at=at, kind=kind, state="raised", detail={"code": 7},
    )  # fmt: skip
    db.session.add(row)
    db.session.commit()


@both_databases
def test_raw_readings_come_in_order_of_measurement_page_by_page(app: Flask, api: As) -> None:
    pump = create_pump()
    for hours in (3, 1, 2, 0, 4):
        create_pump_sample(
            pump=pump,
            measured_at=AT - (6 - hours) * HOUR,
            received_at=AT,
            reservoir_ml=20 - hours,
            boluses=None,
        )
    caller = api(create_user(clinic=pump.patient.clinic, role="engineer"))
    first = caller.get(f"/devices/{pump.public_id}/telemetry", limit=2)
    second = caller.get(first.headers["Link"].split(";")[0].strip("<>"))
    assert [row["readings"]["reservoir_ml"] for row in first.json["samples"] + second.json["samples"]] == [
        20, 19, 18, 17,
    ]  # fmt: skip
    sample = first.json["samples"][0]
    assert (sample["measured_at"], sample["received_at"]) == ("2026-11-23T02:00:00Z", "2026-11-23T08:00:00Z")
    assert sample["readings"]["boluses"] is None
    assert "amplitude_ma" not in sample["readings"]
    assert actions_on(pump.patient) == ["device.telemetry"] * 2


@both_databases
def test_hours_add_up_what_counts_average_what_varies_and_keep_the_newest_level(app: Flask, api: As) -> None:
    pump = create_pump()
    start = AT - 4 * HOUR
    for minutes, reservoir_ml, boluses, flow in (
        (5, 10.0, 1, 0.4),
        (50, 9.0, 2, 0.6),
        (55, None, None, None),
    ):
        create_pump_sample(
            pump=pump, measured_at=start + dt.timedelta(minutes=minutes), reservoir_ml=reservoir_ml,
            boluses=boluses, flow_ml_per_day=flow,
        )  # fmt: skip
    create_pump_sample(pump=create_pump(patient=pump.patient), measured_at=start, reservoir_ml=1)
    caller = api(create_user(clinic=pump.patient.clinic))
    span = {"from": start.isoformat(), "to": (start + 2 * HOUR).isoformat(), "resolution": "hour"}
    full, empty = caller.get(f"/devices/{pump.public_id}/telemetry", **span).json["buckets"]
    assert (full["from"], full["to"], full["samples"]) == ("2026-11-23T04:00:00Z", "2026-11-23T05:00:00Z", 3)
    readings = full["readings"]
    assert (readings["reservoir_ml"], readings["boluses"], readings["flow_ml_per_day"]) == (9.0, 3, 0.5)
    assert empty["samples"] == 0
    assert set(empty["readings"].values()) == {None}


@both_databases
def test_a_day_is_the_patients_own_also_when_the_clocks_change(app: Flask, api: As) -> None:
    stimulator = create_stimulator(patient=create_patient(time_zone="Europe/Berlin"))
    for at in ("2026-10-24T22:30", "2026-10-25T22:30", "2026-10-25T23:30"):
        measured_at = dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC)
        create_stimulator_sample(stimulator=stimulator, measured_at=measured_at, on_s=600.0)
    caller = api(create_user(clinic=stimulator.patient.clinic))
    span = {"from": "2026-10-25T00:00:00+02:00", "to": "2026-10-27T00:00:00+01:00", "resolution": "day"}
    days = caller.get(f"/devices/{stimulator.public_id}/telemetry", **span).json["buckets"]
    assert [(day["from"], day["samples"], day["readings"]["on_s"]) for day in days] == [
        ("2026-10-24T22:00:00Z", 2, 1200.0),
        ("2026-10-25T23:00:00Z", 1, 600.0),
    ]


@both_databases
def test_impedances_of_a_day_are_those_measured_last(app: Flask, api: As) -> None:
    stimulator = create_stimulator()
    for hours, impedance in ((3, [500.0, 510.0]), (2, [500.0, None]), (1, None)):
        create_stimulator_sample(
            stimulator=stimulator, measured_at=AT - hours * HOUR, impedance_ohm=impedance
        )
    caller = api(create_user(clinic=stimulator.patient.clinic))
    days = caller.get(f"/devices/{stimulator.public_id}/telemetry", resolution="day").json["buckets"]
    assert days[-1]["readings"]["impedance_ohm"] == [500.0, None]


def test_events_are_read_newest_first(app: Flask, api: As) -> None:
    pump = create_pump()
    create_event(pump, 1, AT - 3 * HOUR)
    create_event(pump, 2, AT - 2 * HOUR, "pump_stopped")
    create_event(pump, 3, AT - dt.timedelta(days=8))
    caller = api(create_user(clinic=pump.patient.clinic))
    events = caller.get(f"/devices/{pump.public_id}/events").json["items"]
    assert [(event["kind"], event["detail"]) for event in events] == [
        ("pump_stopped", {"code": 7}),
        ("motor_stall", {"code": 7}),
    ]
    assert actions_on(pump.patient) == ["device.events"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"resolution": "minute"}, "resolution"),
        ({"resolution": "hour", "from": "2026-10-01T00:00:00Z"}, "from"),
        ({"resolution": "day", "from": "2020-01-01T00:00:00Z"}, "from"),
        ({"from": "2026-11-24T00:00:00Z"}, "from"),
        ({"limit": "201"}, "limit"),
        ({"cursor": "made up"}, "cursor"),
    ],
)
def test_a_request_for_too_much_or_for_nothing_is_refused(
    app: Flask, api: As, query: dict[str, str], field: str
) -> None:
    pump = create_pump()
    answer = api(create_user(clinic=pump.patient.clinic)).get(f"/devices/{pump.public_id}/telemetry", **query)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
