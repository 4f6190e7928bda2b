"""The numbers of the pain rule: data/pain.json, where each stands with what it means.

None of them is a published clinical threshold (so: unverified): they were fitted on synthetic diaries,
docs/clinical-validation.md tells what they reach, and MODEL_VERSION on every finding tells which numbers
made it. Published context: an important change on the 0-10 scale is about 2 points or 30 % (PMID 11690728,
n = 2,724), while stable patients range over 2.7 points within a month on average (PMID 25545398), so a fixed
"+2" alerts on most of them.
"""

from __future__ import annotations

from sc_stim.clinical import reference

_DOCUMENT = reference.load("pain.json")
_VALUES = {name: reference.figure(entry).value for name, entry in _DOCUMENT["figures"].items()}


def _whole(name: str) -> int:
    return int(_VALUES[name])


MODEL_VERSION: str = _DOCUMENT["version"]

# The personal baseline: score = level + wander + noise, all variances in units of the personal variance.
WANDER_PERSISTENCE = _VALUES["wander_persistence"]
WANDER_SHARE = _VALUES["wander_share"]
LEVEL_DRIFT = _VALUES["level_drift"]
FIRST_LEVEL_SD_NRS = _VALUES["first_level_sd_nrs"]
FREED_LEVEL_SD_NRS = _VALUES["freed_level_sd_nrs"]
CLIP_SD = _VALUES["clip_sd"]

# The personal scale: SD of this patient's daily scores around the baseline.
FIRST_SCALE_NRS = _VALUES["first_scale_nrs"]
FIRST_SCALE_DAYS = _VALUES["first_scale_days"]
SCALE_MEMORY_DAYS = _VALUES["scale_memory_days"]
LEAST_SCALE_NRS = _VALUES["least_scale_nrs"]

# Changes looked for; thresholds are log-likelihood ratios.
STEP_STARTS = _whole("step_starts")
RAMP_STARTS = _whole("ramp_starts")
RAMP_EVERY_DAYS = _whole("ramp_every_days")
RAMP_LEAST_DAYS = _whole("ramp_least_days")
LEAST_CHANGE_NRS = _VALUES["least_change_nrs"]
LEVEL_DAYS = _whole("level_days")
STEP_UP_NATS = _VALUES["step_up_nats"]
DRIFT_UP_NATS = _VALUES["drift_up_nats"]
STEP_DOWN_NATS = _VALUES["step_down_nats"]
URGENT_STEP_DOWN_NATS = _VALUES["urgent_step_down_nats"]
REFILL_DAYS = _whole("refill_days")

WARM_UP_REPORTED_DAYS = _whole("warm_up_reported_days")
REFRACTORY_DAYS = _whole("refractory_days")
RELEARN_AFTER_THERAPY_DAYS = _whole("relearn_after_therapy_days")
MUTE_AFTER_THERAPY_DAYS = _whole("mute_after_therapy_days")

# Does it last?
CHECK_FROM_DAY = _whole("check_from_day")
CHECK_ON_DAY = _whole("check_on_day")
CHECK_LEAST_REPORTED_DAYS = _whole("check_least_reported_days")

# No finding is judged again later than this after the day on which it was flagged.
REJUDGED_WITHIN_DAYS = max(CHECK_ON_DAY, REFRACTORY_DAYS)

# Gaps: how often a day is missed after a reported and after a missed day (beta priors as counts: missed, reported).
MISSED_AFTER_REPORTED = (_VALUES["missed_after_reported_missed"], _VALUES["missed_after_reported_reported"])
MISSED_AFTER_MISSED = (_VALUES["missed_after_missed_missed"], _VALUES["missed_after_missed_reported"])
RARE_GAP_PROBABILITY = _VALUES["rare_gap_probability"]
LONGEST_SILENCE_DAYS = _whole("longest_silence_days")
