import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.clinical.alert_lifecycle import INITIAL_STATE, TABLE, Event, State, Transition, next_state
from sc_stim.clinical.refusal import Refused

CELLS = json.loads(
    (Path(__file__).parents[1] / "scenarios" / "alerts" / "lifecycle.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell['state']}-{cell['event']}")
def test_every_cell_of_the_life_cycle_is_as_written(cell: dict[str, Any]) -> None:
    found = next_state(State(cell["state"]), Event(cell["event"]))
    if "refused" in cell:
        assert isinstance(found, Refused)
        assert found.reason == cell["refused"]
        assert found.detail
    else:
        assert isinstance(found, Transition)
        assert (found.to, found.notifies) == (State(cell["to"]), cell["notifies"])


def test_the_written_cells_are_all_there_are() -> None:
    written = [(cell["state"], cell["event"]) for cell in CELLS]
    assert len(written) == len(set(written))
    assert set(written) == {(state, event) for state in State for event in Event}


def test_every_transition_has_its_own_sentence_in_its_state() -> None:
    sentences = [(row.state, row.sentence) for row in TABLE.values()]
    assert len(sentences) == len(set(sentences))


@given(st.lists(st.sampled_from(Event)))
def test_any_sequence_of_events_leads_to_a_state_and_closed_is_the_end(events: Sequence[Event]) -> None:
    state = INITIAL_STATE
    for event in events:
        found = next_state(state, event)
        if isinstance(found, Transition):
            assert state is not State.CLOSED
            state = found.to
    assert state in State


@given(st.sampled_from([State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.SHELVED, State.RETURNED_TO_NORMAL]))
def test_something_worse_always_asks_for_a_person(state: State) -> None:
    found = next_state(state, Event.RAISE_WORSE)
    assert isinstance(found, Transition)
    assert found.to is State.UNACKNOWLEDGED
    assert found.notifies
