"""A letter to an administrator: written once, kept as aligned plain text and as HTML.

The HTML is what any mail program shows: tables, inline styles, no pictures and nothing from elsewhere.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

_WIDTH = 76
_BAR = 30
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:ui-monospace,SFMono-Regular,Consolas,monospace"
_CELL = "padding:4px 10px 4px 0;border-bottom:1px solid #e3e6ea;vertical-align:top"


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart: a label and its parts, in the order of the legend."""

    label: str
    parts: tuple[int, ...]


#: colour and text sign of a bar's parts; told apart without colour too
PARTS = (("#2f7d4f", "█"), ("#b3261e", "▒"), ("#9aa3ad", "░"))


def one_line(text: str, limit: int = 0) -> str:
    """``text`` without line breaks and other control characters, at most ``limit`` characters where one is given."""
    flat = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return flat if not limit or len(flat) <= limit else flat[: limit - 1] + "…"


@dataclass(slots=True)
class Letter:
    """Blocks in order; :meth:`text` and :meth:`html` say the same."""

    title: str
    lang: str
    foot: str
    _text: list[str] = field(default_factory=list)
    _html: list[str] = field(default_factory=list)

    def paragraph(self, words: str, *, strong: bool = False) -> None:
        """Running text."""
        self._text.append(textwrap.fill(words, _WIDTH, break_long_words=False, break_on_hyphens=False))
        body = escape(words)
        self._html.append(f'<p style="margin:0 0 12px">{f"<strong>{body}</strong>" if strong else body}</p>')

    def heading(self, words: str) -> None:
        """A heading within the letter."""
        self._text.append(f"\n{words}\n{'-' * len(words)}")
        self._html.append(f'<h2 style="font-size:16px;margin:24px 0 8px">{escape(words)}</h2>')

    def facts(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Name and value, one pair a line."""
        wide = max((len(name) for name, _ in pairs), default=0)
        lines = []
        for name, value in pairs:
            lead = f"{name}:".ljust(wide + 2)
            lines.append(textwrap.fill(value, _WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead), break_long_words=False))
        self._text.append("\n".join(lines))
        rows = "".join(
            f'<tr><th align="left" style="{_CELL};font-weight:normal;color:#5b6570">{escape(name)}</th>'
            f'<td style="{_CELL}">{escape(value)}</td></tr>'
            for name, value in pairs
        )
        self._html.append(f'<table role="presentation" cellspacing="0" style="border-collapse:collapse;margin:0 0 12px">{rows}</table>')

    def commands(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Commands to type, each with what it does; never wrapped, so that they can be copied."""
        self._text.append("\n".join(f"  {command}\n      {meaning}" for command, meaning in pairs))
        rows = "".join(
            f'<p style="margin:0 0 10px"><code style="{_MONO};background:#f1f3f5;padding:2px 6px">{escape(command)}</code>'
            f"<br>{escape(meaning)}</p>"
            for command, meaning in pairs
        )
        self._html.append(rows)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int = 0) -> None:
        """A table whose last ``numbers`` columns are figures, set to the right."""
        names = len(head) - numbers
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

        def line(row: Sequence[str]) -> str:
            cells = (
                cell.ljust(wide) if column < names else cell.rjust(wide)
                for column, (cell, wide) in enumerate(zip(row, widths, strict=True))
            )
            return "  ".join(cells).rstrip()

        self._text.append("\n".join((line(head), line(["-" * wide for wide in widths]), *map(line, rows))))

        def cell(tag: str, column: int, words: str) -> str:
            return f'<{tag} align="{"left" if column < names else "right"}" style="{_CELL}">{escape(words)}</{tag}>'

        top = "".join(cell("th", column, words) for column, words in enumerate(head))
        body = "".join(f"<tr>{''.join(cell('td', column, words) for column, words in enumerate(row))}</tr>" for row in rows)
        self._html.append(f'<table cellspacing="0" style="border-collapse:collapse;margin:0 0 12px"><tr>{top}</tr>{body}</table>')

    def bars(self, legend: Sequence[str], rows: Sequence[Bar], figures: Sequence[str]) -> None:
        """A chart of stacked bars, drawn with table cells because mail programs drop SVG; ``figures`` stand behind the bars."""
        most = max((sum(row.parts) for row in rows), default=0) or 1
        wide = max((len(row.label) for row in rows), default=0)
        text, html = [], []
        for row, figure in zip(rows, figures, strict=True):
            # a part that is not nothing is seen, however small
            lengths = [part and max(1, round(part * _BAR / most)) for part in row.parts]
            signs = "".join(sign * length for (_, sign), length in zip(PARTS, lengths, strict=False))
            text.append(f"{row.label.ljust(wide)}  {signs} {figure}".rstrip())
            cells = "".join(
                f'<td title="{escape(name)}: {part}" width="{length * 8}" bgcolor="{colour}" style="background:{colour};height:14px;'
                f'font-size:1px;line-height:1px">&nbsp;</td>'
                for (colour, _), length, name, part in zip(PARTS, lengths, legend, row.parts, strict=False)
                if length
            )
            bar = f'<table role="presentation" cellspacing="0" cellpadding="0"><tr>{cells}</tr></table>' if cells else ""
            html.append(
                f'<tr><td style="padding:2px 10px 2px 0;white-space:nowrap">{escape(row.label)}</td><td>{bar}</td>'
                f'<td style="padding:2px 0 2px 8px;white-space:nowrap">{escape(figure)}</td></tr>'
            )
        used = [(name, colour, sign) for name, (colour, sign) in zip(legend, PARTS, strict=False)]
        text.append("  ".join(f"{sign} {name}" for name, _, sign in used))
        keys = " &nbsp; ".join(f'<span style="color:{colour}">&#9632;</span> {escape(name)}' for name, colour, _ in used)
        self._text.append("\n".join(text))
        self._html.append(
            f'<table cellspacing="0" cellpadding="0" style="border-collapse:collapse;margin:0 0 6px">{"".join(html)}</table>'
            f'<p style="margin:0 0 12px;color:#5b6570;font-size:13px">{keys}</p>'
        )

    def text(self) -> str:
        """The letter as plain text."""
        return "\n\n".join((f"{self.title}\n{'=' * len(self.title)}", *self._text, f"-- \n{self.foot}")).replace("\n\n\n", "\n\n") + "\n"

    def html(self) -> str:
        """The letter as one self-contained HTML document."""
        return (
            f'<!DOCTYPE html><html lang="{escape(self.lang)}"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(self.title)}</title></head>'
            f'<body style="margin:0;padding:16px;background:#ffffff;color:#1d2329;{_FONT};font-size:15px;line-height:1.45">'
            f'<div style="max-width:640px;margin:0 auto"><h1 style="font-size:20px;margin:0 0 12px">{escape(self.title)}</h1>'
            f'{"".join(self._html)}<p style="margin:24px 0 0;color:#5b6570;font-size:13px">{escape(self.foot)}</p></div></body></html>\n'
        )
