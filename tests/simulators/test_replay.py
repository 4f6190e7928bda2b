"""`python -m simulators.replay`: recorded diaries over a real broker."""

import datetime as dt
import json
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from sc_stim.devices import messages
from simulators import diary_file, replay, scenario
from simulators.cohort import Cohort
from simulators.credentials import Credential, CredentialsError
from simulators.diary_file import DiaryError
from simulators.link import Broker
from simulators.replay import DiaryDevice
from tests.servers import Mosquitto, free_port
from tests.simulators.clinic import Clinic

DIARY = """patient,at,nrs
ada,2024-03-10T20:15:30-08:00,8
ben,2024-03-11T00:00:00+01:00,0
ada,2024-03-10T07:00:00-08:00,7.5
ada,2024-03-14T07:00:00-07:00,9.2
"""
ADA = [("2024-03-10T15:00:00", 7.5), ("2024-03-11T04:15:30", 8.0), ("2024-03-14T14:00:00", 9.2)]
BEN = [("2024-03-10T23:00:00", 0.0)]


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "diary.csv"
    path.write_text(text)
    return path


# --- the file


def test_a_diary_is_read_by_patient_oldest_first_with_its_fractions(tmp_path: Path) -> None:
    diaries = diary_file.read(write(tmp_path, DIARY))
    assert {patient: [entry.nrs for entry in entries] for patient, entries in diaries.items()} == {
        "ada": [7.5, 8.0, 9.2],
        "ben": [0.0],
    }
    assert diaries["ada"][1].at.isoformat() == "2024-03-10T20:15:30-08:00"


def test_columns_may_stand_in_any_order_and_a_byte_order_mark_before_them(tmp_path: Path) -> None:
    diaries = diary_file.read(write(tmp_path, "\ufeffat,nrs,patient\n2024-03-10T20:15:30Z,8,ada\n"))
    assert [entry.nrs for entry in diaries["ada"]] == [8.0]


BAD_ROWS = [
    (",2024-03-10T20:15:30Z,8", "line 3: patient: is empty"),
    ("ada,2024-03-10T20:15:30,8", "line 3: at: '2024-03-10T20:15:30' is no time with offset"),
    ("ada,2024-03-10,8", "line 3: at: '2024-03-10' is no time with offset"),
    ("ada,2024-02-30T20:15:30Z,8", "line 3: at: '2024-02-30T20:15:30Z' is no time"),
    ("ada,2024-03-10T20:15:30Z,10.5", "line 3: nrs: '10.5' is no score; write 0 to 10"),
    ("ada,2024-03-10T20:15:30Z,7;5", "line 3: nrs: '7;5'"),
    ("ada,2024-03-10T20:15:30Z,-1", "line 3: nrs: '-1'"),
    ("ada,2024-03-10T20:15:30Z,nan", "line 3: nrs: 'nan'"),
    ("ada,2024-03-10T20:15:30Z,", "line 3: nrs: ''"),
    ("ada,2024-03-10T20:15:30Z", "line 3: nrs: ''"),
    ("ada,2024-03-10T20:15:30Z,8,back", "line 3: has more fields than patient,at,nrs"),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS, ids=[row for row, _ in BAD_ROWS])
def test_a_bad_row_is_named_by_line_and_field(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DiaryError) as refused:
        diary_file.read(write(tmp_path, f"patient,at,nrs\nada,2024-03-10T20:15:30Z,8\n{row}\n"))
    assert str(refused.value).startswith(message)


def test_all_bad_rows_are_named_up_to_a_number_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(DiaryError) as refused:
        diary_file.read(write(tmp_path, "patient,at,nrs\n" + "ada,soon,11\n" * 12))
    shown = str(refused.value).splitlines()
    assert shown[:2] == [
        "line 2: at: 'soon' is no time with offset; write 2026-11-22T08:30:00+01:00",
        "line 2: nrs: '11' is no score; write 0 to 10",
    ]
    assert shown[-1] == "and 14 more"


