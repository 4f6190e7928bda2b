"""The commands of a newcomer: ``make`` explains itself, and says what is missing."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_make_alone_lists_the_targets() -> None:
    listed = {line.split()[1] for line in run("make").stdout.splitlines()}
    assert {"demo", "install", "test", "bench", "lint", "lock", "clean"} <= listed


def test_continuous_integration_runs_what_a_developer_runs() -> None:
    assert "\nmake test " in (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_suite_is_installed_from_hashes_then_the_project_without_packages() -> None:
    planned = run("make", "--dry-run", "--always-make", "install").stdout
    assert planned.index("--require-hashes -r requirements/run.lock") < planned.index("--no-deps")


def test_missing_servers_are_named_with_the_command_that_installs_them(tmp_path: Path) -> None:
    for tool in ("id", "sh"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    (tmp_path / "id").unlink()
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    done = run("/bin/sh", "scripts/provide-servers", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "apt-get install --no-install-recommends" in done.stderr
    assert "redis-server" in done.stderr


def test_nothing_is_installed_when_nothing_is_missing() -> None:
    done = run("scripts/provide-servers")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "script", ["scripts/provide-servers", "scripts/find-python", "deploy/make-secrets.sh"]
)
def test_a_script_is_plain_shell(script: str) -> None:
    assert run("sh", "-n", script).stderr == ""
    assert os.access(ROOT / script, os.X_OK)
