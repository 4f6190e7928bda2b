"""What the clinic wrote down: fills with the aspirated volume, and the settings it knows of.

A pump is run through its script alone, without reporting, to learn what a syringe would have shown at each
visit.
"""

import datetime as dt
from collections.abc import Iterable

import msgspec

from .cohort import Fill, Pump, Stimulator
from .happenings import AnyHappening, LeadFracture, ProgramChange, RateChange, Refill
from .pump import PumpSim
from .script import pump_acts, stimulator_acts
from .seeds import stream
from .stimulator import StimulatorSim

DAY = dt.timedelta(days=1)
FORESEEN = dt.timedelta(days=500)  # a pump that is not empty by then is not followed further


def record_pump(pump: Pump, script: Iterable[AnyHappening], seed: int, now: dt.datetime) -> Pump:
    """The pump with its fills up to `now` and its recorded settings; ValueError for an impossible script."""
    script = list(script)
    changes = [h for h in script if isinstance(h, RateChange) and h.recorded]
    settings = list(pump.settings)
    for change in changes:
        setting = msgspec.structs.replace(
            settings[-1], since=change.when, flow_ml_per_day=change.flow_ml_per_day
        )
        settings.append(setting)
    fills = _fills(pump, script, seed, now)
    return msgspec.structs.replace(pump, fills=tuple(fills), settings=tuple(settings))


def _fills(pump: Pump, script: list[AnyHappening], seed: int, now: dt.datetime) -> list[Fill]:
    refills = {h.when: h for h in script if isinstance(h, Refill)}
    simulated = PumpSim(pump, seed, script[0].when)
    fills: list[Fill] = []
    for act in pump_acts(script):
        simulated.advance(act.at)
        refill = refills.get(act.at)
        if refill and act.at <= now:
            reading = simulated.aspirated_ml(stream(seed, pump.serial, "syringe", act.at))
            aspirated_ml = reading if fills else None  # the first fill follows the implantation
            fills.append(
                Fill(at=act.at, aspirated_ml=aspirated_ml, filled_ml=refill.filled_ml, drugs=pump.drugs)
            )
        act.do(simulated)
    return fills


def state_at(pump: Pump, script: Iterable[AnyHappening], seed: int, at: dt.datetime) -> PumpSim:
    """The pump as it truly is at `at`."""
    script = list(script)
    simulated = PumpSim(pump, seed, script[0].when)
    for act in pump_acts(script):
        if act.at <= at:
            simulated.advance(act.at)
            act.do(simulated)
    simulated.advance(at)
    return simulated


def empty_at(pump: Pump, script: Iterable[AnyHappening], seed: int) -> dt.datetime | None:
    """When the pump will truly be empty if only the script happens to it; None: not in the time foreseen."""
    script = list(script)
    last = pump_acts(script)[-1].at
    simulated = state_at(pump, script, seed, last)
    while simulated.empty_since is None and simulated.at < last + FORESEEN:
        simulated.advance(simulated.at + DAY)
    return simulated.empty_since


def record_stimulator(stimulator: Stimulator, script: Iterable[AnyHappening], seed: int) -> Stimulator:
    """The stimulator with its recorded programmes; ValueError for an impossible script."""
    script = list(script)
    _check(stimulator, script, seed)
    settings = list(stimulator.settings)
    for change in script:
        if isinstance(change, ProgramChange) and change.recorded:
            setting = msgspec.structs.replace(
                settings[-1], since=change.when, program=change.program, amplitude_ma=change.amplitude_ma
            )
            settings.append(setting)
    return msgspec.structs.replace(stimulator, settings=tuple(settings))


def _check(stimulator: Stimulator, script: list[AnyHappening], seed: int) -> None:
    highest = stimulator.contacts - 1
    for happening in script:
        if isinstance(happening, LeadFracture) and max(happening.contacts) > highest:
            raise ValueError(f"contacts: {max(happening.contacts)} is too high, contacts are 0-{highest}")
    acts = stimulator_acts(script)
    if acts:
        simulated = StimulatorSim(stimulator, seed, acts[0].at)
        for act in acts:
            simulated.advance(act.at)
            act.do(simulated)
