"""Our pain rule and those it is compared with, all with the same manners: silent for the first 14 reported days and for
14 days after each alert. What a comparator finds counts as a rise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import ruptures
from river import drift

from benchmarks.diaries import Floats
from sc_stim.clinical.pain import Diary, Finding, latest, model, rebuild

FIRST_DAY = date(2025, 1, 1)
RISES = ("step_up", "drift_up", "flare")
WEEK_DAYS = 7
XMR_DAYS = 28  # reported days that the control limits rest on
KERNEL_DAYS = 60  # reported days that the change is looked for in
RECENT_DAYS = 21  # a change further back is old news
PAGE_HINKLEY_FORGETS = 0.9999
RANGE_OF_TWO = 1.128  # mean range of two normal values of SD 1


@dataclass(frozen=True)
class Alert:
    kind: str
    day: int
    persistent: bool = False


Detector = Callable[[Floats], Iterator[list[Alert]]]  # (n, days) scores, NaN where not reported
Rule = Callable[[Floats, float], Iterable[int]]  # the places in the reported scores of one patient that alarm


def our_rule(scores: Floats) -> Iterator[list[Alert]]:
    for rebuilt in rebuild(Diary(FIRST_DAY, row) for row in scores):
        yield [_alert(finding) for finding in latest(rebuilt.findings)]


def _alert(finding: Finding) -> Alert:
    return Alert(finding.kind, (finding.day - FIRST_DAY).days, finding.tier == "persistent")


@dataclass(frozen=True)
class Comparator:
    """A rule with one threshold: as one finds it in the textbook, and `tuned` to our number of false alerts.

    `grid`: thresholds from the most to the fewest alerts, to tune within. `slow`: tried on fewer patients.
    """

    reads: str
    rule: Rule
    textbook: float
    grid: tuple[float, ...]
    slow: bool = False

    def at(self, threshold: float) -> Detector:
        def detect(scores: Floats) -> Iterator[list[Alert]]:
            for row in scores:
                days = np.flatnonzero(~np.isnan(row))
                yield _spaced(days, self.rule(row[days], threshold))

        return detect


def _spaced(days: Sequence[int] | Floats, alarms: Iterable[int]) -> list[Alert]:
    alerts: list[Alert] = []
    for place in alarms:
        day = int(days[place])
        rested = not alerts or day >= alerts[-1].day + model.REFRACTORY_DAYS
        if place >= model.WARM_UP_REPORTED_DAYS and rested:
            alerts.append(Alert("step_up", day))
    return alerts


def fixed_limit(nrs: Floats, limit: float) -> Iterable[int]:
    return np.flatnonzero(nrs >= limit).tolist()


def above_the_week(nrs: Floats, by: float) -> Iterable[int]:
    """Against the mean of the 7 reported days before."""
    return _above(nrs, _means_before(nrs, WEEK_DAYS) + by, WEEK_DAYS)


def individuals_chart(nrs: Floats, ranges: float) -> Iterable[int]:
    """XmR: above the mean by so many mean moving ranges (2.66 in the textbook) of the days before."""
    moving = _means_before(np.abs(np.diff(nrs, prepend=nrs[:1])), XMR_DAYS)
    return _above(nrs, _means_before(nrs, XMR_DAYS) + ranges * moving, XMR_DAYS)


def _above(nrs: Floats, limits: Floats, first: int) -> Iterable[int]:
    """`limits` of the scores from place `first` on."""
    return (np.flatnonzero(nrs[first:] >= limits) + first).tolist()


def _means_before(values: Floats, days: int) -> Floats:
    """Mean of the `days` values before each value that has so many."""
    sums = np.concatenate([[0.0], values.cumsum()])
    return (sums[days:-1] - sums[: max(0, len(values) - days)]) / days


def page_hinkley(nrs: Floats, threshold: float, least: float = 0.005) -> Iterator[int]:
    """river's, upwards only; it forgets its past at an alarm. `least`: the change it overlooks (its default)."""
    detector = drift.PageHinkley(
        min_instances=model.WARM_UP_REPORTED_DAYS, delta=least, threshold=threshold,
        alpha=PAGE_HINKLEY_FORGETS, mode="up",
    )  # fmt: skip
    for place, score in enumerate(nrs.tolist()):
        detector.update(score)
        if detector.drift_detected:
            yield place


def page_hinkley_of_a_point(nrs: Floats, threshold: float) -> Iterator[int]:
    """The same, told to overlook changes below half of the smallest that we look for."""
    return page_hinkley(nrs, threshold, least=model.LEAST_CHANGE_NRS / 2)


def adaptive_window(nrs: Floats, log_confidence: float) -> Iterator[int]:
    """river's ADWIN; its window must be higher than before. `log_confidence`: -log10 of its delta."""
    detector = drift.ADWIN(delta=10**-log_confidence, clock=1)
    before = 0.0
    for place, score in enumerate(nrs.tolist()):
        detector.update(score)
        if detector.drift_detected and detector.estimation > before:
            yield place
        before = detector.estimation


def kernel_change_points(nrs: Floats, penalty: float) -> Iterator[int]:
    """ruptures' KernelCPD over the last KERNEL_DAYS, anew each day: a recent change point with a higher mean after it.

    The scores are divided by their own noise (from successive differences), so that the textbook's penalty of
    2 ln n applies; `penalty` is a multiple of it.
    """
    for place in range(model.WARM_UP_REPORTED_DAYS, len(nrs)):
        window = nrs[max(0, place + 1 - KERNEL_DAYS) : place + 1]
        noise = max(model.LEAST_SCALE_NRS, float(np.abs(np.diff(window)).mean()) / RANGE_OF_TWO)
        search = ruptures.KernelCPD(kernel="linear", min_size=2).fit(window / noise)
        *changes, end = search.predict(pen=penalty * 2 * np.log(len(window)))
        change = changes[-1] if changes else 0
        if change and end - change <= RECENT_DAYS and window[change:].mean() > window[:change].mean():
            yield place


def _grid(first: float, last: float, steps: int = 40) -> tuple[float, ...]:
    return tuple(np.geomspace(first, last, steps).tolist())


COMPARATORS = {
    "limit": Comparator("at or above 7", fixed_limit, 7.0, _grid(7.0, 10.0)),
    "week": Comparator("2 above the mean of 7 days", above_the_week, 2.0, _grid(1.0, 8.0)),
    "xmr": Comparator("XmR chart, 2.66 moving ranges", individuals_chart, 2.66, _grid(1.5, 15.0)),
    "page_hinkley": Comparator("Page-Hinkley (river), as it comes", page_hinkley, 50.0, _grid(2.0, 300.0)),
    "page_hinkley_point": Comparator(
        "Page-Hinkley (river), overlooks 0.5", page_hinkley_of_a_point, 50.0, _grid(1.0, 100.0)
    ),
    "adwin": Comparator("ADWIN (river)", adaptive_window, -np.log10(0.002), _grid(0.3, 30.0)),
    "kernel": Comparator("KernelCPD (ruptures), 2 ln n", kernel_change_points, 1.0, _grid(0.5, 20.0, 24), slow=True),
}  # fmt: skip


def tuned(comparator: Comparator, quiet: Floats, years: float, per_year: float) -> float:
    """The most sensitive threshold of the grid with at most so many alerts a year on diaries where nothing happens."""
    allowed = per_year * years
    low, high = 0, len(comparator.grid) - 1
    while low < high:
        middle = (low + high) // 2
        alerts = sum(map(len, comparator.at(comparator.grid[middle])(quiet)))
        low, high = (low, middle) if alerts <= allowed else (middle + 1, high)
    return comparator.grid[low]
