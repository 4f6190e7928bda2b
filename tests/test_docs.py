"""What the documents say must be there."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import click
import pytest

from sc_stim.cli import main
from sc_stim.settings import Settings, SettingsError, variable

ROOT = Path(__file__).parents[1]
OPERATIONS = (ROOT / "docs/operations.md").read_text()


def commands(group: click.Group, prefix: str = "") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        found += (
            commands(command, f"{prefix}{name} ")
            if isinstance(command, click.Group)
            else [(prefix + name, command)]
        )
    return found


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda setting: setting.name)
def test_every_setting_is_documented_with_its_meaning(setting: object) -> None:
    row = next(line for line in OPERATIONS.splitlines() if line.startswith(f"| `{variable(setting.name)}` |"))  # type: ignore[attr-defined]
    assert setting.metadata["doc"] in row  # type: ignore[attr-defined]
    assert ("required" in row) == (setting.default is MISSING)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "command"), commands(main), ids=lambda value: str(value))
def test_every_command_has_help_with_an_example(name: str, command: click.Command) -> None:
    assert command.help
    assert "xample: sc-stim " + name in command.help


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: page.name
)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_all_missing_settings_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({"SC_STIM_SECRET_KEY": "short", "SC_STIM_LOG_LEVEL": "loud"})
    named = {problem.split()[0].rstrip(":") for problem in refused.value.problems}
    assert named == {
        "SC_STIM_DATABASE_URL", "SC_STIM_REDIS_URL", "SC_STIM_MQTT_URL", "SC_STIM_MQTT_PASSWORD",
        "SC_STIM_BROKER_ADMIN_URL", "SC_STIM_SECRET_KEY", "SC_STIM_LOG_LEVEL",
    }  # fmt: skip


def test_a_setting_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 40 + "\n")
    settings = Settings.from_environment(
        {
            "SC_STIM_DATABASE_URL": "postgresql://u:p@h/d",
            "SC_STIM_REDIS_URL": "redis://h",
            "SC_STIM_MQTT_URL": "mqtt://h",
            "SC_STIM_MQTT_PASSWORD": "p",
            "SC_STIM_BROKER_ADMIN_URL": "embedded",
            "SC_STIM_SECRET_KEY_FILE": str(tmp_path / "key"),
        }
    )
    assert settings.secret_key == "k" * 40
    assert settings.sqlalchemy_url == "postgresql+psycopg://u:p@h/d"
    assert settings.secret_key not in repr(settings)
