"""The files ``sc-stim broker init`` writes."""

import getpass
import json
import os
import re
import stat
from pathlib import Path

import pytest

from sc_stim.devices import mosquitto_conf
from sc_stim.devices.broker_access import MAX_PACKET_BYTES, SALT_BYTES, Role, make_login
from sc_stim.devices.mosquitto_conf import Listener, find_plugin, render, write_broker_files

PLUGIN = Path("/usr/lib/mosquitto_dynamic_security.so")
ADMIN_PASSWORD, INGEST_PASSWORD = "admin-password", "ingest-password"


def write(directory: Path, **changes: object) -> None:
    options: dict[str, object] = {
        "admin_password": ADMIN_PASSWORD,
        "ingest_password": INGEST_PASSWORD,
        "shards": ["0-7", "8-f"],
        "listeners": [Listener(1883)],
        "plugin": PLUGIN,
    }
    write_broker_files(directory, **(options | changes))  # type: ignore[arg-type]


def settings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_configuration_names_its_own_directory_and_no_placeholder(tmp_path: Path) -> None:
    lines = settings(render(tmp_path, PLUGIN, [Listener(1884, "127.0.0.1")]))
    assert f"plugin_opt_config_file {tmp_path}/dynamic-security.json" in lines
    assert f"persistence_location {tmp_path}/" in lines
    assert f"max_packet_size {MAX_PACKET_BYTES}" in lines
    assert lines[-1] == "listener 1884 127.0.0.1"
    assert not [line for line in lines if "$" in line]


def test_no_password_stands_in_the_files_and_the_accounts_are_private(tmp_path: Path) -> None:
    write(tmp_path)
    accounts = tmp_path / "dynamic-security.json"
    text = accounts.read_text() + (tmp_path / "mosquitto.conf").read_text()
    assert not re.search(f"{ADMIN_PASSWORD}|{INGEST_PASSWORD}", text)
    assert stat.S_IMODE(accounts.stat().st_mode) == 0o600
    usernames = [client["username"] for client in json.loads(accounts.read_text())["clients"]]
    assert usernames[:2] == ["admin", "ingest-0-7-live"] and len(usernames) == 1 + 2 * 2


def test_writing_again_renews_the_configuration_and_keeps_the_accounts(tmp_path: Path) -> None:
    write(tmp_path)
    before = (tmp_path / "dynamic-security.json").read_text()
    write(tmp_path, admin_password="another", listeners=[Listener(1999)])
    assert (tmp_path / "dynamic-security.json").read_text() == before
    assert "listener 1999" in (tmp_path / "mosquitto.conf").read_text()


def test_devices_of_the_database_are_in_the_accounts_of_a_rebuilt_broker(tmp_path: Path) -> None:
    device = "00000000-0000-0000-0000-00000000000a"
    write(tmp_path, devices=[make_login(device, Role.DEVICE, "password", b"s" * SALT_BYTES)])
    assert device in (tmp_path / "dynamic-security.json").read_text()


def test_the_files_are_given_to_the_user_mosquitto_drops_to(tmp_path: Path) -> None:
    user = "nobody" if os.geteuid() == 0 else getpass.getuser()
    write(tmp_path, user=user)
    assert {path.owner() for path in (tmp_path, *tmp_path.iterdir())} == {user}


def test_a_missing_plugin_is_named_with_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosquitto_conf, "_PLUGIN_PLACES", ("/nowhere/plugin.so",))
    with pytest.raises(FileNotFoundError, match=r"/nowhere/plugin\.so: install mosquitto"):
        find_plugin()
