"""The REST API under /api/v1, one file per resource."""

from flask import Flask

import sc_stim
from sc_stim.api import (
    alerts,
    appointments,
    audit,
    auth,
    calendar,
    care_tasks,
    clinics,
    commands,
    credentials,
    devices,
    diary,
    escalation,
    figures,
    health,
    openapi,
    pathway,
    patients,
    pumps,
    quarantine,
    recalls,
    refills,
    reviews,
    settings,
    staffing,
    telemetry,
    users,
)
from sc_stim.api.description import Api
from sc_stim.api.errors import problem
from sc_stim.api.http import Resource
from sc_stim.extensions import csrf

__all__ = ["install", "problem"]

# In the order of the documentation.
RESOURCES: tuple[Resource, ...] = (
    auth.auth,
    refills.refills,
    appointments.appointments,
    calendar.feeds,
    calendar.calendar,
    alerts.alerts,
    escalation.escalation,
    care_tasks.tasks,
    patients.patients,
    pathway.pathway,
    diary.diary,
    reviews.reviews,
    figures.figures,
    devices.devices,
    telemetry.telemetry,
    settings.settings,
    pumps.pumps,
    commands.commands,
    credentials.credentials,
    recalls.recalls,
    quarantine.quarantine,
    clinics.clinics,
    staffing.staffing,
    users.users,
    audit.audit,
    health.health,
)

ABOUT = (
    "Therapy management for spinal cord stimulators and intrathecal drug pumps. Times are RFC 3339 with an "
    "offset, ids are UUIDs, errors are problem documents (RFC 9457), unknown fields are refused. Sign in with "
    "`POST /api/v1/auth/token` and send the token as `Authorization: Bearer`."
)


def install(app: Flask) -> None:
    """Register every resource with the app and describe them in one OpenAPI document."""
    document = Api(
        app,
        spec_kwargs={
            "title": "sc_stim",
            "version": sc_stim.__version__,
            "openapi_version": "3.1.0",
            "info": {"description": ABOUT},
            "servers": [{"url": "/"}],
            "security": [{"token": []}],
        },
    )
    document.spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    for resource in RESOURCES:
        csrf.exempt(resource)  # signed in by a bearer token, which no browser sends by itself
        document.register_blueprint(resource)
    app.register_blueprint(openapi.docs)