@pytest.mark.parametrize("header", ["", "patient,at", "patient,at,nrs,site", "a;b;c"])
def test_other_columns_are_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(DiaryError, match=r"line 1: the columns are .*; write patient,at,nrs"):
        diary_file.read(write(tmp_path, header + "\n"))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "diary.csv"
    path.write_bytes(b"patient,at,nrs\n\xff\xfe\n")
    with pytest.raises(DiaryError, match="not CSV in UTF-8"):
        diary_file.read(path)


# --- who sends it

ONE = "0b7f5f0e-3c52-4f0e-9d3a-000000000001"
TWO = "0b7f5f0e-3c52-4f0e-9d3a-000000000002"


def test_every_patient_needs_a_device_of_their_own(tmp_path: Path) -> None:
    diaries = diary_file.read(write(tmp_path, DIARY))
    ada = Credential(patient="ada", device=ONE, password="x")
    with pytest.raises(CredentialsError, match="no entry with patient ben"):
        replay.assign(diaries, [ada, Credential(device=TWO, password="x")])
    with pytest.raises(CredentialsError, match="two patients have the same device"):
        replay.assign(diaries, [ada, Credential(patient="ben", device=ONE, password="x")])
    with pytest.raises(CredentialsError, match="patient ada is there twice"):
        replay.assign(diaries, [ada, Credential(patient="ada", device=TWO, password="x")])
    ben = Credential(patient="ben", device=TWO, password="x")
    assert replay.assign(diaries, [ben, ada]) == {"ada": ada, "ben": ben}


# --- over a broker


_seeds = count(301)


@pytest.fixture
def cohort() -> Cohort:
    """Two devices that no other test has."""
    return scenario.load(
        "normal", seed=next(_seeds), now=dt.datetime(2026, 11, 22, tzinfo=dt.UTC), pumps=1, stimulators=1
    )


@pytest.fixture
def logins(mosquitto: Mosquitto, cohort: Cohort) -> list[Credential]:
    return [
        Credential(patient=patient, device=device.id, password=mosquitto.add_device(device.id))
        for patient, device in zip(("ada", "ben"), cohort.devices, strict=True)
    ]


def command(tmp_path: Path, logins: list[Credential], url: str, *more: str) -> list[str]:
    entries = [{"patient": c.patient, "device": c.device, "password": c.password} for c in logins]
    (tmp_path / "credentials").write_text(json.dumps(entries))
    where = ["--mqtt", url, "--credentials", str(tmp_path / "credentials")]
    return [sys.executable, "-m", "simulators.replay", str(write(tmp_path, DIARY)), *where, *more]


