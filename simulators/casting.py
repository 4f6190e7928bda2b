"""From a scenario to a cohort: draws the patients, their devices and the clinic's record of them.

Everything comes from the seed and from `now`; every patient has streams of its own, so a larger cohort begins
with the same patients as a smaller one.
"""

import datetime as dt
import math
import random
from collections.abc import Callable
from zoneinfo import ZoneInfo

import msgspec

from . import happenings as h
from .clinic_record import record_pump, record_stimulator
from .cohort import Cohort, DiaryHabits, Network, Patient, Stimulator
from .implants import draw_pump, draw_stimulator
from .reference import RECIPES
from .scenario_file import ChanceKind, DiaryRole, PumpRole, Role, Scenario, ScenarioError, StimulatorRole
from .seeds import stream

FIRST_NAMES = (
    "Ada", "Anton", "Asta", "Bela", "Bruno", "Carla", "Cem", "Clara", "Dana", "Edda", "Elif", "Emil",
    "Erik", "Fadi", "Frida", "Georg", "Greta", "Hanna", "Henri", "Ida", "Ines", "Ivo", "Jana", "Jonas",
    "Karl", "Katja", "Lars", "Lea", "Leon", "Lina", "Mara", "Max", "Mila", "Nadja", "Nils", "Nora",
    "Olga", "Oskar", "Paula", "Peer", "Rana", "Ruth", "Selma", "Sven", "Tara", "Theo", "Ute", "Vera",
    "Wim", "Yara",
)  # fmt: skip
LAST_NAMES = (
    "Ahrens", "Albers", "Bach", "Baum", "Berg", "Birke", "Brandt", "Buche", "Dorn", "Eiche", "Esche",
    "Falk", "Feld", "Fink", "Fuchs", "Garten", "Hain", "Halm", "Heide", "Hirsch", "Holm", "Igel", "Kamp",
    "Kiefer", "Klee", "Korn", "Krug", "Lerche", "Linde", "Luchs", "Meise", "Mohn", "Moos", "Nebel",
    "Otter", "Quell", "Rabe", "Reh", "Sand", "Specht", "Stern", "Tann", "Teich", "Ulme", "Veil", "Wald",
    "Weide", "Wiese", "Zander", "Zeder",
)  # fmt: skip

Draw = Callable[[random.Random, int], h.AnyHappening]

# What may happen to anyone; the second argument is the number of contacts (1 without a stimulator).
CHANCES: dict[ChanceKind, Draw] = {
    "pain_flare": lambda rng, _: h.PainFlare(points=rng.uniform(1.5, 3.5), for_days=rng.uniform(3, 10)),
    "pain_step": lambda rng, _: h.PainStep(points=rng.uniform(2, 4)),
    "pain_drift": lambda rng, _: h.PainDrift(points=rng.uniform(2, 4), over_days=rng.uniform(60, 120)),
    "stops_reporting": lambda rng, _: h.StopsReporting(for_days=rng.uniform(10, 40)),
    "mri_scan": lambda rng, _: h.MriScan(
        minutes=rng.uniform(20, 60),
        pump_recovers_after_h=rng.uniform(0.2, 3),
        stimulator_mode_left=rng.random() < 0.9,
    ),
    "lead_fracture": lambda rng, contacts: h.LeadFracture(
        contacts=(rng.randrange(contacts),), pain_points=rng.uniform(2, 4), onset_days=rng.uniform(0, 2)
    ),
    "migration": lambda rng, _: h.Migration(pain_points=rng.uniform(2, 3.5), onset_days=rng.uniform(0, 1)),
    "switched_off": lambda rng, _: h.SwitchedOff(for_days=rng.uniform(1, 6)),
    "stops_charging": lambda rng, _: h.StopsCharging(for_days=rng.uniform(10, 25)),
    "stall": lambda rng, _: h.Stall(recovers_after_h=rng.uniform(1, 30)),
    "flow_jump": lambda rng, _: h.FlowJump(ratio=rng.uniform(1.18, 1.35)),
    "flow_drift": lambda rng, _: h.FlowDrift(per_30_days=rng.uniform(0.02, 0.06)),
    "silent": lambda rng, _: h.Silent(for_days=rng.uniform(0.5, 5)),
    "memory_reset": lambda rng, _: h.MemoryReset(),
}
STOPS = (h.Stall, h.SessionLeftOpen, h.BatteryFault, h.MriScan, h.SwitchedOff)


def cast(
    scenario: Scenario,
    *,
    seed: int,
    now: dt.datetime,
    patients: int | None = None,
    days: float | None = None,
    pumps: int | None = None,
    stimulators: int | None = None,
    report_interval_s: float | None = None,
    network: Network | None = None,
) -> Cohort:
    """Draw a cohort; None: as the scenario says. `pumps` or `stimulators` fix the number of devices.

    Raises ScenarioError for a script that no device can follow, ValueError for a `now` without zone.
    """
    if now.tzinfo is None:
        raise ValueError("now: give an aware datetime")
    length = scenario.days if days is None else days
    roles = _roles(scenario, seed, patients, pumps, stimulators)
    return Cohort(
        scenario=scenario.name,
        seed=seed,
        now=now.astimezone(dt.UTC),
        days=length,
        history_interval_s=scenario.history_interval_s,
        report_interval_s=report_interval_s or scenario.report_interval_s,
        network=network or scenario.network,
        patients=tuple(
            _draw_patient(number, role, scenario, seed, now.astimezone(dt.UTC), length)
            for number, role in enumerate(roles, start=1)
        ),
    )


# --- who


