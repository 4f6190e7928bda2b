"""The leads of a stimulator as people type them.

`8 T8, 8 T9 (Octrode 3189 #L77)`: of each the contacts, the level of its tip, its model and after # its serial number.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from sc_stim.i18n import _
from sc_stim.models import Lead
from sc_stim.web.forms import Form

MOST_LEADS: Final = 8
MOST_CONTACTS: Final = 64
LONGEST: Final = 800
_BETWEEN: Final = re.compile(r",(?![^(]*\))")  # commas, but for those within brackets
_LEAD: Final = re.compile(
    r"(?P<contacts>\d{1,2})(?:\s+(?P<tip_level>[CTLS]\d{1,2}))?"
    r"(?:\s*\(\s*(?P<model>[^()#]{0,100}?)\s*(?:#\s*(?P<serial>[^()#]{1,40}?))?\s*\))?",
    re.IGNORECASE,
)


def typed(leads: Iterable[Lead]) -> str:
    """As `read` reads them."""
    return ", ".join(_typed(lead) for lead in leads)


def _typed(lead: Lead) -> str:
    label = f"{lead.model or ''} {f'#{lead.serial}' if lead.serial else ''}".strip()
    parts = (str(lead.contacts), lead.tip_level, f"({label})" if label else None)
    return " ".join(part for part in parts if part)


def read(form: Form) -> list[dict[str, Any]] | None:
    """What the field `leads` holds; None where it is empty."""
    text = form.text("leads", _("Leads"), most=LONGEST)
    if text is None:
        return None
    found = [_LEAD.fullmatch(part.strip()) for part in _BETWEEN.split(text)]
    if len(found) > MOST_LEADS or not all(match and 1 <= int(match[1]) <= MOST_CONTACTS for match in found):
        form.refuse(
            "leads", _("Leads: give contacts, tip and label of each, as 8 T8, 8 T9 (Octrode 3189 #L77).")
        )
    return [_lead(match) for match in found if match]


def _lead(match: re.Match[str]) -> dict[str, Any]:
    """The columns of a Lead."""
    level = match["tip_level"]
    return {
        "contacts": int(match["contacts"]),
        "tip_level": level.upper() if level else None,
        "model": match["model"] or None,
        "serial": match["serial"] or None,
    }
