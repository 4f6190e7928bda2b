"""What people do on the pages in the ten stories, where it takes several steps."""

import datetime as dt
import re
from typing import Any

from icalendar import Calendar, Event
from playwright.sync_api import Page, expect

from tests.e2e.embedded_stack import Clinic, Login
from tests.e2e.simulated import HostileFleet


def sign_in(page: Page, login: Login) -> None:
    page.goto("/")
    page.get_by_label("E-mail address").fill(login.email)
    page.get_by_label("Password").fill(login.password)
    page.get_by_role("button", name="Sign in").click()


def heading(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(words)


def arrange_calls(page: Page, clinic: Clinic) -> None:
    """The nurse is told at once, and a second contact as soon as a ladder can say."""
    page.goto("/escalation")
    for name, address in (("Nurse on call", "first@example.org"), ("Dr Second", "second@example.org")):
        page.get_by_label("Name").fill(name)
        page.get_by_label("Told by").select_option("email")
        page.get_by_label("Address").fill(address)
        page.get_by_role("button", name="Add", exact=True).click()
        heading(page, name)
        page.goto("/escalation")
        heading(page, "Escalation")
    page.get_by_label("Who", exact=True).select_option(label="Nurse on call")
    page.get_by_label("Begins").fill(f"{clinic.at(1):%Y-%m-%dT%H:%M}")
    page.get_by_label("Ends").fill(f"{clinic.at(-2):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Put on call").click()
    expect(page.get_by_role("status")).to_contain_text("Nurse on call is on the rota.")
    first, second = (
        page.get_by_role("row").filter(has=page.get_by_label(f"Minutes, step {n}")) for n in (1, 2)
    )
    first.get_by_label("Minutes").fill("0")
    first.get_by_label("Who is on call").check()
    second.get_by_label("Minutes").fill("1")  # the shortest wait there is
    second.get_by_label("Who is on call").uncheck()
    second.get_by_label("Dr Second").check()
    page.get_by_role("button", name="Save the ladder").click()
    expect(page.get_by_role("status")).to_contain_text("It holds at once")


def choose(page: Page, weekday: str, time: str) -> str:
    """The first such day that is offered and has this time free; its date."""
    times = (
        page.locator("fieldset.days")
        .get_by_label(re.compile(f"^Time on {weekday}"))
        .filter(has_text=time)
        .first
    )
    day = (times.get_attribute("name") or "").removeprefix("slot-")
    times.select_option(time)
    expect(page.locator(f"#day-{day}")).to_be_checked()
    return day


def visit_in(page: Page, address: str) -> Event:
    """The one visit in a calendar, as another program reads it."""
    events = Calendar.from_ical(page.request.get(address).text()).walk("VEVENT")
    [visit] = [event for event in events if "SEQUENCE" in event]  # the others are days by which pumps are due
    return visit


def confirm(page: Page, by: Login) -> None:
    page.get_by_label("Your e-mail address").fill(by.email)
    page.get_by_label("Your password").fill(by.password)
    page.get_by_label("Volume on the syringe, mL").fill("20")
    page.get_by_label("Drug on the label").fill("Morphine")
    page.get_by_label("Its concentration, mg/mL").fill("10")
    page.get_by_role("button", name="I confirm this fill").click()


def what_the_device_told(page: Page, fleet: HostileFleet) -> list[tuple[dt.datetime, dt.datetime]]:
    """As the page of the first device lists its events: when each was measured, and what its own clock said."""
    page.goto(f"/devices/{fleet.devices[0]}")
    rows = page.get_by_role("region", name="What it told").locator("tbody tr")
    expect(rows.filter(has_text="stall")).not_to_have_count(0)
    cells = [row.split("\t") for row in rows.all_inner_texts()]
    return [(clock_time(row[0]), clock_time(row[2])) for row in cells]


def clock_time(words: str) -> dt.datetime:
    return dt.datetime.strptime(f"{words.strip()} +00:00", "%a %d %b %Y %H:%M %z")


def read_label(page: Page) -> None:
    page.goto("/devices/new")
    page.get_by_label("UDI", exact=True).fill("(01)00643169007222(17)291231(10)L77(21)NGP123456H")
    page.get_by_role("button", name="Read it").click()
    heading(page, "Is this the device?")


def register(page: Page) -> None:
    page.get_by_label("Model").select_option("Prometra II 20 mL")
    page.get_by_role("button", name="Register it").click()


def ask_for_a_report(page: Page) -> None:
    """Nothing says that it was done."""
    page.get_by_role("button", name="Report now").click()
    expect(page.locator("#commands .state")).to_have_text(
        re.compile("Waiting to be sent|Sent, no answer yet")
    )
    expect(page.locator("#commands .good")).to_have_count(0)


class Integrator:
    """A client that knows the OpenAPI document and nothing else."""

    def __init__(self, page: Page, address: str) -> None:
        self._page = page
        self._paths = page.request.get(address).json()["paths"]
        self.token = ""

    def call(self, operation: str, **body: str) -> Any:
        [(path, method)] = [
            (path, method)
            for path, methods in self._paths.items()
            for method, described in methods.items()
            if isinstance(described, dict) and described.get("operationId") == operation
        ]
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = self._page.request.fetch(path, method=method, headers=headers, data=body or None)
        assert answer.ok, answer.text()
        return answer.json()
