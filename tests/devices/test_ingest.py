"""What a batch becomes: rows exactly once, the newest state, stored-acks that are true."""

import datetime as dt
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from sc_stim.devices.ingest import Receiver
from sc_stim.devices.mqtt import Delivery
from sc_stim.models import Device, DeviceEvent, DeviceState, PainScore, PumpSample, StimulatorSample, WorkItem
from tests.intake import AT, Intake, Speaker, emptied, intake, intake_engines, memory_engine, on_both

__all__ = ["intake", "intake_engines"]

PAYLOADS = Path(__file__).parents[1] / "payloads" / "valid"
VALID = sorted(path for path in PAYLOADS.iterdir() if not path.name.startswith(("ack", "command")))
HOUR = dt.timedelta(hours=1)

T = TypeVar("T")


# --- exactly once ---


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[int, list[list[list[int]]]]:
    """Records 0..n-1 in messages, the messages in batches: in any order, any of them more than once."""
    count = draw(st.integers(min_value=1, max_value=30))
    again = draw(st.lists(st.integers(0, count - 1), max_size=15))
    told = draw(st.permutations([*range(count), *again]))
    return count, _parts(draw, _parts(draw, told))


def _parts(draw: st.DrawFn, items: list[T]) -> list[list[T]]:
    cuts = sorted(draw(st.sets(st.integers(0, len(items)), max_size=6)))
    return [items[a:b] for a, b in zip([0, *cuts], [*cuts, len(items)], strict=True) if a < b]


def message(pump: Speaker, seqs: list[int]) -> Delivery:
    """Every fifth record is an event, every seventh a score; the number tells when it was measured."""
    events = [pump.item(seq, ago_s=5000 - seq, kind="bolus_denied") for seq in seqs if seq % 5 == 0]
    scores = [pump.item(seq, ago_s=5000 - seq, nrs=4) for seq in seqs if seq % 5 and seq % 7 == 0]
    samples = [pump.item(seq, ago_s=5000 - seq, reservoir_ml=seq / 10) for seq in seqs if seq % 5 and seq % 7]
    return pump.says(*samples, events=events or None, scores=scores or None)


def check_exactly_once(intake: Intake, count: int, batches: list[list[list[int]]]) -> None:
    pump = intake.add()
    last = [intake.receive(*(message(pump, seqs) for seqs in batch)) for batch in batches][-1]
    assert [row for row in intake.stored() if row[0] == pump.id] == [(pump.id, "e1", n) for n in range(count)]
    assert (last[-1].upto, last[-1].missing, last[-1].rejected) == (count - 1, [], [])
    samples = [seq for seq in range(count) if seq % 5 and seq % 7]
    state = intake.state(pump)
    if samples:
        assert state.measured_at == AT - dt.timedelta(seconds=5000 - samples[-1])
        assert (state.sample or {})["reservoir_ml"] == samples[-1] / 10
    else:
        assert state.sample is None


@pytest.fixture(scope="module")
def in_memory() -> Intake:
    return Intake(memory_engine())


@settings(max_examples=60)
@given(arrivals())
def test_whatever_the_order_and_the_split_each_record_is_one_row_and_the_newest_is_the_state(
    in_memory: Intake, arrived: tuple[int, list[list[list[int]]]]
) -> None:
    check_exactly_once(in_memory, *arrived)


def test_the_same_holds_on_postgresql(intake_engines: Callable[[str], Engine]) -> None:
    intake = Intake(emptied(intake_engines("postgresql")))

    @settings(max_examples=15)
    @given(arrivals())
    def check(arrived: tuple[int, list[list[list[int]]]]) -> None:
        check_exactly_once(intake, *arrived)

    check()


@on_both
@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_every_valid_example_fed_twice_changes_nothing_the_second_time(intake: Intake, path: Path) -> None:
    topic, *rest = path.name.split(".")
    device = intake.add(rest[0] if rest[0] in ("pump", "stimulator") else "pump")
    delivery = device.sends(path.read_bytes(), topic=topic, received_at=AT + 48 * HOUR)
    intake.receive(delivery, queue_delay_s=None)
    assert intake.reasons() == []
    once = intake.everything()
    acks = intake.receive(delivery, queue_delay_s=None)
    assert intake.everything() == once
    assert bool(acks) == (topic not in ("state", "result")), "an ack that was lost is said again"


