"""The text part of a message that was written as HTML only."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from libax_automate.placeholder import pieces, rewrite

_BLOCKS = frozenset(
    {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "section", "article", "header", "footer"}
)
_LINES = frozenset({"br", "tr", "li", "hr"})
_HIDDEN = frozenset({"style", "script", "head", "title"})
_SPACE = re.compile(r"[ \t\r\n]+")
#: Jinja code while HTML is parsed: private-use characters around its number (Unicode 23.5)
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}(\\d+){_CLOSE}(\n?)")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag in _BLOCKS:
            self.parts.append("\n\n")
        elif tag in _LINES:
            self.parts.append("\n- " if tag == "li" else "\n")
        elif tag == "a":
            self._links.append((dict(attrs).get("href") or "", len(self.parts)))
        elif tag == "img" and (text := dict(attrs).get("alt")):
            self.parts.append(text)

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(self._hidden - 1, 0)
        elif tag in _BLOCKS:
            self.parts.append("\n\n")
        elif tag == "a" and self._links:
            address, start = self._links.pop()
            if address and not address.startswith("#") and "".join(self.parts[start:]).strip() != address:
                self.parts.append(f" ({address})")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(_SPACE.sub(" ", data))


def text_source(html: str) -> str:
    """The template of the text part, made once from the template of the HTML part: its code stays, its tags become lines."""
    codes: list[str] = []
    kept = []
    for is_code, piece in pieces(rewrite(html)):
        if is_code:
            codes.append(piece)
            kept.append(f"{_OPEN}{len(codes) - 1}{_CLOSE}")
        else:
            kept.append(piece)
    reader = _Reader()
    reader.feed("".join(kept))
    reader.close()
    text = "".join(reader.parts)
    # characters that were written as entities must not become code
    text = text.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #")
    lines = [line.strip() for line in text.split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return _MARK.sub(lambda found: _restored(codes[int(found[1])], found[2]), text) + "\n"


def _restored(code: str, line_end: str) -> str:
    # the sandbox drops the line break behind a tag, and here each of them is meant
    return code + line_end * (2 if code.startswith("{%") else 1)
