"""The refill visit on the pages: what is expected, what was done, the second person, corrections, and paper."""

import csv
import datetime as dt
import io
import re

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, DeviceSetting, Fill
from sc_stim.web.paper import Paper
from tests import builders
from tests.apps import both_databases
from tests.builders import AT, PASSWORD

DAY = dt.timedelta(days=1)
# What a browser sends of a form in which the nurse typed only what is new.
TYPED = {
    "key": "0193b3f0-0000-7000-8000-000000000001", "at": "2026-11-23T09:00", "filled_ml": "20",
    "drug_1_name": "morphine", "drug_1_mg_per_ml": "10", "aspirated_ml": "6",
}  # fmt: skip
READ = {"filled_ml": "20", "drug_1_name": "Morphine", "drug_1_mg_per_ml": "10,0", "password": PASSWORD}


@pytest.fixture
def nurse(app):
    return builders.create_user(role="nurse", name="Nadia Berger")


@pytest.fixture
def colleague(nurse):
    return builders.create_user(clinic=nurse.clinic, role="nurse", name="Emil Koch")


@pytest.fixture
def clinician(nurse):
    return builders.create_user(clinic=nurse.clinic, role="clinician", name="Carla Rossi")


@pytest.fixture
def pump(nurse):
    """Filled with 20 mL 28 days ago, running at 0.5 mL/day: 6 mL are expected to be left."""
    patient = builders.create_patient(clinic=nurse.clinic, family_name="Okafor")
    pump = builders.create_pump(patient=patient)
    builders.create_setting(device=pump, effective_at=AT - 28 * DAY)
    builders.create_fill(pump=pump, at=AT - 28 * DAY, by=nurse)
    return pump


@pytest.fixture
def at_pump(visit, nurse, pump):
    """The nurse with the form of this pump open."""
    visitor = visit(nurse)
    visitor.page(here(pump))
    return visitor


def here(pump):
    return f"/pumps/{pump.public_id}/visit"


def newest(pump):
    return db.session.scalars(select(Fill).where(Fill.device_id == pump.id).order_by(Fill.id.desc())).first()


def fields(page):
    """What a browser would send of the page's fields, ticks only where they are set."""
    typed = {
        field.get("name"): field.get("value", "")
        for field in page.all("input")
        if field.get("type") != "checkbox" or field.get("checked") is not None
    }
    for choice in page.all("select"):
        chosen = [option.get("value") for option in choice if option.get("selected") is not None]
        typed[choice.get("name")] = chosen[0] if chosen else ""
    return typed | {area.get("name"): area.text or "" for area in page.all("textarea")}


def actions():
    return [row.action for row in db.session.scalars(select(AuditEntry).order_by(AuditEntry.number))]


@pytest.fixture
def written(monkeypatch):
    """What is put on paper: the font's own numbering of letters says little in the file."""
    words = []

    def note(name):
        put = getattr(Paper, name)

        def noted(paper, *args):
            args = [list(one) if not isinstance(one, str) else one for one in args]
            words.append(str(args))
            return put(paper, *args)

        monkeypatch.setattr(Paper, name, noted)

    for name in ("heading", "words", "facts", "rows"):
        note(name)
    return words


def test_the_page_starts_with_what_is_expected_and_suggests_what_it_knows(at_pump, pump):
    page = at_pump.page(here(pump))

    assert "6.0 mL" in page.text and "14.0 mL programmed since" in page.text
    typed = fields(page)
    assert (typed["filled_ml"], typed["drug_1_name"], typed["drug_1_mg_per_ml"]) == ("20", "morphine", "10")
    assert (typed["aspirated_ml"], typed["drug_lot"], typed["at"]) == ("", "", "2026-11-23T09:00")
    assert "Needle in the reservoir port" in page.text and "southshoreneurologic.com" in page.text
    form = next(form for form in page.all("form") if form.get("data-visit") is not None)
    assert [form.get(f"data-{name}") for name in ("expected", "programmed", "before")] == [
        "6.0",
        "14.0",
        "20.0",
    ]


