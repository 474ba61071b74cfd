"""Passing over the rows that nobody asked for, before they cost anything: one look at one value, remembered by the value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from libax_automate.normalise import Canonical
from libax_automate.record import ENTITIES, FieldType, Query

#: values whose verdict is remembered
_KEPT = 1 << 16
_DATED = frozenset({FieldType.DATE, FieldType.INSTANT})


def sieve(query: Query, canonical: Canonical, timezone: str) -> tuple[str, Callable[[Any], bool]] | None:
    """The field that ``query`` selects by most sharply, and what says of a source's value of it whether its row may match.

    None where nothing can be told from one value. A value that cannot be read is kept: the engine names it. More may come through than
    was asked, never fewer.
    """
    if query.ids is not None:
        ids = query.ids
        return "id", lambda value: value is not None and str(value).strip() in ids
    known = ENTITIES.get(canonical.entity, {})
    zone = ZoneInfo(timezone)
    tests: list[tuple[str, Callable[[date], bool]]] = []
    if (wanted := query.anniversary) is not None:
        days = wanted.days
        tests.append((wanted.field, lambda value: (_day(value, zone).month, _day(value, zone).day) in days))
    if (span := query.span) is not None:
        first, last = span.first or date.min, span.last or date.max
        tests.append((span.field, lambda value: first <= _day(value, zone) <= last))
    if (since := query.since) is not None:
        after, edge = since.after, since.after.astimezone(zone).date()
        tests.append((since.field, lambda value: value > after if isinstance(value, datetime) else value >= edge))
    for field, test in tests:
        if field in known and known[field].type in _DATED:
            return field, _remembering(canonical.converter(field), test)
    return None


def _day(value: date, zone: ZoneInfo) -> date:
    return value.astimezone(zone).date() if isinstance(value, datetime) else value


def _remembering(convert: Callable[[Any], Any], test: Callable[[date], bool]) -> Callable[[Any], bool]:
    verdicts: dict[Any, bool] = {}

    def keeps(value: Any) -> bool:
        try:
            return verdicts[value]
        except KeyError:
            pass
        except TypeError:  # a list or a table: no date, and no key
            return True
        if value is None or not str(value).strip():
            return False
        try:
            verdict = test(convert(value))
        except (ValueError, TypeError, OverflowError):
            verdict = True
        if len(verdicts) >= _KEPT:
            verdicts.clear()
        verdicts[value] = verdict
        return verdict

    return keeps
