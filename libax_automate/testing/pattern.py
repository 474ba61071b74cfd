"""The shortest plain text that a simple regular expression matches: enough for the ids, numbers and dates in published contracts."""

from __future__ import annotations

import re

#: what stands for a class of characters: the first of these that the class matches
_LIKELY = "a0A1 -_./:@+%#,;b2B"
_REPEAT = re.compile(r"\{(\d+)(?:,\d*)?\}")
_END = {"\\A", "\\Z", "\\b", "^", "$"}


def matching(pattern: str) -> str | None:
    """A text that ``pattern`` matches, or None where the pattern says more than this reader understands."""
    try:
        text, rest = _alternatives(pattern)
        return text if not rest and re.search(pattern, text) else None
    except (re.error, IndexError, ValueError):
        return None


def _alternatives(pattern: str) -> tuple[str, str]:
    """The first branch up to a closing bracket or the end; the others are read over."""
    first, rest = _sequence(pattern)
    while rest.startswith("|"):
        _, rest = _sequence(rest[1:])
    return first, rest


def _sequence(pattern: str) -> tuple[str, str]:
    text = ""
    while pattern and pattern[0] not in "|)":
        piece, pattern = _piece(pattern)
        if match := _REPEAT.match(pattern):
            piece *= int(match[1])
            pattern = pattern[match.end() :]
        elif pattern[:1] in {"*", "?"}:
            piece, pattern = "", pattern[1:]
        elif pattern[:1] == "+":
            pattern = pattern[1:]
        # a lazy or possessive mark changes how much is matched, never whether
        text, pattern = text + piece, pattern.removeprefix("?").removeprefix("+")
    return text, pattern


def _piece(pattern: str) -> tuple[str, str]:
    """One character, class or group, as text, and what comes after it."""
    if pattern[0] == "(":
        inner = re.sub(r"^\?(:|P?<\w+>)", "", pattern[1:])
        text, rest = _alternatives(inner)
        return text, rest[1:]
    if pattern[0] == "[":
        end = pattern.index("]", 3 if pattern[1] == "^" else 2)
        while pattern[end - 1] == "\\" and pattern[end - 2] != "\\":
            end = pattern.index("]", end + 1)
        return _member(pattern[: end + 1]), pattern[end + 1 :]
    token = pattern[:2] if pattern[0] == "\\" else pattern[0]
    if token in _END:
        return "", pattern[len(token) :]
    return _member(token), pattern[len(token) :]


def _member(symbol: str) -> str:
    """A character that the class or literal ``symbol`` stands for."""
    if len(symbol) == 1 and symbol != ".":
        return symbol
    allowed = re.compile(symbol)
    found: str = next(filter(allowed.fullmatch, (*_LIKELY, *map(chr, range(33, 383)))))
    return found
