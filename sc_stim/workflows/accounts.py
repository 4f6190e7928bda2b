"""Accounts of staff: making them, passwords, signing in and out."""

import datetime as dt
import hashlib
import re
import secrets
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sc_stim.access import ROLES
from sc_stim.clinical.workdays import UnknownRegion, check_country
from sc_stim.models import ApiToken, Clinic, User
from sc_stim.workflows import audit
from sc_stim.workflows.audit import INSTALLATION, Actor
from sc_stim.workflows.refusals import Conflict, FieldRefused

SHORTEST_PASSWORD: Final = 15  # NIST SP 800-63B-4 for a password without a second factor
LONGEST_PASSWORD: Final = 200
FEWEST_DIFFERENT: Final = 6  # characters; "aaaaaaaaaaaaaaa" and "121212121212121" are the first guesses
RUNS: Final = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "01234567890123456789")
COMMON: Final = ("password", "passwort", "letmein", "iloveyou", "welcome", "changeme", "admin", "scstim")
EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
LONGEST_EMAIL: Final = 254
LONGEST_NAME: Final = 200
TOKEN_LIFETIME: Final = dt.timedelta(hours=12)

argon2id: Final = PasswordHasher()


def create_clinic(
    session: Session, name: str, time_zone: str, country: str, *, seal_key: bytes, at: dt.datetime
) -> Clinic:
    """A new clinic, whose audit chain begins with this. Raises FieldRefused and Conflict."""
    check_region(time_zone, country, None)
    if session.scalar(select(Clinic.id).where(Clinic.name == name)):
        raise Conflict(f"there is a clinic named {name!r} already")
    clinic = Clinic(name=name, time_zone=time_zone, country=country, created_at=at)
    session.add(clinic)
    session.flush()
    audit.record(session, installation(clinic, seal_key), "clinic.create", "clinic", clinic.public_id, at=at)
    return clinic


def check_region(time_zone: str, country: str, subdivision: str | None) -> None:
    """Raise FieldRefused unless the zone is of the IANA database and public holidays of the region are known."""
    if time_zone not in available_timezones():
        raise FieldRefused("time_zone", "is not a zone of the IANA database, as Europe/Berlin")
    try:
        check_country(f"{country}-{subdivision}" if subdivision else country)
    except UnknownRegion as error:
        raise FieldRefused("subdivision" if subdivision else "country", str(error)) from error


def installation(clinic: Clinic, seal_key: bytes) -> Actor:
    """Who runs the installation, acting on this clinic from the command line."""
    return Actor(clinic.id, "installation", seal_key)


def create_user(
    session: Session,
    actor: Actor,
    clinic: Clinic,
    email: str,
    name: str,
    role: str,
    password: str,
    at: dt.datetime,
) -> User:
    """A new account. Raises FieldRefused for a role, e-mail or password that will not do, Conflict when it exists."""
    if role not in ROLES:
        raise FieldRefused("role", f"must be one of: {', '.join(ROLES)}")
    email, name = email.strip().lower(), name.strip()
    if not EMAIL.fullmatch(email) or len(email) > LONGEST_EMAIL:
        raise FieldRefused("email", "is not an e-mail address")
    if not 1 <= len(name) <= LONGEST_NAME:
        raise FieldRefused("name", f"must have 1 to {LONGEST_NAME} characters")
    if session.scalar(select(User.id).where(User.email == email)):
        raise Conflict("there is an account with this e-mail address already")
    user = User(clinic=clinic, clinic_id=clinic.id, email=email, name=name, role=role, created_at=at)
    user.password_hash = hash_password(password, user)
    session.add(user)
    session.flush()
    audit.record(session, actor, "user.create", "user", user.public_id, {"role": role}, at=at)
    return user


def create_first_user(
    session: Session,
    clinic_name: str,
    time_zone: str | None,
    country: str | None,
    email: str,
    name: str,
    role: str,
    password: str,
    *,
    seal_key: bytes,
    at: dt.datetime,
) -> User:
    """An account made by who runs the installation, with its clinic where that is new.

    Raises FieldRefused and Conflict; a new clinic needs `time_zone` and `country`.
    """
    clinic = session.scalar(select(Clinic).where(Clinic.name == clinic_name))
    if clinic is None:
        if time_zone is None or country is None:
            raise FieldRefused(
                "clinic", f"{clinic_name!r} is new: give its --time-zone and --country as well"
            )
        clinic = create_clinic(session, clinic_name, time_zone, country, seal_key=seal_key, at=at)
    return create_user(session, installation(clinic, seal_key), clinic, email, name, role, password, at)


