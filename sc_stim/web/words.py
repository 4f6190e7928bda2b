"""Codes and numbers in the words of the ward. A code without an entry is shown as it is, without its underscores."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from sc_stim.i18n import _lazy
from sc_stim.web.codes import READABLE

SEVERITY: Final = {
    "high": _lazy("High"),
    "medium": _lazy("Medium"),
    "low": _lazy("Low"),
    "info": _lazy("For information"),
}

ALERT_STATE: Final = {
    "unacknowledged": _lazy("Nobody has taken it"),
    "acknowledged": _lazy("Taken"),
    "shelved": _lazy("On the shelf"),
    "returned_to_normal": _lazy("Back to normal, not seen yet"),
    "closed": _lazy("Closed"),
}

ALERT_EVENT: Final = {
    "raise": _lazy("Raised"),
    "raise_worse": _lazy("Got worse"),
    "escalate": _lazy("Passed on to the second contact"),
    "acknowledge": _lazy("Acknowledged"),
    "shelve": _lazy("Shelved"),
    "unshelve": _lazy("Taken off the shelf"),
    "shelf_expired": _lazy("Back from the shelf"),
    "return_to_normal": _lazy("Back to normal"),
    "resolve": _lazy("Resolved"),
    "comment": _lazy("Comment"),
    "call": _lazy("People were told"),
    "assign": _lazy("Given to somebody"),
    "message_failed": _lazy("A message did not arrive"),
}

CLOCK: Final = {
    "empty_probability": _lazy("the risk of running empty"),
    "low_reservoir": _lazy("the low-reservoir alarm"),
    "drug_stability": _lazy("the time the drug keeps in the pump"),
    "max_interval": _lazy("the longest interval between fills"),
    "end_of_service": _lazy("the pump's end of service"),
}

# What to do about a pump whose forecast was refused.
REFUSAL: Final = {
    "no_fill_recorded": _lazy("Record the last fill of this pump."),
    "stale_fill": _lazy("The newest fill on record is too long ago: record the later ones."),
    "no_settings_recorded": _lazy("Record the programmed flow of this pump."),
    "settings_missing": _lazy("The settings start after the last fill: record those in force at the fill."),
    "no_drug_recorded": _lazy("Record the drugs in this pump."),
    "unknown_concentration": _lazy("Record the concentration of every drug in this pump."),
    "unknown_drug": _lazy("A drug in this pump is not in the formulary: correct its name at the last fill."),
    "unknown_timezone": _lazy("Correct the time zone of the patient."),
    "unknown_country": _lazy(
        "The calendar of open days of this country is not known: ask the administrator."
    ),
    "stale_reading": _lazy("The pump has not reported its reservoir for long: interrogate it."),
    "contradicting_reading": _lazy(
        "The pump counts less than its record leaves: interrogate it and complete the record."
    ),
    "no_open_day": _lazy("The clinic has no open day in the weeks before: check its closures."),
}

# Why a pump stands where it stands on the worklist.
RISK_REASON: Final = {
    "therapy_stopped": _lazy("The pump has stopped"),
    "no_forecast": _lazy("No refill date can be computed"),
    "may_be_empty": _lazy("May be empty already"),
    "overdue": _lazy("Refill date has passed"),
    "life_threatening_withdrawal": _lazy("Stopping this drug suddenly can kill"),
    "severe_withdrawal": _lazy("Severe withdrawal when it runs dry"),
    "opioid_withdrawal": _lazy("Opioid withdrawal when it runs dry"),
    "missed_visits": _lazy("Missed a visit"),
    "unreachable": _lazy("No way to reach the patient"),
    "possible_over_infusion": _lazy("Empties faster than programmed"),
}

PAIN_FINDING: Final = {
    "step_up": _lazy("Pain rose"),
    "drift_up": _lazy("Pain is rising slowly"),
    "flare": _lazy("Flare"),
    "step_down": _lazy("Pain fell suddenly"),
    "stopped_reporting": _lazy("Stopped reporting"),
}

TIER: Final = {"soft": _lazy("a first sign"), "persistent": _lazy("it has lasted")}

NEXT_STEP: Final = {
    "ask_for_score": _lazy("Ask the patient for a score"),
    "review_device": _lazy("Review the device"),
    "check_for_over_delivery": _lazy("See the patient at once: possible over-delivery"),
    "none": _lazy("Nothing"),
}

# What a cause card sorts its evidence by, in this order.
EVIDENCE_SIDE: Final = {"for": _lazy("For"), "no_data": _lazy("Not known"), "against": _lazy("Against")}

# Alert conditions that do not read well by themselves.
CONDITION: Final = {
    "pain_rise": _lazy("Pain has risen"),
    "pain_fall": _lazy("Pain has fallen"),
    "stopped_reporting": _lazy("No scores any more"),
    "refill_due": _lazy("Refill is due"),
    "remeasure": _lazy("Measure the residual again"),
    "possible_over_infusion": _lazy("Possible over-infusion"),
    "possible_under_infusion": _lazy("Possible under-delivery"),
    "possible_pocket_fill": _lazy("Possible pocket fill"),
    "no_data": _lazy("Device is silent"),
    "never_heard": _lazy("Device was never heard"),
    "program_changed": _lazy("Programme changed"),
    "mri_mode": _lazy("Still in MRI mode"),
    "post_mri_check_due": _lazy("Check after MRI is overdue"),
    "replacement_due": _lazy("Replacement is due"),
    "programming_session": _lazy("Programming session not closed"),
    "charge_missed": _lazy("Charging was missed"),
    "device_recall": _lazy("Device is recalled"),
    "therapy_off": _lazy("Stimulation is off for days"),
    "usage_down": _lazy("Stimulation is used much less"),
    "uncharged": _lazy("Battery is not charged"),
    "contact_open": _lazy("Contact in use is open"),
    "contact_short": _lazy("Contact in use is short"),
    "impedance_jump": _lazy("Impedance of a contact in use has changed"),
    "replacement_near": _lazy("Replacement is near"),
    "settings_mismatch": _lazy("Device does not report what is prescribed"),
    "closed_loop_out": _lazy("Closed loop misses its target"),
    "task_overdue": _lazy("A task is overdue"),
    "appointment_after_refill_by": _lazy("Visit is booked too late"),
    "visit_missed": _lazy("Visit was missed"),
    "reminder_by_phone": _lazy("Remind the patient by phone"),
}

# What the detail of an alert calls its parts.
DETAIL: Final = {
    "baseline_nrs": _lazy("Usual level (NRS)"),
    "level_nrs": _lazy("Level since then (NRS)"),
    "onset": _lazy("Began about"),
    "flagged": _lazy("Noticed"),
    "tier": _lazy("How sure"),
    "next_step": _lazy("What to do"),
    "binding_clock": _lazy("Because of"),
    "evidence": _lazy("The device said"),
    "left_after_visit": _lazy("Left so after a visit"),
    "recovered_at": _lazy("The device says it is over since"),
    "sentence": _lazy("In words"),
    "points": _lazy("Reported"),
    "until": _lazy("Over since"),
    "found": _lazy("What the refill showed"),
    "rests_on": _lazy("Why so urgent"),
    "silent_after": _lazy("Counts as silent after"),
    "report_interval_s": _lazy("Agreed to report every (s)"),
}

# What became of a message, and how it goes.
MESSAGE_STATE: Final = {
    "waiting": _lazy("Waits to be sent"),
    "sent": _lazy("Sent"),
    "failed": _lazy("Did not arrive"),
    "cancelled": _lazy("Not sent: no longer needed"),
}

CHANNEL: Final = {
    "email": _lazy("E-mail"),
    "sms": _lazy("SMS"),
    "push": _lazy("Push"),
    "webhook": _lazy("Another system"),
    "operator": _lazy("Operator"),
}

# What the burden of alerts is held against.
BURDEN_AIM: Final = {
    "alerts_per_patient_year": _lazy("Alerts per patient and year"),
    "high_per_patient_year": _lazy("High alerts per patient and year"),
    "actionable_share": _lazy("Share that needed something to be done"),
    "minutes_to_acknowledge_high": _lazy("Minutes until a high alert is taken (median)"),
}

TASK: Final = {
    "mri_check": _lazy("Check after an MRI scan"),
    "mri_preparation": _lazy("Prepare an MRI scan"),
    "impedance_remeasure": _lazy("Measure impedance again"),
}

PART: Final = {
    "database": _lazy("The database"),
    "cache": _lazy("The cache"),
    "broker": _lazy("The message broker"),
    "ingest": _lazy("The intake of messages"),
    "worker": _lazy("The judging of new data"),
    "beat": _lazy("The scheduler"),
    "messages": _lazy("The sending of messages"),
    "web": _lazy("The pages"),
}

# What to do about a part of the system that does not do its work.
PART_ADVICE: Final = {
    "database": _lazy(
        "Nothing can be read or saved. Call technical support; use the emergency sheets on paper."
    ),
    "cache": _lazy("Alerts and forecasts may be late. Call technical support."),
    "broker": _lazy("No device can report. Call technical support; ask urgent patients by telephone."),
    "ingest": _lazy("Reports of devices wait at the broker and are taken up later. Call technical support."),
    "worker": _lazy(
        "New data are kept but not judged: no new alerts. Call technical support; look at the worklist's dates "
        "with care."
    ),
    "beat": _lazy("Nothing is looked at by itself, as silent devices are. Call technical support."),
    "messages": _lazy("Alerts may tell nobody. Look at the alert list yourself, and check the contacts."),
    "web": _lazy("Call technical support."),
}

JOB: Final = {
    "find_silent": _lazy("Finding silent devices"),
    "follow_therapy": _lazy("Following stimulation and tasks"),
    "ask_nightly": _lazy("Asking for the night's forecasts"),
    "expire": _lazy("Ending what has run out"),
    "notify": _lazy("Calling people about alerts"),
    "deliver": _lazy("Sending messages"),
}

WORK: Final = {
    "refill": _lazy("Forecasts of pumps"),
    "pain": _lazy("Judgements of pain scores"),
    "device": _lazy("Conditions of devices"),
    "therapy": _lazy("Judgements of stimulation"),
    "recall": _lazy("Matches against recalls"),
}

MESSAGE_KIND: Final = {
    "alert": _lazy("an alert"),
    "test": _lazy("a test"),
    "outage": _lazy("the system itself"),
    "reminder": _lazy("a visit"),
}

# Why a message was not delivered.
PROBLEM: Final = {
    "not_configured": _lazy("this channel is not configured; technical support sets it up"),
    "address_refused": _lazy("the address cannot be used; correct it"),
    "transport_refused": _lazy("the service refused it"),
    "host_unknown": _lazy("the host of the address is not known"),
    "host_not_public": _lazy("the address does not lead to a public host"),
    "expired": _lazy("it could not be sent in time"),
}

FLAG: Final = {
    "remeasure": _lazy("Measure again: aspirated and expected volume differ too much"),
    "possible_over_infusion": _lazy("Possible over-infusion"),
    "possible_under_infusion": _lazy("Possible under-infusion"),
    "possible_pocket_fill": _lazy("Possible pocket fill"),
    "not_as_prescribed": _lazy("The pump does not run as prescribed"),
    "expired_drug": _lazy("The drug had expired"),
    "unknown_drug": _lazy("A drug is not in the formulary"),
    "unverified_figure": _lazy("Rests on a figure that is not verified"),
}

# How far outreach about a device of a recall is, and what happened to it.
OUTREACH: Final = {
    "to_do": _lazy("To do"),
    "tried": _lazy("Tried"),
    "reached": _lazy("Reached"),
    "action_done": _lazy("Action done"),
    "not_needed": _lazy("Not needed"),
    "elsewhere": _lazy("Looked after elsewhere"),
    "listed": _lazy("On the list"),
    "left_list": _lazy("Off the corrected list"),
    "explanted": _lazy("Explanted"),
}

DEVICE_STATUS: Final = {
    "registered": _lazy("Registered"),
    "implanted": _lazy("Implanted"),
    "explanted": _lazy("Explanted"),
}

# Why a device came out.
EXPLANTATION: Final = {
    "end_of_service": _lazy("Battery at its end"),
    "malfunction": _lazy("It failed"),
    "recall": _lazy("Recall"),
    "infection": _lazy("Infection"),
    "no_benefit": _lazy("It helped no more"),
    "patient_wish": _lazy("The patient's wish"),
    "newer_model": _lazy("A newer model"),
    "other": _lazy("Another reason"),
}

# What people may ask a device for: (name, what it does).
COMMAND: Final = {
    "interrogate": (_lazy("Report now"), _lazy("Asks the device for its newest data.")),
    "time_sync": (
        _lazy("Set the clock"),
        _lazy("Tells the device the time. Asked for again after 2 minutes without an answer."),
    ),
    "diary_prompt": (
        _lazy("Ask for a diary entry"),
        _lazy("The patient's controller asks for a pain score."),
    ),
    "report_interval": (_lazy("Change how often it reports"), _lazy("Between 10 s and 7 days.")),
}

# How far a command is. Only the device itself can say that it did it.
COMMAND_STATE: Final = {
    "pending": _lazy("Waiting to be sent"),
    "sent": _lazy("Sent, no answer yet"),
    "reported": _lazy("Done, the device says"),
    "refused": _lazy("The device refused"),
    "not_confirmed": _lazy("Not confirmed"),
}

# What devices report and what is prescribed for them: (name, unit).
READING: Final = {
    "state": (_lazy("State"), ""),
    "reservoir_ml": (_lazy("Reservoir, as the pump computes it"), "mL"),
    "flow_ml_per_day": (_lazy("Flow"), "mL/day"),
    "boluses": (_lazy("Boluses since the report before"), ""),
    "bolus_ml": (_lazy("Bolus"), "mL"),
    "battery_v": (_lazy("Battery"), "V"),
    "eri_months": (_lazy("Until replacement"), "months"),
    "low_reservoir_alarm_ml": (_lazy("Low-reservoir alarm"), "mL"),
    "on_s": (_lazy("Stimulation since the report before"), "s"),
    "program": (_lazy("Programme"), ""),
    "amplitude_ma": (_lazy("Amplitude"), "mA"),
    "pulse_width_us": (_lazy("Pulse width"), "µs"),
    "rate_hz": (_lazy("Rate"), _lazy("Hz")),
    "battery_pct": (_lazy("Battery charge"), "%"),
    "charged_s": (_lazy("Charged since the report before"), "s"),
    "impedance_ohm": (_lazy("Impedance by contact, from 0"), "Ω"),
    "ecap_in_window_pct": (_lazy("ECAP within its window"), "%"),
    "posture": (_lazy("Posture"), ""),
}

# What became of a message from quarantine that was taken up again.
REPLAY: Final = {
    "stored": _lazy("Taken"),
    "duplicate": _lazy("Was there already"),
    "quarantined": _lazy("Still refused"),
}

# What ended a task, and what was done for it.
TASK_EVENT: Final = {
    "opened": _lazy("Opened"),
    "interrogation": _lazy("Interrogated"),
    "done": _lazy("Done"),
    "closed": _lazy("Closed"),
    "session_closed": _lazy("a programming session of the device"),
    "explanted": _lazy("the device was explanted"),
}

# Acts on values of the clinic whose record holds no list of what was changed.
CLINIC_CHANGE: Final = {
    "clinic.hours": _lazy("Opening hours"),
    "escalation.change": _lazy("Escalation ladder"),
}

ROLE: Final = {
    "clinician": _lazy("Clinician"),
    "nurse": _lazy("Nurse"),
    "engineer": _lazy("Engineer"),
    "auditor": _lazy("Auditor"),
    "admin": _lazy("Administrator"),
}

ACRONYMS: Final = frozenset({"mri", "ct", "emg", "cbt", "eri", "eos", "nrs", "ecap", "json", "udi"})


_IN_DETAIL: Final = {**PAIN_FINDING, **TIER, **NEXT_STEP, **CLOCK}


def in_detail(text: str) -> str:
    """A text of an alert's detail: a code in words, anything else as it is."""
    code = text.removeprefix("state:")
    return say(_IN_DETAIL, code) if code.replace("_", "").isalpha() and code.islower() else text


def say(words: Mapping[str, str], code: str) -> str:
    """The words for a code, or the code made readable."""
    return str(words.get(code, "")) or plain(code)


def plain(code: str) -> str:
    """`motor_stall` -> `Motor stall`, `mri_entered` -> `MRI entered`."""
    if code in READABLE:
        return str(READABLE[code])
    text = " ".join(word.upper() if word in ACRONYMS else word for word in code.split("_"))
    return text[:1].upper() + text[1:]


def number(value: float, digits: int = 6) -> str:
    """So many significant digits, none that say nothing, no exponent: 0.025, 15.44, 7, 12000."""
    return f"{Decimal(f'{value:.{digits}g}'):f}"
