"""The ``csv`` source: one file per entity, columns found by their headings."""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, model_validator

from libax_automate.connector import Capability, Connector, Place, Source
from libax_automate.errors import InputDataError
from libax_automate.hookspecs import hookimpl
from libax_automate.normalise import Canonical
from libax_automate.options import Options
from libax_automate.plugins.csv_dialect import Dialect, look, name_columns, open_lines
from libax_automate.plugins.csv_rows import Ids, Probe, Rows
from libax_automate.record import ENTITIES, BadRow, FieldType, Query, Record

_ENTITY = re.compile(r"[a-z][a-z0-9_]*")
_OWN = ("fields", "delimiter", "encoding", "country")
#: records kept of a related file
_KEPT = 4096


class CsvOptions(Options):
    """``contacts``, ``invoices`` or any other entity name: a CSV file, its path relative to the profile."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    # a mapping that pydantic checks too: every other key is an entity
    __pydantic_extra__: dict[str, str]

    contacts: str | None = Field(None, description="CSV file of the contacts; any other entity name (invoices, deals …) takes a file too")
    fields: dict[str, str | dict[str, str]] = Field(
        default_factory=dict,
        description='canonical field = "column heading"; with several entities one table each: fields.contacts = { email = "E-mail" }',
    )
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="what separates columns; found by looking where left out")
    encoding: str | None = Field(None, description="utf-8, cp1252 …; found by looking where left out")
    country: str | None = Field(
        None, pattern="^[A-Za-z]{2}$", description="ISO code for national telephone numbers; default: the profile's"
    )

    @property
    def files(self) -> dict[str, str]:
        """Entity → path as written."""
        own = {"contacts": self.contacts} if self.contacts is not None else {}
        return {**own, **(self.__pydantic_extra__ or {})}

    @model_validator(mode="after")
    def _is_whole(self) -> CsvOptions:
        files = self.files
        for entity, path in files.items():
            if entity not in ENTITIES and (near := difflib.get_close_matches(entity, _OWN, 1, 0.75)):
                raise ValueError(f"unknown option {entity!r}; did you mean {near[0]!r}?")
            if not _ENTITY.fullmatch(entity):
                raise ValueError(f"{entity!r} is not an entity name: use small letters, digits and _")
            if not path.strip():
                raise ValueError(f"{entity} names no file")
        if not files:
            raise ValueError('no file is named: write contacts = "clientes.csv"')
        nested = {key for key, value in self.fields.items() if isinstance(value, dict)}
        if nested and len(nested) != len(self.fields):
            raise ValueError("fields mixes columns and tables: write one table per entity")
        if self.fields and not nested and len(files) > 1:
            raise ValueError(f"fields must say which file it speaks of: fields.contacts = {{…}} (files: {', '.join(files)})")
        if unknown := nested - files.keys():
            raise ValueError(f"fields.{min(unknown)} has no file; files: {', '.join(files)}")
        return self

    def columns(self, entity: str) -> dict[str, str]:
        """Canonical field → column heading, as the profile says for ``entity``."""
        table = self.fields.get(entity) if any(isinstance(value, dict) for value in self.fields.values()) else self.fields
        return {key: value for key, value in table.items() if isinstance(value, str)} if isinstance(table, dict) else {}


class _Table:
    """One entity's file, looked at: how to read it and what its columns mean."""

    def __init__(self, entity: str, path: Path, shown: str, options: CsvOptions, place: Place) -> None:
        self.entity = entity
        self.path = path
        self.shown = shown
        self.dialect: Dialect = look(path, shown, encoding=options.encoding, delimiter=options.delimiter)
        self.keys, self.extra = name_columns(entity, self.dialect.header, options.columns(entity), shown)
        self.column = {key: index for index, key in enumerate(self.keys)} | dict(self.extra)
        self.canonical = Canonical(entity, country=options.country or place.country, timezone=place.timezone)
        self.zone = ZoneInfo(place.timezone)
        if not self.column.keys() & {"id", "number", "email", "mobile", "name", "first_name"}:
            raise InputDataError(
                f"{shown}:1 has no column that could name a row: no id, e-mail, mobile or name",
                hint=f'say which one does: fields = {{ id = "{self.dialect.header[0]}" }}',
            )

    def heading(self, field: str) -> str:
        """The column's heading in the file, for people."""
        index = self.column.get(field)
        return self.dialect.header[index] if index is not None else field

    def record(self, line: int, cells: list[str]) -> Record | BadRow:
        """The row in canonical fields, its id settled."""
        values = dict(zip(self.keys, cells, strict=True))
        for field, index in self.extra:
            values[field] = cells[index]
        where = f"{self.shown}:{line}"
        record = self.canonical(values, raw=dict(zip(self.dialect.header, cells, strict=True)), where=where)
        if not record.get("id"):
            if "id" in self.column:
                return BadRow(where, self.heading("id"), "has no id")
            if not (found := _fallback_id(record)):
                return BadRow(where, "", "has no id: no e-mail, no mobile, no name")
            record["id"] = found
        return record

    def probe(self, query: Query) -> Probe | None:
        """The one test of ``query`` that can be made on a single cell, the most selective first."""
        if query.ids is not None and "id" in self.column:
            ids = query.ids
            return Probe(self.column["id"], lambda cell: cell in ids)
        if query.anniversary and query.anniversary.field in self.column:
            days = query.anniversary.days
            return self._dated(query.anniversary.field, lambda day: (day.month, day.day) in days)
        if query.span and query.span.field in self.column:
            first, last = query.span.first or date.min, query.span.last or date.max
            return self._dated(query.span.field, lambda day: first <= day <= last)
        if query.since and query.since.field in self.column:
            # the earlier of the two days an instant can be called by: more may come than asked, never fewer
            edge = min(query.since.after.astimezone(self.zone).date(), query.since.after.astimezone(UTC).date())
            return self._dated(query.since.field, lambda day: day >= edge)
        return next((probe for field, allowed in query.equals.items() if (probe := self._chosen(field, allowed)) is not None), None)

    def _chosen(self, field: str, allowed: frozenset[str]) -> Probe | None:
        """A test on a word out of a list (a status): a file of years holds mostly what is settled."""
        kind = ENTITIES.get(self.entity, {}).get(field)
        if kind is None or kind.type is not FieldType.CHOICE or field not in self.column:
            return None
        convert = self.canonical.converter(field)

        def judge(cell: str) -> bool | str:
            if not cell:
                return "" in allowed
            try:
                return convert(cell) in allowed
            except ValueError:
                return True  # the record says what is wrong with it

        return Probe(self.column[field], judge)

    def _dated(self, field: str, wanted: Callable[[date], bool]) -> Probe | None:
        convert, zone = self.canonical.converter(field), self.zone
        kind = ENTITIES.get(self.entity, {}).get(field)
        if kind is None or kind.type not in {FieldType.DATE, FieldType.INSTANT}:
            return None

        def judge(cell: str) -> bool | str:
            if not cell:
                return False
            try:
                value = convert(cell)
            except ValueError as error:
                return str(error)
            return wanted(value.astimezone(zone).date() if isinstance(value, datetime) else value)

        return Probe(self.column[field], judge)


