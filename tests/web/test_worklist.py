import datetime as dt

import pytest
from sqlalchemy import select

from sc_stim.clinical.silence import Watched, silence
from sc_stim.extensions import db
from sc_stim.models import AuditEntry, Clinic, Device, Forecast, User, WorkItem
from sc_stim.models.worklist import silent_devices
from tests import builders
from tests.apps import both_databases
from tests.builders import AT
from tests.web.pages import Page
from tests.web.scene import create_forecast, create_heartbeats

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


@pytest.fixture
def clinic(app) -> Clinic:
    return builders.create_clinic()


@pytest.fixture
def nurse(clinic: Clinic) -> User:
    return builders.create_user(clinic=clinic, role="nurse")


def due_pump(clinic: Clinic, family_name: str = "Example", **forecast: object) -> Forecast:
    patient = builders.create_patient(clinic=clinic, family_name=family_name)
    pump = builders.create_pump(patient=patient)
    builders.create_device_state(device=pump, measured_at=AT - HOUR, sample={"reservoir_ml": 4.25})
    return create_forecast(pump=pump, **{"days": 3} | forecast)


def names(page: Page) -> list[str]:
    """The patients in the list of pumps to refill, from the top."""
    refills = next(section for section in page.all("section") if section.get("id") == "refills")
    return [
        "".join(link.itertext()).split(",")[0]
        for link in refills.iter("a")
        if link.get("href").startswith("/patients/")
    ]


def test_an_earliest_empty_day_that_has_passed_is_said_in_words(clinic, nurse, visit):
    due_pump(clinic, days=-3, earliest_empty_on=AT.date() - DAY)

    row = visit(nurse).page("/worklist").texts("tr")[1]

    assert "3 days overdue" in row and "may have been empty since then" in row and "1 day overdue" not in row


def test_a_clinic_without_contacts_is_told_that_alerts_reach_nobody(clinic, nurse, visit):
    page = visit(nurse).page("/worklist")
    assert "Alerts reach nobody: this clinic has no contacts." in page.text and "/escalation" in page.html

    retired = builders.create_contact(clinic=clinic, active=False)
    builders.create_contact()
    assert "Alerts reach nobody" in visit(nurse).page("/worklist").text
    retired.active = True
    db.session.commit()
    assert "Alerts reach nobody" not in visit(nurse).page("/worklist").text


@both_databases
def test_the_morning_of_the_nurse(scene, visit):
    page = visit(scene.nurse).page("/worklist")

    assert names(page) == ["Okafor", "García Márquez-Hohenstein", "Lindqvist", "Example", "Novák"]
    first = page.texts("tr")[1]
    for fact in (
        "High", "Stopping this drug suddenly can kill", "Thu 26 Nov 2026", "in 3 days", "the risk of running empty",
        "+49 30 5550100", "Baclofen 2 mg/mL", "3.4 mL left", "today 08:30", "Sat 28 Nov 2026", "in 5 days",
    ):  # fmt: skip
        assert fact in first
    assert "As of Mon 23 Nov 2026 09:00" in page.text
    assert "Pump stopped" in page.within("alerts")
    assert "Moreau" in page.within("silent") and "Moreau" not in page.within("alerts")
    assert "Record the concentration of every drug in this pump." in page.within("without-forecast")
    assert "The first forecast has not been made yet." in page.within("without-forecast")
    assert "not well" not in page.text


def test_danger_comes_before_the_date(clinic, nurse, visit):
    due_pump(clinic, "Morphine-In-Two", days=2, danger=1.0)
    due_pump(clinic, "Baclofen-In-Three", days=3, danger=2.0)
    due_pump(clinic, "Overdue", days=-4, danger=0.5)

    assert names(visit(nurse).page("/worklist")) == ["Baclofen-In-Three", "Morphine-In-Two", "Overdue"]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["Overdue", "Within-14"]),
        ("?due=7", ["Overdue"]),
        ("?due=30", ["Overdue", "Within-14", "Within-30"]),
        ("?due=9999", ["Overdue", "Within-14"]),
        ("?due=%27", ["Overdue", "Within-14"]),
    ],
)
def test_the_window_chooses_what_is_shown_and_overdue_pumps_are_always_there(
    clinic, nurse, visit, query, shown
):
    due_pump(clinic, "Overdue", days=-40)
    due_pump(clinic, "Within-14", days=14)
    due_pump(clinic, "Within-30", days=30)
    due_pump(clinic, "Later", days=31)

    page = visit(nurse).page("/worklist" + query)

    assert sorted(names(page)) == shown
    assert [text for text in page.texts("a") if text.endswith("days 1") or "days " in text][-3:] == [
        "7 days 1", "14 days 2", "30 days 3",
    ]  # fmt: skip


def test_the_days_are_the_clinics_own(visit, time):
    """At 23:30 UTC it is Tuesday in Berlin."""
    clinic = builders.create_clinic(time_zone="Europe/Berlin")
    due_pump(clinic, days=0)
    time.at = AT.replace(hour=23, minute=30)

    assert "1 day overdue" in visit(builders.create_user(clinic=clinic, role="nurse")).page("/worklist").text


