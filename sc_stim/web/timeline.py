"""Everything about a patient on one zooming axis: the figures that `timeline.js` draws, one column per local day.

Days are counted, not timed: a day is 86,400 s wide wherever the clocks change, and None is a day without a value.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import Response, abort, jsonify, url_for

from sc_stim.access import requires
from sc_stim.clinical import pain
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _
from sc_stim.models import DeviceSetting, Fill, PainScore, Patient
from sc_stim.models.scope import find
from sc_stim.models.series import start_of_day
from sc_stim.models.timeline import timeline_of
from sc_stim.web import dates, page, words
from sc_stim.web.blueprint import pages
from sc_stim.web.compressed import compressed
from sc_stim.web.implants import Implant, implants_of
from sc_stim.web.words import number
from sc_stim.workflows import audit
from sc_stim.workflows.pain_courses import whole_course

LONGEST: Final = dt.timedelta(days=5 * 366)
LEAST: Final = dt.timedelta(days=30)
AHEAD: Final = dt.timedelta(days=120)  # of the forecast, at most
ONE_DAY: Final = dt.timedelta(days=1)
EPOCH: Final = dt.date(1970, 1, 1)

# Which reports of a device stand on the time line; the others are for its own page.
TELLING_EVENTS: Final = frozenset({
    "motor_stall", "pump_stopped", "low_reservoir", "empty_reservoir", "eri", "eos", "memory_error", "mri_entered",
    "mri_left", "program_changed", "rate_changed", "lead_disconnected", "charge_missed", "reset",
})  # fmt: skip

Values = list[float | None]
Panel = dict[str, Any]
Event = dict[str, Any]


@pages.get("/patients/<uuid:public_id>/timeline.json", endpoint="patient_timeline")
@requires("patients.read")
def show(public_id: uuid.UUID) -> Response:
    return _answer(public_id, timeline, "patient.timeline")


@pages.get("/patients/<uuid:public_id>/usual.json", endpoint="patient_usual")
@requires("patients.read")
def show_usual(public_id: uuid.UUID) -> Response:
    return _answer(public_id, usual, "patient.usual_pain")


def _answer(
    public_id: uuid.UUID, tell: Callable[[Patient, dt.datetime], dict[str, Any]], action: str
) -> Response:
    """What is told of one patient now; the look is put on record."""
    patient: Patient = find(db.session, Patient, actor().clinic_id, public_id) or abort(404)
    answer = compressed(jsonify(tell(patient, page.at())))
    audit.record(db.session, actor(), action, "patient", patient.public_id, at=page.at())
    db.session.commit()
    return answer


def timeline(patient: Patient, at: dt.datetime) -> dict[str, Any]:
    """`x`: seconds from 1970 to each day's noon, as if days were UTC days. `panels` from top to bottom; `events`."""
    implants = implants_of(db.session, patient, at)
    days = Days(patient, implants, at)
    told = timeline_of(db.session, patient, start_of_day(days.first, days.zone), at)
    of_device = {lane["device"].id: lane for lane in told["devices"]}
    panels = [_pain(days, told["pain"], url_for("web.patient_usual", public_id=patient.public_id))]
    for implant in implants:
        draw = _pump if implant.device.kind == "pump" else _stimulator
        panels += draw(days, implant, of_device[implant.device.id])
    return {
        "x": [_seconds(day) for day in days],
        "today": _seconds(days.today),
        "words": _said(),
        "locale": "en-US" if page.country() == "US" else "en-GB",
        "panels": panels,
        "events": sorted(_events(days, told, implants), key=lambda event: event["x"]),
    }