def test_without_script_check_shows_the_same_and_keeps_nothing(at_pump, pump):
    page = at_pump.submitted(here(pump) + "/check", **TYPED | {"aspirated_ml": "3,1"})

    assert "2.9 mL less than expected" in page.within("reading")
    assert "16.9 mL delivered for 14.0 mL programmed: ratio 1.21 (+21 %)" in page.within("reading")
    assert "Measure again" in page.within("reading") and "Possible over-infusion" in page.within("reading")
    assert fields(page)["aspirated_ml"] == "3,1"
    assert db.session.query(Fill).count() == 1


def test_check_sees_a_fill_beside_the_reservoir(at_pump, pump):
    page = at_pump.submitted(here(pump) + "/check", **TYPED | {"measured_after_ml": "14"})

    assert "As expected" in page.within("reading") and "Possible pocket fill" in page.within("reading")


def test_check_needs_no_other_field_and_names_one_it_cannot_read(at_pump, pump):
    page = at_pump.submitted(here(pump) + "/check", aspirated_ml="6")
    assert "As expected" in page.within("reading")
    page = at_pump.submitted(here(pump) + "/check", status=422, aspirated_ml="six")
    assert "The aspirated volume must be a number of mL" in page.text


def test_a_visit_is_recorded_and_its_page_says_what_is_next(at_pump, pump):
    page = at_pump.done(
        here(pump),
        **TYPED | {"aspirated_ml": "3,1", "drug_lot": "M8", "step_order": "1", "note": "Calm visit."},
    )

    assert page.texts("h1") == ["Refill on record"]
    next_words = page.within("next")
    assert "Mon 21 Dec 2026 In 28 days, because of the risk of running empty." in next_words
    assert "3 days earlier because of what was drawn out: without it, Thu 24 Dec 2026." in next_words
    assert "delivers 1.20 times what is programmed" in next_words
    assert "Possible over-infusion" in page.within("to-do") and "+21 %" in page.within("to-do")
    assert "A second person has to confirm" in page.within("to-do")
    assert "not yet confirmed" in page.within("record") and "Calm visit." in page.within("record")
    assert "Done, Nadia Berger" in page.within("record") and "nobody answered" in page.within("record")
    fill = newest(pump)
    assert (fill.aspirated_ml, fill.drug_lot, fill.at, list(fill.checklist)) == (3.1, "M8", AT, ["order"])


@both_databases
def test_sent_twice_it_is_one_fill(at_pump, pump):
    first = at_pump.post(here(pump), **TYPED)
    again = at_pump.post(here(pump), **TYPED | {"aspirated_ml": "5"})

    assert (first.status_code, again.status_code) == (303, 303)
    assert first.location == again.location
    assert db.session.query(Fill).count() == 2
    assert newest(pump).aspirated_ml == 6


def test_a_refused_visit_names_the_fields_and_loses_nothing(at_pump, pump):
    typed = TYPED | {
        "filled_ml": "200", "drug_1_mg_per_ml": "ten", "note": "Port found late.", "step_order": "1",
        "programmed_state": "stopped", "drug_2_name": "bupivacaine",
    }  # fmt: skip
    page = at_pump.submitted(here(pump), status=422, **typed)

    assert "3 fields need another look" in page.text
    for sentence in (
        "The filled volume must lie between 0 and 100 mL.",
        "The concentration must be a number of mg/mL, as 3.5.",
        "The concentration is needed.",
    ):
        assert page.text.count(sentence) == 2
    kept = fields(page)
    assert {name: kept[name] for name in typed} == typed

    page = at_pump.submitted(here(pump), status=422, **TYPED | {"filled_ml": "25"})
    assert "The filled volume is more than the reservoir of 20 mL holds." in page.text
    page = at_pump.submitted(here(pump), status=422, **TYPED | {"at": "2026-11-23T09:01"})
    assert "The time of the visit lies in the future." in page.text
    assert db.session.query(Fill).count() == 1
    at_pump.done(here(pump), **TYPED)  # the key of a refused form is still good


