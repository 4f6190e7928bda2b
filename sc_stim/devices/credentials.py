"""The login of a device at the broker: issued once, told to the broker, revoked. Rows and broker change together."""

import base64
import datetime as dt
from collections.abc import Callable

from sqlalchemy.orm import Session

from sc_stim.devices.broker_access import SALT_BYTES, Role, make_login
from sc_stim.devices.mqtt_admin import BrokerAdmin
from sc_stim.models import BrokerLogin, Device
from sc_stim.workflows.audit import Actor
from sc_stim.workflows.refusals import Conflict
from sc_stim.workflows.registry import record_about

PASSWORD_BYTES = 32
RandomBytes = Callable[[int], bytes]


def issue(
    session: Session,
    actor: Actor,
    device: Device,
    broker: BrokerAdmin,
    random: RandomBytes,
    *,
    at: dt.datetime,
) -> str:
    """Give the device a new password and return it; only its hash is kept. An old password ends.

    The broker is told last, before the caller commits: if it cannot be reached nothing is changed on our side. Raises
    Conflict, BrokerUnavailable and BrokerRefused.
    """
    if device.explanted_on is not None:
        raise Conflict(f"the device was explanted on {device.explanted_on}")
    username, password = (
        str(device.public_id),
        base64.urlsafe_b64encode(random(PASSWORD_BYTES)).decode().rstrip("="),
    )
    login = make_login(username, Role.DEVICE, password, random(SALT_BYTES))
    session.merge(
        BrokerLogin(
            username=username,
            device_id=device.id,
            role=login.role,
            password_hash=login.password_hash,
            salt=login.salt,
            iterations=login.iterations,
            issued_at=at,
            revoked_at=None,
        )
    )
    session.flush()
    record_about(session, actor, "credential.issue", device, at=at)
    broker.put_devices([(username, password)])
    return password


def revoke(session: Session, actor: Actor, device: Device, broker: BrokerAdmin, *, at: dt.datetime) -> None:
    """Cut the device off: its session ends, and ingest takes nothing more from it. Again: no change.

    Raises Conflict when it has no login, BrokerUnavailable and BrokerRefused.
    """
    login = session.get(BrokerLogin, str(device.public_id), with_for_update=True)
    if login is None:
        raise Conflict("the device has no login")
    login.revoked_at = login.revoked_at or at
    session.flush()
    record_about(session, actor, "credential.revoke", device, at=at)
    broker.revoke(login.username)
