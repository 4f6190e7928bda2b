"""The truth file: what really happened, so that a server's alarms can be scored against it. JSON Lines.

The lines that come from the cohort alone are the same bytes for the same cohort; `record` lines are optional
and stand in the order in which records were generated.

* `cohort`: scenario, seed, start and end of the history
* `patient`: number, role in the cast, its devices
* `happening`: everything in the script, with patient and true time
* `fill`: what the clinic wrote down at each refill
* `pain_change`: when pain really begins to change by how much, and why
* `pump`: true and computed volume and the flow ratio at the end of the history, and `empty_at`
* `record`: device, epoch, seq, kind and true time of one record
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import msgspec

from .clinic_record import empty_at, state_at
from .cohort import Cohort, Patient
from .happenings import AnyHappening, LeadFracture, Migration, PainDrift, PainFlare, PainStep

Line = dict[str, Any]


def lines(cohort: Cohort) -> Iterator[Line]:
    """Everything that is known before anything is sent."""
    yield {
        "type": "cohort",
        "scenario": cohort.scenario,
        "seed": cohort.seed,
        "from": cohort.start,
        "to": cohort.now,
    }
    for patient in cohort.patients:
        yield from _patient_lines(patient, cohort)


def _patient_lines(patient: Patient, cohort: Cohort) -> Iterator[Line]:
    devices = {device.kind: device.id for device in patient.devices}
    yield {"type": "patient", "patient": patient.number, "role": patient.role, "devices": devices}
    for happening in patient.script:
        yield {"type": "happening", "patient": patient.number, **msgspec.to_builtins(happening)}
        yield from _pain_change(patient, happening)
    pump = patient.pump
    if pump is None:
        return
    for fill in pump.fills:
        yield {"type": "fill", "patient": patient.number, "device": pump.id, **msgspec.to_builtins(fill)}
    simulated = state_at(pump, patient.script, cohort.seed, cohort.now)
    yield {
        "type": "pump",
        "patient": patient.number,
        "device": pump.id,
        "at": cohort.now,
        "state": simulated.state,
        "true_ml": round(simulated.true_ml, 4),
        "computed_ml": round(simulated.computed_ml, 4),
        "flow_ratio": round(simulated.flow_ratio, 4),
        "empty_at": empty_at(pump, patient.script, cohort.seed),
    }


def _pain_change(patient: Patient, happening: AnyHappening) -> Iterator[Line]:
    line = {"type": "pain_change", "patient": patient.number, "at": happening.when}
    match happening:
        case PainStep(points=points) | PainDrift(points=points) | PainFlare(points=points):
            yield {**line, "points": points, "cause": type(happening).__name__, "from_device": False}
        case LeadFracture(pain_points=points) | Migration(pain_points=points):
            yield {**line, "points": points, "cause": type(happening).__name__, "from_device": True}


class TruthFile:
    """Writes the truth of one run; with `records` also a line for every record generated."""

    def __init__(self, path: Path, cohort: Cohort, *, records: bool = False) -> None:
        self._records = records
        self._file: TextIO = path.open("w", encoding="utf-8")
        for line in lines(cohort):
            self._write(line)
        self._file.flush()

    def note_record(self, device: str, epoch: str, seq: int, kind: str, at: dt.datetime) -> None:
        if self._records:
            self._write(
                {"type": "record", "device": device, "epoch": epoch, "seq": seq, "kind": kind, "at": at}
            )

    def close(self) -> None:
        self._file.close()

    def _write(self, line: Line) -> None:
        self._file.write(msgspec.json.encode(line).decode() + "\n")
