"""The typed query, applied by the engine to what a source streams: sources push down what they can, and may answer more than was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from libax_automate.normalise import instant_of
from libax_automate.record import Anniversary, BadRow, Query, Record, Since, Span


def _day(value: Any, zone: ZoneInfo) -> date | None:
    """The local day of a date or an instant; None for what is neither."""
    if isinstance(value, datetime):
        return (value.astimezone(zone) if value.tzinfo else value).date()
    return value if isinstance(value, date) else None


def _anniversary(wanted: Anniversary, record: Record, zone: ZoneInfo) -> bool:
    day = _day(record.get(wanted.field), zone)
    return day is not None and (day.month, day.day) in wanted.days


def _span(wanted: Span, record: Record, zone: ZoneInfo) -> bool:
    day = _day(record.get(wanted.field), zone)
    return day is not None and (wanted.first is None or day >= wanted.first) and (wanted.last is None or day <= wanted.last)


def _since(wanted: Since, record: Record, zone: ZoneInfo) -> bool:
    value = record.get(wanted.field)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=zone)) > wanted.after
    # known only to the day: it may have been at any moment of it
    return isinstance(value, date) and value >= wanted.after.astimezone(zone).date()


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("id")
    return "" if value is None else str(value)


def _equals(field: str, allowed: frozenset[str], record: Record) -> bool:
    value = record.get(field)
    if isinstance(value, list | tuple | set | frozenset):
        return any(_plain(part) in allowed for part in value)
    return _plain(value) in allowed


def dated(query: Query, record: Record, zone: ZoneInfo) -> Record | BadRow:
    """``record`` with the dates that ``query`` selects by read, where they came as text (a source's own column, ``31/12/2026``).

    A text that is no date, or a word that means nothing in a field that is selected by, makes a BadRow: whoever is not selected for that
    reason is named, not passed over in silence.
    """
    for wanted in (query.anniversary, query.span, query.since):
        if wanted is None:
            continue
        value = record.get(wanted.field)
        if isinstance(value, str) and value:
            try:
                record[wanted.field] = instant_of(value, zone)
            except ValueError as error:
                return BadRow(record.where, wanted.field, str(error))
        elif value is None and (why := record.problem(wanted.field)) is not None:
            return BadRow(record.where, wanted.field, why)
    for field in query.equals:
        if record.get(field) is None and (why := record.problem(field)) is not None:
            return BadRow(record.where, field, why)
    return record


def matches(query: Query, record: Record, zone: ZoneInfo) -> bool:
    """Whether all that ``query`` asks holds for ``record``; ``zone`` tells the local day of instants.

    A field that is missing or None matches no date, and in ``equals`` is ``""``. A list matches ``equals`` when one item does; a related
    record stands for its id.
    """
    if query.ids is not None and record.id not in query.ids:
        return False
    if query.anniversary is not None and not _anniversary(query.anniversary, record, zone):
        return False
    if query.span is not None and not _span(query.span, record, zone):
        return False
    if query.since is not None and not _since(query.since, record, zone):
        return False
    return all(_equals(field, allowed, record) for field, allowed in query.equals.items())


def chooser(query: Query, zone: ZoneInfo) -> Callable[[Record], Record | BadRow | None] | None:
    """:func:`dated` and :func:`matches` in one, for many records, with nothing done that ``query`` does not ask for.

    Answers what says of a record: the record, what is wrong with it, or None where it is not meant; None where all records are meant.
    """
    dates = tuple(each.field for each in (query.anniversary, query.span, query.since) if each is not None)
    fields = (*dates, *query.equals)
    if not fields and query.ids is None:
        return None
    alone = query.anniversary if len(fields) == 1 and query.ids is None else None
    days = alone.days if alone is not None else frozenset[tuple[int, int]]()

    def slowly(record: Record) -> Record | BadRow | None:
        found = dated(query, record, zone)
        return found if isinstance(found, BadRow) or matches(query, found, zone) else None

    def choose(record: Record) -> Record | BadRow | None:
        for field in fields:
            value = record.get(field)
            if value is None or type(value) is str:
                return slowly(record)
        return record if matches(query, record, zone) else None

    def by_day(record: Record) -> Record | BadRow | None:
        value = record.get(dates[0])
        if type(value) is date:
            return record if (value.month, value.day) in days else None
        return slowly(record)

    return choose if alone is None else by_day
