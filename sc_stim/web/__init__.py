"""Server-rendered pages. They need no outside address, and work without script."""

from flask import Flask

from sc_stim.extensions import login
from sc_stim.web import (  # noqa: F401  (importing them declares their views)
    alert,
    alert_burden,
    alerts,
    audit_trail,
    booking,
    calendar,
    calendar_feeds,
    care_tasks,
    clinic,
    clinic_figures,
    device,
    device_acts,
    device_record,
    devices,
    emergency,
    escalation,
    fills,
    live,
    long_work,
    patient,
    patient_forms,
    patients,
    provision,
    quarantine,
    recalls,
    record_files,
    reference,
    refill_visit,
    replacement,
    reports,
    reviews,
    saved_views,
    session,
    staffing,
    system,
    timeline,
    triage,
    users,
    worklist,
)
from sc_stim.web.blueprint import pages
from sc_stim.web.errors import answer

__all__ = ["answer", "install"]


def install(app: Flask) -> None:
    """Register every page with the app."""
    login.login_view = "web.sign_in"
    login.login_message = None
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # a form is good for as long as its session
    app.config["WTF_CSRF_SSL_STRICT"] = False  # our Referrer-Policy keeps the referrer this would ask for
    live.install(app)
    app.register_blueprint(pages)
