"""What a pump and its refills say for and against being the cause of a change in pain."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final

from sc_stim.clinical.causes_evidence import (
    AGAINST,
    FOR,
    NO_DATA,
    CauseRules,
    DeviceRecord,
    Evidence,
    FillOnRecord,
    Point,
    Span,
    as_points,
    changes,
    events_of,
    newest,
    runs_of_state,
)
from sc_stim.clinical.drugs import UnknownDrug
from sc_stim.clinical.reconciliation import (
    POSSIBLE_OVER_INFUSION,
    POSSIBLE_POCKET_FILL,
    POSSIBLE_UNDER_INFUSION,
    REMEASURE,
)

_STOPPED: Final = ("stopped", "stalled", "minimum_rate")
_STOPPING: Final = ("motor_stall", "pump_stopped", "empty_reservoir", "reset", "memory_error", "eos")
_DISCREPANCIES: Final = (
    POSSIBLE_OVER_INFUSION, POSSIBLE_UNDER_INFUSION, POSSIBLE_POCKET_FILL, REMEASURE,
)  # fmt: skip


def evidence(device: DeviceRecord, span: Span, rules: CauseRules) -> Iterator[Evidence]:
    fills = sorted((fill for fill in device.fills if fill.at <= span.until), key=lambda fill: fill.at)
    yield from _stopped(device, span)
    yield from _reservoir(device, span)
    yield from _residual(device, fills, span)
    yield from _dose(device, fills, span, rules)
    yield from _stability(device, fills, span, rules)


def _stopped(device: DeviceRecord, span: Span) -> Iterator[Evidence]:
    events = events_of(device, _STOPPING, span)
    if events:
        told = ", ".join(dict.fromkeys(event.kind.replace("_", " ") for event in events))
        yield Evidence(
            "pump_stopped", FOR, device.label, f"The pump said: {told}.", events[0].at, as_points(events)
        )
    states = [one for one in device.samples if one.state is not None and span.covers(one.at)]
    for run in runs_of_state(states, _STOPPED):
        told = str(run[0].state).replace("_", " ")
        points = newest(Point(one.at, "state", one.state) for one in run)
        yield Evidence("pump_stopped", FOR, device.label, f"The pump was {told}.", run[0].at, points)
    running = [one for one in states if one.state == "running"]
    if running and len(running) == len(states) and not events:
        points = newest(Point(one.at, "state", one.state) for one in running)
        sentence = "The pump ran all the time, by what it said."
        yield Evidence("pump_stopped", AGAINST, device.label, sentence, running[0].at, points)


def _reservoir(device: DeviceRecord, span: Span) -> Iterator[Evidence]:
    events = events_of(device, ["low_reservoir"], span)
    if events:
        sentence = "The pump said that its reservoir is low."
        yield Evidence("reservoir_low", FOR, device.label, sentence, events[0].at, as_points(events))


def _residual(device: DeviceRecord, fills: Sequence[FillOnRecord], span: Span) -> Iterator[Evidence]:
    for fill in fills:
        if not span.covers(fill.at):
            continue
        flags = [flag.replace("_", " ") for flag in fill.flags if flag in _DISCREPANCIES]
        if fill.expected_ml is None or fill.aspirated_ml is None:
            if not flags:
                sentence = "A refill without an expected or an aspirated volume: nothing to compare."
                yield Evidence("residual", NO_DATA, device.label, sentence, fill.at)
                continue
            volumes: tuple[Point, ...] = ()
            told = "A refill"
        else:
            volumes = (
                Point(fill.at, "expected", fill.expected_ml, "mL"),
                Point(fill.at, "aspirated", fill.aspirated_ml, "mL"),
            )
            told = f"At a refill {fill.expected_ml:.1f} mL were expected and {fill.aspirated_ml:.1f} mL aspirated"
        says = FOR if flags else AGAINST
        sentence = f"{told}: {', '.join(flags) or 'as expected'}."
        yield Evidence("residual", says, device.label, sentence, fill.at, volumes)


def _dose(
    device: DeviceRecord, fills: Sequence[FillOnRecord], span: Span, rules: CauseRules
) -> Iterator[Evidence]:
    events = events_of(device, ["rate_changed", "program_changed"], span)
    found = sorted(
        changes(device, span, rules, ("flow_ml_per_day", "bolus_ml", "max_boluses_per_day", "lockout_min")),
        key=lambda one: one[0],
    )
    points = [*as_points(events), *newest(Point(at, name, f"{old} -> {new}") for at, name, old, new in found)]
    for before, after in pairwise(fills):
        if span.covers(after.at) and _mixture(before) != _mixture(after):
            points.append(Point(after.at, "drugs", f"{_mixture(before)} -> {_mixture(after)}"))
    if points:
        first = min(point.at for point in points)
        sentence = "The rate, the bolus or the drug in the pump was changed."
        yield Evidence("dose", FOR, device.label, sentence, first, tuple(points))
    elif device.samples or device.prescriptions:
        sentence = "Rate, bolus and drug were not changed."
        yield Evidence("dose", AGAINST, device.label, sentence, span.since)


def _mixture(fill: FillOnRecord) -> str:
    drugs = sorted(fill.drugs, key=lambda drug: drug.name)
    return " + ".join(
        f"{drug.name} {'of unknown strength' if drug.mg_per_ml is None else f'{drug.mg_per_ml:g} mg/mL'}"
        for drug in drugs
    )


def _stability(
    device: DeviceRecord, fills: Sequence[FillOnRecord], span: Span, rules: CauseRules
) -> Iterator[Evidence]:
    last = next((fill for fill in reversed(fills) if fill.at <= span.onset), None)
    if last is None or not last.drugs:
        sentence = "What has been in the pump since when is not on record."
        yield Evidence("stability", NO_DATA, device.label, sentence, span.onset)
        return
    try:
        keeps = rules.formulary.stability(last.drugs, first_fill=last.is_first)
    except UnknownDrug as unknown:
        yield Evidence("stability", NO_DATA, device.label, f"{unknown}.", last.at)
        return
    days = (span.onset - last.at) / timedelta(days=1)
    sentence = f"{_mixture(last)} had been in the pump for {days:.0f} days; it keeps for {keeps}."
    points = (Point(last.at, "filled", _mixture(last)), Point(last.at, "keeps", keeps.value, "d"))
    says = FOR if days >= rules.stability_share * keeps.value else AGAINST
    yield Evidence("stability", says, device.label, sentence, last.at, points)
