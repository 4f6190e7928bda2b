"""What a batch knows of a device, and the rows its items become."""

import datetime as dt
from dataclasses import dataclass, field

from sc_stim.devices.clock import ClockEstimate
from sc_stim.devices.messages import AnyItem, DeviceKind, DeviceState, Event, PumpSample, Score, StimulatorSample
from sc_stim.devices.store import Bulk, Row, document
from sc_stim.models import DeviceEvent
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


@dataclass(slots=True, eq=False)
class Known:
    """A registered device, and what this batch tells of it."""

    public_id: str
    id: int
    clinic_id: int
    patient_id: int | None
    kind: DeviceKind
    revoked: bool
    clock: ClockEstimate
    heard_at: dt.datetime | None = None
    state: DeviceState | None = None
    state_at: dt.datetime | None = None
    unknown_fields: int = 0
    newest_at: dt.datetime | None = None
    newest: PumpSample | StimulatorSample | None = None

    def hear(self, at: dt.datetime) -> None:
        """It spoke, whatever it said."""
        self.heard_at = at if self.heard_at is None else max(self.heard_at, at)

    def hear_state(self, state: DeviceState, at: dt.datetime, retained: bool) -> None:
        """Its birth or its last will. A retained one is the broker's memory, and a will is not the device's word."""
        self.state, self.state_at = state, at
        if state.online and not retained:
            self.hear(at)


@dataclass(slots=True)
class SampleRows:
    """The rows of one batch by table, and which judgements they are news to."""

    bulk: Bulk
    pump: list[Row] = field(default_factory=list)
    stimulator: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    scores: list[Row] = field(default_factory=list)
    news: dict[tuple[str, int], dt.datetime] = field(default_factory=dict)

    def add(
        self, device: Known, epoch: str, item: AnyItem, measured_at: dt.datetime, received_at: dt.datetime
    ) -> None:
        moment = self.bulk.moment
        identity = (
            device.id, epoch, item.seq, device.clinic_id, moment(measured_at), moment(item.at), moment(received_at)
        )  # fmt: skip
        if isinstance(item, Score):
            public_id = self.bulk.uuid(new_public_id())
            self.scores.append((*identity, public_id, *_score_values(device, item)))
            assert device.patient_id is not None
            self._tell(outbox.PAIN, device.patient_id, measured_at)
            return
        if isinstance(item, Event):
            self.events.append((*identity, item.kind, item.state, document(item.detail)))
        else:
            if isinstance(item, PumpSample):
                self.pump.append((*identity, *_pump_values(item)))
            else:
                self.stimulator.append((*identity, *_stimulator_values(item)))
            if device.newest_at is None or measured_at > device.newest_at:
                device.newest_at, device.newest = measured_at, item
        self._tell(outbox.REFILL if device.kind == "pump" else outbox.DEVICE, device.id, measured_at)

    def write(self) -> None:
        self.bulk.add(PumpSampleTable.__table__, PUMP, self.pump)
        self.bulk.add(StimulatorSampleTable.__table__, STIMULATOR, self.stimulator)
        self.bulk.add(DeviceEvent.__table__, EVENT, self.events)
        self.bulk.add(PainScoreTable.__table__, SCORE, self.scores)

    def __bool__(self) -> bool:
        return bool(self.pump or self.stimulator or self.events or self.scores)

    def _tell(self, kind: str, subject_id: int, measured_at: dt.datetime) -> None:
        known = self.news.get((kind, subject_id))
        if known is None or measured_at < known:
            self.news[kind, subject_id] = measured_at


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
