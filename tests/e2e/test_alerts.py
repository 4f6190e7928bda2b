"""Pain that changed and the life of an alert, acted out in a browser by keyboard; what alerts ask of a clinic."""

import datetime as dt
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Alert, AlertEntry, Message, PainFinding
from sc_stim.web import live
from sc_stim.workflows import alerts
from tests import builders
from tests.apps import Time
from tests.builders import AT
from tests.e2e.looking import every_screen, look, sign_in
from tests.web.scene import Scene

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def finding(scene: Scene) -> PainFinding:
    """What the alert of pain tells of: near 4 for weeks, then near 7, when a contact in use had gone open."""
    detail = scene.alert.detail
    found = PainFinding(
        clinic_id=scene.clinic.id, patient_id=scene.patient.id, rule="rise", kind="step_up", tier="soft",
        day=dt.date.fromisoformat(detail["flagged"]), onset=dt.date.fromisoformat(detail["onset"]),
        baseline_nrs=4.1, level_nrs=7.1, model_version=scene.alert.model_version, severity="medium", found_at=AT,
    )  # fmt: skip
    db.session.add(found)
    db.session.commit()
    return found


@pytest.fixture
def told(scene: Scene) -> Message:
    """The ward was told about the alert of pain by SMS."""
    contact = builders.create_contact(clinic=scene.clinic, name="Ward telephone")
    message = Message(
        clinic_id=scene.clinic.id, effect_key="told", kind="alert", channel="sms", address="+49 30 5550000",
        title="MEDIUM", body="MEDIUM", created_at=AT - 26 * HOUR, due_at=AT - 26 * HOUR, expires_at=AT, state="sent",
        next_attempt_at=AT - 26 * HOUR, ended_at=AT - 26 * HOUR, alert_id=scene.alert.id, contact_id=contact.id,
    )  # fmt: skip
    db.session.add(message)
    db.session.commit()
    return message


def stored(alert: Alert) -> tuple[str, dt.datetime | None]:
    """The state of an alert and the end of its shelf now."""
    rows = db.session.execute(select(Alert.state, Alert.shelved_until).where(Alert.id == alert.id))
    state, until = rows.one()
    db.session.commit()  # SQLite has one writer: the test must not be it
    return state, until


