"""`python -m simulators`: its options, its errors, and credentials."""

import datetime as dt
import json
import re
from pathlib import Path

import pytest

from simulators import credentials, options, scenario_file
from simulators.__main__ import load_cohort, main
from simulators.cohort import Cohort
from simulators.credentials import Credential, CredentialsError
from simulators.journal import Journal
from simulators.options import make_parser
from tests.simulators.builders import (
    PUMP_ID,
    STIMULATOR_ID,
    create_cohort,
    create_patient,
    create_pump,
    create_stimulator,
)

GIVEN_ID = "0b7f5f0e-3c52-4f0e-9d3a-00000000000a"
OTHER_ID = "0b7f5f0e-3c52-4f0e-9d3a-00000000000b"

NETWORK = [
    ("--offline", "offline_h", 6.0),
    ("--offline=90m", "offline_h", 1.5),
    ("--duplicate", "duplicate", 3.0),
    ("--duplicate=2.5", "duplicate", 2.5),
    ("--duplicate=10%", "duplicate", 1.1),
    ("--reorder=0.3", "reorder", 0.3),
    ("--skew", "skew_s", 2820.0),
    ("--skew=30", "skew_s", 30.0),
    ("--loss=5%", "loss", 0.05),
]


@pytest.mark.parametrize(("argument", "field", "value"), NETWORK)
def test_network_faults_are_read_in_their_units(argument: str, field: str, value: float) -> None:
    cohort = load_cohort(make_parser().parse_args(["--patients", "1", argument]))
    assert getattr(cohort.network, field) == pytest.approx(value)


BAD = [
    ([], "give --mqtt URL to send"),
    (["--mqtt", "127.0.0.1:1883"], "write mqtt://host:port"),
    (["--plan", "p", "--scenario", "nowhere"], "none of demo, hostile_network, normal"),
    (["--plan", "p", "--loss", "7"], "--loss: '7' is no share of the messages"),
    (["--plan", "p", "--duplicate", "0.5"], "write 3 for every message three times"),
    (["--plan", "p", "--offline", "soon"], "write 90s, 47m, 6h or 2d"),
    (["--plan", "p", "--offline", "30h"], "below 24 hours"),
    (["--plan", "p", "--pumps", "-3"], "--pumps: '-3' is no number of things"),
    (["--plan", "p", "--speed", "0"], "--speed: give a number above 0"),
    (["--plan", "p", "--days", "-1"], "--days: give a number from 0 to 3650"),
    (["--plan", "p", "--now", "yesterday"], "no time with offset"),
    (["--plan", "p", "--now", "2026-11-22T08:00:00"], "no time with offset"),
    (["--mqtt", "mqtt://127.0.0.1", "--credentials", "nowhere.json"], "nowhere.json: No such file"),
    (
        ["--mqtt", "mqtts://127.0.0.1", "--ca", "nowhere.pem"],
        "certificate authority nowhere.pem: No such file",
    ),
    (["--mqtt", "mqtt://127.0.0.1", "--now", "2999-01-01T00:00Z"], "begins in the future"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[message for _, message in BAD])
def test_usage_errors_name_the_option_and_the_fix(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_plan_and_the_truth_are_written_without_connecting(tmp_path: Path) -> None:
    plan, truth = tmp_path / "plan.json", tmp_path / "truth.jsonl"
    arguments = ["--scenario", "demo", "--patients", "5", "--now", "2026-11-22T08:00:00Z", "--seed", "2"]
    assert main([*arguments, "--plan", str(plan), "--truth", str(truth)]) == 0
    cohort = json.loads(plan.read_text())
    assert cohort["now"] == "2026-11-22T08:00:00Z"
    assert [patient["role"] for patient in cohort["patients"]][:1] == ["overdue refill"]
    assert json.loads(truth.read_text().splitlines()[0])["type"] == "cohort"
    first = plan.read_bytes()
    main([*arguments, "--plan", str(plan)])
    assert plan.read_bytes() == first


def test_a_journal_gives_the_anchor_of_the_run_it_belongs_to(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    arguments = ["--patients", "2", "--journal", str(path)]
    first = load_cohort(make_parser().parse_args([*arguments, "--now", "2026-11-22T08:00:00Z"]))
    Journal(path, first).close()
    assert load_cohort(make_parser().parse_args(arguments)) == first
    with pytest.raises(ValueError, match=r"--now: the journal .* is of a run with --now 2026-11-22"):
        load_cohort(make_parser().parse_args([*arguments, "--now", "2026-11-23T08:00:00Z"]))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("47m", 2820), ("1.5h", 5400), ("2d", 172800)]
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert options.duration_s(text) == seconds


def test_moments_are_kept_in_utc() -> None:
    assert options.moment("2026-11-22T09:00:00+01:00") == dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)


# --- credentials


def cohort_of_two() -> Cohort:
    return create_cohort(create_patient(pump=create_pump(), stimulator=create_stimulator()))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "credentials"
    path.write_text(text)
    return path


@pytest.mark.parametrize("form", ["[{0},{1}]", "{0}\n{1}\n"])
def test_credentials_are_a_list_or_lines(tmp_path: Path, form: str) -> None:
    entries = [json.dumps({"device": device, "password": "x", "more": 1}) for device in (GIVEN_ID, OTHER_ID)]
    found = credentials.read(write(tmp_path, form.format(*entries)))
    assert [credential.device for credential in found] == [GIVEN_ID, OTHER_ID]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"device":"x","password":"y"}]', "not a UUID"),
        ("[{]", "malformed"),
        ('{"device":1}', "Expected `str`"),
    ],
)
def test_a_bad_credentials_file_is_refused_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CredentialsError, match=message):
        credentials.read(write(tmp_path, text))


