"""What of the worklist is shown: filters, order, search, the views people keep, and its lanes as files."""

import csv
import datetime as dt
import io

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, Clinic, Device, SavedView, User
from sc_stim.web.worklist_view import View
from tests import builders
from tests.apps import both_databases
from tests.builders import AT
from tests.web.pages import Page, text
from tests.web.scene import create_forecast

DAY = dt.timedelta(days=1)


@pytest.fixture
def clinic(app) -> Clinic:
    return builders.create_clinic()


@pytest.fixture
def nurse(clinic: Clinic) -> User:
    return builders.create_user(clinic=clinic, role="nurse")


def due_pump(
    clinic: Clinic, name: str, drug: str = "morphine", model: str = "SynchroMed II", **forecast: object
) -> Device:
    patient = builders.create_patient(clinic=clinic, family_name=name, mrn=f"R-{name}")
    pump = builders.create_pump(patient=patient, model=model)
    result = {"drugs": [{"name": drug, "mg_per_ml": 10.0}], "reasons": []}
    create_forecast(pump=pump, **{"days": 3, "result": result} | forecast)
    return pump


def shown(page: Page) -> list[str]:
    refills = next(section for section in page.all("section") if section.get("id") == "refills")
    return [text(link).split(",")[0] for link in refills.iter("a") if link.get("data-act") == "o"]


@both_databases
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Birch", "Alder", "Cedar"]),
        ("?order=date", ["Alder", "Cedar", "Birch"]),
        ("?order=name", ["Alder", "Birch", "Cedar"]),
        ("?risk=high", ["Birch"]),
        ("?drug=baclofen", ["Birch", "Cedar"]),
        ("?model=Prometra", ["Cedar"]),
        ("?drug=baclofen&model=Prometra", ["Cedar"]),
        ("?visit=none", ["Cedar"]),
        ("?visit=booked", ["Alder"]),
        ("?visit=late", ["Birch"]),
        ("?drug=%27nothing", []),
        ("?order=x&risk=y&visit=z&lane=q", ["Birch", "Alder", "Cedar"]),
    ],
)
def test_the_pumps_to_refill_are_narrowed_and_ordered(clinic, nurse, visit, query, names):
    alder = due_pump(clinic, "Alder", days=1, danger=2.0)
    birch = due_pump(clinic, "Birch", "baclofen", days=5, danger=3.0, risk="high")
    due_pump(clinic, "Cedar", "baclofen", "Prometra", days=2, danger=1.0)
    for pump, days in ((alder, 1), (birch, 6)):
        day = AT.date() + days * DAY
        builders.create_appointment(
            pump=pump, starts_at=AT + days * DAY, ends_at=AT + days * DAY + dt.timedelta(hours=1), day=day
        )

    page = visit(nurse).page("/worklist" + query)

    assert shown(page) == names


def test_each_filter_says_how_many_it_would_leave(clinic, nurse, visit):
    due_pump(clinic, "Alder", "morphine", risk="high")
    due_pump(clinic, "Birch", "baclofen", risk="high")
    due_pump(clinic, "Cedar", "baclofen", risk="low")
    due_pump(clinic, "Later", "ziconotide", days=20)

    page = visit(nurse).page("/worklist?risk=high")

    options = [text(option) for option in page.all("option")]
    for said in ("High (2)", "Low (1)", "Baclofen (1)", "Morphine (1)", "No visit booked (2)"):
        assert said in options
    assert "Ziconotide (0)" not in options and "Ziconotide (1)" not in options
    assert "not every pump is shown" in page.text


