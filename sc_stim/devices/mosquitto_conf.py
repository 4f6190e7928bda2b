"""The files a Mosquitto of ours starts from: its configuration, and its first accounts."""

import json
import os
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from string import Template

from .broker_access import MAX_PACKET_BYTES, SALT_BYTES, Login, Role, make_login
from .dynsec import ADMIN, first_document, ingest_usernames

_TEMPLATE = Path(__file__).with_name("mosquitto.conf")
_PLUGIN_PLACES = (
    "/usr/lib/*/mosquitto_dynamic_security.so",  # Debian
    "/usr/lib/mosquitto_dynamic_security.so",  # the eclipse-mosquitto image
    "/opt/homebrew/lib/mosquitto_dynamic_security.so",
)


@dataclass(frozen=True)
class Listener:
    """One port without TLS. ``address`` "" means every interface."""

    port: int
    address: str = ""


def find_plugin() -> Path:
    """Where this machine keeps the dynamic-security plugin; FileNotFoundError says how to get it."""
    for place in _PLUGIN_PLACES:
        for found in glob(place):
            return Path(found)
    raise FileNotFoundError(
        f"no Mosquitto dynamic-security plugin in {', '.join(_PLUGIN_PLACES)}: install mosquitto"
    )


def render(directory: Path, plugin: Path, listeners: Iterable[Listener]) -> str:
    """The text of ``mosquitto.conf`` for a broker that keeps its data in ``directory``."""
    settings = Template(_TEMPLATE.read_text()).substitute(
        directory=directory,
        plugin=plugin,
        max_packet_bytes=MAX_PACKET_BYTES,
    )
    return settings + "".join(f"\nlistener {at.port} {at.address}".rstrip() + "\n" for at in listeners)


def write_broker_files(
    directory: Path,
    *,
    admin_password: str,
    ingest_password: str,
    shards: Iterable[str],
    listeners: Iterable[Listener],
    plugin: Path,
    devices: Iterable[Login] = (),
    user: str | None = None,
) -> None:
    """Write ``mosquitto.conf`` and, unless it exists already, ``dynamic-security.json`` into ``directory``.

    ``shards`` names what each ingest process owns (``0-7``, ``8-f``): each gets its accounts, all with one
    password. ``devices`` rebuilds a lost broker from the hashes in our database. An account file that exists is
    the broker's own and stays. ``user`` becomes the owner: Mosquitto as root drops to a user of its own.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "mosquitto.conf").write_text(render(directory.resolve(), plugin, listeners))
    accounts = directory / "dynamic-security.json"
    if not accounts.exists():
        ingest = [
            _login(name, Role.INGEST, ingest_password) for part in shards for name in ingest_usernames(part)
        ]
        admin = _login(ADMIN, Role.ADMIN, admin_password)
        _write_private(accounts, json.dumps(first_document([admin, *ingest, *devices]), indent=1))
    if user is not None:
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, user)


def _login(username: str, role: Role, password: str) -> Login:
    return make_login(username, role, password, secrets.token_bytes(SALT_BYTES))


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
