"""Who is simulated: patients, devices, what the clinic wrote down about them, and what is hidden from it.

Plain frozen values. `to_json` is the plan from which a seeding program makes the clinic's records. What only
a simulator can know (the true flow ratio, how much relief the therapy gives) stands in `nature`.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Literal, TypeVar

import msgspec

from .happenings import AnyHappening


class _Value(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Drug(_Value, frozen=True, kw_only=True):
    name: str
    mg_per_ml: float


class PumpSettings(_Value, frozen=True, kw_only=True):
    """What a clinician prescribed from `since` on."""

    since: dt.datetime
    flow_ml_per_day: float
    bolus_ml: float | None = None
    max_boluses_per_day: int | None = None
    lockout_min: int | None = None


class Fill(_Value, frozen=True, kw_only=True):
    """One refill visit as written down. `aspirated_ml`: what the syringe showed; None at the first fill."""

    at: dt.datetime
    aspirated_ml: float | None
    filled_ml: float
    drugs: tuple[Drug, ...]


class PumpNature(_Value, frozen=True, kw_only=True):
    """flow_ratio: delivered / programmed. benefit_points: pain (NRS) that returns without the drug."""

    flow_ratio: float
    bolus_requests_per_day: float
    eri_at: dt.datetime
    benefit_points: float


class Device(_Value, frozen=True, kw_only=True):
    id: str
    manufacturer: str
    model: str
    serial: str
    udi: str
    firmware: str
    implanted_on: dt.date


class Pump(Device, frozen=True, kw_only=True):
    kind: Literal["pump"] = "pump"
    reservoir_ml: float
    low_reservoir_alarm_ml: float
    accuracy_pct: float
    catheter_tip_level: str
    catheter_volume_ml: float
    drugs: tuple[Drug, ...]
    settings: tuple[PumpSettings, ...]
    fills: tuple[Fill, ...]
    nature: PumpNature


class Lead(_Value, frozen=True, kw_only=True):
    contacts: int
    tip_level: str
    model: str
    serial: str


class StimulatorSettings(_Value, frozen=True, kw_only=True):
    """What a clinician prescribed from `since` on. `contacts`: indexes in use, counted through all leads."""

    since: dt.datetime
    program: str
    amplitude_ma: float
    pulse_width_us: float
    rate_hz: float
    contacts: tuple[int, ...]


class StimulatorNature(_Value, frozen=True, kw_only=True):
    """duty: share of the time with pulses while on (below 1: cycling). usage: share of the day it is on.

    impedance_ohm: one per contact, in contact order. drain_pct_per_day: at full usage (rechargeable only).
    """

    rechargeable: bool
    closed_loop: bool
    duty: float
    usage: float
    drain_pct_per_day: float
    impedance_ohm: tuple[float, ...]
    eri_at: dt.datetime
    eos_at: dt.datetime
    benefit_points: float


class Stimulator(Device, frozen=True, kw_only=True):
    kind: Literal["stimulator"] = "stimulator"
    leads: tuple[Lead, ...]
    settings: tuple[StimulatorSettings, ...]
    nature: StimulatorNature

    @property
    def contacts(self) -> int:
        return sum(lead.contacts for lead in self.leads)


class DiaryHabits(_Value, frozen=True, kw_only=True):
    """How a patient feels and writes. sd: of daily means within the person; wander_share: its slow part.

    misses_after_report and misses_after_miss: chance of an empty day after a day with and one without
    entries.
    """

    level: float
    sd: float
    wander_share: float
    misses_after_report: float
    misses_after_miss: float
    scores_per_day: float
    half_points: bool
    site: Literal["back", "leg", "overall"]


class Patient(_Value, frozen=True, kw_only=True):
    """`role` says which part of a scenario's cast this is; empty for the ordinary ones."""

    number: int
    role: str
    name: str
    birth_year: int
    time_zone: str
    phone: str
    diary: DiaryHabits
    pump: Pump | None
    stimulator: Stimulator | None
    script: tuple[AnyHappening, ...]

    @property
    def devices(self) -> list[Pump | Stimulator]:
        return [device for device in (self.stimulator, self.pump) if device]


_Device = TypeVar("_Device", Pump, Stimulator)


class Network(_Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How bad the connection is. duplicate: mean copies of each message; loss and reorder: share of messages.

    offline_h: length of each device's offline window, one a day and one that ends just after the start.
    skew_s: each device clock is wrong by this much, one way or the other; drift_ppm: and gains this much.
    """

    offline_h: float = 0.0
    duplicate: float = 1.0
    reorder: float = 0.0
    loss: float = 0.0
    skew_s: float = 0.0
    drift_ppm: float = 0.0

    def __post_init__(self) -> None:
        for name in ("reorder", "loss"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is a share of the messages: at least 0 and below 1")
        if self.duplicate < 1:
            raise ValueError("duplicate is the mean number of copies of each message: at least 1")
        if not 0 <= self.offline_h < 24:
            raise ValueError(
                "offline_h is the length of one offline window a day: at least 0 and below 24 hours"
            )


class Cohort(_Value, frozen=True, kw_only=True):
    """Everything a run needs. `now` is the anchor: history lies before it, live records after it."""

    scenario: str
    seed: int
    now: dt.datetime
    days: float
    history_interval_s: float
    report_interval_s: float
    network: Network
    patients: tuple[Patient, ...]

    @property
    def start(self) -> dt.datetime:
        """Where the history begins."""
        return self.now - dt.timedelta(days=self.days)

    @property
    def devices(self) -> Iterator[Pump | Stimulator]:
        return (device for patient in self.patients for device in patient.devices)

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    def renamed(self, ids: Mapping[str, str]) -> "Cohort":
        """The same cohort with other device ids (`ids`: old -> new), for ids that a server gave out."""

        def rename(device: _Device | None) -> _Device | None:
            return msgspec.structs.replace(device, id=ids.get(device.id, device.id)) if device else None

        patients = (
            msgspec.structs.replace(p, pump=rename(p.pump), stimulator=rename(p.stimulator))
            for p in self.patients
        )
        return msgspec.structs.replace(self, patients=tuple(patients))
