"""What is known of one device, in the form in which it is judged: days, impedance readings, prescriptions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Day:
    """The reports of one UTC day. None: not reported.

    at: of the newest sample. covered: since the newest sample of the day before that has any
    on_s, charged_s: sums over the day. battery_*, eri_months, settings, state: of the newest sample
    ecap_in_window_pct: mean. said_on, said_off, cycling, mri: whether any sample of the day said so
    """

    at: datetime
    covered: timedelta | None = None
    state: str | None = None
    said_on: bool = False
    said_off: bool = False
    cycling: bool = False
    mri: bool = False
    on_s: float | None = None
    charged_s: float | None = None
    battery_pct: float | None = None
    battery_v: float | None = None
    eri_months: float | None = None
    ecap_in_window_pct: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def usage(self) -> float | None:
        """Share of the time since the day before in which there was stimulation, 0 to 1."""
        if self.on_s is None or not self.covered:
            return None
        return min(1.0, self.on_s / self.covered.total_seconds())


@dataclass(frozen=True, slots=True)
class ImpedanceReading:
    """Ohm per contact in contact order; None: not measured."""

    at: datetime
    ohm: tuple[float | None, ...]
    posture: str | None = None


@dataclass(frozen=True, slots=True)
class Prescribed:
    """`values` by field, as interfaces name them; `contacts`, counted from 0, are those of its programme."""

    effective_at: datetime
    values: Mapping[str, Any]
    contacts: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class DeviceHistory:
    """One device, oldest first. The model's figures are None where they are not known.

    pain_rose: an open finding says so; it makes a fault of a contact in use worse
    """

    kind: str
    days: tuple[Day, ...] = ()
    impedance: tuple[ImpedanceReading, ...] = ()
    prescribed: tuple[Prescribed, ...] = ()
    rechargeable: bool | None = None
    open_ohm: float | None = None
    short_ohm: float | None = None
    replacement_v: float | None = None
    pain_rose: bool = False

    def in_force(self, at: datetime) -> Prescribed | None:
        """The prescription that holds at this moment."""
        return next((row for row in reversed(self.prescribed) if row.effective_at <= at), None)
