"""Alarms that devices raise themselves: judged in the transaction of the event that tells of them."""

import datetime as dt
from dataclasses import dataclass, field

import structlog
from sqlalchemy.orm import Session

from sc_stim.clinical.alarms import duration, shipped_table
from sc_stim.devices.messages import Event
from sc_stim.devices.state_rows import Known
from sc_stim.workflows.conditions import judge_conditions

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class AlarmRows:
    """The devices of one batch with an alarm of just now: an alert must not wait for the next sweep of the workers.

    What arrives late can wait: it is owed to them, like all news.
    """

    session: Session
    pressing: dict[int, dt.datetime] = field(default_factory=dict)  # device -> its earliest alarm

    def add(self, device: Known, event: Event, measured_at: dt.datetime, received_at: dt.datetime) -> None:
        table = shipped_table()
        if event.kind in table.events and received_at - measured_at <= duration(table.late_after):
            self.pressing[device.id] = min(measured_at, self.pressing.get(device.id, measured_at))

    def judge(self, at: dt.datetime) -> None:
        """Once everything of the batch is written."""
        if not self.pressing:
            return
        try:
            with self.session.begin_nested():
                judge_conditions(self.session, self.pressing, at)
        except (
            Exception
        ):  # the telemetry is stored all the same, and the workers judge these devices in any case
            log.exception("alarm_not_judged_at_once", devices=sorted(self.pressing))
