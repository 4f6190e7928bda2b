"""Reading the list of a recall: text as a manufacturer writes it, or a table. See `recall` for what it means."""

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import product
from typing import Final

MOST_LINES: Final = 20_000
MOST_ON_A_LINE: Final = 1_000  # conditions that one line may stand for
LONGEST_NUMBER: Final = 40

LABELS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("model", "models", "ref", "catalogue", "catalog"), "model"),
    **dict.fromkeys(("serial", "serials", "serialnumber", "serialnumbers", "sn"), "serial"),
    **dict.fromkeys(("lot", "lots", "batch", "batches", "lotnumber"), "lot"),
    **dict.fromkeys(("made", "manufactured", "manufacturedate", "dateofmanufacture"), "made"),
    **dict.fromkeys(("di", "udidi", "gtin", "deviceidentifier"), "di"),
    "udi": "udi",
}
COLUMNS: Final = (
    "model", "serial", "serial_from", "serial_to", "lot", "made_from", "made_to", "di", "udi",
)  # fmt: skip

DayRange = tuple[date, date]

_SERIAL: Final = re.compile(r"(.*?)([0-9]+)([^0-9]*)")
_LABEL: Final = re.compile(r"\s*([A-Za-z][A-Za-z /.-]{0,30}?)\s*[:=]\s*(.*)")
_WORDED_RANGE: Final = re.compile(r"\s+(?:to|through|thru|until|bis|-)\s+|\s*\.\.\.?\s*", re.IGNORECASE)
_OTHER: Final = re.compile(r"[^A-Z0-9]+")
_DASHES: Final = {ord(dash): "-" for dash in "\u2010\u2011\u2012\u2013\u2014\u2212"}
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BETWEEN_DAYS: Final = re.compile(r"(?:to|through|until|from|and|between|[\W_])*", re.IGNORECASE)
_GS1: Final = re.compile(r"\(([0-9]{2})\)([^(]+)")
_GS1_NAMES: Final = {"01": "di", "10": "lot", "21": "serial"}
_FORMS: Final = "write `Model:`, `Serial:`, `Lot:`, `Made:`, `DI:` or `UDI:` before it"


class NotUnderstood(ValueError):
    """A line that cannot be read: what is wrong, and what to write instead."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}: {fix}")
        self.problem = problem
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Unread:
    """A line handed back to the person."""

    line: int
    text: str
    problem: str
    fix: str


@dataclass(frozen=True, slots=True)
class Serials:
    """Serial numbers prefix + number + suffix with `first` <= number <= `last`; -1 where there is no digit."""

    prefix: str
    first: int
    last: int
    suffix: str


@dataclass(frozen=True, slots=True)
class Condition:
    """All that is given must hold; "" or None: nothing is asked. Texts are in their normal form."""

    line: int
    model: str = ""
    serials: Serials | None = None
    lot: str = ""
    made: DayRange | None = None
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class RecallList:
    """`models`: normal form -> as first written. `unread`: lines that mean nothing to us."""

    conditions: tuple[Condition, ...]
    unread: tuple[Unread, ...]
    models: Mapping[str, str] = field(default_factory=dict)


Parts = dict[str, list[str]]  # what a line says, by the values of LABELS


def normal(text: str) -> str:
    """Letters and digits alone, in capitals: how numbers and names are compared."""
    if text.isascii():
        return _OTHER.sub("", text.upper())
    return "".join(
        character for character in unicodedata.normalize("NFKC", text).upper() if character.isalnum()
    )


def key_of_serial(serial: str) -> tuple[str, int, str]:
    """(prefix, number, suffix) by the last run of digits; number -1 where there is none."""
    match = _SERIAL.fullmatch(normal(serial))
    return (match[1], int(match[2]), match[3]) if match else (normal(serial), -1, "")


def read_list(text: str) -> RecallList:
    """Read a list. Raises NotUnderstood where all of it cannot be taken: too many lines, a table's wrong header."""
    lines = text.lstrip("\ufeff").splitlines()
    if len(lines) > MOST_LINES:
        raise NotUnderstood(
            f"the list has {len(lines)} lines, at most {MOST_LINES} are read", "make several recalls of it"
        )
    delimiter = _delimiter(lines)
    return _table(lines, delimiter) if delimiter else _free(lines)


# --- free text ---


def _free(lines: Sequence[str]) -> RecallList:
    conditions: list[Condition] = []
    unread: list[Unread] = []
    written: dict[str, str] = {}
    heading: list[tuple[int, str]] = []  # models that count for the lines below
    heading_used = True

    def end_of_heading() -> None:
        if not heading_used:  # nothing but the models: every device of them is meant
            conditions.extend(Condition(line, model=model) for line, model in heading)

    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            parts = _parts(line)
            written.update(
                {normal(model): model for model in parts.get("model", ()) if normal(model) not in written}
            )
            if parts.keys() == {"model"}:
                if heading_used:
                    heading, heading_used = [], False
                heading += [(number, normal(model)) for model in parts["model"]]
                continue
            models = parts.pop("model", None) or [model for _, model in heading]
            conditions += _conditions(number, parts, models)
            heading_used = True
        except NotUnderstood as error:
            unread.append(Unread(number, line.strip()[:200], error.problem, error.fix))
            heading_used = heading_used or bool(
                heading
            )  # an unread line may have been what the models are for
    end_of_heading()
    return RecallList(tuple(conditions), tuple(unread), written)