def _said() -> dict[str, Any]:
    """What the script says, with places for what it fills in."""
    return {
        "earlier": _("Earlier"), "later": _("Later"), "closer": _("Closer"), "further": _("Further away"),
        "all": _("All"),
        "spans": [(30, _("30 days")), (90, _("90 days")), (365, _("1 year"))],
        "shown": _(
            "%(first)s to %(last)s. Drag to move, hold Shift and scroll to zoom, or use the keys ← → + −.",
            first="{first}", last="{last}",
        ),
        "usually": _("(usually %(low)s to %(high)s)", low="{low}", high="{high}"),
        "missing": _("no data"),
        "kinds": {
            "alert": _("alert"), "fill": _("fill"), "treatment": _("treatment"), "setting": _("prescribed"),
            "event": _("told by the device"), "refill_by": _("refill by"), "review": _("review"),
        },
    }  # fmt: skip


class Days:
    """The local days from the first record to today, and those ahead that a forecast speaks of."""

    def __init__(self, patient: Patient, implants: Sequence[Implant], at: dt.datetime) -> None:
        self.zone = ZoneInfo(patient.time_zone)
        self.today = self.local(at)
        begun = [implant.device.implanted_on for implant in implants]
        first_score = db.session.scalar(
            db.select(db.func.min(PainScore.measured_at)).where(PainScore.patient_id == patient.id)
        )
        begun += [self.local(first_score) if first_score else None, self.today - LEAST]
        self.first = max(self.today - LONGEST, min(day for day in begun if day))
        ahead = [day for implant in implants for day in (*implant.days_ahead, *_empty_days(implant).values())]
        self.last = max([self.today, *(min(day, self.today + AHEAD) for day in ahead if day)])

    def __iter__(self) -> Iterator[dt.date]:
        return (self.first + index * ONE_DAY for index in range((self.last - self.first).days + 1))

    def local(self, at: dt.datetime) -> dt.date:
        return at.astimezone(self.zone).date()

    def column(self, rows: Iterable[dict[str, Any]], value: Callable[[dict[str, Any]], Any]) -> Values:
        """One value per day of the axis, None where the series has none."""
        by_day = {self.local(row["from"]): value(row) for row in rows}
        return [_rounded(by_day.get(day)) for day in self]

    def column_of(self, rows: Iterable[dict[str, Any]], field: str) -> Values:
        return self.column(rows, lambda row: row["readings"][field])


def _pain(days: Days, rows: list[dict[str, Any]], usual_address: str) -> Panel:
    """Daily mean, and where to ask for the usual range."""
    return {
        "key": "pain",
        "title": _("Pain"),
        "unit": "NRS",
        "range": [0, 10],
        "series": [_series(_("mean of the day"), days.column(rows, lambda row: row["nrs"]))],
        "band": {
            "address": usual_address,
            "label": _("shaded: usual for this patient"),
            "awaited": _("the usual range is being worked out…"),
            "unknown": _("no usual range yet: too few scores"),
            "failed": _("the usual range could not be loaded (%(why)s): reload the page", why="{why}"),
        },
    }


def usual(patient: Patient, at: dt.datetime) -> dict[str, Any]:
    """Between what values the patient's pain usually lay, as far as was known on each day: `low` and `high` at `x`.

    The whole diary is replayed for it, which takes longer than everything else about the patient: a quarter of a
    second for two years. So it is an answer of its own, and the time line does not wait for it.
    """
    course = whole_course(db.session(), patient)
    diary = course.diary(course.local(at))
    states = (state for state, _findings in pain.replay(diary)) if diary else ()
    bands = [(state.day, band) for state in states if state.day and (band := pain.usual_band(state))]
    return {
        "x": [_seconds(day) for day, _band in bands],
        "low": [low for _day, (low, _high) in bands],
        "high": [high for _day, (_low, high) in bands],
    }


