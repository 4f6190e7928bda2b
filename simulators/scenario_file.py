"""Scenario files: who is simulated and what happens to them. JSON in, a checked `Scenario` out."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from .cohort import Network
from .happenings import NEEDS_PUMP, NEEDS_STIMULATOR, AnyHappening, MemoryReset, Silent, Slot
from .reference import RECIPES, REFERENCE

Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
ChanceKind = Literal[
    "pain_flare", "pain_step", "pain_drift", "stops_reporting", "mri_scan", "lead_fracture", "migration",
    "switched_off", "stops_charging", "stall", "flow_jump", "flow_drift", "silent", "memory_reset",
]  # fmt: skip


class ScenarioError(ValueError):
    """A scenario that cannot be played; the message names the field and what it should be."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class PumpRole(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is fixed about a pump. refill_due_in_days: until its own low-reservoir date."""

    model: str | None = None
    recipe: str | None = None
    refill_due_in_days: float | None = None
    boluses: bool | None = None
    flow_ratio: Positive | None = None


class StimulatorRole(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    power: Literal["rechargeable", "primary"] | None = None


class DiaryRole(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """level and sd in NRS points; reporting: share of days with an entry."""

    level: Annotated[float, msgspec.Meta(ge=0, le=10)] | None = None
    sd: Annotated[float, msgspec.Meta(ge=0, le=4)] | None = None
    reporting: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None


class Role(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A patient who is certain to be there."""

    role: str
    pump: PumpRole | None = None
    stimulator: StimulatorRole | None = None
    diary: DiaryRole = DiaryRole()
    happenings: tuple[AnyHappening, ...] = ()

    @property
    def slots(self) -> set[Slot]:
        return {slot for slot in ("pump", "stimulator") if getattr(self, slot) is not None}


class Ordinary(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All other patients, drawn at random. per_year: how often things happen to one of them.

    pump_share: of patients with one device; both_share: of all patients; recipes: weight of each pump
    filling.
    """

    pump_share: Share = 0.4
    both_share: Share = 0.1
    recipes: dict[str, Positive] = msgspec.field(default_factory=lambda: dict.fromkeys(RECIPES, 1.0))
    per_year: dict[ChanceKind, NotNegative] = {}


class Scenario(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    about: str
    patients: Count
    days: NotNegative
    history_interval_s: Annotated[float, msgspec.Meta(ge=60)] = 21_600
    report_interval_s: Positive = 900
    time_zones: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("Europe/Berlin",)
    cast: tuple[Role, ...] = ()
    ordinary: Ordinary = Ordinary()
    network: Network = Network()


def names() -> list[str]:
    """The scenarios that come with the package."""
    folder = resources.files("simulators") / "scenarios"
    return sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))


def read(path_or_name: str | Path) -> Scenario:
    """Read a scenario by its name in the package or from a JSON file; raises ScenarioError."""
    text = _text_of(path_or_name)
    try:
        scenario = msgspec.json.decode(text, type=Scenario)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ScenarioError(f"scenario {path_or_name}: {error}") from error
    problems = [*_problems(scenario)]
    if problems:
        raise ScenarioError(f"scenario {path_or_name}: " + "; ".join(problems))
    return scenario


def _text_of(path_or_name: str | Path) -> bytes:
    if str(path_or_name) in names():
        return (resources.files("simulators") / "scenarios" / f"{path_or_name}.json").read_bytes()
    try:
        return Path(path_or_name).read_bytes()
    except OSError as error:
        known = ", ".join(names())
        raise ScenarioError(
            f"scenario {path_or_name}: no such file, and none of {known} ({error.strerror})"
        ) from error


def _problems(scenario: Scenario) -> Iterator[str]:
    """Everything that the types alone cannot refuse, each with the place where it stands."""
    for zone in scenario.time_zones:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            yield f"time_zones: {zone!r} is no IANA time zone"
    unknown = scenario.ordinary.recipes.keys() - RECIPES.keys()
    if unknown or not scenario.ordinary.recipes:
        yield f"ordinary.recipes: {sorted(unknown)} unknown; give some of {', '.join(RECIPES)}"
    for index, role in enumerate(scenario.cast):
        for problem in _problems_of_role(role):
            yield f"cast[{index}] ({role.role}): {problem}"


def _problems_of_role(role: Role) -> Iterator[str]:
    if not role.slots:
        yield "has neither a pump nor a stimulator"
    if role.pump:
        yield from _problems_of_pump(role.pump)
    models = {model.model for model in REFERENCE.stimulators}
    if role.stimulator and role.stimulator.model and role.stimulator.model not in models:
        yield f"stimulator.model: {role.stimulator.model!r} is none of {', '.join(sorted(models))}"
    for index, happening in enumerate(role.happenings):
        for problem in _problems_of_happening(happening, role.slots):
            yield f"happenings[{index}] ({type(happening).__name__}): {problem}"


def _problems_of_pump(pump: PumpRole) -> Iterator[str]:
    models = {model.model: model for model in REFERENCE.pumps}
    if pump.model and pump.model not in models:
        yield f"pump.model: {pump.model!r} is none of {', '.join(sorted(models))}"
    recipe = RECIPES.get(pump.recipe or "")
    if pump.recipe and not recipe:
        yield f"pump.recipe: {pump.recipe!r} is none of {', '.join(RECIPES)}"
    if recipe and pump.model in models and models[pump.model].reservoir_ml not in recipe.reservoirs_ml:
        yield f"pump: {pump.recipe} is not simulated in the reservoir of a {pump.model}"
    if recipe and pump.boluses and not recipe.boluses:
        yield f"pump.boluses: {pump.recipe} is not given by patient boluses"
    if pump.boluses and pump.refill_due_in_days is not None:
        yield "pump: refill_due_in_days can only be promised without boluses"


def _problems_of_happening(happening: AnyHappening, slots: set[Slot]) -> Iterator[str]:
    if (happening.at is None) == (happening.days_ago is None):
        yield "give either days_ago or at"
    if happening.at is not None and happening.at.tzinfo is None:
        yield f"at: {happening.at.isoformat()} has no offset; write it like 2026-11-22T08:00:00Z"
    if isinstance(happening, NEEDS_PUMP) and "pump" not in slots:
        yield "needs a pump"
    if isinstance(happening, NEEDS_STIMULATOR) and "stimulator" not in slots:
        yield "needs a stimulator"
    if isinstance(happening, Silent | MemoryReset) and happening.device and happening.device not in slots:
        yield f"device: the patient has no {happening.device}"
