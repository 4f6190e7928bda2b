"""Records on paper."""

import re
import zlib

import pytest
from flask import g

from sc_stim.web.paper import Paper


@pytest.fixture
def printed(app, scene):
    def make(draw):
        with app.test_request_context("/"):
            g.user = scene.nurse
            paper = Paper("Refill record", about="Novák, Jiří · MRN-7")
            draw(paper)
            return paper.answer("refill-record")

    return make


def pages_of(pdf):
    return len(re.findall(rb"/Type /Page\b", pdf))


def test_a_record_is_a_pdf_with_its_name_and_day(printed):
    answer = printed(lambda paper: paper.facts([("Filled", "20 mL"), ("Lot", None)]))
    assert answer.mimetype == "application/pdf"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="refill-record-2026-11-23.pdf"'
    assert answer.data.startswith(b"%PDF-") and pages_of(answer.data) == 1


def test_long_tables_go_on_on_further_pages(printed):
    rows = [[f"{number}", "Motor stall, raised"] for number in range(100)]
    assert pages_of(printed(lambda paper: paper.rows(["Number", "Event"], rows)).data) > 1


def test_names_of_all_of_europe_are_written(printed):
    """A font that lacks a letter would be an error: warnings are."""
    answer = printed(lambda paper: paper.words("Žižková, Łukasz, Ğül, Παπαδόπουλος, Иванова, ½ µg/day, 12 Ω"))
    streams = re.findall(rb"stream\r?\n(.*?)endstream", answer.data, re.S)
    assert any(b"Tj" in zlib.decompressobj().decompress(stream) for stream in streams if stream[:1] == b"x")
