"""The charts of a patient's page: pain, stimulation, reservoir and batteries on one axis of the patient's own days."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from sc_stim.i18n import _
from sc_stim.models import PainFinding, Patient
from sc_stim.models.series import Bucket, buckets, pain_series, sample_series, start_of_day
from sc_stim.web import charts, words
from sc_stim.web.charts import Axis, Chart, Daily, Mark, Scale, Subject
from sc_stim.web.implants import Implant
from sc_stim.web.words import number

NRS = Scale(0, 10, (0, 2, 4, 6, 8, 10))
HOURS = Scale(0, 24, (0, 6, 12, 18, 24))
PERCENT = Scale(0, 100, (0, 25, 50, 75, 100))
USUAL_CAPACITY_ML = 20  # the height of the chart where the pump's capacity is not on record

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Paper:
    """What all charts of one page are drawn on."""

    axis: Axis
    zone: ZoneInfo
    country: str

    def days(self) -> list[Bucket]:
        """The local days up to and with today, or the last one shown."""
        since, until = self.axis.first, min(self.axis.last, self.axis.today) + dt.timedelta(days=1)
        return list(buckets(start_of_day(since, self.zone), start_of_day(until, self.zone), "day", self.zone))

    def local(self, at: dt.datetime) -> dt.date:
        return at.astimezone(self.zone).date()

    def daily(self, rows: Rows, field: str) -> Daily:
        """What a series says of this field, by local day; days without a value are absent."""
        values = {self.local(row["from"]): row.get("readings", row)[field] for row in rows}
        return {day: float(value) for day, value in values.items() if value is not None}

    def chart(self, subject: Subject, scale: Scale, values: Daily, since: dt.date, **looks: Any) -> Chart:
        return charts.chart(subject, self.axis, scale, values, country=self.country, since=since, **looks)

    def chart_of(
        self, implant: Implant, subject: Subject, scale: Scale, values: Daily, **looks: Any
    ) -> Chart:
        since = implant.device.implanted_on or self.local(implant.device.created_at)
        return self.chart(subject, scale, values, since, until=implant.device.explanted_on, **looks)


def draw(
    session: Session,
    patient: Patient,
    implants: Sequence[Implant],
    findings: Iterable[PainFinding],
    days: int,
    last: dt.date,
    at: dt.datetime,
    country: str,
) -> Iterator[Chart]:
    """Charts of the local days up to `last`; up to today, they go on to the dates ahead.

    One statement for the diary and one for each device that was in place during these days.
    """
    zone = ZoneInfo(patient.time_zone)
    ahead = [day for implant in implants for day in implant.days_ahead]
    paper = Paper(charts.axis(at.astimezone(zone).date(), days, ahead, last), zone, country)
    edges = paper.days()
    yield _pain(paper, patient, pain_series(session, patient.id, edges), findings)
    for implant in implants:
        device = implant.device
        if device.explanted_on is None or device.explanted_on >= paper.axis.first:
            rows = sample_series(session, device.id, device.kind, edges)
            yield from (_pump if device.kind == "pump" else _stimulator)(paper, implant, rows)


def _pain(paper: Paper, patient: Patient, rows: Rows, findings: Iterable[PainFinding]) -> Chart:
    subject = Subject("pain", _("Pain"), "NRS", _("daily mean of the diary, 0 none to 10 worst"))
    marks = [
        Mark(finding.day, "finding", words.say(words.PAIN_FINDING, finding.kind)) for finding in findings
    ]
    return paper.chart(subject, NRS, paper.daily(rows, "nrs"), paper.local(patient.created_at), marks=marks)


def _stimulator(paper: Paper, implant: Implant, rows: Rows) -> Iterator[Chart]:
    seconds = paper.daily(rows, "on_s")
    hours = {day: seconds[day] / 3600 for day in seconds if day < paper.axis.today}
    usage = implant.subject("usage", _("Stimulation"), "h/day", _("hours of each day that is over"))
    yield paper.chart_of(implant, usage, HOURS, hours, style="bars")
    percent = paper.daily(rows, "battery_pct")
    if percent or implant.last("battery_pct") is not None:
        charge = implant.subject("battery", _("Battery"), "%", _("last charge of each day"))
        yield paper.chart_of(implant, charge, PERCENT, percent)
    else:
        yield _voltage(paper, implant, rows)


def _pump(paper: Paper, implant: Implant, rows: Rows) -> Iterator[Chart]:
    device, volumes = implant.device, paper.daily(rows, "reservoir_ml")
    scale = charts.scale(0, max([device.reservoir_ml or USUAL_CAPACITY_ML, *volumes.values()]))
    alarm_ml = device.low_reservoir_alarm_ml
    level = (
        (alarm_ml, _("low-reservoir alarm %(alarm_ml)s mL", alarm_ml=number(alarm_ml)))
        if alarm_ml is not None
        else None
    )
    subject = implant.subject(
        "reservoir", _("Reservoir"), "mL", _("as the pump computes it, last of each day")
    )
    yield paper.chart_of(implant, subject, scale, volumes, marks=_pump_marks(paper, implant), level=level)
    yield _voltage(paper, implant, rows)


def _voltage(paper: Paper, implant: Implant, rows: Rows) -> Chart:
    volts = paper.daily(rows, "battery_v")
    scale = charts.scale(min(volts.values(), default=2.6) - 0.1, max(volts.values(), default=3.4) + 0.1, 3)
    subject = implant.subject("battery", _("Battery"), "V", _("last voltage of each day"))
    return paper.chart_of(implant, subject, scale, volts)


def _pump_marks(paper: Paper, implant: Implant) -> Iterator[Mark]:
    for fill in implant.fills:
        yield Mark(
            paper.local(fill.at), "fill", _("filled with %(filled_ml)s mL", filled_ml=number(fill.filled_ml))
        )
    if implant.forecast and implant.forecast.refill_by:
        yield Mark(implant.forecast.refill_by, "refill_by", _("refill by"))
    if implant.forecast and implant.forecast.earliest_empty_on:
        yield Mark(implant.forecast.earliest_empty_on, "earliest_empty", _("earliest empty"))
