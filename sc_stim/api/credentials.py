"""What a device signs in with at the broker."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from flask import current_app
from werkzeug.exceptions import ServiceUnavailable

from sc_stim import clock
from sc_stim.access import requires
from sc_stim.api.http import Resource, find_or_404, shown_once
from sc_stim.api.schemas_devices import CredentialSchema
from sc_stim.devices import topics
from sc_stim.devices.credentials import issue, revoke
from sc_stim.devices.mqtt_admin import BrokerAdmin, BrokerRefused, BrokerUnavailable, admin_of
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.models import Device

credentials = Resource("credentials", __name__, "Logins of devices at the broker.")

BROKER_TIMEOUT_S: Final = 5
BROKER_AWAY: Final = "The broker did not do it. Nothing was changed here; try again."


@credentials.post("/devices/<uuid:device_id>/credentials")
@requires("credentials.manage")
@shown_once
@credentials.response(201, CredentialSchema)
def issue_credential(device_id: uuid.UUID) -> dict[str, Any]:
    """Give a device a login. The password is in this answer and nowhere else; one it had before ends."""
    device, at = find_or_404(Device, device_id), clock.now()
    with _broker() as broker:
        password = issue(db.session, actor(), device, broker, os.urandom, at=at)
    username = str(device.public_id)
    base = topics.up(username, "state").removesuffix("up/state")
    return {"username": username, "password": password, "topics": base, "issued_at": at}


@credentials.delete("/devices/<uuid:device_id>/credentials")
@requires("credentials.manage")
@credentials.response(204)
@credentials.alt_response(409, response="CONFLICT")
def revoke_credential(device_id: uuid.UUID) -> None:
    """Cut a device off: its session ends, it is not let in again, and nothing more is taken from it."""
    device = find_or_404(Device, device_id)
    with _broker() as broker:
        revoke(db.session, actor(), device, broker, at=clock.now())


@contextmanager
def _broker() -> Iterator[BrokerAdmin]:
    """Who tells the broker; 503 when it does not do it."""
    settings = current_app.config["SETTINGS"]
    try:
        yield admin_of(settings.broker_admin_url, ca_file=settings.mqtt_ca_file, timeout_s=BROKER_TIMEOUT_S)
    except (BrokerUnavailable, BrokerRefused) as error:
        raise ServiceUnavailable(BROKER_AWAY, retry_after=BROKER_TIMEOUT_S) from error
