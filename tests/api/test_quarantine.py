"""What could not be taken, shown to the engineer, and tried once more."""

import base64
import json

import pytest
from flask import Flask
from sqlalchemy import select

from sc_stim.models import AuditEntry, PumpSample, Quarantine
from tests.apps import As, both_databases, read
from tests.builders import create_clinic, create_pump, create_quarantine, create_user


def test_an_engineer_lists_their_clinics_quarantine_newest_first_and_filters(app: Flask, api: As) -> None:
    engineer = create_user(role="engineer")
    pump = create_pump(clinic=engineer.clinic)
    first = create_quarantine(clinic=engineer.clinic)
    second = create_quarantine(device=pump, reason="out_of_range")
    create_quarantine(clinic=create_clinic())
    create_quarantine(clinic=engineer.clinic, clinic_id=None)
    caller = api(engineer)

    def ids(**query: str) -> list[str]:
        return [item["id"] for item in caller.get("/quarantine", **query).json["items"]]

    assert ids() == [str(second.public_id), str(first.public_id)]
    assert ids(reason="out_of_range") == ids(device_id=str(pump.public_id)) == [str(second.public_id)]
    assert ids(reason="nothing_has_it") == []


@pytest.mark.parametrize(
    ("payload", "encoding"), [("{not json, ä".encode(), "utf-8"), (b"\xff\x00\xfe", "base64")]
)
def test_a_payload_is_shown_as_text_or_as_base64_and_that_is_on_record(
    app: Flask, api: As, payload: bytes, encoding: str
) -> None:
    engineer = create_user(role="engineer")
    row = create_quarantine(clinic=engineer.clinic, payload=payload)
    shown = api(engineer).get(f"/quarantine/{row.public_id}").json
    assert shown["payload_encoding"] == encoding
    text = shown["payload"]
    assert (text.encode() if encoding == "utf-8" else base64.b64decode(text)) == payload
    [entry] = read(select(AuditEntry))
    assert (entry.action, entry.subject) == ("quarantine.view", str(row.public_id))


@both_databases
def test_a_message_of_a_device_that_is_registered_now_is_taken_when_it_is_replayed(
    app: Flask, api: As
) -> None:
    engineer = create_user(role="engineer")
    pump = create_pump(clinic=engineer.clinic)
    sample = {"seq": 1, "at": "2026-11-23T07:00:00Z", "reservoir_ml": 12.5}
    row = create_quarantine(
        device=pump,
        reason="unknown_device",
        topic=f"scs/v1/{pump.public_id.hex[-1]}/{pump.public_id}/up/telemetry",
        payload=json.dumps(
            {"epoch": "b7c1", "sent_at": "2026-11-23T07:00:01Z", "samples": [sample]}
        ).encode(),
    )
    caller, path = api(engineer), f"/quarantine/{row.public_id}/replay"
    assert caller.post(path).json == {"outcome": "stored"}
    assert read(select(PumpSample.reservoir_ml)) == [12.5]
    assert caller.post(path).json == {"outcome": "duplicate"}
    assert [(row.outcome, row.replayed_at is None) for row in read(select(Quarantine))] == [
        ("duplicate", False)
    ]
    replays = select(AuditEntry.detail).where(AuditEntry.action == "quarantine.replay")
    assert read(replays.order_by(AuditEntry.number)) == [{"outcome": "stored"}, {"outcome": "duplicate"}]


def test_a_message_that_still_cannot_be_taken_stays(app: Flask, api: As) -> None:
    engineer = create_user(role="engineer")
    row = create_quarantine(device=create_pump(clinic=engineer.clinic))
    assert api(engineer).post(f"/quarantine/{row.public_id}/replay").json == {"outcome": "quarantined"}