def test_who_is_unsure_of_the_port_does_not_fill(at_pump, pump):
    page = at_pump.submitted(
        here(pump), status=422, **TYPED | {"step_reservoir_port": "1", "unsure_reservoir_port": "1"}
    )

    assert "do not fill" in page.within("checklist-error")
    assert fields(page)["unsure_reservoir_port"] == "1"
    assert db.session.query(Fill).count() == 1


def test_a_nurse_says_what_the_pump_shows_and_prescribes_nothing(at_pump, pump):
    page = at_pump.page(here(pump))
    assert "flow_ml_per_day" not in fields(page)

    shown = {"programmed_flow_ml_per_day": "5", "programmed_state": "stopped"}
    page = at_pump.done(here(pump), **TYPED | shown | {"flow_ml_per_day": "0.9", "setting": ""})

    assert "The pump shows other settings than prescribed" in page.within("to-do")
    assert "still not running" in page.within("to-do").lower()
    assert db.session.query(DeviceSetting).count() == 1


def test_a_clinician_prescribes_on_the_same_page(visit, clinician, pump):
    visitor = visit(clinician)
    form = fields(visitor.page(here(pump)))
    assert form["flow_ml_per_day"] == "0.5"

    unchanged = visitor.done(here(pump), **form | {"aspirated_ml": "6"})
    assert db.session.query(DeviceSetting).count() == 1 and "Flow, mL/day0.50.5–" in unchanged.within(
        "record"
    )
    pump_again = fields(visitor.page(here(pump)))
    assert pump_again["key"] != form["key"]


FLEX = {
    "pattern_1_from": "00:00", "pattern_1_ml_per_day": "0.4", "pattern_2_from": "08:00", "pattern_2_ml_per_day": "0,7",
}  # fmt: skip


def test_a_pattern_over_the_day_is_prescribed_by_its_steps(visit, clinician, pump):
    visitor = visit(clinician)
    form = fields(visitor.page(here(pump))) | {"aspirated_ml": "6"}

    page = visitor.done(here(pump), **form | FLEX)

    made = db.session.get_one(DeviceSetting, newest(pump).setting_id)
    assert [(step["from"], step["flow_ml_per_day"]) for step in made.pattern] == [
        ("00:00", 0.4),
        ("08:00", 0.7),
    ]
    assert made.flow_ml_per_day == 0.6
    assert "over the day, mL/day: 00:00 0.4, 08:00 0.7" in page.within("record")
    again = fields(visitor.page(here(pump)))
    assert again["pattern_2_from"] == "08:00" and again["flow_ml_per_day"] == "0.6"
    visitor.done(here(pump), **again | {"at": "2026-11-23T08:59", "aspirated_ml": "6"})
    assert newest(pump).setting_id is None, "what is in force already is not prescribed again"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"pattern_1_from": "06:00"}, "The pattern must begin with a step from 00:00."),
        ({"pattern_2_from": ""}, "The beginning of step 2 is needed."),
        ({"pattern_2_ml_per_day": "much"}, "The flow of step 2 must be a number of mL/day"),
        ({"flow_ml_per_day": "0.9"}, "The pattern adds up to 0.6 mL/day, but the flow is 0.9."),
    ],
)
def test_a_pattern_that_cannot_be_is_refused_with_its_step(visit, clinician, pump, typed, said):
    visitor = visit(clinician)
    form = fields(visitor.page(here(pump))) | {"aspirated_ml": "6"} | FLEX | typed

    page = visitor.submitted(here(pump), status=422, **form)

    assert said in page.text
    assert fields(page)["pattern_1_ml_per_day"] == "0.4"
    assert db.session.query(DeviceSetting).count() == 1


