import csv
import datetime as dt
import io

import pytest
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Alert, AlertEntry, AuditEntry, ClinicFigure, Contact, Message
from tests import builders
from tests.apps import both_databases
from tests.builders import AT
from tests.web.pages import Page, Visitor, text

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
ACTS = {"I take it", "It is dealt with", "Put it on the shelf", "Add a comment", "Give it to somebody"}


@pytest.fixture
def nurse(app):
    return builders.create_user(role="nurse", name="Nadia Berger")


@pytest.fixture
def alert(nurse):
    patient = builders.create_patient(clinic=nurse.clinic)
    return builders.create_alert(patient=patient, condition="pain_rise")


def stored(alert: Alert) -> Alert:
    return db.session.get_one(Alert, alert.id)


def audited(action: str) -> list[AuditEntry]:
    return list(db.session.scalars(select(AuditEntry).where(AuditEntry.action == action)))


def act(visitor: Visitor, alert: Alert, name: str, **form: str) -> Page:
    visitor.page(f"/alerts/{alert.public_id}")
    return visitor.done(f"/alerts/{alert.public_id}/{name}", **form)


def refused(visitor: Visitor, alert: Alert, name: str, **form: str) -> Page:
    visitor.page(f"/alerts/{alert.public_id}")
    return visitor.submitted(f"/alerts/{alert.public_id}/{name}", 422, **form)


def listed(page: Page) -> list[str]:
    """What the alerts of the list are about, from the top."""
    rows = [cell for table in page.all("table") for cell in table.iter("th") if cell.get("scope") == "row"]
    return ["".join(next(cell.iter("a")).itertext()) for cell in rows]


def told(alert: Alert, contact: Contact, **values: object) -> None:
    db.session.add(
        Message(
            **{
                "clinic_id": alert.clinic_id, "effect_key": f"{contact.name} {values}", "kind": "alert",
                "channel": "sms", "address": contact.address, "title": "HIGH", "body": "HIGH", "created_at": AT,
                "due_at": AT, "expires_at": AT + DAY, "state": "waiting", "next_attempt_at": AT,
                "alert_id": alert.id, "contact_id": contact.id,
            } | values
        )
    )  # fmt: skip
    db.session.commit()


def test_an_alert_shows_what_it_rests_on_in_words(nurse, visit):
    detail = {
        "kind": "step_up", "baseline_nrs": 4.1, "level_nrs": None, "onset": "2026-11-19", "tier": "soft",
        "causes": [{"against": [], "certain": False}],
    }  # fmt: skip
    alert = builders.create_alert(
        patient=builders.create_patient(clinic=nurse.clinic, family_name="Okafor"), condition="pain_rise",
        severity="high", historical=True, detail=detail, model_version="pain-1",
    )  # fmt: skip

    page = visit(nurse).page(f"/alerts/{alert.public_id}")

    assert page.texts("h1") == ["Pain has risen: Okafor, Ada"]
    assert "Okafor" not in page.title  # browsers keep titles in their history
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Usual level (NRS)"] == "4.1"
    assert facts["Level since then (NRS)"] == "not known"
    assert facts["Kind"] == "Pain rose"
    assert facts["Began about"] == "Thu 19 Nov 2026"
    assert facts["How sure"] == "a first sign"
    assert facts["Against"] == "none"
    assert facts["Certain"] == "no"
    assert facts["Judged by"] == "pain-1"
    assert "High" in page.text
    assert "found in data that came late" in page.text


def test_taking_an_alert_says_who_when_and_why(nurse, alert, visit, time):
    visitor = visit(nurse)
    time.pass_by(minutes=5)

    page = act(visitor, alert, "acknowledge", comment="  Calling the patient.\nNow. ")

    assert "You have taken this alert." in page.text
    assert "Acknowledged by Nadia Berger, Mon 23 Nov 2026 09:05" in page.text
    assert page.texts("blockquote") == ["Calling the patient. Now."]
    assert stored(alert).state == "acknowledged"
    assert audited("alert.acknowledge")[0].subject == str(alert.public_id)
    assert set(page.texts("button")) & ACTS == ACTS - {"I take it"}


def test_an_alert_somebody_else_took_meanwhile_is_not_taken_again(nurse, alert, visit):
    visitor, colleague = visit(nurse), visit(builders.create_user(clinic=nurse.clinic, role="clinician"))
    visitor.page(f"/alerts/{alert.public_id}")
    act(colleague, alert, "acknowledge")

    page = visitor.done(f"/alerts/{alert.public_id}/acknowledge")

    assert "Nothing was changed: it is acknowledged already." in page.text
    assert len(audited("alert.acknowledge")) == 1


