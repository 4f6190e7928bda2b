"""Stimulation that is off, or used much less than this patient used it before."""

from collections.abc import Iterator, Sequence
from math import ceil
from statistics import median

from sc_stim.clinical.therapy_health.history import Day
from sc_stim.clinical.therapy_health.rules import TherapyRules
from sc_stim.clinical.therapy_health.runs import Run, Verdict


def off_verdicts(days: Sequence[Day], rules: TherapyRules) -> Iterator[Verdict]:
    """Days without stimulation. MRI mode and an empty battery are other findings: such days say nothing.

    Somebody who often pauses is compared with the own longest pause.
    """
    pauses: list[int] = []
    pause = 0
    for day in days:
        bad = _is_off(day, rules)
        if bad:
            pause += 1
        elif bad is False and pause:
            pauses.append(pause)
            pause = 0
        yield Verdict(day.at, bad, day.usage if day.usage is not None else day.state, _needed(pauses, rules))


def _needed(pauses: list[int], rules: TherapyRules) -> int:
    usual = int(rules.value("off_days"))
    if len(pauses) < rules.value("off_own_pauses"):
        return usual
    return max(usual, ceil(rules.value("off_own_ratio") * max(pauses)))


def _is_off(day: Day, rules: TherapyRules) -> bool | None:
    if day.mri or _is_flat(day, rules):
        return None
    if day.cycling:
        return False
    usage = day.usage
    if usage is not None and usage >= rules.value("off_share"):
        return False
    if not _is_full(day, rules) and usage is not None:
        return None
    if usage is not None:
        return True
    return (not day.said_on) if day.said_on or day.said_off else None


def usage_verdicts(days: Sequence[Day], rules: TherapyRules) -> Iterator[Verdict]:
    """Days with much less stimulation than usual for this patient in the same mode (cycling or not)."""
    ordinary: dict[bool, list[float]] = {False: [], True: []}
    needed = int(rules.value("usage_days"))
    for day in days:
        share = day.usage
        if share is None or day.mri or _is_flat(day, rules) or not _is_full(day, rules):
            yield Verdict(day.at, None)
            continue
        before = ordinary[day.cycling]
        usual = usual_value(before, rules)
        bad = (
            None
            if usual is None
            else usual >= rules.value("usage_least") and share < rules.value("usage_ratio") * usual
        )
        if not bad and share >= rules.value("off_share"):
            before.append(share)
        yield Verdict(day.at, bad, round(share, 3), needed)


def usual_value(before: Sequence[float], rules: TherapyRules) -> float | None:
    """The median of the newest ordinary values; None where there are too few."""
    if len(before) < rules.value("own_days_least"):
        return None
    return median(before[-int(rules.value("own_days")) :])


def used_before(days: Sequence[Day], run: Run, rules: TherapyRules) -> bool:
    """Whether there was stimulation before this run of days without."""
    return any(_is_off(day, rules) is False for day in days if day.at < run.since)


def _is_full(day: Day, rules: TherapyRules) -> bool:
    return day.covered is not None and day.covered >= rules.time("full_day_h")


def _is_flat(day: Day, rules: TherapyRules) -> bool:
    return day.battery_pct is not None and day.battery_pct <= rules.value("flat_pct")
