"""Diaries that are harder than the usual ones, one kind of noise at a time, and why each is hard."""

from benchmarks.diaries import USUAL, Noise

# what is turned up -> (noise, what it does to the rule)
VARIANTS: dict[str, tuple[Noise, str]] = {
    "as the targets": (USUAL, ""),
    "no wander": (Noise(wander_share=(0.0, 0.0)), "the rule expects wander and so waits longer than it must"),
    "wander 80 % of the variance": (
        Noise(wander_share=(0.8, 0.8)),
        "a slow wave of ordinary size looks like a change for weeks",
    ),
    "wander that turns within days": (
        Noise(wander_persistence=(0.7, 0.9)),
        "a wave shorter than the rule's own still lasts long enough to look like a step",
    ),
    "level without a home, 2 points in a year": (
        Noise(random_walk_nrs=2.0),
        "such a drift is real and is nobody's event: the alerts counted as unexplained are true to the scores",
    ),
    "a spike every 3 weeks": (Noise(spikes_per_day=(0.02, 0.07)), "spikes widen the personal scale"),
    "heavy tails (Student t, 3)": (Noise(tail_df=3.0), "clipping holds single days back, not two in a row"),
    "weekends 1 point worse": (Noise(weekly_nrs=1.0), "the rule knows no weekdays"),
    "noise differs between months, twofold": (
        Noise(restless=0.7),
        "the personal scale remembers 90 reported days and lags behind a noisy month",
    ),
    "noisy patients (SD 1.6)": (Noise(sd_median=1.6), "steps of 2 points are then 1.25 SD"),
    "calm patients (SD 0.7)": (Noise(sd_median=0.7), "whole numbers are coarser than the noise"),
    "44 % of days reported": (Noise(reporting_rate=(0.44, 0.44)), "half of the evidence is not there"),
    "44 %, in long gaps": (
        Noise(reporting_rate=(0.44, 0.44), missing_again=(0.85, 0.9)),
        "nothing is said while nothing is reported; gaps of weeks are usual and are flagged as silence",
    ),
    "92 % of days reported": (Noise(reporting_rate=(0.92, 0.92)), ""),
    "near the ceiling": (Noise(mean_nrs=(6.5, 8.0)), "scores stop at 10, so a step shows in part"),
    "near the floor": (Noise(mean_nrs=(0.5, 2.0)), "scores stop at 0: spread is hidden until pain comes"),
    "one whole number a day": (Noise(entries=(1, 1)), "rounding adds noise that means over entries take away"),
    "steps that take 10 days": (Noise(rising_days=10), "on the first days there is little to see"),
    "steps that overshoot by half": (Noise(overshoot=0.5), ""),
}  # fmt: skip
