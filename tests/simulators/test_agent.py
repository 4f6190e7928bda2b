"""A device as the outside sees it: messages out, stored-acks and commands in."""

import datetime as dt
import json
from typing import Any

import msgspec
import pytest

from sc_stim.devices import messages, topics
from sc_stim.devices.records import Command, InvalidMessage
from simulators.agent import MAX_IN_FLIGHT, Agent, Message
from simulators.cohort import Cohort, Network
from simulators.course import Course
from simulators.emission import Emission
from simulators.happenings import AnyHappening, MemoryReset, Silent
from tests.simulators.builders import (
    BEGIN,
    DAY,
    PUMP_ID,
    SOUND,
    STIMULATOR_ID,
    create_cohort,
    create_patient,
    create_pump,
    create_stimulator,
)

MINUTE = dt.timedelta(minutes=1)


def agent_of(
    *script: AnyHappening,
    days: float = 20.0,
    network: Network = SOUND,
    stored: dict[str, int] | None = None,
    **options: Any,
) -> tuple[Agent, Cohort]:
    patient = create_patient(*script, stimulator=create_stimulator(), **options)
    cohort = create_cohort(patient, days=days, network=network)
    return Agent(cohort.patients[0].devices[0], Course(patient, cohort), cohort, stored=stored), cohort


def with_history(*script: AnyHappening, **options: Any) -> tuple[Agent, dt.datetime]:
    agent, cohort = agent_of(*script, **options)
    for _, emission in agent.course.advance(cohort.now):
        agent.keep(emission)
    return agent, cohort.now


def decoded(message: Message) -> messages.Envelope:
    kind = topics.parse_up(message.topic).kind
    return messages.decode(kind, "stimulator", message.payload)


def ack_of(agent: Agent, upto: int) -> bytes:
    return messages.encode_ack(agent.memory.epoch, upto, [], [])


def emission(at: dt.datetime, kind: str = "sample") -> Emission:
    bodies = {"sample": {"state": "on"}, "event": {"kind": "eri", "state": "raised"}, "score": {"nrs": 4.0}}
    return Emission(at, kind, bodies[kind])


def test_history_goes_out_in_order_on_its_own_topic_and_within_the_size_limit() -> None:
    agent, now = with_history(days=200, scores_per_day=6.0)
    seqs: list[int] = []
    while out := agent.outgoing(0.0, now + 60 * 2 * MINUTE):
        for message in out:
            assert message.topic == topics.up(STIMULATOR_ID, "history")
            assert len(message.payload) <= messages.MAX_PAYLOAD_BYTES
            envelope = decoded(message)
            assert envelope.rejects == []
            assert envelope.unknown_fields == 0
            assert max(i.at for i in envelope.items) - min(i.at for i in envelope.items) <= 30 * DAY
            seqs += [item.seq for item in envelope.items]
        agent.take_ack(ack_of(agent, max(seqs)))
    assert sorted(seqs) == list(range(agent.memory.next_seq))
    assert len(seqs) > 200 * 4


def test_no_more_than_a_window_of_records_is_out_at_once() -> None:
    agent, now = with_history(days=300, scores_per_day=6.0)
    assert agent.outgoing(0.0, now) != []
    assert agent.memory.in_flight == MAX_IN_FLIGHT
    assert agent.outgoing(1.0, now) == []


def test_new_records_go_to_the_topic_of_their_kind_and_old_ones_to_history() -> None:
    agent, cohort = agent_of()
    now = cohort.now
    for kind in ("sample", "event", "score"):
        agent.keep(emission(now - MINUTE, kind))
        agent.keep(emission(now - 90 * MINUTE, kind))
    found = {m.topic.rpartition("/")[2]: [i.seq for i in decoded(m).items] for m in agent.outgoing(0.0, now)}
    assert found == {"telemetry": [0], "event": [2], "diary": [4], "history": [1, 3, 5]}


def test_times_are_those_of_the_devices_clock_and_sent_at_shows_its_error() -> None:
    agent, cohort = agent_of(network=Network(skew_s=2820))
    now = cohort.now
    agent.keep(emission(now - MINUTE))
    [message] = agent.outgoing(0.0, now)
    envelope = decoded(message)
    error = envelope.sent_at - now
    assert abs(error.total_seconds()) == 2820
    assert envelope.items[0].at - now == error - MINUTE


def test_what_is_sent_again_has_the_same_identity_and_a_new_sending_time() -> None:
    agent, cohort = agent_of()
    agent.keep(emission(cohort.now))
    [first] = agent.outgoing(0.0, cohort.now)
    assert agent.outgoing(5.0, cohort.now + MINUTE) == []
    [again] = agent.outgoing(60.0, cohort.now + MINUTE)
    assert decoded(again).items == decoded(first).items
    assert decoded(again).sent_at - decoded(first).sent_at == MINUTE