def _parts(line: str) -> Parts:
    parts: Parts = {}
    for piece in filter(str.strip, line.split(";")):
        label, values = _labelled(piece.strip())
        for name, value in _expanded(label, values):
            parts.setdefault(name, []).append(value)
    return parts


def _labelled(piece: str) -> tuple[str, str]:
    match = _LABEL.fullmatch(piece)
    if match is None:
        if piece.startswith("("):
            return "udi", piece
        if _DAY.search(piece):
            raise NotUnderstood(
                "a date without a word for what it is", "write `Made: 2018-05-04 to 2019-04-05`"
            )
        bare = re.sub(r"[ -]", "", piece)
        if re.fullmatch(r"[0-9]{14}", bare) and _is_gtin(bare):
            raise NotUnderstood(
                "14 digits can be a device identifier or a serial number",
                "write `DI:` or `Serial:` before it",
            )
        return "serial", piece
    label = LABELS.get(re.sub(r"[ /.-]", "", match[1]).lower())
    if label is None:
        raise NotUnderstood(f"{match[1]!r} is not a word of these lists", _FORMS)
    if not match[2].strip():
        raise NotUnderstood(f"nothing stands after {match[1]!r}", "complete the line or take it out")
    return label, match[2]


def _expanded(label: str, values: str) -> Iterator[tuple[str, str]]:
    if label == "udi":
        yield from _udi(values)
        return
    for value in filter(str.strip, re.split(r"[,\t]", values)):
        yield label, value.strip()


def _udi(text: str) -> Iterator[tuple[str, str]]:
    """A GS1 label as printed, with brackets; what says nothing of identity (expiry) is passed over."""
    elements = dict(_GS1.findall(text))
    if "01" not in elements:
        raise NotUnderstood(
            "no UDI with its brackets", "write it as (01)00643169007222(21)NGP123456H, or `DI:`"
        )
    for name, value in elements.items():
        if name in _GS1_NAMES:
            yield _GS1_NAMES[name], value.strip()


# --- tables ---


def _delimiter(lines: Sequence[str]) -> str | None:
    """What separates the columns, if the first line with text is the header of a table."""
    first = next((line for line in lines if line.strip()), "")
    for delimiter in (",", ";", "\t"):
        names = [_column(name) for name in first.split(delimiter)]
        if len(names) > 1 and set(names) & set(COLUMNS):
            return delimiter
    return "," if _column(first) in COLUMNS else None


def _column(name: str) -> str:
    return name.strip().strip('"').lower().replace(" ", "_").replace("-", "_").replace("udi_di", "di")


def _table(lines: Sequence[str], delimiter: str) -> RecallList:
    reader = csv.reader(lines, delimiter=delimiter)
    header: list[str] = []
    conditions: list[Condition] = []
    unread: list[Unread] = []
    written: dict[str, str] = {}
    for row in reader:
        number = reader.line_num
        if not any(cell.strip() for cell in row):
            continue
        if not header:
            header = _header(row)
            continue
        try:
            parts = _row_parts(header, row)
            models = parts.pop("model", [])
            written.update({normal(model): model for model in models if normal(model) not in written})
            conditions += _conditions(number, parts, models)
        except NotUnderstood as error:
            unread.append(Unread(number, delimiter.join(row)[:200], error.problem, error.fix))
    return RecallList(tuple(conditions), tuple(unread), written)


def _header(row: Sequence[str]) -> list[str]:
    header = [_column(name) for name in row]
    for name in header:
        if name not in COLUMNS:
            raise NotUnderstood(
                f"line 1: there is no column {name!r}", "name the columns " + ", ".join(COLUMNS)
            )
    if len(set(header)) < len(header):
        raise NotUnderstood("line 1: a column is named twice", "name each column once")
    return header


def _row_parts(header: Sequence[str], row: Sequence[str]) -> Parts:
    if len(row) > len(header):
        raise NotUnderstood("more cells than columns", "put text that holds the separator into quotes")
    cells = {name: cell.strip() for name, cell in zip(header, row, strict=False) if cell.strip()}
    for what in ("serial", "made"):
        ends = [cells.pop(f"{what}_{end}", None) for end in ("from", "to")]
        if any(ends):
            if not all(ends):
                raise NotUnderstood(f"a range of {what} with one end", f"fill in {what}_from and {what}_to")
            if what in cells:
                raise NotUnderstood(f"{what} and a range of it", "make two lines of it")
            cells[what] = f"{ends[0]} to {ends[1]}"
    parts: Parts = {}
    for label, value in cells.items():
        for name, each in _expanded(label, value):
            parts.setdefault(name, []).append(each)
    return parts


