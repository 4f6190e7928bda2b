"""An export is asked for, watched until it has ended, and taken away; in a real browser."""

import datetime as dt
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sc_stim.extensions import db
from sc_stim.tasks.long_work import work_long
from tests import builders
from tests.apps import Time
from tests.builders import AT
from tests.e2e.looking import every_screen, look, sign_in
from tests.web.scene import Scene


@every_screen
def test_an_export_is_watched_until_it_has_ended_and_taken_away(
    page: Page, scene: Scene, time: Time, request: pytest.FixtureRequest
) -> None:
    builders.create_long_work(
        by=scene.nurse, kind="refill_file", state="failed", ended_at=AT, asked={"file": "pumps.json"},
        error="The file cannot be used: case 0: pump is missing.",
    )  # fmt: skip
    running = builders.create_long_work(
        by=scene.nurse, state="running", done=12, total=40, claimed_until=AT + dt.timedelta(minutes=2)
    )
    sign_in(page, scene.nurse)
    page.get_by_role("link", name="Exports", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Exports and back-tests")
    page.get_by_label("Readings of all pumps").check()
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Asked for: Readings of all pumps")
    look(page, request, "long-work")

    work_long(db.session(), until=time.at + dt.timedelta(seconds=5))
    expect(page.get_by_role("row", name="Readings of all pumps")).to_contain_text("Finished")
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download: Readings of all pumps").click()
    lines = Path(taken.value.path()).read_text().splitlines()
    assert lines[0].startswith("measured_at,device") and len(lines) > 1

    page.get_by_role("button", name="Cancel: Pain rule").click()
    expect(page.get_by_role("status")).to_contain_text("Cancelled: Pain rule")
    db.session.refresh(running)
    assert running.state == "cancelled"
