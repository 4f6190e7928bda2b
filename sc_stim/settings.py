"""Frozen settings from SC_STIM_* variables. Every missing or wrong one is named, then the program refuses to start.

Each variable may be given as NAME or as NAME_FILE (the path of a file that holds the value), never as both.
This is the only file that reads the environment.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit


class SettingsError(ValueError):
    """Settings are missing or wrong; `problems` names each variable and the fix."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("Settings are not usable:\n  " + "\n  ".join(problems))
        self.problems = problems


def _secret(text: str) -> str:
    if len(text) < 32:
        raise ValueError("needs at least 32 characters; make one with `openssl rand -hex 32`")
    return text


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if urlsplit(text).scheme not in schemes:
            raise ValueError(f"must begin with one of: {', '.join(s + '://' for s in schemes)}")
        return text

    return parse


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return text.upper()


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise ValueError("must be a whole number above 0")
    return number


def _broker_admin(text: str) -> str:
    return text if text == "embedded" else _url("mqtt", "mqtts")(text)


def _mqtt_version(text: str) -> int:
    if text not in ("3", "5"):
        raise ValueError("must be 3 (for MQTT 3.1.1) or 5")
    return int(text)


def _service(text: str) -> str:
    if not urlsplit(text).scheme or "://" not in text:
        raise ValueError("must be an Apprise URL, as mailtos://user:password@mail.example.org?to={address}")
    return text


def _service_for_contacts(text: str) -> str:
    if "{address}" not in _service(text):
        raise ValueError("must hold {address} where the address of a contact belongs")
    return text


def _text(text: str) -> str:
    return text


def _setting(parse: Callable[[str], Any], doc: str, **default: Any) -> Any:
    return field(metadata={"parse": parse, "doc": doc}, **default)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One value per SC_STIM_ variable; `docs/operations.md` lists them and a test keeps that true."""

    database_url: str = _setting(
        _url("postgresql+psycopg", "postgresql", "sqlite"),
        "PostgreSQL (postgresql://user:password@host/name) or SQLite (sqlite:////path/to/file.db)",
        repr=False,
    )
    redis_url: str = _setting(
        _url("redis", "rediss", "redis+socket"),
        "Redis or Valkey: Celery's queue, sign-in throttle",
        repr=False,
    )
    mqtt_url: str = _setting(_url("mqtt", "mqtts"), "the broker, as mqtt://host:port or mqtts://host:port")
    mqtt_username: str = _setting(_text, "prefix of the ingest accounts at the broker", default="ingest")
    mqtt_password: str = _setting(_text, "password of the ingest accounts", repr=False)
    mqtt_version: int = _setting(_mqtt_version, "3 (for MQTT 3.1.1) or 5", default=5)
    mqtt_ca_file: str | None = _setting(_text, "certificate authority for mqtts://", default=None)
    broker_admin_url: str = _setting(
        _broker_admin,
        "account that may create device logins, as mqtt://user:password@host:port, or the word embedded",
        repr=False,
    )
    secret_key: str = _setting(
        _secret, "signs sessions and the audit chain; at least 32 characters", repr=False
    )
    log_level: str = _setting(_level, "DEBUG, INFO, WARNING or ERROR", default="INFO")
    secure_cookies: bool = _setting(
        _flag, "session cookie only over HTTPS; false only on loopback", default=True
    )
    trusted_proxies: int = _setting(
        lambda text: int(text), "how many reverse proxies set X-Forwarded-For before us", default=0
    )
    web_host: str = _setting(_text, "address the web server listens on", default="127.0.0.1")
    web_port: int = _setting(_positive, "port the web server listens on", default=8000)
    ingest_batch: int = _setting(_positive, "most messages in one ingest transaction", default=1000)
    work_poll_s: int = _setting(_positive, "seconds between sweeps for work the queue lost", default=5)

    email_url: str | None = _setting(
        _service_for_contacts,
        "Apprise URL that sends e-mail to {address}; without it e-mail is not configured",
        default=None,
        repr=False,
    )
    sms_url: str | None = _setting(
        _service_for_contacts,
        "Apprise URL that sends a text message to {address}; without it SMS is not configured",
        default=None,
        repr=False,
    )
    push_url: str | None = _setting(
        _service_for_contacts,
        "Apprise URL of any other service, sending to {address}; without it push is not configured",
        default=None,
        repr=False,
    )
    operator_url: str | None = _setting(
        _service,
        "Apprise URL that tells the operator when a part of the system stops",
        default=None,
        repr=False,
    )
    public_url: str | None = _setting(
        _url("http", "https"), "where people open the pages, for links in messages", default=None
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read and check every setting. Raises SettingsError naming all problems at once."""
        source = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        problems: list[str] = []
        for item in fields(cls):
            name = variable(item.name)
            try:
                text = _read(source, name)
                if text is not None:
                    values[item.name] = cast(Callable[[str], Any], item.metadata["parse"])(text)
                elif item.default is item.default_factory:  # both are MISSING: no default
                    problems.append(f"{name} is not set: {item.metadata['doc']}")
            except (ValueError, OSError) as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise SettingsError(problems)
        return cls(**values)

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def service_urls(self) -> dict[str, str | None]:
        """The Apprise URL of every channel that needs one; None: it is not configured."""
        return {
            "email": self.email_url,
            "sms": self.sms_url,
            "push": self.push_url,
            "operator": self.operator_url,
        }

    @property
    def sqlalchemy_url(self) -> str:
        """The address with the driver named, so that `postgresql://` means psycopg 3."""
        return self.database_url.replace("postgresql://", "postgresql+psycopg://", 1)


def variable(field_name: str) -> str:
    """The environment variable of a setting: `redis_url` -> `SC_STIM_REDIS_URL`."""
    return "SC_STIM_" + field_name.upper()


def _read(source: Mapping[str, str], name: str) -> str | None:
    if name in source and name + "_FILE" in source:
        raise ValueError(f"set either {name} or {name}_FILE, not both")
    if name + "_FILE" in source:
        return Path(source[name + "_FILE"]).read_text(encoding="utf-8").strip()
    return source.get(name) or None
