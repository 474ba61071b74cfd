"""Reasons in the language of whoever reads a page: the engine and its models write them in English, the catalogues know their words.

A reason is a text of the catalogue in English (``capped: {cap}, {count} already``), found again by its words, and told by the same entry of
another language. What a placeholder may hold goes by its name: a ``{day}`` is a date, and is printed as the locale writes dates; a ``{why}``
is itself looked up. What no entry knows, a person's own words or those of somebody else's model, stays as it was written.
"""

from __future__ import annotations

import datetime as dt
import re
import string
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, lru_cache
from typing import Final, NamedTuple

from libax_automate.engine.hours import DAYS, MONTHS
from libax_automate.engine.language import Language, catalogue
from libax_automate.engine.language import language as language_of

_DAY, _NUMBER, _AMOUNT = r"\d{4}-\d\d-\d\d(?: \d\d:\d\d)?", r"-?\d+", r"-?\d+(?:\.\d+)?"
#: what a placeholder may hold, by its name; anything at all where it is not here
_SHAPES: Final[Mapping[str, str]] = {
    "day": _DAY, "first": _DAY, "time": r"\d\d:\d\d", "count": _NUMBER, "most": _NUMBER, "of": _NUMBER, "year": _NUMBER,
    "amount": _AMOUNT, "least": _AMOUNT, "owed": _AMOUNT, "sum": rf"{_AMOUNT}(?: [A-Z]{{3}})?", "span": r"\d+(?:\.\d+)?[dh]",
    "message": r"M\d+", "value": r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "weekday": "|".join(DAYS),
    "start": rf"(?:{'|'.join(day[:3] for day in DAYS)}) \d+ (?:{'|'.join(MONTHS)}) \d\d:\d\d",
    "period": r"\d{4}(?:-(?:\d\d(?:-\d\d)?|W\d\d|Q\d))?", "model": r"[^\s:;()]+", "step": r"[^()]+", "field": r"[\w.-]+|\[[^\]]+\]",
    "cap": r"\d+ per \S+", "when": r"due(?: [+-] \d+d)?|previous(?: \+ \d+d)?|on [a-z]+",
}  # fmt: skip
#: placeholders whose words are looked up in their turn, by the ids of the entries that may say them
PARTS: Final[Mapping[str, str]] = {
    "reason": "reason.", "why": "why.", "cap": "cap.", "kind": "kind_of.", "state": "said.", "when": "when.", "field": "field.", "noun": "field.",
}  # fmt: skip
#: placeholders that hold one of the words of their entries, and nothing else
_WORDS: Final = frozenset({"kind", "state", "noun"})
#: what is longer is no reason of ours, and looking it up would take long
_LONGEST: Final = 1000
_PLACED = re.compile(r"(.+) \(([^()]*:\d+)\)", re.DOTALL)
_BRACKETS = re.compile(r"(.+) \(([^()]*)\)", re.DOTALL)


class _Entry(NamedTuple):
    name: str
    shape: re.Pattern[str]


@cache
def _entries(prefix: str) -> tuple[_Entry, ...]:
    """The English texts whose ids begin so, as patterns; those with the most words of their own first."""
    found = []
    for name, texts in catalogue("en").items():
        if name.startswith(prefix):
            pieces = list(string.Formatter().parse(texts[0]))
            shape = "".join(re.escape(words) + (f"(?P<{hole}>{_shape(hole)})" if hole else "") for words, hole, _, _ in pieces)
            found.append((-sum(len(words) for words, *_ in pieces), _Entry(name, re.compile(shape, re.DOTALL))))
    return tuple(entry for _, entry in sorted(found, key=lambda each: each[0]))


def _shape(hole: str) -> str:
    if hole in _WORDS:
        return "|".join(re.escape(text) for name, (text, *_) in catalogue("en").items() if name.startswith(PARTS[hole]))
    return _SHAPES.get(hole, ".+?")


@lru_cache(maxsize=4096)
def reason(locale: str, text: str) -> str:
    """``text``, a reason in English, in the language of ``locale`` and with its dates and numbers; as it is where nobody knows it."""
    if len(text) > _LONGEST:
        return text
    return _told(language_of(locale), "reason.", text) or text


def _told(lang: Language, prefix: str, text: str) -> str | None:
    """A reason, or a part of one; None where no entry has its words."""
    if (placed := _PLACED.fullmatch(text)) is not None:
        # "clientes.csv:12" stands behind reasons of any kind
        inner = _told(lang, prefix, placed[1])
        return f"{inner} ({placed[2]})" if inner is not None else None
    for entry in _entries(prefix):
        found = entry.shape.fullmatch(text)
        if found is not None:
            return lang.text(entry.name, **{hole: _said(lang, hole, words) for hole, words in found.groupdict().items()})
    if (placed := _BRACKETS.fullmatch(text)) is not None and (inner := _told(lang, prefix, placed[1])) is not None:
        return f"{inner} ({placed[2]})"
    return None


def _said(lang: Language, hole: str, words: str) -> str:
    """What one placeholder held, for people of another language."""
    if (prefix := PARTS.get(hole)) is not None:
        # of customer.first_name people know the end
        last = words.rpartition(".")[2] if hole == "field" else words
        told = _told(lang, prefix, last)
        return words if told is None or told == last else told
    printer = _PRINTERS.get(hole)
    try:
        return words if printer is None else printer(lang, words)
    except ValueError:
        return words  # figures in the shape of a date that no calendar has


def _day(lang: Language, words: str) -> str:
    moment = dt.datetime.fromisoformat(words)
    return lang.datetime(moment) if " " in words else lang.date(moment.date())


def _sum(lang: Language, words: str) -> str:
    amount, _, currency = words.partition(" ")
    return lang.money(Decimal(amount), currency) if currency else lang.amount(Decimal(amount))


def _start(lang: Language, words: str) -> str:
    weekday, day, month, clock = words.split()
    named = lang.weekday([each[:3] for each in DAYS].index(weekday), short=True)
    # it has no year, and needs none: a leap year has every day
    return f"{named} {lang.short_day(dt.date(2000, MONTHS.index(month) + 1, int(day)))} {lang.time(dt.time.fromisoformat(clock))}"


def _period(lang: Language, words: str) -> str:
    if "W" in words:
        year, _, week = words.partition("-W")
        return lang.text("page.week", week=int(week), year=year)
    if "Q" in words:
        year, _, quarter = words.partition("-Q")
        return lang.quarter(dt.date(int(year), 3 * int(quarter) - 2, 1))
    if len(words) == len("2026-11"):
        return lang.month(dt.date.fromisoformat(f"{words}-01"))
    return words if len(words) == len("2026") else lang.date(dt.date.fromisoformat(words))


_PRINTERS: Final[Mapping[str, Callable[[Language, str], str]]] = {
    "day": _day, "first": _day, "sum": _sum, "start": _start, "period": _period,
    "time": lambda lang, words: lang.time(dt.time.fromisoformat(words)),
    "weekday": lambda lang, words: lang.weekday(DAYS.index(words)),
    "span": lambda lang, words: lang.length(float(words[:-1]) * (dt.timedelta(days=1) if words.endswith("d") else dt.timedelta(hours=1))),
    **dict.fromkeys(("count", "most"), lambda lang, words: lang.number(int(words))),
    **dict.fromkeys(("amount", "least", "owed"), lambda lang, words: lang.amount(Decimal(words))),
}  # fmt: skip
