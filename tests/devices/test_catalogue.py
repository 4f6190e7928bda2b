import pytest

from sc_stim.clinical.reference import Figure, ReferenceDataError
from sc_stim.devices import catalogue
from sc_stim.devices.catalogue import PumpModel, StimulatorModel, UnknownModel

MODELS = catalogue.models()
PUMPS = [model for model in MODELS if isinstance(model, PumpModel)]
STIMULATORS = [model for model in MODELS if isinstance(model, StimulatorModel)]

UNITS = {
    "reservoir": "mL",
    "accuracy": "%",
    "report_interval": "s",
    "contacts": "{contact}",
    "contacts_per_lead": "{contact}",
    "impedance_open": "Ohm",
    "impedance_short": "Ohm",
    "flow_min": "mL/d",
    "flow_max": "mL/d",
    "minimum_rate_flow": "mL/d",
    "not_retrievable": "mL",
    "catheter_volume": "mL/cm",
    "amplitude_max": "mA",
    "pulse_width_min": "us",
    "pulse_width_max": "us",
    "rate_min": "Hz",
    "rate_max": "Hz",
    "longevity": "a",
    "impedance_nominal": "Ohm",
}


def figures(model: catalogue.DeviceModel) -> dict[str, Figure]:
    own = {name: getattr(model, name) for name in model.__slots__}
    return {name: value for name, value in {**own, **model.limits}.items() if isinstance(value, Figure)}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_figure_has_the_unit_of_its_name(model: catalogue.DeviceModel) -> None:
    assert {name: figure.unit for name, figure in figures(model).items()} == {
        name: UNITS[name] for name in figures(model)
    }


def test_the_models_of_the_clinical_notes_are_there() -> None:
    assert {model.name for model in PUMPS} >= {"SynchroMed II 8637-20", "Prometra II 40 mL", "Codman 3000"}
    assert {model.manufacturer for model in STIMULATORS} == {
        "Medtronic",
        "Abbott",
        "Boston Scientific",
        "Nevro",
        "Saluda",
    }
    assert len({model.name for model in MODELS}) == len(MODELS)


def test_labelled_accuracy_is_sourced_or_not_known() -> None:
    accuracies = {model.name: model.accuracy for model in PUMPS}
    assert accuracies["SynchroMed II 8637-20"] == Figure(
        14.5, "%", "ecri.org hrcalerts032614 (Medtronic, Mar 2014)"
    )
    assert accuracies["Prometra"] is not None
    assert accuracies["Prometra"].value == 15
    assert accuracies["SynchroMed III 20 mL"] is None


def test_a_pump_without_electronics_has_no_telemetry_and_no_report_to_wait_for() -> None:
    codman = catalogue.find_pump("Codman 3000")
    assert (codman.telemetry, codman.programmable, codman.report_interval) == (False, False, None)
    assert all(model.report_interval is not None for model in MODELS if model.telemetry)


@pytest.mark.parametrize("model", STIMULATORS, ids=lambda model: model.name)
def test_impedance_thresholds_are_marked_unverified(model: StimulatorModel) -> None:
    assert model.impedance_short.value < model.impedance_open.value
    assert not model.impedance_short.verified
    assert not model.impedance_open.verified


def test_contacts_are_not_always_eight_to_a_lead() -> None:
    evoke = catalogue.find_stimulator("Evoke")
    assert evoke.contacts_per_lead is not None
    assert evoke.contacts_per_lead.value == 12


def test_what_is_known_in_words_says_where_from() -> None:
    mri = catalogue.find_pump("Prometra II 20 mL").mri
    assert mri is not None
    assert "Empty the reservoir" in str(mri.value)
    assert mri.source
    rechargeable = catalogue.find_stimulator("Proclaim XR 5").rechargeable
    assert rechargeable is not None
    assert (rechargeable.value, rechargeable.source) == (False, None)


@pytest.mark.parametrize("name", ["", "synchromed ii 8637-20", "SynchroMed IV"])
def test_an_unknown_model_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(UnknownModel, match=r"not in the catalogue; it knows SynchroMed II 8637-20, .*Evoke"):
        catalogue.find_model(name)


def test_a_stimulator_is_no_pump_and_a_pump_no_stimulator() -> None:
    with pytest.raises(UnknownModel, match="'Evoke' is a stimulator, not a pump"):
        catalogue.find_pump("Evoke")
    with pytest.raises(UnknownModel, match="'Prometra' is a pump, not a stimulator"):
        catalogue.find_stimulator("Prometra")


def test_the_catalogue_has_a_version() -> None:
    assert catalogue.version() == "2026-11-22"


@pytest.mark.parametrize("entry", [{"value": True}, {"value": True, "source": "x", "verified": False}])
def test_a_statement_needs_a_source_or_the_mark_unverified(entry: dict[str, object]) -> None:
    with pytest.raises(ReferenceDataError, match='either a source or "verified": false'):
        catalogue._statement(entry)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_has_an_mri_rule_that_says_what_to_do_before_and_after(
    model: catalogue.DeviceModel,
) -> None:
    rule = catalogue.mri_rule(model.name, model.kind)
    assert rule is model.mri_rule
    assert rule.before
    assert rule.after
    assert rule.check_within.unit == "h"
    assert rule.interrogations.value >= 1


def test_a_prometra_is_emptied_before_anything_else() -> None:
    for model in PUMPS:
        first = model.mri_rule.before[0]
        assert ("EMPTY THE RESERVOIR FIRST" in str(first.value)) == model.name.startswith("Prometra")


def test_a_synchromed_ii_is_interrogated_twice_after_a_scan() -> None:
    assert catalogue.mri_rule("SynchroMed II 8637-40", "pump").interrogations.value == 2


def test_a_model_that_is_not_in_the_catalogue_has_the_rule_of_its_kind() -> None:
    assert catalogue.mri_rule("Example Pump", "pump").name == "pump"
    assert catalogue.mri_rule("Intellis", "pump").name == "pump"
