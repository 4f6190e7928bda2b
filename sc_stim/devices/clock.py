"""How far a device's clock is off, learned from its messages without mistaking a queue for a slow clock.

Three clocks: `device_at` (as sent), `received_at` (ours) and `measured_at` (device clock, corrected). The
offset of a message, sent_at minus received_at, is the clock's error minus the delay on the way. Delays are
never negative, so the error is at least the offset: a device ahead of us is certain at once. One that seems
behind may only have waited in a queue; it is believed once some messages agree while the broker's queue is
known to be short.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

import msgspec
from msgspec import Struct

SHORT_QUEUE_S = 5.0  # a queue no longer than this cannot pass for a wrong clock
AGREE_S = 5.0  # offsets this close tell of one clock error, not of a draining queue
AGREEING_MESSAGES = 3
EVIDENCE_SPACING_S = 3.0  # by our clock: a burst of held-back messages counts once
UNCORRECTED_S = 2.0  # smaller errors are as much the network's as the clock's
SUSPECT_LATE_S = 5 * 60.0
FUTURE_TOLERANCE = timedelta(seconds=5)  # by which measured_at may lie after received_at
MAX_AHEAD = timedelta(hours=24)
MAX_BEHIND = timedelta(days=30)
MAX_ITEM_AFTER_SENDING = timedelta(minutes=5)
EARLIEST_AT = datetime(2010, 1, 1, tzinfo=UTC)  # older than any device that could talk to us


class Verdict(StrEnum):
    """What a device's time of an item is worth."""

    OK = "ok"
    CORRECTED = "corrected"
    SUSPECT = "suspect"  # later than clock and queue explain: stored by its own time, so alarms count as late
    IMPOSSIBLE = "impossible"  # quarantine


class ClockEstimate(Struct, frozen=True, omit_defaults=True):
    """What is known of one device's clock. Starts empty; lives as JSON in one row of the database.

    error_s: device minus true time; None before the first message, only a lower bound while not `certain`.
    evidence: (sent_at, received_at) in Unix seconds of the last messages that came through a short queue.
    """

    error_s: float | None = None
    certain: bool = False
    evidence: tuple[tuple[float, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The estimate as a JSON object of some 200 bytes at most."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, stored: dict[str, Any] | None) -> Self:
        """Read what `to_json` gave, None being a device not heard yet; raises msgspec.ValidationError."""
        return msgspec.convert(stored or {}, cls)

    @property
    def correction(self) -> timedelta:
        """What to take off the device's time: nothing while the error is uncertain or too small to matter."""
        if self.error_s is None or not self.certain or abs(self.error_s) < UNCORRECTED_S:
            return timedelta(0)
        return timedelta(seconds=self.error_s)


def observe(
    estimate: ClockEstimate, sent_at: datetime | None, received_at: datetime, queue_delay_s: float | None
) -> ClockEstimate:
    """The estimate after one more message.

    queue_delay_s is how long ingest's own message just waited in the broker; None, not known, counts as long.
    A message without sent_at, or with an impossible one, teaches nothing.
    """
    if sent_at is None or _is_impossible(sent_at - received_at):
        return estimate
    offset_s = (sent_at - received_at).total_seconds()
    if _is_short(queue_delay_s):
        estimate = _with_evidence(estimate, sent_at.timestamp(), received_at.timestamp())
    if estimate.error_s is None or offset_s > estimate.error_s:
        return msgspec.structs.replace(estimate, error_s=offset_s, certain=estimate.certain or offset_s > 0)
    return estimate


def measured_at(estimate: ClockEstimate, device_at: datetime, received_at: datetime) -> datetime:
    """The device's time, corrected; between EARLIEST_AT and shortly after received_at."""
    age = received_at - device_at + estimate.correction
    return received_at - min(max(age, -FUTURE_TOLERANCE), received_at - EARLIEST_AT)


def verdict(
    estimate: ClockEstimate,
    at: datetime,
    sent_at: datetime | None,
    received_at: datetime,
    queue_delay_s: float | None,
) -> Verdict:
    """Judge the time `at` of one item, by the estimate after `observe` saw its message."""
    reference = sent_at or received_at + MAX_AHEAD
    if at < EARLIEST_AT or at - reference > MAX_ITEM_AFTER_SENDING:
        return Verdict.IMPOSSIBLE
    if sent_at is not None:
        offset = sent_at - received_at
        if offset > MAX_AHEAD or (offset < -MAX_BEHIND and _is_short(queue_delay_s)):
            return Verdict.IMPOSSIBLE
        if _unexplained_s(estimate, offset, queue_delay_s) > SUSPECT_LATE_S:
            return Verdict.SUSPECT
    return Verdict.CORRECTED if estimate.correction else Verdict.OK


def _is_short(queue_delay_s: float | None) -> bool:
    return queue_delay_s is not None and queue_delay_s <= SHORT_QUEUE_S


def _is_impossible(offset: timedelta) -> bool:
    return not -MAX_BEHIND <= offset <= MAX_AHEAD


def _unexplained_s(estimate: ClockEstimate, offset: timedelta, queue_delay_s: float | None) -> float:
    """By how much a message is later than the known error of the clock and the known queue make it."""
    known_error_s = estimate.error_s if estimate.certain and estimate.error_s is not None else 0.0
    return known_error_s - offset.total_seconds() - (queue_delay_s or 0.0)


def _with_evidence(estimate: ClockEstimate, sent_s: float, received_s: float) -> ClockEstimate:
    """Add a message that did not wait in the broker; settle on the clock's error when the last ones agree."""
    for earlier_sent_s, earlier_received_s in estimate.evidence:
        sent_again = sent_s == earlier_sent_s
        if sent_again or abs(received_s - earlier_received_s) < EVIDENCE_SPACING_S:
            return estimate
    evidence = (*estimate.evidence, (sent_s, received_s))[-AGREEING_MESSAGES:]
    estimate = msgspec.structs.replace(estimate, evidence=evidence)
    offsets = [sent - received for sent, received in evidence]
    if len(evidence) < AGREEING_MESSAGES or max(offsets) - min(offsets) > AGREE_S:
        return estimate
    least_delayed = max(offsets)
    is_news = estimate.error_s is None or least_delayed < estimate.error_s - AGREE_S
    error_s = least_delayed if is_news else estimate.error_s
    return msgspec.structs.replace(estimate, error_s=error_s, certain=True)
