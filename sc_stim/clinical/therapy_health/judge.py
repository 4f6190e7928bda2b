"""Every rule about silent therapy on one device's history."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sc_stim.clinical.impedance import ContactFault
from sc_stim.clinical.therapy_health import battery, reported, usage
from sc_stim.clinical.therapy_health.contacts import judge_contacts
from sc_stim.clinical.therapy_health.history import DeviceHistory
from sc_stim.clinical.therapy_health.rules import TherapyRules, shipped_rules
from sc_stim.clinical.therapy_health.runs import Finding, Run, Verdict, runs, well_since

_SHOWN = 10  # raw points with a finding


@dataclass(frozen=True, slots=True)
class Judgement:
    """`findings` stand, or are over where they have `until`. `well`: conditions that newer reports show to be over,
    with the time of that report. `suspects`: contacts to measure again before anybody is alarmed.
    """

    findings: tuple[Finding, ...]
    well: Mapping[str, datetime]
    suspects: tuple[ContactFault, ...] = ()


def judge_therapy(history: DeviceHistory, rules: TherapyRules | None = None) -> Judgement:
    """All findings of a device. The order in which its reports arrived makes no difference."""
    rules = rules or shipped_rules()
    findings: list[Finding] = []
    well: dict[str, datetime] = {}
    for name, verdicts in _verdicts(history, rules):
        findings += (_finding(name, run, history, rules) for run in runs(verdicts))
        good_at = well_since(verdicts)
        if good_at is not None:
            well[name] = good_at
    contacts = judge_contacts(history, rules)
    return Judgement(
        (*_told_once(findings), *contacts.findings), {**well, **contacts.well}, contacts.suspects
    )


def _verdicts(history: DeviceHistory, rules: TherapyRules) -> Iterator[tuple[str, Sequence[Verdict]]]:
    yield "settings_mismatch", list(reported.settings_verdicts(history, rules))
    yield "replacement_near", list(battery.replacement_verdicts(history, rules))
    if history.kind != "stimulator":
        return
    yield "therapy_off", list(usage.off_verdicts(history.days, rules))
    yield "usage_down", list(usage.usage_verdicts(history.days, rules))
    yield "closed_loop_out", list(reported.loop_verdicts(history.days, rules))
    if battery.is_rechargeable(history):
        yield "uncharged", list(battery.charge_verdicts(history.days, rules))


def _told_once(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Stimulation that is off is not told again as used less."""
    off = [finding for finding in findings if finding.name == "therapy_off"]
    for finding in findings:
        if finding.name != "usage_down" or not any(_overlap(finding, other) for other in off):
            yield finding


def _overlap(one: Finding, other: Finding) -> bool:
    return (other.until is None or one.since < other.until) and (one.until is None or other.since < one.until)


def _finding(name: str, run: Run, history: DeviceHistory, rules: TherapyRules) -> Finding:
    worse, sentence = _SENTENCES[name](run, history, rules)
    well_until = run.well_until
    in_force = history.in_force(run.bad[-1].at) if name == "settings_mismatch" else None
    since = run.since
    if in_force is not None:  # a new prescription is a new cause
        well_until = max(well_until or in_force.effective_at, in_force.effective_at)
        since = next(verdict.at for verdict in run.bad if verdict.at >= in_force.effective_at)
    return Finding(
        name=name,
        severity=rules.conditions[name].severity_of(history.kind, worse=worse),
        since=since,
        until=run.until,
        well_until=well_until,
        points=tuple((verdict.at, verdict.value) for verdict in run.bad[-_SHOWN:]),
        sentence=sentence,
    )


def _off(run: Run, history: DeviceHistory, rules: TherapyRules) -> tuple[bool, str]:
    lasts = (run.bad[-1].at - run.since) + rules.time("full_day_h")
    before = usage.used_before(history.days, run, rules)
    text = f"No stimulation on {len(run.bad)} reported days in a row, since {run.since:%Y-%m-%d}"
    text += "." if before else "; no earlier use is known."
    if lasts >= rules.time("virtual_explant_d"):
        text += " So long a time without use is a virtual explant."
    return before, text


def _down(run: Run, history: DeviceHistory, rules: TherapyRules) -> tuple[bool, str]:
    shares = [float(verdict.value) for verdict in run.bad]
    return False, (
        f"Stimulation {100 * sum(shares) / len(shares):.0f} % of the time on {len(run.bad)} days since "
        f"{run.since:%Y-%m-%d}: less than half of what this patient used before."
    )


def _uncharged(run: Run, history: DeviceHistory, rules: TherapyRules) -> tuple[bool, str]:
    newest = run.bad[-1]
    days = [day for day in history.days if day.at <= newest.at]
    charged, empty = battery.last_charge(days, rules), battery.empty_at(days, rules)
    when = f"last charged {charged:%Y-%m-%d}" if charged else f"never charged since {days[0].at:%Y-%m-%d}"
    if newest.value <= rules.value("flat_pct"):
        return True, f"The battery is empty and stimulation has stopped; {when}."
    by = f": empty about {empty:%Y-%m-%d} by its trend" if empty else ""
    return False, f"Battery at {newest.value:.0f} %{by}; {when}."


def _near(run: Run, history: DeviceHistory, rules: TherapyRules) -> tuple[bool, str]:
    value = run.bad[-1].value
    if "ends_at" in value:
        return False, f"By its trend the battery is used up about {value['ends_at'][:10]}."
    months = value["eri_months"]
    if months <= rules.value("replacement_due_months"):
        return True, "The device reports that its replacement date has come: replace it within 90 days."
    return False, f"The device reports {months:g} months until its replacement date."


def _mismatch(run: Run, history: DeviceHistory, rules: TherapyRules) -> tuple[bool, str]:
    found = run.bad[-1].value
    listed = "; ".join(f"{name} {got}, prescribed {wanted}" for name, (wanted, got) in found.items())
    return False, f"The device does not report what is prescribed: {listed}."


def _loop(run: Run, history: DeviceHistory, rules: TherapyRules) -> tuple[bool, str]:
    shares = [float(verdict.value) for verdict in run.bad]
    return False, (
        f"Evoked response in its window {sum(shares) / len(shares):.0f} % of the time on {len(run.bad)} days since "
        f"{run.since:%Y-%m-%d}, far less than usual for this patient."
    )


_SENTENCES = {
    "therapy_off": _off,
    "usage_down": _down,
    "uncharged": _uncharged,
    "replacement_near": _near,
    "settings_mismatch": _mismatch,
    "closed_loop_out": _loop,
}
