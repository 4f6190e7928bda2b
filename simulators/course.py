"""The course of one patient: script, devices and diary brought together on one time line.

A course is a pure function of the cohort and of the commands it was given: run again, it emits the same
records at the same moments. `advance` may be called at any pace.
"""

import datetime as dt
import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import NamedTuple, TypeVar

from .cohort import Cohort, Patient
from .emission import Emission
from .happenings import Slot
from .patient import Deprivation, Diary, Therapy, random_minutes
from .pump import PumpSim
from .script import Act, diary_acts, pump_acts, stimulator_acts
from .seeds import stream
from .stimulator import StimulatorSim

DAY = dt.timedelta(days=1)

FIRST_LIVE_WITHIN_S = 30.0

Machine = TypeVar("Machine", PumpSim, StimulatorSim)


class Told(NamedTuple):
    """An emission and the device that reports it."""

    slot: Slot
    emission: Emission


class _Item(NamedTuple):
    at: dt.datetime
    order: int  # of those at the same moment: first come, first done
    do: Callable[[dt.datetime], list[Told]]


class Course:
    """`position` is how far it has come. Emissions before the cohort's start are dropped."""

    def __init__(self, patient: Patient, cohort: Cohort) -> None:
        self.patient = patient
        self.position = begin = min([cohort.start, *(happening.when for happening in patient.script)])
        self._cohort = cohort
        self._order = count()
        self._agenda: list[_Item] = []
        self._intervals: dict[Slot, float] = {}  # set by command
        self._rhythms: dict[Slot, int] = {}  # a tick of an older rhythm is dead
        self._pump = PumpSim(patient.pump, cohort.seed, begin) if patient.pump else None
        self._stimulator = (
            StimulatorSim(patient.stimulator, cohort.seed, begin) if patient.stimulator else None
        )
        self._diary = Diary(patient, cohort.seed)
        self._diary_slot: Slot = "stimulator" if patient.stimulator else "pump"
        self._load_script()
        self._open_diary(cohort.start.astimezone(self._diary.zone).date())
        for device in patient.devices:
            phase = stream(cohort.seed, device.serial, "phase").random()
            if cohort.start < cohort.now:
                self._begin_rhythm(device.kind, phase, cohort.start)
            self._add(cohort.now, partial(self._go_live, device.kind, phase))

    @property
    def next_at(self) -> dt.datetime:
        """When something happens next; there is always a next sample."""
        return self._agenda[0].at

    def advance(self, until: dt.datetime) -> list[Told]:
        """Go on to `until` (included); returns what the devices have to report."""
        told: list[Told] = []
        while self.next_at <= until:
            item = heapq.heappop(self._agenda)
            self.position = max(self.position, item.at)
            told += item.do(item.at)
        self.position = max(self.position, until)
        return [one for one in told if one.emission.at >= self._cohort.start]

    # --- commands: they ask for reports, none changes therapy

    def interrogate(self, slot: Slot, at: dt.datetime) -> None:
        """The device sends a sample at `at`, besides the regular ones."""
        self._add(at, partial(self._sample, slot))

    def set_interval(self, slot: Slot, at: dt.datetime, interval_s: float) -> None:
        """From `at` on the device reports every `interval_s` seconds."""
        self._add(at, partial(self._apply_interval, slot, interval_s))

    def prompt_diary(self, at: dt.datetime) -> None:
        """Ask the patient for a score: answered within minutes, or not, like any other entry."""
        rng = stream(self._cohort.seed, self.patient.number, "prompt", at)
        if rng.random() >= self.patient.diary.misses_after_report:
            self._add(random_minutes(rng, at), self._score)

    # --- the script

    def _add(self, at: dt.datetime, do: Callable[[dt.datetime], list[Told]]) -> None:
        heapq.heappush(self._agenda, _Item(at, next(self._order), do))

    def _load_script(self) -> None:
        script = self.patient.script
        if self._pump:
            for pump_act in pump_acts(script):
                self._add(pump_act.at, partial(self._act, "pump", self._pump, pump_act))
        if self._stimulator:
            for stimulator_act in stimulator_acts(script):
                self._add(
                    stimulator_act.at, partial(self._act, "stimulator", self._stimulator, stimulator_act)
                )
        for diary_act in diary_acts(script):
            self._add(diary_act.at, partial(self._act_on_diary, diary_act))

    def _act(self, slot: Slot, machine: Machine, act: Act[Machine], at: dt.datetime) -> list[Told]:
        return [Told(slot, emission) for emission in machine.advance(at) + act.do(machine)]

    def _act_on_diary(self, act: Act[Diary], at: dt.datetime) -> list[Told]:
        return [Told(self._diary_slot, emission) for emission in act.do(self._diary)]

    # --- regular samples

    def _interval_s(self, slot: Slot, at: dt.datetime) -> float:
        usual = self._cohort.history_interval_s if at < self._cohort.now else self._cohort.report_interval_s
        return self._intervals.get(slot, usual)

    def _apply_interval(self, slot: Slot, interval_s: float, at: dt.datetime) -> list[Told]:
        self._intervals[slot] = interval_s
        self._begin_rhythm(slot, 1.0, at)
        return []

    def _go_live(self, slot: Slot, phase: float, at: dt.datetime) -> list[Told]:
        """The history's slow rhythm ends; one sample comes soon, however slow the live rhythm is."""
        self._begin_rhythm(slot, phase, at)
        if self._interval_s(slot, at) > FIRST_LIVE_WITHIN_S:
            self._add(at + dt.timedelta(seconds=phase * FIRST_LIVE_WITHIN_S), partial(self._sample, slot))
        return []

    def _begin_rhythm(self, slot: Slot, phase: float, at: dt.datetime) -> None:
        """Report at this slot's interval, for the first time when the share `phase` of it has passed."""
        self._rhythms[slot] = self._rhythms.get(slot, 0) + 1
        first = at + dt.timedelta(seconds=phase * self._interval_s(slot, at))
        self._add(first, partial(self._tick, slot, self._rhythms[slot]))

    def _tick(self, slot: Slot, rhythm: int, at: dt.datetime) -> list[Told]:
        if rhythm != self._rhythms[slot]:
            return []
        following = at + dt.timedelta(seconds=self._interval_s(slot, at))
        self._add(following, partial(self._tick, slot, rhythm))
        return self._sample(slot, at)

    def _sample(self, slot: Slot, at: dt.datetime) -> list[Told]:
        machine = self._pump if slot == "pump" else self._stimulator
        if machine is None:
            raise ValueError(f"patient {self.patient.number} has no {slot}")
        return [Told(slot, emission) for emission in (*machine.advance(at), machine.sample())]

    # --- the diary

    def _open_diary(self, day: dt.date) -> None:
        """At local midnight of `day` the patient's day begins; the first one with the history."""
        midnight = dt.datetime.combine(day, dt.time(), self._diary.zone).astimezone(dt.UTC)
        self._add(max(midnight, self._cohort.start), partial(self._begin_day, day))

    def _begin_day(self, day: dt.date, at: dt.datetime) -> list[Told]:
        for moment in self._diary.write_times(day):
            if moment >= at:
                self._add(moment, self._score)
        self._open_diary(day + DAY)
        return []

    def _score(self, at: dt.datetime) -> list[Told]:
        """Devices are brought to this moment first: the patient feels what they do now."""
        told: list[Told] = []
        if self._pump:
            told += [Told("pump", emission) for emission in self._pump.advance(at)]
        if self._stimulator:
            told += [Told("stimulator", emission) for emission in self._stimulator.advance(at)]
        return [*told, Told(self._diary_slot, self._diary.score(at, self._therapy(at)))]

    def _therapy(self, at: dt.datetime) -> Therapy:
        lost_points = self._stimulator.lost_points(at) if self._stimulator else 0.0
        pump = self._pump
        if pump is None:
            return Therapy(lost_points)
        deprivation = None
        if pump.deprived_since:
            hours = (at - pump.deprived_since) / dt.timedelta(hours=1)
            deprivation = Deprivation(pump.pump.drugs[0].name, hours, pump.pump.nature.benefit_points)
        return Therapy(lost_points, deprivation, pump.flow_ratio if pump.deprived_since is None else 1.0)
