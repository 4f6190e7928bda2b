import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.devices import messages
from sc_stim.devices.ledger import MAX_GAPS, SeqRanges

seqs = st.integers(min_value=0, max_value=400)


def ranges_of(numbers: list[int]) -> SeqRanges:
    ranges = SeqRanges()
    for number in numbers:
        ranges.add(number)
    return ranges


def ack_for(ranges: SeqRanges, max_gaps: int = MAX_GAPS) -> messages.Ack:
    return messages.decode_ack(messages.encode_ack("e", ranges.upto, ranges.missing(max_gaps), []))


@given(st.lists(seqs, max_size=300), st.integers(min_value=1, max_value=80))
def test_no_number_that_was_not_taken_is_ever_covered(numbers: list[int], max_gaps: int) -> None:
    ack = ack_for(ranges_of(numbers), max_gaps)
    assert {seq for seq in range(500) if ack.covers(seq)} <= set(numbers)
    assert len(ack.missing) <= max_gaps


@given(st.lists(seqs, max_size=300))
def test_an_ack_with_room_for_every_gap_covers_all_that_was_taken(numbers: list[int]) -> None:
    ack = ack_for(ranges_of(numbers), max_gaps=500)
    assert {seq for seq in range(500) if ack.covers(seq)} == set(numbers)


@given(st.sets(seqs, min_size=1, max_size=300), st.integers(min_value=1, max_value=5))
def test_the_newest_numbers_are_covered_however_many_old_gaps_there_are(
    numbers: set[int], max_gaps: int
) -> None:
    ranges = ranges_of(sorted(numbers))
    assert ack_for(ranges, max_gaps).covers(max(numbers))


@given(st.lists(seqs, max_size=300), st.randoms())
def test_the_order_of_arrival_does_not_matter(numbers: list[int], random: object) -> None:
    shuffled = list(numbers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ranges_of(numbers).to_text() == ranges_of(shuffled).to_text()


@given(st.lists(seqs, max_size=300))
def test_adding_says_whether_the_number_is_new(numbers: list[int]) -> None:
    ranges, seen = SeqRanges(), set[int]()
    for number in numbers:
        assert ranges.add(number) == (number not in seen)
        seen.add(number)
    assert all((number in ranges) == (number in seen) for number in range(402))


@given(st.lists(st.tuples(seqs, st.integers(min_value=0, max_value=40)), max_size=40))
def test_ranges_are_the_same_as_their_numbers(spans: list[tuple[int, int]]) -> None:
    by_range, by_number = SeqRanges(), SeqRanges()
    for first, length in spans:
        by_range.add_range(first, first + length)
        for number in range(first, first + length + 1):
            by_number.add(number)
    assert by_range.to_text() == by_number.to_text()


@given(st.lists(seqs, max_size=300))
def test_text_is_read_back(numbers: list[int]) -> None:
    ranges = ranges_of(numbers)
    assert SeqRanges.from_text(ranges.to_text()).to_text() == ranges.to_text()


def test_the_text_is_compact() -> None:
    assert ranges_of([*range(42), 44, *range(50, 61)]).to_text() == "0-41,44,50-60"


def test_nothing_taken_covers_nothing() -> None:
    empty = SeqRanges.from_text("")
    assert (empty.upto, empty.missing(), empty.to_text()) == (-1, [], "")
    assert not ack_for(empty).covers(0)


def test_gaps_are_told_from_zero_on() -> None:
    assert SeqRanges.from_text("3-4,8").missing() == [(0, 2), (5, 7)]


def test_too_many_gaps_are_told_as_one_old_gap_and_the_newest() -> None:
    assert SeqRanges.from_text("0,2,4,6,8").missing(max_gaps=2) == [(1, 5), (7, 7)]
    assert SeqRanges.from_text("0,2,4,6,8").missing(max_gaps=1) == [(1, 7)]


def test_a_hundred_thousand_numbers_in_the_worst_order_are_one_range() -> None:
    ranges = SeqRanges()
    for number in (*range(0, 100_000, 2), *range(1, 100_000, 2)):
        assert ranges.add(number)
    assert ranges.to_text() == "0-99999"


@pytest.mark.parametrize("text", ["a", "1-", "-1", "5-3", "1,,2", "1-2-3", "1.5", "٣", " 1"])
def test_text_that_is_no_ranges_is_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="sequence range"):
        SeqRanges.from_text(text)


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (4, 3)])
def test_a_range_runs_upwards_from_zero_or_more(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="must be 0 <= first <= last"):
        SeqRanges().add_range(first, last)
