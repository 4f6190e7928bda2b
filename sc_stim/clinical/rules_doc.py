"""Writes the figures of the reference data into docs/clinical-rules.md, between its markers.

    python -m sc_stim.clinical.rules_doc docs/clinical-rules.md

The prose of that document is written by hand; each table between `<!-- figures: NAME -->` and `<!-- end -->` is made
here. A test fails while the document is not current.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sc_stim.clinical import reference
from sc_stim.clinical.alarms import AlarmCondition, shipped_table
from sc_stim.clinical.alert_lifecycle import Event, State, next_state
from sc_stim.clinical.burden import aims
from sc_stim.clinical.clinic_figures import open_figures, said
from sc_stim.clinical.drugs import Drug, shipped_formulary
from sc_stim.clinical.reconciliation import flag_severities
from sc_stim.clinical.reference import Figure
from sc_stim.clinical.refill_checklist import shipped_checklist
from sc_stim.clinical.refusal import Refused
from sc_stim.clinical.therapy_health.rules import TherapyCondition
from sc_stim.clinical.therapy_health.rules import shipped_rules as shipped_therapy_rules

_BLOCK: Final = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
UNVERIFIED: Final = "**unverified**"


def refreshed(document: str) -> str:
    """The document with every marked table made anew. Raises KeyError for a marker that is not known."""
    return _BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}{block[3]}", document)


@dataclass(frozen=True, slots=True)
class Table:
    """Cells in Markdown; as text, the table in Markdown."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        lines = (self.header, ("---",) * len(self.header), *self.rows)
        return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    return Table(tuple(header), tuple(map(tuple, rows)))


def _row(*name: str, figure: Figure) -> tuple[str, ...]:
    return (*name, f"{figure.value:g}", figure.unit, figure.source or UNVERIFIED, figure.note)


def _drugs() -> Table:
    def row(drug: Drug) -> tuple[str, ...]:
        onset = drug.withdrawal_onset
        return (
            drug.name,
            "yes" if drug.approved_intrathecal else "no",
            ", ".join(map(str, drug.strengths)) or "compounded",
            drug.withdrawal_class.replace("_", " "),
            f"{onset} ({onset.source or onset.note})" if onset else "none",
            drug.withdrawal_source,
            drug.warning,
        )

    header = ("Drug", "Approved", "Strengths", "Withdrawal", "Earliest onset", "Source", "Warning")
    return _table(header, map(row, shipped_formulary().drugs.values()))


def _limits() -> Table:
    rows = (
        _row(drug.name, kind.replace("_", " "), figure=figure)
        for drug in shipped_formulary().drugs.values()
        for kind, figure in (*(("strength sold", figure) for figure in drug.strengths), *drug.limits.items())
    )
    return _table(("Drug", "Limit", "Value", "Unit", "Source", "Note"), rows)


def _stability() -> Table:
    formulary = shipped_formulary()
    alone = (
        _row(drug.name, fill.replace("_", " "), figure=figure)
        for drug in formulary.drugs.values()
        for fill, figure in drug.stability.items()
    )
    mixed = (
        _row(" + ".join(sorted(names)), "any", figure=figure) for names, figure in formulary.mixtures.items()
    )
    return _table(("Drug or mixture", "Fill", "Value", "Unit", "Source", "Note"), (*alone, *mixed))


def _figures(name: str) -> Callable[[], Table]:
    def table() -> Table:
        entries: dict[str, dict[str, Any]] = reference.load(name)["figures"]
        rows = (_row(f"`{key}`", figure=reference.figure(entry)) for key, entry in entries.items())
        return _table(("Figure", "Value", "Unit", "Source", "Note"), rows)

    return table


def _conditions() -> Table:
    def row(condition: AlarmCondition) -> tuple[str, ...]:
        return (
            condition.name,
            ", ".join(f"{kind} {severity.code}" for kind, severity in condition.severity.items()),
            "; ".join(_changes(condition)),
            ", ".join(sorted(condition.states_asserting)),
            ", ".join(sorted(condition.states_ending)),
            condition.source or UNVERIFIED,
            condition.rationale,
        )

    header = ("Condition", "Severity", "Changes", "Shown by state", "Ended by state", "Source", "Why")
    return _table(header, map(row, shipped_table().conditions.values()))


def _changes(condition: AlarmCondition) -> Iterator[str]:
    if condition.severity_without_withdrawal is not None:
        yield f"{condition.severity_without_withdrawal.code} if no drug has a withdrawal syndrome"
    if condition.severity_in_mri is not None:
        yield f"{condition.severity_in_mri.code} inside an MRI"
    if condition.severity_after_visit is not None:
        yield f"{condition.severity_after_visit.code} if a visit left it so, whatever the drug"
    for kind, escalation in condition.escalation.items():
        figure = escalation.after_figure
        yield f"{kind} {escalation.to.code} after {figure} ({figure.source or figure.note})"
    if condition.held_until_mri_check:
        yield "begun in an MRI: held until the check after it"
    if condition.momentary:
        yield "over at once"


def _events() -> Table:
    table = shipped_table()
    rows = (
        (kind, f"{effect.value} {name}", "yes" if table.cleared_returns_to_normal(kind) else "no")
        for kind, effects in table.events.items()
        for name, effect in effects
    )
    return _table(("Event", "Effect", "`cleared` returns to normal"), rows)


