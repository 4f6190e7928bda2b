"""The stack of docker-compose.yml: pinned, healthy, unprivileged, and without a secret of its own."""

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from sc_stim.cli import main
from sc_stim.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("build")}
ONE_SHOTS = {name for name, service in SERVICES.items() if service["restart"] == "no"}

service = pytest.mark.parametrize("name", SERVICES)
our_service = pytest.mark.parametrize("name", OURS)


@service
def test_an_image_is_pinned_to_a_full_version(name: str) -> None:
    assert re.fullmatch(
        r"[a-z/-]+:\d+\.\d+(\.\d+)?(-[a-z]+)?(@sha256:[0-9a-f]{64})?", SERVICES[name]["image"]
    )


@service
def test_a_container_has_no_more_rights_than_it_needs(name: str) -> None:
    running = SERVICES[name]
    uid = int(running["user"].partition(":")[0])
    assert uid > 0
    assert (running["read_only"], running["cap_drop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in running["security_opt"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(running)


@service
def test_what_keeps_running_is_watched(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if name in ONE_SHOTS or "profiles" in SERVICES[name]:
        assert check == {"disable": True}
    else:
        assert check["test"][0] in ("CMD", "CMD-SHELL")


@service
def test_no_value_in_the_environment_is_a_secret(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|SECRET|DATABASE_URL|REDIS_URL|ADMIN_URL", variable):
            assert variable.endswith("_FILE")
            assert value.removeprefix("/run/secrets/") in SERVICES[name]["secrets"]


@service
def test_a_service_waits_for_others_that_exist_and_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        done = "service_completed_successfully" if other in ONE_SHOTS else "service_healthy"
        assert how == {"condition": done}


def test_every_secret_is_a_file_that_is_made_and_used() -> None:
    script = (ROOT / "deploy" / "make-secrets.sh").read_text()
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])
    for name, secret in COMPOSE["secrets"].items():
        assert name == "simulators" or Path(secret["file"]).name in script


def test_only_the_pages_and_the_tls_port_are_published() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "mosquitto": ["${SC_STIM_MQTTS_PORT:-8883}:8883"],
        "web": ["${SC_STIM_WEB_ADDRESS:-127.0.0.1:8000}:8000"],
    }
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_the_ingest_processes_share_all_shards_out_and_have_accounts() -> None:
    shards = [service["command"][-1] for service in OURS.values() if service["command"][0] == "ingest"]
    prepared = [
        word.removeprefix("--shards=") for word in OURS["broker-init"]["command"] if "--shards" in word
    ]
    assert shards == prepared == ["0-7", "8-f"]


@our_service
def test_a_command_exists_with_its_options(name: str) -> None:
    words = OURS[name]["command"]
    command: click.Command = main
    while isinstance(command, click.Group):
        assert words[0] in command.commands
        command, words = command.commands[words[0]], words[1:]
    with command.make_context(words[0] if words else name, list(words), resilient_parsing=True) as context:
        assert context.params is not None
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


@our_service
def test_the_environment_names_only_settings_that_exist(name: str) -> None:
    known = set(Settings.__dataclass_fields__)
    for variable in OURS[name]["environment"]:
        assert variable.removeprefix("SC_STIM_").removesuffix("_FILE").lower() in known


def test_mounted_files_are_there() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert files
    assert all((ROOT / path).is_file() for path in files)


def test_the_image_runs_from_the_locked_packages_without_privileges() -> None:
    lines = (ROOT / "Dockerfile").read_text()
    assert re.search(r"ARG PYTHON_IMAGE=python:\d+\.\d+\.\d+-slim-\w+\n", lines)
    assert "pip install --require-hashes -r requirements/run.lock" in lines
    assert lines.rindex("USER 10001") > lines.rindex("FROM")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", lines, re.MULTILINE)
    assert all((ROOT / path).exists() for group in copied for path in group.split())


def test_the_example_settings_are_all_settings_and_hold_no_secret() -> None:
    text = (ROOT / ".env.example").read_text()
    named = dict(re.findall(r"^#?(SC_STIM_\w+)=(.*)$", text, re.MULTILINE))
    of_compose = set(re.findall(r"\$\{(SC_STIM_\w+)", (ROOT / "docker-compose.yml").read_text()))
    settings = {f"SC_STIM_{field.upper()}" for field in Settings.__dataclass_fields__}
    assert set(named) == settings | of_compose
    assert not [name for name, value in named.items() if re.search("PASSWORD|SECRET", name) and value]
