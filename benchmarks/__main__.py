"""`python -m benchmarks`: measures, prints a table, writes `benchmarks/results.json` and from it the pages in docs/."""

import argparse
import datetime as dt
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import (
    document,
    fleet,
    forecast,
    ingest,
    latency,
    machine,
    pages,
    pain,
    refill,
    results,
    sweep,
    worklist,
)
from benchmarks.figures import Figure, Table, as_text, bars, table
from benchmarks.stand import Stand

BENCHES: dict[str, Any] = {
    "ingest": ingest, "latency": latency, "sweep": sweep, "worklist": worklist, "pages": pages, "fleet": fleet,
    "forecast": forecast, "pain": pain, "refill": refill,
}  # fmt: skip
SEEDS = 1_000_000_000


def main(argv: Sequence[str] | None = None) -> int:
    options = _options().parse_args(argv)
    command = " ".join(["python -m benchmarks", *(sys.argv[1:] if argv is None else argv)])
    if options.names or not options.write_docs:
        facts = machine.facts()
        with Stand() as stand:
            for name in options.names or BENCHES:
                block = {"command": command, "machine": facts} | measured(
                    stand, name, quick=options.quick, seed=options.seed
                )
                results.add(name, block, options.out)
                print(f"\n{block['title']} ({block['took_s']:.0f} s)")
                if block["seed"] is None:
                    print(as_text(table(results.figures(block))))
                else:
                    print(
                        f"seed {block['seed']}; again with: python -m benchmarks {name} --seed {block['seed']}"
                    )
                    print(bars(results.figures(block)).as_text())
                print(*(one.as_text() for one in results.tables(block)), sep="\n", flush=True)
    if options.out == results.FILE:
        document.write()
    return 0


def measured(stand: Stand, name: str, *, quick: bool, seed: int | None = None) -> results.Block:
    """Run one bench; its block, still without the machine. A bench of random cohorts draws a seed if none is given."""
    bench = BENCHES[name]
    size, seed = _seeded(bench.QUICK if quick else bench.FULL, seed)
    busy, at, began = machine.others_busy_pct(), dt.datetime.now(dt.UTC), time.perf_counter()
    shown: list[Figure | Table] = list(bench.measure(stand, size))
    return {
        "title": bench.TITLE,
        "measured": at.isoformat(sep=" ", timespec="minutes"),
        "quick": quick,
        "seed": seed,
        "size": {} if seed is None else {name: count for name, count in vars(size).items() if name != "seed"},
        "took_s": round(time.perf_counter() - began, 1),
        "others_busy_pct": busy,
        "figures": [one.to_json() for one in shown if isinstance(one, Figure)],
        "tables": [one.to_json() for one in shown if isinstance(one, Table)],
    }


def _seeded(size: Any, seed: int | None) -> tuple[Any, int | None]:
    """The size of random cohorts with this seed, or a fresh one; other sizes have none."""
    if not hasattr(size, "seed"):
        return size, None
    seed = secrets.randbelow(SEEDS) if seed is None else seed
    return replace(size, seed=seed), seed


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    named = "; ".join(f"{name}: {bench.TITLE}" for name, bench in BENCHES.items())
    parser.add_argument("names", nargs="*", type=_name, metavar="NAME", help=f"all, or some of: {named}")
    parser.add_argument("--quick", action="store_true", help="small sizes and few repeats, for a first look")
    parser.add_argument(
        "--seed", type=int, help="of the random cohorts (pain, refill), to repeat a run; else a fresh one"
    )
    parser.add_argument("--write-docs", action="store_true", help="without names: only write the pages again")
    parser.add_argument(
        "--out",
        type=Path,
        default=results.FILE,
        metavar="FILE",
        help="instead of results.json; leaves the pages as they are",
    )
    return parser


def _name(text: str) -> str:
    if text not in BENCHES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(BENCHES)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
