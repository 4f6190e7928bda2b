"""The rule on a small cohort: floors that a broken rule falls through. The benchmark has the real figures."""

from benchmarks.pain_cohort import measure, our_rule, seven_or_more


def test_the_rule_finds_most_changes_and_alarms_seldom() -> None:
    figures = measure(our_rule, seed=7, n=150)
    assert figures["step_found_21d"] > 0.85
    assert figures["drift_found"] > 0.85
    assert figures["flare_found"] > 0.65
    assert figures["stop_found_21d"] > 0.95
    assert figures["unexplained_per_year"] < 2.0
    assert figures["unexplained_persistent_per_year"] < 1.0


def test_a_fixed_limit_alarms_several_times_as_often() -> None:
    ours, fixed = (measure(rule, seed=7, n=60)["unexplained_per_year"] for rule in (our_rule, seven_or_more))
    assert fixed > 3 * ours
