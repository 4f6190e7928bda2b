"""What the clinic knows about one pump: the input of the refill forecast, in Python and (see refill_case) in
JSON.
"""

from datetime import date, datetime
from typing import Annotated

from msgspec import Meta, Struct

# Bounds of what can be typed, wider than any implanted pump; a value past them is a slip, not a setting.
Volume = Annotated[float, Meta(ge=0, le=100)]
Capacity = Annotated[float, Meta(gt=0, le=100)]
Flow = Annotated[float, Meta(ge=0, le=100)]
Percent = Annotated[float, Meta(gt=0, lt=100)]
Days = Annotated[int, Meta(ge=0, le=365)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Instant = Annotated[datetime, Meta(tz=True)]


class _Record(Struct, frozen=True, forbid_unknown_fields=True):
    """Fields are checked when decoded from JSON, not when built in Python."""


class DrugInPump(_Record, frozen=True, kw_only=True):
    """`mg_per_ml` None: the concentration is not known."""

    name: Name
    mg_per_ml: Annotated[float, Meta(gt=0, le=1000)] | None = None


class PatternStep(_Record, frozen=True, kw_only=True, rename={"since": "from"}):
    """From `since` (HH:MM by the pump's clock) to the next step; the last one holds until midnight."""

    since: TimeOfDay
    flow_ml_per_day: Flow


class PumpSetting(_Record, frozen=True, kw_only=True, rename={"since": "from"}):
    """Programmed from `since` until the next setting. `pattern`: steps over the day, whose volume per day is
    `flow_ml_per_day` (see pattern).
    """

    since: Instant
    flow_ml_per_day: Flow
    bolus_ml: Annotated[float, Meta(ge=0, le=10)] = 0.0
    max_boluses_per_day: Annotated[float, Meta(ge=0, le=288)] = 0.0
    pattern: Annotated[tuple[PatternStep, ...], Meta(max_length=48)] = ()

    @property
    def allows_boluses(self) -> bool:
        return self.bolus_ml > 0 and self.max_boluses_per_day > 0


class Fill(_Record, frozen=True, kw_only=True):
    """One refill visit: `aspirated_ml` was drawn out (None: not measured), then `filled_ml` is in the
    reservoir.
    """

    at: Instant
    filled_ml: Volume
    aspirated_ml: Volume | None = None


class BolusCount(_Record, frozen=True, kw_only=True, rename={"first_day": "from", "until": "to"}):
    """Boluses delivered from the start of local day `first_day` up to the start of local day `until`."""

    first_day: date
    until: date
    count: Annotated[int, Meta(ge=0, le=100_000)]


class ReservoirReading(_Record, frozen=True, kw_only=True):
    """What the pump counted in its reservoir: computed from the programmed rate, not measured."""

    at: Instant
    reservoir_ml: Volume


class PumpRecord(_Record, frozen=True, kw_only=True):
    """Newest last is not required: fills and settings are sorted where they are used.

    `low_reservoir_alarm_ml` None: the manufacturer's recommended 2 mL is taken and flagged as unverified for
    this pump. `accuracy_pct` is the labelled accuracy of the pump model; None: not known. `country`: see
    workdays.ClinicCalendar. `margin_days` is taken off the low-reservoir date, `pharmacy_lead_days` off the
    final date. `reading`: the newest one.
    """

    timezone: Name
    reservoir_ml: Capacity
    drugs: tuple[DrugInPump, ...]
    settings: tuple[PumpSetting, ...]
    fills: tuple[Fill, ...]
    low_reservoir_alarm_ml: Volume | None = None
    accuracy_pct: Percent | None = None
    end_of_service: date | None = None
    boluses: tuple[BolusCount, ...] = ()
    closed_days: tuple[date, ...] = ()
    country: str | None = None
    pharmacy_lead_days: Days = 0
    margin_days: Days = 0
    reading: ReservoirReading | None = None
