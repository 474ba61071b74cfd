"""The ``sql`` source: one query per entity, its rows as canonical records."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import libax_automate as ax
from libax_automate.normalise import Canonical, heading_of
from libax_automate.record import ENTITIES, FieldType
from libax_connector_sql.options import SqlOptions, binds_of

if TYPE_CHECKING:
    from libax_connector_sql.database import Database
    from libax_connector_sql.selection import Conditions

#: ids in one statement; SQL Server takes 2,100 values, SQLite 32,766
_IDS = 500
#: how SQLite tells a second column of one name
_TWICE = re.compile(r".+:\d+")


class _Plan:
    """One entity's query, asked for its columns once: how its rows become records, and what can be put around it."""

    def __init__(
        self,
        entity: str,
        sql: str,
        columns: Sequence[tuple[str, str]],
        given: Mapping[str, str],
        *,
        wraps: bool,
        place: ax.Place,
        country: str,
    ) -> None:
        from libax_connector_sql.selection import Conditions

        self.entity, self.sql, self.wraps = entity, sql, wraps
        self.names = tuple(name for name, _ in columns)
        self.binds = binds_of(sql)
        self._app = place.app
        self.zone = ZoneInfo(place.timezone)
        self._keys = _keys(entity, self.names, given)
        self._flat = tuple((index, key) for index, key in enumerate(self._keys) if "." not in key)
        known = ENTITIES.get(entity, {})
        self._own = tuple(index for index, key in self._flat if key not in known)
        self._canonical = Canonical(entity, country=country, timezone=place.timezone)
        #: relation → its columns and what makes a record of them
        self._nested: dict[str, tuple[list[tuple[int, str]], Canonical]] = {}
        for index, key in enumerate(self._keys):
            relation, dot, field = key.partition(".")
            if dot:
                if relation not in self._nested:
                    other = known[relation].entity if relation in known else relation
                    self._nested[relation] = ([], Canonical(other, country=country, timezone=place.timezone))
                self._nested[relation][0].append((index, field))
        dates = frozenset(name for name, field in known.items() if field.type is FieldType.DATE)
        by_key = {key: column for key, column in zip(self._keys, columns, strict=True) if "." not in key}
        self.conditions: Conditions = Conditions(by_key, dates, self.zone)

    @cached_property
    def fields(self) -> frozenset[str]:
        """What a record has: the columns, and what is derived from them."""
        names = {key.partition(".")[0] for key in self._keys}
        known = ENTITIES.get(self.entity, {})
        if "first_name" in known and names & {"name", "first_name", "last_name"}:
            names |= {"name", "first_name", "last_name"}
        if "balance" in known and "amount" in names:
            names.add("balance")
        return frozenset(names)

    @cached_property
    def relations(self) -> Mapping[str, str]:
        """The columns that hold the id of another entity's record → that entity."""
        known = ENTITIES.get(self.entity, {})
        return {
            key: known[key].entity
            for _, key in self._flat
            if key in known and known[key].type is FieldType.RECORD and key not in self._nested
        }

    def record(self, row: Sequence[Any], number: int) -> ax.Record | ax.BadRow:
        """The row in canonical fields."""
        values = {key: row[index] for index, key in self._flat}
        for index in self._own:
            value = row[index]
            if isinstance(value, datetime) and value.tzinfo is None:
                values[self._keys[index]] = value.replace(tzinfo=self.zone)
        name = values["id"]
        if name is None or name == "":
            return ax.BadRow(f"{self._app} {self.entity} row {number}", self.names[self._keys.index("id")], "has no id")
        for relation, (columns, canonical) in self._nested.items():
            other = {field: row[index] for index, field in columns}
            if relation in values:
                other.setdefault("id", values[relation])
            related = any(value is not None for value in other.values())
            values[relation] = canonical(other, where=f"{self._app} {self.entity} {name}") if related else None
        return self._canonical(values, raw=dict(zip(self.names, row, strict=True)), where=f"{self._app} {self.entity} {name}")


