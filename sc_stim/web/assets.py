"""Static files under names that contain a hash of their content, so that browsers may keep them for ever."""

import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Response, abort, url_for

from sc_stim.web.blueprint import pages
from sc_stim.web.compressed import BEST, compress, compressed

STATIC = Path(__file__).parent / "static"
ONE_YEAR_S = 365 * 24 * 3600


@dataclass(frozen=True)
class Asset:
    """One file, as it is and compressed. `public_name`: `page.3f2a9c1b04d5.css` for `page.css`."""

    public_name: str
    content: bytes
    compressed: bytes
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """The few small files there are, by their plain name, read and compressed once."""
    return {path.name: _read(path) for path in STATIC.iterdir()}


@pages.get("/static/<name>", endpoint="static")
def static(name: str) -> Response:
    """Public, as the sign-in page needs it."""
    found = next((asset for asset in assets().values() if asset.public_name == name), None) or abort(404)
    response = Response(found.content, content_type=found.media_type)
    response.cache_control.public = True
    response.cache_control.max_age = ONE_YEAR_S
    response.cache_control.immutable = True
    return compressed(response, found.compressed)


def address_of(name: str) -> str:
    """The address of a static file. Raises KeyError where there is none: `make install` takes some from npm."""
    return url_for("web.static", name=assets()[name].public_name)


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:12]
    kind, _ = mimetypes.guess_type(path.name)
    return Asset(
        f"{path.stem}.{digest}{path.suffix}", content, compress(content, BEST), f"{kind}; charset=utf-8"
    )