def _fallback_id(record: Record) -> str:
    """Without an id column a row is named by its number, else e-mail, else mobile, else name and birth date."""
    for field in ("number", "email", "mobile"):
        if record.get(field):
            return str(record[field])
    return " ".join(str(record[field]) for field in ("name", "birth_date") if record.get(field)) if record.get("name") else ""


class _Related:
    """Finds rows of a file by id, without holding them: an index of places, and the last few thousand records."""

    def __init__(self, table: _Table) -> None:
        self.shown = table.shown
        self._table = table
        self._lock = threading.Lock()
        self._file = open_lines(table.path, table.shown, table.dialect.rewrite)
        self._kept: dict[str, Record | None] = {}
        self._ids: Ids | None = None

    def _index(self) -> Ids:
        ids = Ids(placed=True)
        file, table = self._file, self._table
        file.seek(table.dialect.start)
        rows = Rows(file, table.dialect, table.shown, line=table.dialect.line)
        column = table.column.get("id")
        offset, line = table.dialect.start, table.dialect.line
        for row in rows.read(placed=True):
            if not isinstance(row, BadRow):
                found = row[1][column].strip() if column is not None else _id_of(table.record(*row))
                if found:
                    ids.add(found, offset, line)
            offset, line = file.tell(), rows.line
        return ids

    def find(self, name: str) -> Record | None:
        """The record with that id, or None."""
        with self._lock:
            if name in self._kept:
                return self._kept[name]
            if self._ids is None:
                self._ids = self._index()
            record = self._read(self._ids.find(name), name)
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[name] = record
            return record

    def _read(self, place: tuple[int, int] | None, name: str) -> Record | None:
        if place is None:
            return None
        self._file.seek(place[0])
        for row in Rows(self._file, self._table.dialect, self._table.shown, line=place[1]).read(placed=True):
            if not isinstance(row, BadRow):
                record = self._table.record(*row)
                return record if isinstance(record, Record) and record.id == name else None
        return None

    def close(self) -> None:
        self._file.close()


def _id_of(record: Record | BadRow) -> str:
    return record.id if isinstance(record, Record) else ""


