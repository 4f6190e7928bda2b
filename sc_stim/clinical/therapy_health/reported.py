"""Prescribed settings that the device does not report, and a closed loop that does not hold its target."""

from collections.abc import Iterator, Sequence
from typing import Any

from sc_stim.clinical.therapy_health.history import Day, DeviceHistory, Prescribed
from sc_stim.clinical.therapy_health.rules import TherapyRules
from sc_stim.clinical.therapy_health.runs import Verdict
from sc_stim.clinical.therapy_health.usage import usual_value

# A device that does not deliver does not report what it is set to.
_DELIVERING = frozenset({"running", "on", "cycling", None})

Differences = dict[str, list[Any]]  # field -> [prescribed, reported]


def differences(prescribed: Prescribed, day: Day, rules: TherapyRules) -> Differences:
    """What both sides name and what differs by more than the tolerance of the field."""
    return {
        name: [wanted, day.settings[name]]
        for name, wanted in prescribed.values.items()
        if wanted is not None
        and day.settings.get(name) is not None
        and not _same(name, wanted, day.settings[name], rules)
    }


def _same(name: str, wanted: Any, reported: Any, rules: TherapyRules) -> bool:
    if isinstance(wanted, str):
        return wanted == str(reported)
    return bool(abs(wanted - reported) <= rules.tolerances[name] * abs(wanted) + 1e-9)


def settings_verdicts(history: DeviceHistory, rules: TherapyRules) -> Iterator[Verdict]:
    """Days since the newest prescription took effect (and a grace): does the device report it?"""
    for day in history.days:
        prescribed = history.in_force(day.at)
        if (
            prescribed is None
            or day.state not in _DELIVERING
            or day.at < prescribed.effective_at + rules.time("settings_grace_h")
            or not any(
                day.settings.get(name) is not None
                for name, value in prescribed.values.items()
                if value is not None
            )
        ):
            yield Verdict(day.at, None)
        else:
            found = differences(prescribed, day, rules)
            yield Verdict(day.at, bool(found), found)


def loop_verdicts(days: Sequence[Day], rules: TherapyRules) -> Iterator[Verdict]:
    """Days on which the evoked response was in its window much less than usual for this patient."""
    ordinary: list[float] = []
    for day in days:
        share = day.ecap_in_window_pct
        usual = usual_value(ordinary, rules)
        bad = None
        if share is not None and usual is not None:
            bad = usual - share >= rules.value("ecap_drop_pct")
        if share is not None and not bad:
            ordinary.append(share)
        yield Verdict(day.at, bad, share and round(share, 1), int(rules.value("ecap_days")))
