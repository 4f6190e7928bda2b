"""The lanes of the worklist as files for a spreadsheet."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sc_stim.i18n import _
from sc_stim.models import Patient
from sc_stim.models.review import day_of
from sc_stim.web import words

WHO: Final = ("patient", "record_number", "telephone")
Cells = Callable[[Any], Sequence[Any]]


def patient_of(row: Any) -> Patient | None:
    """Of a row of any lane; None where it has none, or is about many."""
    patient: Patient | None = getattr(row, "patient", None) or getattr(row, "Patient", None)
    return patient


def _who(row: Any) -> tuple[Any, ...]:
    patient = patient_of(row)
    return (patient.display_name, patient.mrn, patient.phone) if patient else (None, None, None)


def _device(device: Any) -> tuple[Any, ...]:
    return (device.kind, device.model, device.serial) if device else (None, None, None)


def _reservoir_ml(state: Any) -> Any:
    return state.sample.get("reservoir_ml") if state and state.sample else None


def _refill(row: Any) -> Sequence[Any]:
    forecast, visit = row.forecast, row.visit
    return (
        *_who(row), row.device.model, row.device.serial, forecast.risk, "; ".join(row.reasons), forecast.refill_by,
        words.say(words.CLOCK, forecast.binding_clock or ""), forecast.earliest_empty_on,
        "; ".join(_drug(drug) for drug in row.drugs), _reservoir_ml(row.state),
        row.state.measured_at if row.state else None, visit.starts_at if visit else None, forecast.computed_at,
    )  # fmt: skip


def _drug(drug: dict[str, Any]) -> str:
    strength = drug.get("mg_per_ml")
    return _(
        "%(drug)s %(number)s mg/mL",
        drug=drug["name"],
        number="?" if strength is None else words.number(strength),
    )


def _alert(alert: Any) -> Sequence[Any]:
    return (
        *_who(alert), *_device(alert.device), alert.severity, words.say(words.CONDITION, alert.condition),
        words.say(words.ALERT_STATE, alert.state), alert.since,
    )  # fmt: skip


def _review(row: Any) -> Sequence[Any]:
    return (*_who(row), *_device(row.Device), day_of(row.due_day), row.last_on)


def _visit(row: Any) -> Sequence[Any]:
    return (*_who(row), *_device(row.device), row.fill.at, " ".join(row.to_do))


def _without_forecast(row: Any) -> Sequence[Any]:
    refused = row.Forecast.refused if row.Forecast else None
    why = words.say(words.REFUSAL, refused) if refused else _("The first forecast has not been made yet.")
    return (*_who(row), *_device(row.Device), why, _reservoir_ml(row.DeviceState))


def _silent(row: Any) -> Sequence[Any]:
    state = row.DeviceState
    return (*_who(row), *_device(row.Device), state.measured_at if state else None, row.Device.cut_off_at)


def _task(row: Any) -> Sequence[Any]:
    return (*_who(row), *_device(row.Device), words.say(words.TASK, row.CareTask.kind), row.CareTask.due_at)


def _recall(row: Any) -> Sequence[Any]:
    return (row.Recall.title, row.Recall.reference, row.Recall.recall_class, row.left)


DEVICE: Final = (*WHO, "device", "model", "serial")
# lane -> its header row, and the cells of one row
FILES: Final[dict[str, tuple[Sequence[str], Cells]]] = {
    "refills": (
        (
            *WHO, "model", "serial", "risk", "reasons", "refill_by", "because_of", "earliest_empty_on", "drugs",
            "reservoir_ml", "reservoir_measured_at", "visit_at", "computed_at",
        ),
        _refill,
    ),
    "alerts": ((*DEVICE, "severity", "condition", "state", "since"), _alert),
    "pain": ((*DEVICE, "severity", "condition", "state", "since"), _alert),
    "reviews": ((*DEVICE, "due_on", "last_reviewed_on"), _review),
    "visits": ((*DEVICE, "filled_at", "to_do"), _visit),
    "without-forecast": ((*DEVICE, "what_to_do", "reservoir_ml"), _without_forecast),
    "silent": ((*DEVICE, "newest_data_at", "cut_off_at"), _silent),
    "tasks": ((*DEVICE, "task", "due_at"), _task),
    "recalls": (("recall", "reference", "class", "devices_left"), _recall),
}  # fmt: skip