def set_password(session: Session, actor: Actor, user: User, password: str, at: dt.datetime) -> None:
    """Give a user another password; every token and session of theirs ends."""
    user.password_hash = hash_password(password, user)
    end_sessions(session, user, at)
    audit.record(session, actor, "user.set_password", "user", user.public_id, at=at)


def change_user(
    session: Session, actor: Actor, user: User, changes: Mapping[str, Any], at: dt.datetime
) -> None:
    """Change name or role, close or open an account. Raises Conflict.

    Nobody changes their own role or closes their own account, so a clinic always keeps an administrator.
    """
    changed = {name: value for name, value in changes.items() if getattr(user, name) != value}
    if user.id == actor.user_id and changed.keys() & {"role", "active"}:
        raise Conflict("Ask another administrator to change your own role or to close your account.")
    for name, value in changed.items():
        setattr(user, name, value)
    if changed.get("active") is False:
        end_sessions(session, user, at)
    audit.record(session, actor, "user.change", "user", user.public_id, changed, at=at)


def sign_out_everywhere(session: Session, actor: Actor, user: User, at: dt.datetime) -> None:
    """End every session and token of a user, as after a lost telephone."""
    end_sessions(session, user, at)
    audit.record(session, actor, "user.sign_out", "user", user.public_id, at=at)


def end_sessions(session: Session, user: User, at: dt.datetime) -> None:
    """Sign a user out everywhere."""
    user.session_epoch += 1
    session.execute(
        update(ApiToken)
        .where(ApiToken.user_id == user.id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=at)
    )


def hash_password(password: str, user: User) -> str:
    """Argon2id hash. Raises FieldRefused when the password is easily guessed."""
    password = unicodedata.normalize("NFKC", password)
    weakness = _weakness(password, user)
    if weakness:
        raise FieldRefused("password", weakness)
    return argon2id.hash(password)


def verify_password(user: User | None, password: str) -> bool:
    """Whether this is the password of an active user. An unknown user takes as long as a known one."""
    try:
        argon2id.verify(
            user.password_hash if user else _nobodys_hash(), unicodedata.normalize("NFKC", password)
        )
    except VerifyMismatchError:
        return False
    return user is not None and user.active


def sign_in(
    session: Session,
    email: str,
    password: str,
    at: dt.datetime,
    *,
    seal_key: bytes,
    address: str | None,
    action: str = "session.sign_in",
) -> User | None:
    """The user, or None for a wrong e-mail or password, whichever it was. Both are audited; the caller commits both.

    action: what the audit trail calls it, where it begins no session
    The e-mail typed is not recorded where no user has it: people type passwords into that field.
    """
    user = session.scalars(select(User).where(User.email == email.strip().lower())).one_or_none()
    right = verify_password(user, password)
    by = Actor(INSTALLATION, "nobody", seal_key)
    if user is not None:
        by = Actor(user.clinic_id, str(user.public_id), seal_key, user.id)
    called = action if right else f"{action}_failed"
    audit.record(session, by, called, "user", user and user.public_id, {"address": address}, at=at)
    if not right or user is None:
        return None
    if argon2id.check_needs_rehash(user.password_hash):
        user.password_hash = argon2id.hash(unicodedata.normalize("NFKC", password))
    return user


def sign_out(session: Session, actor: Actor, at: dt.datetime) -> None:
    """Record it; the caller ends the session or token."""
    audit.record(session, actor, "session.sign_out", "user", actor.name, at=at)


def issue_token(session: Session, user: User, at: dt.datetime) -> tuple[str, dt.datetime]:
    """A new bearer token and when it ends. Only its digest is stored."""
    token, expires_at = secrets.token_urlsafe(32), at + TOKEN_LIFETIME
    session.add(
        ApiToken(
            user_id=user.id, token_sha256=digest(token), created_at=at, last_used_at=at, expires_at=expires_at
        )
    )
    return token, expires_at


def digest(token: str) -> bytes:
    """What is stored of a token: it is random, so a fast hash does."""
    return hashlib.sha256(token.encode()).digest()


def _weakness(password: str, user: User) -> str | None:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        return f"must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
    lowered = unguessed = password.lower()
    known = f"{user.email} {user.name} {user.clinic.name}".lower().replace("@", " ").split()
    for word in (*COMMON, *(word for word in known if len(word) > 3)):
        unguessed = unguessed.replace(word, "")
    is_run = any(lowered in run or lowered in run[::-1] for run in RUNS)
    if is_run or len(set(lowered)) < FEWEST_DIFFERENT or len(unguessed) < SHORTEST_PASSWORD // 2:
        return "is easily guessed: take a few words that do not belong together"
    return None


@cache
def _nobodys_hash() -> str:
    return argon2id.hash(secrets.token_urlsafe(32))
