"""The form of a refill visit: what it starts from, and what people typed into it as `workflows.refilling` takes it."""

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from sc_stim.clinical.drugs import UnknownDrug, shipped_formulary
from sc_stim.clinical.pattern import mean_ml_per_day
from sc_stim.clinical.pump_record import PatternStep
from sc_stim.clinical.refill_checklist import DONE, SECOND_PERSON, UNSURE, Step, shipped_checklist
from sc_stim.i18n import _, _lazy
from sc_stim.models import Device, DeviceSetting, Fill
from sc_stim.web.forms import Form
from sc_stim.web.words import number
from sc_stim.workflows.refusals import FieldRefused

MOST_ML: Final = 100
MOST_ML_PER_DAY: Final = 100
MOST_BOLUS_ML: Final = 10
MOST_BOLUSES: Final = 288
LONGEST_LOCKOUT_MIN: Final = 7 * 1440
LONGEST_NOTE: Final = 10_000
MOST_DRUGS: Final = 10
MORE_ROWS: Final = 2  # of drugs, to open where one is not enough
STATES: Final = {
    "running": _lazy("Running"), "stopped": _lazy("Stopped"), "stalled": _lazy("Stalled"), "mri": _lazy("In MRI mode"),
    "minimum_rate": _lazy("Minimum rate"),
}  # fmt: skip
MOST_STEPS: Final = 48
USUAL_STEPS: Final = 4  # rows to begin a pattern with
PRESCRIBED: Final = ("flow_ml_per_day", "bolus_ml", "max_boluses_per_day", "lockout_min")

# Where the form shows what is wrong with a value, and what the field is called.
_PLACES: Final = {
    "at": ("at", _lazy("The time of the visit")),
    "aspirated_ml": ("aspirated_ml", _lazy("The aspirated volume")),
    "filled_ml": ("filled_ml", _lazy("The filled volume")),
    "measured_after_ml": ("measured_after_ml", _lazy("The volume measured after filling")),
    "drugs": ("drug_1_name", _lazy("The drugs")),
    "checklist": ("checklist", ""),
    "flow_ml_per_day": ("flow_ml_per_day", _lazy("The flow")),
    "pattern": ("pattern_1_from", _lazy("The pattern")),
    "bolus_ml": ("bolus_ml", _lazy("The bolus")),
    "max_boluses_per_day": ("max_boluses_per_day", _lazy("Boluses per day")),
    "bridge.volume_ml": ("bridge_volume_ml", _lazy("The bridge bolus")),
    "bridge.until": ("bridge_until", _lazy("The end of the bridge bolus")),
}
# What the API asks for by the name of a field, in the words of the form.
_IN_WORDS: Final = {
    "send rate_confirmed if this is meant": "tick “This rate is meant” if it is",
    "bolus_ml and max_boluses_per_day go together": "the bolus and how many a day go together",
    "dead_space_ml": "the dead space of the tubing",
    "but flow_ml_per_day is": "but the flow is",
}


def steps() -> list[Step]:
    """Those that who fills answers; the second person's answer is the confirmation."""
    return [step for step in shipped_checklist() if step.name != SECOND_PERSON]


def new(pump: Device, last: Fill | None, setting: DeviceSetting | None, local: dt.datetime) -> Form:
    """Before the needle goes in. local: now, on the clinic's clock; last: the newest fill."""
    suggested_ml = last.filled_ml if last else pump.reservoir_ml
    start = {
        "at": _minute(local),
        "filled_ml": _said(suggested_ml),
        **_drug_fields(last.drugs if last else []),
    }
    return Form(start | _prescribed(setting) | _pattern_fields(setting) | {"key": str(uuid.uuid4())})


def correcting(fill: Fill, zone: ZoneInfo) -> Form:
    """Everything as it was typed the first time."""
    programmed, bridge = fill.programmed or {}, fill.bridge or {}
    volumes = {
        name: _said(getattr(fill, name)) for name in ("aspirated_ml", "filled_ml", "measured_after_ml")
    }
    start = volumes | _drug_fields(fill.drugs) | _answer_fields(fill.checklist or {})
    start |= {
        "key": str(uuid.uuid4()),
        "at": _minute(fill.at.astimezone(zone)),
        "drug_lot": fill.drug_lot or "",
        "drug_expires_on": fill.drug_expires_on.isoformat() if fill.drug_expires_on else "",
        "programmed_flow_ml_per_day": _said(programmed.get("flow_ml_per_day")),
        "programmed_bolus_ml": _said(programmed.get("bolus_ml")),
        "programmed_state": programmed.get("state") or "",
        "bridge_volume_ml": _said(bridge.get("volume_ml")),
        "bridge_until": _minute(dt.datetime.fromisoformat(bridge["until"]).astimezone(zone))
        if bridge
        else "",
        "note": fill.note or "",
    }
    return Form(start)


