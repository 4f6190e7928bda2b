"""Every figure with its source, and what the clinic has set, to be read by everybody."""

import csv
import io

from sc_stim.clinical import reference
from sc_stim.clinical.rules_doc import TABLES
from sc_stim.extensions import db
from sc_stim.models import ReviewPlan
from sc_stim.web.reference import HEADINGS
from sc_stim.workflows import reviewing
from sc_stim.workflows.audit import Actor
from tests import builders
from tests.builders import AT


def test_every_table_of_the_rules_is_on_the_page_with_a_version(app):
    assert HEADINGS.keys() == TABLES.keys()
    assert all(reference.load(file)["version"] for _, file in HEADINGS.values() if file)


def test_everybody_reads_every_row(visit):
    page = visit(builders.create_user(role="auditor")).page("/reference")

    rows = sum(len(TABLES[name]().rows) for name in HEADINGS)
    assert f"{rows} rows in {len(HEADINGS)} tables" in page.text
    assert "unverified" in page.text
    assert "**" not in page.within("main")
    assert "`" not in page.within("main")


def test_a_search_leaves_the_rows_that_hold_every_word(visit):
    visitor = visit(builders.create_user(role="engineer"))

    page = visitor.page("/reference?q=Baclofen+limits")
    assert "Baclofen" in page.text
    assert "Ziconotide" not in page.text
    page = visitor.page("/reference?unverified=1")
    assert all(
        "unverified" in row
        for row in page.texts("tr")
        if not row.startswith(("Figure", "Drug")) and "Source" not in row
    )
    assert "No row holds all of these words." in visitor.page("/reference?q=unobtainium").text


def test_the_file_has_value_unit_source_and_version(visit):
    answer = visit(builders.create_user(role="nurse")).file("/reference.csv?q=longest+visit+slots")
    everything = visit(builders.create_user(role="nurse")).file("/reference.csv")

    assert answer.status_code == 200
    rows = list(csv.DictReader(io.StringIO(everything.text)))
    assert len(rows) == sum(len(TABLES[name]().rows) for name in HEADINGS)
    review = [row for row in rows if row["table"].startswith("Review")]
    assert {row["unit"] for row in review} == {"d"}
    assert all(row["source"] and row["version"] and row["value"] for row in review)


def test_what_the_clinic_has_set_stands_with_who_changed_it(visit):
    admin = builders.create_user(role="admin", name="Anton Admin")
    by = Actor(admin.clinic_id, str(admin.public_id), b"any", admin.id)
    plan = reviewing.plan_to_edit(db.session(), admin.clinic_id)
    reviewing.change_plan(db.session(), by, plan, {"pump_days": 45}, at=AT)
    db.session.commit()
    assert db.session.query(ReviewPlan).count() == 1

    page = visit(admin).page("/reference")

    assert "every 45 days (set by the clinic)" in page.text
    assert "Anton Admin Pump days: none → 45" in page.text


def test_changes_about_patients_and_of_other_clinics_are_not_shown(visit):
    patient = builders.create_patient()
    by = builders.create_user(clinic=patient.clinic, role="nurse", name="Nadia Berger")
    actor = Actor(by.clinic_id, str(by.public_id), b"any", by.id)
    plan = reviewing.plan_to_edit(db.session(), by.clinic_id, patient)
    reviewing.change_plan(db.session(), actor, plan, {"pump_days": 30}, at=AT)
    db.session.commit()

    assert "Nobody has changed a value of the clinic yet." in visit(by).page("/reference").text
