"""The figures behind the zooming time line of a patient."""

import datetime as dt
import gzip
import json

import pytest

from sc_stim.extensions import db
from sc_stim.models import AuditEntry
from tests import builders
from tests.builders import AT
from tests.web.pages import taking

DAY_S = 86_400
TODAY = AT.date()


@pytest.fixture
def told(visit, scene):
    return visit(scene.nurse).get(f"/patients/{scene.patient.public_id}/timeline.json").json


@pytest.fixture
def usual(visit, scene, told):
    """Asked for as the script does: at the address that came with the panels."""
    return visit(scene.nurse).get(panel(told, "pain")["band"]["address"]).json


def panel(told, ending):
    return next(panel for panel in told["panels"] if panel["key"].endswith(ending))


def value_on(told, values, days_ago):
    return values[told["x"].index(told["today"] - days_ago * DAY_S)]


def test_every_panel_has_a_value_or_a_gap_for_each_day_of_one_axis(told):
    days = len(told["x"])
    assert {later - earlier for earlier, later in zip(told["x"], told["x"][1:], strict=False)} == {DAY_S}
    assert told["x"][0] < told["today"] < told["x"][-1], "the forecast reaches into the future"
    for shown in told["panels"]:
        assert all(len(one["values"]) == days for one in shown["series"])
        assert all(len(contact) == days for contact in shown.get("heat", ()))


def test_the_panels_stand_from_pain_down_to_the_battery_of_each_device(told):
    keys = [shown["key"] for shown in told["panels"]]
    assert keys == [
        "pain", "device-1-usage", "device-1-impedance", "device-1-battery", "device-2-reservoir", "device-2-battery",
    ]  # fmt: skip


def test_a_day_without_a_score_is_a_gap_and_never_zero(told):
    (mean,) = panel(told, "pain")["series"]
    assert value_on(told, mean["values"], 14) is None
    assert value_on(told, mean["values"], 2) >= 6


def test_the_panels_do_not_wait_for_the_usual_range(told, monkeypatch, visit, scene):
    monkeypatch.delattr("sc_stim.web.timeline.whole_course")
    again = visit(scene.nurse).get(f"/patients/{scene.patient.public_id}/timeline.json").json
    assert again["panels"] == told["panels"]


def test_the_usual_range_follows_the_patient_once_enough_is_known(told, usual):
    range_on = dict(zip(usual["x"], zip(usual["low"], usual["high"], strict=True), strict=True))
    assert usual["x"][0] > told["x"][0], "the first days are still learned from"
    assert set(usual["x"]) <= set(told["x"]), "both are on one axis"
    low, high = range_on[told["today"] - 20 * DAY_S]
    assert 2 < low < 4 < high < 6


def test_the_day_that_is_not_over_has_no_usual_range(told, usual):
    assert usual["x"][-1] == told["today"] - DAY_S


def test_a_broken_contact_stands_out_in_the_heat_map(told):
    contacts = panel(told, "impedance")["heat"]
    assert len(contacts) == 16
    assert value_on(told, contacts[5], 3) == 41_000
    assert value_on(told, contacts[5], 30) == 630


def test_the_day_that_is_not_over_does_not_look_like_little_use(told):
    (hours,) = panel(told, "usage")["series"]
    assert value_on(told, hours["values"], 0) is None
    assert value_on(told, hours["values"], 1) == 0


def test_the_reservoir_by_the_learned_flow_lies_below_that_of_a_pump_which_runs_fast(told):
    shown = panel(told, "reservoir")
    counted, learned = (value_on(told, one["values"], 1) for one in shown["series"])
    assert learned < counted
    assert learned == pytest.approx(20 - 1.04 * (20 - counted), abs=0.01)
    assert shown["fan"]["ml"] == 15.1
    assert shown["fan"]["p05"] < shown["fan"]["p50"] < shown["fan"]["p95"]


def test_what_happened_is_told_in_words_with_a_way_to_the_alert(told, visit, scene):
    kinds = {event["kind"] for event in told["events"]}
    assert kinds >= {"alert", "fill", "treatment", "setting", "event", "refill_by"}
    addresses = [event["href"] for event in told["events"] if event["kind"] == "alert"]
    assert addresses and visit(scene.nurse).page(addresses[0])
    fills = [event["words"] for event in told["events"] if event["kind"] == "fill"]
    assert any("20 mL, 2.6 mL aspirated of 3.8 mL expected" in words for words in fills)


def test_a_review_stands_on_its_day_with_who_made_it(visit, scene):
    ina = builders.create_user(clinic=scene.clinic, role="clinician", name="Dr Ina Falk")
    builders.create_review(patient=scene.patient, by=ina, reviewed_at=AT - dt.timedelta(days=2))
    told = visit(scene.nurse).get(f"/patients/{scene.patient.public_id}/timeline.json").json
    (event,) = [event for event in told["events"] if event["kind"] == "review"]
    assert event["x"] == told["today"] - 2 * DAY_S
    assert event["words"].endswith("Reviewed by Dr Ina Falk")


def test_a_patient_of_whom_nothing_is_known_has_an_empty_pain_panel(visit, scene):
    patient = builders.create_patient(clinic=scene.clinic)
    told = visit(scene.nurse).get(f"/patients/{patient.public_id}/timeline.json").json
    assert [shown["key"] for shown in told["panels"]] == ["pain"]
    assert set(told["panels"][0]["series"][0]["values"]) == {None}
    assert dt.timedelta(seconds=told["today"] - told["x"][0]) == dt.timedelta(days=30)
    usual = visit(scene.nurse).get(panel(told, "pain")["band"]["address"]).json
    assert usual == {"x": [], "low": [], "high": []}


FIGURES = {"timeline.json": "patient.timeline", "usual.json": "patient.usual_pain"}


@pytest.mark.parametrize(("name", "action"), FIGURES.items())
def test_each_look_is_on_record(visit, scene, name, action):
    visit(scene.nurse).get(f"/patients/{scene.patient.public_id}/{name}")
    entry = db.session.scalars(db.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert (entry.action, entry.subject) == (action, str(scene.patient.public_id))


@pytest.mark.parametrize("name", FIGURES)
def test_another_clinic_has_no_such_patient(visit, scene, name):
    stranger = builders.create_user(clinic=builders.create_clinic(), role="nurse")
    assert visit(stranger).get(f"/patients/{scene.patient.public_id}/{name}").status_code == 404


@pytest.mark.parametrize("name", FIGURES)
def test_only_those_who_may_read_patients_get_it(visit, scene, name):
    path = f"/patients/{scene.patient.public_id}/{name}"
    assert visit(scene.engineer).get(path).status_code == 403
    assert visit(None).get(path).status_code == 302


def test_the_figures_are_compressed_for_a_browser_that_takes_it(visit, scene, told):
    browser = taking("gzip, br", visit(scene.nurse))
    answer = browser.get(f"/patients/{scene.patient.public_id}/timeline.json")
    assert (answer.content_encoding, answer.headers["Vary"]) == ("gzip", "Accept-Encoding, Cookie")
    assert json.loads(gzip.decompress(answer.data)) == told
    assert answer.content_length == len(answer.data) < 0.4 * len(gzip.decompress(answer.data))
