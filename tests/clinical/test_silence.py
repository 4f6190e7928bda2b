from datetime import UTC, datetime, timedelta

import pytest

from sc_stim.clinical.alarms import Severity
from sc_stim.clinical.silence import SilenceKind, Watched, silence, silent_from

START = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def watched(**known: datetime) -> Watched:
    return Watched(watched_since=START, report_interval=HOUR, **known)


def test_a_device_is_silent_after_two_expected_intervals_without_data() -> None:
    device = watched(last_measured_at=START + HOUR, last_received_at=START + HOUR)
    assert silence(device, START + 3 * HOUR - timedelta(seconds=1)) is None
    finding = silence(device, START + 3 * HOUR)
    assert finding is not None
    assert (finding.kind, finding.since, finding.severity) == (
        SilenceKind.NO_DATA,
        START + HOUR,
        Severity.LOW,
    )


def test_an_alert_within_two_intervals_and_a_minute_needs_a_look_every_minute() -> None:
    device = watched(last_measured_at=START, last_received_at=START)
    assert silent_from(device) + timedelta(seconds=60) <= START + 2 * HOUR + timedelta(seconds=60)


def test_a_day_of_silence_is_worse() -> None:
    finding = silence(watched(last_measured_at=START, last_received_at=START), START + 24 * HOUR)
    assert finding is not None
    assert finding.severity is Severity.MEDIUM


def test_a_device_never_heard_is_silent_since_it_is_watched() -> None:
    assert silence(watched(), START + HOUR) is None
    finding = silence(watched(), START + 2 * HOUR)
    assert finding is not None
    assert (finding.kind, finding.since) == (SilenceKind.NEVER_HEARD, START)


def test_a_message_without_any_measurement_is_not_data() -> None:
    finding = silence(watched(last_received_at=START + 2 * HOUR), START + 2 * HOUR)
    assert finding is not None
    assert finding.kind is SilenceKind.NEVER_HEARD


def test_history_that_arrives_late_is_no_news_of_now() -> None:
    device = watched(last_measured_at=START, last_received_at=START + 5 * HOUR)
    assert silence(device, START + 5 * HOUR) is not None


def test_a_clock_that_runs_ahead_does_not_hide_silence() -> None:
    device = watched(last_measured_at=START + 48 * HOUR, last_received_at=START + HOUR)
    assert silence(device, START + 3 * HOUR) is not None


def test_data_from_before_the_watch_give_a_device_its_two_intervals() -> None:
    old = START - timedelta(days=30)
    device = watched(last_measured_at=old, last_received_at=old)
    assert silence(device, START + HOUR) is None
    assert silence(device, START + 2 * HOUR) is not None


@pytest.mark.parametrize(("explanted_at", "silent"), [(START, False), (START + 10 * HOUR, True)])
def test_an_explanted_device_is_not_judged(explanted_at: datetime, silent: bool) -> None:
    assert (silence(watched(explanted_at=explanted_at), START + 5 * HOUR) is not None) is silent
