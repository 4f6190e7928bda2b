"""What becomes of booked visits, whom that calls, and what patients are sent."""

import datetime as dt
from typing import Any

from flask import Flask
from sqlalchemy import select

from sc_stim.clinical.alert_lifecycle import State
from sc_stim.extensions import db
from sc_stim.models import Alert, Appointment, Device, Forecast, Message
from sc_stim.tasks.jobs import judge_pump
from sc_stim.workflows import alerts, booking
from sc_stim.workflows.audit import Actor
from tests.apps import both_databases, read
from tests.builders import (
    AT,
    create_clinic,
    create_fill,
    create_patient,
    create_pump,
    create_resource,
    create_setting,
    create_user,
)

pytestmark = both_databases

DAY = dt.timedelta(days=1)
THURSDAY = dt.date(2026, 12, 3)


class Clinic:
    """A pump whose refill-by date is some days after 3 December, the room, and a nurse who books."""

    def __init__(self, **patient: Any) -> None:
        self.clinic = create_clinic(phone="+49 30 1234")
        self.pump = create_pump(patient=create_patient(clinic=self.clinic, **patient))
        create_setting(device=self.pump)
        create_fill(pump=self.pump)
        self.room = create_resource(clinic=self.clinic)
        nurse = create_user(clinic=self.clinic, role="nurse")
        self.nurse = Actor(self.clinic.id, str(nurse.public_id), b"key", nurse.id)

    def book(self, day: dt.date = THURSDAY, *, at: dt.datetime = AT, **values: Any) -> Appointment:
        place = {"resource": self.room, "day": day, "time": dt.time(10)} | values
        appointment = booking.book(db.session(), self.nurse, self.pump, place, at=at)
        db.session.commit()
        return appointment

    def change(self, appointment: Appointment, *, at: dt.datetime = AT, **changes: Any) -> None:
        booking.change(db.session(), self.nurse, appointment, changes, at=at)
        db.session.commit()

    def cancel(self, appointment: Appointment, *, at: dt.datetime = AT) -> None:
        booking.cancel(db.session(), self.nurse, appointment, None, at=at)
        db.session.commit()


def judge(pump: Device, at: dt.datetime) -> None:
    judge_pump(db.session(), {pump.id: at}, at)
    db.session.commit()


def told(condition: str) -> list[str]:
    """The states of the alerts of this condition, oldest first."""
    rows = read(select(Alert).where(Alert.condition == condition).order_by(Alert.id))
    return [row.state for row in rows]


def messages() -> list[tuple[str, str]]:
    """When each message is due, in the clinic's days, and what became of it."""
    rows = read(select(Message).where(Message.kind == "visit_reminder").order_by(Message.due_at, Message.id))
    return [(f"{row.due_at:%m-%d %H:%M}", row.state) for row in rows]


def of(appointment: Appointment) -> tuple[str, bool]:
    (row,) = read(select(Appointment).where(Appointment.id == appointment.id))
    return row.state, row.fill_id is not None


def reasons(pump: Device) -> list[str]:
    (row,) = read(select(Forecast).where(Forecast.device_id == pump.id))
    return list(row.result["reasons"])


def test_a_fill_of_the_day_makes_a_visit_done_and_its_correction_undoes_that(app: Flask) -> None:
    here = Clinic()
    visit = here.book()
    at = dt.datetime(2026, 12, 3, 12, tzinfo=dt.UTC)
    fill = create_fill(pump=here.pump, at=at)
    judge(here.pump, at)
    assert of(visit) == ("done", True)
    create_fill(pump=here.pump, at=at - DAY, replaces_id=fill.id)  # it was the day before
    judge(here.pump, at)
    assert of(visit) == ("booked", False)
    judge(here.pump, at + DAY)
    assert of(visit) == ("missed", False)


def test_a_day_that_passes_without_a_fill_is_a_missed_visit_that_counts_and_calls(app: Flask) -> None:
    here = Clinic()
    visit = here.book()
    evening = dt.datetime(2026, 12, 3, 22, 59, tzinfo=dt.UTC)
    judge(here.pump, evening)
    assert of(visit) == ("booked", False)
    assert "missed_visits" not in reasons(here.pump)
    midnight = evening + dt.timedelta(minutes=1)
    judge(here.pump, midnight)
    judge(here.pump, midnight)
    assert of(visit) == ("missed", False)
    assert "missed_visits" in reasons(here.pump)
    assert told("visit_missed") == [State.UNACKNOWLEDGED]


def test_a_missed_visit_is_made_up_for_by_another_one_and_is_work_again_when_that_is_called_off(
    app: Flask,
) -> None:
    here = Clinic()
    here.book()
    at = dt.datetime(2026, 12, 4, 8, tzinfo=dt.UTC)
    judge(here.pump, at)
    again = here.book(at.date(), at=at, time=dt.time(14))
    judge(here.pump, at)
    assert told("visit_missed") == [State.RETURNED_TO_NORMAL]
    (alert,) = read(select(Alert).where(Alert.condition == "visit_missed"))
    alerts.acknowledge(db.session(), here.nurse, alert, None, at)
    here.cancel(again, at=at)
    judge(here.pump, at)
    assert told("visit_missed") == [State.CLOSED, State.UNACKNOWLEDGED]
    create_fill(pump=here.pump, at=at)
    judge(here.pump, at)
    assert told("visit_missed")[-1] == State.RETURNED_TO_NORMAL
    assert "missed_visits" not in reasons(here.pump)


