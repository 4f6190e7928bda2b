"""The bridge bolus of a refill visit: how long the old drug still flows after a change of concentration."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from sc_stim.clinical.bridge import Bridge, bridge
from sc_stim.models import Device, Fill
from sc_stim.models.device import fills_of, setting_in_force
from sc_stim.workflows.refusals import FieldRefused

Values = Mapping[str, Any]


def changed_concentrations(session: Session, pump: Device, fill: Fill) -> dict[str, tuple[float, float]]:
    """Drugs that were in the pump before this fill in another concentration: name to old and new mg/mL."""
    before = [row for row in fills_of(session, [pump.id])[pump.id] if row.at < fill.at]
    old = {drug["name"]: drug["mg_per_ml"] for drug in before[-1].drugs} if before else {}
    new = {drug["name"]: drug["mg_per_ml"] for drug in fill.drugs}
    return {name: (old[name], new[name]) for name in old.keys() & new.keys() if old[name] != new[name]}


def bridge_of_visit(session: Session, pump: Device, fill: Fill, given: Values) -> dict[str, Any]:
    """The bridge as it is kept with a fill. Raises FieldRefused.

    given: `volume_ml`, or `dead_space_ml` of the pump's tubing to be added to the catheter's volume; `until` where the
    programmer showed it, or where it cannot be computed
    """
    volume_ml = _volume_ml(pump, given)
    running = (
        Bridge(fill.at, given["until"], volume_ml)
        if given.get("until")
        else _computed(session, pump, fill, volume_ml)
    )
    if running.until <= running.since:
        raise FieldRefused("bridge.until", "must lie after the fill")
    return {"from": _iso(running.since), "until": _iso(running.until), "volume_ml": volume_ml}


def _volume_ml(pump: Device, given: Values) -> float:
    if given.get("volume_ml") is not None:
        return float(given["volume_ml"])
    if pump.catheter_volume_ml is None or given.get("dead_space_ml") is None:
        raise FieldRefused(
            "bridge.volume_ml",
            "give the volume as the programmer shows it, or the catheter's volume at the pump and dead_space_ml",
        )
    return pump.catheter_volume_ml + float(given["dead_space_ml"])


def _computed(session: Session, pump: Device, fill: Fill, volume_ml: float) -> Bridge:
    changed = changed_concentrations(session, pump, fill)
    setting = setting_in_force(session, pump.id, fill.at)
    if len(changed) != 1 or setting is None or not setting.flow_ml_per_day:
        raise FieldRefused(
            "bridge.until",
            "give it: it is computed only where one drug changed its concentration and a flow is prescribed",
        )
    ((old, new),) = changed.values()
    return bridge(fill.at, volume_ml, old, new, setting.flow_ml_per_day)


def _iso(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat()