def test_dates_stand_in_the_order_of_the_clinics_country(visit):
    clinic = builders.create_clinic(country="US", time_zone="America/Chicago")
    due_pump(clinic)

    page = visit(builders.create_user(clinic=clinic, role="nurse")).page("/worklist")

    assert "Thu, Nov 26, 2026" in page.text
    assert "As of Mon, Nov 23, 2026 02:00" in page.text


def test_what_is_missing_is_said_and_never_looks_like_good_news(clinic, nurse, visit):
    patient = builders.create_patient(clinic=clinic, phone=None)
    pump = builders.create_pump(patient=patient)
    create_forecast(
        pump=pump, days=3, earliest_empty_on=None, result={"drugs": [{"name": "morphine", "mg_per_ml": None}]}
    )

    row = visit(nurse).page("/worklist").texts("tr")[1]

    for fact in ("no telephone number", "concentration unknown", "volume not reported", "not known"):
        assert fact in row


def test_a_refused_forecast_says_what_to_do_in_the_words_of_the_refusal(clinic, nurse, visit):
    result = {"detail": "record the concentration of morphine"}
    create_forecast(
        pump=builders.create_pump(clinic=clinic), days=None, refused="unknown_concentration", result=result
    )
    create_forecast(pump=builders.create_pump(clinic=clinic), days=None, refused="no_open_day")

    lane = visit(nurse).page("/worklist").within("without-forecast")

    assert "Record the concentration of morphine." in lane
    assert "The clinic has no open day in the weeks before: check its closures." in lane


def test_an_old_forecast_says_how_old_it_is(clinic, nurse, visit):
    due_pump(clinic, computed_at=AT - 3 * DAY)

    assert "computed 3 days ago" in visit(nurse).page("/worklist").texts("tr")[1]


def test_pumps_taken_out_or_on_the_shelf_need_no_refill(clinic, nurse, visit):
    explanted = builders.create_pump(clinic=clinic, explanted_on=AT.date())
    for pump in (explanted, builders.put_on_shelf(builders.create_pump(clinic=clinic))):
        create_forecast(pump=pump, days=1)

    page = visit(nurse).page("/worklist")

    assert names(page) == []
    assert "0 pumps without a refill date" in page.within("nothing-else")
    assert [text for text in page.texts("a") if text.endswith("days 0")] == [
        "7 days 0",
        "14 days 0",
        "30 days 0",
    ]


def test_a_pump_of_a_patient_counts_though_nobody_entered_the_day_of_its_implant(clinic, nurse, visit):
    pump = builders.create_pump(clinic=clinic, implanted_on=None)
    create_forecast(pump=pump, days=1)

    assert len(names(visit(nurse).page("/worklist"))) == 1


def test_empty_lists_say_what_to_do(nurse, visit):
    visitor = visit(nurse)
    page = visitor.page("/worklist")

    assert "No pump is due within 14 days. Look 30 days ahead." in page.within("refills")
    assert (
        "check that it is registered, implanted and has its last fill"
        in visitor.page("/worklist?due=30").text
    )
    assert page.within("nothing-else") == (
        "Nothing else: 0 other open alerts, 0 refill visits to complete, 0 pumps without a refill date, "
        "0 silent devices, 0 alerts about pain, 0 tasks overdue, 0 reviews due, 0 recalls to follow up."
    )


def test_no_pump_due_is_no_good_news_while_one_has_no_date(clinic, nurse, visit):
    create_forecast(pump=builders.create_pump(clinic=clinic), days=None)

    assert "But 1 pump has no refill date" in visit(nurse).page("/worklist").within("refills")


def test_alerts_stand_worst_first_then_oldest_and_shelved_ones_stay_away(clinic, nurse, visit):
    patient = builders.create_patient(clinic=clinic)
    for condition, severity, state, hours in (
        ("charge_missed", "low", "acknowledged", 9),
        ("reset", "high", "unacknowledged", 1),
        ("motor_stall", "high", "returned_to_normal", 2),
        ("memory_error", "high", "shelved", 3),
        ("mri_mode", "medium", "closed", 4),
        ("refill_due", "high", "unacknowledged", 5),
        ("no_data", "medium", "unacknowledged", 6),
    ):
        builders.create_alert(
            patient=patient, condition=condition, severity=severity, state=state, opened_at=AT - hours * HOUR
        )

    page = visit(nurse).page("/worklist")

    lane = next(section for section in page.all("section") if section.get("id") == "alerts")
    shown = ["".join(link.itertext()) for link in lane.iter("a") if link.get("href").startswith("/alerts/")]
    assert shown == ["Motor stall", "Reset", "Charging was missed"]
    assert "3 open alerts, 2 High" in page.text


def test_a_long_lane_folds_and_a_worklist_without_kept_views_offers_none(clinic, nurse, visit):
    for number in range(7):
        patient = builders.create_patient(clinic=clinic)
        builders.create_alert(
            patient=patient, condition="reset", severity="low", opened_at=AT - number * HOUR
        )

    page = visit(nurse).page("/worklist")

    assert "Show all 7, not only the most urgent" in page.texts("summary")
    assert "Usual view" not in page.texts("a")


