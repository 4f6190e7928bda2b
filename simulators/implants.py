"""Draws the devices themselves: which model, how it is set, and when its refill visits were."""

import datetime as dt
import math
import random
from typing import Any
from zoneinfo import ZoneInfo

from .cohort import (
    Drug,
    Lead,
    Pump,
    PumpNature,
    PumpSettings,
    Stimulator,
    StimulatorNature,
    StimulatorSettings,
)
from .happenings import Refill
from .reference import REFERENCE, PumpModel, Recipe, StimulatorModel, gtin14
from .scenario_file import PumpRole, StimulatorRole
from .seeds import device_uuid, stream

DAY = dt.timedelta(days=1)
LOW_RESERVOIR_ALARM_ML = 2.0  # as the manufacturer recommended (2004)
LONGEST_INTERVAL_DAYS = 80.0
MOST_DAYS_OF_STABILITY = 0.92  # clinics refill before the drug's limit
FLOW_RATIO = (1.01, 0.035)  # mean and SD of delivered / programmed among pumps within specification
EARLIER_FILLS = 4  # at least so many in the clinic's record, so that a pump's flow ratio can be learned


# --- pumps


def draw_pump(
    role: PumpRole, recipe: Recipe, seed: int, number: int, now: dt.datetime, days: float, zone: ZoneInfo
) -> tuple[Pump, list[Refill]]:
    """A pump and its refill visits. What the syringe showed at them is not known yet: `fills` is empty."""
    rng = stream(seed, number, "pump")
    model = rng.choice([m for m in REFERENCE.pumps if _fits(m, role, recipe)])
    serial = f"P{seed}-{number:05d}"
    interval = _interval_days(recipe, rng)
    visits = _visits(role, interval, now, days, zone, rng)
    volume = model.reservoir_ml - LOW_RESERVOIR_ALARM_ML
    flow = volume / interval
    if role.refill_due_in_days is not None:  # visits are on working days, so the rate makes the date exact
        flow = volume / ((now - visits[-1]) / DAY + role.refill_due_in_days)
    settings, requests_per_day = _settings(role, recipe, flow, visits[0], rng)
    implanted = visits[0] - dt.timedelta(days=rng.choice((0, 0, rng.uniform(30, 900))))
    service = dt.timedelta(days=model.service_years * 365 * rng.uniform(0.9, 1.1))
    ratio = min(1.12, max(0.9, rng.gauss(*FLOW_RATIO))) if role.flow_ratio is None else role.flow_ratio
    pump = Pump(
        **_identity(model, serial, seed, implanted),
        reservoir_ml=model.reservoir_ml,
        low_reservoir_alarm_ml=LOW_RESERVOIR_ALARM_ML,
        accuracy_pct=model.accuracy_pct,
        catheter_tip_level=rng.choice(("T8", "T9", "T10", "T11")),
        catheter_volume_ml=round(rng.uniform(0.15, 0.24), 3),
        drugs=_drugs(recipe, flow, rng),
        settings=(settings,),
        fills=(),
        nature=PumpNature(
            flow_ratio=round(ratio, 4),
            bolus_requests_per_day=requests_per_day,
            eri_at=max(implanted + service, now + dt.timedelta(days=120)),
            benefit_points=round(rng.uniform(2, 4), 1),
        ),
    )
    return pump, [Refill(at=at, filled_ml=model.reservoir_ml) for at in visits]


def _fits(model: PumpModel, role: PumpRole, recipe: Recipe) -> bool:
    return model.reservoir_ml in recipe.reservoirs_ml and role.model in (None, model.model)


def _interval_days(recipe: Recipe, rng: random.Random) -> float:
    """From a full reservoir to the low-reservoir alarm."""
    longest = min(LONGEST_INTERVAL_DAYS, recipe.stability_days * MOST_DAYS_OF_STABILITY)
    return rng.uniform(0.5 * longest, longest)


def _visits(
    role: PumpRole, interval: float, now: dt.datetime, days: float, zone: ZoneInfo, rng: random.Random
) -> list[dt.datetime]:
    """Refill visits in working hours, the last one so long ago that the next is due as the role says."""
    every = interval * rng.uniform(0.8, 0.9)
    if role.refill_due_in_days is None:
        last = now - dt.timedelta(days=1.5 + every * rng.uniform(0, 0.8))
    else:
        last = now + dt.timedelta(days=role.refill_due_in_days - interval)
    oldest = now - dt.timedelta(days=days)
    visits = [min(_working_time(last, zone, rng), now - DAY / 2)]
    while len(visits) <= EARLIER_FILLS or visits[0] > oldest:
        earlier = visits[0] - dt.timedelta(days=every * rng.uniform(0.92, 1))
        visits.insert(0, _working_time(earlier, zone, rng))
    return visits


def _working_time(at: dt.datetime, zone: ZoneInfo, rng: random.Random) -> dt.datetime:
    """A moment in office hours on that local day, or on the Friday before a weekend."""
    day = at.astimezone(zone).date()
    day -= dt.timedelta(days=max(0, day.weekday() - 4))
    time = dt.time(rng.randint(8, 15), rng.choice((0, 15, 30, 45)))
    return dt.datetime.combine(day, time, zone).astimezone(dt.UTC)