def test_without_steps_a_pattern_becomes_a_constant_flow(visit, clinician, pump):
    steps = [{"from": "00:00", "flow_ml_per_day": 0.4}, {"from": "12:00", "flow_ml_per_day": 0.6}]
    builders.create_setting(device=pump, flow_ml_per_day=0.5, pattern=steps, effective_at=AT - DAY)
    visitor = visit(clinician)
    form = fields(visitor.page(here(pump)))
    empty = {name: "" for name in form if name.startswith("pattern_")}

    visitor.done(here(pump), **form | empty | {"aspirated_ml": "6"})

    made = db.session.get_one(DeviceSetting, newest(pump).setting_id)
    assert (made.pattern, made.flow_ml_per_day) == (None, 0.5)


def test_a_visit_booked_before_the_refill_is_offered_to_be_called_off(at_pump, pump):
    visit = builders.create_appointment(pump=pump, created_at=AT - DAY)

    page = at_pump.done(here(pump), **TYPED)

    assert "Next visit: Thu 3 Dec 2026 at 10:00" in page.within("next")
    assert "It was booked before this refill." in page.within("next")
    version = str(visit.version)
    stale = at_pump.done(f"/fills/{newest(pump).public_id}/call-off", version="99")
    assert "somebody has changed this" in stale.text and visit.state == "booked"
    page = at_pump.done(f"/fills/{newest(pump).public_id}/call-off", version=version)
    assert "The visit is called off." in page.text and "Book the next visit" in page.within("next")
    db.session.refresh(visit)
    assert (visit.state, visit.cancel_reason) == ("cancelled", "refilled on 2026-11-23 instead")


def test_a_visit_of_the_same_day_or_booked_afterwards_is_not_in_question(at_pump, pump):
    today = {"starts_at": AT, "ends_at": AT + dt.timedelta(minutes=30), "day": AT.date(), "time": dt.time(9)}
    visit = builders.create_appointment(pump=pump, created_at=AT - DAY, **today)
    page = at_pump.done(here(pump), **TYPED)
    assert "Book the next visit" in page.within("next")

    visit.state = "done"
    builders.create_appointment(pump=pump, created_at=AT + DAY)
    page = at_pump.page(f"/fills/{newest(pump).public_id}")
    assert "Next visit: Thu 3 Dec 2026" in page.within("next") and "call it off" not in page.within("next")


def test_a_second_entry_of_a_day_is_asked_about(at_pump, pump):
    assert "already" not in at_pump.page(here(pump)).text
    at_pump.done(here(pump), **TYPED | {"at": "2026-11-23T08:30"})

    page = at_pump.page(here(pump))

    assert "This pump was filled today 08:30 already." in page.text
    assert f"{here(pump)}?replaces={newest(pump).public_id}" in page.html


def test_a_rate_that_empties_the_pump_within_days_is_asked_about(visit, clinician, pump):
    visitor = visit(clinician)
    form = fields(visitor.page(here(pump))) | {"aspirated_ml": "6", "flow_ml_per_day": "12"}

    page = visitor.submitted(here(pump), status=422, **form)
    assert "tick “This rate is meant” if it is" in page.text
    assert "lasts 1.7 days" in page.text
    page = visitor.done(here(pump), **form | {"rate_confirmed": "1"})

    assert "Flow, mL/day0.512–" in page.within("record")
    assert newest(pump).setting_id is not None


def test_a_prescription_made_meanwhile_is_not_overwritten(visit, clinician, pump):
    visitor = visit(clinician)
    form = fields(visitor.page(here(pump))) | {"aspirated_ml": "6"}
    builders.create_setting(device=pump, flow_ml_per_day=0.4, effective_at=AT - dt.timedelta(minutes=1))

    page = visitor.submitted(here(pump), status=422, **form)

    assert "Somebody has prescribed since you opened this form" in page.text
    assert "0.4 mL/day" in page.text and fields(page)["flow_ml_per_day"] == "0.5"


