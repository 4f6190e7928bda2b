"""The truth file scores a server; the journal lets a run go on; the ledger counts."""

import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc_stim.devices.records import Command
from simulators import scenario
from simulators.cohort import Cohort
from simulators.emission import RecordKind
from simulators.journal import Journal, JournalError, anchor_of
from simulators.ledger import Ledger
from simulators.truth import TruthFile, lines
from tests.simulators.builders import BEGIN, DAY, PUMP_ID, create_cohort, create_patient, create_pump


def small(seed: int = 1) -> Cohort:
    return create_cohort(create_patient(pump=create_pump(ratio=1.1)), seed=seed, days=40)


def of_type(cohort: Cohort, kind: str) -> list[dict]:
    return [line for line in lines(cohort) if line["type"] == kind]


# --- truth


def test_the_truth_names_every_happening_and_every_fill(demo: Cohort) -> None:
    assert len(of_type(demo, "happening")) == sum(len(patient.script) for patient in demo.patients)
    assert len(of_type(demo, "fill")) == sum(len(p.pump.fills) for p in demo.patients if p.pump)
    assert len(of_type(demo, "patient")) == len(demo.patients)


def test_the_truth_knows_what_is_really_in_a_pump_and_when_it_is_empty() -> None:
    [pump] = of_type(small(), "pump")
    assert pump["computed_ml"] == pytest.approx(20 - 0.3 * 40)
    assert pump["true_ml"] == pytest.approx(20 - 0.33 * 40)
    assert abs(pump["empty_at"] - (BEGIN + 20 / 0.33 * DAY)) < dt.timedelta(minutes=1)


def test_pain_changes_say_whether_a_device_is_the_cause(demo: Cohort) -> None:
    causes = {(line["cause"], line["from_device"]) for line in of_type(demo, "pain_change")}
    assert causes >= {("LeadFracture", True), ("PainDrift", False), ("PainFlare", False)}


def test_the_same_cohort_gives_the_same_truth_file(tmp_path: Path, now: dt.datetime) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        TruthFile(path, scenario.load("demo", seed=4, now=now, patients=10)).close()
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_records_are_in_the_truth_file_when_asked_for(tmp_path: Path) -> None:
    for wanted in (True, False):
        truth = TruthFile(tmp_path / "truth", small(), records=wanted)
        truth.note_record(PUMP_ID, "e1", 3, "sample", BEGIN)
        truth.close()
        found = [json.loads(line) for line in (tmp_path / "truth").read_text().splitlines()]
        records = [line for line in found if line["type"] == "record"]
        expected = {
            "type": "record",
            "device": PUMP_ID,
            "epoch": "e1",
            "seq": 3,
            "kind": "sample",
            "at": "2026-09-01T09:00:00Z",
        }
        assert records == ([expected] if wanted else [])


# --- ledger


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("ef"), st.sampled_from(["sample", "event", "score"]))
    )
)
def test_the_ledger_is_a_mapping_of_what_was_noted(noted: list[tuple[str, str, RecordKind]]) -> None:
    ledger, expected = Ledger(), {}
    for device, epoch, kind in noted:
        seq = sum(1 for known in expected if known[:2] == (device, epoch))
        ledger.note(device, epoch, seq, kind)
        expected[device, epoch, seq] = kind
    assert dict(ledger) == expected
    assert len(ledger) == len(expected)
    assert ("a", "e", len(noted)) not in ledger
    assert ("a", "e", -1) not in ledger


def test_the_ledger_refuses_a_gap() -> None:
    ledger = Ledger()
    with pytest.raises(ValueError, match="record 1 after 0 records"):
        ledger.note("a", "e", 1, "sample")


# --- journal


def command() -> Command:
    return Command(id="c1", kind="report_interval", issued_at=BEGIN, interval_s=60)


def test_a_journal_gives_back_what_was_noted_also_after_a_second_reading(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, small())
    journal.note_command(PUMP_ID, BEGIN, command())
    journal.note_stored(PUMP_ID, "e1", 5)
    journal.note_stored(PUMP_ID, "e1", 9)
    journal.note_stored(PUMP_ID, "e1", 7)
    journal.close()
    for _ in range(2):
        again = Journal(path, small())
        again.close()
        assert again.obeyed == [(PUMP_ID, BEGIN, command())]
        assert again.stored == {PUMP_ID: {"e1": 9}}
    assert anchor_of(path) == small().now


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, small())
    journal.note_stored(PUMP_ID, "e1", 5)
    journal.close()
    path.write_bytes(path.read_bytes() + b'{"type":"stored","dev')
    again = Journal(path, small())
    again.close()
    assert again.stored == {PUMP_ID: {"e1": 5}}


def test_a_journal_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path, small()).close()
    with pytest.raises(JournalError, match="written by another run"):
        Journal(path, small(seed=2))


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"[1]\n", b'{"type":"run"}\n'])
def test_a_damaged_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    with pytest.raises(JournalError, match="journal"):
        anchor_of(path)


def test_without_a_journal_there_is_no_anchor(tmp_path: Path) -> None:
    assert anchor_of(tmp_path / "none") is None
