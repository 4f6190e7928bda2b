"""What can happen to a patient or a device: the vocabulary of scenario files and of the truth file.

A scenario file gives `days_ago` (negative: days from now) or `at`; in a loaded cohort every happening has
`at`.
"""

import datetime as dt
import re
from typing import Annotated, Literal

import msgspec

Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Points = Annotated[float, msgspec.Meta(ge=-10, le=10)]
Slot = Literal["pump", "stimulator"]


def snake(name: str) -> str:
    """`LeadFracture` -> `lead_fracture`, the kind as scenario files write it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Happening(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag=snake,
):
    """One thing that happens at one moment."""

    days_ago: float | None = None
    at: dt.datetime | None = None

    @property
    def when(self) -> dt.datetime:
        """The moment, once resolved; ValueError before that."""
        if self.at is None:
            raise ValueError(f"{type(self).__name__} is not resolved: it has no `at`")
        return self.at


# --- pumps


class Refill(Happening, frozen=True, kw_only=True):
    """A clinic visit: reservoir emptied and filled. `pocket_ml` of the drug misses the reservoir."""

    filled_ml: Positive
    pocket_ml: NotNegative = 0.0


class Stall(Happening, frozen=True, kw_only=True):
    """The rotor stands still. `recovers_after_h` absent: for good."""

    recovers_after_h: Positive | None = None


class SessionLeftOpen(Happening, frozen=True, kw_only=True):
    """A programming session stops the pump and is never finished: the patient leaves with a stopped pump."""


class FlowJump(Happening, frozen=True, kw_only=True):
    """From now on the pump delivers `ratio` times what is programmed (1.2: a fifth too much)."""

    ratio: Positive


class FlowDrift(Happening, frozen=True, kw_only=True):
    """The ratio of delivered to programmed flow begins to rise (or fall) by this much every 30 days."""

    per_30_days: float


class RateChange(Happening, frozen=True, kw_only=True):
    """A new programmed rate. `recorded` false: nobody wrote it into the clinic's record."""

    flow_ml_per_day: Positive
    recorded: bool = True


class BatteryFault(Happening, frozen=True, kw_only=True):
    """The pump resets itself to its minimum rate: running, but not delivering the prescription."""


# --- stimulators


class LeadFracture(Happening, frozen=True, kw_only=True):
    """Contacts go open and their share of the pain relief is lost."""

    contacts: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0)], ...], msgspec.Meta(min_length=1)]
    pain_points: Points = 3.0
    onset_days: NotNegative = 1.0


class Migration(Happening, frozen=True, kw_only=True):
    """The lead moves: relief is lost, impedance stays as it was."""

    pain_points: Points = 2.5
    onset_days: NotNegative = 0.5


class SwitchedOff(Happening, frozen=True, kw_only=True):
    """The patient turns stimulation off, for good or for some days."""

    for_days: Positive | None = None


class StopsCharging(Happening, frozen=True, kw_only=True):
    """The patient no longer charges (rechargeable stimulators only), for good or for some days."""

    for_days: Positive | None = None


class ProgramChange(Happening, frozen=True, kw_only=True):
    """Another programme. `recorded` false: nobody wrote it into the clinic's record."""

    program: str
    amplitude_ma: Positive
    recorded: bool = True


# --- either device


class MriScan(Happening, frozen=True, kw_only=True):
    """A scan stops a pump, which recovers later (null: never); a stimulator leaves MRI mode, or not."""

    minutes: Positive = 40
    pump_recovers_after_h: Positive | None = 0.4
    stimulator_mode_left: bool = True


class Silent(Happening, frozen=True, kw_only=True):
    """No connection any more, for good or for some days. Records are kept in the device."""

    device: Slot | None = None
    for_days: Positive | None = None


class MemoryReset(Happening, frozen=True, kw_only=True):
    """The device loses its memory: what was not stored elsewhere is gone, and a new epoch begins."""

    device: Slot | None = None


# --- the patient


class PainStep(Happening, frozen=True, kw_only=True):
    """Pain changes for good, from one day to the next, for a reason outside the devices."""

    points: Points


class PainDrift(Happening, frozen=True, kw_only=True):
    """Pain creeps up (or down) over weeks and stays there."""

    points: Points
    over_days: Positive


class PainFlare(Happening, frozen=True, kw_only=True):
    """Pain rises for some days and comes back."""

    points: Points
    for_days: Positive


class StopsReporting(Happening, frozen=True, kw_only=True):
    """No diary entries any more, for good or for some days."""

    for_days: Positive | None = None


AnyHappening = (
    Refill | Stall | SessionLeftOpen | FlowJump | FlowDrift | RateChange | BatteryFault
    | LeadFracture | Migration | SwitchedOff | StopsCharging | ProgramChange
    | MriScan | Silent | MemoryReset
    | PainStep | PainDrift | PainFlare | StopsReporting
)  # fmt: skip

NEEDS_PUMP = (Refill, Stall, SessionLeftOpen, FlowJump, FlowDrift, RateChange, BatteryFault)
NEEDS_STIMULATOR = (LeadFracture, Migration, SwitchedOff, StopsCharging, ProgramChange)
