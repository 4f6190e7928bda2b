"""A code that reaches a page without words of its own is readable at best; those that steer work must have them."""

import re
from pathlib import Path
from typing import get_args

import pytest

import sc_stim
from sc_stim.access import ROLES
from sc_stim.clinical import alarms, refill, risk
from sc_stim.clinical.alert_lifecycle import Event, State
from sc_stim.clinical.risk import Reason, RiskLabel
from sc_stim.clinical.therapy_health import shipped_rules
from sc_stim.devices import records
from sc_stim.models import patient
from sc_stim.models.care_task import KINDS
from sc_stim.web import acts, words
from sc_stim.web.codes import READABLE
from sc_stim.workflows.alerts import SEVERITIES
from sc_stim.workflows.health import PARTS

CLOCKS = (
    refill.EMPTY_PROBABILITY, refill.LOW_RESERVOIR, refill.DRUG_STABILITY, refill.MAX_INTERVAL, refill.END_OF_SERVICE,
)  # fmt: skip


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        (words.SEVERITY, (*SEVERITIES, *RiskLabel)),
        (words.ALERT_STATE, State),
        (words.ALERT_EVENT, (*Event, "comment")),
        (words.CLOCK, CLOCKS),
        (words.RISK_REASON, Reason),
        (words.ROLE, ROLES),
        (words.CONDITION, shipped_rules().conditions),
        (words.TASK, KINDS),
        (words.PART, set(PARTS) - {"database", "cache"}),  # a page cannot tell about these
    ],
)
def test_every_code_has_words(table, codes):
    assert set(codes) <= table.keys()


def test_the_reasons_of_the_worklist_are_called_as_its_rules_call_them():
    assert {code: str(text) for code, text in words.RISK_REASON.items()} == risk.SENTENCES


@pytest.mark.parametrize(
    "codes",
    [
        get_args(records.PumpState), get_args(records.StimulatorState), get_args(records.EventKind),
        alarms.shipped_table().conditions, records.Reason, patient.RISK_FACTORS, patient.SYMPTOMS, patient.TREATMENTS,
        patient.ASSESSMENTS,
    ],
)  # fmt: skip
def test_every_code_of_the_record_can_be_translated(codes):
    assert set(codes) - words.CONDITION.keys() <= READABLE.keys()


def test_a_code_without_words_is_made_readable():
    assert words.say({}, "motor_stall") == "Motor stall"
    assert words.say({}, "post_mri_check") == "Post MRI check"
    assert words.plain("") == ""


def test_the_detail_of_an_alert_keeps_free_text_and_translates_codes():
    assert words.in_detail("binding_clock") == "Binding clock"
    assert words.in_detail("state:stopped") == "Stopped"
    assert words.in_detail("soft") == "a first sign"
    assert words.in_detail("Lead 2: 12 kOhm") == "Lead 2: 12 kOhm"


@pytest.mark.parametrize(
    ("value", "words_"),
    [
        (0.025, "0.025"),
        (15.44, "15.44"),
        (7.0, "7"),
        (0, "0"),
        (12_000, "12000"),
        (1_234_567, "1234570"),
        (-0.5, "-0.5"),
        (1e-5, "0.00001"),
        (20.000000001, "20"),
    ],
)
def test_a_number_keeps_what_was_entered_and_never_turns_into_an_exponent(value, words_):
    assert words.number(value) == words_


def test_readings_are_rounded_to_the_digits_that_mean_something():
    assert words.number(4.333333, 3) == "4.33"
    assert words.number(19.6789, 3) == "19.7"


def test_every_act_that_is_put_on_record_has_words():
    recording = re.compile(
        r"(?:record|record_about|audit|audited|_record|_record_shift)\((?:[^()\"]|\(\))*\"([a-z_]+(?:\.[a-z_]+)+)\""
    )
    sources = [path.read_text() for path in Path(sc_stim.__file__).parent.rglob("*.py")]
    recorded = {act for source in sources for act in recording.findall(source)}

    assert len(recorded) > 80
    assert recorded <= acts.ACT.keys()
    assert len({str(said) for said in acts.ACT.values()}) == len(acts.ACT)
