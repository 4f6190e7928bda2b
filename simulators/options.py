"""The command line of `python -m simulators`, and how its values are written."""

import argparse
import datetime as dt
import re
from pathlib import Path

from . import scenario

DESCRIPTION = "Simulated patients and devices that report over MQTT."
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration_s(text: str) -> float:
    """`90s`, `47m`, `6h`, `2d`; a plain number is seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90s, 47m, 6h or 2d")
    return float(match[1]) * _UNITS_S[match[2] or "s"]


def share(text: str) -> float:
    """`0.05` or `5%`."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share of the messages: write 0.05 or 5%")
    return value


def copies(text: str) -> float:
    """`3`: every message three times; `10%`: one message in ten twice."""
    try:
        return 1 + share(text) if text.endswith("%") else _at_least_one(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write 3 for every message three times, 10% for one in ten twice"
        ) from None


def _at_least_one(text: str) -> float:
    value = float(text)
    if value < 1:
        raise ValueError(text)
    return value


def count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of things: write 0 or more")
    return int(text)


def moment(text: str) -> dt.datetime:
    """RFC 3339 with offset."""
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time with offset: write 2026-11-22T08:00:00Z")
    return at.astimezone(dt.UTC)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators", description=DESCRIPTION)
    who = parser.add_argument_group("who")
    who.add_argument(
        "--scenario",
        default="normal",
        metavar="FILE",
        help="a JSON file, or one of " + ", ".join(scenario.names()),
    )
    who.add_argument("--patients", type=count, metavar="N")
    who.add_argument("--pumps", type=count, metavar="N", help="fixes the number of devices")
    who.add_argument("--stimulators", type=count, metavar="N", help="fixes the number of devices")
    who.add_argument("--seed", type=int, default=1)
    who.add_argument(
        "--credentials",
        type=Path,
        metavar="FILE",
        help="JSON list or lines of device, password and, optionally, serial or kind",
    )
    who.add_argument("--password", default="", help="one password for all devices, for a test broker")
    when = parser.add_argument_group("when")
    when.add_argument(
        "--now",
        type=moment,
        metavar="TIME",
        help="end of the history; the same gives the same records (default: the clock)",
    )
    when.add_argument("--days", type=float, metavar="D", help="length of the history")
    when.add_argument(
        "--speed",
        type=float,
        metavar="X",
        help="simulated time runs X times as fast as the clock until it has caught up (default: no limit)",
    )
    when.add_argument("--report-interval", type=duration_s, metavar="S", help="between live samples")
    when.add_argument(
        "--samples",
        "--count",
        type=count,
        metavar="N",
        help="stop after N live samples, once all is stored; 0: history only",
    )
    when.add_argument("--exit-after", type=duration_s, metavar="S")
    network = parser.add_argument_group("network faults")
    network.add_argument(
        "--offline",
        type=duration_s,
        nargs="?",
        const=6 * 3600.0,
        metavar="S",
        help="each device is offline so long, up to just after the start and once a day (alone: 6h)",
    )
    network.add_argument(
        "--duplicate",
        type=copies,
        nargs="?",
        const=3.0,
        metavar="N",
        help="copies of each message (alone: 3)",
    )
    network.add_argument(
        "--reorder",
        type=share,
        nargs="?",
        const=0.2,
        metavar="SHARE",
        help="of messages that others overtake (alone: 0.2)",
    )
    network.add_argument(
        "--skew",
        type=duration_s,
        nargs="?",
        const=47 * 60.0,
        metavar="S",
        help="each clock is ahead or behind by so much (alone: 47m)",
    )
    network.add_argument(
        "--loss",
        type=share,
        nargs="?",
        const=0.05,
        metavar="SHARE",
        help="of messages that never reach the broker (alone: 0.05)",
    )
    where = parser.add_argument_group("where to")
    where.add_argument("--mqtt", metavar="URL", help="mqtt://host:port or mqtts://host:port")
    where.add_argument("--mqtt-version", choices=("3.1.1", "5"), default="3.1.1")
    where.add_argument("--ca", type=Path, metavar="FILE", help="certificate authority of the broker")
    where.add_argument(
        "--plan",
        type=Path,
        metavar="FILE",
        help="write the cohort as JSON; without --mqtt nothing else is done",
    )
    where.add_argument("--truth", type=Path, metavar="FILE", help="write what really happens, as JSON Lines")
    where.add_argument("--truth-records", action="store_true", help="with a line for every record: large")
    where.add_argument(
        "--journal", type=Path, metavar="FILE", help="go on where an earlier run with this file was"
    )
    return parser
