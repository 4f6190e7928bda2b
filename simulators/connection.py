"""What stands between a device and the broker: its clock, its offline windows, and a lossy network.

All of it drawn from seeded streams, none of it knows MQTT.
"""

import datetime as dt
import random
from collections.abc import Iterator
from typing import NamedTuple

from .cohort import Network, Patient
from .happenings import Silent, Slot
from .seeds import stream

DAY = dt.timedelta(days=1)
FOREVER = dt.datetime.max.replace(tzinfo=dt.UTC)
BACK_WITHIN_S = 30.0  # a device that is offline at the start comes back within this time
REORDER_DELAY_S = (0.2, 5.0)


class DeviceClock:
    """A device's own clock: `error_s` wrong at `since`, and gaining `drift_ppm` (negative: losing)."""

    def __init__(self, since: dt.datetime, error_s: float = 0.0, drift_ppm: float = 0.0) -> None:
        self._since = since
        self._error_s = error_s
        self._drift = drift_ppm * 1e-6

    @classmethod
    def drawn(cls, network: Network, rng: random.Random, since: dt.datetime) -> "DeviceClock":
        """Wrong by as much as the network's settings say, ahead or behind."""
        return cls(since, rng.choice((-1, 1)) * network.skew_s, rng.choice((-1, 1)) * network.drift_ppm)

    def shows(self, at: dt.datetime) -> dt.datetime:
        """What this clock shows, or would have shown as it is set now, at the true time `at`."""
        return at + dt.timedelta(seconds=self._error_s) + (at - self._since) * self._drift

    def set(self, at: dt.datetime, to: dt.datetime) -> None:
        """At the true time `at` the clock is set to `to`."""
        self._since = at
        self._error_s = (to - at).total_seconds()


class Window(NamedTuple):
    """Offline from `start` on, back at `end`."""

    start: dt.datetime
    end: dt.datetime


class OfflineWindows:
    """When a device has no connection: by the script, and once a day by chance if the network says so.

    The first window by chance lies before `anchor`, and ends shortly after it.
    """

    def __init__(self, hours: float, rng: random.Random, anchor: dt.datetime, scripted: list[Window]) -> None:
        self._length = dt.timedelta(hours=hours)
        self._anchor = anchor
        self._scripted = scripted
        self._back_at = anchor + dt.timedelta(seconds=rng.uniform(0, BACK_WITHIN_S))
        self._place = rng.random()  # of the window within each later day

    def at(self, at: dt.datetime) -> Window | None:
        """The window that contains `at`; None: online."""
        covering = [window for window in self._near(at) if window.start <= at < window.end]
        return min(covering, default=None)

    def next_change(self, at: dt.datetime) -> dt.datetime:
        """The first moment after `at` at which a window begins or ends; FOREVER: none."""
        moments = [moment for window in self._near(at) for moment in window]
        return min((moment for moment in moments if moment > at), default=FOREVER)

    def _near(self, at: dt.datetime) -> Iterator[Window]:
        yield from self._scripted
        if not self._length:
            return
        yield Window(self._anchor - self._length, self._back_at)
        today = max(1, (at - self._anchor) // DAY)
        for day in (today, today + 1):
            start = self._anchor + DAY * day + (DAY - self._length) * self._place
            yield Window(start, start + self._length)


def scripted_windows(patient: Patient, slot: Slot) -> list[Window]:
    """When the script silences this device of the patient."""
    return [
        Window(h.when, FOREVER if h.for_days is None else h.when + dt.timedelta(days=h.for_days))
        for h in patient.script
        if isinstance(h, Silent) and h.device in (None, slot)
    ]


class Faults:
    """The dice of a bad network, thrown once for each message."""

    def __init__(self, network: Network, seed: int, serial: str) -> None:
        self._network = network
        self._rng = stream(seed, serial, "faults")

    def deliveries(self) -> list[float]:
        """After how many seconds each copy of one message goes out; empty: the message is lost."""
        if self._rng.random() < self._network.loss:
            return []
        return [self._delay_s() for _ in range(self._copies())]

    def _copies(self) -> int:
        whole = int(self._network.duplicate)
        return whole + (self._rng.random() < self._network.duplicate - whole)

    def _delay_s(self) -> float:
        return self._rng.uniform(*REORDER_DELAY_S) if self._rng.random() < self._network.reorder else 0.0
