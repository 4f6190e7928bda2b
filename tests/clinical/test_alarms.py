import pytest

from sc_stim.clinical import reference
from sc_stim.clinical.alarms import Severity, shipped_table, table_from
from sc_stim.clinical.reference import ReferenceDataError

TABLE = shipped_table()
# Every event kind of the device contract (docs/protocol).
EVENT_KINDS = {
    "motor_stall", "pump_stopped", "low_reservoir", "empty_reservoir", "eri", "eos", "memory_error", "mri_entered",
    "mri_left", "program_changed", "rate_changed", "bolus_denied", "lead_disconnected", "charge_missed", "reset",
    "session_opened", "session_closed",
}  # fmt: skip


def test_every_event_kind_of_the_contract_is_in_the_table_and_no_other() -> None:
    assert TABLE.events.keys() == EVENT_KINDS


def test_every_condition_can_come_about() -> None:
    from_events = {name for effects in TABLE.events.values() for name, _ in effects}
    from_states = {name for name, row in TABLE.conditions.items() if row.states_asserting}
    assert from_events | from_states == TABLE.conditions.keys()


def test_a_pump_that_stops_delivering_is_a_matter_of_life_until_its_drugs_are_known_to_be_harmless() -> None:
    for name in ("pump_stopped", "motor_stall", "empty_reservoir", "minimum_rate", "end_of_service"):
        condition = TABLE.conditions[name]
        assert condition.stops_therapy
        assert condition.severity["pump"] is Severity.HIGH
        assert condition.severity_without_withdrawal is Severity.MEDIUM


@pytest.mark.parametrize(
    ("kind", "returns"),
    [
        ("pump_stopped", True),
        ("low_reservoir", True),
        ("eri", False),
        ("eos", False),
        ("memory_error", False),
    ],
)
def test_cleared_returns_to_normal_only_what_can_mend_itself(kind: str, returns: bool) -> None:
    assert TABLE.cleared_returns_to_normal(kind) is returns


def test_every_condition_says_why() -> None:
    assert all(condition.rationale for condition in TABLE.conditions.values())


def test_an_event_with_an_unknown_condition_is_refused_by_name() -> None:
    document = reference.load("alarms.json")
    document["events"]["eri"] = [["battery_low", "asserts"]]
    with pytest.raises(ReferenceDataError, match="battery_low"):
        table_from(document)
