"""A spinal cord stimulator: stimulation, battery, leads, and how much pain its failures bring back."""

import datetime as dt
import math
from typing import Any, Literal, NamedTuple

from .cohort import Stimulator, StimulatorSettings
from .emission import Emission, event
from .seeds import stream

State = Literal["on", "off", "mri"]
Act = Literal["switch_off", "switch_on", "enter_mri", "leave_mri", "end_of_service"]

TRANSITIONS: dict[tuple[State, Act], State] = {
    ("on", "switch_off"): "off",
    ("on", "enter_mri"): "mri",
    ("on", "end_of_service"): "off",
    ("off", "switch_on"): "on",
    ("off", "switch_off"): "off",
    ("off", "enter_mri"): "mri",
    ("off", "end_of_service"): "off",
    ("mri", "leave_mri"): "on",
    ("mri", "switch_off"): "mri",
    ("mri", "switch_on"): "mri",
    ("mri", "end_of_service"): "off",
}

DAY = dt.timedelta(days=1)
OPEN_OHM = (
    41_000.0  # an open contact; every manufacturer's threshold is unverified, most tools say >10 or >40 kOhm
)
WANDER_PHI = 0.97  # of the daily log impedance
WANDER_SD = 0.05
CHARGE_BELOW_PCT = 35.0
CHARGE_PCT_PER_H = 40.0
REMINDED_CHARGING = 0.92  # chance that a patient charges on an evening when it is due
POSTURES = ("standing", "sitting", "lying", "walking")
WEAR_OFF_DAYS = 1.0  # until the whole relief is gone once stimulation stops


class Loss(NamedTuple):
    """Pain (NRS points) that comes back over `onset_days` from `since` on."""

    since: dt.datetime
    points: float
    onset_days: float

    def at(self, at: dt.datetime) -> float:
        passed = (at - self.since) / DAY
        return self.points * (min(1.0, passed / self.onset_days) if self.onset_days else 1.0)


