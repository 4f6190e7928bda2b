import datetime as dt

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, DeviceEvent, PainFinding
from tests import builders
from tests.apps import both_databases
from tests.builders import AT
from tests.web.pages import Page, text
from tests.web.scene import create_forecast

DAY = dt.timedelta(days=1)
HOSTILE = "<script>alert('x')</script>\"'&<b>"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def nurse(app):
    return builders.create_user(role="nurse")


@pytest.fixture
def patient(nurse):
    return builders.create_patient(clinic=nurse.clinic)


def facts(page: Page) -> dict[str, str]:
    return dict(zip(page.texts("dt"), page.texts("dd"), strict=True))


def pictures(page: Page) -> dict[str, str]:
    """Title and description of each chart."""
    found = [element for element in page.root.iter(f"{SVG}svg") if element.get("role") == "img"]
    return {text(picture[0]): text(picture[1]) for picture in found}


@both_databases
def test_the_record_of_a_patient(scene, visit):
    page = visit(scene.nurse).page(f"/patients/{scene.patient.public_id}")

    assert page.texts("h1") == ["Example, Ada"]
    shown = facts(page)
    for name, fact in {
        "Born": "Wed 12 Apr 1961, 65 years",
        "Telephone": "+49 30 5550100",
        "Risk factors": "smoking, epidural fibrosis",
        "Note": "Prone to withdrawal",
        "Catheter tip": "T10",
        "Lead 1": "8 contacts, tip at T8",
        "Replacement due (ERI)": "in 38 months, as the pump says",
        "In the pump": "Morphine 10 mg/mL 15.4 mL left computed by the pump today 08:30",
    }.items():
        assert shown[name] == fact
    for sentence in (
        "0.2 mL/day, bolus 0.02 mL up to 6 a day, 120 min apart, since Sat 24 Oct 2026 10:00",
        "programme A, 4.2 mA, 300 µs, 50 Hz, measured today 08:30",
        "Sat 5 Dec 2026, in 12 days, because of the risk of running empty; empty at the earliest Mon 7 Dec 2026",
        "Measure again: aspirated and expected volume differ too much",
        "Lead disconnected, raised",
        "Pain rose",
        "relief 55 %",
        "Epidural scar at L5/S1, no new herniation.",
    ):
        assert sentence in page.text
    assert list(pictures(page)) == ["Pain", "Stimulation", "Battery", "Reservoir", "Leads and contacts"]
    assert pictures(page)["Reservoir"] == (
        "90 days with a value, from 2.8 to 19.9 mL; the newest is 15.4 mL on Mon 23 Nov 2026."
    )
    assert "7 days without data" in pictures(page)["Stimulation"]


def test_the_page_shows_thirty_ninety_or_a_year_of_days(scene, visit):
    visitor = visit(scene.nurse)
    path = f"/patients/{scene.patient.public_id}"

    for query, days in (
        ("", 90),
        ("?days=30", 30),
        ("?days=365", 365),
        ("?days=100000", 90),
        ("?days=x", 90),
    ):
        page = visitor.page(path + query)
        chosen = [link for link in page.all("a") if link.get("aria-current") == "true"]
        assert [text(link) for link in chosen] == [f"{days} days"]
        reservoir = pictures(page)["Reservoir"]
        assert reservoir.startswith(f"{min(days, 301)} days with a value")