@both_databases
def test_a_search_by_name_record_or_serial_number_goes_through_every_lane(clinic, nurse, visit):
    due_pump(clinic, "Alder")
    pump = due_pump(clinic, "Birch")
    builders.create_alert(patient=pump.patient, device=pump, condition="reset")
    silent = builders.create_patient(clinic=clinic, family_name="Quietson")
    builders.create_stimulator(patient=silent, created_at=AT - 9 * DAY)
    visitor = visit(nurse)
    visitor.page("/worklist")

    for typed in ("birch", "R-Birch", pump.serial):
        page = visitor.submitted("/worklist", text=typed)
        assert shown(page) == ["Birch"]
        assert "Birch" in page.within("alerts")
        assert "Quietson" not in page.text
        assert "Nothing else that matches" in page.text
    assert "Quietson" in visitor.submitted("/worklist", text="quiets").within("silent")
    nobody = visitor.submitted("/worklist", text="%")
    assert shown(nobody) == [] and "No pump that is due within 14 days matches." in nobody.within("refills")


def test_one_lane_alone(scene, visit):
    page = visit(scene.nurse).page("/worklist?lane=silent")

    assert "Moreau" in page.within("silent")
    assert [section.get("id") for section in page.all("section")] == ["silent"]
    assert "Only silent devices are shown. Show everything" in page.text


def test_a_nurse_begins_with_pumps_and_a_clinician_with_alerts_pain_and_reviews(scene, visit):
    clinician = builders.create_user(clinic=scene.clinic, role="clinician")
    lanes = {}
    for user in (scene.nurse, clinician):
        page = visit(user).page("/worklist")
        lanes[user.role] = [section.get("id") for section in page.all("section")]

    assert lanes["nurse"][0] == "refills"
    assert lanes["clinician"][:2] == ["alerts", "pain"]
    assert lanes["clinician"].index("reviews") < lanes["clinician"].index("refills")
    assert "Pain has risen" in visit(clinician).page("/worklist").within("pain")


def test_tasks_overdue_and_recalls_to_follow_up_are_lanes(clinic, nurse, visit):
    pump = builders.create_pump(patient=builders.create_patient(clinic=clinic, family_name="Alder"))
    builders.create_care_task(device=pump, due_at=AT - DAY)
    builders.create_care_task(device=pump, due_at=AT + DAY, open_key="later", effect_key="later")
    recall = builders.create_recall(clinic=clinic, title="Motor corrosion")
    builders.create_outreach(recall=recall, device=pump)

    page = visit(nurse).page("/worklist")

    assert page.within("tasks").count("Alder") == 1
    assert "Motor corrosion 1 device left to follow up" in page.within("recalls")


def test_what_can_be_done_is_linked_where_its_page_exists(app, clinic, nurse, visit):
    pump = due_pump(clinic, "Alder")

    page = visit(nurse).page("/worklist")

    links = {link.get("data-act"): link for link in page.all("a") if link.get("data-act")}
    for key, endpoint in (("b", "web.book_visit"), ("r", "web.refill_visit")):
        assert (key in links) == (endpoint in app.view_functions)
        if key in links:
            assert str(pump.public_id) in links[key].get("href")


def test_a_booked_visit_stands_in_the_row_and_one_too_late_is_said(clinic, nurse, visit):
    pump = due_pump(clinic, "Alder", days=3)
    builders.create_appointment(
        pump=pump,
        starts_at=AT + 5 * DAY,
        ends_at=AT + 5 * DAY + dt.timedelta(hours=1),
        day=AT.date() + 5 * DAY,
    )

    row = visit(nurse).page("/worklist").texts("tr")[1]

    assert "Sat 28 Nov 2026 09:00" in row
    assert "booked too late" in row