# --- conditions ---


def _conditions(line: int, parts: Parts, models: Sequence[str]) -> list[Condition]:
    """Every combination of what a line names."""
    named = [_model(model) for model in models] or [""]
    serials: list[Serials | None] = [_serials(text) for text in parts.get("serial", ())] or [None]
    lots = [_lot(text) for text in parts.get("lot", ())] or [""]
    made: list[DayRange | None] = [_made(text) for text in parts.get("made", ())] or [None]
    identifiers = [_identifier(text) for text in parts.get("di", ())] or [""]
    count = len(named) * len(serials) * len(lots) * len(made) * len(identifiers)
    if count > MOST_ON_A_LINE:
        raise NotUnderstood(f"the line stands for {count} combinations", "write one line for each lot")
    return [Condition(line, *each) for each in product(named, serials, lots, made, identifiers)]


def _model(text: str) -> str:
    if not normal(text):
        raise NotUnderstood(f"{text!r} names no model", "write the model as on the label")
    return normal(text)


def _lot(text: str) -> str:
    if not any(character in "0123456789" for character in text) or len(normal(text)) > LONGEST_NUMBER:
        raise NotUnderstood(f"{text[:60]!r} is no lot number", "write one lot after the other, with commas")
    return normal(text)


def _identifier(text: str) -> str:
    """14 digits of GS1, or what a HIBCC identifier consists of."""
    bare = normal(text)
    if bare.isdecimal():
        if len(bare) > 14 or not _is_gtin(bare.zfill(14)):
            raise NotUnderstood(
                f"{text!r} is mistyped: its check digit does not fit", "copy the 14 digits again"
            )
        return bare.zfill(14)
    if not re.fullmatch(r"\+?[A-Za-z][A-Za-z0-9]{5,22}", text):
        raise NotUnderstood(
            f"{text[:60]!r} is no device identifier", "write 14 digits, or the HIBCC identifier"
        )
    return bare


def _is_gtin(digits: str) -> bool:
    weights = (3, 1) * 7
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 10 == 0


def _made(text: str) -> DayRange:
    """One day, or the first and the last one."""
    days = _DAY.findall(text)
    if not 1 <= len(days) <= 2 or not _BETWEEN_DAYS.fullmatch(_DAY.sub("", text)):
        raise NotUnderstood(f"{text[:60]!r} is no range of days", "write `2018-05-04 to 2019-04-05`")
    try:
        first, last = (date.fromisoformat(day) for day in (days[0], days[-1]))
    except ValueError as error:
        raise NotUnderstood(
            f"{text[:60]!r} holds a day that is not in the calendar", "correct the day"
        ) from error
    if last < first:
        raise NotUnderstood(f"{text!r} ends before it begins", "write the earlier day first")
    return first, last


def _serials(text: str) -> Serials:
    """One serial number, or a range of them."""
    halves = _WORDED_RANGE.split(text.translate(_DASHES).strip())
    if len(halves) > 2:
        raise NotUnderstood(f"{text[:60]!r} has more than two ends", "write one range a line")
    if len(halves) == 2:
        return _range(_one(halves[0]), _one(halves[1]), text)
    pieces = halves[0].split("-")
    for cut in {len(pieces) // 2 if len(pieces) % 2 == 0 else 0, len(pieces) - 1} - {
        0
    }:  # N1-N9, A-1-A-9, A-1-9
        ends = "-".join(pieces[:cut]), "-".join(pieces[cut:])
        if all(any(map(str.isdigit, end)) for end in ends):
            try:
                return _range(_one(ends[0]), _one(ends[1]), text)
            except NotUnderstood:
                if len(pieces) == 2:  # SN-000123 and 12-34-56 are serial numbers, N100-P200 is a mistake
                    raise
    return _one(halves[0])


def _one(text: str) -> Serials:
    bare = normal(text)
    if (
        not re.search("[0-9]", bare)
        or len(bare) > LONGEST_NUMBER
        or len(text.split()) > 4
        or not bare.isascii()
    ):
        raise NotUnderstood(f"{text.strip()[:60]!r} is no serial number", f"take it out, or {_FORMS}")
    prefix, number, suffix = key_of_serial(bare)
    return Serials(prefix, number, number, suffix)


def _range(start: Serials, end: Serials, text: str) -> Serials:
    """N100-N199 and its short form N100-199."""
    prefix = end.prefix or start.prefix
    suffix = start.suffix if end.prefix == "" and end.suffix == "" else end.suffix
    if (start.prefix, start.suffix) != (prefix, suffix):
        raise NotUnderstood(
            f"{text.strip()[:60]!r}: the letters around the two numbers differ",
            "write a range for each, or `Serial:` with commas between single numbers",
        )
    if end.first < start.first:
        raise NotUnderstood(f"{text.strip()[:60]!r} ends before it begins", "write the lower number first")
    return Serials(prefix, start.first, end.first, suffix)
