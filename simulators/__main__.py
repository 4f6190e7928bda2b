"""`python -m simulators`: simulated patients and devices that report over MQTT."""

import argparse
import datetime as dt
import json
import logging
import signal
import sys
import time
from collections.abc import Sequence

import msgspec

from . import credentials, scenario
from .cohort import Cohort, Network
from .fleet import Fleet, Progress
from .journal import JournalError, anchor_of
from .options import make_parser
from .scenario_file import read
from .truth import TruthFile

PROGRESS_EVERY_S = 2.0
EXIT_NOT_FINISHED = 3  # the time was over before everything that --samples asks for was stored


def network_of(arguments: argparse.Namespace, usual: Network) -> Network:
    """The scenario's network with what the command line says instead."""
    given = {
        "offline_h": None if arguments.offline is None else arguments.offline / 3600,
        "duplicate": arguments.duplicate,
        "reorder": arguments.reorder,
        "skew_s": arguments.skew,
        "loss": arguments.loss,
    }
    return msgspec.structs.replace(
        usual, **{name: value for name, value in given.items() if value is not None}
    )


def load_cohort(arguments: argparse.Namespace) -> Cohort:
    """The cohort that the arguments describe; a journal says when its run began."""
    anchor = anchor_of(arguments.journal) if arguments.journal else None
    if anchor and arguments.now and anchor != arguments.now:
        raise JournalError(
            f"--now: the journal {arguments.journal} is of a run with --now {anchor.isoformat()}"
        )
    return scenario.load(
        arguments.scenario,
        seed=arguments.seed,
        now=arguments.now or anchor or dt.datetime.now(dt.UTC),
        patients=arguments.patients,
        days=arguments.days,
        pumps=arguments.pumps,
        stimulators=arguments.stimulators,
        report_interval_s=arguments.report_interval,
        network=network_of(arguments, read(arguments.scenario).network),
    )


class Watch:
    """Stops a run at a signal or when its time is over."""

    def __init__(self, exit_after_s: float | None) -> None:
        self._end_s = None if exit_after_s is None else time.monotonic() + exit_after_s
        self._signalled = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        self._signalled = True

    def __call__(self) -> bool:
        return self._signalled or (self._end_s is not None and time.monotonic() >= self._end_s)


def show(progress: Progress) -> None:
    sys.stderr.write(
        f"history {progress.share:4.0%}  connected {progress.connected}/{progress.devices}  "
        f"generated {progress.generated}  stored {progress.stored}\n"
    )
    sys.stderr.flush()


def run(arguments: argparse.Namespace, cohort: Cohort) -> int:
    """Run the fleet; a summary as one JSON line on standard output."""
    watch = Watch(arguments.exit_after)
    passwords = {device.id: arguments.password for device in cohort.devices}
    if arguments.credentials:
        cohort, passwords = credentials.assign(cohort, credentials.read(arguments.credentials))
    truth = TruthFile(arguments.truth, cohort, records=arguments.truth_records) if arguments.truth else None
    fleet = Fleet(
        cohort,
        arguments.mqtt,
        passwords,
        speed=arguments.speed,
        samples=arguments.samples,
        mqtt_version=arguments.mqtt_version,
        ca=arguments.ca,
        truth=truth,
        journal=arguments.journal,
    )
    progress = fleet.run(watch, on_progress=show, progress_every_s=PROGRESS_EVERY_S)
    if truth:
        truth.close()
    summary = {
        "scenario": cohort.scenario,
        "seed": cohort.seed,
        "now": cohort.now.isoformat(),
        "devices": progress.devices,
        "generated": progress.generated,
        "stored": progress.stored,
        "unacknowledged": len(fleet.unacknowledged()),
        "forgotten": progress.forgotten,
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0 if fleet.finished or arguments.samples is None else EXIT_NOT_FINISHED


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 2 wrong arguments, 3 not finished (see EXIT_NOT_FINISHED)."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    if not arguments.mqtt and not arguments.plan and not arguments.truth:
        parser.error("give --mqtt URL to send, --plan FILE to write the cohort, or --truth FILE")
    if arguments.speed is not None and arguments.speed <= 0:
        parser.error("--speed: give a number above 0")
    if arguments.days is not None and not 0 <= arguments.days <= 3650:
        parser.error("--days: give a number from 0 to 3650")
    try:
        cohort = load_cohort(arguments)
        if arguments.plan:
            arguments.plan.write_bytes(cohort.to_json())
        if not arguments.mqtt:
            if arguments.truth:
                TruthFile(arguments.truth, cohort).close()
            return 0
        return run(arguments, cohort)
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