@both_databases
def test_a_view_is_kept_opened_first_and_deleted(clinic, nurse, visit):
    due_pump(clinic, "Alder", "morphine")
    due_pump(clinic, "Birch", "baclofen")
    visitor = visit(nurse)
    visitor.page("/worklist?drug=baclofen")

    page = visitor.done("/worklist/views?drug=baclofen&due=30", name="Baclofen", opens_first="1")
    assert "The view “Baclofen” is kept." in page.text
    assert shown(visitor.page("/worklist")) == ["Birch"]
    assert len(shown(visitor.page("/worklist?due=14"))) == 2

    view = db.session.scalars(select(SavedView)).one()
    assert view.query == View(due="30", drug="baclofen").query()
    visitor.done(f"/worklist/views/{view.public_id}/first", first="no")
    assert len(shown(visitor.page("/worklist"))) == 2
    assert "is deleted" in visitor.done(f"/worklist/views/{view.public_id}/delete").text
    assert db.session.scalars(select(SavedView)).all() == []
    acts = db.session.scalars(select(AuditEntry.action).where(AuditEntry.action.startswith("saved_view")))
    assert list(acts) == ["saved_view.create", "saved_view.change", "saved_view.change", "saved_view.delete"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "is needed"), ("x" * 61, "60 fit"), ("Mine", "you have a view called “Mine” already")],
)
def test_a_view_that_cannot_be_kept_says_why(nurse, visit, name, said):
    visitor = visit(nurse)
    visitor.page("/worklist")
    visitor.done("/worklist/views", name="Mine")

    assert said in visitor.done("/worklist/views", name=name).text
    assert db.session.query(SavedView).count() == 1


def test_a_persons_views_are_nobody_elses(clinic, nurse, visit):
    visitor = visit(nurse)
    visitor.page("/worklist")
    visitor.done("/worklist/views", name="Mine only")
    view = db.session.scalars(select(SavedView)).one()
    colleague = visit(builders.create_user(clinic=clinic, role="nurse"))

    assert "Mine only" not in colleague.page("/worklist").text
    for act in ("first", "delete"):
        assert colleague.post(f"/worklist/views/{view.public_id}/{act}").status_code == 404


@both_databases
@pytest.mark.parametrize(
    ("lane", "fact"),
    [
        ("refills", "Okafor, Chidi"), ("alerts", "Pump stopped"), ("pain", "Pain has risen"), ("silent", "Moreau"),
        ("without-forecast", "Record the concentration of every drug in this pump."), ("visits", "Okafor"),
        ("reviews", "due_on"), ("tasks", "due_at"), ("recalls", "devices_left"),
    ],
)  # fmt: skip
def test_every_lane_is_a_file_and_taking_it_is_on_record(scene, visit, lane, fact):
    answer = visit(scene.nurse).file(f"/worklist.csv?list={lane}")

    rows = list(csv.reader(io.StringIO(answer.text)))
    assert answer.status_code == 200 and answer.mimetype == "text/csv"
    assert fact in answer.text
    assert {len(row) for row in rows} == {len(rows[0])}
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "worklist.export")).one()
    assert entry.detail["list"] == lane


def test_a_file_holds_all_that_the_filter_leaves_and_no_other_clinics(clinic, nurse, visit, monkeypatch):
    monkeypatch.setattr("sc_stim.web.worklist.MOST_REFILLS", 1)
    for name in ("Alder", "Birch"):
        due_pump(clinic, name, "baclofen")
    due_pump(clinic, "Cedar")
    due_pump(builders.create_clinic(), "Stranger", "baclofen")

    answer = visit(nurse).file("/worklist.csv?list=refills&drug=baclofen")

    assert [row[0].split(",")[0] for row in csv.reader(io.StringIO(answer.text))] == [
        "patient",
        "Alder",
        "Birch",
    ]
    assert visit(nurse).get("/worklist.csv?list=nonsense").status_code == 404


def test_a_view_that_is_kept_is_changed_to_what_is_shown(nurse, visit):
    visitor = visit(nurse)
    visitor.page("/worklist")
    visitor.done("/worklist/views?risk=high", name="Mine")
    kept = db.session.scalars(select(SavedView)).one()
    assert "Change to what is shown now" not in visitor.page("/worklist?risk=high").text
    assert "Change to what is shown now" in visitor.page("/worklist?risk=low").text

    page = visitor.done(f"/worklist/views/{kept.public_id}/query?risk=low")

    assert "The view “Mine” shows this from now on." in page.text
    db.session.refresh(kept)
    assert (kept.name, kept.query["risk"]) == ("Mine", "low")