class StimulatorSim:
    """`advance` lets time pass; the other methods are acts at the present moment."""

    def __init__(self, stimulator: Stimulator, seed: int, begin: dt.datetime) -> None:
        self.stimulator = stimulator
        self.at = begin
        self.state: State = "on"
        self.settings: StimulatorSettings = stimulator.settings[0]
        self.charges = True
        self.flat = False  # the battery is empty: off until charged or replaced
        self._charge_missed = False
        self.open_contacts: frozenset[int] = frozenset()
        self._losses: list[Loss] = []
        self._off_since: dt.datetime | None = None
        self._rng = stream(seed, stimulator.serial, "stimulator")
        self._battery_pct = self._rng.uniform(50, 100)
        self._wander = [self._rng.gauss(0, WANDER_SD) for _ in range(stimulator.contacts)]
        self._on_s = self._charged_s = 0.0  # since the last sample
        self._impedance_due = True
        self._evening = begin.replace(hour=19, minute=0, second=0, microsecond=0)
        self._lead_lost = False
        if self._evening <= begin:
            self._evening += DAY

    # --- time

    def advance(self, at: dt.datetime) -> list[Emission]:
        """Let the device run until `at`, through every evening (charging) and battery date on the way."""
        out: list[Emission] = []
        nature = self.stimulator.nature
        while self.at < at:
            step = min(
                [at, self._evening, *(date for date in (nature.eri_at, nature.eos_at) if date > self.at)]
            )
            out += self._run(step)
            if step == self._evening:
                out += self._end_of_day()
            if step == nature.eri_at:
                out.append(event(step, "eri", "raised"))
            if step == nature.eos_at:
                out += [*self._act("end_of_service"), event(step, "eos", "raised")]
                self.flat = True
        return out

    def _run(self, at: dt.datetime) -> list[Emission]:
        nature = self.stimulator.nature
        passed = at - self.at
        self.at = at
        if self.state != "on":
            return []
        self._on_s += passed.total_seconds() * nature.usage * nature.duty
        if nature.rechargeable:
            self._battery_pct -= nature.drain_pct_per_day * nature.usage * (passed / DAY)
        if self._battery_pct > 0:
            return []
        self._battery_pct, self.flat = 0.0, True
        return [*self._act("switch_off"), *self._miss_charge()]

    def _end_of_day(self) -> list[Emission]:
        self._evening += DAY
        self._impedance_due = True
        step = WANDER_SD * math.sqrt(1 - WANDER_PHI**2)
        self._wander = [WANDER_PHI * w + self._rng.gauss(0, step) for w in self._wander]
        return self._charge_or_not() if self.stimulator.nature.rechargeable else []

    def _charge_or_not(self) -> list[Emission]:
        remembers = self._rng.random() < REMINDED_CHARGING
        if self._battery_pct > CHARGE_BELOW_PCT:
            return []
        if not (self.charges and remembers):
            return self._miss_charge()
        target = self._rng.uniform(90, 100)
        self._charged_s += (target - self._battery_pct) / CHARGE_PCT_PER_H * 3600
        self._battery_pct = target
        revived = self._act("switch_on") if self.flat else []
        cleared = [event(self.at, "charge_missed", "cleared")] if self._charge_missed else []
        self.flat = self._charge_missed = False
        return [*revived, *cleared]

    def _miss_charge(self) -> list[Emission]:
        self._charge_missed = True
        return [event(self.at, "charge_missed", "raised", battery_pct=round(self._battery_pct))]

    # --- acts

    def _act(self, act: Act) -> list[Emission]:
        """Change state by the table; ValueError for what a stimulator in this state cannot do."""
        try:
            self.state = TRANSITIONS[self.state, act]
        except KeyError:
            message = f"stimulator {self.stimulator.serial}: {act} is impossible while {self.state}"
            raise ValueError(message) from None
        if self.state == "on":
            self._off_since = None
        else:
            self._off_since = self._off_since or self.at
        return []

    def switch_off(self) -> list[Emission]:
        return self._act("switch_off")

    def switch_on(self) -> list[Emission]:
        return [] if self.flat or self.state == "on" else self._act("switch_on")

    def enter_mri(self) -> list[Emission]:
        return [*self._act("enter_mri"), event(self.at, "mri_entered")]

    def leave_mri(self) -> list[Emission]:
        self._act("leave_mri")
        return [*(self._act("switch_off") if self.flat else []), event(self.at, "mri_left")]

    def fracture(self, contacts: tuple[int, ...], points: float, onset_days: float) -> list[Emission]:
        self.open_contacts |= frozenset(contacts)
        return self._lose(points, onset_days)

    def migrate(self, points: float, onset_days: float) -> list[Emission]:
        return self._lose(points, onset_days)

    def _lose(self, points: float, onset_days: float) -> list[Emission]:
        self._losses.append(Loss(self.at, points, onset_days))
        self._impedance_due = self._lead_lost = True
        return []

    def stop_charging(self) -> list[Emission]:
        self.charges = False
        return []

    def resume_charging(self) -> list[Emission]:
        self.charges = True
        return []

    def change_program(self, program: str, amplitude_ma: float) -> list[Emission]:
        before = self.settings
        self.settings = StimulatorSettings(
            since=self.at,
            program=program,
            amplitude_ma=amplitude_ma,
            pulse_width_us=before.pulse_width_us,
            rate_hz=before.rate_hz,
            contacts=before.contacts,
        )
        changed = event(self.at, "program_changed", before=before.program, after=program)
        return [event(self.at, "session_opened"), changed, event(self.at, "session_closed")]

    # --- what the patient feels

    def lost_points(self, at: dt.datetime) -> float:
        """Pain that is back at `at` because relief is missing (NRS points)."""
        losses = sum(loss.at(at) for loss in self._losses)
        if self._off_since is None:
            return losses
        return max(losses, Loss(self._off_since, self.stimulator.nature.benefit_points, WEAR_OFF_DAYS).at(at))

    # --- reporting

    def sample(self) -> Emission:
        """The reading as `up/telemetry` carries it; impedance once a day and after a change of a lead."""
        body: dict[str, Any] = {
            "state": "cycling" if self.state == "on" and self.stimulator.nature.duty < 1 else self.state,
            "on_s": round(self._on_s, 1),
            "program": self.settings.program,
            "amplitude_ma": self.settings.amplitude_ma,
            "pulse_width_us": self.settings.pulse_width_us,
            "rate_hz": self.settings.rate_hz,
            "posture": self._rng.choice(POSTURES),
        }
        body |= self._battery()
        if self.stimulator.nature.closed_loop and self.state == "on":
            body["ecap_in_window_pct"] = self._ecap_in_window_pct()
        if self._impedance_due and self.state != "mri":
            body["impedance_ohm"] = self._measure_impedance()
        self._on_s = self._charged_s = 0.0
        return Emission(self.at, "sample", body)

    def _battery(self) -> dict[str, Any]:
        nature = self.stimulator.nature
        if nature.rechargeable:
            volts = 3.5 + 0.6 * self._battery_pct / 100
            return {
                "battery_pct": round(self._battery_pct, 1),
                "battery_v": round(volts, 2),
                "charged_s": round(self._charged_s),
            }
        left = max(0.0, (nature.eos_at - self.at) / (nature.eos_at - self._implanted_at()))
        return {"battery_pct": round(100 * left, 1), "battery_v": round(2.6 + 0.5 * left, 2)}

    def _implanted_at(self) -> dt.datetime:
        return dt.datetime.combine(self.stimulator.implanted_on, dt.time(), dt.UTC)

    def _ecap_in_window_pct(self) -> float:
        """Median near 94 % in service (published: 93.9, IQR 48-98.9); poor once a lead broke or moved."""
        typical = 40.0 if self._lead_lost else 94.0
        return round(min(100.0, max(0.0, self._rng.gauss(typical, 4))), 1)

    def _measure_impedance(self) -> list[int]:
        self._impedance_due = False
        readings = []
        for contact, (base, wander) in enumerate(
            zip(self.stimulator.nature.impedance_ohm, self._wander, strict=True)
        ):
            noise = math.exp(self._rng.gauss(0, 0.015))
            readings.append(
                round((OPEN_OHM if contact in self.open_contacts else base * math.exp(wander)) * noise)
            )
        return readings