def _therapy_conditions() -> Table:
    def row(condition: TherapyCondition) -> tuple[str, ...]:
        worse = ", ".join(f"{kind} {severity.code}" for kind, severity in condition.worse.items())
        return (
            condition.name,
            ", ".join(f"{kind} {severity.code}" for kind, severity in condition.severity.items()),
            f"{worse} if {condition.worse_when}" if worse else "",
            condition.source or UNVERIFIED,
            condition.rationale,
        )

    rows = map(row, shipped_therapy_rules().conditions.values())
    return _table(("Finding", "Severity", "Worse", "Source", "Why"), rows)


def _tolerances() -> Table:
    entries: dict[str, dict[str, Any]] = reference.load("therapy.json")["tolerances"]["figures"]
    rows = (_row(f"`{key}`", figure=reference.figure(entry)) for key, entry in entries.items())
    return _table(("Setting", "Value", "Unit", "Source", "Note"), rows)


def _mri() -> Table:
    def rows(name: str, rule: dict[str, Any]) -> Iterator[tuple[str, ...]]:
        for key in ("check_within", "interrogations"):
            figure = reference.figure(rule[key])
            text = f"{figure.value:g} {figure.unit}" + (f" ({figure.note})" if figure.note else "")
            yield name, key.replace("_", " "), text, figure.source or UNVERIFIED
        for when in ("before", "after"):
            for step in rule[when]:
                yield name, when, step["text"], step.get("source") or UNVERIFIED

    found = reference.load("mri.json")["rules"].items()
    header = ("Rule", "When", "What", "Source")
    return _table(header, (row for name, rule in found for row in rows(name.replace("_", " "), rule)))


def _silence() -> Table:
    table = shipped_table()
    return _table(
        ("Figure", "Value", "Unit", "Source", "Note"),
        (
            _row("silent after", figure=table.silence.intervals),
            _row(
                f"then {table.silence.escalation.to.code} after", figure=table.silence.escalation.after_figure
            ),
            _row("left by a visit: stopped within", figure=table.stop_within),
            _row("interrogations are two if apart by", figure=table.interrogations_apart),
            _row("an alarm is late after", figure=table.late_after),
            _row("a late alarm waits", figure=table.late_settle),
        ),
    )


def _lifecycle() -> Table:
    def cell(state: State, event: Event) -> str:
        found = next_state(state, event)
        return (
            f"refused: {found.detail}"
            if isinstance(found, Refused)
            else f"{found.sentence} -> **{found.to}**"
        )

    rows = ((f"`{event}`", *(cell(state, event) for state in State)) for event in Event)
    return _table(("Event", *(str(state) for state in State)), rows)


def _checklist() -> Table:
    rows = (
        (step.text, step.if_unsure or "", step.source or UNVERIFIED, step.note)
        for step in shipped_checklist()
    )
    return _table(("Step", "If unsure", "Source", "Note"), rows)


def _refill_flags() -> Table:
    rows = (
        (
            name.replace("_", " "),
            ", ".join(
                [flag.severity, *(f"{to} if {by.replace('_', ' ')}" for by, to in flag.by_withdrawal.items())]
            ),
            flag.source,
            flag.note,
        )
        for name, flag in flag_severities().items()
    )
    return _table(("Flag", "Severity", "Source", "Why"), rows)


def _escalation() -> Table:
    steps: list[dict[str, Any]] = reference.load("escalation.json")["steps"]
    rows = (
        (
            f"{step['after']['value']:g} {step['after']['unit']}",
            ", ".join(step["severities"]),
            "who is on call" if step["on_call"] else "every contact of the clinic",
            step["after"].get("source") or UNVERIFIED,
            step["after"]["note"],
        )
        for step in steps
    )
    return _table(("After", "Severities", "Tells", "Source", "Note"), rows)


def _burden() -> Table:
    rows = (
        (name.replace("_", " "), f"{'at most' if better == 'lower' else 'at least'} {figure.value:g}", figure.unit,
         figure.source or UNVERIFIED, figure.note)
        for name, better, figure in aims()
    )  # fmt: skip
    return _table(("Figure", "Aim", "Unit", "Source", "Note"), rows)


def _recall_classes() -> Table:
    rows = (
        (name, entry["value"], entry.get("source") or UNVERIFIED, entry["note"])
        for name, entry in reference.load("recall.json")["classes"].items()
    )
    return _table(("Class of recall", "Severity", "Source", "Note"), rows)


def _open_figures() -> Table:
    rows = (
        (one.name, f"{one.shipped.value:g}" if one.shipped else "none", f"{one.least:g}", f"{one.most:g}",
         said(one.unit), UNVERIFIED)
        for one in open_figures().values()
    )  # fmt: skip
    return _table(("Figure", "Shipped", "Least", "Most", "Unit", "Source of the bounds"), rows)


TABLES: Final[dict[str, Callable[[], Table]]] = {
    "drugs": _drugs,
    "limits": _limits,
    "stability": _stability,
    "refill": _figures("refill.json"),
    "conditions": _conditions,
    "events": _events,
    "silence": _silence,
    "mri": _mri,
    "therapy_conditions": _therapy_conditions,
    "therapy": _figures("therapy.json"),
    "tolerances": _tolerances,
    "impedance": _figures("impedance.json"),
    "pain": _figures("pain.json"),
    "causes": _figures("causes.json"),
    "lifecycle": _lifecycle,
    "escalation": _escalation,
    "burden": _burden,
    "risk": _figures("risk.json"),
    "review": _figures("review.json"),
    "recall": _recall_classes,
    "checklist": _checklist,
    "refill_flags": _refill_flags,
    "booking": _figures("booking.json"),
    "open_figures": _open_figures,
}


def main(path: str) -> None:
    document = Path(path)
    document.write_text(refreshed(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
