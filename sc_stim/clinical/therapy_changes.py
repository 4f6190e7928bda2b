"""Which changes make the usual level of pain void: those of the therapy, not what a patient changes day by day.

A stimulator's patient may switch between programmes whenever pain comes: were that a new therapy, the rule would be
deaf just then. So a programme change counts when the clinic's programmer was at the device; a new pump rate always
does, since no patient can set it.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

REPORTED: Final = ("program_changed", "rate_changed")
SESSION: Final = ("session_opened", "session_closed")
TREATMENTS: Final = ("revision_surgery", "stimulator_implant", "pump_implant")
SAME_SETTING: Final = 0.02  # relative, unverified; devices round what they were programmed to


def is_new(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two prescriptions differ by more than rounding."""
    return any(not _is_same(before.get(name), after.get(name)) for name in before.keys() | after.keys())


def is_reported_change(
    kind: str, detail: Mapping[str, Any], *, of_pump: bool, same_day: Collection[str]
) -> bool:
    """Whether an event of REPORTED tells of a new therapy. `same_day`: the device's events of that day, by kind.

    Where the device says what was and what is, rounding is no change.
    """
    old, new = _said(detail, "before"), _said(detail, "after")
    if old is not None and new is not None and _is_same(old, new):
        return False
    return kind == "rate_changed" or of_pump or not set(SESSION).isdisjoint(same_day)


def _said(detail: Mapping[str, Any], prefix: str) -> Any:
    """`before` or `before_ml_per_day`."""
    return next((value for name, value in detail.items() if name.split("_")[0] == prefix), None)


def _is_same(old: Any, new: Any) -> bool:
    numbers = all(isinstance(value, int | float) for value in (old, new))
    return bool(abs(old - new) <= SAME_SETTING * abs(old)) if numbers else bool(old == new)
