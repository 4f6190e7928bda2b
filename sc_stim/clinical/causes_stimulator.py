"""What a stimulator says for and against being the cause of a change in pain."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final

from sc_stim.clinical.causes_evidence import (
    AGAINST,
    FOR,
    NO_DATA,
    CauseRules,
    DeviceRecord,
    Evidence,
    Point,
    Sample,
    Span,
    as_points,
    changes,
    events_of,
    newest,
    runs_of_state,
)
from sc_stim.clinical.impedance import ContactFault, contact_faults

_DAY: Final = timedelta(days=1)
_FAULTS: Final = {
    "open": "is that of an open circuit",
    "short": "is that of a short circuit",
    "jump": "jumped",
}


def evidence(device: DeviceRecord, span: Span, rules: CauseRules) -> Iterator[Evidence]:
    samples = sorted((one for one in device.samples if one.at <= span.until), key=lambda one: one.at)
    yield from _impedance(device, samples, span)
    yield from _lead(device, span)
    yield from _state(device, samples, span, rules)
    yield from _usage(device, samples, span, rules)
    yield from _amplitude(device, samples, span, rules)
    yield from _charging(device, samples, span, rules)
    yield from _programme(device, span, rules)


def _impedance(device: DeviceRecord, samples: Sequence[Sample], span: Span) -> Iterator[Evidence]:
    readings = [(one.at, one.impedance_ohm) for one in samples if one.impedance_ohm]
    around = [reading for reading in readings if reading[0] >= span.around[0]]
    if not around:
        yield Evidence(
            "impedance", NO_DATA, device.label, "Impedance was not reported around the change.", span.onset
        )
        return
    faults = contact_faults(readings, open_ohm=device.open_ohm, short_ohm=device.short_ohm)
    used = _contacts_in_use(device, span)
    fresh = [fault for fault in faults if fault.during[-1][0] >= span.since and fault.since >= span.since]
    for fault in fresh:
        is_unused = used is not None and fault.contact not in used
        kind = "impedance_unused" if is_unused else "impedance"
        sentence = _fault_sentence(fault) + (
            " The prescribed programme does not use it." if is_unused else ""
        )
        yield Evidence(kind, FOR, device.label, sentence, fault.since, _fault_points(fault))
    if not fresh:
        at, ohm = around[-1]
        old = f" Contact {faults[0].contact} was at fault before." if faults else ""
        points = newest(Point(at, f"contact {i}", value, "Ohm") for i, value in enumerate(ohm))
        sentence = f"No contact changed its impedance around the change.{old}"
        yield Evidence("impedance", AGAINST, device.label, sentence, at, points)


def _contacts_in_use(device: DeviceRecord, span: Span) -> set[int] | None:
    """As prescribed when the pain changed; None: nobody said."""
    said = [one for one in device.prescriptions if one.at <= span.onset and one.contacts is not None]
    newest_said = max(said, key=lambda one: one.at, default=None)
    return set(newest_said.contacts) if newest_said and newest_said.contacts else None


def _fault_sentence(fault: ContactFault) -> str:
    ohm = fault.during[-1][1]
    usual = "" if fault.usual_ohm is None else f", usually {fault.usual_ohm:.0f} Ohm"
    ending = " It is as usual again." if fault.over else ""
    again = "" if fault.confirmed else " One reading only: measure again."
    return (
        f"Impedance of contact {fault.contact} {_FAULTS[fault.fault]}: {ohm:.0f} Ohm{usual}.{again}{ending}"
    )


def _fault_points(fault: ContactFault) -> tuple[Point, ...]:
    before, during = fault.before[-3:], fault.during[:9]
    return tuple(Point(at, f"contact {fault.contact}", ohm, "Ohm") for at, ohm in (*before, *during))


def _lead(device: DeviceRecord, span: Span) -> Iterator[Evidence]:
    events = events_of(device, ["lead_disconnected"], span)
    if events:
        sentence = "The device said that a lead is disconnected."
        yield Evidence("lead_disconnected", FOR, device.label, sentence, events[0].at, as_points(events))


def _state(
    device: DeviceRecord, samples: Sequence[Sample], span: Span, rules: CauseRules
) -> Iterator[Evidence]:
    """Off for long, and MRI mode that nobody left. Cycling reads as on."""
    found = False
    for state, limit_h in (("off", rules.off_h), ("mri", rules.mri_mode_h)):
        for run in runs_of_state(samples, [state]):
            start, end = run[0].at, run[-1].at
            hours = (end - start) / timedelta(hours=1)
            if hours < limit_h or end < span.since:
                continue
            found = True
            kind, what = ("therapy_off", "off") if state == "off" else ("mri_mode", "left in MRI mode")
            sentence = f"Stimulation was {what} for {hours:.0f} h without a break."
            points = (Point(start, "state", state), Point(end, "state", state))
            yield Evidence(kind, FOR, device.label, sentence, start, points)
    said = [one for one in samples if one.state is not None and one.at >= span.around[0]]
    if said and not found:
        sentence = "Stimulation was not off for long, nor left in MRI mode."
        newest_said = newest(Point(one.at, "state", one.state) for one in said)
        yield Evidence("therapy_off", AGAINST, device.label, sentence, said[0].at, newest_said)


def _usage(
    device: DeviceRecord, samples: Sequence[Sample], span: Span, rules: CauseRules
) -> Iterator[Evidence]:
    usual = _hours_per_day(samples, span.usual_since, span.around[0])
    around = _hours_per_day(samples, *span.around)
    if around is None or usual is None:
        sentence = f"Usage was not reported {'around' if around is None else 'before'} the change."
        yield Evidence("usage", NO_DATA, device.label, sentence, span.onset)
        return
    is_down = around <= rules.usage_ratio * usual and usual - around >= rules.usage_least_h_per_day
    sentence = f"Stimulation was on for {around:.1f} h a day around the change, {usual:.1f} h before."
    points = newest(
        Point(one.at, "on since the last sample", one.on_s, "s")
        for one in samples
        if one.on_s is not None and one.at >= span.around[0]
    )
    yield Evidence("usage", FOR if is_down else AGAINST, device.label, sentence, span.around[0], points)


def _hours_per_day(samples: Sequence[Sample], begin: datetime, end: datetime) -> float | None:
    """Of the time between samples that lie within; None: less than half a day of them."""
    pairs = [
        (after.on_s, after.at - before.at)
        for before, after in pairwise(one for one in samples if one.on_s is not None)
        if begin <= before.at and after.at <= end
    ]
    time = sum((elapsed for _, elapsed in pairs), timedelta())
    if time < _DAY / 2:
        return None
    on = timedelta(seconds=sum(on_s for on_s, _ in pairs if on_s is not None))
    return min(24.0, 24.0 * (on / time))


def _amplitude(
    device: DeviceRecord, samples: Sequence[Sample], span: Span, rules: CauseRules
) -> Iterator[Evidence]:
    reported = [(one.at, one.amplitude_ma) for one in samples if one.amplitude_ma is not None]
    before = [ma for at, ma in reported if at < span.around[0]]
    around = [(at, ma) for at, ma in reported if at >= span.around[0]]
    if not before or not around:
        return
    usual, now = median(before), median(ma for _, ma in around)
    if now <= rules.usage_ratio * usual and usual > 0:
        sentence = f"Amplitude was {now:.1f} mA around the change, {usual:.1f} mA before."
        points = newest(Point(at, "amplitude", ma, "mA") for at, ma in around)
        yield Evidence("usage", FOR, device.label, sentence, around[0][0], points)


def _charging(
    device: DeviceRecord, samples: Sequence[Sample], span: Span, rules: CauseRules
) -> Iterator[Evidence]:
    missed = events_of(device, ["charge_missed"], span)
    if missed:
        sentence = "Charging was missed."
        yield Evidence("charging", FOR, device.label, sentence, missed[0].at, as_points(missed))
    levels = [(one.at, one.battery_pct) for one in samples if one.battery_pct is not None]
    levels = [(at, pct) for at, pct in levels if span.covers(at)]
    low = [(at, pct) for at, pct in levels if pct <= rules.low_battery_pct]
    if low:
        sentence = f"The battery was down to {min(pct for _, pct in low):.0f} %."
        yield Evidence("charging", FOR, device.label, sentence, low[0][0], _battery(low))
    elif levels and not missed:
        sentence = f"The battery was never below {min(pct for _, pct in levels):.0f} %."
        yield Evidence("charging", AGAINST, device.label, sentence, levels[0][0], _battery(levels))


def _battery(levels: Iterable[tuple[datetime, float]]) -> tuple[Point, ...]:
    return newest(Point(at, "battery", pct, "%") for at, pct in levels)


def _programme(device: DeviceRecord, span: Span, rules: CauseRules) -> Iterator[Evidence]:
    events = events_of(device, ["program_changed"], span)
    fields = ("program", "pulse_width_us", "rate_hz", "amplitude_ma")
    prescribed = DeviceRecord(label=device.label, kind=device.kind, prescriptions=device.prescriptions)
    reported = DeviceRecord(label=device.label, kind=device.kind, samples=device.samples)
    found = [*changes(prescribed, span, rules, fields), *changes(reported, span, rules, ("program",))]
    if not events and not found:
        if device.samples:
            sentence = "The programme was not changed."
            yield Evidence("programme", AGAINST, device.label, sentence, span.since)
        return
    points = (
        *as_points(events),
        *newest(
            Point(at, name, f"{old} -> {new}") for at, name, old, new in sorted(found, key=lambda one: one[0])
        ),
    )
    first = min(point.at for point in points)
    yield Evidence("programme", FOR, device.label, "The programme was changed.", first, points)
