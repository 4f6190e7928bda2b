"""`python -m benchmarks`: measures, prints a table, writes `benchmarks/results.json` and from it the page in docs/."""

import argparse
import datetime as dt
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import document, fleet, forecast, ingest, latency, machine, pain, results, sweep, worklist
from benchmarks.figures import Figure, as_text, table
from benchmarks.stand import Stand

BENCHES: dict[str, Any] = {
    "ingest": ingest, "latency": latency, "sweep": sweep, "worklist": worklist, "fleet": fleet, "forecast": forecast,
    "pain": pain,
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    options = _options().parse_args(argv)
    command = " ".join(["python -m benchmarks", *(sys.argv[1:] if argv is None else argv)])
    if options.names or not options.write_docs:
        facts = machine.facts()
        with Stand() as stand:
            for name in options.names or BENCHES:
                block = {"command": command, "machine": facts} | measured(stand, name, quick=options.quick)
                results.add(name, block, options.out)
                print(f"\n{block['title']} ({block['took_s']:.0f} s)")
                print(as_text(table(results.figures(block))), flush=True)
    if options.out == results.FILE:
        document.write()
    return 0


def measured(stand: Stand, name: str, *, quick: bool) -> results.Block:
    """Run one bench; its block, still without the machine."""
    bench = BENCHES[name]
    busy, at, began = machine.others_busy_pct(), dt.datetime.now(dt.UTC), time.perf_counter()
    figures: list[Figure] = list(bench.measure(stand, bench.QUICK if quick else bench.FULL))
    return {
        "title": bench.TITLE,
        "measured": at.isoformat(sep=" ", timespec="minutes"),
        "quick": quick,
        "took_s": round(time.perf_counter() - began, 1),
        "others_busy_pct": busy,
        "figures": [figure.to_json() for figure in figures],
    }


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    named = "; ".join(f"{name}: {bench.TITLE}" for name, bench in BENCHES.items())
    parser.add_argument("names", nargs="*", type=_name, metavar="NAME", help=f"all, or some of: {named}")
    parser.add_argument("--quick", action="store_true", help="small sizes and few repeats, for a first look")
    parser.add_argument("--write-docs", action="store_true", help="without names: only write the page again")
    parser.add_argument(
        "--out",
        type=Path,
        default=results.FILE,
        metavar="FILE",
        help="instead of results.json; leaves the page as it is",
    )
    return parser


def _name(text: str) -> str:
    if text not in BENCHES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(BENCHES)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
