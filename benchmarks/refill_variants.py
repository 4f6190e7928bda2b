"""Pumps and patients that are harder than the usual ones, one property at a time, and why each is hard."""

from dataclasses import dataclass

from benchmarks.refill_cohort import Nature, Scenario


@dataclass(frozen=True)
class Variant:
    """Judged from fill `from_fill` on; more than `most_empty` of the visits to an empty pump is a miss."""

    scenario: Scenario
    why: str = ""
    from_fill: int = 3
    most_empty: float = 1e-4


def _flow(nature: Nature, why: str = "", from_fill: int = 3) -> Variant:
    return Variant(Scenario(20, nature=nature), why, from_fill)


def _boluses(nature: Nature, why: str = "", counted: bool = False) -> Variant:
    return Variant(
        Scenario(20, "counted" if counted else "uncounted", nature), why, from_fill=6, most_empty=2e-4
    )


FLOW_VARIANTS: dict[str, Variant] = {
    "as the targets": _flow(Nature()),
    "flow spread SD 2 %": _flow(Nature(ratio_sd=0.02)),
    "flow spread SD 7 %": _flow(
        Nature(ratio_sd=0.07), "pumps far outside of the prior are learned only step by step"
    ),
    "flow drifts 3 % per refill": _flow(Nature(drift_sd=0.03), "twice the drift that the belief allows for"),
    "flow ramps up 1 % per refill": _flow(
        Nature(ramp=0.01), "the belief follows behind a ramp and is a step late"
    ),
    "flow jumps to 1.20 before the 4th refill": _flow(
        Nature(jump_at=4),
        "no residual before the jump can tell of it: the 4th refill finds nearly all of them empty",
        4,
    ),
    "residuals read with twice the error": _flow(
        Nature(syringe_ml=0.4, emptying_ml=1.0), "the belief trusts a reading more than it deserves"
    ),
    "0.5 mL too much read at each residual": _flow(
        Nature(read_too_much_ml=0.5), "a steady misreading looks like a slow pump, and nothing contradicts it"
    ),
    "0.5 mL left behind at each residual": _flow(Nature(read_too_much_ml=-0.5), "it looks like a fast pump"),
    "1 residual in 30 misread by 4 mL": _flow(
        Nature(misread_share=1 / 30), "one wrong residual still moves the belief, though it counts less"
    ),
}
BOLUS_VARIANTS: dict[str, Variant] = {
    "uncounted boluses": _boluses(Nature(), "the spread of a patient's use is known from a few noisy residuals only"),
    "counted boluses": _boluses(
        Nature(), "the spread of a patient's use is known from a few intervals only", counted=True
    ),
    "uncounted boluses, steady use": _boluses(Nature(habit_cv=(0.02, 0.1))),
    "uncounted boluses, use that varies by 35-60 %": _boluses(
        Nature(habit_cv=(0.35, 0.6)), "more than the spread assumed before a patient's own is known"
    ),
    "uncounted boluses, all allowed in 1 interval of 10": _boluses(
        Nature(bursts=0.1), "a habit of two kinds, not one that spreads; the first burst was never seen before"
    ),
    "uncounted boluses, use grows 10 % per refill": _boluses(Nature(growth=0.1), "the habit is taken to have no trend"),
    "counts that miss 1 bolus in 5": _boluses(
        Nature(unseen=0.2), "what the count misses looks like a fast pump; the spread of it is not known", counted=True
    ),
}  # fmt: skip
