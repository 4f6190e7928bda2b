"""Whether the pump runs since a refill visit, in words."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sc_stim.clinical.after_visit import AfterVisit, PumpWord, after_visit

VISIT = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("telemetry", "newest", "session", "state", "words"),
    [
        (
            True,
            PumpWord("running", VISIT + HOUR),
            None,
            AfterVisit.RUNNING,
            "running on Mon 23 Nov 2026 08:30 UTC",
        ),
        (True, PumpWord("stopped", VISIT + HOUR), None, AfterVisit.NOT_RUNNING, "still not running"),
        (True, PumpWord("minimum_rate", VISIT), None, AfterVisit.NOT_RUNNING, "reported minimum rate"),
        (True, PumpWord("running", VISIT - HOUR), None, AfterVisit.NOT_HEARD, "not yet heard of"),
        (True, PumpWord("stopped", VISIT - HOUR), None, AfterVisit.NOT_HEARD, "not yet heard of"),
        (True, None, None, AfterVisit.NOT_HEARD, "interrogate the pump before the patient leaves"),
        (True, PumpWord("running", VISIT + HOUR), VISIT, AfterVisit.SESSION_OPEN, "was not closed"),
        (True, PumpWord("stopped", VISIT + HOUR), VISIT, AfterVisit.NOT_RUNNING, "still not running"),
        (False, None, None, AfterVisit.NO_TELEMETRY, "this pump reports nothing"),
    ],
)
def test_what_a_pump_said_before_the_visit_says_nothing_about_now(
    telemetry: bool, newest: PumpWord | None, session: datetime | None, state: AfterVisit, words: str
) -> None:
    found, sentence = after_visit(VISIT, telemetry, newest, session)
    assert (found, words in sentence) == (state, True)


def test_a_pump_that_was_left_stopped_is_not_running_until_it_says_so_itself() -> None:
    found, sentence = after_visit(VISIT, False, None, left="stopped")
    assert (found, "the programmer showed the pump stopped" in sentence) == (AfterVisit.NOT_RUNNING, True)
    assert (
        after_visit(VISIT, True, PumpWord("running", VISIT + HOUR), left="stopped")[0] is AfterVisit.RUNNING
    )
    assert after_visit(VISIT, True, None, left="running")[0] is AfterVisit.NOT_HEARD


def test_the_sentence_tells_the_time_of_the_clinic() -> None:
    _, sentence = after_visit(VISIT, True, PumpWord("stopped", VISIT + HOUR), zone=ZoneInfo("Europe/Berlin"))
    assert sentence.endswith(f"{(VISIT + HOUR).astimezone(ZoneInfo('Europe/Berlin')):%H:%M} CET")
