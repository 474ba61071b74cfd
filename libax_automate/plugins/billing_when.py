"""When a step of a ladder is due: ``due - 3d``, ``previous + 5d``, ``on paid``; in calendar days, or in business days of a country."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

#: statuses that an invoice takes once, and that a step may be about
EVENTS = ("paid", "cancelled", "renegotiated")

_WHEN = re.compile(r"(?P<anchor>due|previous)(?:\s*(?P<sign>[+-])\s*(?P<count>\d{1,4})\s*(?P<unit>[dw]))?|on\s+(?P<event>[a-z]+)")
_DAY = timedelta(days=1)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class When:
    """``anchor`` is ``due``, ``previous`` or ``event``; ``days`` counts from it, back where it is below zero."""

    anchor: str
    days: int = 0
    event: str = ""

    def __str__(self) -> str:
        if self.event:
            return f"on {self.event}"
        return f"{self.anchor} {'-' if self.days < 0 else '+'} {abs(self.days)}d" if self.days else self.anchor


def when_of(text: str) -> When:
    """Read a moment as profiles write it; raises ValueError that says how."""
    found = _WHEN.fullmatch(" ".join(text.split()).lower())
    if found is None:
        raise ValueError(f'{text[:40]!r} is no moment: write "due - 3d", "due + 2d", "previous + 5d" or "on paid"')
    if (event := found["event"]) is not None:
        if event not in EVENTS:
            raise ValueError(f"{event[:40]!r} is no event: write on {', on '.join(EVENTS)}")
        return When("event", event=event)
    days = int(found["count"] or 0) * (7 if found["unit"] == "w" else 1)
    if found["sign"] == "-":
        days = -days
    if found["anchor"] == "previous" and days < 0:
        raise ValueError("no step comes before the previous one: write previous + 5d")
    return When(found["anchor"], days)


def holidays_of(country: str, subdivision: str | None) -> Any:
    """The public holidays of a country or of a part of it, a set of dates that fills itself year by year; raises ValueError."""
    import holidays

    try:
        return holidays.country_holidays(country.upper(), subdiv=subdivision)
    except Exception as error:  # its way to say that it knows no such place
        raise ValueError(str(error)) from None


class Days:
    """Counts days: all of them, or those that are neither weekend, nor holiday, nor ``closed``."""

    def __init__(self, *, business: bool, country: str | None = None, subdivision: str | None = None, closed: Iterable[date] = ()) -> None:
        self._business = business
        self._closed = frozenset(closed)
        self._holidays: Any = holidays_of(country, subdivision) if business and country else ()
        self._known: dict[tuple[date, int], date] = {}

    def works(self, day: date) -> bool:
        """Whether business is done on ``day``."""
        return day.weekday() < _SATURDAY and day not in self._closed and day not in self._holidays

    def shift(self, day: date, count: int) -> date:
        """``count`` days after ``day`` (before it, below zero); of business days, ``day`` itself or the next one where ``count`` is 0."""
        if not self._business:
            return day + timedelta(days=count)
        found = self._known.get((day, count))
        if found is None:
            found = self._known[day, count] = self._count(day, count)
        return found

    def _count(self, day: date, count: int) -> date:
        if count == 0:
            while not self.works(day):
                day += _DAY
            return day
        step = _DAY if count > 0 else -_DAY
        left = abs(count)
        while left:
            day += step
            left -= self.works(day)
        return day
