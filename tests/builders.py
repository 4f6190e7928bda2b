"""Rows for tests. Every `create_*` takes keywords only, has a plausible default for all it is not given, and commits.

They need an application context. Names count up, so any number of each can stand side by side.
"""

import datetime as dt
import hashlib
import itertools
from functools import cache
from typing import Any, TypeVar

from argon2 import PasswordHasher

from sc_stim.clinical.escalation import default_steps
from sc_stim.extensions import db
from sc_stim.models import (
    Alert,
    ApiToken,
    Appointment,
    BrokerLogin,
    CalendarFeed,
    CareTask,
    Clinic,
    ClinicResource,
    Contact,
    Device,
    DeviceSetting,
    DeviceState,
    Fill,
    Ladder,
    Lead,
    LongWork,
    OpeningHours,
    PainScore,
    Patient,
    PumpSample,
    Quarantine,
    Recall,
    RecallListVersion,
    RecallOutreach,
    Review,
    Shift,
    StimulatorSample,
    User,
)
from sc_stim.models.base import new_public_id
from sc_stim.settings import Settings
from sc_stim.workflows.accounts import digest

AT = dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC)  # a Monday morning
SECRET_KEY = "only for tests: thirty-two characters or more"
PASSWORD = "harbour violin thirteen"
QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # tests hash by the hundred

Row = TypeVar("Row")
_count = itertools.count(1)


def settings(database_url: str, **changes: Any) -> Settings:
    """Settings with nothing behind them but the database."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": "redis://127.0.0.1:1",
        "mqtt_url": "mqtt://127.0.0.1:1",
        "mqtt_password": "unused",
        "broker_admin_url": "embedded",
        "secret_key": SECRET_KEY,
        "secure_cookies": False,
        "log_level": "WARNING",
    }
    return Settings(**values | changes)


def create_clinic(**values: Any) -> Clinic:
    number = next(_count)
    return _save(
        Clinic, values, name=f"Clinic {number}", time_zone="Europe/Berlin", country="DE", created_at=AT
    )


def create_user(*, clinic: Clinic | None = None, role: str = "clinician", **values: Any) -> User:
    """A user whose password is PASSWORD."""
    number, clinic = next(_count), clinic or create_clinic()
    return _save(
        User, values, clinic_id=clinic.id, clinic=clinic, role=role, email=f"{role}{number}@example.org",
        name=f"Robin {role.title()} {number}", password_hash=_password_hash(), created_at=AT,
    )  # fmt: skip


def create_token(*, user: User, **values: Any) -> str:
    """A bearer token of this user that is good for 12 hours from AT."""
    token = f"token-{next(_count)}"
    times = {"created_at": AT, "last_used_at": AT, "expires_at": AT + dt.timedelta(hours=12)}
    _save(ApiToken, values, user_id=user.id, token_sha256=digest(token), **times)
    return token


def create_patient(*, clinic: Clinic | None = None, **values: Any) -> Patient:
    number, clinic = next(_count), clinic or create_clinic()
    return _save(
        Patient, values, clinic_id=clinic.id, clinic=clinic, mrn=f"MRN-{number:05}", given_name="Ada",
        family_name=f"Example{number}", birth_date=dt.date(1961, 4, 12), time_zone=clinic.time_zone,
        phone="+49 30 5550100", risk_factors=[], symptoms=[], withdrawal_prone=False, created_at=AT,
    )  # fmt: skip


def create_device(
    *, clinic: Clinic | None = None, patient: Patient | None = None, kind: str, **values: Any
) -> Device:
    """An implanted device of `patient`, or of a new patient of `clinic`."""
    patient = patient or create_patient(clinic=clinic)
    return _save(
        Device, values, clinic_id=patient.clinic_id, patient_id=patient.id, patient=patient, kind=kind,
        manufacturer="Example Medical", model=f"Example {kind.title()}", serial=f"SN{next(_count):06}",
        implanted_on=dt.date(2026, 3, 2), report_interval_s=3600, created_at=AT,
    )  # fmt: skip


def create_pump(*, clinic: Clinic | None = None, patient: Patient | None = None, **values: Any) -> Device:
    pump = {
        "reservoir_ml": 20.0, "low_reservoir_alarm_ml": 2.0, "accuracy_pct": 14.5, "catheter_tip_level": "T10",
        "catheter_volume_ml": 0.2,
    }  # fmt: skip
    return create_device(clinic=clinic, patient=patient, kind="pump", **pump | values)


def create_stimulator(
    *, clinic: Clinic | None = None, patient: Patient | None = None, **values: Any
) -> Device:
    leads = [Lead(position=0, contacts=8, tip_level="T8"), Lead(position=1, contacts=8, tip_level="T8")]
    return create_device(clinic=clinic, patient=patient, kind="stimulator", **{"leads": leads} | values)


def put_on_shelf(device: Device) -> Device:
    """Registered, but nobody's and not implanted."""
    device.patient, device.implanted_on = None, None
    db.session.commit()
    return device