def _keys(entity: str, names: Sequence[str], given: Mapping[str, str]) -> list[str]:
    """The field that each column means; raises InputDataError where that is not clear."""
    folded = [name.casefold() for name in names]
    chosen: dict[int, str] = {}
    for field, column in given.items():
        if column.casefold() not in folded:
            raise ax.InputDataError(f"the query of {entity} has no column {column!r}", hint=f"it has: {', '.join(names)}")
        chosen[folded.index(column.casefold())] = field
    keys = []
    for index, name in enumerate(names):
        relation, dot, field = name.partition(".")
        key = f"{relation}.{field}" if dot else heading_of(entity, name)
        # a column that only sounds like a field gives way to the one that the profile names for it
        keys.append(chosen.get(index) or (f"{key}_2" if key in chosen.values() else key))
    for key in keys:
        if keys.count(key) > 1:
            both = ", ".join(repr(name) for name, other in zip(names, keys, strict=True) if other == key)
            raise ax.InputDataError(
                f"the query of {entity} has two columns for {key}: {both}", hint="give one of them another name with AS"
            )
    if "id" not in keys:
        raise ax.InputDataError(
            f"the query of {entity} has no column id: {', '.join(names)}", hint="name one: SELECT customer_no AS id, …; it tells rows apart"
        )
    return keys


