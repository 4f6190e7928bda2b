"""A programmable intrathecal pump: what is truly in it, and what it computes.

The pump does not measure its reservoir. It subtracts the programmed volume from what the clinic entered at
the last refill, also while the rotor stands still or the flow is wrong (clinical rules, section "Refill-by
date"; that a stall does not stop the arithmetic is unverified for each model). So its alarms are blind to
every flow error.
"""

import datetime as dt
import random
from typing import Any, Literal

from .cohort import Drug, Pump, PumpSettings
from .emission import Emission, event
from .seeds import stream

State = Literal["running", "stopped", "stalled", "mri", "minimum_rate"]
Act = Literal["stall", "recover", "stop", "enter_mri", "leave_mri", "battery_fault", "end_of_service"]

TRANSITIONS: dict[tuple[State, Act], State] = {
    ("running", "stall"): "stalled",
    ("running", "stop"): "stopped",
    ("running", "enter_mri"): "mri",
    ("running", "battery_fault"): "minimum_rate",
    ("running", "end_of_service"): "stopped",
    ("stalled", "recover"): "running",
    ("stalled", "stop"): "stopped",
    ("stalled", "end_of_service"): "stopped",
    ("mri", "leave_mri"): "stalled",  # the rotor turns again only some time after the scan
    ("mri", "end_of_service"): "stopped",
    ("minimum_rate", "stop"): "stopped",
    ("minimum_rate", "end_of_service"): "stopped",
    ("stopped", "end_of_service"): "stopped",
    ("stopped", "stop"): "stopped",
}

MINIMUM_RATE_ML_PER_DAY = 0.006  # SynchroMed II; unverified
EOS_AFTER_ERI = dt.timedelta(days=90)  # "replacement needed within 90 days"
SYRINGE_SD_ML = 0.2  # reading of the aspirated volume
DAY = dt.timedelta(days=1)
MONTH = DAY * 30.44
NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)


