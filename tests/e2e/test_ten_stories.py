"""The ten stories on one embedded stack, started by the one command, and acted out in a browser.

The situations are made as they come about in a clinic: by people, through the API and the pages, and by devices,
which send months of history with logins of their own. What needs hours to pass stays with tests/stories: a shelf
that ends by itself (6), a visit on the far side of a clock change (2), a command that nobody answers for a day (8).
"""

import csv
import datetime as dt
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from sc_stim.devices import topics
from tests.devices.mqtt_client import Client, connected
from tests.e2e.embedded_stack import CLINIC, PEOPLE, Clinic, EmbeddedStack, Implant, Login
from tests.e2e.looking import NOT_FOUND, REFUSED, look, window
from tests.e2e.simulated import HostileFleet
from tests.e2e.story_acts import (
    Integrator,
    arrange_calls,
    ask_for_a_report,
    choose,
    confirm,
    heading,
    read_label,
    register,
    sign_in,
    visit_in,
    what_the_device_told,
)
from tests.servers import wait_until

DAY = dt.timedelta(days=1)
HOME = {
    "nurse": "Worklist",
    "clinician": "Worklist",
    "engineer": "Devices",
    "auditor": "Audit trail",
    "admin": "Clinic",
}
HOSTILE_DEVICES = int(os.environ.get("SC_STIM_STORY_DEVICES", "50"))  # 200 in the story: slower
NEAR_4, AT_7 = [4.0, 4.5, 3.5, 4.0, 4.0, 3.5, 4.5] * 4, [7.0, 7.5, 6.5, 7.0]
STEADY, JUMPED = [520.0, 610.0, 580.0, 600.0], [520.0, 2400.0, 580.0, 600.0]

At = Callable[..., AbstractContextManager[Page]]  # a window of somebody who is signed in

