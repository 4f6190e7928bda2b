"""Records for the paper file, as PDF on A4 or letter; every page says what and whom it is about.

paper = Paper("Refill record", about="Example, Ada · MRN-00004")
paper.facts([("Filled", "20 mL")]); paper.table(["Time", "Event"], rows); answer = paper.answer("refill-record")
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from flask import Response
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace

from sc_stim.i18n import _, _lazy
from sc_stim.web import dates, page

FONTS: Final = Path(__file__).parent / "fonts"  # from npm, by frontend/build.py
FONT: Final = "DejaVu"
TEXT_PT: Final = 10
MARGIN_MM: Final = 18
LABEL_MM: Final = 48
DISCLAIMER: Final = _lazy("Not a certified medical device. Never changes therapy.")


class Paper(FPDF):
    """One document. `about`: the person it is about, on every page."""

    def __init__(self, title: str, about: str) -> None:
        super().__init__(format="letter" if page.country() == "US" else "a4")
        self._title, self._about = title, about
        self._as_of = dates.moment(page.at(), page.zone(), page.country())
        self.add_font(FONT, fname=FONTS / "DejaVuSansCondensed.ttf")
        self.add_font(FONT, style="B", fname=FONTS / "DejaVuSansCondensed-Bold.ttf")
        self.set_title(title)
        self.set_lang("en")
        self.set_creation_date(page.at())
        self.set_margin(MARGIN_MM)
        self.set_auto_page_break(True, MARGIN_MM + 4)
        self.set_font(FONT, size=TEXT_PT)
        self.add_page()

    def header(self) -> None:
        self.set_font(FONT, "B", 14)
        self._line(self._title)
        self.set_font(FONT, size=TEXT_PT)
        self._line(
            _(
                "%(about)s · %(clinic)s · as of %(as_of)s",
                about=self._about,
                clinic=page.clinic_name(),
                as_of=self._as_of,
            )
        )
        self.line(MARGIN_MM, self.get_y() + 1, self.w - MARGIN_MM, self.get_y() + 1)
        self.ln(4)

    def footer(self) -> None:
        self.set_y(-MARGIN_MM)
        self.set_font(FONT, size=8)
        self.cell(
            0,
            5,
            _(
                "%(disclaimer)s Page %(number)s of %(all)s",
                disclaimer=DISCLAIMER,
                number=self.page_no(),
                all="{nb}",
            ),
            align="C",
        )

    def heading(self, text: str) -> None:
        self.ln(2)
        self.set_font(FONT, "B", 12)
        self._line(text)
        self.set_font(FONT, size=TEXT_PT)

    def words(self, text: str) -> None:
        self.multi_cell(0, 5.5, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def facts(self, facts: Iterable[tuple[str, str | None]]) -> None:
        """Name and value beside each other; a value that is missing is said to be."""
        for name, value in facts:
            self.set_font(FONT, "B", TEXT_PT)
            top = self.get_y()
            self.multi_cell(LABEL_MM, 5.5, name, new_x=XPos.RIGHT, new_y=YPos.TOP)
            self.set_font(FONT, size=TEXT_PT)
            self.set_xy(MARGIN_MM + LABEL_MM, top)
            self.words(value or _("not on record"))

    def rows(
        self, header: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int] | None = None
    ) -> None:
        """A table that repeats its header on every page. `widths` are shares."""
        style = FontFace(emphasis="BOLD", fill_color=(235, 239, 241))
        with self.table(headings_style=style, col_widths=widths, text_align="LEFT", line_height=5.5) as table:
            for row in (header, *rows):
                table.row([cell or "" for cell in row])

    def answer(self, name: str) -> Response:
        """A download named `name`-2026-11-22.pdf."""
        answer = Response(bytes(self.output()), mimetype="application/pdf")
        answer.headers["Content-Disposition"] = (
            f'attachment; filename="{name}-{page.today().isoformat()}.pdf"'
        )
        return answer

    def _line(self, text: str) -> None:
        self.cell(0, 7, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
