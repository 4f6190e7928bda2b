"""A clinic on a Monday morning, as rows: one of everything the pages can show."""

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from sc_stim.extensions import db
from sc_stim.models import (
    Alert,
    AlertEntry,
    Assessment,
    Clinic,
    Device,
    DeviceEpoch,
    DeviceEvent,
    Forecast,
    Heartbeat,
    PainFinding,
    PainScore,
    Patient,
    PumpSample,
    StimulatorSample,
    Treatment,
    User,
)
from sc_stim.models.base import new_public_id
from tests import builders
from tests.builders import AT

TODAY = AT.date()
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Scene:
    clinic: Clinic
    nurse: User
    engineer: User
    patient: Patient  # has a pump and a stimulator, and a long history
    alert: Alert


@pytest.fixture
def scene(app: Flask) -> Scene:
    return create_scene()


def ids_of(user: User, patient: Patient) -> dict[str, object]:
    """One of everything that a page is about, in the clinic of this user, by the names of `test_access`."""
    recall = builders.create_recall(clinic=patient.clinic)
    row = builders.create_outreach(recall=recall, device=builders.create_pump(patient=patient))
    contact = builders.create_contact(clinic=patient.clinic)
    about = {
        "patient": patient, "alert": builders.create_alert(patient=patient, condition="pain_rise"),
        "recall": recall, "outreach": row,
        "pump": row.device, "device": row.device, "task": builders.create_care_task(device=row.device),
        "message": builders.create_quarantine(device=row.device, reason="bad_json"),
        "fill": builders.create_fill(pump=row.device),
        "visit": builders.create_appointment(pump=row.device), "feed": builders.create_calendar_feed(by=user),
        "account": builders.create_user(clinic=patient.clinic), "contact": contact,
        "shift": builders.create_shift(contact=contact), "room": builders.create_resource(clinic=patient.clinic),
    }  # fmt: skip
    ids: dict[str, object] = {name: row.public_id for name, row in about.items()}
    ids["work"] = builders.create_long_work(by=user).public_id
    return ids | {"view": new_public_id(), "key": "silence.intervals"}  # a view is one person's own


def create_forecast(*, pump: Device, days: int | None, **values: Any) -> Forecast:
    """To refill in so many days; None: refused."""
    refill_by = None if days is None else TODAY + days * DAY
    result = {
        "drugs": [{"name": "morphine", "mg_per_ml": 10.0}],
        "reasons": ["opioid_withdrawal"],
        "flags": [],
    }
    row = Forecast(
        **{
            "device_id": pump.id, "clinic_id": pump.clinic_id, "computed_at": AT - 6 * HOUR,
            "model_version": "refill-1", "refill_by": refill_by,
            "binding_clock": "empty_probability" if refill_by else None,
            "earliest_empty_on": refill_by + 2 * DAY if refill_by else None,
            "refused": None if refill_by else "no_fill_recorded", "danger": -float(days or 0), "risk": "low",
            "result": result,
        } | values
    )  # fmt: skip
    db.session.add(row)
    db.session.commit()
    return row


def create_heartbeats() -> None:
    """Everything has just done its work."""
    taken = {"shards": "0-f", "canary_age_s": 1.0, "unacked_oldest_s": 0.0}
    for name, detail in (("ingest:0-f", taken), ("worker", {}), ("beat", {})):
        db.session.add(Heartbeat(name=name, at=AT, detail=detail))
    db.session.commit()


def create_scene() -> Scene:
    clinic = builders.create_clinic(name="Pain Clinic Riverside", phone="+49 30 5550000")
    nurse = builders.create_user(
        clinic=clinic, role="nurse", name="Nadia Berger", email="nurse@riverside.example"
    )
    engineer = builders.create_user(
        clinic=clinic, role="engineer", name="Emil Koch", email="engineer@riverside.example"
    )
    patient = _reviewed_patient(clinic, nurse)
    _worklist_pumps(clinic)
    alert = _alerts(clinic, nurse, patient)
    create_heartbeats()
    return Scene(clinic, nurse, engineer, patient, alert)