def read(form: Form, zone: ZoneInfo, wrong: Fill | None = None) -> dict[str, Any]:
    """The values of a fill, to be used where the form has no errors; `wrong` is the fill that is corrected."""
    values = {
        "at": _moment(form, zone, wrong),
        **read_volumes(form),
        "drugs": read_drugs(form),
        "drug_lot": form.text("drug_lot", _("The lot"), most=40),
        "drug_expires_on": form.day("drug_expires_on", _("The expiry date")),
        "checklist": read_answers(form),
        "programmed": _programmed(form),
        "note": form.text("note", _("The note"), most=LONGEST_NOTE),
    }
    bridge = _bridge(form, zone)
    return values | ({"bridge": bridge} if bridge else {})


def read_volumes(form: Form, *, filled: bool = True) -> dict[str, float | None]:
    """In mL; None where nothing was measured. filled: something has to have been filled in."""

    def volume(field: str, name: str, *, needed: bool = False) -> float | None:
        return form.number(field, name, unit="mL", least=0, most=MOST_ML, needed=needed)

    return {
        "aspirated_ml": volume("aspirated_ml", _("The aspirated volume")),
        "filled_ml": volume("filled_ml", _("The filled volume"), needed=filled),
        "measured_after_ml": volume("measured_after_ml", _("The volume measured after filling")),
    }


def read_drugs(form: Form) -> list[dict[str, Any]]:
    """The rows in which something was typed; at least one is needed."""
    return [_drug(form, row) for row in _used_rows(form) or [1]]


def read_answers(form: Form) -> dict[str, str]:
    """By step; what was ticked as unsure is unsure, whatever else was ticked."""
    answers = {step.name: DONE for step in steps() if form.checked(f"step_{step.name}")}
    return answers | {step.name: UNSURE for step in steps() if form.checked(f"unsure_{step.name}")}


def read_prescription(form: Form, in_force: DeviceSetting | None) -> dict[str, Any] | None:
    """What is prescribed with the visit; None where the form says what is in force already."""
    given = {
        "flow_ml_per_day": form.number(
            "flow_ml_per_day", _("The flow"), unit="mL/day", least=0, most=MOST_ML_PER_DAY
        ),
        "bolus_ml": form.number("bolus_ml", _("The bolus"), unit="mL", least=0, most=MOST_BOLUS_ML),
        "max_boluses_per_day": form.whole(
            "max_boluses_per_day", _("Boluses per day"), least=0, most=MOST_BOLUSES
        ),
        "lockout_min": form.whole(
            "lockout_min", _("The time between boluses"), least=0, most=LONGEST_LOCKOUT_MIN
        ),
    }
    before = {name: _as_shown(in_force, name) for name in PRESCRIBED}
    pattern, pattern_before = _read_pattern(form), _pattern_shown(in_force)
    if given == before and pattern == pattern_before:
        return None
    if form["setting"] != (str(in_force.public_id) if in_force else ""):
        form.refuse(
            "flow_ml_per_day",
            _(
                "Somebody has prescribed since you opened this form: look at the settings again, then send it."
            ),
        )
    if pattern:
        given["pattern"] = pattern
        only_steps = given["flow_ml_per_day"] == before["flow_ml_per_day"] and pattern != pattern_before
        if only_steps and pattern[0]["from"] == "00:00":
            given["flow_ml_per_day"] = None  # it is computed from the steps
    return given | {"rate_confirmed": form.checked("rate_confirmed")}


def refuse(form: Form, refused: FieldRefused) -> None:
    """Say beside the field what the record says against a value."""
    field, name = _PLACES.get(refused.field, ("at", refused.field))
    reason = refused.reason
    for asked, words in _IN_WORDS.items():
        reason = reason.replace(asked, words)
    form.refuse(field, f"{name} {reason}.".strip())


def mean_of_steps(form: Form) -> float | None:
    """The flow that the steps typed so far come to; None where there are none, or none from midnight."""
    steps = [
        PatternStep(since=step["from"], flow_ml_per_day=step["flow_ml_per_day"])
        for step in _read_pattern(form)
    ]
    return mean_ml_per_day(steps) if steps and steps[0].since == "00:00" else None


def step_rows(form: Form) -> range:
    """The rows of a pattern to show: those that are filled, and some to go on."""
    return range(1, min(max(USUAL_STEPS, max(_used_steps(form), default=0) + MORE_ROWS), MOST_STEPS) + 1)


def drug_rows(form: Form) -> tuple[range, range]:
    """The rows to show, those that are filled, and more to open."""
    used = max(_used_rows(form), default=1)
    return range(1, used + 1), range(used + 1, min(used + MORE_ROWS, MOST_DRUGS) + 1)


def lasts_days(
    filled_ml: float | None, flow_ml_per_day: float | None, boluses_ml_per_day: float
) -> float | None:
    """How long so much lasts at this rate with every allowed bolus; None where it cannot be said."""
    taken = (flow_ml_per_day or 0) + boluses_ml_per_day
    return filled_ml / taken if filled_ml and flow_ml_per_day and taken > 0 else None


def _used_rows(form: Form) -> list[int]:
    return [
        row for row in range(1, MOST_DRUGS + 1) if form[f"drug_{row}_name"] or form[f"drug_{row}_mg_per_ml"]
    ]