def test_two_sessions_that_carry_the_same_devices_store_every_record_once(
    intake_engines: Callable[[str], Engine],
) -> None:
    intake = Intake(emptied(intake_engines("postgresql")))
    pumps = [intake.add() for _ in range(5)]
    seed = random.randrange(2**32)
    failed: list[BaseException] = []

    def carry(which: int) -> None:
        rng = random.Random(seed + which)
        deliveries = [message(pump, [seq]) for seq in range(40) for pump in pumps]
        rng.shuffle(deliveries)
        receiver = Receiver(intake.engine)
        try:
            while deliveries:
                batch, deliveries = deliveries[:17], deliveries[17:]
                receiver.receive(batch, 0.0)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=carry, args=(which,)) for which in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, f"seed {seed}"
    assert intake.stored() == [(pump.id, "e1", seq) for pump in pumps for seq in range(40)], f"seed {seed}"
    for pump in pumps:
        [ack] = intake.receive(message(pump, [0]))
        assert (ack.upto, ack.missing) == (39, [])
    assert intake.one(select(func.count()).where(DeviceState.unknown_fields > 0)) == 0


def test_an_epoch_has_its_own_numbers(intake: Intake) -> None:
    pump = intake.add()
    intake.receive(pump.says(pump.item(0), epoch="a"), pump.says(pump.item(0), pump.item(1), epoch="b"))
    assert intake.stored() == [(pump.id, "a", 0), (pump.id, "b", 0), (pump.id, "b", 1)]


def test_a_record_sent_again_with_other_values_overwrites_nothing(intake: Intake) -> None:
    pump = intake.add()
    intake.receive(pump.says(pump.item(0, reservoir_ml=12)))
    intake.receive(pump.says(pump.item(0, reservoir_ml=3)))
    assert intake.one(select(PumpSample.reservoir_ml)) == 12


# --- what is in the rows ---


@on_both
def test_every_value_of_every_kind_of_record_arrives(intake: Intake) -> None:
    pump, stimulator = intake.add("pump"), intake.add("stimulator")
    reading: dict[str, Any] = {
        "state": "running", "reservoir_ml": 17.25, "flow_ml_per_day": 0.5, "boluses": 3, "bolus_ml": 0.02,
        "battery_v": 2.9, "eri_months": 40.0, "low_reservoir_alarm_ml": 2.0,
    }  # fmt: skip
    therapy: dict[str, Any] = {
        "state": "on", "on_s": 3600.0, "program": 7, "amplitude_ma": 4.2, "pulse_width_us": 300.0, "rate_hz": 40.0,
        "battery_pct": 81.0, "battery_v": 3.9, "charged_s": 0.0, "impedance_ohm": [612.0, None, 640.5],
        "ecap_in_window_pct": 93.9, "posture": "sitting",
    }  # fmt: skip
    event = {"kind": "reset", "state": "raised", "detail": {"code": 7, "note": 'μ "quoted"'}}
    score: dict[str, Any] = {
        "nrs": 6.25, "site": "back", "flare": True, "sleep": 4.0, "interference": 3.0, "symptoms": ["tingling"]
    }  # fmt: skip
    intake.receive(
        pump.says(pump.item(0, **reading), events=[pump.item(1, **event)], scores=[pump.item(2, **score)]),
        stimulator.says(stimulator.item(0, **therapy)),
    )

    def values(model: Any, names: Any) -> dict[str, Any]:
        [row] = intake.all(select(*(getattr(model, name) for name in names)))
        return dict(row._mapping)

    assert values(PumpSample, reading) == reading
    assert values(StimulatorSample, therapy) == therapy | {"program": "7"}
    assert values(DeviceEvent, event) == event
    assert values(PainScore, score) == score
    assert intake.state(stimulator).sample == therapy
    times = intake.all(select(PumpSample.measured_at, PumpSample.device_at, PumpSample.received_at))
    assert times == [(AT, AT, AT)]


@on_both
def test_what_is_not_measured_stays_empty(intake: Intake) -> None:
    stimulator = intake.add("stimulator")
    intake.receive(stimulator.says(stimulator.item(0, impedance_ohm=None)))
    [row] = intake.all(select(StimulatorSample.state, StimulatorSample.impedance_ohm))
    assert tuple(row) == (None, None)


