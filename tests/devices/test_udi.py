import string
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sc_stim.devices.udi import EXAMPLE, InvalidUdi, Udi, parse_udi

DI = "00643169007222"
MOD43 = string.digits + string.ascii_uppercase + "-. $/+%"
HIBCC_FULL = "+A99912345/$$52001510X3/16D20111212/S77DE1G45-"  # a public example of the standard


def hibcc(body: str) -> str:
    """The body with its check character."""
    return body + MOD43[sum(MOD43.index(character) for character in body) % 43]


def gtin(thirteen: str) -> str:
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(thirteen))
    return thirteen + str(-total % 10)


def test_the_example_in_every_error_can_be_read() -> None:
    assert parse_udi(EXAMPLE) == Udi("gs1", DI, EXAMPLE, serial="NGP123456H", expires=date(2029, 12, 31))


@pytest.mark.parametrize(
    "text",
    [
        f"(01){DI}(11)190504(17)291231(10)AB-12(21)NGP123456H",
        f" (01) {DI} (11) 190504 (17) 291231 (10) AB-12 (21) NGP123456H \n",
        f"01{DI}1119050417291231" + "10AB-12\x1d21NGP123456H",
        f"]d201{DI}1119050417291231" + "10AB-12\x1d21NGP123456H",
        f"\x1d01{DI}\x1d11190504\x1d17291231\x1d10AB-12\x1d21NGP123456H\x1d",
        f"01{DI}111905041729123110AB-12<GS>21NGP123456H",
        f"01{DI}111905041729123110AB-12{{gs}}21NGP123456H",
        f"01{DI}111905041729123110AB-12\u241d21NGP123456H",
        f"01 {DI} 11 190504 17 291231 10 AB-12<FNC1>21 NGP123456H",
    ],
)
def test_gs1_is_read_as_printed_as_scanned_and_as_typed(text: str) -> None:
    assert parse_udi(text) == Udi(
        issuer="gs1",
        device_identifier=DI,
        carrier_hrf=f"(01){DI}(11)190504(17)291231(10)AB-12(21)NGP123456H",
        serial="NGP123456H",
        lot="AB-12",
        manufactured=date(2019, 5, 4),
        expires=date(2029, 12, 31),
    )


def test_gs1_without_separators_is_read_while_only_one_part_can_run_on() -> None:
    assert parse_udi(f"01{DI}1729123121NGP123456H").serial == "NGP123456H"
    assert parse_udi(f"01{DI}1729123110LOT-7").lot == "LOT-7"


def test_a_lot_that_may_have_swallowed_the_serial_number_is_refused() -> None:
    with pytest.raises(InvalidUdi, match="type the brackets too"):
        parse_udi(f"01{DI}1729123110AB1221NGP123456H")


def test_day_zero_is_the_last_day_of_the_month() -> None:
    assert parse_udi(f"(01){DI}(17)280200").expires == date(2028, 2, 29)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no text"),
        ("SN 12345", "neither GS1"),
        ("(01)0064316900722", r"what follows \(01\) is not 14 digits"),
        (f"(01){DI[:-1]}3", "mistyped"),
        (f"(01){DI}(17)291331", r"\(17\) is not a date YYMMDD"),
        (f"(01){DI}(17)290230", r"\(17\) is not a date YYMMDD"),
        (f"(01){DI}(21)" + "A" * 21, r"\(21\) is not 1 to 20 characters"),
        (f"(01){DI}(21)A(21)B", r"\(21\) is given twice"),
        (f"(01){DI}(21)A(B)C", "between the brackets"),
        (f"(01){DI}(21)", "between the brackets"),
        ("(17)291231(21)A", "device identifier, .* is missing"),
        (f"(01){DI}(21)Ä", "characters that no label uses"),
        ("=W1234567891234", "ICCBBA"),
        (f"(01){DI}(21)" + "A" * 200, "characters, at most 200"),
        (HIBCC_FULL[:-1] + "A", "check character"),
        (HIBCC_FULL.replace("12345", "12344"), "check character"),
        (HIBCC_FULL.replace("12345", "12#45"), "'#' does not occur"),
        ("+", "check character"),
        (hibcc("+A"), "labeler, product number and unit of measure"),
        (hibcc("+99912345"), "labeler, product number and unit of measure"),
        (hibcc("+A99912345/$$3201332LOT"), "'201332' is no date"),
        (hibcc("+A99912345/$$320A101LOT"), "should be a date of 6 digits"),
        (hibcc("+A99912345/SA1/SB2"), "two values are given for serial"),
    ],
)
def test_what_is_wrong_is_said_with_an_example(text: str, problem: str) -> None:
    with pytest.raises(InvalidUdi, match=problem) as caught:
        parse_udi(text)
    assert EXAMPLE in str(caught.value)


def test_hibcc_is_read_with_its_check_character() -> None:
    assert parse_udi(HIBCC_FULL) == Udi(
        issuer="hibcc",
        device_identifier="A99912345",
        carrier_hrf=HIBCC_FULL,
        serial="77DE1G45",
        lot="10X3",
        manufactured=date(2011, 12, 12),
        expires=date(2020, 1, 15),
    )


