"""Reading a Unique Device Identifier as it is scanned, typed or pasted from a label or an implant card.

Two issuers matter for implants. GS1: element strings with application identifiers, bracketed as printed or
raw as scanned (biip reads them). HIBCC: begins with `+`, ends with a modulo-43 check character (read here).
Formats: FDA "UDI formats by FDA-accredited issuing agency" v1.3; ANSI/HIBC supplier labeling standard 2.6.
"""

import datetime as dt
import re
from calendar import monthrange
from dataclasses import dataclass
from typing import Literal

from biip import ParseError
from biip.gs1_element_strings import GS1ElementString
from biip.gs1_messages import GS1Message

MAX_LENGTH = 200
EXAMPLE = "(01)00643169007222(17)291231(21)NGP123456H"

_GROUP_SEPARATOR = "\x1d"
_TYPED_SEPARATORS = re.compile(r"<GS>|<FNC1>|\{GS\}|\{FNC1\}|\u241d|\^\]", re.IGNORECASE)
_SYMBOLOGY = re.compile(r"^\](?:C1|d2|Q3|e0)")  # what a scanner may put before the data


class InvalidUdi(ValueError):
    """Text that is no UDI; the message says what is wrong and shows one that is right."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"UDI: {problem}. An example: {EXAMPLE}")


@dataclass(frozen=True)
class Udi:
    """What a label says, None where it does not. `carrier_hrf` is the whole text in its printed form."""

    issuer: Literal["gs1", "hibcc"]
    device_identifier: str
    carrier_hrf: str
    serial: str | None = None
    lot: str | None = None
    manufactured: dt.date | None = None
    expires: dt.date | None = None


def parse_udi(text: str) -> Udi:
    """Read a UDI of either issuer; raises InvalidUdi."""
    text = text.lstrip().rstrip("\t\r\n")  # a space at the end may be a check character
    text = _SYMBOLOGY.sub("", _TYPED_SEPARATORS.sub(_GROUP_SEPARATOR, text))
    if not text:
        raise InvalidUdi("there is no text")
    if len(text) > MAX_LENGTH:
        raise InvalidUdi(f"{len(text)} characters, at most {MAX_LENGTH} are read")
    if not text.isascii():
        raise InvalidUdi("it holds characters that no label uses")
    if text.startswith("="):
        raise InvalidUdi("ICCBBA identifiers mark blood and tissue, not implanted devices")
    return _hibcc(text.strip("*").upper()) if text.startswith(("+", "*+")) else _gs1(text)


# --- GS1 ---

_GS1_FORMS = {
    "01": "14 digits",
    "10": "1 to 20 characters",
    "21": "1 to 20 characters",
    "11": "a date YYMMDD",
    "17": "a date YYMMDD",
}


def _gs1(text: str) -> Udi:
    message = _gs1_message(text)
    elements: dict[str, str] = {}
    for element in message.element_strings:
        if elements.setdefault(element.ai.ai, element.value) != element.value:
            raise InvalidUdi(f"({element.ai.ai}) is given twice")
        if element.gtin_error:
            raise InvalidUdi(f"the device identifier (01) is mistyped: {element.gtin_error}")
    if "01" not in elements:
        raise InvalidUdi("the device identifier, (01) and 14 digits, is missing")
    return Udi(
        "gs1",
        elements["01"],
        message.as_hri(),
        serial=elements.get("21"),
        lot=elements.get("10"),
        manufactured=_gs1_date("11", elements),
        expires=_gs1_date("17", elements),
    )


def _gs1_message(text: str) -> GS1Message:
    bracketed = "(" in text
    compact = re.sub(r"\s" if bracketed else r"[ \t\r\n]", "", text)  # `\s` matches the separator too
    try:
        message = GS1Message.parse_hri(compact) if bracketed else GS1Message.parse(compact)
    except ParseError as error:
        raise InvalidUdi(_gs1_problem(error)) from error
    if bracketed and message.as_hri() != compact:  # biip skips what it cannot read
        raise InvalidUdi("something between the brackets cannot be read")
    if not bracketed and _GROUP_SEPARATOR not in compact:
        _refuse_hidden_serial(message.element_strings)
    return message


def _gs1_problem(error: ParseError) -> str:
    """In words for the person at the keyboard; biip's own text quotes regular expressions."""
    if match := re.search(r"GS1 AI \(?(\d+)", str(error)):
        form = _GS1_FORMS.get(match[1], "in its form")
        return f"what follows ({match[1]}) is not {form}"
    return "it is neither GS1, which begins with (01), nor HIBCC, which begins with +"


