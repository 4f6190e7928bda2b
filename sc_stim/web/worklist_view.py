"""What of the worklist is shown, in which order: read from the address, kept under a name, said again in links."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Self

from sc_stim.i18n import _lazy
from sc_stim.models.worklist import Sought
from sc_stim.web import words

WINDOWS_DAYS: Final = (7, 14, 30)
DEFAULT_WINDOW_DAYS: Final = 14
LONGEST_TEXT: Final = 100

# code -> the words for it; beside the wide column they stand in this order: what may be stopped or silent before pain
LANES: Final = {
    "refills": _lazy("Pumps to refill"),
    "alerts": _lazy("Open alerts"),
    "visits": _lazy("Refill visits to complete"),
    "without-forecast": _lazy("Pumps without a refill date"),
    "silent": _lazy("Silent devices"),
    "pain": _lazy("Pain"),
    "tasks": _lazy("Tasks overdue"),
    "reviews": _lazy("Reviews that are due"),
    "recalls": _lazy("Recalls to follow up"),
}
FIRST: Final = {"refills": _lazy("Pumps to refill first"), "alerts": _lazy("Alerts, pain and reviews first")}
ORDERS: Final = {
    "danger": _lazy("Most dangerous first"),
    "date": _lazy("Earliest date first"),
    "name": _lazy("By name"),
}
VISITS: Final = {
    "none": _lazy("No visit booked"),
    "booked": _lazy("Booked in time"),
    "late": _lazy("Booked too late"),
}
FIRST_OF_ROLE: Final = {"nurse": "refills", "clinician": "alerts"}


@dataclass(frozen=True)
class View:
    """`risk`, `drug` and `visit` narrow the pumps to refill, `model` every lane; empty ones narrow nothing."""

    due: str = str(DEFAULT_WINDOW_DAYS)
    first: str = "refills"
    order: str = "danger"
    lane: str = ""
    risk: str = ""
    drug: str = ""
    model: str = ""
    visit: str = ""

    @classmethod
    def read(cls, said: Mapping[str, Any], role: str) -> Self:
        """What cannot be is left out of account."""
        usual = cls(first=FIRST_OF_ROLE.get(role, "refills"))
        known = {field.name: str(said.get(field.name, "")).replace("\0", "") for field in fields(cls)}
        return replace(
            usual, **{name: value for name, value in known.items() if value and _may_be(name, value)}
        )

    @property
    def due_within(self) -> int:
        return int(self.due)

    @property
    def narrowed(self) -> bool:
        """Whether pumps to refill are left out."""
        return any((self.risk, self.drug, self.model, self.visit))

    def query(self, **other: Any) -> dict[str, str]:
        """What an address says so that it shows this, with other values for some."""
        return {name: str(value) for name, value in (asdict(self) | other).items() if value}

    def sought(self, text: str) -> Sought:
        return Sought(text[:LONGEST_TEXT], self.model)


@dataclass(frozen=True)
class Facet:
    """One way to narrow the pumps to refill, with how many of those narrowed otherwise each choice leaves."""

    name: str
    label: str
    chosen: str
    choices: Sequence[tuple[str, str, int]]  # value, words, count


Values = Callable[[Any], Iterable[str]]


def _drugs(row: Any) -> set[str]:
    return {drug["name"] for drug in row.drugs or () if drug.get("name")}


def visit_of(row: Any) -> str:
    """A code of VISITS, for a row of models.worklist.refills_due."""
    if row.visit_on is None:
        return "none"
    return "late" if row.visit_on > row.refill_by else "booked"


VALUES: Final[dict[str, tuple[str, Values, Callable[[str], str]]]] = {
    "risk": (
        _lazy("Risk"),
        lambda row: [row.risk] if row.risk else [],
        lambda code: words.say(words.SEVERITY, code),
    ),
    "drug": (_lazy("Drug"), _drugs, str.capitalize),
    "model": (_lazy("Model"), lambda row: [row.model], str),
    "visit": (_lazy("Visit"), lambda row: [visit_of(row)], lambda code: VISITS[code]),
}


def narrow(view: View, rows: Sequence[Any]) -> list[Any]:
    """Those of these rows that the view shows, in its order; they come most dangerous first."""
    shown = [row for row in rows if _passes(view, row)]
    if view.order == "date":
        shown.sort(key=lambda row: row.refill_by)
    if view.order == "name":
        shown.sort(key=lambda row: (row.family_name or "").casefold())
    return shown


def facets(view: View, rows: Sequence[Any]) -> list[Facet]:
    return [_facet(view, name, rows) for name in VALUES]


def _facet(view: View, name: str, rows: Sequence[Any]) -> Facet:
    label, values, say = VALUES[name]
    counts = Counter(value for row in rows if _passes(view, row, besides=name) for value in values(row))
    chosen = getattr(view, name)
    if chosen:
        counts.setdefault(chosen, 0)
    order = sorted(counts, key=lambda code: (_rank(name, code), code.casefold()))
    return Facet(name, label, chosen, [(code, say(code), counts[code]) for code in order])


def _rank(name: str, code: str) -> int:
    ranked = {"risk": list(words.SEVERITY), "visit": list(VISITS)}.get(name, [])
    return ranked.index(code) if code in ranked else len(ranked)


def _passes(view: View, row: Any, besides: str = "") -> bool:
    return all(
        name == besides or not getattr(view, name) or getattr(view, name) in values(row)
        for name, (_, values, _) in VALUES.items()
    )


def _may_be(name: str, value: str) -> bool:
    known: dict[str, Iterable[str]] = {
        "due": map(str, WINDOWS_DAYS), "first": FIRST, "order": ORDERS, "lane": LANES, "visit": VISITS,
        "risk": words.SEVERITY,
    }  # fmt: skip
    return value in known[name] if name in known else len(value) <= LONGEST_TEXT
