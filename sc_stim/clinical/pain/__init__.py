"""Pain change: has this patient's pain risen, drifted, fallen, or have the scores stopped?

`observe` takes one closed local day of one patient, `replay` a diary, `rebuild` many diaries at once.
"""

from sc_stim.clinical.pain.cohort import Rebuilt, rebuild
from sc_stim.clinical.pain.model import (
    CHECK_ON_DAY,
    MODEL_VERSION,
    REFILL_DAYS,
    REFRACTORY_DAYS,
    REJUDGED_WITHIN_DAYS,
)
from sc_stim.clinical.pain.patient import (
    Diary,
    Finding,
    PainState,
    daily_means,
    latest,
    observe,
    replay,
    still_holds,
    usual_band,
)

__all__ = [
    "CHECK_ON_DAY",
    "MODEL_VERSION",
    "REFILL_DAYS",
    "REFRACTORY_DAYS",
    "REJUDGED_WITHIN_DAYS",
    "Diary",
    "Finding",
    "PainState",
    "Rebuilt",
    "daily_means",
    "latest",
    "observe",
    "rebuild",
    "replay",
    "still_holds",
    "usual_band",
]
