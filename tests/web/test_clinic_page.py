"""The administrator looks after the clinic: its record, its closed days, its hours, nurses and rooms."""

import datetime as dt

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, Clinic, ClinicClosure, ClinicResource, OpeningHours, WorkItem
from tests import builders

DAY = dt.date(2026, 12, 3)  # of a visit that builders book
FACTS = {
    "name": "Riverside", "phone": "+49 30 5550000", "time_zone": "Europe/Berlin", "country": "DE",
    "subdivision": "", "pharmacy_lead_days": "2", "refill_margin_days": "0",
}  # fmt: skip


@pytest.fixture
def admin(app):
    clinic = builders.create_clinic(name="Riverside", phone="+49 30 5550000", pharmacy_lead_days=2)
    return builders.create_user(clinic=clinic, role="admin", name="Anton Admin")


@pytest.fixture
def pump(admin):
    return builders.create_pump(patient=builders.create_patient(clinic=admin.clinic, family_name="Okafor"))


def clinic_now(admin) -> Clinic:
    return db.session.get_one(Clinic, admin.clinic_id)


def closed_days() -> list[dt.date]:
    return list(db.session.scalars(select(ClinicClosure.day).order_by(ClinicClosure.day)))


def test_the_record_of_the_clinic_is_changed_and_forecasts_made_anew(admin, pump, visit):
    visitor = visit(admin)
    page = visitor.page("/clinic")
    assert {one.get("name"): one.get("value") for one in page.all("input")}["pharmacy_lead_days"] == "2"

    visitor.done("/clinic", **FACTS | {"pharmacy_lead_days": "3", "subdivision": "BE"}, version="1")

    assert (clinic_now(admin).pharmacy_lead_days, clinic_now(admin).subdivision) == (3, "BE")
    assert db.session.scalars(select(WorkItem.subject_id).where(WorkItem.kind == "refill")).all() == [pump.id]
    change = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "clinic.change")).one()
    assert change.detail["changed"] == {"pharmacy_lead_days": [2, 3], "subdivision": [None, "BE"]}


@pytest.mark.parametrize(
    ("typed", "field", "error"),
    [
        ({"time_zone": "Europe/Nowhere"}, "time_zone", "Time zone is not a zone of the IANA database"),
        ({"country": "XX"}, "country", "has no holiday calendar"),
        ({"pharmacy_lead_days": "61"}, "pharmacy_lead_days", "Pharmacy needs must lie between 0 and 60."),
        ({"refill_margin_days": "1.5"}, "refill_margin_days", "Margin must be a whole number."),
        ({"name": ""}, "name", "Name is needed."),
    ],
)
def test_what_cannot_be_right_is_said_beside_its_field(admin, visit, typed, field, error):
    visitor = visit(admin)
    visitor.page("/clinic")

    page = visitor.submitted("/clinic", 422, **FACTS | typed, version="1")

    assert error in page.within(f"{field}-error")
    assert clinic_now(admin).version == 1


def test_a_name_that_another_clinic_has_is_refused(admin, visit):
    builders.create_clinic(name="Lakeside")
    visitor = visit(admin)
    visitor.page("/clinic")

    page = visitor.submitted("/clinic", 422, **FACTS | {"name": "Lakeside"}, version="1")

    assert "another clinic of this name" in page.within("name-error")


def test_a_stale_form_says_what_changed_meanwhile(admin, visit):
    visitor = visit(admin)
    visitor.page("/clinic")
    admin.clinic.phone = "+49 30 5550999"
    db.session.commit()

    page = visitor.submitted("/clinic", 422, **FACTS, version="1")

    assert "Telephone is “+49 30 5550999” now" in page.within("phone-error")
    assert clinic_now(admin).phone == "+49 30 5550999"


