"""Therapy that has gone silent: what the reports of a device over days say that no single one does.

Everything is judged from what was reported, ordered by when it was measured. A field that is missing is not reported:
it neither asserts a finding nor ends one. That a device is not heard at all is `clinical.silence`.
"""

from sc_stim.clinical.therapy_health.history import Day, DeviceHistory, ImpedanceReading, Prescribed
from sc_stim.clinical.therapy_health.judge import Judgement, judge_therapy
from sc_stim.clinical.therapy_health.rules import TherapyRules, shipped_rules
from sc_stim.clinical.therapy_health.runs import Finding

__all__ = [
    "Day", "DeviceHistory", "Finding", "ImpedanceReading", "Judgement", "Prescribed", "TherapyRules",
    "judge_therapy", "shipped_rules",
]  # fmt: skip
