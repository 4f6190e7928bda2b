"""How long refill forecasts take without the database. How good they are: `refill`."""

import datetime as dt
import io
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.figures import Figure, Target
from sc_stim import backtest, clock
from sc_stim.clinical.pump_record import BolusCount, DrugInPump, Fill, PumpRecord, PumpSetting
from sc_stim.clinical.refill import Forecast
from sc_stim.clinical.refill import forecast as forecast_of
from simulators import scenario
from simulators.cohort import Pump

TITLE = "Refill forecast, without the database"
SEED = 20261122
ALL = 100_000


@dataclass(frozen=True)
class Size:
    """`pumps` are drawn by the simulators, and all are forecast `repeats` times; the file has `copies` of each."""

    pumps: int
    repeats: int
    copies: int


FULL = Size(2_000, repeats=5, copies=10)
QUICK = Size(500, repeats=3, copies=4)


def measure(_stand: object, size: Size) -> Iterator[Figure]:
    now = clock.now()
    cohort = scenario.load("normal", seed=SEED, now=now, pumps=size.pumps, stimulators=0, days=0)
    records = [_record(patient.pump, now) for patient in cohort.patients if patient.pump]
    runs = tuple(_seconds(records, now) * ALL / size.pumps for _ in range(size.repeats))
    reads = f"{ALL:,} pumps, processor time of one process, from {size.pumps:,}"
    yield Figure("all_s", reads, "s", runs)
    cases = size.pumps * size.copies
    reads = f"{ALL:,} pumps, `sc-stim backtest refill` on all processors, from a file of {cases:,}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cases.json"
        file.write_bytes(_cases(records * size.copies, now))
        runs = tuple(_backtest_s(file) * ALL / cases for _ in range(size.repeats))
    yield Figure("backtest_s", reads, "s", runs, Target(5, at_least=False))


def _cases(records: list[PumpRecord], now: dt.datetime) -> bytes:
    at = now.date().isoformat()
    named = (
        msgspec.to_builtins(record) | {"pump": f"p{place}", "at": at} for place, record in enumerate(records)
    )
    return msgspec.json.encode(list(named))


def _backtest_s(file: Path) -> float:
    began = time.perf_counter()
    backtest.refill(file, io.StringIO())
    return time.perf_counter() - began


def _seconds(records: list[PumpRecord], at: dt.datetime) -> float:
    began = time.process_time()
    judged = [forecast_of(record, at) for record in records]
    took = time.process_time() - began
    if not all(isinstance(one, Forecast) for one in judged):
        raise AssertionError("a forecast was refused: its time means nothing")
    return took


def _record(pump: Pump, now: dt.datetime) -> PumpRecord:
    """As the clinic knows it; where boluses are allowed, with a count since the last fill."""
    setting, filled_on = pump.settings[-1], pump.fills[-1].at.date()
    days, per_day = (now.date() - filled_on).days, pump.nature.bolus_requests_per_day
    counted = setting.bolus_ml and days > 0
    return PumpRecord(
        timezone="Europe/Berlin",
        country="DE",
        reservoir_ml=pump.reservoir_ml,
        low_reservoir_alarm_ml=pump.low_reservoir_alarm_ml,
        accuracy_pct=pump.accuracy_pct,
        drugs=tuple(DrugInPump(name=drug.name, mg_per_ml=drug.mg_per_ml) for drug in pump.drugs),
        settings=tuple(
            PumpSetting(
                since=each.since, flow_ml_per_day=each.flow_ml_per_day, bolus_ml=each.bolus_ml or 0.0,
                max_boluses_per_day=each.max_boluses_per_day or 0.0,
            )
            for each in pump.settings
        ),
        fills=tuple(Fill(at=fill.at, filled_ml=fill.filled_ml, aspirated_ml=fill.aspirated_ml) for fill in pump.fills),
        boluses=(BolusCount(first_day=filled_on, until=now.date(), count=round(days * per_day)),) if counted else (),
    )  # fmt: skip