def test_an_offline_devices_records_wait_for_the_end_of_the_window() -> None:
    agent, now = with_history(Silent(at=BEGIN + 10 * DAY))
    seen = [item.at for message in agent.outgoing(0.0, now) for item in decoded(message).items]
    assert BEGIN + 9 * DAY < max(seen) < BEGIN + 10 * DAY
    assert agent.memory.has_unsent()


def test_a_memory_reset_begins_a_new_epoch_at_zero_and_names_what_was_lost() -> None:
    agent, _ = with_history(MemoryReset(at=BEGIN + 10 * DAY))
    [first] = [record for record in agent.memory if record.seq == 0]
    assert json.loads(first.body)["kind"] == "reset"
    lost_epochs = {epoch for epoch, _ in agent.forgotten}
    assert len(lost_epochs) == 1
    assert agent.memory.epoch not in lost_epochs
    assert len(agent.forgotten) > 40


def test_what_is_known_to_be_stored_is_numbered_but_not_kept() -> None:
    agent, _ = agent_of()
    epoch = agent.memory.epoch
    again, _ = agent_of(stored={epoch: 9})
    assert [again.keep(emission(BEGIN)) for _ in range(12)] == [(epoch, seq) for seq in range(12)]
    assert [record.seq for record in again.memory] == [10, 11]


def test_birth_and_will_are_retained_states() -> None:
    agent, _ = agent_of()
    assert agent.birth.retain
    assert agent.will.retain
    assert messages.decode_state(agent.birth.payload).model == "a model"
    assert not messages.decode_state(agent.will.payload).online
    assert agent.birth.topic == topics.up(STIMULATOR_ID, "state")


# --- commands


def ask(
    agent: Agent, at: dt.datetime, noted: list[Command] | None = None, **fields: Any
) -> messages.Result | None:
    payload = msgspec.json.encode({"id": "c1", "issued_at": at, **fields})
    answer = agent.answer(payload, at, (noted if noted is not None else []).append)
    return messages.decode_result(answer.payload) if answer else None


def test_interrogate_is_done_and_leads_to_a_sample() -> None:
    agent, now = with_history()
    noted: list[Command] = []
    result = ask(agent, now, noted, kind="interrogate")
    assert result is not None
    assert (result.id, result.status) == ("c1", "done")
    assert [told.emission.at for told in agent.course.advance(now)] == [now]
    assert [command.kind for command in noted] == ["interrogate"]


def test_the_same_command_again_has_the_same_answer_and_no_effect() -> None:
    agent, now = with_history()
    agent.course.advance(now + MINUTE)  # past the first sample after going live
    noted: list[Command] = []
    first = ask(agent, now + MINUTE, noted, kind="interrogate")
    agent.course.advance(now + MINUTE)
    assert ask(agent, now + 2 * MINUTE, noted, kind="interrogate") == first
    assert len(noted) == 1
    assert agent.course.advance(now + 1.5 * MINUTE) == []


def test_time_sync_sets_the_clock() -> None:
    agent, now = with_history(network=Network(skew_s=2820))
    ask(agent, now, kind="time_sync")
    assert agent.clock.shows(now) == now


def test_a_new_interval_is_obeyed() -> None:
    agent, now = with_history()
    agent.course.advance(now + MINUTE)
    ask(agent, now + MINUTE, kind="report_interval", interval_s=60)
    samples = [told for told in agent.course.advance(now + 11 * MINUTE) if told.emission.kind == "sample"]
    assert len(samples) == 10


def test_an_expired_command_gets_no_answer_and_has_no_effect() -> None:
    agent, now = with_history()
    noted: list[Command] = []
    assert ask(agent, now, noted, kind="interrogate", expires_at=now - MINUTE) is None
    assert noted == []


def test_a_device_that_still_sends_its_history_refuses() -> None:
    agent, cohort = agent_of()
    result = ask(agent, cohort.now, kind="interrogate")
    assert result is not None
    assert result.status == "refused"
    assert "history" in str(result.detail)


@pytest.mark.parametrize("fields", [{"kind": "set_rate"}, {"kind": "report_interval"}, {}])
def test_what_is_no_command_of_ours_is_refused(fields: dict[str, Any]) -> None:
    agent, now = with_history()
    result = ask(agent, now, **fields)
    assert result is not None
    assert result.status == "refused"


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b'{"id":7}', b'{"id":""}'])
def test_what_cannot_even_be_refused_is_an_invalid_message(payload: bytes) -> None:
    agent, now = with_history()
    with pytest.raises(InvalidMessage):
        agent.answer(payload, now, [].append)


def test_scores_are_reported_by_the_stimulator_where_there_is_one() -> None:
    patient = create_patient(pump=create_pump(), stimulator=create_stimulator())
    told = Course(patient, create_cohort(patient)).advance(BEGIN + 20 * DAY)
    assert {t.slot for t in told if t.emission.kind == "score"} == {"stimulator"}
    alone = create_patient(pump=create_pump())
    told = Course(alone, create_cohort(alone)).advance(BEGIN + 20 * DAY)
    assert {t.slot for t in told if t.emission.kind == "score"} == {"pump"}
    assert PUMP_ID != STIMULATOR_ID
