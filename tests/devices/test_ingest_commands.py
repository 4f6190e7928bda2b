"""Commands on their way to a device and back."""

import datetime as dt
import uuid
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sc_stim.devices import commands, messages, topics
from sc_stim.models import Clinic, Command, Device, User
from tests.intake import AT, Intake, Speaker, intake, intake_engines, on_both

__all__ = ["intake", "intake_engines"]

LATER = AT + dt.timedelta(hours=1)


def ask(intake: Intake, device: Speaker, kind: str = "interrogate", **values: Any) -> str:
    """A pending command; its id."""
    with Session(intake.engine) as session:
        clinic_id = session.scalars(select(Clinic.id)).one()
        asker = session.scalar(select(User)) or User(
            clinic_id=clinic_id,
            role="engineer",
            email="e@example.org",
            name="E",
            password_hash="",
            created_at=AT,
        )
        session.add(asker)
        session.flush()
        given = {
            "clinic_id": clinic_id, "device_id": device.id, "kind": kind, "args": {}, "state": "pending",
            "requested_by_id": asker.id, "requested_at": AT, "expires_at": LATER,
        }  # fmt: skip
        command = Command(**given | values)
        session.add(command)
        session.commit()
        return str(command.public_id)


def take(intake: Intake, shards: str = "0-f", at: dt.datetime = AT) -> list[tuple[str, bytes]]:
    with Session(intake.engine) as session:
        taken = commands.take_pending(session, topics.parse_shards(shards), at)
        session.commit()
    return taken


def states(intake: Intake) -> list[str]:
    return [row[0] for row in intake.all(select(Command.state).order_by(Command.id))]


def answer(device: Speaker, command_id: str, status: str = "done") -> bytes:
    return msgspec.json.encode({"id": command_id, "status": status, "detail": {"samples": 3}})


@on_both
def test_a_pending_command_is_published_once(intake: Intake) -> None:
    pump = intake.add()
    command_id = ask(intake, pump, "report_interval", args={"interval_s": 600})
    [(topic, payload)] = take(intake)
    assert topic == topics.down(pump.public_id, "command")
    assert messages.decode_command(payload) == messages.Command(
        id=command_id, kind="report_interval", issued_at=AT, expires_at=LATER, interval_s=600
    )
    assert (take(intake), states(intake)) == ([], ["sent"])


@on_both
def test_commands_of_shards_whose_ingest_is_away_hold_up_no_others(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "AT_ONCE", 2)
    elsewhere = intake.add(public_id=f"{uuid.uuid4()}"[:-1] + "f")
    here = intake.add(public_id=f"{uuid.uuid4()}"[:-1] + "3")
    for device in (elsewhere, elsewhere, here):
        ask(intake, device)
    assert [topic for topic, _ in take(intake, "0-7")] == [topics.down(here.public_id, "command")]
    assert states(intake) == ["pending", "pending", "sent"]


def test_what_has_expired_is_not_sent(intake: Intake) -> None:
    ask(intake, intake.add())
    assert (take(intake, at=LATER), states(intake)) == ([], ["pending"])


@on_both
@pytest.mark.parametrize(
    ("status", "state"), [("done", "reported"), ("refused", "refused"), ("failed", "refused")]
)
def test_only_the_devices_own_answer_settles_a_command_and_only_the_first(
    intake: Intake, status: str, state: str
) -> None:
    pump, other = intake.add(), intake.add()
    command_id = ask(intake, pump)
    take(intake)
    intake.receive(other.sends(answer(other, command_id), topic="result"))
    assert states(intake) == ["sent"]
    intake.receive(pump.sends(answer(pump, command_id, status), topic="result"))
    intake.receive(pump.sends(answer(pump, command_id, "done"), topic="result"))
    assert states(intake) == [state]
    assert intake.one(select(Command.result)) == {"status": status, "detail": {"samples": 3}}


@pytest.mark.parametrize("command_id", ["none of ours", "0190a1b2-0000-7000-8000-000000000000"])
def test_an_answer_to_no_command_changes_nothing(intake: Intake, command_id: str) -> None:
    pump = intake.add()
    intake.receive(pump.sends(answer(pump, command_id), topic="result"))
    assert intake.reasons() == []


@on_both
@pytest.mark.parametrize(("status", "expected_s"), [("done", 120), ("refused", 3600)])
def test_silence_is_judged_by_the_interval_that_the_device_has_taken_on(
    intake: Intake, status: str, expected_s: int
) -> None:
    pump = intake.add()
    with Session(intake.engine) as session:
        session.execute(update(Device).values(report_interval_s=3600))
        session.commit()
    command_id = ask(intake, pump, "report_interval", args={"interval_s": 120})
    intake.receive(pump.sends(answer(pump, command_id, status), topic="result"))
    assert intake.one(select(Device.report_interval_s)) == expected_s