def _stimulator(days: Days, implant: Implant, lane: dict[str, Any]) -> Iterator[Panel]:
    rows = lane["series"]
    hours = days.column(rows, lambda row: None if _of(row, "on_s") is None else _of(row, "on_s") / 3600)
    yield _panel(
        implant,
        "usage",
        _("Stimulation"),
        "h/day",
        [0, 24],
        _series(_("on"), _until_today(days, hours), "bars"),
    )
    contacts = max((len(_of(row, "impedance_ohm") or ()) for row in rows), default=0)
    if contacts:
        yield _panel(implant, "impedance", _("Impedance by contact"), "Ω", [0, contacts]) | {
            "heat": [days.column(rows, lambda row, c=index: _contact(row, c)) for index in range(contacts)]  # type: ignore[misc]
        }
    percent = days.column_of(rows, "battery_pct")
    if any(value is not None for value in percent):
        yield _panel(implant, "battery", _("Battery"), "%", [0, 100], _series(_("charge"), percent))
    else:
        yield _voltage(days, implant, rows)
    window = days.column_of(rows, "ecap_in_window_pct")
    if any(value is not None for value in window):
        yield _panel(
            implant, "ecap", _("Closed loop in window"), "%", [0, 100], _series(_("in window"), window)
        )


def _pump(days: Days, implant: Implant, lane: dict[str, Any]) -> Iterator[Panel]:
    rows, device = lane["series"], implant.device
    computed = days.column_of(rows, "reservoir_ml")
    top = max([device.reservoir_ml or 0, *(value for value in computed if value is not None), 1])
    learned = _learned(days, implant, computed)
    counted, probable = (
        _series(_("as the pump computes it"), computed),
        _series(_("by its learned flow"), learned, "second"),
    )
    yield _panel(implant, "reservoir", _("Reservoir"), "mL", [0, top], counted, probable) | {
        "level": device.low_reservoir_alarm_ml,
        "fan": _fan(days, implant),
    }
    flow = days.column_of(rows, "flow_ml_per_day")
    if any(value is not None for value in flow):
        yield _panel(implant, "flow", _("Programmed flow"), "mL/day", None, _series(_("flow"), flow))
    boluses = days.column_of(rows, "boluses")
    if any(boluses):
        yield _panel(
            implant, "boluses", _("Boluses"), _("per day"), None, _series(_("boluses"), boluses, "bars")
        )
    yield _voltage(days, implant, rows)


def _voltage(days: Days, implant: Implant, rows: list[dict[str, Any]]) -> Panel:
    return _panel(
        implant, "battery", _("Battery"), "V", None, _series(_("voltage"), days.column_of(rows, "battery_v"))
    )


def _learned(days: Days, implant: Implant, computed: Values) -> Values:
    """What is probably left: the pump's own count since each fill, times the flow ratio learned up to now."""
    ratio = _result(implant).get("flow_ratio")
    if not ratio:
        return []
    fills = {days.local(fill.at): fill.filled_ml for fill in implant.fills}
    left: Values = []
    filled_ml: float | None = None
    for day, value in zip(days, computed, strict=True):
        filled_ml = fills.get(day, filled_ml)
        known = value is not None and filled_ml is not None
        left.append(_rounded(max(0.0, filled_ml - ratio["mean"] * (filled_ml - value))) if known else None)  # type: ignore[operator]
    return left


def _fan(days: Days, implant: Implant) -> dict[str, Any] | None:
    """From what is probably left now to the days on which the pump is empty with a chance of 5, 50 and 95 %."""
    left_ml = _result(implant).get("expected_residual_ml")
    ends = {name: _seconds(day) for name, day in _empty_days(implant).items() if day}
    return {"x": _seconds(days.today), "ml": left_ml} | ends if left_ml is not None and ends else None