@pytest.mark.parametrize("text", ["+A123BJC5D6E71G", "*+A123BJC5D6E71G*", " +a123bjc5d6e71g\n"])
def test_hibcc_is_read_as_printed_and_as_typed(text: str) -> None:
    assert parse_udi(text) == Udi("hibcc", "A123BJC5D6E71", "+A123BJC5D6E71G")


@pytest.mark.parametrize(
    ("secondary", "expires", "lot", "serial"),
    [
        ("$LOT1", None, "LOT1", None),
        ("$+SER1", None, None, "SER1"),
        ("$$7LOT1", None, "LOT1", None),
        ("$$+7SER1", None, None, "SER1"),
        ("$$0228LOT1", date(2028, 2, 29), "LOT1", None),
        ("$$2022928LOT1", date(2028, 2, 29), "LOT1", None),
        ("$$3280229LOT1", date(2028, 2, 29), "LOT1", None),
        ("$$428022916LOT1", date(2028, 2, 29), "LOT1", None),
        ("$$528060LOT1", date(2028, 2, 29), "LOT1", None),
        ("$$62806016LOT1", date(2028, 2, 29), "LOT1", None),
        ("$$+3280229SER1", date(2028, 2, 29), None, "SER1"),
        ("$$8053280229LOT1", date(2028, 2, 29), "LOT1", None),
        ("$$9000053280229LOT1", date(2028, 2, 29), "LOT1", None),
        ("28060LOT1", date(2028, 2, 29), "LOT1", None),
        ("14D20280229/SSER1", date(2028, 2, 29), None, "SER1"),
        ("Q500", None, None, None),
    ],
)
def test_every_form_of_hibcc_secondary_data(
    secondary: str, expires: date | None, lot: str | None, serial: str | None
) -> None:
    udi = parse_udi(hibcc(f"+A99912345/{secondary}"))
    assert (udi.expires, udi.lot, udi.serial) == (expires, lot, serial)


def test_a_check_character_that_is_a_space_may_be_printed_as_underscore() -> None:
    text = next(text for n in range(43) if (text := hibcc(f"+A999{n:03}1")).endswith(" "))
    assert parse_udi(text) == parse_udi(text[:-1] + "_") == parse_udi(text[:-1] + "_ \n")
    with pytest.raises(InvalidUdi, match="check character"):
        parse_udi(text[:-1])


serials = st.text(string.ascii_letters + string.digits + "-./", min_size=1, max_size=20)
days = st.dates(date(2000, 1, 1), date(2099, 12, 31))


@given(st.from_regex(r"[0-9]{13}", fullmatch=True), serials, serials, days)
def test_what_a_gs1_label_says_is_read(body: str, lot: str, serial: str, expires: date) -> None:
    identifier, day = gtin(body), expires.strftime("%y%m%d")
    printed = parse_udi(f"(01){identifier}(17){day}(10){lot}(21){serial}")
    assert (printed.device_identifier, printed.lot, printed.serial) == (identifier, lot, serial)
    assert printed.expires == expires
    assert parse_udi(f"01{identifier}17{day}10{lot}\x1d21{serial}") == printed
    assert parse_udi(printed.carrier_hrf) == printed


@given(
    st.from_regex(r"[A-Z][A-Z0-9]{3}[A-Z0-9]{1,18}[0-9]", fullmatch=True),
    st.from_regex(r"[A-Z0-9]{1,18}", fullmatch=True),
    days,
)
def test_what_a_hibcc_label_says_is_read(identifier: str, serial: str, expires: date) -> None:
    udi = parse_udi(hibcc(f"+{identifier}/$$+3{expires:%y%m%d}{serial}"))
    assert (udi.device_identifier, udi.serial, udi.expires) == (identifier, serial, expires)
    assert parse_udi(udi.carrier_hrf) == udi


@given(st.sampled_from(MOD43), st.integers(min_value=1, max_value=len(HIBCC_FULL) - 1))
def test_one_wrong_character_never_passes_the_hibcc_check(character: str, place: int) -> None:
    mistyped = HIBCC_FULL[:place] + character + HIBCC_FULL[place + 1 :]
    if mistyped != HIBCC_FULL:
        with pytest.raises(InvalidUdi):
            parse_udi(mistyped)


@given(st.text(max_size=60) | st.text("()0123456789ABab+$/_ \x1d<GS>", max_size=60))
@example("(01)00000000000000")
@example("]d2")
@example("+$$")
def test_any_text_is_a_udi_or_refused(text: str) -> None:
    for candidate in (text, "(01)" + DI + text, "01" + DI + text, "+A99912345/" + text):
        try:
            udi = parse_udi(candidate)
        except InvalidUdi:
            continue
        assert 1 <= len(udi.device_identifier) <= 23
        assert parse_udi(udi.carrier_hrf) == udi