def test_a_range_of_days_is_closed_and_the_visits_on_it_are_counted(admin, pump, visit):
    builders.create_appointment(pump=pump)
    visitor = visit(admin)
    assert "No day is closed from today on." in visitor.page("/clinic").text

    page = visitor.done(
        "/clinic/closures", first_day="2026-12-02", last_day="2026-12-04", reason="Moving house"
    )

    assert "3 days are closed. 1 booked visit falls on this closure" in page.text
    rows = page.texts("tr")[1:]
    assert len(rows) == 1
    assert "3 days" in rows[0]
    assert "Moving house" in rows[0]
    assert "1 to be moved" in rows[0]
    assert "Okafor" not in page.html
    assert closed_days() == [DAY - dt.timedelta(days=1), DAY, DAY + dt.timedelta(days=1)]


def test_an_opened_closure_can_be_put_back(admin, visit):
    visitor = visit(admin)
    visitor.page("/clinic")
    visitor.done("/clinic/closures", first_day="2026-12-24", reason="Christmas Eve")

    page = visitor.done("/clinic/closures/remove", first="2026-12-24", last="2026-12-24")

    assert closed_days() == []
    undo = {one.get("name"): one.get("value") for one in page.all("form")[1].iter("input")}
    assert undo["reason"] == "Christmas Eve"
    visitor.done("/clinic/closures", **{name: undo[name] for name in ("first_day", "last_day", "reason")})
    assert closed_days() == [dt.date(2026, 12, 24)]
    assert "Undo" not in visitor.page("/clinic").texts("button")


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"first_day": "2026-12-24", "last_day": "2026-12-20", "reason": "x"}, "last_day"),
        ({"first_day": "2026-12-24", "last_day": "9999-12-31", "reason": "x"}, "last_day"),
        ({"first_day": "soon", "reason": "x"}, "first_day"),
        ({"first_day": "2026-12-24", "reason": ""}, "reason"),
        ({"first_day": "2026-12-31", "reason": "again"}, "first_day"),
    ],
)
def test_days_that_cannot_be_closed_are_refused(admin, visit, typed, field):
    visitor = visit(admin)
    visitor.page("/clinic")
    visitor.done("/clinic/closures", first_day="2026-12-31", reason="New Year's Eve")

    page = visitor.submitted("/clinic/closures", 422, **typed)

    assert page.within(f"{field}-error")
    assert closed_days() == [dt.date(2026, 12, 31)]


def test_closures_as_a_file(admin, visit):
    visitor = visit(admin)
    visitor.page("/clinic")
    visitor.done("/clinic/closures", first_day="2026-12-24", last_day="2026-12-25", reason="=cmd()")

    assert visitor.file("/clinic/closures.csv").text.splitlines() == [
        "first day,last day,reason,visits booked",
        "2026-12-24,2026-12-25,'=cmd(),0",
    ]


def test_hours_are_replaced_and_a_row_that_is_emptied_is_gone(admin, visit):
    visitor = visit(admin)
    page = visitor.page("/clinic/hours")
    assert "no visit can be booked" in page.text
    morning = {"weekday-0": "0", "opens-0": "08:00", "closes-0": "12:00", "slot_min-0": "30"}
    noon = {"weekday-1": "0", "opens-1": "13:00", "closes-1": "16:00", "slot_min-1": "20"}

    visitor.done("/clinic/hours", **morning, **noon, version="1")

    hours = db.session.scalars(select(OpeningHours).order_by(OpeningHours.opens)).all()
    assert [(one.weekday, one.opens, one.slot_min) for one in hours] == [
        (0, dt.time(8), 30),
        (0, dt.time(13), 20),
    ]
    visitor.done("/clinic/hours", **morning, **noon | {"opens-1": "", "closes-1": ""}, version="2")
    assert db.session.query(OpeningHours).count() == 1