def _worklist_pumps(clinic: Clinic) -> None:
    baclofen, morphine = {"name": "baclofen", "mg_per_ml": 2.0}, {"name": "morphine", "mg_per_ml": 10.0}
    mixture = [{"name": "hydromorphone", "mg_per_ml": 5.0}, {"name": "bupivacaine", "mg_per_ml": 7.5}]
    ziconotide = {"name": "ziconotide", "mg_per_ml": 0.025}
    overdue = ["overdue", "possible_over_infusion", "opioid_withdrawal"]
    due = (  # family and given name, drugs, mL left, days to the refill, danger, risk, reasons
        ("Okafor", "Chidi", [baclofen], 3.4, 3, 90.0, "high", ["life_threatening_withdrawal"]),
        ("Lindqvist", "Astrid", [morphine], 2.9, 2, 40.0, "medium", ["opioid_withdrawal"]),
        ("García Márquez-Hohenstein", "María del Carmen", mixture, 1.8, -2, 60.0, "high", overdue),
        ("Novák", "Jiří", [ziconotide], 8.2, 9, 5.0, "low", []),
    )
    for family, given, drugs, left_ml, days, danger, risk, reasons in due:
        pump = _pump(clinic, family, given, left_ml, drugs)
        result = {"drugs": drugs, "reasons": reasons, "flags": []}
        create_forecast(pump=pump, days=days, danger=danger, risk=risk, result=result)
    later = _pump(clinic, "Petrov", "Ilya", 15.0, [morphine])
    create_forecast(pump=later, days=60)
    refused = _pump(clinic, "Haddad", "Leila", 11.0, [])
    create_forecast(pump=refused, days=None, refused="unknown_concentration", danger=70.0)
    silent = builders.create_patient(clinic=clinic, family_name="Moreau", given_name="Hélène", phone=None)
    device = builders.create_stimulator(patient=silent, created_at=AT - 90 * DAY)
    builders.create_device_state(
        device=device, heard_at=AT - 3 * DAY, measured_at=AT - 3 * DAY, online=False, sample={}
    )


def _pump(clinic: Clinic, family: str, given: str, left_ml: float, drugs: list[dict[str, Any]]) -> Device:
    patient = builders.create_patient(clinic=clinic, family_name=family, given_name=given)
    pump = builders.create_pump(patient=patient)
    builders.create_device_state(
        device=pump, measured_at=AT - HOUR / 2, sample={"reservoir_ml": left_ml, "flow_ml_per_day": 0.25}
    )
    if drugs:
        builders.create_fill(pump=pump, drugs=drugs)
    return pump


def _reviewed_patient(clinic: Clinic, nurse: User) -> Patient:
    patient = builders.create_patient(
        clinic=clinic, family_name="Example", given_name="Ada", withdrawal_prone=True, indication_icd10="M96.1",
        indication="Pain after spinal surgery", risk_factors=["smoking", "epidural_fibrosis"],
        created_at=AT - 400 * DAY,
    )  # fmt: skip
    pump = builders.create_pump(patient=patient, implanted_on=TODAY - 300 * DAY)
    stimulator = builders.create_stimulator(patient=patient, implanted_on=TODAY - 380 * DAY)
    builders.create_setting(
        device=pump, flow_ml_per_day=0.2, bolus_ml=0.02, max_boluses_per_day=6, lockout_min=120
    )
    builders.create_setting(device=stimulator, contacts=[3, 4, 5])
    for days_ago, aspirated in ((300, None), (210, 3.9), (115, 3.4), (24, 2.6)):
        builders.create_fill(
            pump=pump, by=nurse, at=AT - days_ago * DAY, aspirated_ml=aspirated,
            expected_ml=3.8 if aspirated else None, flags=["remeasure"] if aspirated == 2.6 else [],
        )  # fmt: skip
    drugs = [{"name": "morphine", "mg_per_ml": 10.0}]
    empty = {"p05": TODAY + 50 * DAY, "p50": TODAY + 56 * DAY, "p95": TODAY + 63 * DAY}
    result = {
        "drugs": drugs, "reasons": ["opioid_withdrawal"], "flags": [], "expected_residual_ml": 15.1,
        "flow_ratio": {"mean": 1.04, "sd": 0.02}, "empty": {name: day.isoformat() for name, day in empty.items()},
    }  # fmt: skip
    create_forecast(pump=pump, days=12, danger=20.0, risk="medium", result=result)
    _samples(pump, stimulator)
    _diary(patient)
    _told(pump, stimulator)
    _pathway(patient)
    return patient


