"""Tables, one file per aggregate. Importing this package registers all of them."""

from sc_stim.models.alert import Alert, AlertEntry
from sc_stim.models.appointment import Absence, Appointment, CalendarFeed, ClinicResource, OpeningHours
from sc_stim.models.audit import AuditEntry, AuditHead
from sc_stim.models.care_task import CareTask, CareTaskEntry
from sc_stim.models.clinic import ApiToken, Clinic, ClinicClosure, User
from sc_stim.models.clinic_figure import ClinicFigure
from sc_stim.models.device import BrokerLogin, Command, Device, DeviceSetting, Fill, Lead
from sc_stim.models.emergency import EmergencyLink
from sc_stim.models.escalation import Contact, Ladder, Shift
from sc_stim.models.long_work import LongWork, LongWorkPart
from sc_stim.models.message import Message, MessageAttempt
from sc_stim.models.outage import Outage
from sc_stim.models.patient import (
    Assessment,
    PainCheckpoint,
    PainFinding,
    PainModel,
    PainScore,
    Patient,
    Treatment,
)
from sc_stim.models.recall import Recall, RecallListVersion, RecallOutreach, RecallOutreachEntry
from sc_stim.models.review import Review, ReviewPlan
from sc_stim.models.saved_view import SavedView
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
    "Absence", "Alert", "AlertEntry", "ApiToken", "Appointment", "Assessment", "AuditEntry", "AuditHead",
    "BrokerLogin", "CalendarFeed", "CareTask", "CareTaskEntry", "Clinic", "ClinicClosure", "ClinicFigure",
    "ClinicResource", "Command", "Contact", "Device", "DeviceEpoch", "DeviceEvent", "DeviceSetting",
    "DeviceState", "EmergencyLink", "Fill", "Forecast", "Heartbeat", "IdempotencyKey", "JobRun", "Ladder", "Lead",
    "LongWork", "LongWorkPart", "Message", "MessageAttempt", "OpeningHours", "Outage", "PainCheckpoint", "PainFinding",
    "PainModel",
    "PainScore", "Patient", "PumpSample", "Quarantine", "Recall", "RecallListVersion", "RecallOutreach",
    "RecallOutreachEntry", "Review", "ReviewPlan", "SavedView", "Shift", "StimulatorSample", "Treatment", "User",
    "WorkItem",
]  # fmt: skip
