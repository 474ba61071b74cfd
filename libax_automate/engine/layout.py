"""The layout of a document: a small HTML that a browser shows too, read into blocks for the printer.

Known are paragraphs and headings, tables, rules, pictures and a footer; ``<meta>`` says paper, margin, font and colour. Whatever else is
there is an error that names its line, so that nothing of a document is silently left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from html import escape
from html.parser import HTMLParser

from libax_automate.errors import TemplateError
from libax_automate.placeholder import pieces, rewrite

#: inline tag -> how the printer's markup names it
_INLINE = {"b": "b", "strong": "b", "i": "i", "em": "i", "u": "u", "sup": "super", "sub": "sub"}
_HEADINGS = ("h1", "h2", "h3")
_TEXTS = (*_HEADINGS, "p", "td", "th", "title")
#: tags that only group
_GROUPS = frozenset({"html", "head", "body", "div", "thead", "tbody", "tfoot", "header", "main", "section"})
_EMPTY = frozenset({"br", "hr", "img", "meta", "page", "pages"})
_KNOWN = frozenset({*_INLINE, *_TEXTS, *_GROUPS, *_EMPTY, "table", "tr", "footer", "small", "big"})
_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "p": frozenset({"align"}), "h1": frozenset({"align"}), "h2": frozenset({"align"}), "h3": frozenset({"align"}),
    "td": frozenset({"align", "width", "colspan"}), "th": frozenset({"align", "width", "colspan"}),
    "table": frozenset({"class", "width"}), "img": frozenset({"src", "width", "align", "alt"}), "meta": frozenset({"name", "content", "charset"}),
    "html": frozenset({"lang"}),
}  # fmt: skip
_META = ("page", "margin", "font", "font-bold", "size", "colour")
_SPACE = re.compile(r"[ \t\r\n]+")
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(mm|cm|pt|%)")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_ALIGN = frozenset({"left", "right", "center"})
#: what printers' own fonts lack and every text may hold without harm
_PLAIN = str.maketrans({"\u202f": "\u00a0", "\u2009": "\u00a0", "\u2212": "-", "\u2011": "-", "\u200b": None})
#: the fonts that every reader of PDF files has (ISO 32000-1, 9.6.2.2), with the letters of Windows' code page 1252
BUILT_IN = ("helvetica", "times", "courier")
#: marks that the page's number and the number of pages take the place of (private use, Unicode 23.5)
PAGE, PAGES = "\ue010", "\ue011"


@dataclass(frozen=True, slots=True)
class Length:
    """A width: in points, or a share of the room there is."""

    value: float
    share: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph: in the printer's own markup, and as the letters that it prints."""

    markup: str
    letters: str
    #: h1, h2, h3, p
    look: str = "p"
    align: str = "left"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table."""

    text: Text
    head: bool = False
    width: Length | None = None
    span: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """A table; ``plain`` = no lines, for what only stands side by side."""

    rows: tuple[tuple[Cell, ...], ...]
    plain: bool = False
    width: Length | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture beside the profile."""

    src: str
    width: Length | None = None
    align: str = "left"


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the page."""


Block = Text | Table | Picture | Rule


@dataclass(slots=True)
class Layout:
    """A document ready for the printer. Lengths are points (1/72 inch)."""

    page: str = "A4"
    landscape: bool = False
    margin: float = 56.7
    font: str = "helvetica"
    font_bold: str | None = None
    size: float = 10.0
    colour: str = "#333333"
    title: str = ""
    blocks: list[Block] = field(default_factory=list)
    footer: list[Text] = field(default_factory=list)

    def letters(self) -> set[str]:
        """All letters that are printed."""
        found: list[str] = []
        for block in (*self.blocks, *self.footer):
            if isinstance(block, Text):
                found.append(block.letters)
            elif isinstance(block, Table):
                found += [cell.text.letters for row in block.rows for cell in row]
        return set("".join(found)) - {"\n"}

    def unprintable(self) -> str:
        """The letters that a built-in font does not have, in words for people; "" = it has all."""
        return named({letter for letter in self.letters() if not _in_1252(letter)})

    def files(self) -> list[str]:
        """The files that it names: pictures and fonts."""
        fonts = [self.font, *([self.font_bold] if self.font_bold else [])] if self.font.lower() not in BUILT_IN else []
        return [*self.pictures(), *fonts]

    def pictures(self) -> list[str]:
        """The files of its pictures."""
        return [block.src for block in self.blocks if isinstance(block, Picture)]


def named(letters: set[str]) -> str:
    """Letters in words for people, five at most."""
    return ", ".join(f"{letter!r} (U+{ord(letter):04X})" for letter in sorted(letters)[:5])


def _in_1252(letter: str) -> bool:
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return letter.isprintable() or letter == "\u00a0"


def read(html: str) -> Layout:
    """The blocks of a rendered layout; raises TemplateError naming the line."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.done()