def _samples(pump: Device, stimulator: Device) -> None:
    """Four samples a day for 370 days, with a gap of eight days in the stimulator's."""
    fills = [300, 210, 115, 24]
    pumps, stimulators = [], []
    for index in range(370 * 4):
        at = AT - index * 6 * HOUR
        days_ago = index / 4
        identity = {
            "epoch": "e1", "seq": 10_000 - index, "clinic_id": pump.clinic_id, "measured_at": at, "device_at": at,
            "received_at": at,
        }  # fmt: skip
        since_fill = min((fill - days_ago for fill in fills if fill >= days_ago), default=None)
        if since_fill is not None:
            left_ml = 20 - 0.19 * since_fill
            volts = 3.02 - 0.0008 * (370 - days_ago)
            pumps.append({**identity, "device_id": pump.id, "reservoir_ml": left_ml, "battery_v": volts})
        if not 52 <= days_ago < 60:
            on_s = 0.0 if days_ago < 6 else 6 * 3600 * (0.62 + 0.2 * math.sin(days_ago / 9))
            charge = 55 + 40 * math.sin(days_ago * 0.7)
            ohm = [480 + 30 * contact for contact in range(16)]
            ohm[5] = 41_000 if days_ago < 6 else ohm[5]  # the lead broke
            readings = {"on_s": on_s, "battery_pct": charge, "impedance_ohm": ohm}
            stimulators.append({**identity, "device_id": stimulator.id, **readings})
    db.session.execute(insert(PumpSample), pumps)
    db.session.execute(insert(StimulatorSample), stimulators)
    db.session.commit()
    builders.create_device_state(
        device=pump,
        measured_at=AT - HOUR / 2,
        sample={"state": "running", "reservoir_ml": 15.44, "flow_ml_per_day": 0.2, "eri_months": 38},
    )
    builders.create_device_state(
        device=stimulator, measured_at=AT - HOUR / 2,
        sample={
            "state": "off", "program": "A", "amplitude_ma": 4.2, "pulse_width_us": 300.0, "rate_hz": 50.0,
            "battery_pct": 61.0, "impedance_ohm": [480 + 30 * n if n != 5 else 41_000 for n in range(15)],
        },
        clock_error_s=-2820.0, unknown_fields=3,
    )  # fmt: skip
    db.session.add(
        DeviceEpoch(
            device_id=stimulator.id, epoch="e1", taken="0-41,44,50-60", first_at=AT - 9 * DAY, last_at=AT
        )
    )
    db.session.commit()


def _diary(patient: Patient) -> None:
    rows = []
    for days_ago in range(370):
        if days_ago in (12, 13, 14, 15, 16, 17, 18) or days_ago % 11 == 4:
            continue
        level = 7.0 if days_ago < 5 else 4.0
        nrs = round(
            min(max(level + 1.1 * math.sin(days_ago * 2.3) + 0.6 * math.sin(days_ago / 13), 0), 10), 1
        )
        at = AT - days_ago * DAY
        rows.append({
            "public_id": new_public_id(), "clinic_id": patient.clinic_id, "patient_id": patient.id, "nrs": nrs,
            "measured_at": at, "received_at": at, "site": "overall", "symptoms": [],
        })  # fmt: skip
    db.session.execute(insert(PainScore), rows)
    for days_ago, rule, kind, severity, level_nrs in (
        (3, "rise", "step_up", "medium", 7.1), (14, "silence", "stopped_reporting", "low", None),
    ):  # fmt: skip
        db.session.add(
            PainFinding(
                clinic_id=patient.clinic_id,
                patient_id=patient.id,
                rule=rule,
                kind=kind,
                tier="soft",
                day=TODAY - days_ago * DAY,
                onset=TODAY - (days_ago + 2) * DAY,
                baseline_nrs=4.1,
                level_nrs=level_nrs,
                model_version="pain-1",
                severity=severity,
                found_at=AT,
            )
        )
    db.session.commit()