def test_a_shelved_alert_leaves_the_worklist_until_its_time(nurse, alert, visit):
    visitor = visit(nurse)

    page = act(visitor, alert, "shelve", hours="4", comment="")

    assert "On the shelf until Mon 23 Nov 2026 13:00" in page.text
    assert stored(alert).shelved_until == AT + dt.timedelta(hours=4)
    assert "Pain has risen" not in visitor.page("/worklist").text
    assert "Pain has risen" in visitor.page("/alerts?show=shelved").text


@pytest.mark.parametrize("hours", ["", "0", "-2", "9999", "two", "1.5"])
def test_a_shelf_of_any_other_length_is_refused_and_what_was_typed_stays(nurse, alert, visit, hours):
    page = refused(visit(nurse), alert, "shelve", hours=hours, comment="Patient sleeps.")

    assert "Nothing was changed." in page.text
    assert page.within("shelve-hours-error") == "Choose for how long it stays on the shelf from the list."
    assert "Patient sleeps." in page.within("shelve-comment")
    assert stored(alert).state == "unacknowledged"


def test_a_shelf_ends_at_a_time_of_the_clinics_clock(nurse, alert, visit):
    page = act(visit(nurse), alert, "shelve", hours="2", until="2026-11-24T07:30")

    assert "On the shelf until Tue 24 Nov 2026 07:30" in page.text
    assert stored(alert).shelved_until == dt.datetime.fromisoformat("2026-11-24T07:30+01:00")


@pytest.mark.parametrize(
    ("until", "why"),
    [
        ("2026-11-23T09:00", "The end of the shelf must lie in the future."),
        ("tomorrow", "The end of the shelf must be a date and a time, as 2026-11-22 09:30."),
    ],
)
def test_a_shelf_that_ends_in_the_past_or_never_is_refused(nurse, alert, visit, until, why):
    page = refused(visit(nurse), alert, "shelve", hours="2", until=until)

    assert page.within("shelve-until-error") == why
    assert stored(alert).state == "unacknowledged"


def test_closing_an_alert_needs_a_reason_and_ends_all_acts_but_comments(nurse, alert, visit):
    visitor = visit(nurse)
    page = refused(visitor, alert, "resolve", comment=" ")
    assert page.within("resolve-comment-error") == "A comment is needed."
    assert stored(alert).state == "unacknowledged"

    assert "Nothing has said that it is over." in page.text

    page = act(visitor, alert, "resolve", comment="Lead revised.", needed="yes")

    assert "The alert is closed." in page.text
    assert (stored(alert).state, stored(alert).action_taken) == ("closed", True)
    assert set(page.texts("button")) & ACTS == {"Add a comment"}
    late = visitor.done(f"/alerts/{alert.public_id}/acknowledge")
    assert "the alert is closed: nothing more can be done with it" in late.text


def test_a_comment_changes_nothing_else(nurse, alert, visit):
    page = act(visit(nurse), alert, "comment", comment="Nobody answered.")

    assert "Your comment is noted." in page.text
    assert "Nobody answered." in page.text
    assert stored(alert).state == "unacknowledged"
    assert len(audited("alert.comment")) == 1


@pytest.mark.parametrize(("needed", "taken"), [("", None), ("no", False)])
def test_whether_it_needed_something_may_be_left_open(nurse, alert, visit, needed, taken):
    act(visit(nurse), alert, "resolve", comment="Known.", needed=needed)

    assert stored(alert).action_taken is taken


def test_a_comment_that_is_too_long_is_refused(nurse, alert, visit):
    page = refused(visit(nurse), alert, "comment", comment="x" * 2001)

    assert page.within("comment-comment-error") == "A comment has 2001 characters; 2000 fit."
    assert db.session.scalars(select(AlertEntry)).all() == []


def test_every_look_at_an_alert_is_on_record(nurse, alert, visit):
    visitor = visit(nurse)
    visitor.page(f"/alerts/{alert.public_id}")
    visitor.page("/alerts")

    [view] = audited("alert.view")
    assert view.subject == str(alert.public_id)
    assert view.detail["patients"] == [str(alert.patient.public_id)]
    assert audited("alert.list")[0].detail["patients"] == [str(alert.patient.public_id)]


