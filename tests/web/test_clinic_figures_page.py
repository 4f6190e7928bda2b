"""The clinic's own figures: everybody reads them, the administrator sets them and goes back."""

import csv
import datetime as dt
import io

import pytest

from sc_stim.access import ROLES
from sc_stim.clinical.clinic_figures import open_figures
from sc_stim.extensions import db
from sc_stim.models import ClinicFigure
from tests import builders
from tests.builders import AT
from tests.trail import entries

CEILING = "drugs.bupivacaine.limits.daily_dose_ceiling"
PAGE = f"/clinic/figures/{CEILING}"
INTERVALS = "/clinic/review-intervals"
SOURCE = "Drug committee, 2 November 2026"


@pytest.fixture
def admin(app):
    return builders.create_user(role="admin", name="Anton Admin")


@pytest.fixture
def visitor(admin, visit):
    found = visit(admin)
    found.page(PAGE)
    return found


def set_ceiling(visitor, value="20", version="0"):
    return visitor.done(PAGE, value=value, source=SOURCE, version=version)


def test_every_open_figure_stands_in_the_list_with_what_is_shipped(visit):
    page = visit(builders.create_user(role="auditor")).page("/clinic/figures")

    assert f"{len(open_figures()) + 2} figures" in page.text  # two review intervals
    for figure in open_figures().values():
        assert figure.name in page.text
    (row,) = [row for row in page.texts("tr") if row.startswith("Bupivacaine: daily dose ceiling")]
    assert "15 mg/day unverified as shipped –" in row


@pytest.mark.parametrize("role", ROLES)
def test_only_the_administrator_is_offered_a_form(visit, role):
    visitor = visit(builders.create_user(role=role))

    for path in (PAGE, INTERVALS):
        assert ("Set the clinic's own" in visitor.page(path).texts("h2")) == (role == "admin")


def test_a_figure_is_set_with_its_source_and_taken_back(visitor, visit, admin):
    page = set_ceiling(visitor, "20,5")
    assert "holds from now on: 20.5 mg/day." in page.text
    assert "20.5 mg/day set by the clinic wider than shipped" in page.within("main")
    assert f"Anton Admin as shipped → 20.5 mg/day {SOURCE}" in page.within("main")

    everybody = visit(builders.create_user(clinic=admin.clinic, role="nurse")).page("/clinic/figures?own=1")
    assert "1 figure" in everybody.text
    (_, row) = everybody.texts("tr")
    assert f"20.5 mg/day wider than shipped {SOURCE} Anton Admin" in row
    on_reference = visitor.page("/reference").text
    assert f"Bupivacaine: daily dose ceiling20.5 mg/day (set by the clinic, source: {SOURCE})" in on_reference
    assert "Anton Admin Bupivacaine: daily dose ceiling; Value: none → 20.5" in on_reference

    page = visitor.done(f"{PAGE}/shipped", version="1")
    assert "The shipped figure holds again." in page.text
    assert "Holds now15 mg/day as shipped" in page.within("main")
    page = set_ceiling(visitor, "20.5", version="2")  # what the history offers
    assert "20.5 mg/day set by the clinic" in page.within("main")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"value": "150"}, "Value must lie between 3.75 and 60 mg/day."),
        ({"value": "a lot"}, "Value must be a number of mg/day, as 3.5."),
        ({"value": ""}, "Value is needed."),
        ({"source": " "}, "Source is needed."),
        ({"version": "1"}, "Send again to replace it."),
    ],
)
def test_a_form_that_cannot_be_used_is_shown_again_with_what_was_typed(visitor, typed, said):
    page = visitor.submitted(PAGE, 422, **{"value": "20", "source": SOURCE, "version": "0"} | typed)

    assert said in page.text
    assert (page.all("textarea")[0].text or "").strip() == typed.get("source", SOURCE).strip()
    assert db.session.query(ClinicFigure).count() == 0


def test_days_are_whole(visitor):
    path = "/clinic/figures/drugs.morphine.stability.any"
    page = visitor.submitted(path, 422, value="45.5", source=SOURCE, version="0")

    assert "Value must be a whole number of days." in page.text


