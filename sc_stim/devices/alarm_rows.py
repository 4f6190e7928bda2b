"""Alarms that devices raise themselves: alerts in the same transaction as the event that tells of them."""

import datetime as dt
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from sc_stim.clinical import alarms
from sc_stim.clinical.alarms import Effect, Severity
from sc_stim.devices.messages import Event
from sc_stim.devices.sample_rows import Known
from sc_stim.workflows import alerts


@dataclass(frozen=True, slots=True)
class _Told:
    measured_at: dt.datetime
    received_at: dt.datetime
    device: Known
    event: Event


@dataclass(slots=True)
class AlarmRows:
    """The alarm events of one batch."""

    session: Session
    told: list[_Told] = field(default_factory=list)

    def add(self, device: Known, event: Event, measured_at: dt.datetime, received_at: dt.datetime) -> None:
        if alarms.shipped_table().events.get(event.kind):
            self.told.append(_Told(measured_at, received_at, device, event))

    def write(self) -> None:
        """Open, return to normal or note, in the order in which it happened."""
        table = alarms.shipped_table()
        for told in sorted(self.told, key=lambda told: told.measured_at):
            for name, effect in table.events[told.event.kind]:
                self._write_one(told, table, name, effect)

    def _write_one(self, told: _Told, table: alarms.AlarmTable, name: str, effect: Effect) -> None:
        ends = effect is Effect.ENDS or (effect is Effect.FOLLOWS and told.event.state == "cleared")
        severity = table.conditions[name].severity.get(told.device.kind)
        if severity is None or severity is Severity.INFO:
            return  # the event itself is on record; nobody has to do anything about it
        if ends:
            self._end(told, name)
            return
        condition = alerts.Condition(
            clinic_id=told.device.clinic_id,
            patient_id=told.device.patient_id,
            device_id=told.device.id,
            name=name,
            severity=severity.code,
            since=told.measured_at,
            effect_key=alerts.condition_key(told.device.id, name, told.measured_at),
            model_version=f"alarms-{table.version}",
            detail={"event": told.event.kind, "detail": told.event.detail},
        )
        if told.received_at - told.measured_at > alarms.duration(table.late_after):
            # Old news calls nobody by itself; whether it still holds is judged from all that is known.
            alerts.record_finding(self.session, condition, at=told.received_at)
        elif alerts.raise_alert(self.session, condition, at=told.received_at) and table.conditions[name].momentary:
            self._end(told, name)

    def _end(self, told: _Told, name: str) -> None:
        key = alerts.open_key(name, device_id=told.device.id, patient_id=told.device.patient_id)
        alerts.return_to_normal(self.session, key, at=told.received_at, over_at=told.measured_at)
