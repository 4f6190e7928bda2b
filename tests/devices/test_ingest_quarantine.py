"""What cannot be taken: kept by reason, replayable, bounded, and never in the way of the rest."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from sc_stim.devices import clock, ingest, ledger_rows, quarantine_rows, sample_rows
from sc_stim.devices.mqtt import Delivery
from sc_stim.models import DeviceEpoch, Quarantine, WorkItem
from tests.intake import AT, Intake, intake, intake_engines, on_both

__all__ = ["intake", "intake_engines"]

PAYLOADS = Path(__file__).parents[1] / "payloads" / "invalid"
INVALID = sorted(path for path in PAYLOADS.iterdir() if not path.name.startswith("command"))


def kept(intake: Intake, *columns: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in intake.all(select(*columns).order_by(Quarantine.id))]


# --- reasons ---


@on_both
@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_every_invalid_example_is_kept_with_its_reason_and_the_message_after_it_is_stored(
    intake: Intake, path: Path
) -> None:
    topic, *rest = path.name.split(".")
    kind = rest.pop(0) if rest[0] in ("pump", "stimulator") else "pump"
    reason, field = rest[0], None if rest[1] == "-" else rest[1]
    device = intake.add(kind)
    intake.receive(device.sends(path.read_bytes(), topic=topic), device.says(device.item(1000)))
    assert (device.id, "e1", 1000) in intake.stored()
    assert kept(intake, Quarantine.reason, Quarantine.field, Quarantine.device_id) == [
        (reason, field, device.id)
    ]


@on_both
def test_senders_we_do_not_know_or_no_longer_trust_are_named(intake: Intake) -> None:
    pump, stranger, revoked = intake.add(), intake.stranger(), intake.add()
    intake.revoke(revoked)
    elsewhere = Delivery(pump.says(pump.item(1)).topic.replace("/up/", "/UP/"), b"{}", AT, False, 1, 1, 1)
    foreign = f"scs/v1/{'0' if pump.public_id[-1] != '0' else '1'}/{pump.public_id}/up/telemetry"
    intake.receive(
        stranger.says(stranger.item(0)),
        revoked.says(revoked.item(0)),
        elsewhere,
        Delivery(foreign, pump.says(pump.item(2)).payload, AT, False, 1, 1, 1),
        pump.says(pump.item(0)),
    )
    assert sorted(intake.reasons()) == ["bad_topic", "bad_topic", "revoked_device", "unknown_device"]
    assert intake.stored() == [(pump.id, "e1", 0)]


def test_a_bad_record_costs_its_neighbours_nothing_and_is_acknowledged_as_rejected(intake: Intake) -> None:
    pump = intake.add()
    samples = [pump.item(0), pump.item(1, reservoir_ml=900), pump.item(2, state="napping"), pump.item(3)]
    [ack] = intake.receive(pump.says(*samples))
    assert (ack.upto, ack.missing, ack.rejected) == (3, [], [1, 2])
    assert intake.stored() == [(pump.id, "e1", 0), (pump.id, "e1", 3)]
    assert kept(intake, Quarantine.seq, Quarantine.reason) == [(1, "out_of_range"), (2, "unknown_value")]


def test_what_is_sent_again_is_kept_once_and_counted(intake: Intake) -> None:
    pump = intake.add()
    bad = pump.says(pump.item(1, reservoir_ml=900))
    for _ in range(3):
        [ack] = intake.receive(bad, pump.sends(b"not json"))
        assert ack.rejected == [1]
    assert sorted(kept(intake, Quarantine.reason, Quarantine.times_seen)) == [
        ("bad_json", 3),
        ("out_of_range", 3),
    ]


@on_both
@pytest.mark.parametrize(
    "word", ["a\0b", "\N{REPLACEMENT CHARACTER}", "ü" * 5000], ids=["nul", "replacement", "long"]
)
def test_what_a_device_sent_may_be_quoted_in_no_way_that_a_database_refuses(
    intake: Intake, word: str
) -> None:
    pump = intake.add()
    intake.receive(
        pump.says(pump.item(1, state=word)),
        pump.says(pump.item(2), **{word: 1}),
        Delivery(f"scs/v1/0/{word}/up/telemetry", b"{}", AT, False, 1, 1, 1),
    )
    assert sorted(intake.reasons()) == ["bad_topic", "unknown_value"]
    assert all("\0" not in detail and len(detail) <= 500 for (detail,) in kept(intake, Quarantine.detail))


# --- replay ---


@on_both
def test_a_device_that_is_registered_later_gets_its_messages_taken(intake: Intake) -> None:
    stranger = intake.stranger()
    samples = [stranger.item(0), stranger.item(1, reservoir_ml=900), stranger.item(2)]
    assert intake.receive(stranger.says(*samples)) == []
    pump = intake.add(public_id=stranger.public_id)
    assert intake.replay() == ["stored"]
    assert intake.stored() == [(pump.id, "e1", 0), (pump.id, "e1", 2)]
    assert intake.reasons() == ["unknown_device", "out_of_range"], (
        "what is wrong in it has a row of its own now"
    )
    assert intake.replay() == ["quarantined", "quarantined"]


@on_both
def test_a_score_waits_for_a_patient_and_is_a_duplicate_once_it_is_stored(intake: Intake) -> None:
    pump = intake.add(patient=False)
    [ack] = intake.receive(pump.says(pump.item(0), scores=[pump.item(1, nrs=4)]))
    assert (ack.rejected, intake.reasons()) == ([1], ["no_patient"])
    assert intake.replay() == ["quarantined"]
    intake.give_patient(pump)
    assert intake.replay() == ["stored"]
    assert intake.stored() == [(pump.id, "e1", 0), (pump.id, "e1", 1)]
    assert intake.replay() == ["duplicate"]
    [ack] = intake.receive(pump.says(scores=[pump.item(1, nrs=4)]))
    assert (ack.upto, ack.rejected) == (1, []), "it is stored now, not rejected"


@on_both
def test_a_revoked_device_that_is_trusted_again_loses_nothing(intake: Intake) -> None:
    pump = intake.add()
    intake.revoke(pump)
    intake.receive(pump.says(pump.item(0)), pump.sends(b'{"online": true}', topic="state"))
    assert intake.replay() == ["quarantined", "quarantined"]
    intake.revoke(pump, at=None)
    assert intake.replay() == ["stored", "stored"]
    assert (intake.stored(), intake.state(pump).online) == ([(pump.id, "e1", 0)], True)


@on_both
def test_a_record_that_our_own_fault_kept_out_is_taken_after_the_fix(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump = intake.add()
    with monkeypatch.context() as patched:
        patched.setattr(clock, "MAX_AHEAD", dt.timedelta(0))
        future = AT + dt.timedelta(hours=2)
        intake.receive(pump.says({"seq": 0, "at": future.isoformat()}, sent_at=future))
    assert intake.reasons() == ["impossible_clock"]
    assert intake.replay() == ["stored"]
    assert intake.replay() == ["duplicate"]


def test_a_replay_does_not_make_old_words_new(intake: Intake) -> None:
    """Neither is the device heard now, nor is work owed since then, nor does it teach us about the clock."""
    pump = intake.add()
    intake.revoke(pump)
    ahead = AT + dt.timedelta(minutes=30)
    intake.receive(pump.says({"seq": 0, "at": ahead.isoformat()}, sent_at=ahead))
    intake.revoke(pump, at=None)
    later = AT + dt.timedelta(days=2)
    assert intake.replay(later) == ["stored"]
    state = intake.state(pump)
    assert (state.heard_at, state.clock_error_s) == (AT, None)
    assert intake.one(select(WorkItem.due_at)) == later


# --- what a message of ours, or the database, cannot bear ---


def _poison(monkeypatch: pytest.MonkeyPatch, seq: int, value: Any) -> None:
    """Records with this number become rows that no database takes."""
    values = sample_rows._pump_values

    def poisoned(item: Any) -> Any:
        return (value, *values(item)[1:]) if item.seq == seq else values(item)

    monkeypatch.setattr(sample_rows, "_pump_values", poisoned)


@on_both
@pytest.mark.parametrize("value", ["nul \0 in text", ["a list"], object()], ids=["data", "type", "object"])
def test_a_record_that_breaks_the_transaction_goes_to_quarantine_alone(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    if intake.engine.dialect.name == "sqlite" and isinstance(value, str):
        value = {"a": "dict"}  # SQLite takes NUL
    pump, other = intake.add(), intake.add()
    _poison(monkeypatch, 4, value)
    messages = [pump.says(pump.item(seq)) for seq in range(9)] + [other.says(other.item(1), other.item(4))]
    acks = intake.receive(*messages)
    assert intake.stored() == [(pump.id, "e1", seq) for seq in range(9) if seq != 4]
    assert kept(intake, Quarantine.device_id, Quarantine.seq, Quarantine.reason) == [
        (pump.id, 4, "not_storable"), (other.id, 1, "not_storable"), (other.id, 4, "not_storable"),
    ]  # fmt: skip
    assert acks[-1].rejected == [1, 4]
    monkeypatch.undo()
    assert intake.replay() == ["stored"] * 3
    assert len(intake.stored()) == 11


@on_both
def test_a_record_that_still_cannot_be_stored_does_not_stop_the_replay_of_others(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump = intake.add()
    _poison(monkeypatch, 4, "nul \0 in text" if intake.engine.dialect.name == "postgresql" else ["a list"])
    intake.receive(pump.says(pump.item(3), pump.item(4), pump.item(5)))
    assert intake.stored() == []
    assert intake.replay() == ["stored", "quarantined", "stored"]
    assert intake.stored() == [(pump.id, "e1", 3), (pump.id, "e1", 5)]


def test_a_message_that_breaks_even_the_reading_is_kept_whole(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump = intake.add()
    decode = ingest.messages.decode

    def broken(kind: Any, device_kind: Any, payload: bytes) -> Any:
        if b"evil" in payload:
            raise KeyError("a fault of ours")
        return decode(kind, device_kind, payload)

    monkeypatch.setattr(ingest.messages, "decode", broken)
    intake.receive(*(pump.says(pump.item(seq), note="evil" if seq == 2 else "") for seq in range(5)))
    assert intake.stored() == [(pump.id, "e1", seq) for seq in (0, 1, 3, 4)]
    assert kept(intake, Quarantine.reason, Quarantine.seq) == [("not_storable", None)]
    [ack] = intake.receive(pump.says(pump.item(0)))
    assert ack.missing == [(2, 2)], "it is not covered, so the device keeps it"


# --- bounds ---


@on_both
def test_a_device_can_fill_only_so_much_and_what_finds_no_room_is_not_acknowledged(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine_rows, "KEPT_OF_ONE_DEVICE", 3)
    pump, other = intake.add(), intake.add()
    bad = [pump.says(pump.item(seq, reservoir_ml=900)) for seq in range(6)]
    acks = intake.receive(*bad[:2]) + intake.receive(*bad[2:], other.sends(b"not json"))
    assert sorted(intake.reasons()) == [
        "bad_json",
        "out_of_range",
        "out_of_range",
        "out_of_range",
        "quarantine_full",
    ]
    assert (acks[-1].upto, acks[-1].rejected) == (2, [2])
    full = select(Quarantine.times_seen).where(Quarantine.reason == "quarantine_full")
    assert intake.one(full) == 3
    assert intake.receive(bad[0])[0].rejected == [0], "what is kept already needs no room"
    with intake.engine.begin() as connection:
        connection.execute(update(Quarantine).values(outcome="stored"))
    assert intake.receive(*bad[3:5])[0].upto == 4, "what is settled takes no room"


def test_strangers_share_one_bound(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine_rows, "KEPT_OF_STRANGERS", 3)
    strangers = [intake.stranger() for _ in range(5)]
    intake.receive(*(one.says(one.item(0)) for one in strangers))
    assert sorted(intake.reasons()) == [
        "quarantine_full",
        "unknown_device",
        "unknown_device",
        "unknown_device",
    ]


def test_an_ack_stays_small_however_much_is_refused(intake: Intake) -> None:
    pump = intake.add()
    bad = [pump.says(*(pump.item(seq, state="x") for seq in range(n, n + 700))) for n in (0, 700)]
    acks = intake.receiver.receive(bad)
    assert len(acks[0][1]) < 16_000


def test_gaps_without_end_are_not_remembered_without_end(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_rows, "MAX_RANGES", 5)
    pump = intake.add()
    intake.receive(*(pump.says(pump.item(2 * seq)) for seq in range(10)))
    assert intake.one(select(DeviceEpoch.taken)) == "10,12,14,16,18"
    intake.receive(pump.says(pump.item(0), pump.item(9)))
    assert intake.stored() == [(pump.id, "e1", seq) for seq in (0, 2, 4, 6, 8, 9, 10, 12, 14, 16, 18)]