def faults(source: str) -> None:
    """Look at a layout before it is filled: raises TemplateError where :func:`read` would, whatever the values are."""
    skeleton = "".join(
        ("" if text.startswith(("{%", "{#")) else "x") + "\n" * text.count("\n") if code else text for code, text in pieces(rewrite(source))
    )
    read(skeleton)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.layout = Layout()
        #: tags that are open, with their lines
        self._open: list[tuple[str, int]] = []
        self._markup: list[str] = []
        self._letters: list[str] = []
        self._given: dict[str, str] = {}
        self._rows: list[tuple[Cell, ...]] | None = None
        self._row: list[Cell] | None = None
        self._table: dict[str, str] = {}

    def _wrong(self, what: str, hint: str = "", line: int | None = None) -> TemplateError:
        return TemplateError(f"line {line or self.getpos()[0]}: {what}", hint=hint)

    def _inside(self, *tags: str) -> bool:
        return any(tag in tags for tag, _ in self._open)

    # -- the parser's calls --------------------------------------------------------------------------------------------

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._known(tag, given)
        if tag == "br":
            self._markup.append("<br/>")
            self._letters.append("\n")
        elif tag in ("page", "pages"):
            if not self._inside("footer"):
                raise self._wrong(f"<{tag}> stands in the footer alone", "put it between <footer> and </footer>")
            self._markup.append(PAGE if tag == "page" else PAGES)
        elif tag == "meta":
            self._meta(given)
        elif tag in ("hr", "img"):
            self._block(tag, given)
        else:
            self._begin(tag, given)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _EMPTY:
            return
        if not self._open or self._open[-1][0] != tag:
            opened = f"<{self._open[-1][0]}> of line {self._open[-1][1]} is still open" if self._open else "nothing is open"
            raise self._wrong(f"</{tag}> closes what is not open: {opened}", f"write </{self._open[-1][0]}> before" if self._open else "")
        if tag in _INLINE:
            self._markup.append(f"</{_INLINE[tag]}>")
        elif tag in ("small", "big"):
            self._markup.append("</font>")
        elif tag in _TEXTS:
            self._text(tag)
        elif tag == "tr":
            assert self._rows is not None
            assert self._row is not None
            if self._row:
                self._rows.append(tuple(self._row))
            self._row = None
        elif tag == "table":
            self._end_table()
        self._open.pop()

    def handle_data(self, data: str) -> None:
        text = _SPACE.sub(" ", data)
        if not self._inside(*_TEXTS):
            if text.strip():
                raise self._wrong(f"text outside a paragraph: {text.strip()[:40]!r}", "put it between <p> and </p>")
            return
        text = text.translate(_PLAIN)
        self._markup.append(escape(text, quote=False))
        self._letters.append(text)

    def handle_decl(self, decl: str) -> None:
        if not decl.lower().startswith("doctype"):
            raise self._wrong(f"<!{decl[:20]}> is not known")

    # -- what they mean ------------------------------------------------------------------------------------------------

    def _known(self, tag: str, given: dict[str, str]) -> None:
        if tag not in _KNOWN:
            near = get_close_matches(tag, _KNOWN, 1)
            raise self._wrong(f"<{tag}> is not known", f"did you mean <{near[0]}>?" if near else f"known are: {', '.join(sorted(_KNOWN))}")
        for name in given:
            if name not in _ATTRIBUTES.get(tag, ()):
                able = ", ".join(sorted(_ATTRIBUTES.get(tag, ()))) or "none"
                raise self._wrong(f"<{tag}> takes no {name}", f"it takes: {able}")
        if (align := given.get("align")) and align not in _ALIGN:
            raise self._wrong(f"align is {align!r}", "write left, right or center")

    def _begin(self, tag: str, given: dict[str, str]) -> None:
        if tag in _INLINE or tag in ("small", "big"):
            if not self._inside(*_TEXTS):
                raise self._wrong(f"<{tag}> outside a paragraph", "put it between <p> and </p>")
            scale = {"small": 0.85, "big": 1.2}.get(tag)
            self._markup.append(f'<font size="{self.layout.size * scale:g}">' if scale else f"<{_INLINE[tag]}>")
        elif tag in _TEXTS:
            if self._inside(*_TEXTS):
                raise self._wrong(f"<{tag}> inside another text", "close the one before")
            if tag in ("td", "th"):
                if self._row is None:
                    raise self._wrong(f"<{tag}> outside a row", "put it between <tr> and </tr>")
            elif self._rows is not None:
                raise self._wrong(f"<{tag}> in a table, outside its cells", "put the text into <td>")
            self._markup, self._letters, self._given = [], [], given
        elif tag == "table":
            if self._rows is not None or self._inside("footer"):
                raise self._wrong("a table inside another or in the footer", "close the one before")
            self._rows, self._table = [], given
        elif tag == "tr":
            if self._rows is None or self._row is not None:
                raise self._wrong("<tr> outside a table, or in another row", "put it between <table> and </table>")
            self._row = []
        self._open.append((tag, self.getpos()[0]))

    def _block(self, tag: str, given: dict[str, str]) -> None:
        if self._rows is not None or self._inside("footer", *_TEXTS):
            raise self._wrong(f"<{tag}> inside a table, a text or the footer", "put it between two paragraphs")
        if tag == "hr":
            self.layout.blocks.append(Rule())
        elif not given.get("src"):
            raise self._wrong("<img> names no file", 'write <img src="logo.png">')
        else:
            self.layout.blocks.append(Picture(given["src"], self._length(given.get("width")), given.get("align", "left")))

    def _text(self, tag: str) -> None:
        markup, letters = "".join(self._markup).strip(), "".join(self._letters).strip()
        given = self._given
        look = tag if tag in _HEADINGS else "p"
        text = Text(markup, letters, look, given.get("align", "left"))
        if tag == "title":
            self.layout.title = letters
        elif tag in ("td", "th"):
            assert self._row is not None
            span = given.get("colspan", "1")
            if not span.isdecimal() or not 1 <= int(span) <= 50:
                raise self._wrong(f"colspan is {span!r}", "write a number of columns")
            self._row.append(Cell(text, tag == "th", self._length(given.get("width")), int(span)))
        elif self._inside("footer"):
            self.layout.footer.append(text)
        else:
            self.layout.blocks.append(text)
        self._markup, self._letters, self._given = [], [], {}

    def _end_table(self) -> None:
        assert self._rows is not None
        if self._rows:
            names = set(self._table.get("class", "").split())
            if names - {"plain"}:
                raise self._wrong(f"class is {self._table['class']!r}", 'write class="plain", or none')
            self.layout.blocks.append(Table(tuple(self._rows), bool(names), self._length(self._table.get("width"))))
        self._rows = None

    def _length(self, text: str | None) -> Length | None:
        if text is None:
            return None
        found = _LENGTH.fullmatch(text.strip())
        if found is None or not 0 < float(found[1]) <= 1000:
            raise self._wrong(f"{text!r} is no width", "write 30mm, 2cm, 80pt or 25%")
        return Length(float(found[1]), share=True) if found[2] == "%" else Length(_points(found))

    def _meta(self, given: dict[str, str]) -> None:
        name, content = given.get("name", ""), given.get("content", "").strip()
        layout = self.layout
        if "charset" in given and not name:
            return
        if name not in _META:
            near = get_close_matches(name, _META, 1)
            raise self._wrong(
                f"<meta name={name!r}> is not known", f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(_META)}"
            )
        if name == "page":
            words = content.split()
            if not words or words[0].upper() not in ("A4", "A5", "LETTER") or set(words[1:]) - {"landscape"}:
                raise self._wrong(f"page is {content!r}", "write A4, A5 or letter, and landscape after it")
            layout.page, layout.landscape = words[0].upper(), "landscape" in words
        elif name in ("margin", "size"):
            found = _LENGTH.fullmatch(content if name == "margin" else content.removesuffix("pt") + "pt")
            points = _points(found) if found is not None and found[2] != "%" else -1.0
            low, high = (0.0, 150.0) if name == "margin" else (4.0, 40.0)
            if not low <= points <= high:
                raise self._wrong(f"{name} is {content!r}", "write 20mm, up to 50mm" if name == "margin" else "write 10pt; 4 to 40")
            setattr(layout, name, points)
        elif name == "colour":
            if not _COLOUR.fullmatch(content):
                raise self._wrong(f"colour is {content!r}", "write #1a4d2e")
            layout.colour = content
        else:
            setattr(layout, name.replace("-", "_"), content)

    def done(self) -> Layout:
        if self._open:
            tag, line = self._open[-1]
            raise self._wrong(f"<{tag}> is not closed", f"write </{tag}>", line)
        if not self.layout.blocks:
            raise self._wrong("nothing would be printed", "write a heading and a table", 1)
        return self.layout


def _points(found: re.Match[str]) -> float:
    return float(found[1]) * {"mm": 72 / 25.4, "cm": 72 / 2.54, "pt": 1.0}[found[2]]
