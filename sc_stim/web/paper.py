"""Records for the paper file, as PDF on A4 or letter; every page says what and whom it is about.

paper = Paper("Refill record", about="Example, Ada · MRN-00004")
paper.facts([("Filled", "20 mL")]); paper.table(["Time", "Event"], rows); answer = paper.answer("refill-record")
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from flask import Response
from fpdf import FPDF
from fpdf.enums import VAlign, XPos, YPos
from fpdf.fonts import FontFace

from sc_stim.i18n import _, _lazy
from sc_stim.web import dates, page

FONTS: Final = Path(__file__).parent / "fonts"  # from npm, by frontend/build.py
FONT: Final = "DejaVu"
TEXT_PT: Final = 10
MARGIN_MM: Final = 18
LABEL_MM: Final = 48
LINE_MM: Final = 5.5
KEPT_MM: Final = 40  # a heading and the first of what it is about
SIGNED_MM: Final = 22
NOTHING: Final = "–"
GAP: Final = "□"
DISCLAIMER: Final = _lazy("Not a certified medical device. Never changes therapy.")


class Paper(FPDF):
    """One document. `about`: the person it is about, on every page."""

    def __init__(self, title: str, about: str) -> None:
        super().__init__(format="letter" if page.country() == "US" else "a4")
        self._title, self._about = title, about
        local = page.at().astimezone(page.zone())
        self._as_of = f"{dates.moment(page.at(), page.zone(), page.country())} {local.tzname()}"
        self._has_gaps = False
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
        self.set_font(FONT, "B", TEXT_PT)
        self.words(self._about)
        self.set_font(FONT, size=TEXT_PT)
        self.words(_("%(clinic)s · as of %(as_of)s", clinic=page.clinic_name(), as_of=self._as_of))
        self.line(MARGIN_MM, self.get_y() + 1, self.w - MARGIN_MM, self.get_y() + 1)
        self.ln(4)

    def footer(self) -> None:
        self.set_y(-MARGIN_MM)
        self.set_font(FONT, size=8)
        if self._has_gaps:
            self.cell(
                0, 4, _("%(gap)s: a letter that cannot be printed here.", gap=GAP), align="C", new_y=YPos.NEXT
            )
            self.set_x(MARGIN_MM)
        numbers = {"number": self.page_no(), "all": "{nb}"}
        said = _("%(disclaimer)s Page %(number)s of %(all)s", disclaimer=DISCLAIMER, **numbers)
        self.cell(0, 5, said, align="C")

    def normalize_text(self, text: str) -> str:
        """A letter that the font lacks is shown as one, and the page says so."""
        text = super().normalize_text(text)
        known = self.fonts[FONT.lower()].cmap  # type: ignore[union-attr]
        gaps = {letter for letter in text if ord(letter) not in known and letter not in "\n\r\t\u00ad"}
        self._has_gaps = self._has_gaps or bool(gaps)
        return text.translate({ord(letter): GAP for letter in gaps})

    def heading(self, text: str) -> None:
        """Never the last line of a page."""
        self._keep_together(KEPT_MM)
        self.ln(3)
        self.set_font(FONT, "B", 12)
        self.words(text)
        self.set_font(FONT, size=TEXT_PT)

    def words(self, text: str) -> None:
        self.multi_cell(0, LINE_MM, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def facts(self, facts: Iterable[tuple[str, str | None]]) -> None:
        """Name and value beside each other; a value that is missing is said to be."""
        for name, value in facts:
            self._keep_together(2 * LINE_MM)
            self.set_font(FONT, "B", TEXT_PT)
            first, top = self.page_no(), self.get_y()
            self.multi_cell(LABEL_MM, LINE_MM, name, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            below = self.get_y()
            self.set_font(FONT, size=TEXT_PT)
            self.set_xy(MARGIN_MM + LABEL_MM, top)
            self.words(value or _("not on record"))
            if self.page_no() == first:
                self.set_y(max(below, self.get_y()))

    def rows(
        self, header: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int] | None = None
    ) -> None:
        """A table that repeats its header on every page; a cell without anything to say has a dash. `widths` are
        shares.
        """
        style = FontFace(emphasis="BOLD", fill_color=(235, 239, 241))
        with self.table(
            headings_style=style,
            col_widths=widths,
            text_align="LEFT",
            v_align=VAlign.T,
            line_height=LINE_MM,
            padding=(0.5, 1),
        ) as table:
            for row in (header, *rows):
                table.row([cell or NOTHING for cell in row])

    def signatures(self, people: Iterable[tuple[str, str | None]]) -> None:
        """A line for each to sign on, above what they did and who they are."""
        self._keep_together(SIGNED_MM * 2)
        for part, name in people:
            self._keep_together(SIGNED_MM)
            self.ln(SIGNED_MM - 2 * LINE_MM)
            self.line(MARGIN_MM, self.get_y(), MARGIN_MM + SIGNED_MM * 4, self.get_y())
            self.words(_("%(part)s: %(name)s. Date, signature", part=part, name=name or NOTHING))

    def _keep_together(self, height_mm: float) -> None:
        if self.will_page_break(height_mm):
            self.add_page()

    def answer(self, name: str) -> Response:
        """A download named `name`-2026-11-22.pdf."""
        answer = Response(bytes(self.output()), mimetype="application/pdf")
        answer.headers["Content-Disposition"] = (
            f'attachment; filename="{name}-{page.today().isoformat()}.pdf"'
        )
        return answer

    def _line(self, text: str) -> None:
        self.cell(0, 7, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
