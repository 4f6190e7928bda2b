"""deploy/make-secrets.sh: random, private, and never overwritten."""

import hashlib
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("secrets"))


def make(directory: Path) -> Path:
    subprocess.run([ROOT / "deploy" / "make-secrets.sh", directory], check=True, capture_output=True)
    return directory


def test_two_installations_share_no_secret(made: Path, tmp_path: Path) -> None:
    other = make(tmp_path)
    names = {path.name for path in made.iterdir()}
    assert {path.name for path in other.iterdir()} == names
    assert not [name for name in names if (made / name).read_text() == (other / name).read_text()]


def test_no_two_secrets_are_alike_or_short(made: Path) -> None:
    randoms = [path.read_text() for path in made.iterdir() if path.name.endswith(("_password", "secret_key"))]
    assert len(set(randoms)) == len(randoms) == 6
    assert {len(text) for text in randoms} == {64}


def test_making_them_again_changes_nothing(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.iterdir()}
    make(made)
    assert {path: path.read_bytes() for path in made.iterdir()} == before


def test_only_their_owner_enters_the_directory(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE((made / "ca.key").stat().st_mode) == 0o400


def test_the_addresses_hold_the_passwords_the_servers_know(made: Path) -> None:
    for url, password in (
        ("database_url", "postgres_application_password"),
        ("redis_url", "redis_password"),
        ("broker_admin_url", "broker_admin_password"),
    ):
        assert f":{(made / password).read_text()}@" in (made / url).read_text()
    hashed = hashlib.sha256((made / "redis_password").read_bytes()).hexdigest()
    assert f"#{hashed} " in (made / "redis_users.acl").read_text()


def test_the_certificate_of_the_broker_is_trusted_under_its_names(made: Path) -> None:
    command = [
        "openssl",
        "verify",
        "-CAfile",
        made / "ca.crt",
        "-verify_hostname",
        "mosquitto",
        made / "broker.crt",
    ]
    assert subprocess.run(command, capture_output=True).returncode == 0
