"""The records on paper, page by page: from a usual patient, from one of whom all is too long, from one without."""

import datetime as dt
from dataclasses import dataclass

import pytest
from fpdf import FPDF
from sqlalchemy import select

from sc_stim.extensions import db
from sc_stim.models import Device, Fill
from sc_stim.web.paper import GAP
from tests import builders
from tests.builders import AT

MONTH = dt.timedelta(days=30)
LONG = "Wolfeschlegelsteinhausenbergerdorff-Müller von und zu Žižkov-Παπαδόπουλος"


@dataclass(frozen=True)
class Line:
    page: int
    text: str
    right_mm: float  # where it ends
    most_mm: float  # where the margin begins


@pytest.fixture
def printed(monkeypatch):
    """Every line that is put on paper, with its page: a font's own numbering of letters says little in the file."""
    lines = []
    put = FPDF._render_styled_text_line

    def noted(paper, text_line, *args, **options):
        moved = put(paper, text_line, *args, **options)
        text = "".join("".join(fragment.characters) for fragment in text_line.fragments)
        width = sum(fragment.get_width() for fragment in text_line.fragments)
        lines.append(Line(paper.page, text, width + paper.l_margin, paper.w - paper.r_margin))
        return moved

    monkeypatch.setattr(FPDF, "_render_styled_text_line", noted)
    return lines


@pytest.fixture
def too_long(scene):
    """A pump with 40 fills of a patient whose name fills lines."""
    patient = builders.create_patient(
        clinic=scene.clinic, family_name=LONG, given_name="Иван <script>alert(1)</script>", mrn="MRN-" + "9" * 30,
        indication="<b>Pain</b> " * 40,
    )  # fmt: skip
    pump = builders.create_pump(patient=patient, serial="S" * 40)
    nurse = builders.create_user(clinic=scene.clinic, role="nurse", name=f"Dr. {LONG}")
    drugs = [{"name": "hydromorphone", "mg_per_ml": 5.0}, {"name": "bupivacaine", "mg_per_ml": None}]
    for number in range(40):
        builders.create_fill(
            pump=pump, by=nurse, at=AT - number * MONTH, aspirated_ml=None if number % 3 else 2.3, drugs=drugs,
            confirmed_by_id=scene.nurse.id if number % 2 else None, note="насос, αντλία 张伟. " * 80,
        )  # fmt: skip
    return pump


def files_of(pump):
    fill = db.session.scalars(select(Fill).where(Fill.device_id == pump.id).order_by(Fill.at.desc())).first()
    return (
        f"/fills/{fill.public_id}/record.pdf",
        f"/pumps/{pump.public_id}/fills.pdf",
        f"/patients/{pump.patient.public_id}/report.pdf",
    )


def usual(scene):
    wanted = select(Device).where(Device.patient_id == scene.patient.id, Device.kind == "pump")
    return db.session.scalars(wanted).one()


def check_pages(printed, patient):
    """Each page by itself can be put into the right file."""
    count = max(line.page for line in printed)
    for number in range(1, count + 1):
        text = " ".join(line.text for line in printed if line.page == number)
        close = text.replace(" ", "")
        assert patient.display_name.replace(" ", "") in close and patient.mrn in close, number
        for words in ("Pain Clinic Riverside · as of Mon 23 Nov 2026 09:00 CET", "born Wed 12 Apr 1961",
                      "Not a certified medical device. Never changes therapy.", f"Page {number} of"):  # fmt: skip
            assert words in text, (number, words)
    over = [line for line in printed if line.right_mm > line.most_mm + 0.1]
    assert over == [], "runs off the paper"
    return count


@pytest.mark.parametrize("which", [0, 1, 2])
def test_each_page_says_whose_it_is_of_when_and_which_of_how_many(scene, visit, printed, which):
    pump = usual(scene)
    assert visit(scene.nurse).file(files_of(pump)[which]).mimetype == "application/pdf"
    assert check_pages(printed, scene.patient) <= 2


@pytest.mark.parametrize("which", [0, 1, 2])
def test_nothing_runs_off_the_paper_however_long_it_is(scene, too_long, visit, printed, which):
    visit(scene.nurse).file(files_of(too_long)[which])
    assert check_pages(printed, too_long.patient) >= 2
    text = " ".join(line.text for line in printed)
    assert "<script>" in text, "shown as it is written, not run"


def test_a_letter_that_the_font_lacks_is_said_to_be_missing(scene, too_long, visit, printed):
    visit(scene.nurse).file(files_of(too_long)[0])
    assert "张" not in "".join(line.text for line in printed)
    assert f"{GAP}: a letter that cannot be printed here." in [line.text for line in printed]
    assert "насос, αντλία" in " ".join(line.text for line in printed)


def test_the_ledger_repeats_its_header_and_no_heading_stands_alone(scene, too_long, visit, printed):
    visit(scene.nurse).file(files_of(too_long)[1])
    assert {line.page for line in printed if line.text == "Aspirated"} == {line.page for line in printed}
    printed.clear()
    visit(scene.nurse).file(files_of(too_long)[2])
    for page in {line.page for line in printed}:
        body = [line.text for line in printed if line.page == page and "Not a certified" not in line.text]
        assert body[-1] not in ("Fills", "Reviews", "Care pathway", "Open alerts")


def test_the_record_of_a_visit_ends_with_a_line_for_each_of_the_two(scene, visit, printed):
    pump = usual(scene)
    visit(scene.nurse).file(files_of(pump)[0])
    texts = [line.text for line in printed]
    assert "Filled by: Nadia Berger. Date, signature" in texts
    assert "Read by the second person: –. Date, signature" in texts


def test_the_record_of_a_pump_that_nobody_has_says_so(scene, visit, printed):
    pump = builders.create_pump(patient=builders.create_patient(clinic=scene.clinic))
    fill = builders.create_fill(pump=pump)
    pump.patient_id = pump.patient = None
    db.session.commit()
    assert visit(scene.nurse).file(f"/fills/{fill.public_id}/record.pdf").status_code == 200
    assert "no patient assigned" in [line.text for line in printed]