def test_an_alert_is_given_to_a_person_and_back_to_nobody(nurse, alert, visit):
    colleague = builders.create_user(clinic=nurse.clinic, role="clinician", name="Karl Adam")
    builders.create_user(clinic=nurse.clinic, role="engineer", name="Emil Koch")
    builders.create_user(clinic=nurse.clinic, role="nurse", name="Gone Away", active=False)
    visitor = visit(nurse)
    page = visitor.page(f"/alerts/{alert.public_id}")
    choice = next(one for one in page.all("select") if one.get("name") == "user")
    names = ["".join(option.itertext()) for option in choice]
    assert names == ["Nadia Berger (you)", "Karl Adam", "Nobody in particular"]

    page = act(visitor, alert, "assign", user=str(colleague.public_id), comment="You know her.")
    assert "Given to somebody: Karl Adam by Nadia Berger, Mon 23 Nov 2026 09:00" in page.text
    assert "given to Karl Adam" in page.text
    assert (stored(alert).assigned_to_id, stored(alert).state) == (colleague.id, "unacknowledged")

    assert "Given to somebody: nobody in particular" in act(visitor, alert, "assign", user="nobody").text
    assert stored(alert).assigned_to_id is None


def test_an_alert_is_given_to_nobody_of_another_clinic(nurse, alert, visit):
    stranger = builders.create_user(role="nurse")

    page = refused(visit(nurse), alert, "assign", user=str(stranger.public_id))

    assert page.within("assign-user-error") == "Choose who looks after it from the list."
    assert stored(alert).assigned_to_id is None


def test_the_page_says_who_was_told_and_what_became_of_it(nurse, alert, visit):
    first = builders.create_contact(clinic=nurse.clinic, name="Ward telephone")
    second = builders.create_contact(clinic=nurse.clinic, name="Dr. Adam")
    told(alert, first, state="sent", ended_at=AT - HOUR)
    told(alert, second, state="failed", ended_at=AT, problem="timed_out", due_at=AT + HOUR)
    told(alert, second, next_attempt_at=AT + 2 * HOUR, due_at=AT + 2 * HOUR, attempts=1)
    alert.next_call_at = AT + HOUR / 4
    db.session.commit()

    lines = [line for line in visit(nurse).page(f"/alerts/{alert.public_id}").texts("li") if "SMS" in line]

    assert lines == [
        "Ward telephone SMS Sent today 08:00",
        "Dr. Adam SMS Did not arrive (timed out) today 09:00",
        "Dr. Adam SMS Waits to be sent to be sent today 11:00, 1 tried before",
    ]


def test_the_next_call_is_told_only_while_nobody_has_taken_it(nurse, alert, visit):
    alert.next_call_at = AT + HOUR / 4
    visitor = visit(nurse)
    path = f"/alerts/{alert.public_id}"
    assert "the next people are told today 09:15" in visitor.page(path).text.replace(
        "Mon 23 Nov 2026", "today"
    )

    assert "the next people are told" not in act(visitor, alert, "acknowledge").text


def test_why_a_condition_matters_is_said_with_its_source(nurse, visit):
    patient = builders.create_patient(clinic=nurse.clinic)
    pump = builders.create_pump(patient=patient)
    alert = builders.create_alert(patient=patient, device=pump, condition="motor_stall", severity="high")

    facts = dict(
        zip(
            *(visit(nurse).page(f"/alerts/{alert.public_id}").texts(tag) for tag in ("dt", "dd")), strict=True
        )
    )

    assert "A stall stops delivery." in facts["Why it matters"]
    assert "gillettechildrens.org" in facts["Why it matters"]


@both_databases
def test_lists_of_alerts_by_what_has_become_of_them(visit):
    nurse = builders.create_user(role="nurse")
    patient = builders.create_patient(clinic=nurse.clinic)
    for condition, state in (
        ("reset", "unacknowledged"), ("motor_stall", "acknowledged"), ("memory_error", "returned_to_normal"),
        ("mri_mode", "shelved"), ("charge_missed", "closed"), ("no_data", "unacknowledged"),
    ):  # fmt: skip
        builders.create_alert(patient=patient, condition=condition, state=state)
    visitor = visit(nurse)

    assert set(listed(visitor.page("/alerts"))) == {
        "Reset",
        "Motor stall",
        "Memory error",
        "Device is silent",
    }
    assert set(listed(visitor.page("/alerts?show=untaken"))) == {"Reset", "Memory error", "Device is silent"}
    assert listed(visitor.page("/alerts?show=shelved")) == ["Still in MRI mode"]
    closed = visitor.page("/alerts?show=closed")
    assert listed(closed) == ["Charging was missed"]
    assert [text(link) for nav in closed.all("nav") if nav.get("class") == "choice" for link in nav.iter("a")] == [
        "Open 4", "Not taken yet 3", "On the shelf 1", "Closed 1"
    ]  # fmt: skip


