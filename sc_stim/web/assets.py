"""Static files under names that contain a hash of their content, so that browsers may keep them for ever."""

import hashlib
from functools import cache
from pathlib import Path

from flask import Response, abort, send_from_directory, url_for

from sc_stim.web.blueprint import pages

STATIC = Path(__file__).parent / "static"
ONE_YEAR_S = 365 * 24 * 3600


@cache
def hashed_names() -> dict[str, str]:
    """The public name of each file: `page.css` -> `page.3f2a9c1b04d5.css`."""
    return {path.name: _hashed(path) for path in sorted(STATIC.iterdir())}


@pages.get("/static/<name>", endpoint="static")
def static(name: str) -> Response:
    """Public, as the sign-in page needs it."""
    plain = {public: plain for plain, public in hashed_names().items()}.get(name)
    if plain is None:
        abort(404)
    response = send_from_directory(STATIC, plain, max_age=ONE_YEAR_S)
    response.cache_control.immutable = True
    return response


def asset(name: str) -> str:
    """The address of a static file. Raises KeyError where there is none."""
    return url_for("web.static", name=hashed_names()[name])


def _hashed(path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return f"{path.stem}.{digest}{path.suffix}"
