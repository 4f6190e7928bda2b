"""Puts the figures of `results.json` into the pages, between marks; the words around them stand."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from benchmarks import results
from benchmarks.figures import HEADS, bars, table
from benchmarks.results import Block
from benchmarks.stand import ROOT

PAGES = (ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "clinical-validation.md")
_PLACE = re.compile(
    r"(<!-- (?P<kind>figures|bars|table): (?P<name>\w+)( (?P<key>\w+))? -->\n).*?(<!-- end -->)", re.DOTALL
)


def filled(page: str, blocks: Mapping[str, Block]) -> str:
    """The page with every marked place filled anew. Raises KeyError for a place of no bench.

    `figures: BENCH` shows its runs, `bars: BENCH` what it must reach with intervals, `table: BENCH KEY` its table.
    """
    special: dict[str, Callable[[Mapping[str, Block]], str]] = {"machine": _machine, "targets": _targets}

    def fill(place: re.Match[str]) -> str:
        name, kind = place["name"], place["kind"]
        if name in special:
            text = special[name](blocks)
        elif kind == "table":
            text = _table(blocks[name], place["key"])
        else:
            text = _bench(blocks[name]) if kind == "figures" else _bars(blocks[name])
        return f"{place[1]}\n{text}\n\n<!-- end -->"

    return _PLACE.sub(fill, page)


def write() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text(), results.read()))


def _bench(block: Block) -> str:
    busy = block["others_busy_pct"]
    caption = (
        f"{_run(block)}, {block['took_s']:.0f} s. Just before, other programs used "
        f"{'an unknown part' if busy is None else f'{busy:g} %'} of the processors."
    )
    return "\n".join([caption, "", *_markdown(HEADS, table(results.figures(block)), left=(0, 5, 6, 7))])


def _run(block: Block) -> str:
    sizes = ", quick sizes" if block["quick"] else ""
    seed = f", seed {block['seed']}" if block.get("seed") is not None else ""
    return f"`{block['command']}`{seed}, {block['measured']}{sizes}"


def _bars(block: Block) -> str:
    """What must be reached, with the interval of each figure."""
    found = bars(results.figures(block))
    rows = [tuple(cell.replace("not reached", "**not reached**") for cell in row) for row in found.rows]
    sizes = ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in block["size"].items())
    return "\n".join([f"{_run(block)}. Sizes: {sizes}.", "", *_markdown(found.heads, rows, left=found.words)])


def _table(block: Block, key: str) -> str:
    found = {one.key: one for one in results.tables(block)}[key]
    return "\n".join([found.reads, "", *_markdown(found.heads, found.rows, left=found.words)])


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' if at in left else '---:' for at in range(len(heads)))} |"
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
            yield f"* {name}: {reads}: {figure.middle} (target {figure.target}): **{figure.verdict}**"


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
