"""How the pages are looked at in a real browser: by people on a ward PC and a telephone, each by day and by night.

With SC_STIM_SCREENSHOTS=DIRECTORY the pages are also photographed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from sc_stim.models import User
from tests import builders

SCREENS = {"ward-pc": {"width": 1440, "height": 900}, "telephone": {"width": 390, "height": 844}}
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Words that lie partly outside the picture they belong to, as [picture, words].
CUT_OFF = """[...document.querySelectorAll('svg[role=img]')].flatMap(picture => {
    const seen = getComputedStyle(picture).overflow === 'visible' ? picture.closest('figure') : picture
    const frame = seen.getBoundingClientRect()
    return [...picture.querySelectorAll('text')].filter(words => {
        const box = words.getBoundingClientRect()
        return box.width && (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1)
    }).map(words => [picture.querySelector('title').textContent, words.textContent])
})"""

REFUSED = 422  # a form that says what to mend; browsers note it in their console
NOT_FOUND = 404

AXE = (Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js").read_text()
# Rules of WCAG 2.2 A and AA that the page breaks, each with the first place.
BARRIERS = """async only => {
    const found = await axe.run(document, { runOnly: only })
    return found.violations.map(one => [one.id, one.impact, one.nodes.length, one.nodes[0].html.slice(0, 200)])
}"""

WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
# Of these, the night changes colours alone.
SCHEMES = {"dark": {"type": "rule", "values": ["color-contrast"]}, "light": WCAG}

every_screen = pytest.mark.parametrize("page", [(screen,) for screen in SCREENS], ids="-".join, indirect=True)


@contextmanager
def window(
    chromium: Browser,
    address: str,
    screen: str = "ward-pc",
    lawful: tuple[int, ...] = (REFUSED,),
) -> Iterator[Page]:
    """A browser window that fails the test if it complains about anything or asks elsewhere for anything.

    lawful: statuses of errors that are meant to be seen
    """
    opened = chromium.new_context(viewport=SCREENS[screen], base_url=address)  # type: ignore[arg-type]
    page = opened.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: (
            any(f"status of {status}" in message.text for status in lawful) or complaints.append(message.text)
        ),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith(address) or complaints.append(sent.url))
    page.on(
        "response",
        lambda got: got.status < 400 or got.status in lawful or complaints.append(f"{got.status} {got.url}"),
    )
    yield page
    opened.close()
    assert complaints == []


def sign_in(page: Page, user: User, home: str = "Worklist") -> None:
    """`home`: the heading of the page that the role of this person begins with."""
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(user.email)
    page.get_by_label("Password").fill(builders.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(home)


def look(page: Page, request: pytest.FixtureRequest, name: str) -> None:
    """Nothing hangs over the edge, no words of a chart are cut off, nobody is kept out."""
    expect(page.locator("form[data-sent]")).to_have_count(0)  # a form asks first whether it may leave
    page.wait_for_load_state()  # a click has waited until the next page began to arrive, not until it is there
    assert page.evaluate(OVERFLOW) == 0, f"{name} is wider than the screen"
    assert page.evaluate(CUT_OFF) == [], f"{name} cuts words off"
    page.evaluate(AXE)  # by the debugger, which no Content-Security-Policy stops
    for scheme, rules in SCHEMES.items():
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert page.evaluate(BARRIERS, rules) == [], f"{name} keeps people out, {scheme}"
        if "SC_STIM_SCREENSHOTS" in os.environ:
            folder = Path(os.environ["SC_STIM_SCREENSHOTS"])
            screen = f"-{request.node.callspec.id}" if hasattr(request.node, "callspec") else ""
            page.screenshot(path=folder / f"{name}{screen}-{scheme}.png", full_page=True)
