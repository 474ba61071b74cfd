"""Weekdays, month days and months as people write them, in English and Portuguese: ``1-5``, ``seg-sex``, ``all``, ``Todos``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import time
from difflib import get_close_matches
from typing import Any

from libax_automate.engine.profile.span import time_of

_ALL = frozenset({"", "*", "all", "every", "todos", "todas", "any"})
#: a dash, or the Portuguese "seg a sex"
_RANGE = re.compile(r"\s*[-\u2013\u2014]\s*|\s+(?:a|ate|to)\s+")
#: the least length at which a prefix of a full name is taken for it
_SHORT = 3


def _names(*rows: str) -> dict[str, int]:
    return {name: number for number, row in enumerate(rows, 1) for name in row.split()}


_WEEKDAYS = _names(
    "monday segunda", "tuesday terca", "wednesday quarta", "thursday quinta", "friday sexta", "saturday sabado", "sunday domingo"
)  # fmt: skip
_MONTHS = _names(
    "january janeiro", "february fevereiro", "march marco", "april abril", "may maio", "june junho", "july julho", "august agosto",
    "september setembro", "october outubro", "november novembro", "december dezembro",
)  # fmt: skip


def weekdays_of(value: Any) -> frozenset[int] | None:
    """Weekdays, 1 = Monday … 7 = Sunday; None = all (IB-14, IB-16). A reversed range wraps: ``6-1`` is Saturday to Monday."""
    return _numbers(value, 7, _WEEKDAYS, "weekday", "1 = Monday … 7 = Sunday, or mon … sun, seg … dom")


def monthdays_of(value: Any) -> frozenset[int] | None:
    """Days of the month, 1 … 31; None = all (IB-14)."""
    return _numbers(value, 31, {}, "day of the month", "1 … 31")


def months_of(value: Any) -> frozenset[int] | None:
    """Months, 1 … 12; None = all (IB-15)."""
    return _numbers(value, 12, _MONTHS, "month", "1 … 12, or jan … dec, jan … dez")


def report_of(text: str) -> tuple[int, time]:
    """When the weekly report leaves: ``mon 08:00``, ``seg 08:00`` -> (1, 08:00)."""
    day, _, hour = text.strip().partition(" ")
    days = weekdays_of(day) if day else None
    if not hour or days is None or len(days) != 1:
        raise ValueError('the report needs one weekday and a time, such as "mon 08:00"')
    return next(iter(days)), time_of(hour.strip())


def _numbers(value: Any, high: int, names: Mapping[str, int], noun: str, legend: str) -> frozenset[int] | None:
    found: set[int] = set()
    for part in _parts(value, noun):
        if part in _ALL:
            return None
        ends = [_number(end, high, names, noun, legend) for end in _RANGE.split(part)]
        if len(ends) > 2:
            raise ValueError(f'{part[:40]!r} is no range of {noun}s: write two ends with a dash, such as "1-5"')
        first, last = ends[0], ends[-1]
        if first <= last:
            found.update(range(first, last + 1))
        else:
            found.update(range(first, high + 1), range(1, last + 1))
    if not found:
        raise ValueError(f'no {noun} is named: the model would never run ({legend}, or "all")')
    return None if len(found) == high else frozenset(found)


def _parts(value: Any, noun: str) -> Iterable[str]:
    if isinstance(value, str):
        # "segunda-feira" has a dash that is no range
        return [part.strip() for part in _plain(value).replace("-feira", "").split(",")]
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(value)]
    if isinstance(value, list):
        return [part for item in value if not isinstance(item, list) for part in _parts(item, noun)]
    raise ValueError(f'{noun}s are written as numbers, ranges or names: "1-5", "1,3,5", [1, 3], "all"')


def _number(text: str, high: int, names: Mapping[str, int], noun: str, legend: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 2:
        number = int(text)
    else:
        hits = {number for name, number in names.items() if len(text) >= _SHORT and name.startswith(text)}
        if len(hits) != 1:
            near = get_close_matches(text, names, 1)
            raise ValueError(f"{text[:40]!r} is no {noun}" + (f", did you mean {near[0]!r}?" if near else f" ({legend})"))
        number = hits.pop()
    if not 1 <= number <= high:
        raise ValueError(f"{number} is no {noun} ({legend})")
    return number


def _plain(text: str) -> str:
    """Lower case without accents: ``Sáb`` -> ``sab``."""
    return "".join(char for char in unicodedata.normalize("NFKD", text.strip().lower()) if not unicodedata.combining(char))
