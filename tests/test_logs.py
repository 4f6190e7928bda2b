"""Logs hold ids, counts and places, never what people said."""

import json

import pytest
import structlog

from sc_stim import logs


def test_an_exception_is_told_by_type_and_place_without_its_message(
    capfd: pytest.CaptureFixture[str],
) -> None:
    logs.configure("INFO")
    try:
        try:
            raise KeyError("Nora Nebel")
        except KeyError as error:
            raise ValueError("nrs of Nora Nebel is 11") from error
    except ValueError:
        structlog.get_logger("test").exception("work_failed", subject=17)
    [line] = capfd.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["subject"], told["level"]) == ("work_failed", 17, "error")
    assert {"ValueError", "KeyError"} <= set(told["exception"])
    assert any("test_logs.py" in place for place in told["exception"])
    assert "Nora" not in line


def test_an_event_without_an_exception_has_none(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO")
    structlog.get_logger("test").info("ingest_connected", lane="live")
    told = json.loads(capfd.readouterr().err)
    assert told["lane"] == "live"
    assert "exception" not in told