@pytest.mark.parametrize(
    ("row", "field", "error"),
    [
        ({"opens-0": "12:00", "closes-0": "08:00"}, "closes-0", "Closes must be after opens."),
        ({"opens-0": "25:00"}, "opens-0", "Opens must be a time, as 09:30."),
        ({"slot_min-0": "4"}, "slot_min-0", "Visit takes must lie between 5 and 480."),
        ({"weekday-0": "7"}, "weekday-0", "Choose weekday from the list."),
        ({"weekday-1": "0", "opens-1": "11:00", "closes-1": "13:00", "slot_min-1": "30"}, "opens-0",
         "Hours: overlap on Monday."),
        ({"version": "9"}, "opens-0", "Somebody has changed this since you opened it."),
    ],
)  # fmt: skip
def test_hours_that_cannot_be_are_refused(admin, visit, row, field, error):
    visitor = visit(admin)
    visitor.page("/clinic/hours")
    good = {"weekday-0": "0", "opens-0": "08:00", "closes-0": "12:00", "slot_min-0": "30", "version": "1"}

    page = visitor.submitted("/clinic/hours", 422, **good | row)

    assert error in page.within(f"{field}-error")
    assert db.session.query(OpeningHours).count() == 0


def test_a_nurse_is_added_is_away_and_comes_back(admin, pump, visit):
    nurse = builders.create_user(clinic=admin.clinic, role="nurse", name="Nadia Berger")
    visitor = visit(admin)
    visitor.page("/clinic/hours")
    page = visitor.done("/clinic/resources", name="Nadia", kind="nurse", user_id=str(nurse.public_id))
    assert page.texts("h1") == ["Nadia"]
    resource = db.session.scalars(select(ClinicResource)).one()
    builders.create_appointment(pump=pump, resource=resource)
    here = f"/clinic/resources/{resource.public_id}"

    away = {"first_day": "2026-12-01", "last_day": "2026-12-05", "reason": "training"}
    page = visitor.done(here + "/absences", **away)

    assert "1 booked visit falls into this time" in page.text
    assert "training" in visitor.page("/clinic/hours").text
    page = visitor.done(here + "/absences/remove", **away)
    assert "No day away is on record." in page.text
    assert (
        "absences"
        in visitor.submitted(here + "/absences", 422, **away | {"last_day": "2026-11-01"})
        .within("last_day-error")
        .lower()
    )


def test_a_room_is_taken_out_of_use_and_its_hours_are_its_own(admin, visit):
    room = builders.create_resource(clinic=admin.clinic, name="Room 2", hours=[])
    visitor, here = visit(admin), f"/clinic/resources/{room.public_id}"
    visitor.page(here)

    visitor.done(here + "/hours", **{"weekday-0": "4", "opens-0": "08:00", "closes-0": "10:00", "slot_min-0": "30"},
                 version="1")  # fmt: skip
    assert "Friday 08:00 to 10:00" in visitor.page("/clinic/hours").text
    page = visitor.done(here, name="Room 2", version="2")
    assert "not booked any more" in page.text
    assert "Name is “Room 2” now" in visitor.submitted(here, 422, name="Room 3", version="1").text


def test_an_account_is_only_one_nurse_and_of_this_clinic(admin, visit):
    nurse = builders.create_user(clinic=admin.clinic, role="nurse")
    builders.create_resource(clinic=admin.clinic, kind="nurse", user_id=nurse.id)
    stranger = builders.create_user(role="nurse")
    visitor = visit(admin)
    visitor.page("/clinic/hours")

    for user, error in ((nurse, "another nurse's already"), (stranger, "from the list")):
        page = visitor.submitted(
            "/clinic/resources", 422, name="N", kind="nurse", user_id=str(user.public_id)
        )
        assert error in page.within("user_id-error")


def test_another_clinics_room_does_not_exist(admin, visit):
    room = builders.create_resource(clinic=builders.create_clinic(), name="Their room")
    visitor, here = visit(admin), f"/clinic/resources/{room.public_id}"

    assert "Their room" not in visitor.page("/clinic/hours").html
    visitor.page(here, 404)
    for act in ("", "/hours", "/absences", "/absences/remove"):
        assert visitor.post(here + act, version="1").status_code == 404
    assert visitor.file("/clinic/resources.csv").text.count("\n") == 1
