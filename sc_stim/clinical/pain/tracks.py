"""What the pain rule remembers, for any number of patients at once: one column each."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sc_stim.clinical.pain import model

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Candidates = NDArray[np.float32]

NEVER = -1000  # an age before every age
NO_ALERT, STEP_UP, DRIFT_UP, STEP_DOWN, URGENT_STEP_DOWN = range(5)

# Rows of a candidate array, see `changes.py`.
LEVEL_GAP, WANDER_GAP, INFORMATION, EVIDENCE, BEFORE = range(5)


@dataclass
class Tracks:
    """State of `n` patients. `age` counts days from the first reported score (0) and is shared by all.

    Every array ends in the patient axis; `_at`, `_until` and `_onset` are ages. Variances of the baseline are
    in units of `variance_nrs2`: they depend on which days were reported, not on how noisy the patient is.
    """

    age: int
    # baseline
    level_nrs: Floats
    wander_nrs: Floats
    level_variance: Floats
    level_wander_covariance: Floats
    wander_variance: Floats
    variance_nrs2: Floats  # personal scale, squared
    variance_days: Floats  # reported days it rests on
    # changes
    steps: Candidates  # (5, STEP_STARTS, n)
    ramps: Candidates  # (5, RAMP_STARTS, n)
    recent_nrs: Floats  # (STEP_STARTS, n), the last days in a ring, NaN where not reported
    reported_days: Ints
    freed_at: Ints  # candidates born up to this age are void
    relearn_at: Ints
    quiet_until: Ints
    # the alert that is waiting for its persistence check
    alert_kind: Ints
    alert_at: Ints
    alert_onset: Ints
    alert_baseline_nrs: Floats
    after_sum_nrs: Floats
    after_days: Ints
    # gaps
    gap_days: Ints
    gap_probability: Floats
    gap_flagged: Bools
    reported_after_reported: Floats
    missed_after_reported: Floats
    reported_after_missed: Floats
    missed_after_missed: Floats

    def copy(self) -> Tracks:
        return Tracks(self.age, *(array.copy() for array in self.arrays().values()))

    def column(self, patient: int) -> Tracks:
        """One patient's state, cut loose from the others."""
        return Tracks(
            self.age, *(array[..., patient : patient + 1].copy() for array in self.arrays().values())
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in ARRAY_NAMES}


ARRAY_NAMES = tuple(field.name for field in fields(Tracks))[1:]


def fresh(n: int) -> Tracks:
    """`n` patients of whom nothing is known yet."""

    def floats(value: float) -> Floats:
        return np.full(n, value)

    def ints(value: int) -> Ints:
        return np.full(n, value, dtype=np.int64)

    variance = model.FIRST_SCALE_NRS**2
    return Tracks(
        age=-1,
        level_nrs=floats(0.0),
        wander_nrs=floats(0.0),
        level_variance=floats(model.FIRST_LEVEL_SD_NRS**2 / variance),
        level_wander_covariance=floats(0.0),
        wander_variance=floats(model.WANDER_SHARE),
        variance_nrs2=floats(variance),
        variance_days=floats(model.FIRST_SCALE_DAYS),
        steps=np.zeros((5, model.STEP_STARTS, n), dtype=np.float32),
        ramps=np.zeros((5, model.RAMP_STARTS, n), dtype=np.float32),
        recent_nrs=np.full((model.STEP_STARTS, n), np.nan),
        reported_days=ints(0),
        freed_at=ints(-1),
        relearn_at=ints(NEVER),
        quiet_until=ints(0),
        alert_kind=ints(NO_ALERT),
        alert_at=ints(NEVER),
        alert_onset=ints(NEVER),
        alert_baseline_nrs=floats(0.0),
        after_sum_nrs=floats(0.0),
        after_days=ints(0),
        gap_days=ints(0),
        gap_probability=floats(1.0),
        gap_flagged=np.zeros(n, dtype=np.bool_),
        missed_after_reported=floats(model.MISSED_AFTER_REPORTED[0]),
        reported_after_reported=floats(model.MISSED_AFTER_REPORTED[1]),
        missed_after_missed=floats(model.MISSED_AFTER_MISSED[0]),
        reported_after_missed=floats(model.MISSED_AFTER_MISSED[1]),
    )


_ONE_PATIENT = fresh(1).arrays()  # only for the shapes


def to_json(tracks: Tracks) -> dict[str, Any]:
    """One patient's tracks as JSON values, exact; candidates as base64 of little-endian float32."""
    values = {name: _encoded(array) for name, array in tracks.arrays().items()}
    return {"age": tracks.age, **values}


def from_json(values: Mapping[str, Any]) -> Tracks:
    """Back from `to_json`; ValueError names missing or unknown fields."""
    if wrong := values.keys() ^ {"age", *ARRAY_NAMES}:
        raise ValueError(
            f"stored pain state has missing or unknown fields {sorted(wrong)}: rebuild it from the scores"
        )
    return Tracks(values["age"], *(_decoded(values[name], like) for name, like in _ONE_PATIENT.items()))


def _encoded(array: NDArray[Any]) -> Any:
    if array.dtype == np.float32:
        return base64.b64encode(array.astype("<f4").tobytes()).decode()
    if array.ndim == 1:
        return array[0].item()
    return [None if np.isnan(value) else value for value in array[:, 0].tolist()]


def _decoded(value: Any, like: NDArray[Any]) -> NDArray[Any]:
    if like.dtype == np.float32:
        return np.frombuffer(base64.b64decode(value), dtype="<f4").astype(np.float32).reshape(like.shape)
    return np.array(value, dtype=like.dtype).reshape(like.shape)
