"""Refill cases as JSON: the form of `sc-stim backtest refill`, in and out. Unknown fields are refused by
name.
"""

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from sc_stim.clinical.pattern import slip
from sc_stim.clinical.pump_record import Name, PumpRecord
from sc_stim.clinical.refill import Forecast, forecast
from sc_stim.clinical.refill_rules import shipped_rules
from sc_stim.clinical.refusal import Refused
from sc_stim.clinical.workdays import UnknownRegion, check_country

_FIRST_YEAR: Final = 1980
_LAST_YEAR: Final = 2200


class CaseError(ValueError):
    """The case is not of the documented form; the message names the case, the field and what is expected."""


class RefillCase(PumpRecord, frozen=True, kw_only=True):
    """A pump record and the local date of its forecast."""

    pump: Name
    at: date

    def moment(self) -> datetime:
        """Noon of the date `at`, or the last fill of that day if it is later."""
        zone = ZoneInfo(self.timezone)
        noon = datetime.combine(self.at, time(12), zone)
        fills = (fill.at for fill in self.fills if fill.at.astimezone(zone).date() == self.at)
        return max([noon, *fills])


_CASE: Final = msgspec.json.Decoder(RefillCase)
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])


def is_list(text: bytes) -> bool:
    return text.lstrip().startswith(b"[")


def split_cases(text: bytes, at_once: int) -> list[bytes]:
    """A list of cases as shorter lists, not looked into. Raises CaseError when it is no JSON list."""
    entries = _entries(text)
    return [
        b"[%b]" % b",".join(entries[start : start + at_once]) for start in range(0, len(entries), at_once)
    ]


def decode_cases(text: bytes, first: int = 0) -> list[RefillCase]:
    """One case or a list of cases, numbered from `first`. Raises CaseError at the first that is not of the documented
    form.
    """
    return list(_decoded(text, first))


def forecast_case(case: RefillCase) -> dict[str, Any]:
    """The forecast of one case in its JSON form."""
    return encode_forecast(case.pump, forecast(case, case.moment()))


def encode_forecast(pump: str, result: Forecast | Refused) -> dict[str, Any]:
    """The documented JSON form; a refused forecast has null in place of every judgement."""
    if isinstance(result, Refused):
        judged = dict.fromkeys(
            ("refill_by", "binding_clock", "clocks", "empty", "expected_residual_ml", "flow_ratio")
        )
        return {"pump": pump, **judged, "flags": [], "refused": str(result)}
    empty = result.empty
    return {
        "pump": pump,
        "refill_by": result.refill_by.isoformat(),
        "binding_clock": result.binding_clock,
        "clocks": [{"name": clock.name, "date": clock.date.isoformat()} for clock in result.clocks],
        "empty": {"p05": _iso(empty.p05), "p50": _iso(empty.p50), "p95": _iso(empty.p95)},
        "expected_residual_ml": round(result.expected_residual_ml, 2),
        "flow_ratio": {"mean": round(result.flow_ratio.mean, 4), "sd": round(result.flow_ratio.sd, 4)},
        "flags": list(result.flags),
        "refused": None,
    }


def _entries(text: bytes) -> list[msgspec.Raw]:
    try:
        return _LIST.decode(text)
    except msgspec.DecodeError as broken:
        raise CaseError(f"not a JSON list: {broken}") from broken


def _decoded(text: bytes, first: int) -> Iterator[RefillCase]:
    several = is_list(text)
    for index, entry in enumerate(_entries(text) if several else [msgspec.Raw(text)], first):
        where = f"case {index}" if several else "case"
        try:
            case = _CASE.decode(entry)
        except msgspec.DecodeError as broken:
            raise CaseError(f"{where}: {str(broken).replace('$.', '')}") from broken
        _check(case, f"{where} ({case.pump})")
        yield case


def _check(case: RefillCase, where: str) -> None:
    """What the types cannot say. Raises CaseError."""
    try:
        ZoneInfo(case.timezone)
    except (ZoneInfoNotFoundError, ValueError) as unknown:
        raise CaseError(
            f"{where}: timezone {case.timezone!r} is not an IANA zone, as 'Europe/Berlin'"
        ) from unknown
    if case.country is not None:
        try:
            check_country(case.country)
        except UnknownRegion as unknown_region:
            raise CaseError(f"{where}: {unknown_region}") from unknown_region
    for message in _slips(case):
        raise CaseError(f"{where}: {message}")


def _slips(case: RefillCase) -> Iterator[str]:
    rules = shipped_rules()
    for index, fill in enumerate(case.fills):
        for name, volume_ml in (("filled_ml", fill.filled_ml), ("aspirated_ml", fill.aspirated_ml)):
            if volume_ml is not None and volume_ml > case.reservoir_ml * rules.overfill:
                yield f"fills[{index}].{name} {volume_ml:g} is more than a reservoir of {case.reservoir_ml:g} mL holds"
    for index, setting in enumerate(case.settings):
        wrong = setting.pattern and slip(setting.pattern, setting.flow_ml_per_day, rules.settings_alike)
        if wrong:
            yield f"settings[{index}].pattern {wrong}"
    for index, count in enumerate(case.boluses):
        if count.until <= count.first_day:
            yield f"boluses[{index}].to {count.until} must be after from {count.first_day}"
    for name, day in _dates(case):
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            yield f"{name} {day.isoformat()} must be between the years {_FIRST_YEAR} and {_LAST_YEAR}"


def _dates(case: RefillCase) -> Iterator[tuple[str, date]]:
    yield "at", case.at
    if case.end_of_service is not None:
        yield "end_of_service", case.end_of_service
    if case.reading is not None:
        yield "reading.at", case.reading.at
    yield from ((f"fills[{index}].at", fill.at) for index, fill in enumerate(case.fills))
    yield from ((f"settings[{index}].from", setting.since) for index, setting in enumerate(case.settings))
    yield from ((f"boluses[{index}].from", count.first_day) for index, count in enumerate(case.boluses))
    yield from ((f"boluses[{index}].to", count.until) for index, count in enumerate(case.boluses))


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None
