"""Story 5, pain change: a nurse enters the diary, the device reports, night falls, and she looks at what was found."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.models import Device, Patient
from sc_stim.tasks.jobs import JUDGES
from sc_stim.tasks.upkeep import ask_nightly
from sc_stim.tasks.work import work_off
from tests.apps import As, Caller, Time, both_databases
from tests.builders import AT, create_setting, create_stimulator, create_stimulator_sample, create_user

pytestmark = both_databases

DAY = dt.timedelta(days=1)
NEAR_4 = [4.0, 4.5, 3.5, 4.0, 4.0, 3.5, 4.5] * 4
AT_7 = [7.0, 7.5, 6.5, 7.0]
STEADY = [520.0, 610.0, 580.0, 600.0]
JUMPED = [520.0, 2400.0, 580.0, 600.0]


@dataclass
class Story:
    time: Time
    nurse: Caller
    patient: Patient
    stimulator: Device

    def live(
        self, scores: list[float | None], ohm: list[float] | None = STEADY, *, nightly: bool = True
    ) -> None:
        """One day for each score, None without one; the stimulator reports once a day unless `ohm` is None."""
        for nrs in scores:
            if nrs is not None:
                self.enter(nrs)
            if ohm:
                create_stimulator_sample(
                    stimulator=self.stimulator, measured_at=self.time.at, impedance_ohm=ohm, on_s=82_800.0
                )
            self.time.pass_by(days=1)
            if nightly:
                self.judge()

    def four_weeks_near_4(self) -> None:
        self.live(NEAR_4, nightly=False)
        self.judge()
        assert self.alerts() == []

    def enter(self, nrs: float, **more: Any) -> dict[str, Any]:
        answer = self.nurse.post(f"/patients/{self.patient.public_id}/pain-scores", {"nrs": nrs, **more})
        assert answer.status_code == 201, answer.text
        return dict(answer.json)

    def judge(self) -> None:
        """The night's work, and what was owed before."""
        ask_nightly(db.session(), clock.now())
        db.session.commit()
        work_off(db.session(), JUDGES, until=clock.now() + DAY)

    def alerts(self, **query: str) -> list[dict[str, Any]]:
        found = self.nurse.get("/alerts", **query).json["items"]
        return [dict(one) for one in found if one["kind"] in ("pain_rise", "pain_fall", "stopped_reporting")]

    def alert(self) -> dict[str, Any]:
        [only] = self.alerts()
        return dict(self.nurse.get(f"/alerts/{only['id']}").json)

    def findings(self) -> list[dict[str, Any]]:
        return list(self.nurse.get(f"/patients/{self.patient.public_id}/pain-findings").json["items"])


@pytest.fixture
def story(app: Flask, api: As, time: Time) -> Story:
    stimulator = create_stimulator(report_interval_s=86_400)
    assert stimulator.patient is not None
    create_setting(device=stimulator, effective_at=AT - 200 * DAY, contacts=[0, 1, 2])
    nurse = create_user(clinic=stimulator.patient.clinic, role="nurse")
    time.at = AT
    return Story(
        time,
        api(nurse, expires_at=AT + 400 * DAY, last_used_at=AT + 90 * DAY),
        stimulator.patient,
        stimulator,
    )


def near_4_then_7(story: Story, ohm: list[float] | None) -> None:
    story.four_weeks_near_4()
    story.live(AT_7, ohm)


def test_four_days_at_7_are_one_alert_with_its_baseline_and_level_and_the_impedance_jump_stands_first(
    story: Story,
) -> None:
    near_4_then_7(story, JUMPED)
    alert = story.alert()
    assert (alert["kind"], alert["severity"], alert["detail"]["tier"]) == ("pain_rise", "low", "soft")
    assert alert["detail"]["baseline_nrs"] == pytest.approx(4, abs=0.3)
    assert alert["detail"]["level_nrs"] == pytest.approx(7, abs=0.5)
    assert alert["detail"]["next_step"] == "ask_for_score"
    card = alert["cause_card"]
    assert card["verdict"] == "device_possible"
    assert card["words"].startswith("Device possible: Impedance of contact 1 jumped")
    first = card["evidence"][0]
    assert (first["kind"], first["says"]) == ("impedance", "for")
    assert {point["value"] for point in first["points"]} == {610.0, 2400.0}
    [finding] = story.findings()
    assert finding["cause_card"]["evidence"][0]["kind"] == "impedance"
    assert finding["baseline_nrs"] == alert["detail"]["baseline_nrs"]


