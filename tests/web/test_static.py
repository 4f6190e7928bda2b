import gzip
import hashlib
import re

import pytest

from sc_stim.web.assets import STATIC, assets
from sc_stim.web.compressed import LEAST_BYTES
from tests.web.pages import taking

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


def test_a_browser_that_takes_gzip_gets_the_same_content_in_fewer_bytes(visit):
    nobody = taking("gzip, deflate, br", visit(None))
    for name, asset in assets().items():
        response = nobody.get(f"/static/{asset.public_name}")
        packed = len(asset.content) >= LEAST_BYTES
        assert response.content_encoding == ("gzip" if packed else None), name
        assert (gzip.decompress(response.data) if packed else response.data) == asset.content
        assert response.headers["Vary"] == "Accept-Encoding"
        assert response.content_length == len(response.data)


@pytest.mark.parametrize("path", ["/worklist", "/patients/{patient}"])
def test_a_page_ships_less_than_150_kB_of_script_and_style(visit, scene, path):
    html = visit(scene.nurse).get(path.format(patient=scene.patient.public_id)).text
    named = re.findall(r'(?:src|href)="/static/([^"]+[.](?:js|css))"', html)
    weights = {asset.public_name: len(asset.compressed) for asset in assets().values()}
    assert len(named) >= 3
    assert sum(weights[name] for name in named) < 150_000


@pytest.mark.parametrize("takes", ["", "br", "identity", "gzip;q=0, *"])
def test_a_browser_that_does_not_take_gzip_gets_the_file_as_it_is(visit, takes):
    asset = assets()["page.css"]
    response = taking(takes, visit(None)).get(f"/static/{asset.public_name}")
    assert (response.content_encoding, response.data) == (None, asset.content)
    assert response.headers["Vary"] == "Accept-Encoding"


def test_a_page_with_the_token_of_its_forms_is_never_compressed(visit):
    """Its length would tell the token to whoever listens and can have things shown beside it."""
    response = taking("gzip", visit(None)).get("/sign-in?next=/worklist")
    assert "csrf_token" in response.text
    assert response.content_encoding is None


def test_what_is_kept_does_not_depend_on_who_is_signed_in(visit, scene):
    response = visit(scene.nurse).get(f"/static/{assets()['page.css'].public_name}")
    assert "Cookie" not in response.headers["Vary"]
    assert "Set-Cookie" not in response.headers


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