def _told(pump: Device, stimulator: Device) -> None:
    told = (
        (stimulator, "charge_missed", None, 8), (stimulator, "lead_disconnected", "raised", 6),
        (pump, "session_opened", None, 24), (pump, "session_closed", None, 24), (pump, "mri_entered", None, 70),
    )  # fmt: skip
    for seq, (device, kind, state, days_ago) in enumerate(told, start=90_000):
        at = AT - days_ago * DAY
        db.session.add(
            DeviceEvent(
                device_id=device.id,
                epoch="e1",
                seq=seq,
                clinic_id=device.clinic_id,
                measured_at=at,
                device_at=at,
                received_at=at + HOUR,
                kind=kind,
                state=state,
            )
        )
    db.session.commit()


def _pathway(patient: Patient) -> None:
    steps = (
        ("physical_therapy", 1200, 1000, 10.0), ("medication", 1100, None, 20.0),
        ("stimulator_trial", 400, 393, 55.0), ("stimulator_implant", 380, None, None),
        ("pump_implant", 300, None, None),
    )  # fmt: skip
    for kind, started, ended, relief in steps:
        db.session.add(
            Treatment(
                clinic_id=patient.clinic_id,
                patient_id=patient.id,
                kind=kind,
                started_on=TODAY - started * DAY,
                ended_on=TODAY - ended * DAY if ended else None,
                relief_pct=relief,
                created_at=AT,
            )
        )
    db.session.add(
        Assessment(
            clinic_id=patient.clinic_id,
            patient_id=patient.id,
            kind="mri",
            performed_on=TODAY - 410 * DAY,
            finding="Epidural scar at L5/S1, no new herniation.",
            created_at=AT,
        )
    )
    db.session.commit()


def _alerts(clinic: Clinic, nurse: User, patient: Patient) -> Alert:
    detail = {
        "kind": "step_up", "baseline_nrs": 4.1, "level_nrs": 7.1, "onset": str(TODAY - 4 * DAY),
        "flagged": str(TODAY - 3 * DAY), "tier": "soft",
    }  # fmt: skip
    alert = builders.create_alert(
        patient=patient, condition="pain_rise", detail=detail, opened_at=AT - 26 * HOUR
    )
    db.session.add(
        AlertEntry(
            alert_id=alert.id, at=AT - 26 * HOUR, event="raise", from_state=None, to_state="unacknowledged"
        )
    )
    db.session.add(
        AlertEntry(
            alert_id=alert.id,
            at=AT - 20 * HOUR,
            actor_id=nurse.id,
            event="comment",
            from_state="unacknowledged",
            to_state="unacknowledged",
            comment="Called, nobody answered.",
        )
    )
    db.session.commit()
    stopped = builders.create_patient(clinic=clinic, family_name="Yıldız", given_name="Deniz")
    builders.create_alert(
        patient=stopped, device=builders.create_pump(patient=stopped), condition="pump_stopped", severity="high",
        opened_at=AT - HOUR, since=AT - HOUR, model_version="alarms 2026-11-22", detail={"evidence": "pump_stopped"},
    )  # fmt: skip
    builders.create_alert(
        patient=patient, condition="charge_missed", severity="low", state="acknowledged", since=AT - 8 * DAY
    )
    return alert
