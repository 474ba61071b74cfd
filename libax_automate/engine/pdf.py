"""Layouts become PDF files. The only file that knows ReportLab; the same layout, day and pictures always make the same bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_CENTER, TA_LEFT, TA_RIGHT
from reportlab.lib.pagesizes import A4, A5, LETTER, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.pdfmetrics import registerFontFamily
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, HRFlowable, Image, PageTemplate, Paragraph, Spacer
from reportlab.platypus import Table as Grid
from reportlab.platypus.doctemplate import LayoutError

from libax_automate.engine.layout import BUILT_IN, PAGE, PAGES, Layout, Length, Picture, Rule, Table, Text, named
from libax_automate.errors import TemplateError

_FACES = {"helvetica": ("Helvetica", "Helvetica-Bold"), "times": ("Times-Roman", "Times-Bold"), "courier": ("Courier", "Courier-Bold")}
_PAPER = {"A4": A4, "A5": A5, "LETTER": LETTER}
_ALIGN: dict[str, Any] = {"left": TA_LEFT, "right": TA_RIGHT, "center": TA_CENTER}
_SIDE: dict[str, Any] = {"left": "LEFT", "right": "RIGHT", "center": "CENTER"}
_SCALE = {"h1": 1.7, "h2": 1.25, "h3": 1.1, "p": 1.0}


def print_pdf(layout: Layout, *, day: date, files: Mapping[str, bytes], author: str = "", language: str = "") -> bytes:
    """The PDF of a layout, dated ``day``. ``files`` holds the pictures and fonts that it names.

    Raises TemplateError for letters that the font does not have, and for what does not fit on a page.
    """
    fonts = _fonts(layout, files)
    if missing := unprintable(layout, files):
        raise TemplateError(f"the font has no {missing}", hint='name one that has: <meta name="font" content="FILE.ttf">')
    width, height = landscape(_PAPER[layout.page]) if layout.landscape else _PAPER[layout.page]
    room = width - 2 * layout.margin
    styles = _styles(layout, fonts)
    foot = [(text, styles[text.look, text.align, False]) for text in layout.footer]
    low = layout.margin + (len(foot) * layout.size * 1.3 + 6 if foot else 0)
    out = io.BytesIO()
    document = BaseDocTemplate(
        out, pagesize=(width, height), title=layout.title, author=author, subject="", creator="Libax Automate", invariant=1,
        pageCompression=1, lang=language or None,
    )  # fmt: skip
    frame = Frame(layout.margin, low, room, height - layout.margin - low, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    document.addPageTemplates([PageTemplate(id="page", frames=[frame])])

    def canvas(*args: Any, **options: Any) -> Canvas:
        made = _Footed(*args, **options)
        made.prepare(day, foot, layout.margin, room)
        return made

    try:
        document.build([*_flowables(layout, styles, room, files)], canvasmaker=canvas)
    except LayoutError as error:
        raise TemplateError(f"it does not fit on a page: {str(error)[:200]}", hint="make the text or the picture smaller") from None
    return out.getvalue()


def unprintable(layout: Layout, files: Mapping[str, bytes]) -> str:
    """The letters of a layout that its font does not have, in words for people; "" = it has all."""
    if layout.font.lower() in BUILT_IN:
        return layout.unprintable()
    have = set.intersection(*(set(_loaded(files[name]).face.charToGlyph) for name in (layout.font, layout.font_bold) if name))
    return named({letter for letter in layout.letters() if ord(letter) not in have})


class _Footed(Canvas):
    """A canvas that knows how many pages there are before it writes their feet."""

    def prepare(self, day: date, foot: Sequence[tuple[Text, ParagraphStyle]], margin: float, room: float) -> None:
        self._pages: list[dict[str, Any]] = []
        self._foot, self._margin, self._room = foot, margin, room
        # at noon of its day: a date of creation that is the same whenever it is printed
        self.setDateFormatter(lambda *_: f"D:{day:%Y%m%d}120000Z")

    def showPage(self) -> None:  # noqa: N802 - ReportLab's name
        self._pages.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]  # its own way to begin a page

    def save(self) -> None:
        for number, page in enumerate(self._pages, 1):
            self.__dict__.update(page)
            self._feet(number, len(self._pages))
            super().showPage()
        super().save()

    def _feet(self, number: int, of: int) -> None:
        at = self._margin
        for text, style in reversed(self._foot):
            made = Paragraph(text.markup.replace(PAGES, str(of)).replace(PAGE, str(number)), style)
            _, high = made.wrap(self._room, 1000)
            made.drawOn(self, self._margin, at)
            at += high


# -- fonts -------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _loaded(content: bytes) -> TTFont:
    name = f"F{hashlib.sha256(content).hexdigest()[:16]}"
    try:
        font = TTFont(name, io.BytesIO(content))
    except TTFError as error:
        raise TemplateError(f"font: {error}", hint="name a TrueType file (.ttf)") from None
    pdfmetrics.registerFont(font)
    return font


def _fonts(layout: Layout, files: Mapping[str, bytes]) -> tuple[str, str]:
    """The names of the plain and the bold font."""
    if layout.font.lower() in BUILT_IN:
        return _FACES[layout.font.lower()]
    plain = _loaded(files[layout.font]).fontName
    bold = _loaded(files[layout.font_bold]).fontName if layout.font_bold else plain
    registerFontFamily(plain, normal=plain, bold=bold, italic=plain, boldItalic=bold)
    return plain, bold


def _styles(layout: Layout, fonts: tuple[str, str]) -> dict[tuple[str, str, bool], ParagraphStyle]:
    """(look, align, bold) -> style."""
    made = {}
    plain, bold = fonts
    for look, scale in _SCALE.items():
        size = layout.size * scale
        for align, number in _ALIGN.items():
            for strong in (False, True):
                heading = look != "p"
                made[look, align, strong] = ParagraphStyle(
                    f"{look}-{align}-{strong}",
                    fontName=bold if strong or heading else plain,
                    fontSize=size,
                    leading=size * 1.3,
                    alignment=number,
                    textColor=HexColor(layout.colour) if heading else HexColor("#000000"),
                    spaceBefore=size * 0.6 if heading else 0,
                    spaceAfter=size * 0.4,
                    splitLongWords=1,
                )
    return made


# -- what stands on the page -------------------------------------------------------------------------------------------


def _flowables(
    layout: Layout, styles: Mapping[tuple[str, str, bool], ParagraphStyle], room: float, files: Mapping[str, bytes]
) -> Sequence[Flowable]:
    made: list[Flowable] = []
    colour = HexColor(layout.colour)
    for block in layout.blocks:
        if isinstance(block, Text):
            made.append(Paragraph(block.markup or "&nbsp;", styles[block.look, block.align, False]))
        elif isinstance(block, Rule):
            made.append(HRFlowable(width="100%", thickness=0.7, color=colour, spaceBefore=layout.size * 0.5, spaceAfter=layout.size * 0.5))
        elif isinstance(block, Picture):
            made.append(_picture(block, files[block.src], room))
        else:
            made += [_grid(block, styles, room, colour), Spacer(1, layout.size * 0.8)]
    return made


def _picture(picture: Picture, content: bytes, room: float) -> Flowable:
    try:
        wide, high = ImageReader(io.BytesIO(content)).getSize()
    except Exception as error:
        raise TemplateError(f"the picture {picture.src!r} cannot be read: {error}", hint="use a PNG or JPEG file") from None
    width = min(_width(picture.width, room) or min(wide * 72 / 96, room), room)
    return Image(io.BytesIO(content), width=width, height=width * high / wide, hAlign=_SIDE[picture.align])


def _width(length: Length | None, room: float) -> float | None:
    if length is None:
        return None
    return room * length.value / 100 if length.share else length.value


def _grid(table: Table, styles: Mapping[tuple[str, str, bool], ParagraphStyle], room: float, colour: Any) -> Flowable:
    whole = min(_width(table.width, room) or room, room)
    columns = max(sum(cell.span for cell in row) for row in table.rows)
    widths: list[float | None] = [None] * columns
    rows: list[list[Any]] = []
    look: list[tuple[Any, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 3),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3),
    ]
    heads = 0
    for index, row in enumerate(table.rows):
        cells: list[Any] = []
        for cell in row:
            if cell.width is not None and cell.span == 1:
                widths[len(cells)] = _width(cell.width, whole)
            if cell.span > 1:
                look.append(("SPAN", (len(cells), index), (len(cells) + cell.span - 1, index)))
            style = styles[cell.text.look, cell.text.align, cell.head]
            cells += [Paragraph(cell.text.markup, style), *[""] * (cell.span - 1)]
        rows.append(cells + [""] * (columns - len(cells)))
        if heads == index and all(cell.head for cell in row):
            heads += 1
    given = sum(width for width in widths if width is not None)
    free = [index for index, width in enumerate(widths) if width is None]
    for index in free:
        widths[index] = max(whole - given, 20.0) / len(free)
    total = sum(width or 0.0 for width in widths)
    if total > whole:
        widths = [(width or 0.0) * whole / total for width in widths]
    if not table.plain:
        look += [("LINEBELOW", (0, 0), (-1, -1), 0.25, HexColor("#bbbbbb")), ("TOPPADDING", (0, 0), (-1, -1), 2)]
        if heads:
            look.append(("LINEBELOW", (0, heads - 1), (-1, heads - 1), 1, colour))
    repeated = heads if heads < len(rows) else 0
    return Grid(rows, colWidths=widths, repeatRows=repeated, style=look, hAlign="LEFT")
