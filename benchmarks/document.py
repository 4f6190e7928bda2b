"""Puts the figures of `results.json` into `docs/benchmarks.md`, between marks; the words around them stand."""

import re
from collections.abc import Callable, Iterator, Mapping

from benchmarks import results
from benchmarks.figures import HEADS, shown, table
from benchmarks.results import Block
from benchmarks.stand import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
_PLACE = re.compile(r"(<!-- figures: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, blocks: Mapping[str, Block]) -> str:
    """The page with every marked place filled anew. Raises KeyError for a place of no bench."""
    special: dict[str, Callable[[Mapping[str, Block]], str]] = {"machine": _machine, "targets": _targets}

    def fill(place: re.Match[str]) -> str:
        name = place["name"]
        text = special[name](blocks) if name in special else _bench(blocks[name])
        return f"{place[1]}\n{text}\n\n{place[3]}"

    return _PLACE.sub(fill, page)


def write() -> None:
    PAGE.write_text(filled(PAGE.read_text(), results.read()))


def _bench(block: Block) -> str:
    busy = block["others_busy_pct"]
    sizes = ", quick sizes" if block["quick"] else ""
    caption = (
        f"`{block['command']}`, {block['measured']}{sizes}, {block['took_s']:.0f} s. Just before, other programs used "
        f"{'an unknown part' if busy is None else f'{busy:g} %'} of the processors."
    )
    return "\n".join([caption, "", *_markdown(table(results.figures(block)))])


def _markdown(rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(HEADS)} |"
    yield "| --- | ---: | ---: | ---: | ---: | --- | --- | --- |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _targets(blocks: Mapping[str, Block]) -> str:
    """Every figure that has a target, with those that miss it first."""
    lines = [line for name, block in blocks.items() for line in _judged(name, block)]
    return "\n".join(sorted(lines, key=lambda line: "**not reached**" not in line))


def _judged(name: str, block: Block) -> Iterator[str]:
    """One line for each; what reads `... more` goes on from the figure above."""
    above = ""
    for figure in results.figures(block):
        more = figure.reads.removeprefix("... ")
        above = above if more != figure.reads else more
        reads = above if more == above else f"{above}, {more}"
        if figure.target:
            yield f"* {name}: {reads}: {shown(figure.median)} (target {figure.target}): **{figure.verdict}**"


def _machine(blocks: Mapping[str, Block]) -> str:
    """Each machine once, with the benches that ran on it."""
    told: dict[str, list[str]] = {}
    for name, block in blocks.items():
        told.setdefault(_described(block), []).append(name)
    return "\n\n".join(f"{', '.join(names)}:\n\n{text}" for text, names in told.items())


def _described(block: Block) -> str:
    machine = dict(block["machine"])
    libraries = ", ".join(f"{name} {version}" for name, version in machine.pop("libraries").items())
    lines = [f"* {name.replace('_', ' ')}: {value}" for name, value in machine.items()]
    return "\n".join([*lines, f"* libraries: {libraries}"])
