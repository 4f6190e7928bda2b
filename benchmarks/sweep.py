"""The nightly judgement of every pump and every patient, database included."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.figures import Figure, Target
from benchmarks.population import populate
from benchmarks.stand import Stand, application, in_own_process
from sc_stim import clock

TITLE = "Nightly judgement of all pumps and patients"


@dataclass(frozen=True)
class Size:
    """`large` gives way to `instead` where the small one says that it would take longer than `longest_s`."""

    small: int
    large: int
    instead: int
    repeats: int
    longest_s: float


FULL = Size(10_000, 100_000, 30_000, repeats=2, longest_s=240)
QUICK = Size(500, 2_000, 2_000, repeats=1, longest_s=240)


class NotAllJudged(AssertionError):
    """Work was left over or failed: then its time means nothing."""


def measure(stand: Stand, size: Size) -> Iterator[Figure]:
    small = nights(stand, size.small, size.repeats)
    yield from _figures("small", size.small, small)
    each_s = min(night["seconds"] for night in small) / size.small
    number = size.large if each_s * size.large <= size.longest_s else size.instead
    large = nights(stand, number, 1)
    yield from _figures("large", number, large)
    times = number / size.small
    growth = tuple(night["seconds"] / first["seconds"] for night in large for first in small)
    yield Figure(
        "growth", f"time for {times:g} times as many", "times", growth, Target(1.2 * times, at_least=False)
    )
    if number < size.large:
        runs = tuple(night["seconds"] * size.large / number for night in large)
        yield Figure(
            "extrapolated", f"{size.large:,} of each, extrapolated from {number:,}, not measured", "s", runs
        )


def nights(stand: Stand, pumps: int, repeats: int) -> list[dict[str, float]]:
    """What `judging` tells of one night, for each repeat; raises NotAllJudged."""
    with stand.database() as template:
        with application(template):
            populate(template, pumps, clock.now())
        return [_night(stand, template, pumps) for _ in range(repeats)]


def _night(stand: Stand, template: str, pumps: int) -> dict[str, float]:
    with stand.database(template) as url:
        stand.settle()
        night = in_own_process("judging", {"database_url": url})
    if night["judged"] != 2 * pumps or night["forecasts"] != pumps or night["left"] or night["failed"]:
        raise NotAllJudged(f"of {pumps} pumps and patients: {night}")
    return night


def _figures(key: str, number: int, nights: list[dict[str, float]]) -> Iterator[Figure]:
    def figure(name: str, value: str, reads: str, unit: str) -> Figure:
        return Figure(f"{key}_{name}", reads, unit, tuple(night[value] for night in nights))

    yield figure("s", "seconds", f"{number:,} pumps and {number:,} patients", "s")
    yield figure("cpu_s", "cpu_s", "... processor time of the worker, with its start", "s")
    yield figure("peak_mib", "peak_mib", "... peak memory of the worker", "MiB")
    yield figure("statements", "statements", "... statements sent to the database", "")