def test_the_page_goes_back_to_older_days_and_forward_again(nurse, patient, visit):
    stimulator = builders.create_stimulator(patient=patient)
    for days_ago, nrs in ((35, 7.5), (33, 4.0), (1, 2.0)):
        builders.create_pain_score(patient=patient, measured_at=AT - days_ago * DAY, nrs=nrs)
    for seq, (kind, days_ago) in enumerate((("charge_missed", 40), ("mri_entered", 1))):
        at = AT - days_ago * DAY
        event = DeviceEvent(
            device_id=stimulator.id, clinic_id=stimulator.clinic_id, epoch="a", seq=seq, kind=kind, measured_at=at,
            device_at=at, received_at=AT,
        )  # fmt: skip
        db.session.add(event)
    visitor, path = visit(nurse), f"/patients/{patient.public_id}?days=30"

    def link(page: Page, words: str) -> str:
        return next(link.get("href") for link in page.all("a") if text(link) == words)

    newest = visitor.page(path)
    assert "from 2 to 2 NRS" in pictures(newest)["Pain"]
    assert newest.texts("a").count("Later") == newest.texts("a").count("Today") == 0

    older = visitor.page(link(newest, "Earlier"))
    assert "Fri 25 Sep 2026 to Sat 24 Oct 2026" in older.text
    assert pictures(older)["Pain"] == (
        "2 days with a value, from 4 to 7.5 NRS; the newest is 4 NRS on Wed 21 Oct 2026. "
        "4 days without data (grey)."
    )
    assert "Charge missed" in older.text
    assert "MRI entered" not in older.text
    assert 'class="now"' in newest.html
    assert older.html.count('class="now"') == 1  # in the legend

    assert link(older, "90 days").endswith("days=90&until=2026-10-24")
    for words in ("Later", "Today"):
        assert pictures(visitor.page(link(older, words)))["Pain"] == pictures(newest)["Pain"]


@pytest.mark.parametrize("until", ["", "x", "0001-01-01", "9999-12-31", "2026-11-24"])
def test_a_last_day_that_cannot_be_is_left_out_of_account(nurse, patient, visit, until):
    builders.create_pain_score(patient=patient, measured_at=AT - DAY)

    page = visit(nurse).page(f"/patients/{patient.public_id}?days=30&until={until}")

    assert "the newest is" in pictures(page)["Pain"]


def test_a_chart_and_its_table_say_the_same(nurse, patient, visit):
    stimulator = builders.create_stimulator(patient=patient, implanted_on=AT.date() - 5 * DAY)
    for days_ago, hours in ((5, 10), (4, 0), (1, 12)):
        builders.create_stimulator_sample(
            stimulator=stimulator, measured_at=AT - days_ago * DAY, on_s=hours * 3600.0, battery_pct=None
        )

    page = visit(nurse).page(f"/patients/{patient.public_id}?days=30")

    assert pictures(page)["Stimulation"] == (
        "3 days with a value, from 0 to 12 h/day; the newest is 12 h/day on Sun 22 Nov 2026. "
        "2 days without data (grey)."
    )
    figure = next(figure for figure in page.all("figure") if text(figure).startswith("Stimulation"))
    assert [text(row) for row in figure.iter("tr")][1:] == [
        "Sun 22 Nov 2026 12 h/day",
        "Fri 20 Nov 2026 to Sat 21 Nov 2026 no data",
        "Thu 19 Nov 2026 0 h/day",
        "Wed 18 Nov 2026 10 h/day",
    ]
    bars = [bar for bar in figure.iter(f"{SVG}rect") if bar.get("class") == "bar"]
    assert [text(bar) for bar in bars] == ["18 Nov: 10 h/day", "19 Nov: 0 h/day", "22 Nov: 12 h/day"]
    assert float(bars[1].get("height")) > 0  # nothing used is something to see, unlike no data


def test_days_are_the_patients_own(nurse, visit):
    """22:30 UTC is the next day in Tokyo, where this patient lives."""
    patient = builders.create_patient(clinic=nurse.clinic, time_zone="Asia/Tokyo", created_at=AT - 9 * DAY)
    builders.create_pain_score(patient=patient, measured_at=AT - 2 * DAY + dt.timedelta(hours=14.5), nrs=6.0)

    page = visit(nurse).page(f"/patients/{patient.public_id}?days=30")

    assert "the newest is 6 NRS on Sun 22 Nov 2026" in pictures(page)["Pain"]
    assert "Days are the patient's own (Asia/Tokyo)." in page.text


def test_a_corrected_score_counts_as_corrected(nurse, patient, visit):
    wrong = builders.create_pain_score(patient=patient, nrs=9.0)
    builders.create_pain_score(patient=patient, nrs=3.0, replaces_id=wrong.id)

    assert "from 3 to 3 NRS" in pictures(visit(nurse).page(f"/patients/{patient.public_id}"))["Pain"]