class SqlSource(ax.Source[SqlOptions]):
    """Answers what the profile's queries select; the connection reads only, values are bound, rows stream.

    What a model asks for (a day's birthdays, what changed since, these ids) is put as conditions around the query where the columns'
    types allow it, or given to the ``:names`` that the query mentions itself.
    """

    name = "sql"
    title = "SQL databases: PostgreSQL, MySQL, MariaDB, SQL Server, Oracle, SQLite"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset({ax.Capability.SOURCE})
    credentials = (
        "Ask whoever runs the database for a user that may only read the tables or views of your queries.\n\n"
        "PostgreSQL: `CREATE ROLE automate LOGIN PASSWORD '…'; GRANT SELECT ON customers TO automate;`\n\n"
        'Keep the password outside the profile: `password = { env = "ERP_PASSWORD" }`.'
    )
    limits = "One connection per running model; each statement ends after timeout (60 s)."
    verified = "tested on SQLite and on a PostgreSQL 18 server"
    unverified: ClassVar[tuple[str, ...]] = (
        "MySQL, MariaDB, SQL Server and Oracle are written for by their documentation and were not tried on a server",
        "SQL Server and Oracle know no read-only session: there the user's rights are the guard (nothing is ever committed)",
    )

    def __init__(self, options: SqlOptions, place: ax.Place | None = None) -> None:
        super().__init__(options, place)
        self._database: Database | None = None
        self._plans: dict[str, _Plan] = {}

    def close(self) -> None:
        """Close the connections; safe twice."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def secrets(self) -> Sequence[str]:
        """The password inside the URL, as it is written and as it is meant."""
        from urllib.parse import unquote, unquote_plus

        user, at, _ = self.options.place.partition("://")[2].rpartition("@")
        written = user.partition(":")[2] if at else ""
        return sorted({written, unquote(written), unquote_plus(written)} - {""})

    def entities(self) -> Sequence[str]:
        """The entities that the profile has a query for."""
        return tuple(self.options.queries)

    def check(self) -> None:
        """The database answers, and every query has the columns it should."""
        for entity in self.entities():
            self._plan(entity)

    def fields(self, entity: str) -> frozenset[str] | None:
        """The columns of a query that was asked already; before that nobody knows them without a connection."""
        plan = self._plans.get(entity)
        return plan.fields if plan is not None else None

    def changed_since(self, entity: str) -> bool:
        """Through the query's own ``:since``, or as a condition around it."""
        sql = self.options.queries.get(entity, "")
        return self.options.push_down or bool(binds_of(sql) & {"since", "since_utc", "since_day"})

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        """The rows of ``entity``'s query that match, as far as the database can tell; ids of other entities become their records."""
        plan = self._plan(entity)
        relations = {key: other for key, other in plan.relations.items() if other in self.options.queries and other != entity}
        with closing(self._batches(plan, query)) as batches:
            for rows in batches:
                for key, other in relations.items():
                    self._relate([row for row in rows if isinstance(row, ax.Record)], key, self._plan(other))
                yield from rows

    def _batches(self, plan: _Plan, query: ax.Query) -> Generator[list[ax.Record | ax.BadRow], None, None]:
        from libax_connector_sql import selection

        database = self._opened()
        ids = sorted(query.ids) if query.ids is not None else []
        parts = [replace(query, ids=frozenset(ids[at : at + _IDS])) for at in range(0, len(ids), _IDS)] if ids else [query]
        for part in parts if query.ids is None or ids else []:
            statement = selection.bound(plan.sql, plan.binds, database.name)
            values = selection.values(plan.binds, part, database.name, plan.zone)
            conditions = list(plan.conditions.of(part, plan.binds)) if plan.wraps else []
            with database.reading(plan.entity) as reading:
                number = 0
                asked = _around(statement, *conditions) if conditions else statement
                # a reader that stops early leaves no cursor open on the server
                with closing(reading.stream(asked, values, self.options.batch)) as stream:
                    if tuple(name for name, _ in stream.columns) != plan.names:
                        self._plans.pop(plan.entity, None)
                        raise ax.InputDataError(f"the columns of {plan.entity} changed while it was read", hint="run it again")
                    for rows in stream.batches(self.options.batch):
                        yield [plan.record(row, number) for number, row in enumerate(rows, number + 1)]
                        number += len(rows)

    def _relate(self, records: list[ax.Record], key: str, plan: _Plan) -> None:
        """Put the records that ``key`` names in place of their ids, with one more statement for the batch."""
        wanted = frozenset(str(record[key]) for record in records if record.get(key))
        if not wanted:
            return
        found: dict[str, ax.Record] = {}
        for rows in self._batches(plan, ax.Query(ids=wanted)):
            found.update((row.id, row) for row in rows if isinstance(row, ax.Record) and row.id in wanted)
        for record in records:
            if name := record.get(key):
                if name in found:
                    record[key] = found[name]
                else:
                    record.problems = {**record.problems, key: f"{name!r} is not among the {plan.entity}"}

    def _opened(self) -> Database:
        if self._database is None:
            from libax_connector_sql.database import Database

            password = self.options.password.get_secret_value() if self.options.password else None
            url, place = self.options.place, self.place
            self._database = Database(url, password=password, folder=place.folder, timeout=self.options.timeout, timezone=place.timezone)
        return self._database

    def _plan(self, entity: str) -> _Plan:
        plan = self._plans.get(entity)
        if plan is None:
            sql = self.options.queries.get(entity)
            if sql is None:
                raise ax.InputDataError(f"app {self.place.app!r} has no {entity}", hint=f"it has: {', '.join(self.entities())}")
            columns, wraps = self._ask(entity, sql)
            given, country = self.options.columns(entity), self.options.country or self.place.country
            plan = self._plans[entity] = _Plan(entity, sql, columns, given, wraps=wraps, place=self.place, country=country)
        return plan

    def _ask(self, entity: str, sql: str) -> tuple[list[tuple[str, str]], bool]:
        """The columns of ``sql``, and whether it may stand inside another query; no row is read."""
        import sqlalchemy as sa

        from libax_connector_sql import selection

        database = self._opened()
        binds = binds_of(sql)
        statement = selection.bound(sql, binds, database.name)
        values: dict[str, Any] = dict.fromkeys(binds)
        tries = [(_around(statement, sa.literal(1) == sa.literal(0)), True)] if self.options.push_down else []
        for asked, wraps in (*tries, (statement, False)):
            try:
                with database.reading(entity) as reading:
                    stream = reading.stream(asked, values, 1)
                    stream.close()
                names = [name for name, _ in stream.columns]
                if wraps and (len({name.casefold() for name in names}) < len(names) or any(_TWICE.fullmatch(name) for name in names)):
                    continue  # a condition could not say which of two columns it means
                return [(name, selection.kind_of(database.name, code)) for name, code in stream.columns], wraps
            except ax.SetupError:
                # SQL Server takes no ORDER BY and no WITH inside another query
                if not wraps:
                    raise
        raise AssertionError("the query itself was tried last")


def _around(statement: Any, *conditions: Any) -> Any:
    import sqlalchemy as sa

    return sa.select(sa.literal_column("*")).select_from(statement.columns().subquery("q")).where(*conditions)


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [SqlSource]