def test_without_a_device_change_the_card_says_device_unlikely(story: Story) -> None:
    near_4_then_7(story, STEADY)
    card = story.alert()["cause_card"]
    assert (card["verdict"], card["words"]) == ("device_unlikely", "Device unlikely.")
    assert {one["says"] for one in card["evidence"]} == {"against"}


def test_without_device_data_the_card_cannot_say_until_the_data_come_late(story: Story) -> None:
    near_4_then_7(story, None)
    assert story.alert()["cause_card"]["verdict"] == "cannot_say"
    for days_ago in range(1, 5):
        create_stimulator_sample(
            stimulator=story.stimulator,
            measured_at=story.time.at - days_ago * DAY,
            received_at=story.time.at,
            impedance_ohm=JUMPED,
            on_s=82_800.0,
        )
    assert story.alert()["cause_card"]["evidence"][0]["kind"] == "impedance"
    [finding] = story.findings()
    assert finding["cause_card"]["verdict"] == "cannot_say", "what was shown when it was told stays on record"


def test_a_rise_that_lasts_asks_for_a_device_review_on_day_eleven_and_is_still_one_alert(
    story: Story,
) -> None:
    near_4_then_7(story, JUMPED)
    story.live(AT_7 * 3, JUMPED)
    alert = story.alert()
    assert (alert["severity"], alert["detail"]["tier"]) == ("medium", "persistent")
    assert alert["detail"]["next_step"] == "review_device"
    assert [one["tier"] for one in story.findings()] == ["persistent"]


def test_a_week_of_silence_is_no_data_and_not_improved(story: Story) -> None:
    story.four_weeks_near_4()
    story.live([None] * 7)
    alert = story.alert()
    assert alert["kind"] == "stopped_reporting"
    assert alert["detail"]["level_nrs"] is None
    assert [(one["kind"], one["level_nrs"]) for one in story.findings()] == [("stopped_reporting", None)]
    story.live([4.0])
    assert story.alert()["state"] == "returned_to_normal"


def test_an_edited_score_changes_the_past_and_pages_nobody(story: Story) -> None:
    near_4_then_7(story, JUMPED)
    alert = story.alert()
    taken = story.nurse.post(f"/alerts/{alert['id']}/acknowledge", {"comment": "calling"})
    address = f"/patients/{story.patient.public_id}/pain-scores"
    scores = story.nurse.get(address).json["items"]
    story.enter(8.0, replaces=scores[3]["id"])
    story.enter(3.0, replaces=scores[10]["id"])
    story.judge()
    after = story.alert()
    assert (after["id"], after["state"]) == (alert["id"], "acknowledged")
    assert [entry["event"] for entry in after["history"]] == [
        entry["event"] for entry in taken.json["history"]
    ]
    [finding] = story.findings()
    assert finding["level_nrs"] > alert["detail"]["level_nrs"]
    assert after["detail"]["level_nrs"] == finding["level_nrs"]


def test_late_scores_of_a_rise_that_is_over_are_history(story: Story) -> None:
    story.four_weeks_near_4()
    first = story.time.at
    story.live([4.0, None, None, None, None, None, None, 4.0, 4.5, 3.5, 4.0, 4.0, 3.5, 4.5, 4.0])
    for number in range(1, 7):
        story.enter(8.0, measured_at=(first + number * DAY).isoformat())
    story.judge()
    rises = [one for one in story.alerts() if one["kind"] == "pain_rise"]
    assert [(one["state"], one["historical"]) for one in rises] == [("closed", True)]
    assert [one["kind"] for one in story.findings()][-1] in ("flare", "step_up")


def test_late_scores_of_a_rise_that_still_holds_are_told_now(story: Story) -> None:
    story.four_weeks_near_4()
    first = story.time.at
    story.live([None] * 5)
    for number in range(5):
        story.enter(7.5, measured_at=(first + number * DAY).isoformat())
    story.judge()
    rises = [one for one in story.alerts() if one["kind"] == "pain_rise"]
    assert [(one["state"], one["historical"]) for one in rises] == [("unacknowledged", False)]