class CsvSource(Source[CsvOptions]):
    """Reads CSV files as other programs export them.

    Every row is answered, passed over because its cell answers the query's test of a date, id or status with no, or named as a BadRow. A
    row whose cell cannot be read for that test is a BadRow too; any other unreadable value is None in its Record and named in
    ``problems``. Rows are judged by one cell before they are parsed, with one parse per distinct value, so picking today's
    birthdays out of a million rows costs a fraction of reading them.
    """

    name = "csv"
    title = "CSV files: contacts, invoices, deals and any other entity"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.SOURCE})
    limits = "A file is read anew by every run; a million rows take about a second."

    def __init__(self, options: CsvOptions, place: Place | None = None) -> None:
        super().__init__(options, place)
        self._lock = threading.Lock()
        self._tables: dict[str, tuple[tuple[int, int, int], _Table]] = {}
        self._related: dict[str, tuple[_Table, _Related]] = {}

    def close(self) -> None:
        """Close the files that related records are read from."""
        with self._lock:
            for _, related in self._related.values():
                related.close()
            self._related.clear()
            self._tables.clear()

    def entities(self) -> Sequence[str]:
        """The entities that the profile names a file for."""
        return tuple(self.options.files)

    def fields(self, entity: str) -> frozenset[str] | None:
        """What the header gives and what is derived from it; raises InputDataError where the file cannot be read."""
        table = self._table(entity)
        known = set(table.column) | {"id"}
        canonical = ENTITIES.get(entity, {})
        if "first_name" in canonical and known & {"name", "first_name", "last_name"}:
            known |= {"name", "first_name", "last_name"}
        if "balance" in canonical and "amount" in known:
            known.add("balance")
        return frozenset(known)

    def check(self) -> None:
        """Every file is there, is CSV, and has the columns that the profile names."""
        for entity in self.entities():
            self._table(entity)

    def fetch(self, entity: str, query: Query) -> Iterator[Record | BadRow]:
        """The rows of ``entity``'s file, in its order; a relation column becomes the related Record where this app has its file."""
        table = self._table(entity)
        ids = Ids()
        related = self._relations(entity, table)
        with open_lines(table.path, table.shown, table.dialect.rewrite) as file:
            file.seek(table.dialect.start)
            for row in Rows(file, table.dialect, table.shown, line=table.dialect.line).read(table.probe(query)):
                if isinstance(row, BadRow):
                    yield row
                    continue
                record = table.record(*row)
                if isinstance(record, Record):
                    if not ids.add(record.id):
                        yield BadRow(record.where, table.heading("id"), f"id {record.id!r} stands in an earlier row, which counts")
                        continue
                    if related:
                        _relate(record, related)
                yield record

    def problems(self, entity: str) -> Iterator[BadRow]:
        """Everything wrong in ``entity``'s file, row by row: bad rows, and single values that cannot be read."""
        table = self._table(entity)
        for row in self.fetch(entity, Query()):
            if isinstance(row, BadRow):
                yield row
            else:
                for field, why in row.problems.items():
                    yield BadRow(row.where, table.heading(field), why)

    def _table(self, entity: str) -> _Table:
        """The entity's table as the file is now: a file replaced since is looked at again."""
        shown = self.options.files.get(entity)
        if shown is None:
            raise InputDataError(f"app {self.place.app!r} has no {entity}", hint=f"it has: {', '.join(self.entities())}")
        path = self.place.folder / shown
        try:
            stat = path.stat()
            stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        except OSError:
            stamp = (0, 0, 0)  # looking says what is wrong
        with self._lock:
            known = self._tables.get(entity)
            if known is None or known[0] != stamp:
                known = self._tables[entity] = (stamp, _Table(entity, path, shown, self.options, self.place))
            return known[1]

    def _relations(self, entity: str, table: _Table) -> Mapping[str, _Related]:
        """The entity's relation columns whose file this app has too."""
        found = {}
        for name, field in ENTITIES.get(entity, {}).items():
            if field.type is FieldType.RECORD and name in table.column and field.entity in self.options.files:
                other = self._table(field.entity)
                with self._lock:
                    known = self._related.get(field.entity)
                    if known is None or known[0] is not other:
                        if known:
                            known[1].close()
                        known = self._related[field.entity] = (other, _Related(other))
                    found[name] = known[1]
        return found


def _relate(record: Record, related: Mapping[str, _Related]) -> None:
    for name, others in related.items():
        if key := record.get(name):
            if (other := others.find(key)) is not None:
                record[name] = other
            else:
                record.problems = {**record.problems, name: f"{key!r} is not in {others.shown}"}


@hookimpl
def automate_connectors() -> Iterable[type[Connector[Any]]]:
    """The csv source."""
    return [CsvSource]
