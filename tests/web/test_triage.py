"""Going through alerts one after the other: nothing is skipped, nothing comes twice, and the place is kept."""

import datetime as dt

import pytest

from sc_stim.extensions import db
from sc_stim.models import Alert, Clinic
from tests import builders
from tests.apps import both_databases
from tests.builders import AT
from tests.web.pages import Page, Visitor

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def nurse(app):
    return builders.create_user(role="nurse", name="Nadia Berger")


def raised(clinic: Clinic, *conditions: str, severity: str = "medium") -> list[Alert]:
    """Alerts in the order in which a list shows them."""
    patient = builders.create_patient(clinic=clinic, family_name="Okafor")
    return [
        builders.create_alert(
            patient=patient, condition=condition, severity=severity, opened_at=AT - (9 - number) * HOUR
        )
        for number, condition in enumerate(conditions)
    ]


def begun(visitor: Visitor, query: str = "") -> Page:
    answer = visitor.get(f"/alerts/triage{query}")
    assert answer.status_code == 302
    return visitor.page(answer.location)


def way(page: Page, rel: str) -> str:
    """Where this key of the page leads."""
    return next(
        link.get("href", "")
        for link in page.all("a")
        if link.get("data-key") == {"next": "j", "prev": "k"}[rel]
    )


def act(visitor: Visitor, page: Page, name: str, **form: str) -> Page:
    """Send this form of the page, as it stands there."""
    action = next(form.get("action", "") for form in page.all("form") if f"/{name}" in form.get("action", ""))
    return visitor.done(action, **form)


def heading(page: Page) -> str:
    return page.texts("h1")[0].split(":")[0]


@both_databases
def test_the_next_alert_opens_after_each_act_until_none_is_left(visit):
    nurse = builders.create_user(role="nurse")
    first, second, third = raised(nurse.clinic, "reset", "motor_stall", "memory_error")
    visitor = visit(nurse)

    page = begun(visitor, "?show=untaken")
    assert (heading(page), "1 of 3" in page.text) == ("Reset", True)
    page = act(visitor, page, "acknowledge")
    assert (heading(page), "1 of 2" in page.text) == ("Motor stall", True)
    assert "Reset: Okafor, Ada: taken" in page.text
    page = act(visitor, page, "shelve", hours="2")
    assert (heading(page), "1 of 1" in page.text) == ("Memory error", True)
    page = act(visitor, page, "resolve", comment="A known fault.", needed="no")

    assert page.texts("h1") == ["Nothing is left in this list"]
    assert "Every open alert is taken by somebody." in page.text
    states = [db.session.get_one(Alert, one.id).state for one in (first, second, third)]
    assert states == ["acknowledged", "shelved", "closed"]


def test_a_shelf_is_undone_and_the_alert_is_open_again_in_the_same_list(nurse, visit):
    first, _ = raised(nurse.clinic, "reset", "motor_stall")
    visitor = visit(nurse)
    page = act(visitor, begun(visitor), "shelve", hours="8")
    assert "on the shelf until Mon 23 Nov 2026 17:00" in page.text

    page = act(visitor, page, "unshelve")

    assert (heading(page), "1 of 2" in page.text) == ("Reset", True)
    assert "The alert is off the shelf." in page.text
    assert db.session.get_one(Alert, first.id).state == "unacknowledged"


def test_what_a_life_cycle_does_not_undo_offers_no_undo(nurse, visit):
    raised(nurse.clinic, "reset", "motor_stall")
    visitor = visit(nurse)

    page = act(visitor, begun(visitor), "acknowledge")

    assert not [one for one in page.all("button") if one.get("data-key") == "u"]


@pytest.mark.parametrize("name", ["comment", "assign"])
def test_what_decides_nothing_leaves_the_alert_open(nurse, visit, name):
    raised(nurse.clinic, "reset", "motor_stall")
    visitor = visit(nurse)

    page = act(visitor, begun(visitor), name, comment="Nobody answered.", user=str(nurse.public_id))

    assert (heading(page), "1 of 2" in page.text) == ("Reset", True)
    assert "Nobody answered." in page.text


def test_a_form_that_is_refused_keeps_the_place(nurse, visit):
    raised(nurse.clinic, "reset", "motor_stall")
    visitor = visit(nurse)
    page = begun(visitor)
    action = next(one.get("action", "") for one in page.all("form") if "/resolve" in one.get("action", ""))

    page = visitor.submitted(action, 422, comment="")

    assert (heading(page), "1 of 2" in page.text) == ("Reset", True)
    assert page.within("resolve-comment-error") == "A comment is needed."


