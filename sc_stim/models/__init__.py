"""Tables, one file per aggregate. Importing this package registers all of them."""

from sc_stim.models.alert import Alert, AlertEntry
from sc_stim.models.audit import AuditEntry, AuditHead
from sc_stim.models.clinic import ApiToken, Clinic, ClinicClosure, User
from sc_stim.models.device import BrokerLogin, Command, Device, DeviceSetting, Fill, Lead
from sc_stim.models.patient import Assessment, PainFinding, PainModel, PainScore, Patient, Treatment
from sc_stim.models.telemetry import (
    DeviceEpoch,
    DeviceEvent,
    DeviceState,
    Forecast,
    PumpSample,
    Quarantine,
    StimulatorSample,
)
from sc_stim.models.work import Heartbeat, IdempotencyKey, JobRun, WorkItem

__all__ = [
    "Alert", "AlertEntry", "ApiToken", "Assessment", "AuditEntry", "AuditHead", "BrokerLogin", "Clinic",
    "ClinicClosure", "Command", "Device", "DeviceEpoch", "DeviceEvent", "DeviceSetting", "DeviceState", "Fill",
    "Forecast", "Heartbeat", "IdempotencyKey", "JobRun", "Lead", "PainFinding", "PainModel", "PainScore",
    "Patient", "PumpSample", "Quarantine", "StimulatorSample", "Treatment", "User", "WorkItem",
]  # fmt: skip
