"""A device's history as the rules see it, from what a simulated device said: the same sums as the database makes."""

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from sc_stim.clinical.therapy_health import Day, DeviceHistory, ImpedanceReading, Prescribed
from simulators.cohort import Pump, Stimulator
from simulators.course import Told

Sample = tuple[dt.datetime, dict[str, Any]]
SETTINGS = ("program", "amplitude_ma", "pulse_width_us", "rate_hz", "flow_ml_per_day", "bolus_ml")


def samples_in(told: Iterable[Told], slot: str) -> list[Sample]:
    return [
        (one.emission.at, one.emission.body)
        for one in told
        if one.slot == slot and one.emission.kind == "sample"
    ]


def days_of(samples: Iterable[Sample]) -> Iterator[Day]:
    before: dt.datetime | None = None
    for _, group in groupby(sorted(samples, key=lambda one: one[0]), key=lambda one: one[0].date()):
        rows = list(group)
        (at, newest), states = rows[-1], {row.get("state") for _, row in rows}
        yield Day(
            at=at,
            covered=None if before is None else at - before,
            state=newest.get("state"),
            said_on="on" in states,
            said_off="off" in states,
            cycling="cycling" in states,
            mri="mri" in states,
            on_s=_sum(rows, "on_s"),
            charged_s=_sum(rows, "charged_s"),
            battery_pct=newest.get("battery_pct"),
            battery_v=newest.get("battery_v"),
            eri_months=newest.get("eri_months"),
            ecap_in_window_pct=_mean(rows, "ecap_in_window_pct"),
            settings={name: newest.get(name) for name in SETTINGS},
        )
        before = at


def _values(rows: list[Sample], name: str) -> list[float]:
    return [row[name] for _, row in rows if row.get(name) is not None]


def _sum(rows: list[Sample], name: str) -> float | None:
    values = _values(rows, name)
    return sum(values) if values else None


def _mean(rows: list[Sample], name: str) -> float | None:
    values = _values(rows, name)
    return sum(values) / len(values) if values else None


def prescribed(device: Pump | Stimulator) -> tuple[Prescribed, ...]:
    """As the clinic's record has it."""
    return tuple(
        Prescribed(
            row.since,
            {name: getattr(row, name, None) for name in SETTINGS},
            getattr(row, "contacts", None),
        )
        for row in device.settings
    )


def history_of(
    device: Stimulator, samples: list[Sample], until: dt.datetime, window_d: float = 60.0, **more: Any
) -> DeviceHistory:
    """What is known of a stimulator at `until`."""
    begin = bisect_left(samples, until - dt.timedelta(days=window_d), key=lambda one: one[0])
    seen = samples[begin : bisect_left(samples, until, key=lambda one: one[0])]
    readings = [
        ImpedanceReading(at, tuple(row["impedance_ohm"]), row.get("posture"))
        for at, row in seen
        if row.get("impedance_ohm")
    ][-40:]
    known: dict[str, Any] = {
        "rechargeable": device.nature.rechargeable,
        "open_ohm": 10_000.0,
        "short_ohm": 100.0,
    }
    return DeviceHistory(
        "stimulator", tuple(days_of(seen)), tuple(readings), prescribed(device), **known | more
    )
