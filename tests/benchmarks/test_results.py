"""From a run to `results.json` and from there to the page."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as command
from benchmarks import document, machine, results
from benchmarks.figures import Figure, Table, Target


class NoServers:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def bench(runs: tuple[float, ...]) -> SimpleNamespace:
    def measure(_stand: object, size: int) -> Iterator[Figure]:
        yield Figure("speed", "speed", "1/s", tuple(size * run for run in runs), Target(5))
        yield Figure("more", "... of more", "1/s", (size,), Target(100))

    return SimpleNamespace(TITLE="How fast", FULL=10, QUICK=1, measure=measure)


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "Stand", NoServers)
    monkeypatch.setattr(command, "BENCHES", {"one": bench((1.0, 2.0)), "other": bench((0.1,))})
    monkeypatch.setattr(machine, "WATCHED_S", 0)
    monkeypatch.setattr(machine, "FSYNCS", 1)


@pytest.mark.usefixtures("benches")
def test_each_bench_keeps_its_last_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.json"
    command.main(["--out", str(file)])
    command.main(["other", "--quick", "--out", str(file)])
    blocks = json.loads(file.read_text())
    assert [blocks[name]["quick"] for name in ("one", "other")] == [False, True]
    assert blocks["one"]["figures"][0]["median"] == 15
    assert (
        blocks["other"]["figures"][0] | {"runs": [0.1], "verdict": "not reached"}
        == blocks["other"]["figures"][0]
    )
    assert {"cpu", "cpus", "python", "postgresql", "mosquitto", "fsync_ms"} <= blocks["one"]["machine"].keys()
    assert capsys.readouterr().out.count("How fast") == 3


@pytest.mark.usefixtures("benches")
def test_an_unknown_bench_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["oen"])
    assert "'oen' is none of one, other" in capsys.readouterr().err


@pytest.mark.usefixtures("benches")
def test_the_page_gets_its_figures_between_its_words(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    command.main(["one", "--out", str(file)])
    places = ("<!-- figures: one -->\nold\n<!-- end -->", "<!-- figures: targets -->\n<!-- end -->")
    filled = document.filled("Before.\n" + "\nBetween.\n".join(places) + "\nAfter.\n", results.read(file))
    assert "| speed | 15 | 10 | 20 | 2 | 1/s | >= 5 | reached |" in filled
    judged = [line for line in filled.splitlines() if line.startswith("* ")]
    assert judged == [
        "* one: speed, of more: 10 (target >= 100): **not reached**",
        "* one: speed: 15 (target >= 5): **reached**",
    ]
    assert "old" not in filled
    assert filled.startswith("Before.") and "Between." in filled and filled.endswith("After.\n")
    assert document.filled(filled, results.read(file)) == filled


@pytest.mark.parametrize("page", document.PAGES, ids=lambda page: page.name)
def test_the_pages_of_the_project_show_the_results_of_the_project(page: Path) -> None:
    text = page.read_text()
    assert document.filled(text, results.read()) == text, "run `python -m benchmarks --write-docs`"


def test_every_bench_has_its_place_on_the_page() -> None:
    page = document.PAGES[0].read_text()
    for name in command.BENCHES:
        assert f"<!-- figures: {name} -->" in page


def test_every_table_has_its_place_on_a_page() -> None:
    pages = "".join(page.read_text() for page in document.PAGES)
    for name, block in results.read().items():
        for one in results.tables(block):
            assert f"<!-- table: {name} {one.key} -->" in pages


@dataclass(frozen=True)
class Drawn:
    seed: int = 0


@pytest.fixture
def random_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(_stand: object, size: Drawn) -> Iterator[Figure | Table]:
        yield Figure("share", "share", "", (0.5,), Target(0.4), (0.45, 0.55))
        yield Figure("seed", "seed", "", (size.seed,))
        yield Table("others", "Beside others:", ("rule", "share"), (("theirs", "0.3"),))

    random = SimpleNamespace(TITLE="Drawn", FULL=Drawn(), QUICK=Drawn(), measure=measure)
    monkeypatch.setattr(command, "Stand", NoServers)
    monkeypatch.setattr(command, "BENCHES", {"drawn": random})
    monkeypatch.setattr(machine, "WATCHED_S", 0)
    monkeypatch.setattr(machine, "FSYNCS", 1)


@pytest.mark.usefixtures("random_bench")
def test_a_random_bench_draws_a_fresh_seed_and_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = []
    for _ in range(2):
        command.main(["--out", str(tmp_path / "results.json")])
        seeds.append(results.read(tmp_path / "results.json")["drawn"]["seed"])
    assert seeds[0] != seeds[1]
    shown = capsys.readouterr().out
    assert f"python -m benchmarks drawn --seed {seeds[1]}" in shown
    assert "0.450 - 0.550" in shown


@pytest.mark.usefixtures("random_bench")
def test_a_seed_is_repeatable_by_option(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    command.main(["--seed", "77", "--out", str(file)])
    block = results.read(file)["drawn"]
    assert block["seed"] == 77
    assert results.figures(block)[1].median == 77


@pytest.mark.usefixtures("random_bench")
def test_a_page_shows_intervals_and_tables_where_they_belong(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    command.main(["--seed", "77", "--out", str(file)])
    page = "<!-- bars: drawn -->\n<!-- end -->\n<!-- table: drawn others -->\n<!-- end -->\n"
    filled = document.filled(page, results.read(file))
    assert "seed 77" in filled
    assert "| share | 0.500 | 0.450 - 0.550 | >= 0.400 | reached |" in filled
    assert "Beside others:" in filled
    assert "| theirs | 0.3 |" in filled