class PumpSim:
    """One pump from its first fill on. `advance` lets time pass; other methods are acts at that moment."""

    def __init__(self, pump: Pump, seed: int, begin: dt.datetime) -> None:
        self.pump = pump
        self.at = begin
        self.state: State = "running"
        self.settings: PumpSettings = pump.settings[0]
        self.drugs: tuple[Drug, ...] = pump.drugs
        self.flow_ratio = pump.nature.flow_ratio  # delivered / programmed
        self.ratio_drift_per_day = 0.0
        self.true_ml = 0.0
        self.computed_ml = 0.0
        self.delivered_ml = 0.0  # into the patient since `begin`
        self.drained_ml = 0.0  # at refills
        self.deprived_since: dt.datetime | None = None
        self.empty_since: dt.datetime | None = None
        self.granted: list[dt.datetime] = []  # boluses of the last 24 hours
        self._boluses = 0  # since the last sample
        self._raised: set[str] = set()
        self._wishes = stream(seed, pump.serial, "bolus")
        self._next_request = self._request_after(pump.settings[0].since)
        while self._next_request <= begin:
            self._next_request = self._request_after(self._next_request)

    # --- time

    def advance(self, at: dt.datetime) -> list[Emission]:
        """Let the pump run until `at`, through every bolus request and battery date on the way."""
        out: list[Emission] = []
        eri_at = self.pump.nature.eri_at
        eos_at = eri_at + EOS_AFTER_ERI
        while self.at < at:
            step = min(date for date in (at, self._next_request, eri_at, eos_at) if date > self.at)
            out += self._flow(step)
            if step == eri_at:
                out.append(self._raise("eri", step))
            if step == eos_at:
                out += self._end_of_service()
            if step == self._next_request:
                self._next_request = self._request_after(step)
                out += self._request_bolus()
        return out

    @property
    def programmed_ml_per_day(self) -> float:
        """What the pump says it is set to now."""
        if self.state == "stopped":
            return 0.0
        return MINIMUM_RATE_ML_PER_DAY if self.state == "minimum_rate" else self.settings.flow_ml_per_day

    def _flow(self, at: dt.datetime) -> list[Emission]:
        """Move both reservoirs on to `at`; an alarm gets the moment when the computed volume reached it."""
        days = (at - self.at) / DAY
        computed = self.programmed_ml_per_day * days
        ratio = self.flow_ratio + self.ratio_drift_per_day * days / 2
        self.flow_ratio = max(0.0, self.flow_ratio + self.ratio_drift_per_day * days)
        turning = self.state in ("running", "minimum_rate")
        self._deliver(computed * max(0.0, ratio) if turning else 0.0, at)
        out = self._volume_alarms(computed, at)
        self.computed_ml = max(0.0, self.computed_ml - computed)
        self.at = at
        return out

    def _deliver(self, wanted: float, at: dt.datetime) -> None:
        given = min(wanted, self.true_ml)
        if given < wanted and self.empty_since is None:
            self.empty_since = self.at + (at - self.at) * (given / wanted)
        self.true_ml -= given
        self.delivered_ml += given
        deprived = self.true_ml <= 0 or self.state != "running"
        if not deprived:
            self.deprived_since = None
        elif self.deprived_since is None:
            self.deprived_since = self.empty_since or self.at

    def _volume_alarms(self, outflow: float, at: dt.datetime) -> list[Emission]:
        out = []
        levels = {"low_reservoir": self.pump.low_reservoir_alarm_ml, "empty_reservoir": 0.0}
        for kind, level in levels.items():
            if kind not in self._raised and self.computed_ml - outflow <= level:
                share = (self.computed_ml - level) / outflow if outflow else 0.0
                crossed = self.at + (at - self.at) * min(1.0, max(0.0, share))
                out.append(self._raise(kind, crossed, reservoir_ml=level))
        return out

    def _end_of_service(self) -> list[Emission]:
        eos = self._raise("eos", self.at)
        return [eos, *self._act("end_of_service"), event(self.at, "pump_stopped", "raised", cause="eos")]

    def _raise(self, kind: str, at: dt.datetime, **detail: Any) -> Emission:
        self._raised.add(kind)
        return event(at, kind, "raised", **detail)

    def _clear(self, *kinds: str) -> list[Emission]:
        raised = [kind for kind in kinds if kind in self._raised]
        self._raised.difference_update(raised)
        return [event(self.at, kind, "cleared") for kind in raised]

    # --- boluses: the patient asks, lockout and daily limit decide

    def _request_after(self, at: dt.datetime) -> dt.datetime:
        """When the patient asks next (a Poisson process, so it does not matter how time is cut into steps)."""
        per_day = self.pump.nature.bolus_requests_per_day
        if not self.settings.bolus_ml or not per_day:
            return NEVER
        return at + DAY * self._wishes.expovariate(per_day)

    def _request_bolus(self) -> list[Emission]:
        reason = self._denial()
        if reason:
            return [event(self.at, "bolus_denied", reason=reason)]
        bolus_ml = self.settings.bolus_ml or 0.0
        self._deliver(bolus_ml * self.flow_ratio, self.at)
        out = self._volume_alarms(bolus_ml, self.at)
        self.computed_ml = max(0.0, self.computed_ml - bolus_ml)
        self.granted.append(self.at)
        self._boluses += 1
        return out

    def _denial(self) -> str | None:
        self.granted = [at for at in self.granted if self.at - at < DAY]
        lockout = dt.timedelta(minutes=self.settings.lockout_min or 0)
        if self.state != "running":
            return "not_running"
        if self.granted and self.at - self.granted[-1] < lockout:
            return "lockout"
        return "daily_limit" if len(self.granted) >= (self.settings.max_boluses_per_day or 0) else None

    # --- acts

    def _act(self, act: Act) -> list[Emission]:
        """Change state by the table; ValueError for what a pump in this state cannot do."""
        try:
            self.state = TRANSITIONS[self.state, act]
        except KeyError:
            raise ValueError(f"pump {self.pump.serial}: {act} is impossible while {self.state}") from None
        return []

    def stall(self) -> list[Emission]:
        return [*self._act("stall"), self._raise("motor_stall", self.at)]

    def recover(self) -> list[Emission]:
        return [*self._act("recover"), *self._clear("motor_stall")]

    def enter_mri(self) -> list[Emission]:
        """The magnet stops the rotor: the scan and a stall are logged."""
        return [*self._act("enter_mri"), event(self.at, "mri_entered"), self._raise("motor_stall", self.at)]

    def leave_mri(self) -> list[Emission]:
        return [*self._act("leave_mri"), event(self.at, "mri_left")]

    def battery_fault(self) -> list[Emission]:
        return [*self._act("battery_fault"), event(self.at, "memory_error", "raised", cause="battery")]

    def leave_session_open(self) -> list[Emission]:
        """Programming begins, stops the pump, and is never finished."""
        opened = event(self.at, "session_opened")
        return [opened, *self._act("stop"), event(self.at, "pump_stopped", "raised", cause="programmer")]

    def change_rate(self, flow_ml_per_day: float) -> list[Emission]:
        before = self.settings.flow_ml_per_day
        self.settings = PumpSettings(
            since=self.at,
            flow_ml_per_day=flow_ml_per_day,
            bolus_ml=self.settings.bolus_ml,
            max_boluses_per_day=self.settings.max_boluses_per_day,
            lockout_min=self.settings.lockout_min,
        )
        changed = event(self.at, "rate_changed", before_ml_per_day=before, after_ml_per_day=flow_ml_per_day)
        return [event(self.at, "session_opened"), changed, event(self.at, "session_closed")]

    def jump_flow(self, ratio: float) -> list[Emission]:
        self.flow_ratio = ratio
        return []

    def drift_flow(self, per_30_days: float) -> list[Emission]:
        self.ratio_drift_per_day = per_30_days / 30
        return []

    def refill(self, filled_ml: float, pocket_ml: float = 0.0) -> list[Emission]:
        """Empty and fill; the clinic enters `filled_ml`, of which `pocket_ml` missed the reservoir."""
        self.drained_ml += self.true_ml
        self.true_ml = min(self.pump.reservoir_ml, max(0.0, filled_ml - pocket_ml))
        self.computed_ml = filled_ml
        self.empty_since = None
        if self.state == "running" and self.true_ml > 0:
            self.deprived_since = None
        cleared = self._clear("low_reservoir", "empty_reservoir")
        return [event(self.at, "session_opened"), *cleared, event(self.at, "session_closed")]

    def aspirated_ml(self, rng: random.Random) -> float:
        """What a syringe would show if the reservoir were emptied now."""
        return round(max(0.0, self.true_ml + rng.gauss(0, SYRINGE_SD_ML)), 1)

    # --- reporting

    def sample(self) -> Emission:
        """The reading as `up/telemetry` carries it; counts boluses from here on."""
        months = max(0.0, (self.pump.nature.eri_at - self.at) / MONTH)
        body: dict[str, Any] = {
            "state": self.state,
            "reservoir_ml": round(self.computed_ml, 3),
            "flow_ml_per_day": self.programmed_ml_per_day,
            "battery_v": round(2.5 + 0.3 * min(1.0, months / 60), 2),
            "eri_months": round(months, 1),
            "low_reservoir_alarm_ml": self.pump.low_reservoir_alarm_ml,
        }
        if self.settings.bolus_ml:
            body |= {"boluses": self._boluses, "bolus_ml": self.settings.bolus_ml}
        self._boluses = 0
        return Emission(self.at, "sample", body)
