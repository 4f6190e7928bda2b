import hashlib
import re

import pytest

from sc_stim.web.assets import STATIC, assets

CSS = (STATIC / "page.css").read_text(encoding="utf-8")
LIGHT, DARK = re.findall(r":root \{(.*?)\}", CSS, re.S)[:2]
WORDS_ON_PAPER = [
    (ink, paper)
    for ink in ("ink", "quiet", "link", "high", "medium", "low", "info")
    for paper in ("paper", "card")
] + [("ink", "high-tint"), ("high", "high-tint"), ("ink", "done-tint"), ("card", "link"), ("quiet", "future")]


def test_static_files_have_hashed_names_and_may_be_kept_for_ever(visit):
    nobody = visit(None)
    for asset in assets().values():
        response = nobody.get(f"/static/{asset.public_name}")
        assert response.status_code == 200
        assert response.mimetype in ("text/css", "image/svg+xml", "text/javascript")
        assert response.cache_control.max_age == 365 * 24 * 3600
        assert response.cache_control.immutable and not response.cache_control.no_store


@pytest.mark.parametrize("name", ["page.css", "page.000000000000.css", "..%2fsession.py", "icon.svg"])
def test_other_names_are_not_found(visit, name):
    assert visit(None).get(f"/static/{name}").status_code == 404


def test_the_name_follows_from_the_content():
    digest = hashlib.sha256(CSS.encode()).hexdigest()[:12]

    assert assets()["page.css"].public_name == f"page.{digest}.css"


def test_the_style_sheet_asks_for_nothing_from_elsewhere():
    assert "url(" not in CSS and "@import" not in CSS


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "paper"), WORDS_ON_PAPER)
def test_words_stand_out_from_their_paper(scheme, ink, paper):
    """WCAG 2 level AA: a contrast of at least 4.5."""
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", scheme))
    darker, lighter = sorted((_luminance(colours[ink]), _luminance(colours[paper])))

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def _luminance(colour: str) -> float:
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
