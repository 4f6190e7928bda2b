"""Entries of the audit trail in the words of the ward: what was done, to whom or what.

A patient stays an id here: the auditor's role does not read patients.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from sc_stim.access import in_clinic
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _, _lazy, ngettext
from sc_stim.models import AuditEntry, Device, User
from sc_stim.web import words

ACT: Final = {
    "alert.acknowledge": _lazy("Acknowledged an alert"),
    "alert.assign": _lazy("Gave an alert to somebody"),
    "alert.burden": _lazy("Looked at the burden of alerts"),
    "alert.comment": _lazy("Commented on an alert"),
    "alert.export": _lazy("Took the alert list away"),
    "alert.list": _lazy("Looked at the alert list"),
    "alert.resolve": _lazy("Resolved an alert"),
    "alert.shelve": _lazy("Shelved an alert"),
    "alert.triage": _lazy("Went through the alerts one by one"),
    "alert.unshelve": _lazy("Took an alert off the shelf"),
    "alert.view": _lazy("Looked at an alert"),
    "appointment.book": _lazy("Booked a visit"),
    "appointment.cancel": _lazy("Cancelled a visit"),
    "appointment.change": _lazy("Changed a visit"),
    "appointment.export": _lazy("Took the calendar away"),
    "appointment.list": _lazy("Looked at the calendar"),
    "appointment.move": _lazy("Moved a visit"),
    "appointment.view": _lazy("Looked at a visit"),
    "assessment.change": _lazy("Changed an assessment"),
    "assessment.create": _lazy("Recorded an assessment"),
    "audit.export": _lazy("Took the audit trail away"),
    "audit.verify": _lazy("Had the chain checked"),
    "audit.view": _lazy("Looked at the audit trail"),
    "calendar.create": _lazy("Made a calendar address"),
    "calendar.read": _lazy("A calendar address was read"),
    "calendar.revoke": _lazy("Revoked a calendar address"),
    "clinic.change": _lazy("Changed the clinic's settings"),
    "clinic.create": _lazy("Set the clinic up"),
    "clinic.export": _lazy("Took the clinic's settings away"),
    "clinic.hours": _lazy("Changed the opening hours"),
    "command.request": _lazy("Asked a device for something"),
    "contact.change": _lazy("Changed a contact"),
    "contact.create": _lazy("Added a contact"),
    "contact.export": _lazy("Took the contacts away"),
    "contact.list": _lazy("Looked at the contacts"),
    "contact.test": _lazy("Sent a contact a test"),
    "credential.issue": _lazy("Gave a device a login"),
    "credential.revoke": _lazy("Cut a device off"),
    "demo.seed": _lazy("Filled the clinic with simulated patients"),
    "device.change": _lazy("Changed a device"),
    "device.commands": _lazy("Looked at what a device was asked for"),
    "device.commands.export": _lazy("Took away what a device was asked for"),
    "device.create": _lazy("Registered a device"),
    "device.events": _lazy("Looked at the events of a device"),
    "device.events.export": _lazy("Took the events of a device away"),
    "device.export": _lazy("Took the device list away"),
    "device.fills": _lazy("Looked at the refills of a pump"),
    "device.fills.export": _lazy("Took the refills of a pump away"),
    "device.forecast": _lazy("Looked at the forecast of a pump"),
    "device.leave_patient": _lazy("Took a device off its patient's record"),
    "device.list": _lazy("Looked at the device list"),
    "device.prepare": _lazy("Prepared the registration of a device"),
    "device.readings.export": _lazy("Took the readings of a device away"),
    "device.replace": _lazy("Replaced a device"),
    "device.settings": _lazy("Looked at the settings of a device"),
    "device.slots": _lazy("Looked for a time for a visit"),
    "device.telemetry": _lazy("Looked at the readings of a device"),
    "device.view": _lazy("Looked at a device"),
    "device.visit": _lazy("Opened the form of a refill"),
    "diary.export": _lazy("Took a patient's diary away"),
    "emergency_link.create": _lazy("Made a link to an emergency sheet"),
    "emergency_link.revoke": _lazy("Revoked a link to an emergency sheet"),
    "emergency_sheet.read": _lazy("An emergency sheet was read by its link"),
    "emergency_sheet.view": _lazy("Looked at an emergency sheet"),
    "escalation.change": _lazy("Changed the escalation ladder"),
    "figure.back_to_shipped": _lazy("Put a figure back to the shipped one"),
    "figure.export": _lazy("Took the figures away"),
    "figure.set": _lazy("Set a figure of the clinic's own"),
    "fill.confirm": _lazy("Confirmed a refill as second person"),
    "fill.correct": _lazy("Corrected a refill"),
    "fill.record": _lazy("Recorded a refill"),
    "long_work.cancel": _lazy("Called long work off"),
    "long_work.export": _lazy("Took the result of long work away"),
    "long_work.start": _lazy("Started long work"),
    "message.export": _lazy("Took the list of messages away"),
    "message.list": _lazy("Looked at the messages"),
    "mri_scan.plan": _lazy("Planned an MRI scan"),
    "patient.assessments": _lazy("Looked at a patient's assessments"),
    "patient.change": _lazy("Changed a patient's record"),
    "patient.create": _lazy("Added a patient"),
    "patient.diary": _lazy("Looked at a patient's diary"),
    "patient.export": _lazy("Took records of patients away"),
    "patient.list": _lazy("Looked at the patient list"),
    "patient.review_plan": _lazy("Looked at a patient's review plan"),
    "patient.reviews": _lazy("Looked at a patient's reviews"),
    "patient.timeline": _lazy("Looked at a patient's time line"),
    "patient.treatments": _lazy("Looked at a patient's treatments"),
    "patient.usual_pain": _lazy("Looked at a patient's usual pain"),
    "patient.view": _lazy("Looked at a patient's record"),
    "quarantine.export": _lazy("Took the quarantine list away"),
    "quarantine.list": _lazy("Looked at the quarantine"),
    "quarantine.replay": _lazy("Took a message up from quarantine"),
    "quarantine.view": _lazy("Looked at a message in quarantine"),
    "recall.change": _lazy("Changed a recall"),
    "recall.create": _lazy("Kept a recall"),
    "recall.export": _lazy("Took a recall list away"),
    "recall.follow_up": _lazy("Followed up a recalled device"),
    "recall.list": _lazy("Looked at the recalls"),
    "recall.outreach": _lazy("Looked at the outreach of a recall"),
    "recall.preview": _lazy("Tried a recall against the devices"),
    "recall.view": _lazy("Looked at a recall"),
    "refill.list": _lazy("Looked at the refills due"),
    "refill.visits": _lazy("Looked at the refill visits"),
    "resource.change": _lazy("Changed a room or person of the calendar"),
    "resource.create": _lazy("Added a room or person of the calendar"),
    "review.correct": _lazy("Corrected a review"),
    "review.list_due": _lazy("Looked at the reviews due"),
    "review.record": _lazy("Recorded a review"),
    "review.withdraw": _lazy("Withdrew a review"),
    "review_plan.change": _lazy("Changed a review plan"),
    "saved_view.change": _lazy("Changed a saved view"),
    "saved_view.create": _lazy("Saved a view"),
    "saved_view.delete": _lazy("Deleted a saved view"),
    "score.correct": _lazy("Corrected a pain score"),
    "score.enter": _lazy("Entered a pain score"),
    "second_person.sign_in": _lazy("Signed in as second person"),
    "second_person.sign_in_failed": _lazy("Failed to sign in as second person"),
    "session.sign_in": _lazy("Signed in"),
    "session.sign_in_failed": _lazy("Failed to sign in"),
    "session.sign_out": _lazy("Signed out"),
    "setting.prescribe": _lazy("Prescribed settings"),
    "shift.create": _lazy("Added a duty"),
    "shift.delete": _lazy("Removed a duty"),
    "task.done": _lazy("Did a task"),
    "task.export": _lazy("Took the task list away"),
    "task.interrogation": _lazy("Recorded an interrogation for a task"),
    "task.list": _lazy("Looked at the tasks"),
    "task.view": _lazy("Looked at a task"),
    "treatment.change": _lazy("Changed a treatment"),
    "treatment.create": _lazy("Recorded a treatment"),
    "user.change": _lazy("Changed a person's account"),
    "user.create": _lazy("Added a person"),
    "user.export": _lazy("Took the list of people away"),
    "user.list": _lazy("Looked at the list of people"),
    "user.set_password": _lazy("Set a password"),
    "user.sign_out": _lazy("Signed a person out everywhere"),
    "user.view": _lazy("Looked at a person's account"),
    "worklist.export": _lazy("Took the worklist away"),
    "worklist.view": _lazy("Looked at the worklist"),
}


@dataclass(frozen=True)
class Names:
    """What the ids in some entries stand for, in the clinic of who asks."""

    people: Mapping[str, str]
    devices: Mapping[str, str]  # model and serial number

    def about(self, entry: AuditEntry) -> str:
        """What the act was about, in one line, without the ids that have no name here: the CSV has them."""
        return " · ".join(self._about(entry))

    def _about(self, entry: AuditEntry) -> Iterator[str]:
        subject = entry.subject or ""
        if entry.subject_kind:
            known = self.people.get(subject) or self.devices.get(subject)
            yield known or words.plain(entry.subject_kind)
        for name, value in entry.detail.items():
            if name == "patients" and isinstance(value, list):
                yield ngettext("%(num)s patient", "%(num)s patients", len(value))
            elif name == "device" and str(value) in self.devices:
                yield self.devices[str(value)]
            elif not self._nameless(value):
                yield f"{words.plain(name).lower()}: {self._said(value)}"

    def _nameless(self, value: object) -> bool:
        """An id that says nothing to a reader."""
        return isinstance(value, str) and as_uuid(value) is not None and self._said(value) == value

    def _said(self, value: object) -> str:
        """A list by its length, changes by what they were: which exactly is in the CSV."""
        if value is None or value == [] or value == "":
            return _("none")
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if isinstance(value, list):
            return str(len(value)) if len(value) > 2 else ", ".join(map(self._said, value))
        if isinstance(value, dict):
            return ", ".join(self._change(name, change) for name, change in value.items())
        return self.people.get(str(value)) or self.devices.get(str(value)) or str(value)

    def _change(self, name: str, change: object) -> str:
        said = words.plain(name).lower()
        if isinstance(change, list) and len(change) == 2:
            return f"{said} {self._said(change[0])} → {self._said(change[1])}"
        return said if change is None else f"{said} {self._said(change)}"


def act(action: str) -> str:
    """What was done; a code without words is made readable."""
    return str(ACT.get(action, "")) or words.plain(action.replace(".", "_"))


def people() -> list[tuple[str, str]]:
    """(id, name) of everybody of the clinic."""
    found = in_clinic(select(User.public_id, User.name), User, actor().clinic_id).order_by(User.name)
    return [(str(public_id), name) for public_id, name in db.session.execute(found)]


def names(entries: Sequence[AuditEntry]) -> Names:
    return Names(dict(people()), _devices({name for entry in entries for name in _ids(entry)}))


def _devices(ids: set[uuid.UUID]) -> dict[str, str]:
    columns = select(Device.public_id, Device.model, Device.serial).where(Device.public_id.in_(ids))
    found = db.session.execute(in_clinic(columns, Device, actor().clinic_id)) if ids else ()
    return {str(public_id): f"{model} {serial}" for public_id, model, serial in found}


def _ids(entry: AuditEntry) -> Iterator[uuid.UUID]:
    named: Iterable[object] = (entry.detail.get("device"), entry.detail.get("by"),
                               entry.subject if entry.subject_kind == "device" else None)  # fmt: skip
    for value in named:
        found = as_uuid(value) if isinstance(value, str) else None
        if found:
            yield found


def as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