def test_more_pumps_than_fit_are_counted(clinic, nurse, visit, monkeypatch):
    monkeypatch.setattr("sc_stim.web.worklist.MOST_REFILLS", 2)
    for number in range(3):
        due_pump(clinic, danger=float(number))

    page = visit(nurse).page("/worklist")

    assert len(names(page)) == 2
    assert "The first 2 of 3 are shown." in page.text


@both_databases
@pytest.mark.parametrize(
    ("measured_ago", "heard_ago", "created_ago"),
    [
        (None, None, 1), (None, None, 3), (None, 0, 3), (0, 0, 9), (2 - 1 / 3600, 0, 9), (2, 0, 9), (2.1, 2.1, 9),
        (0, 3, 9), (3, 0, 1), (-5, 0, 9), (-5, 3, 9), (30, 30, 99), (1, None, 9),
    ],
)  # fmt: skip
def test_silence_on_the_page_is_the_silence_of_the_rule(clinic, measured_ago, heard_ago, created_ago):
    """Hours before now; a negative one is a device clock that runs ahead."""
    created_at = AT - created_ago * HOUR
    pump = builders.create_pump(clinic=clinic, created_at=created_at, report_interval_s=3600)
    measured, heard = (None if ago is None else AT - ago * HOUR for ago in (measured_ago, heard_ago))
    if (measured, heard) != (None, None):
        builders.create_device_state(device=pump, measured_at=measured, heard_at=heard)

    listed = [row.Device.id for row in silent_devices(db.session, clinic.id, AT, 10)]

    finding = silence(Watched(created_at, HOUR, measured, heard or measured), AT)
    assert listed == ([pump.id] if finding else [])


def test_the_longest_silent_device_comes_first_with_what_is_done_about_it(clinic, nurse, visit):
    for name, hours in (("A-While", 5), ("Long", 50)):
        device = builders.create_stimulator(
            patient=builders.create_patient(clinic=clinic, family_name=name), created_at=AT - 60 * HOUR
        )
        builders.create_device_state(device=device, measured_at=AT - hours * HOUR, heard_at=AT - hours * HOUR)
        if name == "Long":
            builders.create_alert(
                patient=device.patient, device=device, condition="no_data", state="acknowledged"
            )

    lane = visit(nurse).page("/worklist").within("silent")

    assert lane.index("Long") < lane.index("A-While")
    assert "2 days ago · Taken" in lane


def test_a_banner_tells_when_the_system_itself_is_not_well(nurse, visit, time):
    create_heartbeats()
    visitor = visit(nurse)
    assert visitor.page("/worklist").all("h2")[0].get("id") != "not-well"

    time.pass_by(minutes=10)
    page = visitor.page("/alerts")

    assert "The system itself is not well" in page.texts("h2")[0]
    for part in ("The intake of messages", "The message broker", "The judging of new data", "The scheduler"):
        assert part in page.text


def test_every_look_at_the_worklist_is_on_record_with_the_patients_seen(clinic, nurse, visit):
    seen = db.session.get_one(Device, due_pump(clinic).device_id)
    later = db.session.get_one(Device, due_pump(clinic, days=90).device_id)
    builders.create_review(patient=later.patient)
    visit(nurse).page("/worklist")

    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "worklist.view")).one()
    assert entry.actor == str(nurse.public_id)
    assert entry.detail == {"patients": [str(seen.patient.public_id)]}


@both_databases
def test_a_visit_that_is_not_complete_and_a_date_that_is_old_are_work_to_see(clinic, nurse, visit):
    pump = db.session.get_one(Device, due_pump(clinic).device_id)
    builders.create_fill(pump=pump, at=AT - 2 * HOUR, by=nurse)
    db.session.add(WorkItem(kind="refill", subject_id=pump.id, since=AT, due_at=AT, asked_at=AT))
    db.session.commit()
    page = visit(nurse).page("/worklist")
    assert "being recomputed: there is newer news" in page.within("refills")
    for sentence in ("A second person has to confirm", "Not yet heard of since the visit"):
        assert sentence in page.within("visits")


@both_databases
def test_the_number_of_statements_does_not_grow_with_the_clinic(clinic, nurse, visit, statements):
    visitor = visit(nurse)
    visitor.page("/worklist")
    with statements() as few:
        visitor.page("/worklist")
    for number in range(12):
        pump = db.session.get_one(Device, due_pump(clinic, danger=float(number)).device_id)
        builders.create_alert(patient=pump.patient, device=pump, condition="reset")
        builders.create_fill(pump=pump)
        silent = builders.create_stimulator(clinic=clinic, created_at=AT - 9 * DAY)
        builders.create_alert(patient=silent.patient, device=silent, condition="no_data")
        create_forecast(pump=builders.create_pump(clinic=clinic), days=None)
    with statements() as many:
        visitor.page("/worklist")

    assert len(many) == len(few) <= 28
