"""The cause card of a pain alert: what the devices say for and against being the cause, with the raw points.

Rules in causes_stimulator and causes_pump, figures in data/causes.json. A device that said nothing speaks neither for
nor against: without its data the card says so and never "unlikely".
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Literal

from msgspec import Struct

from sc_stim.clinical import causes_pump, causes_stimulator
from sc_stim.clinical.causes_evidence import (
    AGAINST,
    FOR,
    NO_DATA,
    CauseRules,
    DeviceRecord,
    Evidence,
    Point,
    Span,
    shipped_rules,
)

Verdict = Literal["device_possible", "device_unlikely", "cannot_say", "no_device"]

_RULES: Final = {"pump": causes_pump.evidence, "stimulator": causes_stimulator.evidence}
_SIDES: Final = (FOR, NO_DATA, AGAINST)


class CauseCard(Struct, frozen=True, kw_only=True):
    """`evidence`: first what speaks for a device, the likeliest first; then what is not known; then what speaks
    against. `words` is the verdict in words. Only what was measured from `since` to `until` was looked at.
    """

    verdict: Verdict
    words: str
    evidence: tuple[Evidence, ...]
    since: datetime
    until: datetime
    judged_at: datetime
    model_version: str


def span_of(onset: datetime, until: datetime, rules: CauseRules | None = None) -> Span:
    """The time to look at for pain that changed at `onset` and was judged at `until`."""
    rules = rules or shipped_rules()
    since = onset - timedelta(days=rules.look_back_d)
    return Span(since - timedelta(days=rules.usual_d), since, onset, max(until, onset))


def cause_card(
    devices: Iterable[DeviceRecord], span: Span, at: datetime, rules: CauseRules | None = None
) -> CauseCard:
    """Judge the devices of one patient: every one that was implanted within the span, with all it said since
    `span.usual_since`.
    """
    rules = rules or shipped_rules()
    found: list[Evidence] = []
    known = list(devices)
    for device in known:
        found += _gaps(device, span, rules)
        found += _RULES[device.kind](device, span, rules)
    found.sort(key=lambda one: (_SIDES.index(one.says), rules.rank(one), abs(one.since - span.onset)))
    verdict, words = _verdict(known, found)
    return CauseCard(
        verdict=verdict,
        words=words,
        evidence=tuple(found),
        since=span.since,
        until=span.until,
        judged_at=at,
        model_version=f"causes-{rules.version}",
    )


def _verdict(devices: Sequence[DeviceRecord], found: Sequence[Evidence]) -> tuple[Verdict, str]:
    points_to = [one for one in found if one.says == FOR]
    if points_to:
        return "device_possible", f"Device possible: {points_to[0].sentence}"
    if not devices:
        return "no_device", "No device is on record for this time."
    silent = [one.device for one in found if one.kind == "data_gap"]
    if silent:
        return "cannot_say", f"No device data: cannot say. Nothing was heard of {', '.join(silent)}."
    unknown = ", ".join(dict.fromkeys(one.kind for one in found if one.says == NO_DATA))
    return "device_unlikely", f"Device unlikely.{f' Not known: {unknown}.' if unknown else ''}"


def _gaps(device: DeviceRecord, span: Span, rules: CauseRules) -> Iterator[Evidence]:
    """The longest time around the change in which the device said nothing, or all the time since."""
    begin, end = span.around
    times = sorted(sample.at for sample in device.samples if sample.at <= end)
    before = [at for at in times if at < begin]
    heard = [max(before[-1:] or [begin]), *(at for at in times if at >= begin), end]
    start, stop = max(pairwise(heard), key=lambda pair: pair[1] - pair[0])
    longest = max(
        timedelta(hours=rules.gap_h), rules.gap_intervals * timedelta(seconds=device.report_interval_s or 0)
    )
    if not times:
        yield _gap(device, f"{device.label} sent no data", span.usual_since, ())
    elif times[-1] < span.onset:
        points: tuple[Point, ...] = (Point(times[-1], "sample", None),)
        yield _gap(device, f"{device.label} sent no data since the pain changed", times[-1], points)
    elif stop - start > longest:
        days = (stop - start) / timedelta(days=1)
        points = tuple(Point(at, "sample", None) for at in (start, stop) if at in times)
        yield _gap(device, f"{device.label} sent no data for {days:.1f} days", start, points)


def _gap(device: DeviceRecord, sentence: str, since: datetime, points: tuple[Point, ...]) -> Evidence:
    return Evidence("data_gap", NO_DATA, device.label, f"{sentence}.", since, points)
