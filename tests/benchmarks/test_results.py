"""From a run to `results.json` and from there to the page."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as command
from benchmarks import document, machine, results
from benchmarks.figures import Figure, Target


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


def test_the_page_of_the_project_shows_the_results_of_the_project() -> None:
    page = document.PAGE.read_text()
    assert document.filled(page, results.read()) == page, "run `python -m benchmarks --write-docs`"


def test_every_bench_has_its_place_on_the_page() -> None:
    page = document.PAGE.read_text()
    for name in command.BENCHES:
        assert f"<!-- figures: {name} -->" in page
