import datetime as dt
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.escalation import (
    Call,
    Clinic,
    Due,
    Ladder,
    Person,
    Quiet,
    Shift,
    Step,
    WeeklyShift,
    default_steps,
    due,
    ladder_of,
    on_call,
)

CASES = json.loads(
    (Path(__file__).parents[1] / "scenarios" / "alerts" / "escalation.json").read_text(encoding="utf-8")
)
BERLIN = ZoneInfo("Europe/Berlin")
DEFAULT = ladder_of(default_steps())
ALWAYS = [{"person": "first", "weekday": day, "from": "08:00", "to": "08:00"} for day in range(7)]
MINUTE = dt.timedelta(minutes=1)
SEVERITIES = ("high", "medium", "low", "info")


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def shift(row: dict[str, Any]) -> Shift | WeeklyShift:
    if "starts_at" in row:
        return Shift(row["person"], moment(row["starts_at"]), moment(row["ends_at"]))
    hours = dt.time.fromisoformat(row["from"]), dt.time.fromisoformat(row["to"])
    return WeeklyShift(row["person"], row["weekday"], *hours)


def quiet(hours: list[str] | None) -> Quiet | None:
    return Quiet(*map(dt.time.fromisoformat, hours)) if hours else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_ladder_calls_as_written(case: dict[str, Any]) -> None:
    people = tuple(Person(name, quiet(case.get("quiet", {}).get(name))) for name in ("first", "second"))
    clinic = Clinic(DEFAULT, people, tuple(map(shift, case.get("rota", ALWAYS))), BERLIN)
    at = moment(case["at"])
    call = Call(**case["call"] | {"called_at": moment(case["call"]["called_at"])})
    found = due(call, clinic, at)
    shown = [
        {
            "index": step.index,
            "tells": {tell.person: "now" if tell.at == at else tell.at for tell in step.tells},
            "first": step.first,
            "nobody_found": step.nobody_found,
        }
        for step in found.steps
    ]
    expected = [
        {"first": False, "nobody_found": False}
        | step
        | {"tells": {who: when if when == "now" else moment(when) for who, when in step["tells"].items()}}
        for step in case["expect"]["steps"]
    ]
    assert shown == expected
    assert found.steps_done == case["expect"]["done"]
    next_at = case["expect"]["next_at"]
    assert found.next_at == (moment(next_at) if next_at else None)


def test_a_ladder_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="order of their times"):
        Ladder((Step(15 * MINUTE, frozenset({"high"})), Step(5 * MINUTE, frozenset({"high"}))))


FIRST, LAST = (dt.datetime(year, 1, 1) for year in (2026, 2028))  # noqa: DTZ001 (hypothesis adds the zone)
near_a_change = st.sampled_from(
    ["2026-03-29T00:00:00+00:00", "2026-10-25T00:00:00+00:00", "2026-04-04T14:00:00+00:00"]
)
around = st.builds(
    lambda text, minutes: moment(text) + minutes * MINUTE, near_a_change, st.integers(-600, 600)
)
times = around | st.datetimes(FIRST, LAST, timezones=st.just(dt.UTC))
clock_times = st.times().map(lambda time: time.replace(second=0, microsecond=0))
quiet_hours = st.none() | st.lists(clock_times, min_size=2, max_size=2, unique=True).map(
    lambda two: Quiet(*two)
)
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]).map(
    ZoneInfo
)
steps = st.builds(
    Step,
    st.integers(0, 240).map(lambda minutes: minutes * MINUTE),
    st.frozensets(st.sampled_from(SEVERITIES)),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b", "gone"]), unique=True, max_size=2).map(tuple),
)
ladders = st.lists(steps, max_size=5).map(
    lambda found: Ladder(tuple(sorted(found, key=lambda step: step.after)))
)
rotas = st.lists(
    st.builds(WeeklyShift, st.sampled_from(["a", "b"]), st.integers(0, 6), clock_times, clock_times)
).map(tuple)
clinics = st.builds(
    Clinic,
    ladders,
    st.tuples(st.builds(Person, st.just("a"), quiet_hours), st.builds(Person, st.just("b"), quiet_hours)),
    rotas,
    zones,
)


def run(call: Call, clinic: Clinic, looks: list[dt.datetime]) -> list[Due]:
    found = []
    for at in looks:
        found.append(due(call, clinic, at))
        call = Call(call.severity, call.called_at, found[-1].steps_done)
    return found


@given(clinics, st.sampled_from(SEVERITIES), times, st.lists(st.integers(0, 500), min_size=1, max_size=8))
def test_each_step_for_the_severity_comes_once_in_order_however_often_one_looks(
    clinic: Clinic, severity: str, called_at: dt.datetime, minutes: list[int]
) -> None:
    looks = [called_at + minute * MINUTE for minute in sorted(minutes)]
    found = run(Call(severity, called_at), clinic, looks)
    indexes = [step.index for one in found for step in one.steps]
    meant = [
        index
        for index, step in enumerate(clinic.ladder.steps)
        if severity in step.severities and called_at + step.after <= looks[-1]
    ]
    assert indexes == meant
    assert all(one.next_at is None or one.next_at > at for one, at in zip(found, looks, strict=True))


@given(clinics, times)
def test_a_high_alert_is_never_held_back(clinic: Clinic, at: dt.datetime) -> None:
    found = due(Call("high", at - 300 * MINUTE), clinic, at)
    assert all(tell.at == at for step in found.steps for tell in step.tells)


@given(clinics, times, st.sampled_from(SEVERITIES))
def test_every_step_tells_somebody_each_once_and_outside_quiet_hours(
    clinic: Clinic, at: dt.datetime, severity: str
) -> None:
    people = {person.id: person for person in clinic.people}
    for step in due(Call(severity, at - 300 * MINUTE), clinic, at).steps:
        told = [tell.person for tell in step.tells]
        assert told and len(told) == len(set(told)) and set(told) <= people.keys()
        for tell in step.tells:
            hours = people[tell.person].quiet
            assert at <= tell.at <= at + dt.timedelta(hours=26)
            if severity != "high" and hours is not None:
                assert not hours.holds(tell.at, clinic.zone)


@given(times, zones, clock_times)
def test_somebody_is_always_on_call_where_shifts_meet_also_when_the_clocks_change(
    at: dt.datetime, zone: ZoneInfo, handover: dt.time
) -> None:
    rota = [WeeklyShift(str(day), day, handover, handover) for day in range(7)]
    assert len(on_call(rota, zone, at)) == 1


def test_quiet_hours_without_an_end_are_refused() -> None:
    with pytest.raises(ValueError, match="different times"):
        Quiet(dt.time(22), dt.time(22))