def create_setting(*, device: Device, by: User | None = None, **values: Any) -> DeviceSetting:
    """What is prescribed: 0.5 mL/day without boluses for a pump, a programme for a stimulator."""
    pump = {"flow_ml_per_day": 0.5}
    stimulator = {
        "program": "A", "amplitude_ma": 4.2, "pulse_width_us": 300.0, "rate_hz": 50.0, "contacts": [0, 1, 2, 3],
    }  # fmt: skip
    return _save(
        DeviceSetting, values, **(pump if device.kind == "pump" else stimulator), clinic_id=device.clinic_id,
        device_id=device.id, effective_at=AT - dt.timedelta(days=30), prescribed_by_id=_by(by, device).id,
        created_at=AT,
    )  # fmt: skip


def create_fill(*, pump: Device, by: User | None = None, **values: Any) -> Fill:
    """20 mL of morphine 10 mg/mL, 20 days before AT."""
    return _save(
        Fill, values, clinic_id=pump.clinic_id, device_id=pump.id, at=AT - dt.timedelta(days=20), filled_ml=20.0,
        drugs=[{"name": "morphine", "mg_per_ml": 10.0}], flags=[], performed_by_id=_by(by, pump).id, created_at=AT,
    )  # fmt: skip


def create_pump_sample(*, pump: Device, **values: Any) -> PumpSample:
    return _save(
        PumpSample, values, **_identity(pump, values), state="running", reservoir_ml=10.0, flow_ml_per_day=0.5
    )


def create_stimulator_sample(*, stimulator: Device, **values: Any) -> StimulatorSample:
    return _save(
        StimulatorSample, values, **_identity(stimulator, values), state="on", on_s=3600.0, program="A",
        amplitude_ma=4.2, battery_pct=80.0, impedance_ohm=[500.0] * 16,
    )  # fmt: skip


def create_device_state(*, device: Device, **values: Any) -> DeviceState:
    return _save(
        DeviceState, values, device_id=device.id, clinic_id=device.clinic_id, heard_at=AT, online=True
    )


def create_pain_score(*, patient: Patient, **values: Any) -> PainScore:
    measured_at = values.get("measured_at", AT)
    return _save(
        PainScore, values, clinic_id=patient.clinic_id, patient_id=patient.id, measured_at=measured_at,
        received_at=measured_at, nrs=4.0, site="overall", symptoms=[],
    )  # fmt: skip


def create_alert(*, patient: Patient, device: Device | None = None, **values: Any) -> Alert:
    number = next(_count)
    return _save(
        Alert, values, clinic_id=patient.clinic_id, patient_id=patient.id, device_id=device.id if device else None,
        condition="pain_step_up", severity="medium", state="unacknowledged", open_key=f"open {number}",
        effect_key=f"effect {number}", since=AT, opened_at=AT, changed_at=AT, model_version="pain 1", detail={},
    )  # fmt: skip


def create_care_task(*, device: Device, **values: Any) -> CareTask:
    """The check after a scan of two hours ago."""
    number, scanned_at = next(_count), AT - dt.timedelta(hours=2)
    return _save(
        CareTask, values, clinic_id=device.clinic_id, patient_id=device.patient_id, device_id=device.id,
        kind="mri_check", since=scanned_at, opened_at=scanned_at, due_at=scanned_at + dt.timedelta(days=1),
        steps=[{"when": "after", "text": "Interrogate.", "source": None}], detail={},
        open_key=f"open {number}", effect_key=f"effect {number}",
    )  # fmt: skip


def create_long_work(*, by: User, **values: Any) -> LongWork:
    """A back-test of the pain rule that waits for its turn."""
    asked = {"clinic_id": by.clinic_id, "user_id": by.id, "kind": "pain_backtest", "asked": {}}
    return _save(LongWork, values, **asked, created_at=AT)


def create_resource(*, clinic: Clinic, **values: Any) -> ClinicResource:
    """A room, open Monday to Friday from 8:00 to 16:00 in slots of half an hour."""
    hours = [
        OpeningHours(clinic_id=clinic.id, weekday=weekday, opens=dt.time(8), closes=dt.time(16), slot_min=30)
        for weekday in range(5)
    ]
    return _save(
        ClinicResource, values, clinic_id=clinic.id, kind="room", name=f"Room {next(_count)}", hours=hours,
        absences=[], created_at=AT,
    )  # fmt: skip


def create_appointment(
    *, pump: Device, resource: ClinicResource | None = None, by: User | None = None, **values: Any
) -> Appointment:
    """Booked in Europe/Berlin for ten days after AT, Thursday 3 December, 10:00."""
    resource = resource or create_resource(clinic=db.session.get_one(Clinic, pump.clinic_id))
    starts_at = dt.datetime(2026, 12, 3, 9, tzinfo=dt.UTC)
    return _save(
        Appointment, values, clinic_id=pump.clinic_id, patient_id=pump.patient_id, device_id=pump.id,
        resource_id=resource.id, starts_at=starts_at, ends_at=starts_at + dt.timedelta(minutes=30),
        time_zone="Europe/Berlin", day=dt.date(2026, 12, 3), time=dt.time(10), created_by_id=_by(by, pump).id,
        created_at=AT, changed_at=AT,
    )  # fmt: skip


