"""Scenario files: what is refused and how, and what a cohort promises."""

import datetime as dt
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from sc_stim.devices import catalogue
from sc_stim.devices.topics import shard_of
from sc_stim.devices.udi import parse_udi
from simulators import scenario
from simulators.casting import CHANCES
from simulators.clinic_record import empty_at, state_at
from simulators.cohort import Cohort, Patient
from simulators.course import Course
from simulators.happenings import LeadFracture, PainStep, Refill, Silent
from simulators.reference import RECIPES, REFERENCE, gtin14
from simulators.scenario_file import ChanceKind, ScenarioError, read
from simulators.stimulator import OPEN_OHM
from tests.simulators.builders import samples_of

DAY = dt.timedelta(days=1)


def write(tmp_path: Path, **changes: Any) -> Path:
    usual = {"name": "test", "about": "a test", "patients": 2, "days": 10}
    path = tmp_path / "test.json"
    path.write_text(json.dumps({**usual, **changes}))
    return path


def role(**fields: Any) -> list[dict[str, Any]]:
    return [{"role": "someone", **fields}]


PUMP: dict[str, Any] = {"pump": {}}
STIMULATOR: dict[str, Any] = {"stimulator": {}}

BAD = [
    ({"patient": 3}, "unknown field `patient`"),
    ({"patients": -1}, r"Expected `int` >= 0 - at `\$.patients`"),
    ({"days": "ten"}, r"Expected `float`, got `str` - at `\$.days`"),
    ({"time_zones": ["Mars/Base"]}, "time_zones: 'Mars/Base' is no IANA time zone"),
    ({"ordinary": {"recipes": {"aspirin": 1}}}, "ordinary.recipes: .*aspirin.* unknown"),
    ({"ordinary": {"per_year": {"earthquake": 1}}}, "earthquake"),
    ({"network": {"loss": 2}}, "loss is a share of the messages"),
    ({"cast": role()}, r"cast\[0\] \(someone\): has neither a pump nor a stimulator"),
    ({"cast": role(pump={"model": "X"})}, "pump.model: 'X' is none of"),
    ({"cast": role(pump={"recipe": "tea"})}, "pump.recipe: 'tea' is none of"),
    (
        {"cast": role(pump={"recipe": "baclofen", "boluses": True})},
        "baclofen is not given by patient boluses",
    ),
    (
        {"cast": role(pump={"recipe": "morphine", "boluses": True, "refill_due_in_days": 3})},
        "without boluses",
    ),
    (
        {"cast": role(pump={"recipe": "ziconotide", "model": "SynchroMed II 8637-40"})},
        "ziconotide is not simulated",
    ),
    ({"cast": role(stimulator={"model": "X"})}, "stimulator.model: 'X' is none of"),
    ({"cast": role(**PUMP, happenings=[{"kind": "sneeze", "days_ago": 1}])}, "Invalid value 'sneeze'"),
    (
        {"cast": role(**PUMP, happenings=[{"kind": "stall"}])},
        r"happenings\[0\] \(Stall\): give either days_ago or at",
    ),
    ({"cast": role(**PUMP, happenings=[{"kind": "stall", "at": "2026-11-01T10:00:00"}])}, "has no offset"),
    ({"cast": role(**STIMULATOR, happenings=[{"kind": "stall", "days_ago": 1}])}, "needs a pump"),
    ({"cast": role(**PUMP, happenings=[{"kind": "migration", "days_ago": 1}])}, "needs a stimulator"),
    (
        {"cast": role(**PUMP, happenings=[{"kind": "silent", "days_ago": 1, "device": "stimulator"}])},
        "device: the patient has no stimulator",
    ),
    (
        {"cast": role(**STIMULATOR, happenings=[{"kind": "lead_fracture", "days_ago": 1, "contacts": []}])},
        "contacts",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_a_bad_scenario_is_refused_with_the_place_and_the_fault(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        read(write(tmp_path, **changes))


def test_no_json_and_no_file_are_refused_by_name(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(ScenarioError, match=r"broken\.json: .*truncated"):
        read(broken)
    with pytest.raises(ScenarioError, match="no such file, and none of demo, hostile_network, normal"):
        read("nowhere")


@pytest.mark.parametrize(
    ("happenings", "message"),
    [
        (
            [{"kind": "stall", "days_ago": 3}, {"kind": "stall", "days_ago": 2}],
            "stall is impossible while stalled",
        ),
        ([{"kind": "mri_scan", "days_ago": 3}, {"kind": "mri_scan", "days_ago": 3}], "impossible while mri"),
    ],
)
def test_a_script_that_no_device_can_follow_is_refused_when_loaded(
    tmp_path: Path, now: dt.datetime, happenings: list[dict[str, Any]], message: str
) -> None:
    path = write(tmp_path, cast=role(**PUMP, **STIMULATOR, happenings=happenings))
    with pytest.raises(ScenarioError, match=rf"patient 1 \(someone\): .*{message}"):
        scenario.load(path, seed=1, now=now)


def test_a_contact_that_the_leads_do_not_have_is_refused(tmp_path: Path, now: dt.datetime) -> None:
    happenings = [{"kind": "lead_fracture", "days_ago": 1, "contacts": [40]}]
    path = write(tmp_path, cast=role(stimulator={"model": "Intellis"}, happenings=happenings))
    with pytest.raises(ScenarioError, match="contacts: 40 is too high, contacts are 0-15"):
        scenario.load(path, seed=1, now=now)


def test_a_now_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="now"):
        scenario.load("normal", seed=1, now=dt.datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_of_the_package_loads_and_says_its_name(name: str, now: dt.datetime) -> None:
    cohort = scenario.load(name, seed=3, now=now, days=3)
    assert cohort.scenario == name
    assert len({device.id for device in cohort.devices}) == len(list(cohort.devices))


def test_the_same_arguments_give_the_same_bytes(now: dt.datetime) -> None:
    load = [scenario.load("demo", seed=5, now=now, patients=30).to_json() for _ in range(2)]
    assert load[0] == load[1]
    assert load[0] != scenario.load("demo", seed=6, now=now, patients=30).to_json()


def test_a_larger_cohort_begins_with_the_same_patients(now: dt.datetime) -> None:
    small = scenario.load("normal", seed=5, now=now, patients=10)
    large = scenario.load("normal", seed=5, now=now, patients=40)
    assert large.patients[:10] == small.patients


@pytest.mark.parametrize(("pumps", "stimulators"), [(7, 5), (0, 3), (4, 0), (0, 0), (30, 40)])
@pytest.mark.parametrize("name", ["demo", "normal"])
def test_pumps_and_stimulators_fix_the_number_of_devices(
    name: str, pumps: int, stimulators: int, now: dt.datetime
) -> None:
    cohort = scenario.load(name, seed=1, now=now, days=2, pumps=pumps, stimulators=stimulators)
    kinds = [device.kind for device in cohort.devices]
    assert (kinds.count("pump"), kinds.count("stimulator")) == (pumps, stimulators)


def test_every_kind_of_chance_can_happen(tmp_path: Path, now: dt.datetime) -> None:
    per_year = dict.fromkeys(ChanceKind.__args__, 3.0)
    path = write(tmp_path, patients=40, days=60, ordinary={"both_share": 1, "per_year": per_year})
    cohort = scenario.load(path, seed=1, now=now)
    happened = {type(h).__struct_config__.tag for p in cohort.patients for h in p.script} - {"refill"}
    assert happened == CHANCES.keys() == per_year.keys()
    for patient in cohort.patients[:5]:
        Course(patient, cohort).advance(now)


def test_the_clinic_record_agrees_with_the_course_of_the_pump(demo: Cohort) -> None:
    for patient in demo.patients:
        if patient.pump:
            assert [fill.at for fill in patient.pump.fills] == [
                h.at for h in patient.script if isinstance(h, Refill)
            ]
            assert patient.pump.fills[0].aspirated_ml is None
            assert all(fill.aspirated_ml is not None for fill in patient.pump.fills[1:])
            assert all(fill.at <= demo.now for fill in patient.pump.fills)


def test_refill_visits_are_in_office_hours(demo: Cohort) -> None:
    for patient in demo.patients:
        for fill in patient.pump.fills if patient.pump else ():
            local = fill.at.astimezone(ZoneInfo(patient.time_zone))
            assert local.weekday() < 5
            assert 8 <= local.hour <= 15


def test_daily_doses_and_intervals_are_plausible(now: dt.datetime) -> None:
    cohort = scenario.load("normal", seed=2, now=now, days=30, pumps=120, stimulators=0)
    for patient in cohort.patients:
        pump = patient.pump
        assert pump is not None
        recipe = next(r for r in RECIPES.values() if r.drugs == tuple(drug.name for drug in pump.drugs))
        setting = pump.settings[0]
        flow = setting.flow_ml_per_day + (setting.bolus_ml or 0) * (setting.max_boluses_per_day or 0)
        dose = flow * pump.drugs[0].mg_per_ml
        assert 0.4 * recipe.mg_per_day[0] <= dose <= 2.1 * recipe.mg_per_day[1]
        assert 15 < (pump.reservoir_ml - pump.low_reservoir_alarm_ml) / flow < recipe.stability_days


def role_of(cohort: Cohort, name: str) -> Patient:
    return next(patient for patient in cohort.patients if patient.role == name)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("hour", [0, 13, 23])
def test_the_demo_has_for_certain_what_it_promises(seed: int, hour: int, now: dt.datetime) -> None:
    now = now.replace(hour=hour)
    demo = scenario.load("demo", seed=seed, now=now, patients=5)
    overdue = role_of(demo, "overdue refill").pump
    assert overdue is not None
    at_present = state_at(overdue, role_of(demo, "overdue refill").script, seed, now)
    assert 0.3 < at_present.computed_ml < overdue.low_reservoir_alarm_ml
    for name in ("refill due this week, baclofen", "refill due this week, morphine"):
        patient = role_of(demo, name)
        assert patient.pump is not None
        due = state_at(patient.pump, patient.script, seed, now)
        days_left = (due.computed_ml - patient.pump.low_reservoir_alarm_ml) / due.programmed_ml_per_day
        assert days_left == pytest.approx(
            {"baclofen": 4, "morphine": 3}[patient.pump.drugs[0].name], abs=0.02
        )
        assert len(patient.pump.fills) >= 5
    fracture = next(h for h in role_of(demo, "lead fracture").script if isinstance(h, LeadFracture))
    assert 7 * DAY < now - fracture.when < 14 * DAY
    silent = next(h for h in role_of(demo, "gone silent").script if isinstance(h, Silent))
    assert silent.for_days is None
    assert 2 * DAY < now - silent.when < 7 * DAY


def test_the_demos_fracture_shows_in_impedance_and_pain(demo: Cohort) -> None:
    patient = role_of(demo, "lead fracture")
    told = Course(patient, demo).advance(demo.now)
    readings = [sample["impedance_ohm"][3] for sample in samples_of(told) if "impedance_ohm" in sample]
    assert readings[0] < 2000
    assert readings[-1] == pytest.approx(OPEN_OHM, rel=0.1)
    scores = [(t.emission.at, t.emission.body["nrs"]) for t in told if t.emission.kind == "score"]
    before = [nrs for at, nrs in scores if demo.now - 40 * DAY < at < demo.now - 11 * DAY]
    after = [nrs for at, nrs in scores if at > demo.now - 8 * DAY]
    assert sum(after) / len(after) - sum(before) / len(before) > 2


def test_the_demo_is_varied(demo: Cohort) -> None:
    drugs = {patient.pump.drugs[0].name for patient in demo.patients if patient.pump}
    power = {patient.stimulator.nature.rechargeable for patient in demo.patients if patient.stimulator}
    both = [patient for patient in demo.patients if patient.pump and patient.stimulator]
    assert drugs >= {"baclofen", "morphine", "ziconotide"}
    assert power == {True, False}
    assert len(both) >= 2
    assert len(demo.patients) == 60


def test_a_pump_that_over_infuses_is_empty_sooner_than_its_arithmetic_says(demo: Cohort) -> None:
    patient = role_of(demo, "over-infusing pump")
    assert patient.pump is not None
    truth = state_at(patient.pump, patient.script, demo.seed, demo.now)
    arithmetic = demo.now + DAY * (truth.computed_ml / truth.programmed_ml_per_day)
    empty = empty_at(patient.pump, patient.script, demo.seed)
    assert empty is not None
    assert empty < arithmetic - 5 * DAY


def test_identities_are_ones_that_the_registry_can_read(demo: Cohort) -> None:
    for device in demo.devices:
        assert shard_of(device.id) == device.id[-1]
        udi = parse_udi(device.udi)
        assert udi.serial == device.serial


def test_gtin_check_digits_follow_the_example_of_gs1() -> None:
    assert gtin14("0629104150021") == "06291041500213"


def test_simulated_models_are_in_the_catalogue_with_the_same_figures() -> None:
    for model in REFERENCE.pumps:
        known = catalogue.find_pump(model.model)
        assert known.manufacturer == model.manufacturer
        assert known.reservoir is not None
        assert known.reservoir.value == model.reservoir_ml
        assert known.accuracy is not None
        assert known.accuracy.value == model.accuracy_pct
    for stimulator in REFERENCE.stimulators:
        entry = catalogue.find_stimulator(stimulator.model)
        assert entry.manufacturer == stimulator.manufacturer
        if entry.contacts:
            assert entry.contacts.value == sum(stimulator.leads)
        if entry.rechargeable:
            assert entry.rechargeable.value == (stimulator.power == "rechargeable")


def test_a_renamed_cohort_differs_in_nothing_but_ids(demo: Cohort) -> None:
    device = next(iter(demo.devices))
    renamed = demo.renamed({device.id: "0b7f5f0e-3c52-4f0e-9d3a-00000000000a"})
    assert next(iter(renamed.devices)).id == "0b7f5f0e-3c52-4f0e-9d3a-00000000000a"
    assert (
        renamed.to_json().replace(b"0b7f5f0e-3c52-4f0e-9d3a-00000000000a", device.id.encode())
        == demo.to_json()
    )


def test_the_plan_can_be_read_back(demo: Cohort) -> None:
    assert msgspec.json.decode(demo.to_json(), type=Cohort) == demo


def test_recorded_changes_of_settings_are_in_the_record_and_others_are_not(
    tmp_path: Path, now: dt.datetime
) -> None:
    happenings = [
        {"kind": "rate_change", "days_ago": 5, "flow_ml_per_day": 0.4},
        {"kind": "program_change", "days_ago": 4, "program": "Q", "amplitude_ma": 2.0, "recorded": False},
    ]
    cohort = scenario.load(
        write(tmp_path, cast=role(**PUMP, **STIMULATOR, happenings=happenings)), seed=1, now=now
    )
    patient = cohort.patients[0]
    assert patient.pump is not None
    assert patient.stimulator is not None
    assert [setting.flow_ml_per_day for setting in patient.pump.settings][1:] == [0.4]
    assert len(patient.stimulator.settings) == 1


def test_happenings_can_be_given_as_moments(tmp_path: Path, now: dt.datetime) -> None:
    happenings = [{"kind": "pain_step", "at": "2026-11-20T10:00:00+01:00", "points": 2}]
    cohort = scenario.load(write(tmp_path, cast=role(**STIMULATOR, happenings=happenings)), seed=1, now=now)
    step = next(h for h in cohort.patients[0].script if isinstance(h, PainStep))
    assert step.at == dt.datetime(2026, 11, 20, 9, tzinfo=dt.UTC)
