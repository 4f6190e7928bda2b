import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from sc_stim.clinical.alarms import Severity
from sc_stim.clinical.conditions import (
    Conditions,
    DeviceEvent,
    MriCheck,
    ReportedState,
    UnknownEvent,
    Visits,
    conditions_now,
)

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CASES = json.loads(
    (Path(__file__).parents[1] / "scenarios" / "alerts" / "conditions.json").read_text(encoding="utf-8")
)


def minutes(moment: datetime) -> float:
    return (moment - AT) / timedelta(minutes=1)


def moment(minute: float) -> datetime:
    return AT + timedelta(minutes=minute)


def events_of(case: dict[str, Any]) -> list[DeviceEvent]:
    return [
        DeviceEvent(row["kind"], moment(row["at_min"]), moment(row["received_min"]), row["state"], row["seq"])
        for row in case["events"]
    ]


def judged(case: dict[str, Any], events: list[DeviceEvent]) -> Conditions:
    row = case["state"]
    state = row and ReportedState(
        row["state"], moment(row["at_min"]), moment(row["received_min"]), row["seq"]
    )
    within_h = case.get("check_within_h")
    return conditions_now(
        case["device"],
        AT,
        newest_state=state,
        events=events,
        visits=Visits(
            tuple(map(moment, case.get("fills", ()))), tuple(map(moment, case.get("interrogations", ())))
        ),
        after_mri=MriCheck(
            case.get("interrogations_needed", 1), None if within_h is None else timedelta(hours=within_h)
        ),
        withdrawal_class=case["withdrawal_class"],
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "_"))
def test_what_holds_now_is_as_written_in_any_order_of_arrival(case: dict[str, Any]) -> None:
    for order in permutations(events_of(case)):
        found = judged(case, list(order))
        for held, expected in ((found.now, case["now"]), (found.waiting, case["waiting"])):
            assert sorted((row.name, row.severity.code, minutes(row.since)) for row in held) == sorted(
                (row["name"], row["severity"], row["since_min"]) for row in expected
            )
        past = sorted([row.name, minutes(row.since), minutes(row.until)] for row in found.past)
        assert past == sorted(case["past"])
        again = found.judge_again_at
        assert (again and minutes(again)) == case["judge_again_min"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "_"))
def test_a_message_that_arrives_twice_changes_nothing(case: dict[str, Any]) -> None:
    events = events_of(case)
    once, twice = judged(case, events), judged(case, events * 2)
    assert (twice.now, twice.waiting, twice.judge_again_at) == (once.now, once.waiting, once.judge_again_at)
    assert set(twice.past) == set(once.past)


def test_a_pump_that_recovered_from_its_stall_in_the_scan_is_not_said_to_stand_still() -> None:
    events = [
        DeviceEvent("mri_entered", moment(-90), moment(-90)),
        DeviceEvent("motor_stall", moment(-90), moment(-90)),
    ]
    cleared = DeviceEvent("motor_stall", moment(-40), moment(-40), "cleared")
    [stall] = [row for row in conditions_now("pump", AT, events=events).now if row.name == "motor_stall"]
    [over] = [
        row for row in conditions_now("pump", AT, events=[*events, cleared]).now if row.name == "motor_stall"
    ]
    assert (stall.stops_therapy, stall.recovered_at) == (True, None)
    assert (over.stops_therapy, over.recovered_at) == (False, moment(-40))


def test_an_unknown_event_kind_is_refused_by_name() -> None:
    with pytest.raises(UnknownEvent, match="'pump_exploded'"):
        conditions_now("pump", AT, events=[DeviceEvent("pump_exploded", AT, AT)])


def test_severities_sort_from_info_to_high() -> None:
    assert [severity.code for severity in sorted(Severity)] == ["info", "low", "medium", "high"]