def test_findings_are_marked_on_the_pain_chart_and_listed(nurse, patient, visit):
    finding = {
        "clinic_id": patient.clinic_id, "patient_id": patient.id, "rule": "rise", "tier": "soft", "severity": "low",
        "model_version": "pain-1", "found_at": AT, "baseline_nrs": 3.9, "level_nrs": 6.24, "kind": "step_up",
    }  # fmt: skip
    for days_ago in (3, 200):
        day = AT.date() - days_ago * DAY
        db.session.add(PainFinding(**finding, day=day, onset=day - 2 * DAY))
    builders.create_pain_score(patient=patient)

    page = visit(nurse).page(f"/patients/{patient.public_id}")

    marks = [
        mark for mark in page.root.iter(f"{SVG}svg") if mark.get("class") == "mark finding" and mark.get("x")
    ]
    assert [text(mark) for mark in marks] == ["Pain rose"]
    assert "Pain rose Fri 20 Nov 2026, from the usual 3.9 to 6.24, since about Wed 18 Nov 2026" in page.text


def test_dates_to_come_stand_on_the_reservoir_chart(nurse, patient, visit):
    pump = builders.create_pump(patient=patient)
    create_forecast(pump=pump, days=10)

    page = visit(nurse).page(f"/patients/{patient.public_id}")

    words = [
        text(element) for element in page.root.iter(f"{SVG}text") if element.get("class") == "mark-words"
    ]
    assert words == ["refill by", "earliest empty"]
    assert "low-reservoir alarm 2 mL" in page.html


def test_what_is_not_known_of_a_patient_is_said(nurse, visit):
    patient = builders.create_patient(clinic=nurse.clinic, phone=None, birth_date=None)
    builders.create_pump(
        patient=patient, catheter_tip_level=None, reservoir_ml=None, low_reservoir_alarm_ml=None
    )
    builders.create_stimulator(patient=patient)

    page = visit(nurse).page(f"/patients/{patient.public_id}")

    shown = facts(page)
    assert shown["Born"] == "not known"
    assert shown["Telephone"] == "no telephone number"
    assert shown["Catheter tip"] == "not known"
    assert shown["In the pump"] == "no drug on record volume not reported"
    assert shown["Refill by"].startswith("The first forecast has not been made yet.")
    assert page.texts("dd").count("no setting on record") == 2
    assert page.texts("dd").count("nothing yet") == 2
    assert "No value in this time." in page.text
    assert "Record the last one, so that a refill date can be computed" in page.text


def test_a_patient_without_devices_has_a_page_that_says_what_to_do(nurse, patient, visit):
    page = visit(nurse).page(f"/patients/{patient.public_id}")

    assert "No device is assigned to this patient." in page.text
    assert list(pictures(page)) == []


def test_the_prescription_in_force_is_shown_not_one_to_come(nurse, patient, visit):
    pump = builders.create_pump(patient=patient)
    for flow, days in ((0.111, -9), (0.222, -2), (0.333, 4)):
        builders.create_setting(device=pump, flow_ml_per_day=flow, effective_at=AT + days * DAY)

    page = visit(nurse).page(f"/patients/{patient.public_id}")

    assert facts(page)["Prescribed"].startswith("0.222 mL/day")
    assert "0.333" not in page.html


def test_a_device_that_was_taken_out_is_last_and_no_longer_silent(nurse, patient, visit):
    out = {"explanted_on": AT.date() - 400 * DAY, "explantation_reason": "recall"}
    old = builders.create_pump(patient=patient, model="Old", created_at=AT - 900 * DAY, **out)
    create_forecast(pump=old, days=5)
    builders.create_stimulator(patient=patient, model="New", created_at=AT - 9 * DAY)

    page = visit(nurse).page(f"/patients/{patient.public_id}")

    assert [heading.rpartition(" ")[2] for heading in page.texts("h3")] == ["New", "Old"]
    assert page.texts("dd").count("never silent") == 1
    assert "Explanted Sun 19 Oct 2025: Recall" in page.texts("dd")
    assert "Refill by" not in page.texts("dt")  # it needs none any more
    assert "Reservoir" not in page.texts("strong")  # nothing of it in these days