def test_a_changed_concentration_asks_for_the_bridge_bolus(at_pump, pump):
    stronger = TYPED | {"drug_1_mg_per_ml": "20"}
    page = at_pump.submitted(here(pump), status=422, **stronger | {"bridge_dead_space_ml": "abc"})
    assert "The dead space must be a number" in page.text
    page = at_pump.done(here(pump), **stronger | {"bridge_dead_space_ml": "0,3"})

    assert "Bridge bolus0.5 mL" in page.within("record")
    page = at_pump.done(
        here(pump), **stronger | {"key": "", "replaces": str(newest(pump).public_id)}
    )  # and without one it is said
    assert "tubing and catheter still hold the old one" in page.within("to-do")


@both_databases
def test_a_second_person_confirms_by_what_they_read(at_pump, pump, colleague, nurse):
    page = at_pump.done(here(pump), **TYPED)
    there = f"/fills/{newest(pump).public_id}/confirm"
    assert fields(page)["filled_ml"] == ""  # nothing to copy from

    page = at_pump.done(there, **READ | {"email": colleague.email, "step_next_visit": "1"})

    assert "Filled by" in page.html and "Emil Koch" in page.within("record")
    assert "second" not in {section.get("id") for section in page.all("section")}
    assert "Done, Emil Koch" in page.within("record")
    assert "Nadia Berger, nurse" in page.text  # still the first person's session
    fill = newest(pump)
    assert (fill.performed_by_id, fill.confirmed_by_id) == (nurse.id, colleague.id)
    assert fill.confirmed_values["drugs"] == [{"name": "morphine", "mg_per_ml": 10.0}]
    entries = db.session.scalars(select(AuditEntry)).all()
    by = {entry.action: entry.actor for entry in entries}
    assert by["fill.record"] == str(nurse.public_id)
    assert by["fill.confirm"] == by["second_person.sign_in"] == str(colleague.public_id)


def test_who_filled_cannot_confirm_nor_a_stranger_nor_an_engineer(at_pump, pump, nurse, colleague):
    at_pump.done(here(pump), **TYPED)
    there = f"/fills/{newest(pump).public_id}/confirm"
    stranger = builders.create_user(role="nurse")
    engineer = builders.create_user(clinic=nurse.clinic, role="engineer")

    for email, password, sentence in (
        (nurse.email, PASSWORD, "A fill is confirmed by somebody else than the person who recorded it."),
        (stranger.email, PASSWORD, "The e-mail address or the password is wrong."),
        (colleague.email, "not this one at all", "The e-mail address or the password is wrong."),
        (engineer.email, PASSWORD, "The second person has to be a nurse or a clinician."),
    ):
        page = at_pump.submitted(there, status=422, **READ | {"email": email, "password": password})
        assert sentence in page.within("second")
        assert fields(page)["email"] == email and fields(page)["password"] == ""
    assert newest(pump).confirmed_by_id is None
    assert "second_person.sign_in_failed" in actions()


def test_what_the_second_person_reads_has_to_agree(at_pump, pump, colleague):
    at_pump.done(here(pump), **TYPED)
    there = f"/fills/{newest(pump).public_id}/confirm"
    read = READ | {"email": colleague.email}

    page = at_pump.submitted(there, status=422, **read | {"filled_ml": "18"})
    assert "The filled volume is not what is on record: read again" in page.within("second")
    page = at_pump.submitted(there, status=422, **read | {"drug_1_mg_per_ml": "1"})
    assert "The drugs are not what is on record: read again" in page.within("second")
    page = at_pump.submitted(there, status=422, email=colleague.email, password=PASSWORD)
    assert "The filled volume is needed." in page.within("second")
    assert newest(pump).confirmed_by_id is None


def test_guesses_at_a_second_persons_password_are_throttled_as_a_sign_in(at_pump, pump, colleague):
    at_pump.done(here(pump), **TYPED)
    there = f"/fills/{newest(pump).public_id}/confirm"
    guess = READ | {"email": colleague.email, "password": "a guess as good as any"}
    answers = [at_pump.post(there, **guess).status_code for _ in range(11)]

    assert answers == [422] * 10 + [429]


