"""Whether the system works, for load balancers, monitors and people. Public: it names parts and counts, nobody."""

from typing import Any

from flask import Response, current_app
from marshmallow import fields
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import Select, func, select

import sc_stim
from sc_stim import clock
from sc_stim.access import PUBLIC, requires
from sc_stim.api.fields import Schema, Time
from sc_stim.api.http import Resource
from sc_stim.extensions import db
from sc_stim.models import Alert, Device, Message, Quarantine, WorkItem
from sc_stim.workflows.health import PARTS, Part, ping_cache, ready

health = Resource("health", __name__, "Whether the system works.", url_prefix="/")


class LiveSchema(Schema):
    version = fields.String(required=True)


class PartSchema(Schema):
    ok = fields.Boolean(required=True)
    why = fields.String(required=True)
    age_s = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Since its last work, or of the oldest work it owes."},
    )


class ReadySchema(Schema):
    ready = fields.Boolean(required=True)
    at = Time(required=True)
    parts = fields.Nested(
        Schema.from_dict({name: fields.Nested(PartSchema, required=True) for name in PARTS}, name="Parts")
    )
    channels = fields.Dict(
        keys=fields.String(),
        values=fields.Boolean(),
        required=True,
        metadata={"description": "By which channels messages can be sent; false: not configured."},
    )


@health.get("/health/live")
@requires(PUBLIC)
@health.response(200, LiveSchema)
def show_live() -> dict[str, str]:
    """Whether this process answers at all."""
    return {"version": sc_stim.__version__}


@health.get("/health/ready")
@requires(PUBLIC)
@health.response(200, ReadySchema)
@health.alt_response(503, schema=ReadySchema, description="Some part does not work.")
def show_ready() -> tuple[dict[str, Any], int]:
    """Whether every part does its work."""
    at = clock.now()
    parts = ready(db.session(), at, _ping_cache)
    works = all(part.ok for part in parts.values())
    channels = current_app.extensions["transport"].configured
    return {"ready": works, "at": at, "parts": parts, "channels": channels}, 200 if works else 503


@health.get("/metrics")
@requires(PUBLIC)
@health.response(200, {"type": "string"}, content_type="text/plain")
def show_metrics() -> Response:
    """Figures for Prometheus."""
    parts = ready(db.session(), clock.now(), _ping_cache)
    registry = CollectorRegistry()
    _add_parts(registry, parts)
    if parts["database"].ok:
        _add_counts(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _ping_cache() -> object:
    return ping_cache(current_app.config["SETTINGS"].redis_url)


def _add_parts(registry: CollectorRegistry, parts: dict[str, Part]) -> None:
    works = Gauge("sc_stim_part_ok", "1 where this part does its work", ["part"], registry=registry)
    age = Gauge(
        "sc_stim_part_age_seconds",
        "Since its last work, or of the oldest work it owes",
        ["part"],
        registry=registry,
    )
    for name, part in parts.items():
        works.labels(name).set(part.ok)
        if part.age_s is not None:
            age.labels(name).set(part.age_s)


def _add_counts(registry: CollectorRegistry) -> None:
    """Of all clinics together."""

    def count(name: str, help_text: str, label: str, statement: Select[Any]) -> None:
        gauge = Gauge(name, help_text, [label], registry=registry)
        for value, number in db.session.execute(statement):
            gauge.labels(value).set(number)

    in_use = select(Device.kind, func.count()).where(Device.in_use)
    count("sc_stim_devices", "Devices that somebody lives with", "kind", in_use.group_by(Device.kind))
    alerts = select(Alert.severity, func.count()).where(Alert.open_key.is_not(None)).group_by(Alert.severity)
    count("sc_stim_open_alerts", "Alerts that are not closed", "severity", alerts)
    waiting = select(Quarantine.reason, func.count()).where(Quarantine.replayed_at.is_(None))
    count(
        "sc_stim_quarantined_messages",
        "Messages never replayed",
        "reason",
        waiting.group_by(Quarantine.reason),
    )
    messages = select(Message.state, func.count()).group_by(Message.state)
    count("sc_stim_messages", "Messages by what became of them", "state", messages)
    owed = select(WorkItem.kind, func.count()).group_by(WorkItem.kind)
    count("sc_stim_work_items", "Judgements that are owed", "kind", owed)