@both_databases
def test_a_list_is_narrowed_and_counted_by_what_is_chosen(visit):
    nurse = builders.create_user(role="nurse")
    patient = builders.create_patient(clinic=nurse.clinic)
    pump, stimulator = (make(patient=patient) for make in (builders.create_pump, builders.create_stimulator))
    mine = {"assigned_to_id": nurse.id, "severity": "low"}
    builders.create_alert(patient=patient, device=pump, condition="motor_stall", severity="high")
    builders.create_alert(patient=patient, device=stimulator, condition="charge_missed", **mine)
    builders.create_alert(patient=patient, condition="pain_rise", severity="high", state="shelved")
    visitor = visit(nurse)

    def shown(query: str) -> list[str]:
        return listed(visitor.page(f"/alerts?{query}"))

    assert shown("severity=high") == ["Motor stall"]
    assert shown("kind=charge_missed&severity=&device=") == ["Charging was missed"]
    assert shown("assigned=me") == shown("device=stimulator") == ["Charging was missed"]
    assert shown("assigned=nobody") == shown("device=pump") == ["Motor stall"]
    assert shown(f"patient={patient.public_id}") == ["Motor stall", "Charging was missed"]
    page = visitor.page("/alerts?severity=high")
    assert "Open 1" in page.texts("a") and "On the shelf 1" in page.texts("a")
    assert [link.get("href") for link in page.all("a") if "CSV" in "".join(link.itertext())] == [
        "/alerts.csv?severity=high&show=open"
    ]
    both = visitor.page("/alerts?severity=low&assigned=me")
    assert both.texts("summary") == ["Narrow the list, now low, given to me"]
    empty = visitor.page("/alerts?severity=info")
    assert "No alert is like that. Show all again" in empty.text


def test_an_empty_list_says_so_and_an_unknown_one_is_not_found(nurse, alert, visit):
    visitor = visit(nurse)
    theirs = builders.create_alert(patient=builders.create_patient())

    assert "Nothing is on the shelf." in visitor.page("/alerts?show=shelved").text
    for query in (
        "show=all", "severity=worst", "assigned=you", "device=drone", "patient=1", "after=1", f"kind={'x' * 41}",
        f"after={theirs.public_id}", f"patient={theirs.patient.public_id}",
    ):  # fmt: skip
        visitor.page(f"/alerts?{query}", 404)


@both_databases
@pytest.mark.parametrize("state", ["unacknowledged", "closed"])
def test_a_long_list_goes_on_behind_the_last_alert_whatever_happens_meanwhile(visit, monkeypatch, state):
    monkeypatch.setattr("sc_stim.web.alerts.PAGE_SIZE", 2)
    nurse = builders.create_user(role="nurse")
    patient = builders.create_patient(clinic=nurse.clinic)
    show = "closed" if state == "closed" else "open"
    for number in range(5):
        age = number if state == "closed" else 9 - number
        builders.create_alert(
            patient=patient, condition=f"condition_{number}", opened_at=AT - age * HOUR, state=state
        )
    visitor = visit(nurse)

    seen, address = [], f"/alerts?show={show}"
    for _ in range(3):
        page = visitor.page(address)
        seen += listed(page)
        builders.create_alert(
            patient=patient,
            condition="new",
            opened_at=AT + HOUR if show == "closed" else AT - 9 * DAY,
            state=state,
        )
        address = next((a.get("href") for a in page.all("a") if a.get("rel") == "next"), "")

    assert seen == [f"Condition {number}" for number in range(5)]
    assert address == ""


def test_a_patients_alerts_are_found_by_name_or_number_which_stand_in_no_address(nurse, visit):
    okafor, okada = (
        builders.create_patient(clinic=nurse.clinic, family_name=name) for name in ("Okafor", "Okada")
    )
    builders.create_patient(clinic=nurse.clinic, family_name="Okay")  # has no alert
    for patient in (okafor, okada):
        builders.create_alert(patient=patient, condition="reset")
    visitor = visit(nurse)
    visitor.page("/alerts")

    one = visitor.post("/alerts?show=untaken", name="okaf")
    assert one.location == f"/alerts?show=untaken&patient={okafor.public_id}"
    assert visitor.post("/alerts", name=okada.mrn).location.endswith(f"patient={okada.public_id}")
    several = visitor.submitted("/alerts", name="OKA")
    section = next(text(one) for one in several.all("section") if one.get("aria-labelledby") == "who")
    assert section.startswith("Whose alerts? Okada") and "Okafor" in section and "Okay" not in section
    nobody = visitor.submitted("/alerts", name="%")
    assert "No patient with an alert is found under “%”." in nobody.text
    assert visitor.post("/alerts", name=" ").location == "/alerts"