def _refuse_hidden_serial(elements: list[GS1ElementString]) -> None:
    """Without separators a lot runs to the end of the text and swallows the serial number behind it."""
    if any(last.ai.ai == "10" and "21" in last.value[1:-1] for last in elements[-1:]):
        raise InvalidUdi("where the lot ends and the serial number begins is unclear; type the brackets too")


def _gs1_date(identifier: str, elements: dict[str, str]) -> dt.date | None:
    """YYMMDD; day 00 is the last of the month. The century is 20: UDIs came with the rules of 2013."""
    if identifier not in elements:
        return None
    year, month, day = (int(elements[identifier][start : start + 2]) for start in (0, 2, 4))
    return dt.date(2000 + year, month, day or monthrange(2000 + year, month)[1])


# --- HIBCC ---

_MOD43 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%"
_PRIMARY = re.compile(r"\+([A-Z][A-Z0-9]{3}[A-Z0-9]{1,18}[0-9])")  # labeler, product number, unit of measure
_SECONDARY = re.compile(r"(\$\$\+|\$\$|\$\+|\$|S|14D|16D|(?=\d{5}))(.+)")  # what it is, the data
_QUANTITY = re.compile(r"8\d\d|9\d{5}")
_DATE_FLAGS = {
    "2": (6, "%m%d%y"),
    "3": (6, "%y%m%d"),
    "4": (8, "%y%m%d%H"),
    "5": (5, "%y%j"),
    "6": (7, "%y%j%H"),
}


def _hibcc(text: str) -> Udi:
    text = _with_right_check(text)
    primary, *secondary = text[:-1].split("/")
    match = _PRIMARY.fullmatch(primary)
    if match is None:
        raise InvalidUdi(f"{primary!r} is not + with labeler, product number and unit of measure")
    read: dict[str, str | dt.date | None] = {}
    for part in secondary:
        for name, value in _hibcc_secondary(part).items():
            if read.setdefault(name, value) != value:
                raise InvalidUdi(f"two values are given for {name}")
    return Udi("hibcc", match[1], text, **read)  # type: ignore[arg-type]


def _with_right_check(text: str) -> str:
    """The text with its check character. That may be a space, which labels print as `_`."""
    bare = text.rstrip(" ")
    candidates = [bare.removesuffix("_") + " "] if bare.endswith("_") else [bare]
    if text != bare:
        candidates.append(bare + " ")
    for candidate in candidates:
        if strange := set(candidate) - set(_MOD43):
            raise InvalidUdi(f"{min(strange)!r} does not occur in HIBCC identifiers")
        if candidate[-1] == _MOD43[sum(_MOD43.index(character) for character in candidate[:-1]) % 43]:
            return candidate
    raise InvalidUdi("the check character at the end (_ for a space) does not fit: something is mistyped")


def _hibcc_secondary(part: str) -> dict[str, str | dt.date | None]:
    """Lot, serial number or dates of one part; other data (such as quantities) is not about identity."""
    match = _SECONDARY.fullmatch(part)
    if match is None:
        return {}
    form, data = match.groups()
    if form in ("14D", "16D"):
        return {"expires" if form == "14D" else "manufactured": _date(data, "%Y%m%d", 8)}
    expires = None
    if form.startswith("$$"):
        expires, data = _dated(data)
    elif not form:
        expires, data = _date(data[:5], "%y%j", 5), data[5:]
    number = {"serial" if form.endswith(("+", "S")) else "lot": data} if data else {}
    return {**number, **({"expires": expires} if expires else {})}


def _dated(data: str) -> tuple[dt.date | None, str]:
    """Expiry date and what follows it; a quantity may stand before, a flag says how the date is written."""
    if quantity := _QUANTITY.match(data):
        data = data[quantity.end() :]
    if data.startswith("7"):
        return None, data[1:]
    if data[:1] in _DATE_FLAGS:
        length, form = _DATE_FLAGS[data[0]]
        return _date(data[1 : length + 1], form, length), data[length + 1 :]
    month = _date(data[:4], "%m%y", 4)
    return month.replace(day=monthrange(month.year, month.month)[1]), data[4:]


def _date(digits: str, form: str, length: int) -> dt.date:
    """A date of the 21st century, as in `_gs1_date`."""
    if not re.fullmatch(rf"\d{{{length}}}", digits):
        raise InvalidUdi(f"{digits!r} should be a date of {length} digits")
    try:
        date = dt.datetime.strptime(digits, form).date()  # noqa: DTZ007 (a day, no instant)
    except ValueError as error:
        raise InvalidUdi(f"{digits!r} is no date") from error
    return date.replace(year=2000 + date.year % 100)