def test_open_alerts_of_the_patient_and_their_devices_are_listed_closed_ones_are_not(nurse, patient, visit):
    pump = builders.create_pump(patient=patient)
    for condition, state in (("reset", "shelved"), ("motor_stall", "unacknowledged"), ("mri_mode", "closed")):
        builders.create_alert(patient=patient, device=pump, condition=condition, state=state)
    builders.create_alert(patient=builders.create_patient(clinic=nurse.clinic), condition="memory_error")

    page = visit(nurse).page(f"/patients/{patient.public_id}")

    links = {text(link) for link in page.all("a") if "/alerts/" in link.get("href")}
    assert links == {"Reset", "Motor stall"}


def test_every_view_of_a_record_is_on_record(nurse, patient, visit):
    visit(nurse).page(f"/patients/{patient.public_id}")

    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "patient.view")).one()
    assert (entry.actor, entry.subject) == (str(nurse.public_id), str(patient.public_id))


def test_hostile_names_are_only_text_everywhere(nurse, visit):
    patient = builders.create_patient(
        clinic=nurse.clinic, family_name=HOSTILE, given_name=HOSTILE, mrn=HOSTILE, phone="+49" + HOSTILE,
        indication=HOSTILE, risk_factors=[HOSTILE],
    )  # fmt: skip
    pump = builders.create_pump(patient=patient, model=HOSTILE, manufacturer=HOSTILE, serial=HOSTILE[:40])
    drugs = [{"name": HOSTILE, "mg_per_ml": 1.0}]
    builders.create_fill(pump=pump, drugs=drugs, flags=[HOSTILE])
    builders.create_device_state(device=pump, measured_at=AT, sample={"state": HOSTILE, "reservoir_ml": 4.0})
    builders.create_pump_sample(pump=pump)
    create_forecast(pump=pump, days=2, result={"drugs": drugs, "reasons": [HOSTILE]})
    alert = builders.create_alert(
        patient=patient, device=pump, condition=HOSTILE[:40], detail={HOSTILE: [HOSTILE, {HOSTILE: None}]}
    )
    visitor = visit(nurse)

    visitor.page(f"/alerts/{alert.public_id}")
    visitor.done(f"/alerts/{alert.public_id}/comment", comment=HOSTILE)
    for path in (
        "/worklist",
        "/alerts",
        f"/alerts/{alert.public_id}",
        f"/patients/{patient.public_id}",
        "/devices",
    ):
        page = visitor.page(path)  # inspected: there is no script, and the page still parses
        assert all(script.get("src", "").startswith("/static/") for script in page.all("script"))
        assert "alert('x')" in page.text or "Alert('x')" in page.text
    assert "<script>" not in visitor.submitted("/patients", name=HOSTILE).html


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", ["Alder", "Birch", "Birchwood"]),
        ("birch", ["Birch", "Birchwood"]),
        ("BIRCHW", ["Birchwood"]),
        ("MRN-7", ["Alder"]),
        ("%", []),
        ("_lder", []),
        ("mrn", []),
    ],
)
def test_a_patient_is_found_by_the_beginning_of_the_name_or_the_whole_record_number(
    nurse, visit, typed, found
):
    for name, mrn in (("Birch", "MRN-71"), ("Alder", "MRN-7"), ("Birchwood", "MRN-72")):
        builders.create_patient(clinic=nurse.clinic, family_name=name, mrn=mrn)
    visitor = visit(nurse)
    visitor.page("/patients")

    page = visitor.submitted("/patients", name=typed)

    links = [
        text(link)
        for link in page.all("a")
        if "/patients/" in link.get("href") and "new" not in link.get("href")
    ]
    assert [name.split(",")[0] for name in links] == found


@both_databases
def test_the_number_of_statements_does_not_grow_with_the_history(nurse, patient, visit, statements):
    pump = builders.create_pump(patient=patient)
    visitor, path = visit(nurse), f"/patients/{patient.public_id}?days=365"
    with statements() as few:
        visitor.page(path)
    for days in range(15):
        at = AT - days * DAY
        builders.create_fill(pump=pump, at=at)
        builders.create_setting(device=pump, effective_at=at)
        builders.create_pump_sample(pump=pump, measured_at=at)
        builders.create_pain_score(patient=patient, measured_at=at)
        builders.create_alert(patient=patient, device=pump, condition=f"condition_{days}")
    with statements() as many:
        visitor.page(path)

    assert len(many) <= len(few) + 2 <= 34  # the names of those who filled, and of those who confirmed