def test_going_back_from_a_page_that_is_out_of_date_changes_nothing(visitor):
    set_ceiling(visitor)
    set_ceiling(visitor, "22", version="1")

    page = visitor.done(f"{PAGE}/shipped", version="1")

    assert "Nothing was changed: somebody has changed this" in page.text
    assert "22 mg/day set by the clinic" in page.within("main")


def test_a_fill_is_warned_of_by_the_clinics_own_limit(visitor, admin, visit):
    pump = builders.create_pump(clinic=admin.clinic)
    builders.create_setting(device=pump, flow_ml_per_day=0.9)
    fill = builders.create_fill(pump=pump, drugs=[{"name": "bupivacaine", "mg_per_ml": 20.0}])
    nurse = visit(builders.create_user(clinic=admin.clinic, role="nurse"))
    assert (
        "above the daily dose ceiling of 15 mg/d (unverified)" in nurse.page(f"/fills/{fill.public_id}").text
    )

    set_ceiling(visitor, "20")
    assert "daily dose ceiling" not in nurse.page(f"/fills/{fill.public_id}").text

    set_ceiling(visitor, "17", version="1")
    text = nurse.page(f"/fills/{fill.public_id}").text
    assert "above the daily dose ceiling of 17 mg/d (set by the clinic)." in text
    assert f"set by the clinic, source: {SOURCE}" in text


def test_another_clinics_figures_are_its_own(visitor, visit):
    set_ceiling(visitor)
    elsewhere = visit(builders.create_user(role="admin"))

    for path in ("/clinic/figures", PAGE, "/reference"):
        page = elsewhere.page(path)
        assert SOURCE not in page.text
        assert "Anton Admin" not in page.text


def test_a_figure_that_is_not_open_is_not_there(visitor):
    visitor.page("/clinic/figures/drugs.morphine.limits.start_dose_max", 404)


def test_the_file_has_both_values_and_their_sources(visitor):
    set_ceiling(visitor)

    rows = list(csv.DictReader(io.StringIO(visitor.file("/clinic/figures.csv?q=bupivacaine+daily").text)))

    (row,) = rows
    assert (row["shipped"], row["shipped source"], row["unit"]) == ("15.0", "unverified", "mg/day")
    assert (row["clinic's own"], row["clinic's source"], row["set by"]) == ("20.0", SOURCE, "Anton Admin")
    assert row["wider than shipped"] == "yes"
    assert len(entries("figure.export")) == 1


def test_a_changed_review_interval_moves_what_is_overdue_and_back(visitor, admin, visit):
    patient = builders.create_patient(clinic=admin.clinic, family_name="Overdueson")
    builders.create_stimulator(patient=patient, implanted_on=AT.date() - dt.timedelta(days=60))
    nurse = visit(builders.create_user(clinic=admin.clinic, role="nurse"))
    assert "Overdueson" not in nurse.page("/worklist").within("main")

    page = visitor.done(INTERVALS, pump_days="", stimulator_days="45", source=SOURCE, version="1")
    assert "45 days set by the clinic shipped: 180 days" in page.within("main")
    assert f"Anton Admin Stimulator days: none → 45; Source: none → {SOURCE}" in page.within("main")
    assert "Overdueson" in nurse.page("/worklist").within("main")
    (row,) = [
        row for row in visitor.page("/clinic/figures").texts("tr") if row.startswith("Review of a stim")
    ]
    assert f"45 days {SOURCE} Anton Admin" in row

    page = visitor.done(f"{INTERVALS}/shipped", version="2")
    assert "The shipped intervals hold again." in page.text
    assert "Overdueson" not in nurse.page("/worklist").within("main")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"pump_days": "0"}, "Review of a pump, every must lie between 1 and 1098."),
        ({"source": ""}, "Source is needed."),
        ({"version": "7"}, "Send again to replace it."),
    ],
)
def test_intervals_that_cannot_be_used_are_shown_again(visitor, typed, said):
    page = visitor.submitted(
        INTERVALS, 422, **{"pump_days": "45", "stimulator_days": "", "source": SOURCE, "version": "1"} | typed
    )

    assert said in page.text
    assert entries("review_plan.change") == []