def test_a_mistake_is_corrected_by_another_entry_that_starts_from_the_first(at_pump, pump):
    at_pump.done(
        here(pump),
        **TYPED | {"aspirated_ml": "3.1", "step_order": "1", "programmed_state": "running", "note": "x"},
    )
    wrong = newest(pump)
    page = at_pump.page(f"{here(pump)}?replaces={wrong.public_id}")
    typed = fields(page)
    assert (typed["aspirated_ml"], typed["step_order"], typed["programmed_state"]) == ("3.1", "1", "running")
    assert "6.0 mL" in page.text and "flow_ml_per_day" not in typed

    page = at_pump.done(here(pump), **typed | {"aspirated_ml": "5.1"})

    assert "The correction is on record." in page.text and "This corrects" in page.text
    fill = newest(pump)
    assert (fill.replaces_id, fill.at, fill.aspirated_ml, fill.expected_ml) == (wrong.id, wrong.at, 5.1, 6.0)
    old = at_pump.page(f"/fills/{wrong.public_id}")
    assert "is corrected" in old.text and "Correct this entry" not in old.text
    page = at_pump.submitted(here(pump), status=422, **typed | {"key": "", "aspirated_ml": "4"})
    assert "correct its correction" in page.text
    ledger = at_pump.page(f"/pumps/{pump.public_id}/fills")
    assert "see the correction" in ledger.text and "1.06 (+6 %)" in ledger.text


def test_the_ledger_as_a_table_to_take_away(at_pump, pump):
    at_pump.done(here(pump), **TYPED | {"aspirated_ml": "3.1"})
    answer = at_pump.file(f"/pumps/{pump.public_id}/fills.csv")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["aspirated_ml"], row["ratio"]) for row in rows] == [("3.1", "1.207"), ("", "")]
    assert rows[0]["drugs"] == "morphine 10 mg/mL" and rows[0]["performed_by"] == "Nadia Berger"
    assert "device.fills.export" in actions()


def test_an_empty_ledger_says_what_to_do(visit, nurse):
    pump = builders.create_pump(patient=builders.create_patient(clinic=nurse.clinic))
    visitor = visit(nurse)

    assert "Record the last one" in visitor.page(f"/pumps/{pump.public_id}/fills").text
    page = visitor.page(here(pump))
    assert "not known" in page.text and "nothing can be compared" in page.text
    page = visitor.done(here(pump), **TYPED | {"aspirated_ml": ""})
    assert "No date can be computed" in page.within("next")


@pytest.fixture
def on_record(at_pump, pump, colleague):
    """A visit that showed too little, checked by a second person."""
    typed = {
        "aspirated_ml": "3.1",
        "step_order": "1",
        "programmed_state": "running",
        "note": "Calm.",
        "drug_lot": "M8",
    }
    at_pump.done(here(pump), **TYPED | typed)
    at_pump.done(
        f"/fills/{newest(pump).public_id}/confirm", **READ | {"email": colleague.email, "filled_ml": "20.1"}
    )
    return at_pump


def test_the_record_of_a_visit_on_paper_has_both_names_and_both_sets_of_values(on_record, pump, written):
    answer = on_record.file(f"/fills/{newest(pump).public_id}/record.pdf")

    assert answer.mimetype == "application/pdf" and answer.data.startswith(b"%PDF-")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="refill-record-2026-11-23.pdf"'
    paper = " ".join(written)
    for words in (
        "['Name', 'Nadia Berger', 'Emil Koch']", "['Volume', '20 mL', '20.1 mL']",
        "['Drugs', 'morphine 10 mg/mL', 'morphine 10 mg/mL']", "2.9 mL less than expected; 16.9 mL delivered",
        "ratio 1.21 (+21 %)", "Possible over-infusion", "'Flow', '0.5 mL/day', '0.5 mL/day'",
        "'State', '', '', 'Running'",
        "'The order is for this patient', 'Done', 'Nadia Berger, Mon 23 Nov 2026 09:00'", "nobody answered", "Calm.",
    ):  # fmt: skip
        assert words in paper
    assert actions()[-1] == "device.fills.export"


