"""The nightly judgement of every pump and every patient, database included."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.figures import Figure, Target
from benchmarks.population import populate
from benchmarks.stand import Stand, application, in_own_process
from benchmarks.stimulators import populate_stimulators
from sc_stim import clock

TITLE = "Nightly judgement of all pumps and patients"


@dataclass(frozen=True)
class Size:
    """How many pumps, and as many patients, in each of the nights; fewest first. Stimulators by themselves."""

    numbers: tuple[int, ...]
    stimulators: int


FULL = Size((25_000, 50_000, 100_000), stimulators=5_000)
QUICK = Size((500, 1_000, 2_000), stimulators=500)


class NotAllJudged(AssertionError):
    """Work was left over or failed: then its time means nothing."""


def measure(stand: Stand, size: Size) -> Iterator[Figure]:
    all_nights = {number: night(stand, number) for number in size.numbers}
    for number, one in all_nights.items():
        yield from _figures(number, one)
    fewest, most = size.numbers[0], size.numbers[-1]
    times = most / fewest
    for value, what in (("cpu_s", "processor time"), ("seconds", "time")):
        growth = (all_nights[most][value] / all_nights[fewest][value],)
        target = Target(1.2 * times, at_least=False)
        yield Figure(f"growth_{value}", f"{what} for {times:g} times as many", "times", growth, target)
    yield from therapy(stand, size.stimulators)


def night(stand: Stand, pumps: int) -> dict[str, float]:
    """What `judging` tells of one night; raises NotAllJudged."""
    with stand.database() as url:
        with application(url):
            populate(url, pumps, clock.now())
        stand.settle()
        told = in_own_process("judging", {"database_url": url})
    if told["judged"] != 2 * pumps or told["forecasts"] != pumps or told["left"] or told["failed"]:
        raise NotAllJudged(f"of {pumps} pumps and patients: {told}")
    return told


def _figures(number: int, told: dict[str, float]) -> Iterator[Figure]:
    for name, reads, unit in (
        ("seconds", f"{number:,} pumps and {number:,} patients", "s"),
        ("cpu_s", "... processor time of the worker", "s"),
        ("peak_mib", "... peak memory of the worker", "MiB"),
        ("statements", "... statements sent to the database", ""),
        ("sample_cpu_ms", "... then one new sample of a pump, processor time", "ms"),
        ("sample_statements", "... statements", ""),
        ("score_cpu_ms", "... then one new score of a patient, processor time", "ms"),
        ("score_statements", "... statements", ""),
    ):
        yield Figure(f"{number}_{name}", reads, unit, (told[name],))


def therapy(stand: Stand, number: int) -> Iterator[Figure]:
    """The judgement of silent therapy by itself; raises NotAllJudged."""
    with stand.database() as url:
        with application(url):
            populate_stimulators(url, number, clock.now())
        stand.settle()
        told = in_own_process("stimulators", {"database_url": url})
    if told["judged"] != number or told["left"]:
        raise NotAllJudged(f"of {number} stimulators: {told}")
    reads = f"therapy of {number:,} stimulators with 60 daily reports: processor time for each"
    yield Figure("therapy_cpu_ms", reads, "ms", (told["cpu_ms"],))
    yield Figure("therapy_statements", "... statements for all", "", (told["statements"],))
