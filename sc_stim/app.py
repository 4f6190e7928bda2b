"""The only wiring: settings in, a Flask app out."""

import datetime as dt
from typing import Any, Final

import msgspec
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from sc_stim import api, failures, guard, i18n, logs, web
from sc_stim.extensions import csrf, db, limiter, login, migrate
from sc_stim.settings import Settings, SettingsError, variable
from sc_stim.tasks.celery_app import bind as bind_celery
from sc_stim.workflows.audit import seal_key
from sc_stim.workflows.transport import Transport, check_url

DATABASE_PATIENCE_S: Final = 3


def create_app(settings: Settings) -> Flask:
    """Build the application: database, sign-in, API, pages, tasks. Starts nothing and opens no connection."""
    logs.configure(settings.log_level)
    app = Flask(__name__, static_folder=None)
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_key,
        AUDIT_SEAL_KEY=seal_key(settings.secret_key),
        SQLALCHEMY_DATABASE_URI=settings.sqlalchemy_url,
        SQLALCHEMY_ENGINE_OPTIONS=_engine_options(settings),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        PERMANENT_SESSION_LIFETIME=dt.timedelta(minutes=30),
        MAX_CONTENT_LENGTH=1024 * 1024,
        RATELIMIT_STORAGE_URI=settings.redis_url.replace("redis+socket://", "redis+unix://"),
        RATELIMIT_STORAGE_OPTIONS={"socket_timeout": 1, "socket_connect_timeout": 1},
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
        RATELIMIT_HEADERS_ENABLED=False,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # answers keep the order of their schema
    if proxies := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]
    db.init_app(app)
    migrate.init_app(app, db, directory=str(app.root_path) + "/migrations")
    login.init_app(app)
    csrf.init_app(app)
    limiter.init_app(app)
    i18n.install(app)
    app.extensions["transport"] = _transport(settings)
    bind_celery(app, settings)
    api.install(app)
    web.install(app)
    guard.install(app)
    failures.install(app, problem=api.problem, page=web.answer)
    return app


def _transport(settings: Settings) -> Transport:
    """Raises SettingsError where Apprise does not know the service of a URL."""
    problems = []
    for channel, url in settings.service_urls.items():
        try:
            if url is not None:
                check_url(url)
        except ValueError as error:
            problems.append(f"{variable(channel + '_url')}: {error}")
    if problems:
        raise SettingsError(problems)
    return Transport(settings.service_urls)


def _engine_options(settings: Settings) -> dict[str, Any]:
    """Parameters name people, so errors do not show them. A request waits seconds for the database, not minutes."""
    if settings.is_sqlite:
        return {"hide_parameters": True}
    return {
        "hide_parameters": True,
        "pool_pre_ping": True,
        "pool_timeout": DATABASE_PATIENCE_S,
        "connect_args": {"connect_timeout": DATABASE_PATIENCE_S},
        "json_deserializer": msgspec.json.decode,  # five times as fast, and a night reads much of it
    }