def test_the_ledger_on_paper(on_record, pump, written):
    answer = on_record.file(f"/pumps/{pump.public_id}/fills.pdf")

    assert answer.data.startswith(b"%PDF-")
    assert "1.21 (+21 %)" in written[-1] and "Nadia Berger, confirmed by Emil Koch" in written[-1]
    assert "'not known'" in written[-1] and "not confirmed" in written[-1]


def test_the_report_on_a_patient_says_what_the_page_says(scene, visit, written):
    answer = visit(scene.nurse).file(f"/patients/{scene.patient.public_id}/report.pdf")

    assert answer.data.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", answer.data)) >= 2
    paper = " ".join(written)
    for words in (
        "Example, Ada", "Wed 12 Apr 1961", "flow 0.2 mL/day, bolus 0.02 mL", "programme A, 4.2 mA, 300 µs, 50 Hz",
        "Pain has risen", "Nobody has taken it", "mean 4", "Stopped reporting",
        "morphine 10 mg/mL", "Stimulator trial", "relief 55 %", "Epidural scar", "Nobody has marked this patient",
    ):  # fmt: skip
        assert words in paper, words
    assert actions()[-1] == "patient.export"


def test_the_report_on_a_patient_of_whom_nothing_is_known(visit, nurse, written):
    patient = builders.create_patient(clinic=nurse.clinic, birth_date=None)

    assert visit(nurse).file(f"/patients/{patient.public_id}/report.pdf").status_code == 200

    paper = " ".join(written)
    for words in ("('Born', None)", "None.", "no data", "No fill is on record.", "Nothing is on record."):
        assert words in paper, words


def test_paper_and_tables_are_for_those_who_care_for_patients(visit, nurse, pump):
    fill = newest(pump)
    paths = (
        f"/fills/{fill.public_id}/record.pdf", f"/pumps/{pump.public_id}/fills.pdf",
        f"/pumps/{pump.public_id}/fills.csv", f"/patients/{pump.patient.public_id}/report.pdf",
    )  # fmt: skip
    outsiders = [
        builders.create_user(clinic=nurse.clinic, role=role) for role in ("engineer", "auditor", "admin")
    ]
    for path in paths:
        assert [visit(who).file(path).status_code for who in outsiders] == [403] * 3
        assert visit(builders.create_user(role="nurse")).file(path).status_code == 404


def test_another_clinic_has_no_such_pump_or_fill(visit, pump):
    fill, visitor = newest(pump), visit(builders.create_user(role="nurse"))
    visitor.page("/worklist")

    for path in (here(pump), f"/pumps/{pump.public_id}/fills", f"/fills/{fill.public_id}"):
        assert visitor.get(path).status_code == 404
    assert visitor.post(here(pump), **TYPED).status_code == 404
    assert visitor.post(f"/fills/{fill.public_id}/confirm", **READ | {"email": "a@b"}).status_code == 404


def test_a_stimulator_has_no_reservoir_to_fill(visit, nurse):
    device = builders.create_stimulator(patient=builders.create_patient(clinic=nurse.clinic))
    assert visit(nurse).get(here(device)).status_code == 404


def test_the_pumps_card_and_the_list_of_visits_lead_here(at_pump, pump):
    at_pump.done(here(pump), **TYPED)
    links = lambda page: [link.get("href") for link in page.all("a")]  # noqa: E731

    assert here(pump) in links(at_pump.page(f"/patients/{pump.patient.public_id}"))
    assert f"/fills/{newest(pump).public_id}" in links(at_pump.page("/worklist"))
