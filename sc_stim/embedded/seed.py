"""The records of the demo's clinic, made from the simulators' cohort: what staff would have typed in."""

import datetime as dt
import json
import os
import random
import secrets
import uuid
from pathlib import Path

from sqlalchemy.orm import Session

from sc_stim.access import ROLES
from sc_stim.devices.broker_access import SALT_BYTES, Role, make_login
from sc_stim.devices.dynsec import ingest_usernames
from sc_stim.models import (
    Assessment,
    BrokerLogin,
    Clinic,
    Contact,
    Device,
    DeviceSetting,
    Fill,
    Ladder,
    Lead,
    Patient,
    Shift,
    Treatment,
    User,
)
from sc_stim.models.patient import RISK_FACTORS
from sc_stim.workflows import accounts, audit, booking, reviewing, staffing
from sc_stim.workflows.audit import Actor
from simulators import cohort as simulated

CLINIC = "Demo Pain Centre"
SHARDS = "0-f"
_PEOPLE = {
    "clinician": "Dr Alex Winter",
    "nurse": "Robin Sommer",
    "engineer": "Kim Berger",
    "auditor": "Sascha Lang",
    "admin": "Toni Busch",
}


def seed(
    session: Session, cohort: simulated.Cohort, *, seal_key: bytes, at: dt.datetime
) -> list[dict[str, str]]:
    """Make the clinic with its people, patients and devices; returns the sign-ins with their new passwords."""
    clinic = accounts.create_clinic(session, CLINIC, "Europe/Berlin", "DE", seal_key=seal_key, at=at)
    clinic.phone = "+49 30 0000000"
    logins, staff = _people(session, clinic, seal_key, at)
    _on_call(session, clinic, staff, at)
    for patient in cohort.patients:
        _patient(session, clinic, staff, patient, cohort, cohort.start)
    _visits(session, clinic, staff, seal_key, at)
    _reviews(session, clinic, staff["clinician"], cohort.seed, seal_key, at)
    by = Actor(clinic.id, "installation", seal_key)
    detail = {"scenario": cohort.scenario, "seed": cohort.seed, "patients": len(cohort.patients)}
    audit.record(session, by, "demo.seed", "clinic", clinic.public_id, detail, at=at)
    return logins


def broker_logins(
    session: Session, cohort: simulated.Cohort, ingest_password: str, at: dt.datetime
) -> list[dict[str, str]]:
    """An account at the broker for ingest and one for each device; returns the devices' passwords."""
    for username in ingest_usernames(SHARDS):
        _broker_login(session, username, Role.INGEST, ingest_password, None, at)
    credentials = []
    for device in cohort.devices:
        password = secrets.token_urlsafe(32)
        row = session.query(Device.id).filter_by(public_id=uuid.UUID(device.id)).one()
        _broker_login(session, device.id, Role.DEVICE, password, row.id, at)
        credentials.append({"device": device.id, "password": password})
    return credentials


