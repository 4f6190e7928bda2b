"""A device that is not heard. 'No data' is a finding of its own: it is neither 'therapy off' nor good news."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sc_stim.clinical.alarms import Severity, SilenceRule, shipped_table


class SilenceKind(StrEnum):
    NO_DATA = "no_data"
    NEVER_HEARD = "never_heard"


@dataclass(frozen=True, slots=True)
class Watched:
    """A device whose data are expected every `report_interval` from `watched_since` on (its registration or
    implant).

    `last_measured_at` is the newest measurement by the corrected device clock, `last_received_at` the newest
    arrival of one. `explanted_at` (or any other end of watching): from then on nothing is expected.
    """

    watched_since: datetime
    report_interval: timedelta
    last_measured_at: datetime | None = None
    last_received_at: datetime | None = None
    explanted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SilenceFinding:
    """`since`: the newest that is known of the device, or the start of watching when it was never heard."""

    kind: SilenceKind
    since: datetime
    severity: Severity


def last_known_at(watched: Watched) -> datetime | None:
    """The moment of the newest known state: measured then, and never later than it arrived (a clock may run
    ahead).

    History that arrives late does not count as news of now.
    """
    moments = [at for at in (watched.last_measured_at, watched.last_received_at) if at is not None]
    return min(moments, default=None) if watched.last_measured_at is not None else None


def silent_from(watched: Watched, rule: SilenceRule | None = None) -> datetime:
    """The moment from which the device counts as silent if nothing more is heard of it."""
    rule = rule or shipped_table().silence
    since = max(last_known_at(watched) or watched.watched_since, watched.watched_since)
    return since + rule.intervals.value * watched.report_interval


def silence(watched: Watched, at: datetime, rule: SilenceRule | None = None) -> SilenceFinding | None:
    """Whether the device is silent at `at`. Judge at least once a minute to alert within two intervals and 60
    s.
    """
    rule = rule or shipped_table().silence
    if watched.explanted_at is not None and watched.explanted_at <= at:
        return None
    if not watched.report_interval:
        return None
    if at < silent_from(watched, rule):
        return None
    known_at = last_known_at(watched)
    since = known_at or watched.watched_since
    severity = rule.escalation.to if at - since >= rule.escalation.after else rule.severity
    return SilenceFinding(SilenceKind.NO_DATA if known_at else SilenceKind.NEVER_HEARD, since, severity)
