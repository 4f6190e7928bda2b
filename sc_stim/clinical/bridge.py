"""The bridge bolus: after a change of concentration the old drug leaves tubing and catheter at a rate of its own.

The volume between reservoir and catheter tip still holds the old concentration. It is given at the flow at which the
old drug makes the new dose, and until it is out the dose is not flow times the new concentration.
(The definition is unverified; dead space as a cause of overdose: 78stepshealth.us infusate complications.)
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from sc_stim.clinical.pump_record import PumpSetting

_DAY: Final = timedelta(days=1)


class Bridge(Struct, frozen=True):
    """`volume_ml` of the old drug is given from `since` to `until`."""

    since: datetime
    until: datetime
    volume_ml: float

    @property
    def flow_ml_per_day(self) -> float:
        return self.volume_ml / ((self.until - self.since) / _DAY)


def bridge(
    since: datetime, volume_ml: float, old_mg_per_ml: float, new_mg_per_ml: float, flow_ml_per_day: float
) -> Bridge:
    """The bridge that gives the old drug at the new dose, `flow_ml_per_day` times `new_mg_per_ml`.

    volume_ml: of the catheter and of the tubing in the pump. All figures above zero, else ValueError.
    """
    if min(volume_ml, old_mg_per_ml, new_mg_per_ml, flow_ml_per_day) <= 0:
        raise ValueError("a bridge needs a volume, both concentrations and a flow above zero")
    days = volume_ml * old_mg_per_ml / (flow_ml_per_day * new_mg_per_ml)
    return Bridge(since, since + days * _DAY, volume_ml)


def bridging(bridges: Iterable[Bridge], at: datetime) -> Bridge | None:
    """The bridge that runs at this moment."""
    return next((one for one in bridges if one.since <= at < one.until), None)


def with_bridges(settings: Sequence[PumpSetting], bridges: Iterable[Bridge]) -> tuple[PumpSetting, ...]:
    """The settings, oldest first, with the flow of each bridge while it runs; what was set meanwhile holds after."""
    rows = list(settings)
    for one in bridges:
        later = [row for row in rows if row.since <= one.until]
        if not later:
            continue
        runs = replace(later[-1], since=one.since, flow_ml_per_day=one.flow_ml_per_day, pattern=())
        after = replace(later[-1], since=one.until)
        rows = [
            *(row for row in rows if row.since < one.since), runs, after,
            *(row for row in rows if row.since > one.until),
        ]  # fmt: skip
    return tuple(rows)
