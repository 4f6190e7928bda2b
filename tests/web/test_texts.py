"""Every text that a person reads can be translated."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import available_timezones

from sqlalchemy import select
from werkzeug.test import TestResponse

from sc_stim import clinical
from sc_stim.access import ROLES
from sc_stim.clinical.rules_doc import TABLES
from sc_stim.devices import catalogue
from sc_stim.extensions import db
from sc_stim.models import Clinic, User
from sc_stim.web import words
from tests import builders
from tests.web import texts
from tests.web.pages import Page, Visitor
from tests.web.scene import create_scene, ids_of
from tests.web.test_access import FORMS, WHO_MAY

ROOT = Path(__file__).parents[2]

# Columns of the record that hold names, or what somebody wrote.
OWN_WORDS = {
    "name", "family_name", "given_name", "mrn", "phone", "email", "address", "manufacturer", "model", "serial", "lot",
    "indication", "indication_icd10", "comment", "finding", "outcome", "note", "title", "reason", "cancel_reason",
    "source", "reference", "advice", "model_version", "time_zone", "country", "subdivision", "action", "subject",
    "subject_kind", "actor", "detail", "text", "payload", "topic", "client_id", "username", "drugs", "program",
    "firmware", "epoch", "public_id", "steps", "raw",
}  # fmt: skip
UNITS = r"(\d ?|\b)(mL/day|mL|mg/mL|mg/day|µg/mL|µg|mg|mA|µs|Hz|NRS|h/day|min|kΩ|Ω|V|s|h)\b"
DATES = r"\b((Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b,? ?)?(\d+ )?(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)( \d+)?\b"
# The same in every language.
NAMES = ("sc_stim", "CSV", "PDF", "UDI", "MRI", "JSON", "NRS", "Enter", "Ctrl", "Esc")
# Sentences that rules and workflows make, in the API as on the pages: they are English until those have codes.
SENTENCES = (
    "A second person has to confirm drug, concentration and volume.",
    "Not yet heard of since the visit: make sure that the pump runs.",
    "closed: weekend",
    "no refill date can be computed: record the programmed flow of this pump",
    "The clinic has set no ladder of its own: the shipped one holds.",
    "Password must have 15 to 200 characters.",
    "answers", "does not answer", "returns test messages", "takes messages", "works", "nothing waits",  # parts
)  # fmt: skip


def test_the_file_for_translators_is_up_to_date(tmp_path):
    recipe = re.search(
        r"^texts:.*\n\t\$\(BIN\)/pybabel ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.M
    )
    arguments = shlex.split(recipe[1].replace("\\\n", " "))
    arguments[arguments.index("-o") + 1] = str(tmp_path / "texts.pot")

    subprocess.run([Path(sys.executable).parent / "pybabel", *arguments], cwd=ROOT, check=True)

    assert (tmp_path / "texts.pot").read_text() == texts.TEMPLATE.read_text(), "run `make texts`"


def test_no_page_says_anything_that_cannot_be_translated(app, visit, tmp_path):
    texts.speak_brackets(app, tmp_path)
    scene = create_scene()
    visitors = {role: _visitor(visit, scene.clinic, role) for role in ROLES}
    ids = ids_of(scene.nurse, scene.patient)

    answers = {path: visitors[min(roles)].get(path.format(**ids)) for path, roles in WHO_MAY.items()}
    answers |= {
        f"POST {path}": visitors[min(roles)].post(path.format(**ids)) for path, roles in FORMS.items()
    }
    answers |= {f"after forms of the {role}": visitor.get("/system") for role, visitor in visitors.items()}

    data = _data()
    found = {path: left for path, answer in answers.items() if (left := _untranslatable(answer, data))}
    assert found == {}, json.dumps(found, ensure_ascii=False, indent=1)


def test_a_page_speaks_the_language_that_the_browser_asks_for_and_there_is(app, visit, tmp_path):
    texts.speak_brackets(app, tmp_path)
    nobody = visit(None)

    said = {}
    for asked in ("eo", "eo-XX, eo;q=0.9, en;q=0.8", "tlh", ""):
        nobody.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = asked
        page = Page(nobody.get("/sign-in"))
        said[asked] = page.all("html")[0].get("lang"), page.texts("h1")[0]

    assert said == {
        "eo": ("eo", "⟦Sign in or⟧"),
        "eo-XX, eo;q=0.9, en;q=0.8": ("eo", "⟦Sign in or⟧"),
        "tlh": ("en", "Sign in"),
        "": ("en", "Sign in"),
    }


def test_a_name_in_a_translated_sentence_is_no_markup(app, visit, tmp_path):
    texts.speak_brackets(app, tmp_path)
    nurse = builders.create_user(role="nurse")
    patient = builders.create_patient(clinic=nurse.clinic, family_name="<b>Bold</b>")
    visitor = visit(nurse)
    visitor.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = texts.LANGUAGE

    page = Page(visitor.get(f"/patients/{patient.public_id}/edit"))

    assert "<b>Bold</b>" in page.texts("h1")[0]
    assert page.texts("h1")[0].startswith("⟦")


def _visitor(visit: Callable[[User], Visitor], clinic: Clinic, role: str) -> Visitor:
    visitor = visit(builders.create_user(clinic=clinic, role=role, name=f"Robin {role.title()}"))
    visitor.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = texts.LANGUAGE
    visitor.token = Page(visitor.get("/system")).token
    return visitor


def _untranslatable(answer: TestResponse, data: set[str]) -> list[str]:
    if answer.mimetype != "text/html" or 300 <= answer.status_code < 400:
        return []
    pieces = set(texts.unbracketed(Page(answer).root)) - data
    known = sorted((text for text in data if any(text in piece for piece in pieces)), key=len, reverse=True)
    anything = re.compile("|".join(rf"\b{re.escape(text)}(?!\w)" for text in known) or "$.")
    bare = (re.sub(DATES, "", re.sub(UNITS, "", anything.sub("", piece))) for piece in pieces)
    return sorted({piece for piece in bare if re.search(r"[^\W\d_]{2}", piece)})


def _data() -> set[str]:
    """What a page may say in no language: names, what people wrote, the figures with their sources."""
    found = {*NAMES, *SENTENCES, *available_timezones(), *_record(), *_rules(), *_models()}
    found = {text for text in found if re.search(r"[^\W\d_]{2}", re.sub(UNITS, "", text))}
    return found | {text[:1].upper() + text[1:] for text in found}


def _record() -> Iterator[str]:
    for mapper in db.Model.registry.mappers:
        for column in mapper.columns:
            if column.name in OWN_WORDS:
                for value in db.session.scalars(select(column)):
                    yield from _leaves(value)


def _rules() -> Iterator[str]:
    for file in (Path(clinical.__file__).parent / "data").glob("*.json"):
        yield from _leaves(json.loads(file.read_text()))
    for table in TABLES.values():
        shown = table()
        for cell in (*shown.header, *(cell for row in shown.rows for cell in row)):
            yield words.plain(cell.replace("`", "").replace("**", ""))
            yield cell.replace("`", "").replace("**", "")


def _models() -> Iterator[str]:
    for model in catalogue.models():
        yield f"{model.manufacturer} {model.name}"


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield value.decode() if isinstance(value, bytes) else str(value)