def scores_of(clinic: Clinic, login: Credential) -> list[tuple[str, float | None]]:
    items = [item for (device, _, _), item in sorted(clinic.items.items()) if device == login.device]
    return [(item.at.strftime("%FT%T"), item.nrs) for item in items if isinstance(item, messages.Score)]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_scores_arrive_exactly_and_a_second_replay_changes_nothing(
    mosquitto: Mosquitto, cohort: Cohort, logins: list[Credential], tmp_path: Path, version: str
) -> None:
    arguments = command(tmp_path, logins, mosquitto.url, f"--mqtt-version={version}", "--exit-after=30s")
    with Clinic(mosquitto, cohort) as clinic:
        for _ in range(2):
            run = subprocess.run(arguments, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            assert json.loads(run.stdout) == {
                "patients": 2, "scores": 4, "stored": 4, "rejected": 0, "unacknowledged": 0,
            }  # fmt: skip
            assert "stored 4/4" in run.stderr
    ada, ben = logins
    assert (scores_of(clinic, ada), scores_of(clinic, ben)) == (ADA, BEN)
    assert set(clinic.stored.values()) == {2}
    assert clinic.conflicts == []
    assert [state.online for state in clinic.states[ada.device]][:2] == [True, False]


def test_another_diary_of_the_same_device_is_another_epoch(tmp_path: Path) -> None:
    first, same, other = (
        diary_file.read(write(tmp_path, text))["ada"]
        for text in (DIARY, DIARY.replace("T20:15:30-08:00", "T21:15:30-07:00"), DIARY.replace("7.5", "7"))
    )
    broker, login = Broker.of("mqtt://127.0.0.1"), Credential(patient="ada", device=ONE, password="x")
    with selectors.DefaultSelector() as selector:
        epochs = [DiaryDevice(login, diary, broker, selector).memory.epoch for diary in (first, same, other)]
    assert epochs[0] == epochs[1] != epochs[2]


def replayed(
    mosquitto: Mosquitto, login: Credential, tmp_path: Path, stop: Callable[[DiaryDevice], bool]
) -> DiaryDevice:
    """Ada's diary, replayed until stored or `stop`, with quick re-sending."""
    entries = diary_file.read(write(tmp_path, DIARY))["ada"]
    deadline = time.monotonic() + 30
    with selectors.DefaultSelector() as selector:
        device = DiaryDevice(login, entries, Broker.of(mosquitto.url), selector, resend_after_s=0.1)
        replay.replay([device], selector, lambda: stop(device) or time.monotonic() > deadline, lambda: None)
    return device


def test_what_no_ack_covers_is_kept_and_sent_again(
    mosquitto: Mosquitto, cohort: Cohort, logins: list[Credential], tmp_path: Path
) -> None:
    with Clinic(mosquitto, cohort, acks=False) as clinic:

        def acknowledge_after_three(_: DiaryDevice) -> bool:
            clinic.acks = clinic.acks or any(times > 2 for times in list(clinic.stored.values()))
            return False

        device = replayed(mosquitto, logins[0], tmp_path, acknowledge_after_three)
    assert (device.stored, len(device.memory)) == (3, 0)
    assert min(clinic.stored.values()) > 2
    assert clinic.conflicts == []


def test_a_rejected_score_is_covered_but_not_called_stored(
    mosquitto: Mosquitto, cohort: Cohort, logins: list[Credential], tmp_path: Path
) -> None:
    with Clinic(mosquitto, cohort, acks=False) as clinic:

        def reject_the_second(device: DiaryDevice) -> bool:
            if clinic.stored and device.memory.in_flight == 3:
                device.take("ack", messages.encode_ack(device.memory.epoch, 2, [(1, 1)], [1]))
                device.take("ack", messages.encode_ack(device.memory.epoch, 2, [], [1]))
            return False

        device = replayed(mosquitto, logins[0], tmp_path, reject_the_second)
    assert (device.stored, device.rejected, len(device.memory)) == (2, 1, 0)


def test_a_bad_row_is_told_and_nothing_is_sent(
    mosquitto: Mosquitto, cohort: Cohort, logins: list[Credential], tmp_path: Path
) -> None:
    arguments = command(tmp_path, logins, mosquitto.url)
    write(tmp_path, DIARY + "ben,2024-03-11T00:00:00+01:00,11\n")
    with Clinic(mosquitto, cohort) as clinic:
        run = subprocess.run(arguments, capture_output=True, text=True)
    assert run.returncode == 2
    assert "line 6: nrs: '11' is no score" in run.stderr
    assert clinic.stored == {}
    assert clinic.states.keys() & {login.device for login in logins} == set()


def test_without_a_broker_it_says_so_and_ends_unfinished(logins: list[Credential], tmp_path: Path) -> None:
    arguments = command(tmp_path, logins, f"mqtt://127.0.0.1:{free_port()}", "--exit-after=0.3s")
    run = subprocess.run(arguments, capture_output=True, text=True)
    assert run.returncode == 3
    assert "broker out of reach, trying again" in run.stderr
    assert json.loads(run.stdout)["unacknowledged"] == 4