@both_databases
def test_one_goes_back_and_forth_without_acting(visit):
    nurse = builders.create_user(role="nurse")
    raised(nurse.clinic, "reset", "motor_stall", "memory_error")
    visitor = visit(nurse)

    page = begun(visitor)
    assert not [link for link in page.all("a") if link.get("rel") == "prev"]
    seen = [heading(page)]
    for direction in ("next", "next", "prev"):
        page = visitor.page(way(page, direction))
        seen.append(heading(page))

    assert seen == ["Reset", "Motor stall", "Memory error", "Motor stall"]
    over = visitor.page(way(visitor.page(way(page, "next")), "next"))
    assert over.texts("h1") == ["The end of the list"]
    assert "Alerts that you passed over are still in it." in over.text
    assert heading(visitor.page(visitor.get(way(over, "next")).location)) == "Reset"


def test_the_list_that_is_gone_through_is_the_one_that_was_chosen(nurse, visit):
    raised(nurse.clinic, "reset", "motor_stall", severity="low")
    raised(nurse.clinic, "memory_error", "empty_reservoir", severity="high")
    visitor = visit(nurse)
    listing = visitor.page("/alerts?severity=low")
    start = next(link.get("href", "") for link in listing.all("a") if link.get("data-key") == "t")

    page = visitor.page(visitor.get(start).location)
    assert (heading(page), "1 of 2" in page.text) == ("Reset", True)
    page = visitor.page(way(page, "next"))
    assert heading(page) == "Motor stall"
    assert "severity=low" in way(page, "next")
    assert visitor.page(way(page, "next")).texts("h1") == ["The end of the list"]


def test_what_a_colleague_took_meanwhile_is_not_done_twice_and_the_place_is_kept(nurse, visit):
    first, _ = raised(nurse.clinic, "reset", "motor_stall")
    visitor, colleague = visit(nurse), visit(builders.create_user(clinic=nurse.clinic, role="clinician"))
    page = begun(visitor, "?show=untaken")
    colleague.page(f"/alerts/{first.public_id}")
    colleague.done(f"/alerts/{first.public_id}/acknowledge")

    page = act(visitor, page, "acknowledge")

    assert heading(page) == "Reset"
    assert "Nothing was changed: it is acknowledged already." in page.text
    assert "1 left this one is not in the list any more" in page.text
    assert heading(visitor.page(way(page, "next"))) == "Motor stall"


def test_a_worse_alert_that_comes_meanwhile_is_ahead_and_waits_for_the_next_round(nurse, visit):
    raised(nurse.clinic, "reset", "motor_stall")
    visitor = visit(nurse)
    page = begun(visitor, "?show=untaken")
    raised(nurse.clinic, "empty_reservoir", severity="high")

    page = act(visitor, page, "acknowledge")
    assert (heading(page), "2 of 2" in page.text) == ("Motor stall", True)
    over = act(visitor, page, "acknowledge")

    assert over.texts("h1") == ["The end of the list"]
    assert heading(visitor.page(visitor.get(way(over, "next")).location)) == "Empty reservoir"


def test_an_empty_list_says_so_at_once(nurse, visit):
    page = visit(nurse).page("/alerts/triage")

    assert page.texts("h1") == ["Nothing is left in this list"]
    assert "No alert is open." in page.text


def test_every_key_stands_on_the_page_and_in_its_legend(nurse, visit):
    raised(nurse.clinic, "reset", "motor_stall")
    visitor = visit(nurse)

    page = act(visitor, begun(visitor), "shelve", hours="1")

    keys = {one.get("data-key") for one in page.root.iter() if one.get("data-key")}
    assert keys == {"j", "a", "s", "c", "r", "u", "?"}
    legend = next(one for one in page.all("details") if one.get("class") == "triage-keys")
    assert keys <= {"".join(key.itertext()) for key in legend.iter("kbd")}


def test_outside_of_going_through_a_list_an_alert_has_no_keys(nurse, visit):
    [alert] = raised(nurse.clinic, "reset")

    page = visit(nurse).page(f"/alerts/{alert.public_id}")

    assert not [one for one in page.root.iter() if one.get("data-key")]


def test_the_one_dealt_with_before_is_of_this_clinic(nurse, visit):
    [alert] = raised(nurse.clinic, "reset")
    [theirs] = raised(builders.create_clinic(), "motor_stall")
    visitor = visit(nurse)

    visitor.page(f"/alerts/{alert.public_id}?triage=1&done={theirs.public_id}", 404)
    visitor.page(f"/alerts/triage?over=1&done={theirs.public_id}", 404)
