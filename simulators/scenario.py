"""The entry point for others: a scenario by name or file, scaled and drawn, as a `Cohort`."""

import datetime as dt
from pathlib import Path

from .casting import cast
from .cohort import Cohort, Network
from .scenario_file import ScenarioError, names, read

__all__ = ["ScenarioError", "load", "names"]


def load(
    path_or_name: str | Path,
    *,
    seed: int,
    now: dt.datetime,
    patients: int | None = None,
    days: float | None = None,
    pumps: int | None = None,
    stimulators: int | None = None,
    report_interval_s: float | None = None,
    network: Network | None = None,
) -> Cohort:
    """The cohort of a scenario; pure: the same arguments give the same cohort. None: as the scenario says.

    `now` (aware) is where history ends and live records begin, `days` the length of the history before it.
    The cast comes first, so it is complete when `patients` is at least its size. `pumps` or `stimulators` fix
    the number of devices instead. Raises ScenarioError that names the field at fault.
    """
    return cast(
        read(path_or_name),
        seed=seed,
        now=now,
        patients=patients,
        days=days,
        pumps=pumps,
        stimulators=stimulators,
        report_interval_s=report_interval_s,
        network=network,
    )