def _settings(
    role: PumpRole, recipe: Recipe, flow: float, since: dt.datetime, rng: random.Random
) -> tuple[PumpSettings, float]:
    """`flow` is what leaves per day if every allotted bolus is taken. Also: requests per day."""
    wants = rng.random() < 0.5 if role.boluses is None else role.boluses
    if not (recipe.boluses and wants) or role.refill_due_in_days is not None:
        return PumpSettings(since=since, flow_ml_per_day=round(flow, 4)), 0.0
    per_day = rng.randint(3, 6)
    bolus_ml = round(0.05 * flow, 3)
    settings = PumpSettings(
        since=since,
        flow_ml_per_day=round(flow - per_day * bolus_ml, 4),
        bolus_ml=bolus_ml,
        max_boluses_per_day=per_day,
        lockout_min=rng.choice((60, 120, 180)),
    )
    return settings, round(rng.uniform(0.3, 1.1) * per_day, 2)


def _drugs(recipe: Recipe, flow: float, rng: random.Random) -> tuple[Drug, ...]:
    """The strength that brings the daily dose into its range, or as near as there is one."""
    low, high = recipe.mg_per_day
    in_range = [strength for strength in recipe.mg_per_ml if low <= strength * flow <= high]
    middle = math.sqrt(low * high)
    nearest = min(recipe.mg_per_ml, key=lambda strength: abs(math.log(strength * flow / middle)))
    first = Drug(name=recipe.drugs[0], mg_per_ml=rng.choice(in_range or [nearest]))
    others = tuple(Drug(name=name, mg_per_ml=recipe.second_mg_per_ml or 0.0) for name in recipe.drugs[1:])
    return (first, *others)


# --- stimulators


def draw_stimulator(role: StimulatorRole, seed: int, number: int, now: dt.datetime) -> Stimulator:
    rng = stream(seed, number, "stimulator")
    fitting = [
        m for m in REFERENCE.stimulators if role.model in (None, m.model) and role.power in (None, m.power)
    ]
    model = rng.choice(fitting)
    serial = f"S{seed}-{number:05d}"
    implanted = now - dt.timedelta(days=rng.uniform(150, 1200))
    contacts = sum(model.leads)
    service = dt.timedelta(days=model.service_years * 365 * rng.uniform(0.8, 1.1))
    eri_at = max(implanted + service, now + dt.timedelta(days=120))
    first_contact = rng.randrange(contacts - 3)
    return Stimulator(
        **_identity(model, serial, seed, implanted),
        leads=tuple(
            Lead(
                contacts=count,
                tip_level=rng.choice(("T8", "T9")),
                model=f"lead {count}",
                serial=f"{serial}-L{place}",
            )
            for place, count in enumerate(model.leads, start=1)
        ),
        settings=(
            StimulatorSettings(
                since=implanted,
                program=rng.choice(("A", "B", "C")),
                amplitude_ma=round(rng.uniform(*model.amplitude_ma), 1),
                pulse_width_us=round(rng.uniform(*model.pulse_width_us), -1),
                rate_hz=round(rng.uniform(*model.rate_hz)),
                contacts=tuple(range(first_contact, first_contact + 4)),
            ),
        ),
        nature=_stimulator_nature(model, contacts, eri_at, rng),
    )


def _stimulator_nature(
    model: StimulatorModel, contacts: int, eri_at: dt.datetime, rng: random.Random
) -> StimulatorNature:
    return StimulatorNature(
        rechargeable=model.power == "rechargeable",
        closed_loop=model.closed_loop,
        duty=model.duty,
        usage=1.0 if rng.random() < 0.7 else round(rng.uniform(0.5, 0.9), 2),
        drain_pct_per_day=round(rng.uniform(6, 18), 1),
        impedance_ohm=tuple(round(math.exp(rng.gauss(math.log(620), 0.25))) for _ in range(contacts)),
        eri_at=eri_at,
        eos_at=eri_at + dt.timedelta(days=90),
        benefit_points=round(rng.uniform(2, 4), 1),
    )


# --- both


def _identity(
    model: PumpModel | StimulatorModel, serial: str, seed: int, implanted: dt.datetime
) -> dict[str, Any]:
    rng = stream(seed, serial, "udi")
    made = implanted.date() - dt.timedelta(days=rng.randint(40, 400))
    expires = made + dt.timedelta(days=730)
    lot = f"L{rng.randrange(10**6):06d}"
    return {
        "id": device_uuid(seed, serial),
        "manufacturer": model.manufacturer,
        "model": model.model,
        "serial": serial,
        "udi": f"(01){gtin14(model.gtin)}(11){made:%y%m%d}(17){expires:%y%m%d}(10){lot}(21){serial}",
        "firmware": model.firmware,
        "implanted_on": implanted.date(),
    }
