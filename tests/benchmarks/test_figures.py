import pytest

from benchmarks.figures import Figure, Table, Target, as_text, percentile, ratios, shown, table


def test_a_figure_survives_its_json_form() -> None:
    figure = Figure("key", "reads", "ms", (3.0, 1.0, 2.0), Target(2.5, at_least=False), (1.5, 2.5))
    again = Figure.from_json(figure.to_json())
    assert again == figure
    assert (again.median, again.verdict) == (2.0, "reached")


@pytest.mark.parametrize(
    ("runs", "target", "verdict"),
    [
        ((1.0,), Target(1.0), "reached"),
        ((0.9, 1.0, 0.8), Target(1.0), "not reached"),
        ((1.1,), Target(1.0, at_least=False), "not reached"),
        ((1.1,), None, ""),
    ],
)
def test_the_median_is_what_must_reach_the_target(
    runs: tuple[float, ...], target: Target | None, verdict: str
) -> None:
    assert Figure("key", "reads", "", runs, target).verdict == verdict


def test_a_figure_without_a_run_is_none() -> None:
    with pytest.raises(ValueError, match="figure ours: no run"):
        Figure("ours", "reads", "", ())


def test_ratios_pair_the_runs_of_one_round() -> None:
    assert ratios((6.0, 8.0), (2.0, 4.0)) == (3.0, 2.0)
    with pytest.raises(ValueError, match="shorter"):
        ratios((6.0, 8.0), (2.0,))


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (99.94, "99.9"), (7.0, "7"), (1.234, "1.23"), (0.5, "0.500"), (0.00042, "0.00042")],
)
def test_numbers_are_shown_with_the_digits_that_count(value: float, text: str) -> None:
    assert shown(value) == text


def test_the_table_has_a_line_for_each_figure() -> None:
    text = as_text(
        table(
            [Figure("a", "ours", "messages/s", (1000.0, 3000.0), Target(500)), Figure("b", "b", "", (1.0,))]
        )
    )
    heads, first, second = text.splitlines()
    assert heads.split() == ["median", "min", "max", "runs", "unit", "target"]
    assert first.split() == ["ours", "2,000", "1,000", "3,000", "2", "messages/s", ">=", "500", "reached"]
    assert second.split() == ["b", "1", "1", "1", "1"]


def test_a_table_survives_its_json_form_and_puts_numbers_to_the_right() -> None:
    one = Table(
        "breaks",
        "Where:",
        ("pumps", "empty", "because"),
        (("20 mL", "1.5", "it drifts"), ("40 mL", "12", "")),
    )
    assert Table.from_json(one.to_json()) == one
    assert one.words == {0, 2}
    assert one.as_text().splitlines()[1:] == [
        "Where:", "pumps  empty  because", "20 mL    1.5  it drifts", "40 mL     12",
    ]  # fmt: skip


def test_rounding_never_hides_that_a_target_was_missed() -> None:
    missed = Figure("rise", "rise", "", (1.30058,), Target(1.3, at_least=False))
    assert missed.middle == "1.30058"
    assert Figure("rise", "rise", "", (1.2996,), Target(1.3, at_least=False)).middle == "1.30"