def test_credentials_go_to_their_own_device_then_by_serial_then_by_kind() -> None:
    own, passwords = credentials.assign(
        cohort_of_two(),
        [Credential(device=STIMULATOR_ID, password="s"), Credential(device=PUMP_ID, password="p")],
    )
    assert own == cohort_of_two()
    assert passwords == {STIMULATOR_ID: "s", PUMP_ID: "p"}
    serial, passwords = credentials.assign(
        cohort_of_two(),
        [
            Credential(device=GIVEN_ID, password="p", serial="P1"),
            Credential(device=OTHER_ID, password="s", serial="S1"),
        ],
    )
    assert [device.id for device in serial.devices] == [OTHER_ID, GIVEN_ID]
    kind, passwords = credentials.assign(
        cohort_of_two(),
        [Credential(device=GIVEN_ID, password="p", kind="pump"), Credential(device=OTHER_ID, password="s")],
    )
    assert [device.id for device in kind.devices] == [OTHER_ID, GIVEN_ID]
    assert passwords == {OTHER_ID: "s", GIVEN_ID: "p"}


def test_a_device_without_a_credential_is_named() -> None:
    with pytest.raises(CredentialsError, match="none for 1 devices, the first is pump P1"):
        credentials.assign(cohort_of_two(), [Credential(device=STIMULATOR_ID, password="s")])


def test_every_option_is_in_the_readme() -> None:
    readme = (Path(options.__file__).parent / "README.md").read_text()
    actions = [
        name for action in make_parser()._actions for name in action.option_strings if name.startswith("--")
    ]
    missing = [name for name in actions if f"`{name}`" not in readme and name != "--help"]
    assert missing == []


def test_the_scenarios_in_the_readme_can_be_read(tmp_path: Path) -> None:
    readme = (Path(options.__file__).parent / "README.md").read_text()
    [role] = re.findall(r"```json\n(.*?)```", readme, re.DOTALL)
    path = tmp_path / "scenario.json"
    path.write_text('{"name": "x", "about": "x", "patients": 1, "days": 1, "cast": [' + role + "]}")
    assert scenario_file.read(path).cast[0].role == "lead fracture"
