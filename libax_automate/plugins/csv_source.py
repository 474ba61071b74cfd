"""The ``csv`` source: one file per entity, columns found by their headings."""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from libax_automate.connector import Capability, Connector, Place, Source
from libax_automate.errors import InputDataError
from libax_automate.hookspecs import hookimpl
from libax_automate.options import Options
from libax_automate.plugins.csv_dialect import open_lines
from libax_automate.plugins.csv_rows import Ids, Rows
from libax_automate.plugins.csv_table import Cells, Related, Table
from libax_automate.reading import LazyRecord
from libax_automate.record import ENTITIES, BadRow, FieldType, Query, Record

_ENTITY = re.compile(r"[a-z][a-z0-9_]*")
_OWN = ("fields", "delimiter", "encoding", "country")


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
    local = True
    limits = "A file is read anew by every run; a million rows take about a second."

    def __init__(self, options: CsvOptions, place: Place | None = None) -> None:
        super().__init__(options, place)
        self._lock = threading.Lock()
        self._tables: dict[str, tuple[tuple[int, int, int], Table]] = {}
        self._related: dict[str, tuple[Table, Related]] = {}

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
        related = self._relations(entity, table)
        reading = Cells(table, related) if related else table.reading
        if table.seeks(query) and (found := self._by_id(entity, table).pick(query.ids or (), reading)) is not None:
            yield from found
            return
        ids = Ids()
        with open_lines(table.path, table.shown, table.dialect.rewrite) as file:
            file.seek(table.dialect.start)
            rows = Rows(file, table.dialect, table.shown, line=table.dialect.line)
            at, kin = table.id_at, reading.columns_of_all
            for row in rows.read(table.probe(query)):
                if isinstance(row, BadRow):
                    yield row
                    continue
                # an id in which there is nothing to strip and nothing to compose is as it stands
                if at is not None and kin is not None and (name := row[1][at]).isalnum() and name.isascii():
                    record: Record | BadRow = LazyRecord.at_once(kin, row[1], name, row[0])
                else:
                    record = table.record(*row, reading)
                    name = record.id if isinstance(record, Record) else ""
                if name and not ids.add(name):
                    yield BadRow(record.where, table.heading("id"), f"id {name!r} stands in an earlier row, which counts")
                    continue
                yield record
            table.lines = rows.line

    def problems(self, entity: str) -> Iterator[BadRow]:
        """Everything wrong in ``entity``'s file, row by row: bad rows, and single values that cannot be read."""
        table = self._table(entity)
        for row in self.fetch(entity, Query()):
            if isinstance(row, BadRow):
                yield row
            else:
                for field, why in row.problems.items():
                    yield BadRow(row.where, table.heading(field), why)

    def _table(self, entity: str) -> Table:
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
                known = self._tables[entity] = (stamp, self._look(entity, path, shown))
            return known[1]

    def _look(self, entity: str, path: Path, shown: str) -> Table:
        options, place = self.options, self.place
        return Table(
            entity, path, shown, fields=options.columns(entity), country=options.country or place.country, timezone=place.timezone,
            encoding=options.encoding, delimiter=options.delimiter,
        )  # fmt: skip

    def _relations(self, entity: str, table: Table) -> Mapping[str, Related]:
        """The entity's relation columns whose file this app has too."""
        found = {}
        for name, field in ENTITIES.get(entity, {}).items():
            if field.type is FieldType.RECORD and name in table.column and field.entity in self.options.files:
                found[name] = self._by_id(field.entity, self._table(field.entity))
        return found

    def _by_id(self, entity: str, table: Table) -> Related:
        """The entity's rows by id, as the file is now."""
        with self._lock:
            known = self._related.get(entity)
            if known is None or known[0] is not table:
                if known:
                    known[1].close()
                known = self._related[entity] = (table, Related(table))
            return known[1]


@hookimpl
def automate_connectors() -> Iterable[type[Connector[Any]]]:
    """The csv source."""
    return [CsvSource]
