"""The rows that a device's records become, and which judgements they are news to."""

import datetime as dt
from dataclasses import dataclass, field

from sc_stim.clinical import therapy_changes
from sc_stim.devices.messages import AnyItem, Event, PumpSample, Score, StimulatorSample
from sc_stim.devices.state_rows import Known
from sc_stim.devices.store import Bulk, Row, document
from sc_stim.models import DeviceEvent, WorkItem
from sc_stim.models import PainScore as PainScoreTable
from sc_stim.models import PumpSample as PumpSampleTable
from sc_stim.models import StimulatorSample as StimulatorSampleTable
from sc_stim.models.base import new_public_id
from sc_stim.workflows import outbox

IDENTITY = ("device_id", "epoch", "seq", "clinic_id", "measured_at", "device_at", "received_at")
PUMP = (
    *IDENTITY, "state", "reservoir_ml", "flow_ml_per_day", "boluses", "bolus_ml", "battery_v", "eri_months",
    "low_reservoir_alarm_ml",
)  # fmt: skip
STIMULATOR = (
    *IDENTITY, "state", "on_s", "program", "amplitude_ma", "pulse_width_us", "rate_hz", "battery_pct", "battery_v",
    "charged_s", "impedance_ohm", "ecap_in_window_pct", "posture",
)  # fmt: skip
EVENT = (*IDENTITY, "kind", "state", "detail")
SCORE = (*IDENTITY, "public_id", "patient_id", "nrs", "site", "flare", "sleep", "interference", "symptoms")


@dataclass(slots=True)
class SampleRows:
    """The rows of one batch by table; `news` is the earliest new measurement by kind of judgement and subject."""

    bulk: Bulk
    pump: list[Row] = field(default_factory=list)
    stimulator: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    scores: list[Row] = field(default_factory=list)
    news: dict[tuple[str, int], dt.datetime] = field(default_factory=dict)

    def add(
        self, device: Known, epoch: str, item: AnyItem, measured_at: dt.datetime, received_at: dt.datetime
    ) -> None:
        """One record; a score only of a device that has a patient."""
        moment = self.bulk.moment
        identity = (
            device.id, epoch, item.seq, device.clinic_id, moment(measured_at), moment(item.at), moment(received_at)
        )  # fmt: skip
        kind, subject = outbox.REFILL if device.kind == "pump" else outbox.DEVICE, device.id
        if isinstance(item, PumpSample):
            self.pump.append((*identity, *_pump_values(item)))
            device.measure(item, measured_at)
        elif isinstance(item, StimulatorSample):
            self.stimulator.append((*identity, *_stimulator_values(item)))
            device.measure(item, measured_at)
        elif isinstance(item, Event):
            self.events.append((*identity, item.kind, item.state, document(item.detail)))
            if item.kind in therapy_changes.REPORTED and device.patient_id is not None:
                self._note(outbox.PAIN, device.patient_id, measured_at)
        elif device.patient_id is not None:
            self.scores.append((*identity, self.bulk.uuid(new_public_id()), *_score_values(device, item)))
            kind, subject = outbox.PAIN, device.patient_id
        self._note(kind, subject, measured_at)

    def _note(self, kind: str, subject: int, measured_at: dt.datetime) -> None:
        known = self.news.get((kind, subject))
        if known is None or measured_at < known:
            self.news[kind, subject] = measured_at

    def __bool__(self) -> bool:
        return bool(self.news)

    def write(self) -> None:
        self.bulk.add(PumpSampleTable.__table__, PUMP, self.pump)
        self.bulk.add(StimulatorSampleTable.__table__, STIMULATOR, self.stimulator)
        self.bulk.add(DeviceEvent.__table__, EVENT, self.events)
        self.bulk.add(PainScoreTable.__table__, SCORE, self.scores)

    def ask_for_judgement(self, at: dt.datetime) -> None:
        """`workflows.outbox.ask` for many subjects, each with its own `since`."""
        moment = self.bulk.moment
        rows = [
            (*key, 1, moment(since), moment(at), moment(at), 0) for key, since in sorted(self.news.items())
        ]
        merge = outbox.merge_sql("postgresql" if self.bulk.is_postgres else "sqlite")
        self.bulk.upsert(WorkItem.__table__, outbox.COLUMNS, rows, merge)


def _pump_values(item: PumpSample) -> Row:
    return (
        item.state, item.reservoir_ml, item.flow_ml_per_day, item.boluses, item.bolus_ml, item.battery_v,
        item.eri_months, item.low_reservoir_alarm_ml,
    )  # fmt: skip


def _stimulator_values(item: StimulatorSample) -> Row:
    program = None if item.program is None else str(item.program)
    return (
        item.state, item.on_s, program, item.amplitude_ma, item.pulse_width_us, item.rate_hz, item.battery_pct,
        item.battery_v, item.charged_s, document(item.impedance_ohm), item.ecap_in_window_pct, item.posture,
    )  # fmt: skip


def _score_values(device: Known, item: Score) -> Row:
    return (
        device.patient_id, item.nrs, item.site or "overall", item.flare, item.sleep, item.interference,
        document(item.symptoms or ()),
    )  # fmt: skip
