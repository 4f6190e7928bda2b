"""From what happens (script) to what each machine does (acts): the only place that knows both."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from .emission import Emission, memory_reset
from .happenings import (
    AnyHappening,
    BatteryFault,
    FlowDrift,
    FlowJump,
    LeadFracture,
    MemoryReset,
    Migration,
    MriScan,
    PainDrift,
    PainFlare,
    PainStep,
    ProgramChange,
    RateChange,
    Refill,
    SessionLeftOpen,
    Slot,
    Stall,
    StopsCharging,
    StopsReporting,
    SwitchedOff,
)
from .patient import Change, Diary
from .pump import PumpSim
from .stimulator import StimulatorSim

Machine = TypeVar("Machine")


class Act(NamedTuple, Generic[Machine]):
    """Something done to a machine at a moment; what it reports because of that comes back."""

    at: dt.datetime
    do: Callable[[Machine], list[Emission]]


def pump_acts(script: Iterable[AnyHappening]) -> list[Act[PumpSim]]:
    """What the script does to the pump, in order of time."""
    return sorted((act for happening in script for act in _on_pump(happening)), key=lambda act: act.at)


def stimulator_acts(script: Iterable[AnyHappening]) -> list[Act[StimulatorSim]]:
    """What the script does to the stimulator, in order of time."""
    return sorted((act for happening in script for act in _on_stimulator(happening)), key=lambda act: act.at)


def diary_acts(script: Iterable[AnyHappening]) -> list[Act[Diary]]:
    """What the script does to the patient, in order of time."""
    return sorted((act for happening in script for act in _on_diary(happening)), key=lambda act: act.at)


def _on_pump(happening: AnyHappening) -> list[Act[PumpSim]]:
    at = happening.when
    match happening:
        case Refill(filled_ml=filled_ml, pocket_ml=pocket_ml):
            return [Act(at, lambda pump: pump.refill(filled_ml, pocket_ml))]
        case Stall(recovers_after_h=hours):
            return [Act(at, PumpSim.stall), *_recovery(at, hours)]
        case SessionLeftOpen():
            return [Act(at, PumpSim.leave_session_open)]
        case FlowJump(ratio=ratio):
            return [Act(at, lambda pump: pump.jump_flow(ratio))]
        case FlowDrift(per_30_days=drift):
            return [Act(at, lambda pump: pump.drift_flow(drift))]
        case RateChange(flow_ml_per_day=flow):
            return [Act(at, lambda pump: pump.change_rate(flow))]
        case BatteryFault():
            return [Act(at, PumpSim.battery_fault)]
        case MriScan(minutes=minutes, pump_recovers_after_h=hours):
            left_at = at + dt.timedelta(minutes=minutes)
            return [Act(at, PumpSim.enter_mri), Act(left_at, PumpSim.leave_mri), *_recovery(left_at, hours)]
        case MemoryReset() if _concerns(happening.device, "pump"):
            return [Act(at, lambda pump: memory_reset(pump.at))]
    return []


def _recovery(at: dt.datetime, after_h: float | None) -> list[Act[PumpSim]]:
    return [Act(at + dt.timedelta(hours=after_h), PumpSim.recover)] if after_h else []


def _on_stimulator(happening: AnyHappening) -> list[Act[StimulatorSim]]:
    at = happening.when
    match happening:
        case LeadFracture(contacts=contacts, pain_points=points, onset_days=onset):
            return [Act(at, lambda device: device.fracture(contacts, points, onset))]
        case Migration(pain_points=points, onset_days=onset):
            return [Act(at, lambda device: device.migrate(points, onset))]
        case SwitchedOff(for_days=days):
            return _for_some_days(at, days, StimulatorSim.switch_off, StimulatorSim.switch_on)
        case StopsCharging(for_days=days):
            return _for_some_days(at, days, StimulatorSim.stop_charging, StimulatorSim.resume_charging)
        case ProgramChange(program=program, amplitude_ma=amplitude):
            return [Act(at, lambda device: device.change_program(program, amplitude))]
        case MriScan(minutes=minutes, stimulator_mode_left=left):
            days = minutes / 1440 if left else None
            return _for_some_days(at, days, StimulatorSim.enter_mri, StimulatorSim.leave_mri)
        case MemoryReset() if _concerns(happening.device, "stimulator"):
            return [Act(at, lambda device: memory_reset(device.at))]
    return []


def _for_some_days(
    at: dt.datetime,
    days: float | None,
    begin: Callable[[StimulatorSim], list[Emission]],
    end: Callable[[StimulatorSim], list[Emission]],
) -> list[Act[StimulatorSim]]:
    ending = [] if days is None else [Act(at + dt.timedelta(days=days), end)]
    return [Act(at, begin), *ending]


def _on_diary(happening: AnyHappening) -> list[Act[Diary]]:
    at = happening.when
    match happening:
        case PainStep(points=points):
            return [Act(at, lambda diary: diary.change(Change(at, points)))]
        case PainDrift(points=points, over_days=rise_days):
            return [Act(at, lambda diary: diary.change(Change(at, points, over_days=rise_days)))]
        case PainFlare(points=points, for_days=days):
            return [Act(at, lambda diary: diary.change(Change(at, points, for_days=days)))]
        case StopsReporting(for_days=days):
            acts: list[Act[Diary]] = [Act(at, lambda diary: diary.set_reporting(False))]
            if days is not None:
                acts.append(Act(at + dt.timedelta(days=days), lambda diary: diary.set_reporting(True)))
            return acts
    return []


def _concerns(device: Slot | None, slot: Slot) -> bool:
    return device is None or device == slot