def test_a_date_that_moves_before_the_visit_is_an_alert_until_the_visit_moves(app: Flask) -> None:
    here = Clinic()
    visit = here.book()
    judge(here.pump, AT)
    assert told("appointment_after_refill_by") == []
    create_setting(device=here.pump, effective_at=AT, flow_ml_per_day=1.0)
    judge(here.pump, AT)
    judge(here.pump, AT)
    (row,) = read(select(Appointment).where(Appointment.id == visit.id))
    assert row.too_late
    assert told("appointment_after_refill_by") == [State.UNACKNOWLEDGED]
    here.change(visit, day=dt.date(2026, 11, 24))
    judge(here.pump, AT)
    assert told("appointment_after_refill_by") == [State.RETURNED_TO_NORMAL]


def test_a_late_visit_that_was_accepted_calls_only_when_the_date_moves_further(app: Flask) -> None:
    here = Clinic()
    late = dt.date(2026, 12, 16)
    visit = here.book(late, override_reason="abroad until then")
    assert visit.accepted_refill_by is not None
    judge(here.pump, AT)
    assert told("appointment_after_refill_by") == []
    create_setting(device=here.pump, effective_at=AT, flow_ml_per_day=0.8)
    judge(here.pump, AT)
    assert told("appointment_after_refill_by") == [State.UNACKNOWLEDGED]
    here.change(visit, override_reason="still abroad, oral drug given")
    judge(here.pump, AT)
    assert told("appointment_after_refill_by") == [State.RETURNED_TO_NORMAL]


def test_a_pump_that_is_taken_out_has_its_visit_called_off(app: Flask) -> None:
    here = Clinic()
    visit = here.book()
    here.pump.explanted_on = AT.date()
    db.session.commit()
    judge(here.pump, AT)
    assert of(visit) == ("cancelled", False)
    assert [state for _, state in messages()] == ["cancelled"]


def test_a_reminder_goes_out_in_the_morning_five_days_before_and_follows_the_visit(app: Flask) -> None:
    here = Clinic()
    visit = here.book()
    assert messages() == [("11-28 08:00", "waiting")]  # 9:00 in Berlin
    here.change(visit, note="bring the handset")
    assert messages() == [("11-28 08:00", "waiting")]
    here.change(visit, day=dt.date(2026, 12, 1))
    assert messages() == [("11-26 08:00", "waiting"), ("11-28 08:00", "cancelled")]
    here.cancel(visit)
    assert [state for _, state in messages()] == ["cancelled", "cancelled"]


def test_a_reminder_says_when_and_whom_to_call_and_nothing_else(app: Flask) -> None:
    here = Clinic()
    here.book()
    (message,) = read(select(Message))
    assert (message.channel, message.address) == ("sms", here.pump.patient.phone)
    assert (message.title, message.body) == (
        "Your appointment",
        "You have an appointment on Thursday 3 December at 10:00. To change it, please call +49 30 1234.",
    )


def test_after_a_missed_visit_two_messages_are_owed_until_it_is_made_up_for(app: Flask) -> None:
    here = Clinic()
    here.book()
    midnight = dt.datetime(2026, 12, 3, 23, 10, tzinfo=dt.UTC)
    judge(here.pump, midnight)
    judge(here.pump, midnight)
    before, *after = messages()
    assert before == ("11-28 08:00", "waiting")
    assert after == [("12-04 08:00", "waiting"), ("12-10 08:00", "waiting")]
    create_fill(pump=here.pump, at=midnight + DAY)
    judge(here.pump, midnight + DAY)
    assert [state for _, state in messages()[1:]] == ["cancelled", "cancelled"]


def test_a_patient_who_cannot_be_written_to_or_was_not_reached_is_called_by_somebody(app: Flask) -> None:
    alone, reached = Clinic(phone=None), Clinic(phone=None, email="ada@example.org")
    for here in (alone, reached):
        here.book()
        judge(here.pump, AT)
    assert told("reminder_by_phone") == []
    (message,) = read(select(Message))
    assert message.channel == "email"
    reminder_day = dt.datetime(2026, 11, 28, 9, tzinfo=dt.UTC)
    for here in (alone, reached):
        judge(here.pump, reminder_day)
    (alert,) = read(select(Alert).where(Alert.condition == "reminder_by_phone"))
    assert alert.device_id == alone.pump.id
    message.state = "failed"
    db.session.commit()
    judge(reached.pump, reminder_day)
    assert len(told("reminder_by_phone")) == 2


def test_a_patient_who_booked_at_short_notice_needs_no_call(app: Flask) -> None:
    here = Clinic(phone=None)
    here.book(dt.date(2026, 11, 26))
    judge(here.pump, AT)
    assert told("reminder_by_phone") == []
    assert messages() == []
