"""The numbers of the pain rule, in one place.

None of them is a published clinical threshold (so: unverified): they were fitted on synthetic diaries,
docs/clinical-validation.md tells what they reach, and MODEL_VERSION on every finding tells which numbers
made it. Published context: an important change on the 0-10 scale is about 2 points or 30 % (PMID 11690728,
n = 2,724), while stable patients range over 2.7 points within a month on average (PMID 25545398), so a fixed
"+2" alerts on most of them.
"""

from __future__ import annotations

MODEL_VERSION = "pain-1"

# The personal baseline: score = level + wander + noise, all variances in units of the personal variance.
WANDER_PERSISTENCE = 0.94  # day-to-day correlation of the slow wander
WANDER_SHARE = 0.45  # of the variance of daily scores; the rest is noise from day to day
LEVEL_DRIFT = 0.0006  # variance the level gains per day
FIRST_LEVEL_SD_NRS = 3.0  # the first score is taken for the level, with this doubt
FREED_LEVEL_SD_NRS = 2.5  # doubt added to the level when it has to be learned again
CLIP_SD = 2.5  # one day, however odd, moves baseline and evidence no further than this

# The personal scale: SD of this patient's daily scores around the baseline.
FIRST_SCALE_NRS = 1.3
FIRST_SCALE_DAYS = 15.0  # reported days the first guess weighs as much as
SCALE_MEMORY_DAYS = 90.0
LEAST_SCALE_NRS = 0.5  # half a step of the scale: someone who always answers 4 is not infinitely exact

# Changes looked for.
STEP_STARTS = 21  # one candidate a day
RAMP_STARTS = 14  # one candidate a week
RAMP_EVERY_DAYS = 7
RAMP_LEAST_DAYS = 21  # shorter ones are steps
LEAST_CHANGE_NRS = 1.0
LEVEL_DAYS = 7  # the level shown is the mean since the onset, at most of these last days
# Log-likelihood ratios (nats) above which a change is flagged.
STEP_UP_NATS = 4.5
DRIFT_UP_NATS = 2.0
STEP_DOWN_NATS = 6.0  # less pain is usually good news: be sure
URGENT_STEP_DOWN_NATS = 3.4  # with sedation or after a refill it may be over-delivery: be early
REFILL_DAYS = 7  # a fall within this many days of a refill is urgent

WARM_UP_REPORTED_DAYS = 14
REFRACTORY_DAYS = 14
# The first days under new settings are not yet the new normal: the baseline is freed after a week and speaks
# again after two. Until it is freed an urgent fall still shows against the old one.
RELEARN_AFTER_THERAPY_DAYS = 7
MUTE_AFTER_THERAPY_DAYS = 14

# Does it last? Mean of these days after the alert against the baseline before it.
CHECK_FROM_DAY = 8  # a flare of ten days is over by then
CHECK_ON_DAY = 11
CHECK_LEAST_REPORTED_DAYS = 2

# No finding is judged again later than this after the day on which it was flagged.
REJUDGED_WITHIN_DAYS = max(CHECK_ON_DAY, REFRACTORY_DAYS)

# Gaps: how often a day is missed after a reported and after a missed day (beta priors as day counts).
MISSED_AFTER_REPORTED = (1.0, 7.0)  # missed, reported
MISSED_AFTER_MISSED = (4.0, 6.0)
RARE_GAP_PROBABILITY = 7.6e-4
LONGEST_SILENCE_DAYS = 10
