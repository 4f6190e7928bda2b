"""What the alerts of a time asked of the clinic, beside what is bearable elsewhere."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Response, request, url_for

from sc_stim.access import requires
from sc_stim.clinical.burden import Burden, Share
from sc_stim.extensions import db
from sc_stim.guard import actor
from sc_stim.i18n import _
from sc_stim.models.series import start_of_day
from sc_stim.web import page, words
from sc_stim.web.bars import Amount, Bars, bars
from sc_stim.web.blueprint import pages
from sc_stim.web.exports import csv_answer
from sc_stim.web.forms import Form
from sc_stim.workflows import audit
from sc_stim.workflows.burden import clinic_burden

DAYS: Final = (30, 90, 365)
USUAL_DAYS: Final = 365
EARLIEST: Final = dt.date(2000, 1, 1)
MOST_BARS: Final = 12
ONE_DAY: Final = dt.timedelta(days=1)

COLUMNS: Final = (
    "from", "to", "patient years", "condition", "severity", "alerts", "per patient and year", "action taken",
    "no action needed", "share with action", "taken", "minutes to take, median",
)  # fmt: skip


@dataclass(frozen=True)
class Time:
    """Local days, both counted whole."""

    first: dt.date
    last: dt.date

    @property
    def since(self) -> dt.datetime:
        return start_of_day(self.first, page.zone())

    @property
    def until(self) -> dt.datetime:
        """What is to come counts for nothing."""
        return max(self.since, min(start_of_day(self.last + ONE_DAY, page.zone()), page.at()))


@pages.get("/alerts/burden", endpoint="alert_burden")
@requires("alerts.read")
def show() -> tuple[str, int]:
    """`?first=` and `?last=` are days of the clinic; left out, the last USUAL_DAYS."""
    form = Form(request.args)
    time = _time(form)
    found = clinic_burden(db.session(), actor().clinic_id, time.since, time.until)
    shown = page.render(
        "alert_burden.html",
        form=form if form.errors else None,
        time=time,
        spans=[(days, _address(_last(days)), _last(days) == time) for days in DAYS],
        burden=found,
        bars=_bars(found),
        most_bars=MOST_BARS,
    )
    audit.record(db.session(), actor(), "alert.burden", at=page.at())
    db.session.commit()
    return shown, 422 if form.errors else 200


@pages.get("/alerts/burden.csv", endpoint="alert_burden_csv")
@requires("alerts.read")
def download() -> Response:
    time = _time(Form(request.args))
    found = clinic_burden(db.session(), actor().clinic_id, time.since, time.until)
    audit.record(db.session(), actor(), "alert.burden", at=page.at())
    db.session.commit()
    return csv_answer("alert-burden", COLUMNS, _lines(time, found))


def _time(form: Form) -> Time:
    """The days that were typed; where they cannot be used the form says why and the usual time is shown."""
    first, last = form.day("first", _("The first day")), form.day("last", _("The last day"))
    for field, day in (("first", first), ("last", last)):
        if day is not None and not EARLIEST <= day <= page.today():
            form.refuse(field, _("Choose a day from %(year)s until today.", year=EARLIEST.year))
    if first and last and first > last:
        form.refuse("first", _("The first day must not lie behind the last."))
    if form.errors:
        return _last(USUAL_DAYS)
    end = last or page.today()
    return Time(first or end - (USUAL_DAYS - 1) * ONE_DAY, end)


def _last(days: int) -> Time:
    return Time(page.today() - (days - 1) * ONE_DAY, page.today())


def _address(time: Time) -> str:
    return url_for("web.alert_burden", first=time.first, last=time.last)


def _bars(found: Burden) -> Bars | None:
    """All alerts, then each condition and severity; None without anybody to count by."""
    if found.total.per_patient_year is None:
        return None
    aim = next(aim.figure.value for aim in found.aims if aim.name == "alerts_per_patient_year")
    every = _amount(found.total, _("All alerts"), aim)
    return bars([every, *(_amount(share, _named(share)) for share in found.by_kind_and_severity[:MOST_BARS])])


def _amount(share: Share, name: str, aim: float | None = None) -> Amount:
    rate = share.per_patient_year or 0.0
    return Amount(name, rate, words.number(rate, 2), share.severity or "", aim)


def _named(share: Share) -> str:
    return f"{words.say(words.CONDITION, share.kind or '')}, {words.say(words.SEVERITY, share.severity or '').lower()}"


def _lines(time: Time, found: Burden) -> Iterator[Sequence[Any]]:
    for share in (found.total, *found.by_kind_and_severity):
        yield (
            time.first, time.last, round(found.patient_years, 3), share.kind or "all", share.severity or "all",
            share.alerts, _rounded(share.per_patient_year), share.acted_on, share.not_acted_on,
            _rounded(share.actionable_share), share.acknowledged, _rounded(share.minutes_to_acknowledge),
        )  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
