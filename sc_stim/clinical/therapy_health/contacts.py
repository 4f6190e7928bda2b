"""Contacts in use that are open, short or far from their usual impedance, by the one rule of `clinical.impedance`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sc_stim.clinical.impedance import ContactFault, contact_faults
from sc_stim.clinical.therapy_health.history import DeviceHistory
from sc_stim.clinical.therapy_health.rules import TherapyRules
from sc_stim.clinical.therapy_health.runs import Finding

CONDITIONS = {"open": "contact_open", "short": "contact_short", "jump": "impedance_jump"}


@dataclass(frozen=True, slots=True)
class ContactsJudged:
    """`well`: since when no contact in use has this fault. `suspects`: told by one reading only."""

    findings: tuple[Finding, ...]
    well: Mapping[str, datetime]
    suspects: tuple[ContactFault, ...]


def contacts_in_use(history: DeviceHistory) -> tuple[int, ...] | None:
    """Of the programme that the device reports, as prescribed; None where that is not known: then all count."""
    if not history.impedance:
        return None
    at = history.impedance[-1].at
    program = next(
        (
            day.settings["program"]
            for day in reversed(history.days)
            if day.settings.get("program") is not None
        ),
        None,
    )
    rows = [row for row in history.prescribed if row.effective_at <= at]
    if program is not None and any(row.values.get("program") for row in rows):
        rows = [row for row in rows if row.values.get("program") == str(program)]
    return rows[-1].contacts if rows else None


def judge_contacts(history: DeviceHistory, rules: TherapyRules) -> ContactsJudged:
    """Faults of contacts in use: confirmed ones are findings, others want measuring again."""
    used = contacts_in_use(history)
    faults = contact_faults(
        [(reading.at, _used_only(reading.ohm, used)) for reading in history.impedance],
        open_ohm=history.open_ohm,
        short_ohm=history.short_ohm,
    )
    findings = tuple(_findings(faults, used, history, rules))
    suspects = tuple(fault for fault in faults if not fault.confirmed and not fault.over)
    doubtful = {fault.contact for fault in faults if not fault.over}
    newest = history.impedance[-1].at if history.impedance else None
    well = {
        name: newest
        for name in CONDITIONS.values()
        if newest is not None
        and not any(finding.name == name and finding.until is None for finding in findings)
        and not (doubtful - {fault.contact for fault in faults if fault.confirmed})
    }
    return ContactsJudged(findings, well, suspects)


def _used_only(ohm: Sequence[float | None], used: tuple[int, ...] | None) -> Sequence[float | None]:
    if used is None:
        return ohm
    return [value if contact in used else None for contact, value in enumerate(ohm)]


def _findings(
    faults: list[ContactFault],
    used: tuple[int, ...] | None,
    history: DeviceHistory,
    rules: TherapyRules,
) -> Iterator[Finding]:
    confirmed = [fault for fault in faults if fault.confirmed]
    for kind, name in CONDITIONS.items():
        standing = [fault for fault in confirmed if fault.fault == kind and not fault.over]
        groups = [[fault] for fault in confirmed if fault.fault == kind and fault.over]
        for group in [*groups, *([standing] if standing else [])]:
            yield _finding(name, group, used, history, rules)


def _finding(
    name: str,
    group: list[ContactFault],
    used: tuple[int, ...] | None,
    history: DeviceHistory,
    rules: TherapyRules,
) -> Finding:
    first = min(group, key=lambda fault: fault.since)
    over = all(fault.over for fault in group)
    newest = max(at for fault in group for at, _ in fault.during)
    after = next((reading.at for reading in history.impedance if reading.at > newest), newest)
    points = (
        sorted(
            (at, {"contact": fault.contact, "ohm": ohm})
            for fault in group
            for at, ohm in (*fault.before[-3:], *fault.during[-3:])
        )
        if len(group) == 1
        else [
            (fault.during[-1][0], {"contact": fault.contact, "ohm": fault.during[-1][1]}) for fault in group
        ]
    )
    return Finding(
        name=name,
        severity=rules.conditions[name].severity_of(history.kind, worse=history.pain_rose),
        since=first.since,
        until=after if over else None,
        well_until=first.before[-1][0] if first.before else None,
        points=tuple(points),
        sentence=_sentence(name, group, used, history.pain_rose),
        contacts=tuple(fault.contact for fault in group),
    )


_SAID = {"contact_open": "open", "contact_short": "short", "impedance_jump": "far from its usual impedance"}


def _sentence(name: str, group: list[ContactFault], used: tuple[int, ...] | None, pain_rose: bool) -> str:
    def one(fault: ContactFault) -> str:
        usual = "usual value not known" if fault.usual_ohm is None else f"usually {fault.usual_ohm:.0f} Ohm"
        return f"contact {fault.contact} {fault.during[-1][1]:.0f} Ohm, {usual}"

    which = "in use" if used is not None else "(which contacts are in use is not on record, so all count)"
    many = "Contacts" if len(group) > 1 else "Contact"
    # Nobody may have reported pain at all, so its being unchanged is not ours to say.
    alone = "No rise of pain is on record: ask the patient; if pain is unchanged, this is maintenance."
    meaning = "Pain rose as well: fracture or migration?" if pain_rose else alone
    listed = "; ".join(one(fault) for fault in group)
    return f"{many} {which} measured {_SAID[name]} again and again: {listed}. {meaning}"
