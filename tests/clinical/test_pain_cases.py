"""Each file of tests/scenarios/pain is one patient's diary and the alerts it must end with, in order.

`scores` is a list of [pattern, days]: the pattern is repeated for that many days, null is an unreported day.
`expect` names only the fields that matter; a field not named may have any value.
"""

import json
from datetime import date, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from sc_stim.clinical.pain import Diary, Finding, latest, rebuild, replay

CASES = sorted((Path(__file__).parents[1] / "scenarios" / "pain").glob("*.json"))


def read(path: Path) -> tuple[Diary, list[dict[str, Any]]]:
    case = json.loads(path.read_text())
    scores = [nrs for pattern, days in case["scores"] for nrs in islice(cycle(pattern), days)]
    dates = {
        name: [date.fromisoformat(day) for day in case.get(name, [])]
        for name in ("therapy_changes", "sedation_days", "refill_days")
    }
    return Diary(date.fromisoformat(case["first_day"]), scores, **dates), case["expect"]


def as_json(finding: Finding, fields: dict[str, Any]) -> dict[str, Any]:
    values = {name: getattr(finding, name) for name in fields}
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case_ends_with_the_alerts_it_expects(path: Path) -> None:
    diary, expected = read(path)
    alerts = latest(finding for _, findings in replay(diary) for finding in findings)
    assert [alert.kind for alert in alerts] == [fields["kind"] for fields in expected]
    assert [as_json(alert, fields) for alert, fields in zip(alerts, expected, strict=True)] == expected


def test_the_cohort_path_judges_every_case_as_the_daily_one() -> None:
    diaries = [read(path)[0] for path in CASES]
    for diary, rebuilt in zip(diaries, rebuild(diaries), strict=True):
        *_, (state, _) = replay(diary)
        assert rebuilt.findings == tuple(finding for _, findings in replay(diary) for finding in findings)
        assert rebuilt.state.to_json() == state.to_json()


def test_a_rise_is_flagged_within_two_days_and_judged_again_eleven_days_later() -> None:
    diary, _ = read(next(path for path in CASES if path.stem == "step_that_lasts"))
    judged = [(state.day, finding) for state, findings in replay(diary) for finding in findings]
    (first_on, soft), (second_on, lasting) = judged
    assert first_on == soft.day <= soft.onset + timedelta(days=1)
    assert second_on == soft.day + timedelta(days=11)
    assert soft.key == lasting.key
    assert (soft.tier, lasting.tier) == ("soft", "persistent")
    assert abs(soft.baseline_nrs - 4.0) < 0.3