@on_both
def test_news_is_owed_from_its_earliest_measurement_on_once_per_subject(intake: Intake) -> None:
    pump, stimulator = intake.add("pump"), intake.add("stimulator")
    for batch in ([0, 1], [2]):
        intake.receive(
            *(pump.says(pump.item(seq, ago_s=100 + seq)) for seq in batch),
            stimulator.says(stimulator.item(batch[0], ago_s=10)),
            pump.says(scores=[pump.item(10 + batch[0], ago_s=50 + batch[0], nrs=3)]),
        )
    owed = select(WorkItem.kind, WorkItem.subject_id, WorkItem.since, WorkItem.generation)
    seconds = dt.timedelta(seconds=1)
    assert [tuple(row) for row in intake.all(owed.order_by(WorkItem.kind))] == [
        ("device", stimulator.id, AT - 10 * seconds, 2),
        ("pain", intake.one(select(Device.patient_id).where(Device.id == pump.id)), AT - 52 * seconds, 2),
        ("refill", pump.id, AT - 102 * seconds, 2),
    ]


# --- the newest state ---


def test_of_samples_of_the_same_moment_the_one_with_the_higher_number_counts(intake: Intake) -> None:
    pump = intake.add()
    same = [pump.item(seq, ago_s=5, reservoir_ml=seq) for seq in (3, 7, 5)]
    intake.receive(pump.says(*same))
    assert (intake.state(pump).sample or {})["reservoir_ml"] == 7


@on_both
def test_only_the_device_itself_and_its_will_say_whether_it_is_connected(intake: Intake) -> None:
    pump = intake.add()

    def online(*deliveries: Delivery) -> tuple[bool | None, dt.datetime | None]:
        intake.receive(*deliveries)
        state = intake.state(pump)
        return state.online, state.online_changed_at

    birth, will = b'{"online": true, "model": "Vanta", "firmware": "1.2"}', b'{"online": false}'
    assert online(pump.says(pump.item(0))) == (None, None)
    assert online(pump.sends(birth, topic="state", received_at=AT)) == (True, AT)
    assert online(pump.sends(birth, topic="state", received_at=AT + HOUR)) == (True, AT)
    assert online(pump.sends(will, topic="state", received_at=AT + 2 * HOUR)) == (False, AT + 2 * HOUR)
    late = pump.says(pump.item(1), topic="history", received_at=AT + 3 * HOUR)
    assert online(late) == (False, AT + 2 * HOUR), "records that waited in a queue do not make it connected"
    assert (intake.state(pump).reported_model, intake.state(pump).reported_firmware) == ("Vanta", "1.2")


def test_neither_a_will_nor_a_retained_birth_is_a_sign_of_life(intake: Intake) -> None:
    pump = intake.add()
    intake.receive(pump.sends(b'{"online": false}', topic="state"))
    intake.receive(pump.sends(b'{"online": true}', topic="state", retained=True))
    assert intake.state(pump).heard_at is None
    intake.receive(pump.sends(b'{"online": true}', topic="state"))
    assert intake.state(pump).heard_at == AT


def test_unknown_fields_are_counted_and_their_sum_cannot_overflow(intake: Intake) -> None:
    pump = intake.add()
    intake.receive(pump.says(pump.item(0, colour="red"), mood="good"))
    assert intake.state(pump).unknown_fields == 2
    with intake.engine.begin() as connection:
        connection.execute(DeviceState.__table__.update().values(unknown_fields=2_000_000_000))
    intake.receive(pump.says(pump.item(1, colour="red")))
    assert intake.state(pump).unknown_fields == 2_000_000_000


# --- clocks ---


@on_both
def test_a_clock_that_runs_ahead_is_corrected_for_the_whole_batch(intake: Intake) -> None:
    pump = intake.add()
    ahead = dt.timedelta(minutes=47)

    def said(seq: int, queued: dt.timedelta) -> Delivery:
        sent_at = AT - queued + ahead
        sample = {"seq": seq, "at": sent_at.isoformat(), "reservoir_ml": seq}
        return pump.says(sample, sent_at=sent_at)

    intake.receive(*(said(seq, dt.timedelta(hours=6 - seq)) for seq in range(7)), queue_delay_s=None)
    rows = intake.all(select(PumpSample.measured_at, PumpSample.device_at).order_by(PumpSample.seq))
    assert [row.measured_at for row in rows] == [AT - dt.timedelta(hours=6 - seq) for seq in range(7)]
    assert [row.device_at - row.measured_at for row in rows] == [ahead] * 7
    assert intake.state(pump).measured_at == AT


def test_what_one_lane_learns_of_a_clock_is_known_to_the_next_batch(intake: Intake) -> None:
    pump = intake.add()
    ahead = AT + dt.timedelta(minutes=10)
    intake.receive(pump.says({"seq": 0, "at": ahead.isoformat()}, sent_at=ahead))
    assert intake.state(pump).clock_error_s == 600
    intake.receive(pump.sends(b'{"online": true}', topic="state"))
    assert intake.state(pump).clock_error_s == 600, "a message without times teaches nothing"
