"""Forms that change a row: the version that was read is sent along, and nobody's change is overwritten unseen."""

from collections.abc import Mapping
from typing import Any

from flask import request

from sc_stim.i18n import _, _lazy
from sc_stim.web.forms import Form
from sc_stim.workflows.refusals import Conflict

STALE = _lazy("somebody has changed this since you opened it. Look at it as it is now, then do it again")


def read_version() -> int:
    """The version of the row that the form was made from; 0 where the field was tampered with."""
    return request.form.get("version", 0, type=int)


def must_be_current(row: Any) -> None:
    """Raise Conflict where the row is not the one the person looked at. For buttons."""
    if row.version != read_version():
        raise Conflict(STALE)


def refuse_stale(form: Form, version: int, now: Mapping[str, tuple[str, str]]) -> None:
    """Where the row has another `version` by now, refuse every field that would be overwritten, saying what it is now.

    now: the name and the value of each field, as the form holds it. Whoever sends the form again has seen them.
    """
    if version == read_version():
        return
    for field, (name, value) in now.items():
        if form[field] != value:
            form.refuse(
                field,
                _(
                    "%(name)s is “%(value)s” now: somebody changed it meanwhile. Send again to replace it.",
                    name=name,
                    value=value,
                ),
            )