def test_a_patient_of_another_clinic_is_not_found_by_name(nurse, visit):
    theirs = builders.create_alert(patient=builders.create_patient(family_name="Elsewhere"))
    visitor = visit(nurse)
    visitor.page("/alerts")

    assert "Nobody is found" in visitor.submitted("/alerts", name="Elsewhere").text
    assert "Nobody is found" in visitor.submitted("/alerts", name=theirs.patient.mrn).text


def test_the_list_as_a_file_holds_every_alert_of_it_and_is_on_record(nurse, visit, monkeypatch):
    monkeypatch.setattr("sc_stim.web.alerts.AT_ONCE", 2)
    patient = builders.create_patient(clinic=nurse.clinic, family_name="=Okafor")
    for number in range(5):
        builders.create_alert(
            patient=patient, condition=f"c{number}", severity="high", opened_at=AT + number * HOUR
        )
    builders.create_alert(patient=builders.create_patient(clinic=nurse.clinic), severity="low")

    answer = visit(nurse).file("/alerts.csv?severity=high")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="alerts-2026-11-23.csv"'
    assert [row["condition"] for row in rows] == [f"c{number}" for number in range(5)]
    assert {row["patient"] for row in rows} == {"'=Okafor, Ada"}
    assert rows[0]["raised"] == "2026-11-23T09:00:00+01:00"
    [entry] = audited("alert.export")
    assert entry.detail == {"filter": {"severity": "high"}, "patients": [str(patient.public_id)]}


@both_databases
def test_the_number_of_statements_does_not_grow_with_the_list(visit, statements):
    nurse = builders.create_user(role="nurse")
    visitor = visit(nurse)

    def more() -> None:
        patient = builders.create_patient(clinic=nurse.clinic)
        device = builders.create_pump(patient=patient)
        builders.create_alert(patient=patient, device=device, assigned_to_id=nurse.id)

    more()
    visitor.page("/alerts")
    with statements() as few:
        visitor.page("/alerts")
    for _ in range(9):
        more()
    with statements() as many:
        visitor.page("/alerts")

    assert len(many) == len(few) <= 16


def test_an_alert_leads_to_its_patient_its_device_and_its_refill(nurse, visit):
    patient = builders.create_patient(clinic=nurse.clinic)
    pump = builders.create_pump(patient=patient)
    due = builders.create_alert(patient=patient, device=pump, condition="refill_due")
    pain = builders.create_alert(patient=patient, condition="pain_rise")
    visitor = visit(nurse)

    def ways(alert: Alert) -> dict[str, str]:
        page = visitor.page(f"/alerts/{alert.public_id}")
        more = next(nav for nav in page.all("nav") if nav.get("aria-label") == "More about it")
        return {text(link): link.get("href", "") for link in more.iter("a")}

    assert ways(due) == {
        "The patient": f"/patients/{patient.public_id}",
        "Other alerts of the patient": f"/alerts?patient={patient.public_id}",
        "The device": f"/devices/{pump.public_id}",
        "The refill visit": f"/pumps/{pump.public_id}/visit",
    }
    assert set(ways(pain)) == {"The patient", "Other alerts of the patient"}


def test_an_alert_names_the_figure_of_the_clinics_own_by_which_it_is_judged(nurse, visit):
    patient = builders.create_patient(clinic=nurse.clinic)
    overdue = builders.create_alert(patient=patient, condition="mri_mode")
    silent = builders.create_alert(patient=patient, condition="no_data")
    head = builders.create_user(clinic=nurse.clinic, role="admin", name="Anton Admin")
    visitor, key = visit(nurse), "conditions.mri_mode.escalates.after"
    assert "own figure" not in visitor.page(f"/alerts/{overdue.public_id}").text
    db.session.add(
        ClinicFigure(
            clinic_id=nurse.clinic_id, key=key, value=6, source="Board of 2 November", set_by_id=head.id,
            set_at=overdue.opened_at + HOUR,
        )
    )  # fmt: skip
    db.session.commit()

    page = visitor.page(f"/alerts/{overdue.public_id}")

    assert (
        "MRI mode is an alert after: 6 hours (shipped: 24 hours) Board of 2 November. Set by Anton Admin"
        in page.text
    )
    assert "That was after this alert was raised." in page.text
    assert f"/clinic/figures/{key}" in {link.get("href") for link in page.all("a")}
    assert "own figure" not in visitor.page(f"/alerts/{silent.public_id}").text
