"""`results.json`: one block for each bench, from its last run, with what it was measured on."""

import json
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Table

FILE = Path(__file__).with_name("results.json")
Block = dict[
    str, Any
]  # title, measured, command, quick, seed, size, took_s, others_busy_pct, machine, figures, tables


def read(file: Path = FILE) -> dict[str, Block]:
    """The blocks by the name of their bench; none where there is no file yet."""
    blocks: dict[str, Block] = json.loads(file.read_text()) if file.exists() else {}
    return blocks


def add(name: str, block: Block, file: Path = FILE) -> None:
    """Put this run in the place of the last one of this bench."""
    file.write_text(json.dumps(read(file) | {name: block}, indent=1) + "\n")


def figures(block: Block) -> list[Figure]:
    return [Figure.from_json(values) for values in block["figures"]]


def tables(block: Block) -> list[Table]:
    return [Table.from_json(values) for values in block.get("tables", ())]
