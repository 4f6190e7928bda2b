"""How often the rules about silent therapy call for nothing: simulated years in which only everyday things happen.

    python -m tests.clinical.therapy_quiet SEED DEVICES

Judges every device on every other day and prints how often a finding began. `docs/clinical-rules.md` tells the result.
"""

import datetime as dt
import sys
from collections import Counter

from sc_stim.clinical.therapy_health import judge_therapy
from simulators.course import Course
from simulators.implants import draw_stimulator
from simulators.scenario_file import StimulatorRole
from tests.clinical.therapy_days import history_of, samples_in
from tests.simulators.builders import BEGIN, create_cohort, create_patient

DAYS, WARM_UP, EVERY = 365, 10, 2


def begun(seed: int, number: int) -> Counter[str]:
    """Findings that began in one year of one device, by name and severity."""
    stimulator = draw_stimulator(StimulatorRole(), seed, number, BEGIN + dt.timedelta(days=DAYS - 5))
    cohort = create_cohort(create_patient(stimulator=stimulator), seed=seed + number, days=DAYS)
    samples = samples_in(Course(cohort.patients[0], cohort).advance(cohort.now), "stimulator")
    found: Counter[str] = Counter()
    standing: set[str] = set()
    for day in range(WARM_UP, DAYS, EVERY):
        judged = judge_therapy(history_of(stimulator, samples, BEGIN + dt.timedelta(days=day)))
        now = {one.name: one for one in judged.findings if one.until is None}
        found.update(f"{name} {one.severity.code}" for name, one in now.items() if name not in standing)
        standing = (standing | now.keys()) - judged.well.keys()
    return found


def main(seed: int, devices: int) -> None:
    total = sum((begun(seed, number) for number in range(devices)), Counter())
    sys.stdout.write(
        f"{devices} device-years, seed {seed}: {dict(total)}, {total.total() / devices:.2f} a device-year\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