def write_private(path: Path, content: object) -> None:
    """JSON that only the owner may read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=1)


def _people(
    session: Session, clinic: Clinic, seal_key: bytes, at: dt.datetime
) -> tuple[list[dict[str, str]], dict[str, User]]:
    actor, logins, staff = Actor(clinic.id, "installation", seal_key), [], {}
    for role in ROLES:
        login = {"role": role, "email": f"{role}@demo.example", "password": secrets.token_urlsafe(15)}
        staff[role] = accounts.create_user(
            session, actor, clinic, login["email"], _PEOPLE[role], role, login["password"], at
        )
        logins.append(login)
    return logins, staff


def _on_call(session: Session, clinic: Clinic, staff: dict[str, User], at: dt.datetime) -> None:
    """The nurse is on call all week, then the clinician; without a mail server, messages end as not configured."""
    first, second = (
        Contact(
            clinic_id=clinic.id, user_id=staff[role].id, name=staff[role].name, channel="email",
            address=f"{role}@demo.example", system=role == "clinician", created_at=at,
        )
        for role in ("nurse", "clinician")
    )  # fmt: skip
    session.add_all([first, second])
    session.flush()
    session.add_all(
        Shift(
            clinic_id=clinic.id,
            contact_id=first.id,
            weekday=day,
            from_time=dt.time(),
            to_time=dt.time(),
            created_at=at,
        )
        for day in range(7)
    )
    steps = [
        {"after_min": 0, "severities": ["high", "medium"], "on_call": True, "contacts": []},
        {"after_min": 15, "severities": ["high"], "on_call": False, "contacts": [str(second.public_id)]},
    ]
    session.add(Ladder(clinic_id=clinic.id, steps=steps, changed_at=at))


def _patient(
    session: Session,
    clinic: Clinic,
    staff: dict[str, User],
    patient: simulated.Patient,
    cohort: simulated.Cohort,
    at: dt.datetime,
) -> None:
    given, _, family = patient.name.partition(" ")
    rng = random.Random(f"{cohort.seed}:{patient.number}")
    row = Patient(
        clinic_id=clinic.id,
        mrn=f"D{patient.number:04d}",
        given_name=given,
        family_name=family or given,
        birth_date=dt.date(patient.birth_year, 1, 1) + dt.timedelta(days=rng.randrange(365)),
        time_zone=patient.time_zone,
        phone=patient.phone,
        indication_icd10="M96.1",
        indication="Postlaminectomy syndrome, not elsewhere classified",
        risk_factors=sorted(rng.sample(RISK_FACTORS, rng.randrange(4))),
        symptoms=sorted(
            rng.sample(("numbness", "tingling", "weakness", "insomnia", "low_mood"), rng.randrange(1, 4))
        ),
        created_at=at,
    )
    session.add(row)
    session.flush()
    _pathway(session, row, patient, rng, at)
    for device in patient.devices:
        _device(session, row, staff, device, cohort, at)


def _visits(
    session: Session, clinic: Clinic, staff: dict[str, User], seal_key: bytes, at: dt.datetime
) -> None:
    """Hours, the nurse and a second room, and visits of pumps that have time; the urgent ones are left to book."""
    nurse = Actor(clinic.id, str(staff["nurse"].public_id), seal_key, staff["nurse"].id)
    halves = ((dt.time(8), dt.time(12)), (dt.time(13), dt.time(16)))
    hours = [
        {"weekday": weekday, "opens": opens, "closes": closes, "slot_min": 30}
        for weekday in range(5)
        for opens, closes in halves
    ]
    staffing.set_clinic_hours(session, nurse, clinic, hours, at=at)
    by_nurse = {"kind": "nurse", "name": f"{staff['nurse'].name}, room 1", "user": staff["nurse"]}
    staffing.add_resource(session, nurse, by_nurse, at=at)
    staffing.add_resource(session, nurse, {"kind": "room", "name": "Room 2"}, at=at)
    pumps = session.query(Device).filter_by(clinic_id=clinic.id, kind="pump").order_by(Device.id)
    for pump in pumps:
        best = booking.best_slot(session, pump, at=at)
        if best is not None and best["day"] > at.date() + dt.timedelta(days=7):
            booking.book(session, nurse, pump, best, at=at)


def _reviews(
    session: Session, clinic: Clinic, clinician: User, seed: int, seal_key: bytes, at: dt.datetime
) -> None:
    """Most patients were reviewed in the last two months, some are overdue."""
    by, rng = Actor(clinic.id, str(clinician.public_id), seal_key, clinician.id), random.Random(seed)
    for patient in session.query(Patient).filter_by(clinic_id=clinic.id).order_by(Patient.id):
        days_ago = rng.randrange(200, 260) if rng.random() < 0.15 else rng.randrange(3, 60)
        reviewing.mark_reviewed(session, by, patient, {}, at=at - dt.timedelta(days=days_ago))


def _pathway(
    session: Session, row: Patient, patient: simulated.Patient, rng: random.Random, at: dt.datetime
) -> None:
    """Conservative care first, then trial and implants."""
    first = min(device.implanted_on for device in patient.devices)
    steps = [
        ("physical_therapy", 900, None),
        ("medication", 880, None),
        ("epidural_steroid_injection", 500, None),
    ]
    if patient.stimulator:
        steps += [("stimulator_trial", 30, float(rng.randrange(50, 85, 5))), ("stimulator_implant", 0, None)]
    if patient.pump:
        steps.append(("pump_implant", 0, None))
    implants = {"stimulator_implant": patient.stimulator, "pump_implant": patient.pump}
    for kind, days_before, relief_pct in steps:
        implant = implants.get(kind)
        day = implant.implanted_on if implant else first - dt.timedelta(days=days_before)
        session.add(
            Treatment(
                clinic_id=row.clinic_id,
                patient_id=row.id,
                kind=kind,
                started_on=day,
                relief_pct=relief_pct,
                ended_on=day + dt.timedelta(days=7) if kind == "stimulator_trial" else None,
                created_at=at,
            )
        )
    session.add(
        Assessment(
            clinic_id=row.clinic_id,
            patient_id=row.id,
            kind="mri",
            performed_on=first - dt.timedelta(days=600),
            finding="Epidural fibrosis at L5/S1, no recurrent herniation",
            created_at=at,
        )
    )


def _device(
    session: Session,
    patient: Patient,
    staff: dict[str, User],
    device: simulated.Pump | simulated.Stimulator,
    cohort: simulated.Cohort,
    at: dt.datetime,
) -> None:
    row = Device(
        public_id=uuid.UUID(device.id),
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        kind=device.kind,
        model=device.model,
        manufacturer=device.manufacturer,
        serial=device.serial,
        udi=device.udi,
        firmware=device.firmware,
        implanted_on=device.implanted_on,
        report_interval_s=round(cohort.report_interval_s),
        created_at=at,
    )
    session.add(row)
    if isinstance(device, simulated.Pump):
        row.reservoir_ml, row.low_reservoir_alarm_ml = device.reservoir_ml, device.low_reservoir_alarm_ml
        row.accuracy_pct = device.accuracy_pct
        row.catheter_tip_level, row.catheter_volume_ml = device.catheter_tip_level, device.catheter_volume_ml
    else:
        row.leads = [
            Lead(
                position=position,
                contacts=lead.contacts,
                tip_level=lead.tip_level,
                model=lead.model,
                serial=lead.serial,
            )
            for position, lead in enumerate(device.leads)
        ]
    session.flush()
    _settings(session, row, staff["clinician"], device, at)
    if isinstance(device, simulated.Pump):
        _fills(session, row, staff, device, at)


def _settings(
    session: Session,
    row: Device,
    clinician: User,
    device: simulated.Pump | simulated.Stimulator,
    at: dt.datetime,
) -> None:
    for setting in device.settings:
        values = {name: getattr(setting, name) for name in setting.__struct_fields__ if name != "since"}
        if "contacts" in values:
            values["contacts"] = list(values["contacts"])
        session.add(
            DeviceSetting(
                clinic_id=row.clinic_id,
                device_id=row.id,
                effective_at=setting.since,
                prescribed_by_id=clinician.id,
                created_at=at,
                **values,
            )
        )


def _fills(
    session: Session, row: Device, staff: dict[str, User], pump: simulated.Pump, at: dt.datetime
) -> None:
    for fill in pump.fills:
        session.add(
            Fill(
                clinic_id=row.clinic_id,
                device_id=row.id,
                at=fill.at,
                aspirated_ml=fill.aspirated_ml,
                filled_ml=fill.filled_ml,
                drugs=[{"name": drug.name, "mg_per_ml": drug.mg_per_ml} for drug in fill.drugs],
                performed_by_id=staff["nurse"].id,
                confirmed_by_id=staff["clinician"].id,
                created_at=at,
            )
        )


def _broker_login(
    session: Session, username: str, role: Role, password: str, device_id: int | None, at: dt.datetime
) -> None:
    login = make_login(username, role, password, secrets.token_bytes(SALT_BYTES))
    session.add(
        BrokerLogin(
            username=username,
            device_id=device_id,
            role=role,
            password_hash=login.password_hash,
            salt=login.salt,
            iterations=login.iterations,
            issued_at=at,
        )
    )
