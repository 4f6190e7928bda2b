"""95 % intervals of what a cohort showed: how far the figure of another cohort of this size may be from it."""

from collections.abc import Sequence
from math import ceil, floor, sqrt
from typing import Any, Final

import numpy as np

Z95: Final = 1.96
Interval = tuple[float, float]


def of_share(found: int, of: int) -> Interval:
    """Wilson's interval of a share; also where nothing, or all, was found."""
    share, z_squared = found / of, Z95**2
    centre = share + z_squared / (2 * of)
    half = Z95 * sqrt(share * (1 - share) / of + z_squared / (4 * of**2))
    low, high = ((centre + sign * half) / (1 + z_squared / of) for sign in (-1, 1))
    return low if found else 0.0, high if found < of else 1.0


def of_mean(values: Sequence[float] | Any) -> Interval:
    """Of the mean over patients, who differ: normal, with their own spread."""
    known = np.asarray(values, dtype=float)
    half = Z95 * float(known.std(ddof=1)) / sqrt(len(known)) if len(known) > 1 else float("inf")
    return max(0.0, float(known.mean()) - half), float(known.mean()) + half


def of_quantile(values: Sequence[float] | Any, share: float) -> Interval:
    """Of a quantile, by the ranks that hold it in 95 of 100 cohorts; no distribution is assumed."""
    known = np.sort(np.asarray(values, dtype=float))
    half = Z95 * sqrt(len(known) * share * (1 - share))
    first, last = floor(len(known) * share - half) - 1, ceil(len(known) * share + half) - 1
    return float(known[max(first, 0)]), float(known[min(last, len(known) - 1)])