def create_calendar_feed(*, by: User, token: str = "secret", **values: Any) -> CalendarFeed:
    return _save(
        CalendarFeed, values, clinic_id=by.clinic_id, token_sha256=digest(token), created_by_id=by.id,
        created_at=AT,
    )  # fmt: skip


def create_contact(*, clinic: Clinic | None = None, **values: Any) -> Contact:
    number, clinic = next(_count), clinic or create_clinic()
    return _save(
        Contact, values, clinic_id=clinic.id, name=f"Contact {number}", channel="email",
        address=f"contact{number}@example.org", created_at=AT,
    )  # fmt: skip


def create_shift(*, contact: Contact, **values: Any) -> Shift:
    """On call all day on Mondays, as AT is one."""
    hours = {"weekday": 0, "from_time": dt.time(), "to_time": dt.time()}
    return _save(Shift, values, clinic_id=contact.clinic_id, contact=contact, created_at=AT, **hours)


def create_ladder(*, clinic: Clinic, **values: Any) -> Ladder:
    """The shipped one, as the clinic's own."""
    return _save(Ladder, values, clinic_id=clinic.id, steps=list(default_steps()), changed_at=AT)


def create_review(*, patient: Patient, by: User | None = None, **values: Any) -> Review:
    """By a clinician at AT, of all devices of the patient."""
    by = by or create_user(clinic=patient.clinic)
    return _save(
        Review, values, clinic_id=patient.clinic_id, patient_id=patient.id, reviewed_at=AT, reviewed_on=AT.date(),
        reviewed_by_id=by.id, entered_by_id=by.id, covers_from=AT - dt.timedelta(days=90), covers_until=AT,
        open_alerts=0, unacknowledged_high=0, devices=list(patient.devices), created_at=AT,
    )  # fmt: skip


def create_recall(
    *, clinic: Clinic | None = None, text: str = "Model: Example Pump", **values: Any
) -> Recall:
    """A recall with its list, not yet matched against any device."""
    clinic = clinic or create_clinic()
    by = create_user(clinic=clinic, role="nurse")
    lists = [RecallListVersion(number=1, text=text, unread=[], entered_by_id=by.id, created_at=AT)]
    return _save(
        Recall, values, clinic_id=clinic.id, title="Motor stall", recall_class="II", advice="Interrogate the pump.",
        created_by_id=by.id, created_at=AT, lists=lists,
    )  # fmt: skip


def create_outreach(*, recall: Recall, device: Device, **values: Any) -> RecallOutreach:
    return _save(
        RecallOutreach, values, clinic_id=recall.clinic_id, recall_id=recall.id, device_id=device.id,
        match="matched", line=1, missing=[], opened_at=AT, changed_at=AT,
    )  # fmt: skip


def create_broker_login(*, device: Device, **values: Any) -> BrokerLogin:
    """A login that nobody knows the password of."""
    return _save(
        BrokerLogin, values, username=str(device.public_id), device_id=device.id, role="device",
        password_hash="none", salt="none", iterations=1, issued_at=AT,
    )  # fmt: skip


def create_quarantine(
    *, clinic: Clinic | None = None, device: Device | None = None, **values: Any
) -> Quarantine:
    clinic_id = device.clinic_id if device else (clinic or create_clinic()).id
    payload = values.pop("payload", f'{{"broken": {next(_count)}'.encode())
    return _save(
        Quarantine, values, clinic_id=clinic_id, device_id=device.id if device else None, payload=payload,
        fingerprint=hashlib.sha256(payload).digest(), topic=f"scs/v1/0/{new_public_id()}/up/telemetry",
        reason="not_json", detail="the payload is not JSON", received_at=AT,
    )  # fmt: skip


def _identity(device: Device, values: dict[str, Any]) -> dict[str, Any]:
    measured_at = values.get("measured_at", AT)
    return {
        "device_id": device.id, "epoch": "e1", "seq": next(_count), "clinic_id": device.clinic_id,
        "measured_at": measured_at, "device_at": measured_at, "received_at": measured_at,
    }  # fmt: skip


def _by(user: User | None, device: Device) -> User:
    return user or create_user(clinic=db.session.get_one(Clinic, device.clinic_id))


@cache
def _password_hash() -> str:
    return QUICK_HASHER.hash(PASSWORD)


def _save(model: type[Row], values: dict[str, Any], /, **defaults: Any) -> Row:
    row = model(**defaults | values)
    db.session.add(row)
    db.session.commit()
    return row
