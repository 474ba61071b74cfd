"""What a query asks for, as bound values and as conditions around the profile's own SQL.

A condition is put only on a column whose type makes it safe: more may come than asked, never fewer, and the engine looks again.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

import libax_automate as ax

_DAY = timedelta(days=1)
#: PostgreSQL's type numbers (pg_type.dat) and MySQL's (enum_field_types)
_POSTGRESQL = {1082: "date", 1114: "naive", 1184: "aware", 20: "int", 21: "int", 23: "int", 25: "text", 1043: "text"}
_MYSQL = {10: "date", 14: "date", 7: "naive", 12: "naive", 1: "int", 2: "int", 3: "int", 8: "int", 9: "int", 253: "text", 254: "text"}
#: drivers that answer Python's types, such as pyodbc
_PYTHON: dict[Any, str] = {date: "date", datetime: "naive", int: "int", str: "text"}


def kind_of(database: str, code: Any) -> str:
    """``date``, ``naive``, ``aware``, ``int``, ``text``; ``loose`` where columns have no type; "" where it is not known."""
    if database == "sqlite":
        return "loose"
    if database == "postgresql":
        return _POSTGRESQL.get(code, "")
    if database in {"mysql", "mariadb"}:
        return _MYSQL.get(code, "")
    return _PYTHON.get(code, "") if isinstance(code, type) else ""


def bound(sql: str, names: Iterable[str], database: str) -> sa.TextClause:
    """``sql`` with its ``:names`` typed, so that a NULL has a type too."""
    types: dict[str, sa.types.TypeEngine[Any]] = {
        "since": sa.DateTime(timezone=True) if database == "postgresql" else sa.DateTime(),
        "since_utc": sa.DateTime(),
        "since_day": sa.Date(),
        "first": sa.Date(),
        "last": sa.Date(),
    }
    if database == "sqlite":  # text, to the second, as people and programs write it
        types = {}
    # what is put around it must not end up in a comment of its last line
    return sa.text(f"{sql}\n" if "--" in sql else sql).bindparams(
        *(sa.bindparam(name, type_=types.get(name, sa.String())) for name in names)
    )


def values(names: Iterable[str], query: ax.Query, database: str, zone: ZoneInfo) -> dict[str, Any]:
    """What ``query`` gives for the names that a query mentions; None for what it does not ask."""
    given: dict[str, Any] = {}
    if query.since is not None:
        local = query.since.after.astimezone(zone)
        given["since"] = query.since.after if database == "postgresql" else local.replace(tzinfo=None)
        given["since_utc"] = query.since.after.astimezone(UTC).replace(tzinfo=None)
        given["since_day"] = local.date()
    if query.span is not None:
        given["first"], given["last"] = query.span.first, query.span.last
    if query.anniversary is not None:
        given["month_days"] = _listed(f"{month:02}-{day:02}" for month, day in query.anniversary.days)
    if query.ids is not None:
        given["ids"] = _listed(query.ids)
    if database == "sqlite":
        given = {name: _text(value) for name, value in given.items()}
    return {name: given.get(name) for name in names}


def _listed(parts: Iterable[str]) -> str:
    return f",{','.join(sorted(parts))},"


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    return value.isoformat() if isinstance(value, date) else value


class Conditions:
    """Writes conditions for the columns of one query; ``columns`` maps a field to its column's name and kind."""

    def __init__(self, columns: Mapping[str, tuple[str, str]], dates: frozenset[str], zone: ZoneInfo) -> None:
        self._columns = columns
        #: fields that are dates as they are written; in others a text may be an instant of another zone, a day off the local one
        self._dates = dates
        self._zone = zone

    def of(self, query: ax.Query, mentioned: frozenset[str]) -> Iterator[sa.ColumnElement[bool]]:
        """The conditions for ``query``, but for what the SQL itself takes as bound values."""
        if query.ids is not None and "ids" not in mentioned and "id" in self._columns:
            yield self._ids(query.ids)
        if query.anniversary is not None and "month_days" not in mentioned:
            yield from self._anniversary(query.anniversary)
        if query.span is not None and not mentioned & {"first", "last"}:
            yield from self._between(query.span.field, query.span.first, query.span.last)
        if query.since is not None and not mentioned & {"since", "since_utc", "since_day"}:
            yield from self._since(query.since)

    def _column(self, field: str) -> tuple[sa.ColumnElement[Any], str]:
        name, kind = self._columns.get(field, ("", ""))
        return sa.column(name), kind

    def _ids(self, ids: frozenset[str]) -> sa.ColumnElement[bool]:
        column, kind = self._column("id")
        numbers = [int(text) for text in ids if text.isascii() and text.isdigit() and len(text) < 19]
        if kind == "int":
            return column.in_(numbers)
        if kind == "loose":  # a column without a type holds numbers as numbers and text as text
            return sa.or_(column.in_(sorted(ids)), column.in_(numbers))
        if kind != "text":
            column = sa.cast(column, sa.String(255))
        return column.in_(sorted(ids))

    def _anniversary(self, wanted: ax.Anniversary) -> Iterator[sa.ColumnElement[bool]]:
        column, kind = self._column(wanted.field)
        days = _wider(wanted.days) if kind == "loose" and wanted.field not in self._dates else wanted.days
        if len(days) > 60:
            return
        if kind == "loose":
            texts = [f"{month:02}-{day:02}" for month, day in sorted(days)]
            # a day without its zero before a time: 1980-12-5 10:00
            texts += [f"{month:02}-{day}{sign}" for month, day in sorted(days) if day < 10 for sign in " T"]
            shape = sa.not_(column.op("GLOB")("????-??-??*"))  # NULL for NULL; half the price of looking at every digit
            yield sa.or_(sa.func.substr(column, 6, 5).in_(texts), shape)
        elif kind in {"date", "naive", "aware"}:
            month, day = sa.extract("month", column), sa.extract("day", column)
            months: dict[int, list[int]] = {}
            for number, of_month in sorted(days):
                months.setdefault(number, []).append(of_month)
            yield sa.or_(*(sa.and_(month == number, day.in_(some)) for number, some in months.items()))

    def _between(self, field: str, first: date | None, last: date | None) -> Iterator[sa.ColumnElement[bool]]:
        column, kind = self._column(field)
        if kind not in {"date", "naive", "aware", "loose"}:
            return
        if kind == "loose" and field not in self._dates:
            first = first - _DAY if first and first > date.min else first
            last = last + _DAY if last and last < date.max - _DAY else last
        end = last + _DAY if last and last < date.max else None
        tests: list[sa.ColumnElement[bool]] = []
        for edge, below in ((first, False), (end, True)):
            if edge is not None:
                bound_ = sa.literal(edge.isoformat(), sa.String()) if kind == "loose" else sa.literal(edge, sa.Date())
                tests.append(column < bound_ if below else column >= bound_)
        if tests:
            yield sa.or_(sa.and_(*tests), self._odd(column)) if kind == "loose" else sa.and_(*tests)

    def _since(self, wanted: ax.Since) -> Iterator[sa.ColumnElement[bool]]:
        column, kind = self._column(wanted.field)
        if kind == "aware":
            yield column > sa.literal(wanted.after, sa.DateTime(timezone=True))
        elif kind == "naive":
            # local time says nothing in the hour that a change of the clock repeats
            edge = wanted.after.astimezone(self._zone).replace(tzinfo=None) - timedelta(hours=1)
            yield column > sa.literal(edge, sa.DateTime())
        else:
            yield from self._between(wanted.field, wanted.after.astimezone(self._zone).date(), None)

    def _odd(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """SQLite keeps dates as text: what is not written 2026-11-20 comes along, to be read and named by the engine."""
        return sa.and_(column.is_not(None), sa.not_(column.op("GLOB")("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*")))


def _wider(days: frozenset[tuple[int, int]]) -> set[tuple[int, int]]:
    """The days, and those beside them."""
    found = set(days)
    for month, day in days:
        length = calendar.monthrange(2024, month)[1]
        found.add((month, day - 1) if day > 1 else ((month - 2) % 12 + 1, calendar.monthrange(2024, (month - 2) % 12 + 1)[1]))
        found.add((month, day + 1) if day < length else (month % 12 + 1, 1))
    found |= {(2, 28)} if (3, 1) in days else set()
    return found | ({(3, 1)} if (2, 28) in days else set())
