"""What could not be taken: shown without harm, tried once more one by one or all of a reason."""

import csv
import io

import pytest

from sc_stim.extensions import db
from sc_stim.models import AuditEntry, PumpSample, Quarantine
from sc_stim.web.quarantine import MOST_SHOWN_BYTES, Payload
from tests import builders
from tests.builders import AT


@pytest.fixture
def pump(app):
    return builders.create_pump(serial="SN7")


@pytest.fixture
def engineer(pump, visit):
    visitor = visit(builders.create_user(clinic=pump.patient.clinic, role="engineer"))
    visitor.page("/quarantine")
    return visitor


def kept(pump, **values):
    return builders.create_quarantine(device=pump, **values)


def replayable(pump, seq):
    """A message that can be taken now."""
    at = AT.isoformat()
    payload = f'{{"epoch":"e","sent_at":"{at}","samples":[{{"seq":{seq},"at":"{at}","reservoir_ml":7.5}}]}}'
    topic = f"scs/v1/{str(pump.public_id)[-1]}/{pump.public_id}/up/telemetry"
    return kept(pump, payload=payload.encode(), topic=topic, reason="no_patient")


def test_messages_are_listed_by_reason_and_device(pump, engineer):
    other = builders.create_pump(patient=pump.patient)
    kept(pump, reason="not_json")
    kept(pump, reason="bad_field", field="reservoir_ml")
    kept(other, reason="bad_field")
    kept(pump, reason="not_json", outcome="stored", replayed_at=AT)
    kept(builders.create_pump(), reason="strange")

    page = engineer.page("/quarantine")
    assert len(page.texts("tr")) == 4
    assert page.text.index("2 Bad field") < page.text.index("1 Not JSON")
    assert "Strange" not in page.text
    assert len(engineer.page("/quarantine?reason=bad_field").texts("tr")) == 3
    assert len(engineer.page(f"/quarantine?reason=bad_field&device={pump.public_id}").texts("tr")) == 2
    assert "Taken" in engineer.page("/quarantine?show=settled").texts("tr")[1]
    for wrong in ("show=no", "device=no", "page=0", f"device={builders.create_pump().public_id}"):
        engineer.page(f"/quarantine?{wrong}", 404)


def test_an_empty_quarantine_is_good_news(engineer):
    assert "every message could be taken" in engineer.page("/quarantine").text


def test_the_list_goes_on_on_the_next_page(pump, engineer, monkeypatch):
    monkeypatch.setattr("sc_stim.web.quarantine.PAGE_SIZE", 2)
    for _ in range(3):
        kept(pump)

    assert len(engineer.page("/quarantine").texts("tr")) == 3
    assert len(engineer.page("/quarantine?page=2").texts("tr")) == 2


def test_a_hostile_payload_is_shown_without_harm(pump, engineer):
    row = kept(pump, payload=b'<script>alert(1)</script>\x07\xe2\x80\xae"', detail="<b>not JSON</b>")

    page = engineer.page(f"/quarantine/{row.public_id}")

    assert page.texts("pre") == ['<script>alert(1)</script>\\u0007\\u202e"']
    assert "<b>not JSON</b>" in page.text
    assert db.session.query(AuditEntry).filter_by(action="quarantine.view").one().subject == str(
        row.public_id
    )


def test_what_is_no_text_is_shown_as_hexadecimal():
    payload = Payload.of(bytes(range(250, 256)) * 3)

    assert payload.text == "0000  fa fb fc fd fe ff fa fb fc fd fe ff fa fb fc fd\n0010  fe ff"
    assert not payload.is_text


@pytest.mark.parametrize("byte", [b"a", b"\xff"])
def test_a_long_payload_is_cut(byte):
    short, long = Payload.of(byte * MOST_SHOWN_BYTES), Payload.of(byte * (MOST_SHOWN_BYTES + 1))

    assert (short.cut, long.cut) == (False, True)
    assert short.text == long.text


def test_one_message_is_tried_again_and_the_result_is_told(pump, engineer):
    good, bad = replayable(pump, 1), kept(pump)
    for row in (good, bad):
        engineer.page(f"/quarantine/{row.public_id}")

    assert "Still refused." in engineer.done(f"/quarantine/{bad.public_id}/replay").text
    page = engineer.done(f"/quarantine/{good.public_id}/replay")

    assert "Taken." in page.text
    assert "Try it again" not in page.text
    assert db.session.query(PumpSample.reservoir_ml).all() == [(7.5,)]


def test_all_of_a_reason_are_tried_some_at_a_time_each_once(pump, engineer, monkeypatch):
    monkeypatch.setattr("sc_stim.web.quarantine.REPLAYED_AT_ONCE", 2)
    for seq in range(4):
        replayable(pump, seq)
    kept(pump, reason="no_patient")
    kept(pump, reason="not_json")
    theirs = builders.create_quarantine(reason="no_patient")

    page = engineer.done("/quarantine/replay", reason="no_patient")
    assert "2 of 5 tried 2 taken" in page.within("progress")
    rounds = 1
    while "Go on" in page.within("progress"):
        begun = next(one.get("value") for one in page.all("input") if one.get("name") == "begun")
        page = engineer.done("/quarantine/replay", reason="no_patient", begun=begun)
        rounds += 1

    assert rounds == 3
    assert "5 of 5 tried 4 taken, 0 was there already, 1 still refused." in page.within("progress")
    assert "All were tried." in page.within("progress")
    assert db.session.query(PumpSample).count() == 4
    assert db.session.query(AuditEntry).filter_by(action="quarantine.replay").count() == 5
    untouched = db.session.query(Quarantine).filter(Quarantine.replayed_at.is_(None))
    assert {row.reason for row in untouched} == {"not_json", "no_patient"}
    assert theirs.replayed_at is None


def test_the_list_as_a_file_holds_no_payload(pump, engineer):
    kept(pump, payload=b"secret", detail="=1+1")

    text = engineer.file("/quarantine.csv?reason=not_json").text

    [row] = csv.DictReader(io.StringIO(text))
    assert (row["serial"], row["reason"], row["detail"]) == ("SN7", "not_json", "'=1+1")
    assert "secret" not in text


def test_another_clinics_message_is_not_there(engineer):
    row = builders.create_quarantine()

    engineer.page(f"/quarantine/{row.public_id}", 404)
    assert engineer.post(f"/quarantine/{row.public_id}/replay").status_code == 404
    assert row.replayed_at is None
