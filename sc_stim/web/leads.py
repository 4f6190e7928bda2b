"""The leads of a stimulator as people type them: `8 T8, 8 T9` are the contacts of each and the level of its tip."""

import re
from collections.abc import Iterable
from typing import Any, Final

from sc_stim.i18n import _
from sc_stim.models import Lead
from sc_stim.web.forms import Form

MOST_LEADS: Final = 8
MOST_CONTACTS: Final = 64
_LEAD: Final = re.compile(r"(\d{1,2})(?:\s+([CTLS]\d{1,2}))?", re.IGNORECASE)


def typed(leads: Iterable[Lead]) -> str:
    """As `read` reads them."""
    return ", ".join(f"{lead.contacts} {lead.tip_level or ''}".rstrip() for lead in leads)


def read(form: Form) -> list[dict[str, Any]] | None:
    """What the field `leads` holds; None where it is empty."""
    text = form.text("leads", _("Leads"), most=100)
    if text is None:
        return None
    found = [_LEAD.fullmatch(part.strip()) for part in text.split(",")]
    if len(found) > MOST_LEADS or not all(match and 1 <= int(match[1]) <= MOST_CONTACTS for match in found):
        form.refuse("leads", _("Leads: give the contacts of each, and the level of its tip, as 8 T8, 8 T9."))
    return [
        {"contacts": int(match[1]), "tip_level": match[2] and match[2].upper()} for match in found if match
    ]
