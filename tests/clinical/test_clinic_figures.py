"""Which figures a clinic may set, and how the rules read what it has set."""

import datetime as dt

import pytest

from sc_stim.clinical.alarms import shipped_table
from sc_stim.clinical.clinic_figures import (
    SILENCE_INTERVALS,
    OpenFigure,
    Own,
    OwnFigure,
    alarms_of,
    formulary_of,
    open_figures,
)
from sc_stim.clinical.drugs import shipped_formulary
from sc_stim.clinical.pump_record import DrugInPump
from sc_stim.clinical.reference import Figure, figures_in, load
from sc_stim.clinical.silence import Watched, silence
from sc_stim.clinical.units import check_unit

AT = dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC)
CEILING = "drugs.bupivacaine.limits.daily_dose_ceiling"
MIXTURE = "mixtures.clonidine-morphine.stability"
every_figure = pytest.mark.parametrize("figure", open_figures().values(), ids=lambda figure: figure.key)


def own(key: str, value: float) -> Own:
    return (OwnFigure(key, value, "Pharmacy protocol 12"),)


def by_clinic(figures: list[Figure]) -> list[Figure]:
    return [figure for figure in figures if figure.by_clinic]


def in_force(set_by_clinic: Own) -> list[Figure]:
    """Every figure that a rule is given and that the clinic has set."""
    formulary, alarms = formulary_of(set_by_clinic), alarms_of(set_by_clinic)
    drugs = [
        figure
        for drug in formulary.drugs.values()
        for figure in (*drug.limits.values(), *drug.stability.values())
    ]
    lasting = [
        one.after_figure for condition in alarms.conditions.values() for one in condition.escalation.values()
    ]
    silence_rule = alarms.silence
    return by_clinic(
        [
            *drugs,
            *formulary.mixtures.values(),
            *lasting,
            silence_rule.intervals,
            silence_rule.escalation.after_figure,
        ]
    )


@every_figure
def test_an_open_figure_has_a_known_unit_and_bounds_around_the_shipped_value(figure: OpenFigure) -> None:
    check_unit(figure.unit)
    assert figure.least < figure.most
    assert len(figure.key) <= 60
    if figure.shipped:
        assert figure.refusal(figure.shipped.value) is None
        assert figure.shipped in list(figures_in(load(figure.file)))


@every_figure
def test_a_figure_of_the_clinic_reaches_the_rules_and_says_whose_it_is(figure: OpenFigure) -> None:
    found = in_force(own(figure.key, figure.most))

    assert {(one.value, one.unit, one.source) for one in found} == {
        (figure.most, figure.unit, "Pharmacy protocol 12")
    }
    assert not any(one.verified for one in found)
    assert {one.cited for one in found} == {"set by the clinic, source: Pharmacy protocol 12"}


def test_a_clinic_that_has_set_nothing_is_judged_by_what_is_shipped() -> None:
    assert formulary_of(()) is shipped_formulary()
    assert alarms_of(()) is shipped_table()
    assert alarms_of(own(CEILING, 10)) is shipped_table()
    assert in_force(own("drugs.laudanum.limits.daily_dose_ceiling", 3)) == []  # open no more, or never


def test_one_figure_leaves_all_others_as_shipped() -> None:
    ours = formulary_of(own(MIXTURE, 45))

    assert ours.drugs == shipped_formulary().drugs
    assert {figure.value for names, figure in ours.mixtures.items() if "bupivacaine" in names} == {90}
    assert shipped_formulary().mixtures[frozenset({"clonidine", "morphine"})].value == 90


@pytest.mark.parametrize(("ceiling", "warned"), [(None, True), (20, False), (17, True), (10, True)])
def test_a_dose_is_held_against_the_clinics_own_ceiling(ceiling: float | None, warned: bool) -> None:
    formulary = formulary_of(own(CEILING, ceiling) if ceiling else ())

    found = formulary.limit_warnings([DrugInPump(name="bupivacaine", mg_per_ml=18)], flow_ml_per_day=1)

    assert bool(found) == warned


def test_a_warning_by_the_clinics_figure_says_so() -> None:
    (found,) = formulary_of(own(CEILING, 17)).limit_warnings(
        [DrugInPump(name="bupivacaine", mg_per_ml=18)], 1
    )

    assert str(found).endswith("of 17 mg/d (set by the clinic)")


def test_a_limit_can_be_set_where_none_is_shipped() -> None:
    drugs = [DrugInPump(name="baclofen", mg_per_ml=2)]
    key = "drugs.baclofen.limits.daily_dose_ceiling"

    assert shipped_formulary().limit_warnings(drugs, 0.6) == []
    assert [one.actual for one in formulary_of(own(key, 1000)).limit_warnings(drugs, 0.6)] == [1200]
    assert not open_figures()[key].wider_than_shipped(5000)


def test_the_clinics_patience_is_the_rule_of_silence() -> None:
    hour = dt.timedelta(hours=1)
    watched = Watched(AT - 30 * hour, hour, last_measured_at=AT - 3 * hour, last_received_at=AT - 3 * hour)

    assert silence(watched, AT) is not None
    assert silence(watched, AT, alarms_of(own(SILENCE_INTERVALS, 4)).silence) is None


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        (CEILING, 3.7, "must lie between 3.75 and 60 mg/d"),
        (CEILING, 60.1, "must lie between 3.75 and 60 mg/d"),
        (CEILING, 60, None),
        (MIXTURE, 45.5, "must be a whole number of days"),
        (SILENCE_INTERVALS, 0, "must lie between 1 and 24 report intervals"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_bound(key: str, value: float, why: str | None) -> None:
    assert open_figures()[key].refusal(value) == why


def test_more_than_shipped_is_wider() -> None:
    figure = open_figures()[CEILING]

    assert [figure.wider_than_shipped(value) for value in (14, 15, 15.1)] == [False, False, True]
