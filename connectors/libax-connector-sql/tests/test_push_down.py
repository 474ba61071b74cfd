"""What the database selects is what the engine would have selected: more may come than asked, never fewer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from libax_connector_sql import SqlSource

import libax_automate as ax
from libax_automate.engine.select import dated, matches

LISBON = ZoneInfo("Europe/Lisbon")
#: around both changes of the clock, the turn of the year, a leap day
_EDGES = [datetime(2026, 3, 29, 0, 30), datetime(2026, 10, 25, 0, 30), datetime(2026, 12, 31, 23, 30), datetime(2028, 2, 29, 12)]
_FORMS = ("%Y-%m-%d", "%d/%m/%Y", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S+02:00", "%Y-%m-%dT%H:%M:%SZ", "%d-%m-%Y %H:%M")


def _moments(chance: random.Random, count: int) -> list[datetime]:
    return [chance.choice(_EDGES) + timedelta(minutes=chance.randrange(-2000, 2000)) for _ in range(count)]


def _queries(chance: random.Random, fields: tuple[str, ...]) -> list[ax.Query]:
    found = [ax.Query(ids=frozenset(str(chance.randrange(300)) for _ in range(40)))]
    for field in fields:
        for moment in _moments(chance, 6):
            day = moment.date()
            found += [
                ax.Query(since=ax.Since(field, moment.replace(tzinfo=UTC))),
                ax.Query(span=ax.Span(field, day, day + timedelta(days=chance.randrange(3)))),
                ax.Query(span=ax.Span(field, None, day)),
                ax.Query(anniversary=ax.Anniversary(field, frozenset({(day.month, day.day)}))),
            ]
    return found


def _selected(rows: Iterable[ax.Record | ax.BadRow], query: ax.Query) -> list[str]:
    copies = [ax.Record(row.entity, dict(row), problems=row.problems) for row in rows if isinstance(row, ax.Record)]
    read = [dated(query, row, LISBON) for row in copies]
    return sorted(row.id for row in read if isinstance(row, ax.Record) and matches(query, row, LISBON))


def test_nothing_that_matches_is_lost(write: Callable[..., None], source: Callable[..., SqlSource], database: sa.URL) -> None:
    """Dates, times with and without a zone, and texts in many forms; ids that are numbers, texts, decimals."""
    chance = random.Random(4711)
    zoned = "TIMESTAMP WITH TIME ZONE" if database.get_backend_name() == "postgresql" else "TEXT"
    for kind in ("INTEGER", "TEXT", "NUMERIC(10, 0)"):
        write(
            "DROP TABLE IF EXISTS c",
            f"CREATE TABLE c (id {kind}, birth_date DATE, created_at TIMESTAMP, changed_at {zoned}, renewal {zoned}, told TEXT)",
        )
        rows: list[dict[str, Any]] = []
        for number, (one, two, three, four, five) in enumerate(zip(*(_moments(chance, 300) for _ in range(5)), strict=True)):
            rows.append({
                "id": str(number) if kind == "TEXT" else number,
                "birth_date": one.date().isoformat(),
                "created_at": two.isoformat(" "),
                "changed_at": three.isoformat() + "+00:00",
                "renewal": four.isoformat() + "+03:00",
                "told": None if number % 17 == 0 else five.strftime(chance.choice(_FORMS)),
            })  # fmt: skip
        names = ("id", "birth_date", "created_at", "changed_at", "renewal", "told")

        def literal(value: Any) -> str:
            return "NULL" if value is None else str(value) if isinstance(value, int) else f"'{value}'"

        values = ", ".join("(" + ", ".join(literal(row[name]) for name in names) + ")" for row in rows)
        engine = sa.create_engine(database, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO c VALUES {values}")
        connector = source(contacts="SELECT * FROM c")
        everybody = list(connector.fetch("contacts", ax.Query()))
        fields = ("birth_date", "created_at", "changed_at", "renewal", "told") if kind == "INTEGER" else ()
        some = 0
        for query in _queries(chance, fields):
            wanted = _selected(everybody, query)
            assert _selected(connector.fetch("contacts", query), query) == wanted, query
            some += bool(wanted)
        assert some > len(fields) * 10 or some == 1


def test_most_of_what_is_not_asked_for_stays_in_the_database(
    write: Callable[..., None], source: Callable[..., SqlSource], database: sa.URL
) -> None:
    """Or pushing down would be for nothing."""
    days = [date(1990, 1, 1) + timedelta(days=number) for number in range(1000)]
    write("CREATE TABLE c (id INTEGER, birth_date DATE)")
    write("INSERT INTO c VALUES " + ", ".join(f"({number}, '{day}')" for number, day in enumerate(days)))
    connector = source(contacts="SELECT * FROM c")
    queries = [
        (ax.Query(anniversary=ax.Anniversary("birth_date", frozenset({(12, 24)}))), 2),
        (ax.Query(span=ax.Span("birth_date", days[10], days[12])), 3),
        (ax.Query(ids=frozenset({"1", "2", "x"})), 2),
    ]
    for query, count in queries:
        assert sum(1 for _ in connector.fetch("contacts", query)) == count
