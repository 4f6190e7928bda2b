"""Codes and numbers in the words of the ward. A code without an entry is shown as it is, without its underscores."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from sc_stim.clinical import risk

SEVERITY: Final = {"high": "High", "medium": "Medium", "low": "Low", "info": "For information"}

ALERT_STATE: Final = {
    "unacknowledged": "Nobody has taken it",
    "acknowledged": "Taken",
    "shelved": "On the shelf",
    "returned_to_normal": "Back to normal, not seen yet",
    "closed": "Closed",
}

ALERT_EVENT: Final = {
    "raise": "Raised",
    "raise_worse": "Got worse",
    "escalate": "Passed on to the second contact",
    "acknowledge": "Acknowledged",
    "shelve": "Shelved",
    "unshelve": "Taken off the shelf",
    "shelf_expired": "Back from the shelf",
    "return_to_normal": "Back to normal",
    "resolve": "Resolved",
    "comment": "Comment",
    "call": "People were told",
    "assign": "Given to somebody",
    "message_failed": "A message did not arrive",
}

CLOCK: Final = {
    "empty_probability": "the risk of running empty",
    "low_reservoir": "the low-reservoir alarm",
    "drug_stability": "the time the drug keeps in the pump",
    "max_interval": "the longest interval between fills",
    "end_of_service": "the pump's end of service",
}

# What to do about a pump whose forecast was refused.
REFUSAL: Final = {
    "no_fill_recorded": "Record the last fill of this pump.",
    "stale_fill": "The newest fill on record is too long ago: record the later ones.",
    "no_settings_recorded": "Record the programmed flow of this pump.",
    "settings_missing": "The settings start after the last fill: record those in force at the fill.",
    "no_drug_recorded": "Record the drugs in this pump.",
    "unknown_concentration": "Record the concentration of every drug in this pump.",
    "unknown_drug": "A drug in this pump is not in the formulary: correct its name at the last fill.",
    "unknown_timezone": "Correct the time zone of the patient.",
    "unknown_country": "The calendar of open days of this country is not known: ask the administrator.",
    "stale_reading": "The pump has not reported its reservoir for long: interrogate it.",
    "contradicting_reading": "The pump counts less than its record leaves: interrogate it and complete the record.",
    "no_open_day": "The clinic has no open day in the weeks before: check its closures.",
}

# Why a pump stands where it stands on the worklist.
RISK_REASON: Final = {reason.value: text for reason, text in risk.SENTENCES.items()}

PAIN_FINDING: Final = {
    "step_up": "Pain rose",
    "drift_up": "Pain is rising slowly",
    "flare": "Flare",
    "step_down": "Pain fell suddenly",
    "stopped_reporting": "Stopped reporting",
}

TIER: Final = {"soft": "a first sign", "persistent": "it has lasted"}

NEXT_STEP: Final = {
    "ask_for_score": "Ask the patient for a score",
    "review_device": "Review the device",
    "check_for_over_delivery": "See the patient at once: possible over-delivery",
    "none": "Nothing",
}

# What a cause card sorts its evidence by, in this order.
EVIDENCE_SIDE: Final = {"for": "For", "no_data": "Not known", "against": "Against"}

# Alert conditions that do not read well by themselves.
CONDITION: Final = {
    "pain_rise": "Pain has risen",
    "pain_fall": "Pain has fallen",
    "stopped_reporting": "No scores any more",
    "refill_due": "Refill is due",
    "remeasure": "Measure the residual again",
    "possible_over_infusion": "Possible over-infusion",
    "possible_under_infusion": "Possible under-delivery",
    "possible_pocket_fill": "Possible pocket fill",
    "no_data": "Device is silent",
    "never_heard": "Device was never heard",
    "program_changed": "Programme changed",
    "mri_mode": "Still in MRI mode",
    "post_mri_check_due": "Check after MRI is overdue",
    "replacement_due": "Replacement is due",
    "programming_session": "Programming session not closed",
    "charge_missed": "Charging was missed",
    "device_recall": "Device is recalled",
    "therapy_off": "Stimulation is off for days",
    "usage_down": "Stimulation is used much less",
    "uncharged": "Battery is not charged",
    "contact_open": "Contact in use is open",
    "contact_short": "Contact in use is short",
    "impedance_jump": "Impedance of a contact in use has changed",
    "replacement_near": "Replacement is near",
    "settings_mismatch": "Device does not report what is prescribed",
    "closed_loop_out": "Closed loop misses its target",
    "task_overdue": "A task is overdue",
    "appointment_after_refill_by": "Visit is booked too late",
    "visit_missed": "Visit was missed",
    "reminder_by_phone": "Remind the patient by phone",
}

# What the detail of an alert calls its parts.
DETAIL: Final = {
    "baseline_nrs": "Usual level (NRS)",
    "level_nrs": "Level since then (NRS)",
    "onset": "Began about",
    "flagged": "Noticed",
    "tier": "How sure",
    "next_step": "What to do",
    "binding_clock": "Because of",
    "evidence": "The device said",
    "left_after_visit": "Left so after a visit",
    "recovered_at": "The device says it is over since",
    "sentence": "In words",
    "points": "Reported",
    "until": "Over since",
    "found": "What the refill showed",
    "rests_on": "Why so urgent",
    "silent_after": "Counts as silent after",
    "report_interval_s": "Agreed to report every (s)",
}

# What became of a message, and how it goes.
MESSAGE_STATE: Final = {
    "waiting": "Waits to be sent",
    "sent": "Sent",
    "failed": "Did not arrive",
    "cancelled": "Not sent: no longer needed",
}

CHANNEL: Final = {
    "email": "E-mail",
    "sms": "SMS",
    "push": "Push",
    "webhook": "Another system",
    "operator": "Operator",
}

# What the burden of alerts is held against.
BURDEN_AIM: Final = {
    "alerts_per_patient_year": "Alerts per patient and year",
    "high_per_patient_year": "High alerts per patient and year",
    "actionable_share": "Share that needed something to be done",
    "minutes_to_acknowledge_high": "Minutes until a high alert is taken (median)",
}

TASK: Final = {
    "mri_check": "Check after an MRI scan",
    "mri_preparation": "Prepare an MRI scan",
    "impedance_remeasure": "Measure impedance again",
}

PART: Final = {
    "database": "The database",
    "cache": "The cache",
    "broker": "The message broker",
    "ingest": "The intake of messages",
    "worker": "The judging of new data",
    "beat": "The scheduler",
    "messages": "The sending of messages",
    "web": "The pages",
}

# What to do about a part of the system that does not do its work.
PART_ADVICE: Final = {
    "database": "Nothing can be read or saved. Call technical support; use the emergency sheets on paper.",
    "cache": "Alerts and forecasts may be late. Call technical support.",
    "broker": "No device can report. Call technical support; ask urgent patients by telephone.",
    "ingest": "Reports of devices wait at the broker and are taken up later. Call technical support.",
    "worker": "New data are kept but not judged: no new alerts. Call technical support; look at the worklist's dates "
    "with care.",
    "beat": "Nothing is looked at by itself, as silent devices are. Call technical support.",
    "messages": "Alerts may tell nobody. Look at the alert list yourself, and check the contacts.",
    "web": "Call technical support.",
}

JOB: Final = {
    "find_silent": "Finding silent devices",
    "follow_therapy": "Following stimulation and tasks",
    "ask_nightly": "Asking for the night's forecasts",
    "expire": "Ending what has run out",
    "notify": "Calling people about alerts",
    "deliver": "Sending messages",
}

WORK: Final = {
    "refill": "Forecasts of pumps",
    "pain": "Judgements of pain scores",
    "device": "Conditions of devices",
    "therapy": "Judgements of stimulation",
    "recall": "Matches against recalls",
}

MESSAGE_KIND: Final = {
    "alert": "an alert",
    "test": "a test",
    "outage": "the system itself",
    "reminder": "a visit",
}

# Why a message was not delivered.
PROBLEM: Final = {
    "not_configured": "this channel is not configured; technical support sets it up",
    "address_refused": "the address cannot be used; correct it",
    "transport_refused": "the service refused it",
    "host_unknown": "the host of the address is not known",
    "host_not_public": "the address does not lead to a public host",
    "expired": "it could not be sent in time",
}

FLAG: Final = {
    "remeasure": "Measure again: aspirated and expected volume differ too much",
    "possible_over_infusion": "Possible over-infusion",
    "possible_under_infusion": "Possible under-infusion",
    "possible_pocket_fill": "Possible pocket fill",
    "not_as_prescribed": "The pump does not run as prescribed",
    "expired_drug": "The drug had expired",
    "unknown_drug": "A drug is not in the formulary",
    "unverified_figure": "Rests on a figure that is not verified",
}

# How far outreach about a device of a recall is, and what happened to it.
OUTREACH: Final = {
    "to_do": "To do",
    "tried": "Tried",
    "reached": "Reached",
    "action_done": "Action done",
    "not_needed": "Not needed",
    "elsewhere": "Looked after elsewhere",
    "listed": "On the list",
    "left_list": "Off the corrected list",
    "explanted": "Explanted",
}

DEVICE_STATUS: Final = {"registered": "Registered", "implanted": "Implanted", "explanted": "Explanted"}

# What people may ask a device for: (name, what it does).
COMMAND: Final = {
    "interrogate": ("Report now", "Asks the device for its newest data."),
    "time_sync": (
        "Set the clock",
        "Tells the device the time. Asked for again after 2 minutes without an answer.",
    ),
    "diary_prompt": ("Ask for a diary entry", "The patient's controller asks for a pain score."),
    "report_interval": ("Change how often it reports", "Between 10 s and 7 days."),
}

# How far a command is. Only the device itself can say that it did it.
COMMAND_STATE: Final = {
    "pending": "Waiting to be sent",
    "sent": "Sent, no answer yet",
    "reported": "Done, the device says",
    "refused": "The device refused",
    "not_confirmed": "Not confirmed",
}

# What devices report and what is prescribed for them: (name, unit).
READING: Final = {
    "state": ("State", ""),
    "reservoir_ml": ("Reservoir, as the pump computes it", "mL"),
    "flow_ml_per_day": ("Flow", "mL/day"),
    "boluses": ("Boluses since the report before", ""),
    "bolus_ml": ("Bolus", "mL"),
    "battery_v": ("Battery", "V"),
    "eri_months": ("Until replacement", "months"),
    "low_reservoir_alarm_ml": ("Low-reservoir alarm", "mL"),
    "on_s": ("Stimulation since the report before", "s"),
    "program": ("Programme", ""),
    "amplitude_ma": ("Amplitude", "mA"),
    "pulse_width_us": ("Pulse width", "µs"),
    "rate_hz": ("Rate", "Hz"),
    "battery_pct": ("Battery charge", "%"),
    "charged_s": ("Charged since the report before", "s"),
    "impedance_ohm": ("Impedance by contact, from 0", "Ω"),
    "ecap_in_window_pct": ("ECAP within its window", "%"),
    "posture": ("Posture", ""),
}

# What became of a message from quarantine that was taken up again.
REPLAY: Final = {
    "stored": "Taken",
    "duplicate": "Was there already",
    "quarantined": "Still refused",
}

# What ended a task, and what was done for it.
TASK_EVENT: Final = {
    "opened": "Opened",
    "interrogation": "Interrogated",
    "done": "Done",
    "closed": "Closed",
    "session_closed": "a programming session of the device",
    "explanted": "the device was explanted",
}

# Acts on values of the clinic whose record holds no list of what was changed.
CLINIC_CHANGE: Final = {"clinic.hours": "Opening hours", "escalation.change": "Escalation ladder"}

ROLE: Final = {
    "clinician": "Clinician",
    "nurse": "Nurse",
    "engineer": "Engineer",
    "auditor": "Auditor",
    "admin": "Administrator",
}

ACRONYMS: Final = frozenset({"mri", "ct", "emg", "cbt", "eri", "eos", "nrs", "ecap", "json", "udi"})


_IN_DETAIL: Final = {**PAIN_FINDING, **TIER, **NEXT_STEP, **CLOCK}


def in_detail(text: str) -> str:
    """A text of an alert's detail: a code in words, anything else as it is."""
    code = text.removeprefix("state:")
    return say(_IN_DETAIL, code) if code.replace("_", "").isalpha() and code.islower() else text


def say(words: Mapping[str, str], code: str) -> str:
    """The words for a code, or the code made readable."""
    return words.get(code) or plain(code)


def plain(code: str) -> str:
    """`motor_stall` -> `Motor stall`, `mri_entered` -> `MRI entered`."""
    text = " ".join(word.upper() if word in ACRONYMS else word for word in code.split("_"))
    return text[:1].upper() + text[1:]


def number(value: float, digits: int = 6) -> str:
    """So many significant digits, none that say nothing, no exponent: 0.025, 15.44, 7, 12000."""
    return f"{Decimal(f'{value:.{digits}g}'):f}"