def _roles(
    scenario: Scenario, seed: int, patients: int | None, pumps: int | None, stimulators: int | None
) -> list[Role]:
    """The cast first, then ordinary patients, up to the wanted number of patients or of devices."""
    if pumps is None and stimulators is None:
        wanted = scenario.patients if patients is None else patients
        ordinary = [_ordinary_role(scenario, seed, number) for number in range(len(scenario.cast), wanted)]
        return [*scenario.cast[:wanted], *ordinary]
    left = {"pump": pumps or 0, "stimulator": stimulators or 0}
    roles = []
    for role in scenario.cast:
        if all(left[slot] for slot in role.slots):
            roles.append(role)
            for slot in role.slots:
                left[slot] -= 1
    both = min(left["pump"], left["stimulator"], round(scenario.ordinary.both_share * sum(left.values()) / 2))
    roles += [Role(role="", pump=PumpRole(), stimulator=StimulatorRole())] * both
    roles += [Role(role="", pump=PumpRole())] * (left["pump"] - both)
    return roles + [Role(role="", stimulator=StimulatorRole())] * (left["stimulator"] - both)


def _ordinary_role(scenario: Scenario, seed: int, number: int) -> Role:
    rng = stream(seed, number, "role")
    both = rng.random() < scenario.ordinary.both_share
    pump = rng.random() < scenario.ordinary.pump_share
    return Role(
        role="",
        pump=PumpRole() if both or pump else None,
        stimulator=StimulatorRole() if both or not pump else None,
    )


def _draw_patient(
    number: int, role: Role, scenario: Scenario, seed: int, now: dt.datetime, days: float
) -> Patient:
    rng = stream(seed, number, "patient")
    zone = scenario.time_zones[number % len(scenario.time_zones)]
    stimulator = draw_stimulator(role.stimulator, seed, number, now) if role.stimulator else None
    script = [_resolved(happening, now) for happening in role.happenings]
    script += _chances(script, role, scenario, stimulator, stream(seed, number, "chances"), now, days)
    pump = None
    if role.pump:
        recipe = role.pump.recipe or _weighted(scenario.ordinary.recipes, stream(seed, number, "recipe"))
        pump, refills = draw_pump(role.pump, RECIPES[recipe], seed, number, now, days, ZoneInfo(zone))
        script += refills
    script.sort(key=lambda happening: happening.when)
    try:
        pump = record_pump(pump, script, seed, now) if pump else None
        stimulator = record_stimulator(stimulator, script, seed) if stimulator else None
    except ValueError as error:
        who = f"scenario {scenario.name}, patient {number} ({role.role or 'ordinary'})"
        raise ScenarioError(f"{who}: {error}") from error
    return Patient(
        number=number,
        role=role.role,
        name=f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}",
        birth_year=now.year - rng.randint(32, 84),
        time_zone=zone,
        phone=f"+49 30 23125 {rng.randrange(1000):03d}",  # a range that the regulator keeps for fiction
        diary=_draw_diary(role.diary, rng),
        pump=pump,
        stimulator=stimulator,
        script=tuple(script),
    )


def _weighted(weights: dict[str, float], rng: random.Random) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _draw_diary(role: DiaryRole, rng: random.Random) -> DiaryHabits:
    """Daily SD: median 1.2, 10-90 % of people 0.6-2.1, as in published diaries; most days are reported."""
    drawn_sd = min(2.4, max(0.4, math.exp(rng.gauss(math.log(1.2), 0.4))))
    drawn_reporting = min(0.98, max(0.4, rng.gauss(0.86, 0.08)))
    reporting = drawn_reporting if role.reporting is None else role.reporting
    misses_after_miss = 0.5
    return DiaryHabits(
        level=round(rng.uniform(2.5, 5.5), 1) if role.level is None else role.level,
        sd=round(drawn_sd, 2) if role.sd is None else role.sd,
        wander_share=0.45,
        misses_after_report=min(1.0, (1 - reporting) * (1 - misses_after_miss) / reporting),
        misses_after_miss=misses_after_miss,
        scores_per_day=rng.choice((1, 1, 2, 2, 3)),
        half_points=rng.random() < 0.3,
        site=rng.choice(("back", "leg", "overall")),
    )


# --- what happens


def _resolved(happening: h.AnyHappening, now: dt.datetime) -> h.AnyHappening:
    if happening.days_ago is None:
        return msgspec.structs.replace(happening, at=happening.when.astimezone(dt.UTC))
    return msgspec.structs.replace(happening, at=now - dt.timedelta(days=happening.days_ago), days_ago=None)


def _chances(
    script: list[h.AnyHappening],
    role: Role,
    scenario: Scenario,
    stimulator: Stimulator | None,
    rng: random.Random,
    now: dt.datetime,
    days: float,
) -> list[h.AnyHappening]:
    """What chance adds to a patient's history. Who has a part in the cast is left to it."""
    drawn: list[h.AnyHappening] = []
    if role.role:
        return drawn
    for kind, per_year in sorted(scenario.ordinary.per_year.items()):
        passed = rng.expovariate(per_year / 365) if per_year else days
        while passed < days:
            happening = CHANCES[kind](rng, stimulator.contacts if stimulator else 1)
            if _possible(happening, role, [*script, *drawn]):
                at = now - dt.timedelta(days=days - passed)
                drawn.append(msgspec.structs.replace(happening, at=at))
            passed += rng.expovariate(per_year / 365)
    return drawn


def _possible(happening: h.AnyHappening, role: Role, others: list[h.AnyHappening]) -> bool:
    """A device must be there, and at most one thing by chance may stop a pump or a stimulator."""
    if isinstance(happening, h.NEEDS_PUMP) and not role.pump:
        return False
    if isinstance(happening, h.NEEDS_STIMULATOR) and not role.stimulator:
        return False
    return not (isinstance(happening, STOPS) and any(isinstance(other, STOPS) for other in others))
