"""Lists for spreadsheets."""

import csv
import datetime as dt
import io

import pytest
from flask import g

from sc_stim.web.exports import csv_answer


@pytest.fixture
def exported(app, scene):
    def export(*rows):
        with app.test_request_context("/"):
            g.user = scene.nurse
            answer = csv_answer("patients", ["name", "at"], rows)
            return answer, list(csv.reader(io.StringIO(answer.get_data(as_text=True))))

    return export


def test_a_download_has_a_name_with_its_day_and_a_header(exported):
    answer, rows = exported()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="patients-2026-11-23.csv"'
    assert rows == [["name", "at"]]


def test_times_are_on_the_clinics_clock_with_offset_and_nothing_is_empty(exported):
    _, rows = exported(["Okafor, Chidi", dt.datetime(2026, 7, 1, 7, 0, tzinfo=dt.UTC)], [None, 2.5])
    assert rows[1:] == [["Okafor, Chidi", "2026-07-01T09:00:00+02:00"], ["", "2.5"]]


@pytest.mark.parametrize("formula", ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "\tx"])
def test_no_text_is_run_by_a_spreadsheet(exported, formula):
    _, rows = exported([formula, None])
    assert rows[1][0] == f"'{formula}"
