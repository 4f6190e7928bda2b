"""Other languages say things in more letters: the pages have room for a third more, on a telephone too."""

from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from sc_stim.models import User
from tests import builders
from tests.e2e.looking import CUT_OFF, OVERFLOW
from tests.web import texts
from tests.web.scene import create_scene, ids_of
from tests.web.test_access import WHO_MAY

on_a_telephone = pytest.mark.parametrize("page", [("telephone",)], ids=["telephone"], indirect=True)


@on_a_telephone
def test_longer_texts_fit_on_a_telephone(page: Page, app: Flask, tmp_path: Path) -> None:
    texts.speak_brackets(app, tmp_path)
    scene = create_scene()
    ids = ids_of(scene.nurse, scene.patient)
    page.set_extra_http_headers({"Accept-Language": texts.LANGUAGE})
    left = dict(WHO_MAY)

    unfit = []
    for role in ("clinician", "admin", "engineer", "auditor"):
        user = builders.create_user(clinic=scene.clinic, role=role)
        _sign_in(page, user)
        for path in [path for path, roles in left.items() if role in roles]:
            del left[path]
            page.goto(path.format(**ids))
            expect(page.locator("html")).to_have_attribute("lang", texts.LANGUAGE)
            if page.evaluate(OVERFLOW) or page.evaluate(CUT_OFF):
                unfit.append(path)
        page.context.clear_cookies()
    assert (unfit, left) == ([], {})


def _sign_in(page: Page, user: User) -> None:
    page.goto("/sign-in")
    page.locator("#email").fill(user.email)
    page.locator("#password").fill(builders.PASSWORD)
    page.locator("#password").press("Enter")
    expect(page.locator("header.top")).to_be_visible()