def _events(days: Days, told: dict[str, Any], implants: Sequence[Implant]) -> Iterator[Event]:
    for alert in told["alerts"]:
        name = words.say(words.CONDITION, alert.condition)
        address = url_for("web.alert", public_id=alert.public_id)
        severity = words.say(words.SEVERITY, alert.severity)
        yield _event(days.local(alert.since), "alert", f"{name} ({severity})", address)
    for treatment in told["treatments"]:
        yield _event(max(treatment.started_on, days.first), "treatment", words.plain(treatment.kind))
    for review in told["reviews"]:
        text = _("Reviewed by %(name)s", name=review.reviewed_by.name)
        yield _event(days.local(review.reviewed_at), "review", text)
    for lane in told["devices"]:
        name = f"{words.plain(lane['device'].kind).lower()} {lane['device'].model}"
        for event in lane["events"]:
            if event.kind in TELLING_EVENTS and event.state != "cleared":
                yield _event(days.local(event.measured_at), "event", f"{words.plain(event.kind)}, {name}")
        for setting in lane["settings"]:
            day = max(days.local(setting.effective_at), days.first)
            yield _event(
                day,
                "setting",
                _("Prescribed: %(setting)s, %(name)s", setting=_prescribed(setting), name=name),
            )
        for fill in lane["fills"]:
            yield _event(days.local(fill.at), "fill", _filled(fill))
    for implant in implants:
        refill_by, _empty_on = implant.days_ahead or (None, None)
        if refill_by and refill_by <= days.last:
            yield _event(refill_by, "refill_by", _("Refill by"))


def _prescribed(setting: DeviceSetting) -> str:
    figures = (
        (setting.flow_ml_per_day, "mL/day"), (setting.amplitude_ma, "mA"), (setting.pulse_width_us, "µs"),
        (setting.rate_hz, "Hz"),
    )  # fmt: skip
    said = [f"{number(value)} {unit}" for value, unit in figures if value is not None]
    return ", ".join(
        [_("programme %(program)s", program=setting.program)] * bool(setting.program) + said
    ) or _("new settings")


def _filled(fill: Fill) -> str:
    filled_ml = number(fill.filled_ml)
    if fill.aspirated_ml is None:
        return _("Filled with %(filled_ml)s mL", filled_ml=filled_ml)
    aspirated_ml = number(fill.aspirated_ml)
    if fill.expected_ml is None:
        return _(
            "Filled with %(filled_ml)s mL, %(aspirated_ml)s mL aspirated",
            filled_ml=filled_ml,
            aspirated_ml=aspirated_ml,
        )
    return _(
        "Filled with %(filled_ml)s mL, %(aspirated_ml)s mL aspirated of %(expected_ml)s mL expected",
        filled_ml=filled_ml,
        aspirated_ml=aspirated_ml,
        expected_ml=number(fill.expected_ml),
    )


def _event(day: dt.date, kind: str, text: str, address: str | None = None) -> Event:
    return {
        "x": _seconds(day),
        "kind": kind,
        "words": f"{dates.day(day, page.country())}: {text}",
        "href": address,
    }


def _panel(
    implant: Implant, key: str, title: str, unit: str, within: list[float] | None, *series: Panel
) -> Panel:
    named = f"{title}, {implant.device.kind} {implant.device.model}"
    shown = [one for one in series if one["values"]]
    return {
        "key": f"device-{implant.number}-{key}",
        "title": named,
        "unit": unit,
        "range": within,
        "series": shown,
    }


def _series(label: str, values: Values, style: str = "line") -> Panel:
    return {"label": label, "style": style, "values": values}


def _until_today(days: Days, values: Values) -> Values:
    """A day that is not over yet would look like little use."""
    return [value if day < days.today else None for day, value in zip(days, values, strict=True)]


def _empty_days(implant: Implant) -> dict[str, dt.date | None]:
    empty = _result(implant).get("empty") or {}
    return {name: dt.date.fromisoformat(day) if day else None for name, day in empty.items()}


def _result(implant: Implant) -> dict[str, Any]:
    return dict(implant.forecast.result) if implant.forecast else {}


def _of(row: dict[str, Any], field: str) -> Any:
    return row["readings"][field]


def _contact(row: dict[str, Any], contact: int) -> float | None:
    impedances = _of(row, "impedance_ohm") or []
    return impedances[contact] if contact < len(impedances) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)


def _seconds(day: dt.date) -> int:
    return (day - EPOCH).days * 86_400 + 43_200