pytestmark = [pytest.mark.usefixtures("untaken"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    running = EmbeddedStack(tmp_path_factory.mktemp("newcomer") / "demo-data")
    try:
        running.start()
        yield running
    finally:
        assert running.stop() == 0


@pytest.fixture(scope="module")
def clinic(stack: EmbeddedStack) -> Iterator[Clinic]:
    made = Clinic(stack)
    yield made
    made.close()


@pytest.fixture(scope="module")
def desk(chromium: Browser, stack: EmbeddedStack, clinic: Clinic) -> At:
    """Opens a window of one of the clinic's people; each signs in once."""
    signed_in: dict[str, Any] = {}

    @contextmanager
    def sit_down(
        who: str, login: Login | None = None, lawful: tuple[int, ...] = (REFUSED,)
    ) -> Iterator[Page]:
        login = login or clinic.login(who)
        with window(chromium, stack.url, lawful=lawful) as page:
            if login.email in signed_in:
                page.context.add_cookies(signed_in[login.email])
                page.goto("/")
            else:
                sign_in(page, login)
            heading(page, HOME.get(who, "Worklist"))
            signed_in[login.email] = page.context.cookies()
            yield page

    return sit_down


@pytest.fixture(scope="module")
def untaken(clinic: Clinic, desk: At) -> str:
    """A pump that has stalled, and nobody takes its alert: the stories before the sixth let the minutes pass."""
    with desk("admin") as page:
        arrange_calls(page, clinic)
    patient = clinic.patient("Stalled")
    pump = clinic.pump(patient)
    clinic.fill(pump, clinic.at(10))
    with clinic.online(pump) as implant:
        implant.event("motor_stall")
    return patient


def test_story_10_a_newcomer_starts_the_demo_and_the_first_screen_makes_sense(
    chromium: Browser, stack: EmbeddedStack, request: pytest.FixtureRequest
) -> None:
    ready = stack.printed.index(f"READY {stack.url}")
    progress = [
        int(found[1]) for line in stack.printed[:ready] if (found := re.match(r"History.* (\d+) %", line))
    ]
    assert (progress[0], progress[-1]) == (0, 100) and progress == sorted(progress)
    with window(chromium, stack.url) as page:
        sign_in(page, stack.login("nurse"))
        heading(page, "Worklist")
        first = page.locator("#refills tbody tr").first
        for fact in ("Baclofen", "mL left", "because of", "none booked"):
            expect(first).to_contain_text(fact)
        look(page, request, "newcomer-worklist")

        first.locator("[data-act=o]").click()
        page.get_by_role("link", name="Emergency sheet").click()
        heading(page, "Emergency sheet")
        facts = "Whom to call|Catheter tip|Drugs|Flow|Volume now|Last refill|Earliest empty|MRI"
        for fact in facts.split("|"):
            expect(page.locator("#main")).to_contain_text(fact)
        look(page, request, "newcomer-emergency")
        assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) == 1

        client = Integrator(page, "/api/v1/openapi.json")
        login = stack.login("clinician")
        client.token = client.call("sign_in", email=login.email, password=login.password)["access_token"]
        assert len(client.call("list_patients")["items"]) == 8


def test_story_1_the_refill_nurses_monday_on_one_screen(
    clinic: Clinic, desk: At, request: pytest.FixtureRequest
) -> None:
    for family_name, drug, mg_per_ml, days in (
        ("Okafor", "baclofen", 2.0, 30),
        ("Lindqvist", "morphine", 10.0, 31),
    ):
        pump = clinic.pump(clinic.patient(family_name))
        clinic.fill(pump, clinic.at(days), drug, mg_per_ml)
        with clinic.online(pump) as implant:
            left_ml = 20.0 - days * 0.5
            reading = {"at": clinic.now, "state": "running", "reservoir_ml": left_ml, "flow_ml_per_day": 0.5}
            implant.say("telemetry", samples=[reading])
    with desk("nurse") as page:
        rows = page.locator("#refills tbody tr")
        okafor, lindqvist = (rows.filter(has_text=name) for name in ("Okafor", "Lindqvist"))
        expect(okafor).to_contain_text("5 mL left")
        expect(lindqvist).to_contain_text("4.5 mL left")
        for row, days, drug in ((okafor, 3, "Baclofen 2 mg/mL"), (lindqvist, 2, "Morphine 10 mg/mL")):
            day = f"{clinic.at(-days):%a %-d %b %Y}"
            expect(row.get_by_text(day)).to_have_count(2)  # to refill by, and empty at the earliest
            for fact in (f"in {days} days", drug, "because of", "+49 30 5550111", "none booked"):
                expect(row).to_contain_text(fact)
        names = rows.locator("[data-act=o]").all_inner_texts()
        assert names.index("Okafor, Ada") < names.index("Lindqvist, Ada")
        look(page, request, "story-1-worklist")


def test_story_2_book_thursday_at_ten_and_the_calendar_follows(
    clinic: Clinic, desk: At, request: pytest.FixtureRequest
) -> None:
    pump = clinic.pump(clinic.patient("Unmistakable"))
    clinic.fill(pump, clinic.at(10))
    with desk("nurse") as page:
        page.goto("/calendar-feeds")
        page.get_by_role("button", name="Make the feed").click()
        address = page.locator("#feed-address").inner_text()

        page.goto("/worklist?due=30")
        page.get_by_role("link", name="Book a visit for Unmistakable, Ada").click()
        heading(page, "Book a refill visit")
        expect(page.get_by_text("after the refill-by date").first).to_be_visible()
        look(page, request, "story-2-book")
        thursday = choose(page, "Thu", "10:00")
        page.get_by_role("button", name="Book", exact=True).click()
        heading(page, "10:00")
        booked = visit_in(page, address)
        assert f"{booked.decoded('DTSTART'):%Y-%m-%d %H:%M}" == f"{thursday} 10:00"
        assert booked["DTSTART"].params["TZID"] == clinic.zone.key

        wednesday = choose(page, "Wed", "14:00")
        page.get_by_role("button", name="Save").click()
        heading(page, "14:00")
        moved = visit_in(page, address)
        assert (moved["UID"], int(moved["SEQUENCE"])) == (booked["UID"], int(booked["SEQUENCE"]) + 1)
        assert f"{moved.decoded('DTSTART'):%Y-%m-%d %H:%M}" == f"{wednesday} 14:00"
        text = page.request.get(address).text()
        assert not any(told in text for told in ("Unmistakable", "Ada", "R-Unm", "orphine"))

        page.goto("/calendar-feeds")
        page.get_by_text("Revoke", exact=True).first.click()
        page.get_by_role("button", name="Revoke it now").click()
        expect(page.get_by_role("status").first).to_contain_text("revoked")
        assert page.request.get(address).status == NOT_FOUND


def test_story_3_a_refill_with_too_little_left_in_the_pump(
    clinic: Clinic, desk: At, request: pytest.FixtureRequest
) -> None:
    patient = clinic.patient("Brandt")
    clinic.fill(clinic.pump(patient), clinic.now - 28 * DAY)
    with desk("nurse") as page:
        page.goto(f"/patients/{patient}")
        page.get_by_role("link", name="Refill", exact=True).click()
        expect(page.locator(".expected .huge")).to_have_text("6.0 mL")
        expect(page.get_by_role("heading", name="Prescribed until now")).to_be_visible()
        expect(page.get_by_role("heading", name="What the pump shows at the end")).to_be_visible()
        page.get_by_label("Aspirated, mL").press_sequentially("3.1")
        expect(page.locator("#reading .big")).to_have_text("2.9 mL less than expected")
        said = "16.9 mL delivered for 14.0 mL programmed: ratio 1.21 (+21 %)"
        expect(page.locator("#reading .said")).to_have_text(said)
        page.get_by_label("Flow shown, mL/day").fill("0.5")
        page.get_by_label("The pump is").select_option("Running")
        look(page, request, "story-3-visit")
        page.get_by_role("button", name="Put the visit on record").click()
        heading(page, "Refill on record")
        expect(page.locator("#to-do")).to_contain_text("Possible over-infusion")
        expect(page.locator("#next")).to_contain_text(
            re.compile(r"\d+ days earlier because of what was drawn out")
        )

        confirm(page, clinic.login("nurse"))
        expect(page.get_by_role("alert")).to_contain_text(
            "confirmed by somebody else than the person who recorded it"
        )
        confirm(page, clinic.login("colleague"))
        expect(page.get_by_role("status").first).to_have_text("Confirmed by the second person.")
        record = page.locator("#record")
        for what, values in (("Name", [PEOPLE["nurse"], "Emil Koch"]), ("Drugs", ["Morphine 10 mg/mL"] * 2)):
            expect(record.get_by_role("row", name=what).get_by_role("cell")).to_have_text(values)
        settings = record.get_by_role("row", name="Flow, mL/day").get_by_role("cell")
        expect(settings).to_have_text(["0.5", "0.5", "0.5"])  # before, after, and shown by the pump
        look(page, request, "story-3-recorded")
        page.goto(f"/patients/{patient}")
        expect(
            page.get_by_role("link", name=re.compile("possible over-infusion", re.I)).first
        ).to_be_visible()


def test_story_4_one_time_line_of_everything_and_a_stamp(
    clinic: Clinic, desk: At, request: pytest.FixtureRequest
) -> None:
    patient = clinic.patient("Example")
    stimulator, pump = clinic.stimulator(patient), clinic.pump(patient)
    clinic.fill(pump, clinic.at(35))
    changed = {
        "effective_at": clinic.at(9).isoformat(),
        "program": "B",
        "amplitude_ma": 5.0,
        "contacts": [0, 1, 2],
    }
    clinic.user("clinician").post(f"/devices/{stimulator}/settings", changed)
    clinic.tell_of_days(stimulator, NEAR_4, [STEADY] * len(NEAR_4))
    with clinic.online(pump) as implant:
        filled = [
            {"at": clinic.at(day), "state": "running", "reservoir_ml": 2.5 + day / 2}
            for day in range(34, 0, -1)
        ]
        implant.say("history", samples=filled)
    with desk("clinician") as page:
        page.goto(f"/patients/{patient}/pathway")
        for name, relief in (("physical_therapy", "10"), ("stimulator_trial", "65")):
            page.get_by_label("Treatment", exact=True).select_option(name)
            page.get_by_label("Began on").fill("2025-01-10")
            page.get_by_label("Relief").fill(relief)
            page.get_by_role("button", name="Keep the treatment").click()
            expect(page.get_by_text(f"{relief} % relief")).to_be_visible()
        page.goto(f"/patients/{patient}")
        shown = page.locator("[data-timeline-readout]")
        expect(shown).to_contain_text("Drag to move")
        for panel in ("Pain", "Stimulation", "Impedance by contact", "Battery", "Reservoir"):
            expect(page.locator(".timeline figcaption", has_text=panel).first).to_be_visible()
        whole = shown.inner_text()
        page.get_by_role("button", name="30 days").click()
        expect(shown).not_to_have_text(whole)
        expect(page.get_by_role("region", name="Care pathway")).to_contain_text("relief 65 %")
        look(page, request, "story-4-patient")
        page.get_by_label("Comment", exact=False).first.fill("Programme B holds.")
        page.get_by_role("button", name="Mark reviewed").click()
        stamp = page.get_by_text(f"Last reviewed by {PEOPLE['clinician']}")
        expect(stamp).to_be_visible()


def test_story_5_a_change_of_pain_and_what_may_have_caused_it(
    clinic: Clinic, desk: At, request: pytest.FixtureRequest
) -> None:
    days = len(NEAR_4) + len(AT_7)
    for name, nrs, ohm in (
        ("Jumped", NEAR_4 + AT_7, [STEADY] * len(NEAR_4) + [JUMPED] * len(AT_7)),
        ("Steady", NEAR_4 + AT_7, [STEADY] * days),
        ("Quiet", NEAR_4, [STEADY] * (len(NEAR_4) + 7)),
    ):
        clinic.tell_of_days(clinic.stimulator(clinic.patient(name)), nrs, ohm)
    with desk("nurse") as page:
        page.goto("/alerts")
        rows = page.locator(".alert-list tbody tr")
        jumped, steady, quiet = (
            rows.filter(has_text=f"{name}, Ada").filter(has_text=said)
            for name, said in (
                ("Jumped", "Pain has risen"), ("Steady", "Pain has risen"), ("Quiet", "No scores any more"),
            )
        )  # fmt: skip
        for alert in (jumped, steady, quiet):
            expect(alert).to_have_count(1)
        jumped.get_by_role("link", name="Pain has risen").click()
        expect(page.locator(".change")).to_contain_text(
            re.compile(r"usual (4|3\.9|4\.\d+)\b.*now (6\.\d+|7|7\.\d+)\b")
        )
        card = page.locator(".cause")
        expect(card).to_contain_text("Device possible: Impedance of contact 1 jumped")
        expect(card.locator("li").first).to_contain_text("Impedance of contact 1")
        expect(card.locator("li").first.locator("tbody tr").last).to_contain_text("2400 Ohm")
        look(page, request, "story-5-alert")
        page.goto("/alerts")
        steady.get_by_role("link", name="Pain has risen").click()
        expect(page.locator(".cause")).to_contain_text("Device unlikely.")
        page.goto("/alerts")
        quiet.get_by_role("link", name="Quiet, Ada").click()
        expect(page.locator(".timeline .u-over").first).to_be_visible()
        page.get_by_text("Plain charts, with tables").click()
        page.get_by_text("Pain as a table").click()
        expect(page.locator("figure.pain").get_by_text("no data").first).to_be_visible()
        expect(page.get_by_text("improved")).to_have_count(0)


def test_story_7_a_hostile_network_twice(
    clinic: Clinic, desk: At, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The first of the fleet is a pump that stood still for three hours, a day ago; its clock is ahead."""
    fleet = HostileFleet(clinic, tmp_path, HOSTILE_DEVICES)
    first = fleet.run()
    assert min(first.values()) > 0
    with desk("nurse") as page:
        once = what_the_device_told(page, fleet)
        assert fleet.run() == first
        assert what_the_device_told(page, fleet) == once
        measured, own_clock = zip(*once, strict=True)
        assert list(measured) == sorted(measured, reverse=True)
        assert list(own_clock) == sorted(own_clock, reverse=True)
        ahead = {
            round((own - at) / dt.timedelta(minutes=1)) for own, at in zip(own_clock, measured, strict=True)
        }
        assert ahead <= {46, 47, 48}  # as minutes are rounded
        expect(page.locator("#main")).to_contain_text("47 min ahead")
        newest = fleet.newest(fleet.serials[0]).astimezone(clinic.zone)
        expect(page.locator("#main")).to_contain_text(f"Reported {newest:%a %-d %b %Y %H:%M}")
        look(page, request, "story-7-device")

        page.get_by_role("link", name=fleet.serials[0]).first.click()
        expect(page.get_by_text("No alert is open for this patient.")).to_be_visible()
        page.goto("/alerts?show=closed&kind=motor_stall")
        found = page.locator(".alert-list tbody tr").filter(has_text=fleet.serials[0])
        expect(found).to_contain_text("found in late data")


def test_story_8_a_device_is_provisioned_by_its_udi(
    clinic: Clinic, desk: At, request: pytest.FixtureRequest
) -> None:
    victim = clinic.stimulator(clinic.patient("Victim"))
    with desk("engineer") as page:
        read_label(page)
        for read in ("00643169007222", "NGP123456H", "L77", "31 Dec 2029"):
            expect(page.locator("dl")).to_contain_text(read)
        register(page)
        expect(page.get_by_role("status").first).to_contain_text("The device is registered.")
        address = page.url
        read_label(page)
        register(page)
        expect(page.get_by_role("alert")).to_contain_text("registered already")

        page.goto(address)
        page.get_by_role("button", name="Issue a login").click()
        device = page.get_by_label("User name").input_value()
        password = page.get_by_label("Password").input_value()
        with connected(clinic.stack.broker, device, password) as client:  # type: ignore[arg-type]
            implant = Implant(device, client)
            client.subscribe(f"scs/v1/{victim[-1]}/{victim}/#")
            client.publish(topics.up(victim, "telemetry"), b'{"epoch": "x", "samples": []}')
            implant.say("telemetry", samples=[{"at": clinic.now, "state": "running", "reservoir_ml": 12.5}])
            page.goto(f"/devices/{victim}")
            expect(page.get_by_text("No record was taken from this device yet.")).to_be_visible()
            ask_for_a_report(page)

            page.goto(address)
            ask_for_a_report(page)
            wait_until(lambda: implant.heard("command"), "the command at the device")
            assert {topic for topic, _ in client.received() if victim in topic} == set()
            [command] = implant.heard("command")
            implant.answer(command)
            wait_until(lambda: has_answered(clinic, device), "the answer")
            page.get_by_role("link", name="Reload").click()
            expect(page.locator("#commands .good")).to_have_text("Done, the device says")
            look(page, request, "story-8-device")

            page.get_by_text("Cut it off").first.click()
            page.get_by_label("Nothing more is taken from this device").check()
            page.get_by_role("button", name="Cut it off").click()
            expect(page.locator("#login")).to_contain_text("Cut off")
            wait_until(lambda: client.disconnected, "the revoked device to be cut off")
        again = Client(clinic.stack.broker, device, password)  # type: ignore[arg-type]
        assert not again.connect()
        again.close()
        page.goto(f"/devices/{victim}")
        expect(page.locator("#commands .state")).to_have_text("Sent, no answer yet")


def has_answered(clinic: Clinic, device: str) -> bool:
    [command] = clinic.user("engineer").get(f"/devices/{device}/commands")["items"]
    return bool(command["answered_at"])


def test_story_9_another_clinic_sees_nothing_and_the_auditor_everything(
    clinic: Clinic, desk: At, stack: EmbeddedStack, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    patient = clinic.patient("Vonnegut")
    pump = clinic.pump(patient)
    with clinic.online(pump) as implant:
        implant.event("pump_stopped")
    with desk("nurse") as page:
        page.goto(f"/patients/{patient}")
        page.get_by_role("link", name="Pump stopped").click()
        heading(page, "Pump stopped")
        alert = page.url
        page.get_by_role("button", name="I take it").click()
        expect(page.get_by_role("status")).to_have_text("You have taken this alert.")
        page.goto(f"/patients/{patient}/edit")
        page.get_by_label("Telephone").fill("+49 30 5550999")
        page.get_by_role("button", name="Keep the changes").click()
        expect(page.get_by_text("+49 30 5550999").first).to_be_visible()
        page.goto("/patients")
        with page.expect_download():
            page.get_by_role("link", name="CSV").click()

    with desk("stranger", stack.login("nurse"), (REFUSED, NOT_FOUND)) as page:
        for address in (f"/patients/{patient}", f"/devices/{pump}", f"/pumps/{pump}/visit", alert):
            page.goto(address)
            heading(page, "There is no such page")
            expect(page.locator("body")).not_to_contain_text("Vonnegut")
        page.goto("/patients")
        page.locator("#name").fill("Vonnegut")
        page.get_by_role("button", name="Find").click()
        expect(page.locator(".empty")).to_be_visible()
        for name in ("worklist", "alerts", "patients", "devices", "calendar"):
            exported = page.request.get(f"/{name}.csv")
            assert exported.ok and "Vonnegut" not in exported.text(), name

    with desk("auditor") as page:
        page.get_by_role("button", name="Check the chain now").click()
        expect(page.get_by_role("status")).to_contain_text("The chain holds")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download the month as CSV").click()
        download.value.save_as(tmp_path / "month.csv")
        with (tmp_path / "month.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        by_nurse = {row["action"] for row in rows if row["actor_name"] == PEOPLE["nurse"]}
        assert by_nurse >= {"patient.view", "alert.acknowledge", "patient.change", "patient.export"}
        seen = next(row for row in rows if (row["action"], row["subject"]) == ("patient.view", patient))
        look(page, request, "story-9-audit")
        stack.query(
            "UPDATE audit_entry SET subject = 'somebody else' WHERE number = ? AND clinic_id ="
            " (SELECT id FROM clinic WHERE name = ?)", int(seen["number"]), CLINIC,
        )  # fmt: skip
        page.get_by_role("button", name="Check the chain now").click()
        expect(page.get_by_role("status")).to_contain_text(
            f"The chain does not hold: entry {seen['number']} was altered."
        )


def test_story_6_the_life_of_an_alert(
    clinic: Clinic, desk: At, untaken: str, request: pytest.FixtureRequest
) -> None:
    patient = clinic.patient("Scanned")
    pump = clinic.pump(patient)
    clinic.fill(pump, clinic.at(10))
    with clinic.online(pump) as implant, desk("nurse") as page:
        implant.event("mri_entered")
        implant.event("motor_stall")  # expected in a scan
        page.goto(f"/patients/{patient}")
        page.get_by_role("link", name="Motor stall").click()
        state, history = page.locator(".lead"), page.locator(".history li")
        expect(state).to_contain_text("Medium")
        page.get_by_label("Comment (if you like)").first.fill("In the scanner until noon.")
        page.get_by_role("button", name="I take it").click()
        expect(page.get_by_role("status")).to_have_text("You have taken this alert.")
        expect(history.last).to_contain_text("In the scanner until noon.")
        page.get_by_label("For how long").select_option(label="2 hours")
        page.get_by_role("button", name="Put it on the shelf").click()
        expect(state).to_contain_text("On the shelf until")

        implant.event("motor_stall")
        page.reload()
        expect(state).to_contain_text("On the shelf until")
        implant.event("mri_left")  # and the motor does not turn
        page.reload()
        expect(state).to_contain_text("Nobody has taken it")
        expect(state).to_contain_text("High")
        expect(history.filter(has_text="Got worse")).to_have_count(1)
        look(page, request, "story-6-alert")

        page.goto(f"/patients/{untaken}")
        page.get_by_role("link", name="Motor stall").click()
        heading(page, "Stalled, Ada")
        passed_on = history.filter(has_text="Passed on to the second contact")
        wait_until(lambda: page.reload() and passed_on.count(), "the second contact to be told", 90)
        expect(passed_on).to_have_count(1)
        expect(passed_on).to_contain_text("Told: Dr Second.")
        told = page.locator("#told + ul li")
        expect(told).to_have_count(2)
        expect(told.filter(has_text="Nurse on call")).to_have_count(1)
        expect(state).to_contain_text("Nobody has taken it")
