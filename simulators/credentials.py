"""Passwords for simulated devices, and the ids that a server gave them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from sc_stim.devices import topics

from .cohort import Cohort, Pump, Stimulator


class CredentialsError(ValueError):
    """A credentials file that cannot be used; the message names the entry and what is wrong."""


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """`serial` or `kind` say which simulated device takes this identity, `patient` whose recorded diary.

    Other fields are ignored.
    """

    device: str
    password: str
    serial: str | None = None
    kind: Literal["pump", "stimulator"] | None = None
    patient: str | None = None

    def __post_init__(self) -> None:
        topics.shard_of(self.device)


def read(path: Path) -> list[Credential]:
    """Read a JSON list, or one JSON object a line; raises CredentialsError."""
    try:
        text = path.read_bytes().strip()
    except OSError as error:
        raise CredentialsError(f"credentials {path}: {error.strerror}") from error
    try:
        if text.startswith(b"["):
            return msgspec.json.decode(text, type=list[Credential])
        return [msgspec.json.decode(line, type=Credential) for line in text.splitlines()]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CredentialsError(f"credentials {path}: {error}") from error


def assign(cohort: Cohort, credentials: list[Credential]) -> tuple[Cohort, dict[str, str]]:
    """The cohort with the ids of the credentials, and the password of each device.

    A credential goes to the device that has its id already, else to the one with its serial, else to the next one
    of its kind that has none. What is left over is not used. Raises CredentialsError when a device gets none.
    """
    left = {credential.device: credential for credential in credentials}
    given: dict[str, Credential] = {}
    for device in cohort.devices:
        if device.id in left:
            given[device.id] = left.pop(device.id)
    by_serial = {credential.serial: credential for credential in left.values() if credential.serial}
    for device in cohort.devices:
        if device.id not in given and device.serial in by_serial:
            given[device.id] = left.pop(by_serial[device.serial].device)
    free = [credential for credential in left.values() if not credential.serial]
    for device in _without(cohort, given):
        fitting = next((credential for credential in free if credential.kind in (None, device.kind)), None)
        if fitting:
            free.remove(fitting)
            given[device.id] = fitting
    missing = next(_without(cohort, given), None)
    if missing:
        count = sum(1 for _ in _without(cohort, given))
        raise CredentialsError(
            f"credentials: none for {count} devices, the first is {missing.kind} {missing.serial} ({missing.id}); "
            "add them, or simulate fewer with --pumps and --stimulators"
        )
    renamed = cohort.renamed({old: credential.device for old, credential in given.items()})
    return renamed, {credential.device: credential.password for credential in given.values()}


def _without(cohort: Cohort, given: dict[str, Credential]) -> Iterator[Pump | Stimulator]:
    return (device for device in cohort.devices if device.id not in given)