def heading(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(words)


@every_screen
def test_the_pages_of_alerts_on_every_screen(
    page: Page, scene: Scene, finding: PainFinding, told: Message, request: pytest.FixtureRequest
) -> None:
    builders.create_user(clinic=scene.clinic, role="clinician", name="Karl Adam")
    taken = AlertEntry(
        alert_id=scene.alert.id, at=AT - 26 * HOUR + HOUR / 3, event="acknowledge", from_state="unacknowledged",
        to_state="acknowledged",
    )  # fmt: skip
    db.session.add(taken)
    db.session.commit()
    sign_in(page, scene.nurse)
    page.goto("/alerts")
    look(page, request, "alerts")
    page.get_by_text("Narrow the list").click()
    page.get_by_label("Severity", exact=True).select_option("high")
    page.get_by_role("button", name="Show these").click()
    expect(page.locator(".alert-list tbody tr")).to_have_count(1)
    look(page, request, "alerts-narrowed")

    page.goto("/alerts")
    page.get_by_role("link", name="Go through them one after the other").click()
    heading(page, "Pump stopped")
    page.get_by_role("link", name="Next").click()
    heading(page, "Pain has risen")
    look(page, request, "triage")
    page.locator(".triage-keys summary").click()
    look(page, request, "triage-keys")
    page.locator("#shelve-until").fill("2026-11-23T08:00")
    page.get_by_role("button", name="Put it on the shelf").click()
    expect(page.locator("#shelve-until-error")).to_have_text("The end of the shelf must lie in the future.")
    look(page, request, "alert-refused")

    page.goto("/alerts/burden")
    look(page, request, "burden")
    page.goto("/alerts?severity=info")
    look(page, request, "alerts-empty")


def test_three_alerts_are_dealt_with_by_keyboard_alone(page: Page, scene: Scene) -> None:
    mismatch = builders.create_alert(patient=scene.patient, condition="settings_mismatch", severity="low")
    stopped = db.session.scalars(select(Alert).where(Alert.condition == "pump_stopped")).one()
    db.session.commit()
    sign_in(page, scene.nurse)
    page.goto("/alerts?show=untaken")
    page.keyboard.press("t")
    heading(page, "Pump stopped")
    page.keyboard.press("?")
    expect(page.get_by_text("leave the field, so that the letters are keys again")).to_be_visible()

    page.keyboard.press("a")
    heading(page, "Pain has risen")
    assert stored(stopped)[0] == "acknowledged"

    page.keyboard.press("c")
    expect(page.locator("#comment-comment")).to_be_focused()
    page.keyboard.type("Asked for a score, j and k are only letters here.")
    page.keyboard.press("Control+Enter")
    heading(page, "Pain has risen")
    expect(page.locator(".history li").last).to_contain_text("j and k are only letters here.")
    page.keyboard.press("s")
    expect(page.locator("#shelve-hours")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Control+Enter")
    heading(page, "Device does not report what is prescribed")
    assert stored(scene.alert) == ("shelved", AT + 4 * HOUR)

    page.keyboard.press("r")
    page.keyboard.type("half a tho")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_text("leave the field, so that the letters are keys again")).to_be_visible()
    page.keyboard.press("r")
    page.keyboard.press("Control+a")
    page.keyboard.type("Programmed on Friday.")
    page.keyboard.press("Control+Enter")

    heading(page, "Nothing is left in this list")
    assert stored(mismatch)[0] == "closed"


def test_a_shelved_alert_comes_back_by_a_key_by_its_time_or_when_it_gets_worse(
    page: Page, scene: Scene, time: Time
) -> None:
    alert = scene.alert
    worse = alerts.Condition(
        clinic_id=alert.clinic_id, patient_id=alert.patient_id, device_id=None, name=alert.condition,
        severity="medium", since=AT, effect_key="again", model_version=alert.model_version,
    )  # fmt: skip
    alert.open_key = worse.open_key
    db.session.commit()
    sign_in(page, scene.nurse)
    page.goto("/alerts?kind=pain_rise")
    page.keyboard.press("t")
    heading(page, "Pain has risen")
    page.keyboard.press("s")
    page.keyboard.press("Control+Enter")
    heading(page, "Nothing is left in this list")
    expect(page.get_by_text("on the shelf until Mon 23 Nov 2026 11:00")).to_be_visible()
    page.keyboard.press("u")
    heading(page, "Pain has risen")
    expect(page.locator(".lead")).to_contain_text("Nobody has taken it")

    page.get_by_role("button", name="Put it on the shelf").click()
    heading(page, "Nothing is left in this list")
    alerts.raise_alert(db.session(), worse, at=time.now())
    db.session.commit()
    page.goto(f"/alerts/{alert.public_id}")
    expect(page.locator(".lead")).to_contain_text("On the shelf until")
    alerts.raise_alert(db.session(), replace(worse, severity="high"), at=time.now())
    db.session.commit()
    page.reload()

    expect(page.locator(".lead")).to_contain_text("High")
    expect(page.locator(".lead")).to_contain_text("Nobody has taken it")
    expect(page.locator(".history li").last).to_contain_text("Got worse by the system")


def test_the_cause_card_puts_the_change_of_impedance_first_with_its_values(
    page: Page, scene: Scene, finding: PainFinding, told: Message
) -> None:
    sign_in(page, scene.nurse)
    page.get_by_role("link", name="Pain has risen").first.click()

    expect(page.locator(".change")).to_contain_text("usual 4.1")
    expect(page.locator(".change")).to_contain_text("now 7.1")
    card = page.locator(".cause")
    expect(card).to_contain_text("Device possible: Impedance of contact 5 is that of an open circuit")
    first = card.locator("li").first
    expect(first).to_contain_text("Impedance of contact 5")
    expect(first.locator("table")).to_be_visible()
    expect(first.locator("tbody tr").last).to_contain_text("41000 Ohm")
    expect(page.get_by_text("Ward telephone")).to_be_visible()


def test_the_list_is_live(page: Page, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.05)
    sign_in(page, scene.nurse)
    page.goto("/alerts")
    expect(page.locator("#live-status")).to_have_text("live")
    expect(page.locator(".alert-list tbody tr")).to_have_count(3)

    builders.create_alert(
        patient=scene.patient, condition="motor_stall", severity="high", changed_at=AT + HOUR, opened_at=AT
    )

    expect(page.locator(".alert-list tbody tr")).to_have_count(4)
    expect(page.get_by_role("link", name="Open 4")).to_be_visible()


def test_single_letters_can_be_turned_off(page: Page, scene: Scene) -> None:
    sign_in(page, scene.nurse)
    page.goto("/alerts/triage")
    page.wait_for_url("**/alerts/*triage=1*")
    page.keyboard.press("?")
    page.get_by_role("button", name="Turn the keys off").click()
    page.keyboard.press("j")
    expect(page.get_by_role("button", name="Turn the keys on")).to_be_visible()
    heading(page, "Pump stopped")

    page.get_by_role("button", name="Turn the keys on").click()
    page.keyboard.press("j")
    heading(page, "Pain has risen")
