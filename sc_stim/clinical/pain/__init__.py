"""Pain change: has this patient's pain risen, drifted, fallen, or have the scores stopped?

`observe` takes one closed local day of one patient, `replay` a diary, `rebuild` many diaries at once.
"""

from sc_stim.clinical.pain.cohort import Rebuilt, rebuild
from sc_stim.clinical.pain.model import MODEL_VERSION
from sc_stim.clinical.pain.patient import Diary, Finding, PainState, daily_means, latest, observe, replay

__all__ = [
    "MODEL_VERSION",
    "Diary",
    "Finding",
    "PainState",
    "Rebuilt",
    "daily_means",
    "latest",
    "observe",
    "rebuild",
    "replay",
]
