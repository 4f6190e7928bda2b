"""`sc-stim quarantine replay`: what is settled stays so, what was done is kept and written down."""

from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select

from sc_stim import cli
from sc_stim.devices import ingest
from sc_stim.extensions import db
from sc_stim.models import AuditEntry, Quarantine
from sc_stim.workflows.audit import verify
from tests.apps import both_databases, read
from tests.builders import create_clinic, create_quarantine

pytestmark = both_databases


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(cli, "_app", lambda: app)

    def replay_of(*arguments: str) -> Result:
        db.session.commit()  # SQLite has one writer
        return CliRunner().invoke(cli.main, ["quarantine", "replay", *arguments])

    return replay_of


def test_only_what_is_not_settled_is_replayed_and_each_is_in_the_audit_trail(app: Flask, run: Any) -> None:
    clinic = create_clinic()
    fresh = create_quarantine(clinic=clinic)
    again = create_quarantine(clinic=clinic, outcome="quarantined")
    for outcome in ("stored", "duplicate"):
        create_quarantine(clinic=clinic, outcome=outcome)
    create_quarantine(clinic=clinic, reason="no_patient")
    tried = [str(fresh.public_id), str(again.public_id)]
    result = run("--reason", "not_json")
    assert result.exit_code == 0
    assert result.output.split() == [tried[0], "quarantined", tried[1], "quarantined"]
    entries = read(
        select(AuditEntry).where(AuditEntry.action == "quarantine.replay").order_by(AuditEntry.number)
    )
    assert [(row.clinic_id, row.actor, row.subject, row.detail) for row in entries] == [
        (clinic.id, "installation", public_id, {"outcome": "quarantined"}) for public_id in tried
    ]
    broken = [one for one in verify(db.session(), app.config["AUDIT_SEAL_KEY"]) if one.number > 0]
    assert broken == []


def test_a_break_in_the_middle_loses_nothing_that_was_done(
    app: Flask, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = create_clinic()
    first, second = create_quarantine(clinic=clinic).public_id, create_quarantine(clinic=clinic).public_id
    replay = ingest.replay

    def breaks(session: Any, public_ids: Any, at: Any) -> Any:
        if second in public_ids:
            raise ConnectionError("the database went away")
        return replay(session, public_ids, at)

    monkeypatch.setattr(ingest, "replay", breaks)
    assert isinstance(run("--reason", "not_json").exception, ConnectionError)
    assert read(select(Quarantine.public_id).where(Quarantine.outcome == "quarantined")) == [first]
    assert read(select(AuditEntry.subject).where(AuditEntry.action == "quarantine.replay")) == [str(first)]
