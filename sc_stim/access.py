"""Who may do what. The table is data: the app refuses to start with an endpoint that names no action here."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

View = TypeVar("View", bound=Callable[..., Any])

ROLES: Final = ("clinician", "nurse", "engineer", "auditor", "admin")

_CARE = frozenset({"clinician", "nurse"})
_DEVICES = _CARE | {"engineer"}

# action -> roles. PUBLIC needs no sign-in; SIGNED_IN needs any role.
PUBLIC: Final = "public"
SIGNED_IN: Final = "signed_in"

ACTIONS: Final[dict[str, frozenset[str]]] = {
    "patients.read": _CARE,
    "patients.write": _CARE,
    "diary.read": _CARE,
    "diary.write": _CARE,
    "devices.read": _DEVICES,
    "devices.write": frozenset({"clinician", "engineer"}),
    "telemetry.read": _DEVICES,
    "settings.read": _DEVICES,
    "settings.prescribe": frozenset({"clinician"}),
    "fills.read": _CARE,
    "fills.record": _CARE,
    "refills.read": _CARE,
    "appointments.read": _CARE,
    "appointments.book": _CARE,
    "resources.read": _CARE | {"admin"},
    "resources.manage": _CARE | {"admin"},
    "calendar.manage": _CARE,
    "commands.read": _DEVICES,
    "commands.send": _DEVICES,
    "credentials.manage": frozenset({"engineer"}),
    "alerts.read": _CARE,
    "alerts.handle": _CARE,
    "tasks.read": _CARE,
    "tasks.handle": _CARE,
    "escalation.read": _CARE | {"admin"},
    "escalation.manage": frozenset({"admin"}),
    "messages.read": _CARE | {"admin"},
    "reviews.read": _CARE,
    "reviews.record": _CARE,
    "recalls.read": _DEVICES,
    "recalls.handle": _CARE,
    "quarantine.read": frozenset({"engineer"}),
    "quarantine.replay": frozenset({"engineer"}),
    "long_work.read": _DEVICES | {"auditor"},  # and what each kind of it needs
    "audit.read": frozenset({"auditor"}),
    "users.manage": frozenset({"admin"}),
    "clinic.read": frozenset(ROLES),
    "clinic.manage": frozenset({"admin"}),
}


def allowed(role: str, action: str) -> bool:
    """Whether a signed-in user of this role may do this. Unknown roles and actions are refused, loudly for actions."""
    if action == SIGNED_IN:
        return role in ROLES
    return role in ACTIONS[action]


def requires(action: str) -> Callable[[View], View]:
    """Declare what a view does. `guard.py` enforces it and refuses to start with a view that declares nothing."""
    if action not in (PUBLIC, SIGNED_IN) and action not in ACTIONS:
        raise KeyError(f"no action {action!r} in access.ACTIONS")

    def mark(view: View) -> View:
        view.action = action  # type: ignore[attr-defined]
        return view

    return mark


def in_clinic(statement: Any, model: Any, clinic_id: int) -> Any:
    """The one place that scopes a query to a clinic."""
    return statement.where(model.clinic_id == clinic_id)
