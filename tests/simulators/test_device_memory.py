"""A device erases a record only when a stored-ack covers it, and sends again what none covers."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sc_stim.devices.records import Ack
from simulators.device_memory import JITTER, RESEND_AFTER_S, RESEND_AT_MOST_S, DeviceMemory
from tests.simulators.builders import BEGIN, DAY


def memory_of(count: int) -> DeviceMemory:
    memory = DeviceMemory("e1", random.Random(1))
    for number in range(count):
        memory.add(BEGIN + number * DAY, "sample", b'{"state":"on"}')
    return memory


def ack(upto: int, missing: tuple = (), rejected: tuple = (), epoch: str = "e1") -> Ack:
    return Ack(epoch=epoch, upto=upto, missing=list(missing), rejected=list(rejected))


def kept(memory: DeviceMemory) -> set[int]:
    return {record.seq for record in memory}


def test_an_ack_erases_what_is_up_to_its_number_except_what_is_missing() -> None:
    memory = memory_of(10)
    assert memory.take_ack(ack(7, missing=((2, 3), (5, 5)))) == 5
    assert kept(memory) == {2, 3, 5, 8, 9}


def test_a_rejected_record_is_erased_wherever_it_stands() -> None:
    memory = memory_of(6)
    memory.take_ack(ack(2, missing=((1, 1),), rejected=(1, 5)))
    assert kept(memory) == {3, 4}


def test_an_ack_of_another_epoch_erases_nothing() -> None:
    memory = memory_of(3)
    assert memory.take_ack(ack(2, epoch="e0")) == 0
    assert len(memory) == 3


def test_an_ack_of_nothing_erases_nothing() -> None:
    memory = memory_of(3)
    assert memory.take_ack(ack(-1)) == 0
    assert kept(memory) == {0, 1, 2}


class AckedMemory(RuleBasedStateMachine):
    """Any order of adding, sending, acknowledging and forgetting."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = DeviceMemory("0", random.Random(1))
        self.now = 0.0
        self.made: dict[int, bool] = {}  # of this epoch: covered?

    @rule(count=st.integers(1, 5))
    def add(self, count: int) -> None:
        for _ in range(count):
            self.made[self.memory.add(BEGIN, "event", b"{}").seq] = False

    @rule(at_most=st.integers(0, 4))
    def send_new(self, at_most: int) -> None:
        taken = self.memory.take_unsent(at_most)
        assert len(taken) <= at_most
        if taken:
            self.memory.note_sent(taken, self.now)

    @rule(wait=st.floats(0, 100))
    def send_again(self, wait: float) -> None:
        self.now += wait
        for records, attempts in self.memory.take_overdue(self.now):
            assert not any(self.made[record.seq] for record in records)
            self.memory.note_sent(records, self.now, attempts)

    @rule(
        upto=st.integers(-1, 30),
        missing=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4)), max_size=3),
        rejected=st.lists(st.integers(0, 30), max_size=3),
    )
    def acknowledge(self, upto: int, missing: list[tuple[int, int]], rejected: list[int]) -> None:
        said = ack(
            upto,
            tuple((first, first + length) for first, length in missing),
            tuple(rejected),
            self.memory.epoch,
        )
        self.memory.take_ack(said)
        for seq in self.made:
            in_gap = any(first <= seq <= first + length for first, length in missing)
            self.made[seq] = self.made[seq] or (seq <= upto and not in_gap) or seq in rejected

    @rule()
    def reset(self) -> None:
        lost = self.memory.forget(str(int(self.memory.epoch) + 1))
        assert {record.seq for record in lost} == {seq for seq, covered in self.made.items() if not covered}
        self.made = {}

    @invariant()
    def keeps_exactly_what_is_not_covered(self) -> None:
        assert kept(self.memory) == {seq for seq, covered in self.made.items() if not covered}
        assert self.memory.next_seq == len(self.made)
        assert 0 <= self.memory.in_flight <= len(self.memory)


TestAckedMemory = AckedMemory.TestCase
TestAckedMemory.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_what_is_not_covered_is_sent_again_and_each_time_later() -> None:
    memory = memory_of(1)
    memory.note_sent(memory.take_unsent(10), now_s=0.0)
    now, waits = 0.0, []
    for _ in range(8):
        due = memory.next_due_s()
        assert due is not None
        assert memory.take_overdue(due - 0.01) == []
        [(records, attempts)] = memory.take_overdue(due)
        waits.append(due - now)
        now = due
        memory.note_sent(records, now, attempts)
    assert waits[0] == pytest.approx(RESEND_AFTER_S, rel=JITTER)
    assert waits[3] == pytest.approx(8 * RESEND_AFTER_S, rel=JITTER)
    assert waits[-1] == pytest.approx(RESEND_AT_MOST_S, rel=JITTER)


def test_only_what_is_left_of_a_message_is_sent_again() -> None:
    memory = memory_of(4)
    memory.note_sent(memory.take_unsent(4), now_s=0.0)
    memory.take_ack(ack(3, missing=((1, 2),)))
    [(records, attempts)] = memory.take_overdue(1000.0)
    assert [record.seq for record in records] == [1, 2]
    assert attempts == 1


def test_records_of_an_offline_window_are_held_back() -> None:
    memory = memory_of(5)
    assert [record.seq for record in memory.take_unsent(10, before=BEGIN + 3 * DAY)] == [0, 1, 2]
    assert not memory.has_unsent(before=BEGIN + 3 * DAY)
    assert memory.has_unsent()


@given(st.integers(0, 20), st.integers(-1, 25))
def test_covered_upto_is_the_last_number_before_anything_kept(count: int, upto: int) -> None:
    memory = memory_of(count)
    memory.take_ack(ack(upto))
    assert memory.covered_upto == min(upto, count - 1)


def test_a_number_known_to_be_stored_is_used_up_without_a_record() -> None:
    memory = DeviceMemory("e1", random.Random(1))
    memory.skip()
    assert memory.add(BEGIN, "sample", b"{}").seq == 1
    assert memory.covered_upto == 0