def _used_steps(form: Form) -> list[int]:
    rows = range(1, MOST_STEPS + 1)
    return [row for row in rows if form[f"pattern_{row}_from"] or form[f"pattern_{row}_ml_per_day"]]


def _read_pattern(form: Form) -> list[dict[str, Any]]:
    """The steps over the day in which something was typed, in the order of the rows; none is a constant flow."""
    return [step for row in _used_steps(form) if (step := _step(form, row))]


def _step(form: Form, row: int) -> dict[str, Any] | None:
    since = form.time(f"pattern_{row}_from", _("The beginning of step %(n)s", n=row), needed=True)
    flow = form.number(
        f"pattern_{row}_ml_per_day",
        _("The flow of step %(n)s", n=row),
        unit="mL/day",
        least=0,
        most=MOST_ML_PER_DAY,
        needed=True,
    )
    return None if since is None or flow is None else {"from": f"{since:%H:%M}", "flow_ml_per_day": flow}


def _pattern_shown(setting: DeviceSetting | None) -> list[dict[str, Any]]:
    """The steps in force, rounded as the form shows them."""
    steps = setting.pattern if setting and setting.pattern else []
    return [
        {"from": step["from"], "flow_ml_per_day": float(number(step["flow_ml_per_day"]))} for step in steps
    ]


def _pattern_fields(setting: DeviceSetting | None) -> dict[str, str]:
    fields = {}
    for row, step in enumerate(_pattern_shown(setting), start=1):
        fields[f"pattern_{row}_from"] = step["from"]
        fields[f"pattern_{row}_ml_per_day"] = _said(step["flow_ml_per_day"])
    return fields


def _drug(form: Form, row: int) -> dict[str, Any]:
    name = form.text(f"drug_{row}_name", _("The name of the drug"), needed=True, most=200)
    field = f"drug_{row}_mg_per_ml"
    strength = form.number(field, _("The concentration"), unit="mg/mL", least=0.0001, most=1000, needed=True)
    return {"name": _as_listed(name or ""), "mg_per_ml": strength}


def _as_listed(name: str) -> str:
    """A drug of the formulary by its own spelling, however people capitalise it."""
    try:
        shipped_formulary().lookup(name.lower())
    except UnknownDrug:
        return name
    return name.lower()


def _moment(form: Form, zone: ZoneInfo, wrong: Fill | None) -> dt.datetime | None:
    """The form knows minutes: a correction within the same minute means the same moment."""
    at = form.moment("at", _("The time of the visit"), zone, needed=True)
    if at and wrong and at == wrong.at.replace(second=0, microsecond=0):
        return wrong.at
    return at


def _programmed(form: Form) -> dict[str, Any] | None:
    given = {
        "flow_ml_per_day": form.number(
            "programmed_flow_ml_per_day",
            _("The flow the pump shows"),
            unit="mL/day",
            least=0,
            most=MOST_ML_PER_DAY,
        ),
        "bolus_ml": form.number(
            "programmed_bolus_ml", _("The bolus the pump shows"), unit="mL", least=0, most=MOST_BOLUS_ML
        ),
        "state": form.choice("programmed_state", _("What the pump does"), STATES, needed=False),
    }
    return {name: value for name, value in given.items() if value is not None} or None


def _bridge(form: Form, zone: ZoneInfo) -> dict[str, Any]:
    given = {
        "volume_ml": form.number(
            "bridge_volume_ml", _("The bridge bolus"), unit="mL", least=0.001, most=MOST_BOLUS_ML
        ),
        "dead_space_ml": form.number(
            "bridge_dead_space_ml", _("The dead space"), unit="mL", least=0, most=MOST_BOLUS_ML
        ),
        "until": form.moment("bridge_until", _("The end of the bridge bolus"), zone),
    }
    return {name: value for name, value in given.items() if value is not None}


def _as_shown(setting: DeviceSetting | None, name: str) -> float | None:
    """Rounded as the form shows it."""
    value = getattr(setting, name) if setting else None
    return None if value is None else float(number(value))


def _prescribed(setting: DeviceSetting | None) -> dict[str, str]:
    return {name: _said(getattr(setting, name) if setting else None) for name in PRESCRIBED}


def _drug_fields(drugs: list[Any]) -> dict[str, str]:
    return dict(_named(drugs))


def _named(drugs: list[Any]) -> Iterator[tuple[str, str]]:
    for row, drug in enumerate(drugs, start=1):
        yield f"drug_{row}_name", drug["name"]
        yield f"drug_{row}_mg_per_ml", _said(drug.get("mg_per_ml"))


def _answer_fields(answers: Mapping[str, Any]) -> dict[str, str]:
    fields = {DONE: "step_{}", UNSURE: "unsure_{}"}
    return {
        fields[given["answer"]].format(step): "1"
        for step, given in answers.items()
        if given["answer"] in fields
    }


def _said(value: float | None) -> str:
    return "" if value is None else number(value)


def _minute(local: dt.datetime) -> str:
    return local.strftime("%Y-%m-%dT%H:%M")
