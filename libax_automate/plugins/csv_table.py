"""One entity's CSV file, looked at: what its columns mean, its rows as records, and its rows by id."""

from __future__ import annotations

import contextlib
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from libax_automate.errors import InputDataError
from libax_automate.normalise import Canonical
from libax_automate.plugins.csv_dialect import Dialect, look, name_columns, open_lines
from libax_automate.plugins.csv_rows import Ids, Probe, Rows
from libax_automate.reading import Kin, LazyRecord, Reading, Unreadable
from libax_automate.record import ENTITIES, BadRow, FieldType, Query, Record

#: records kept of a related file
_KEPT = 4096
#: a row found by its place costs as much as so many rows that are passed over
_SEEK = 20


class Table:
    """One entity's file, looked at: how to read it and what its columns mean."""

    def __init__(
        self, entity: str, path: Path, shown: str, *, fields: Mapping[str, str], country: str, timezone: str, encoding: str | None = None,
        delimiter: str | None = None,
    ) -> None:  # fmt: skip
        """``fields`` are the headings that the profile names; raises InputDataError where the file cannot be used."""
        self.entity = entity
        self.path = path
        self.shown = shown
        self.dialect: Dialect = look(path, shown, encoding=encoding, delimiter=delimiter)
        self.keys, self.extra = name_columns(entity, self.dialect.header, fields, shown)
        self.column = {key: index for index, key in enumerate(self.keys)} | dict(self.extra)
        self.canonical = Canonical(entity, country=country, timezone=timezone)
        self.zone = ZoneInfo(timezone)
        self.id_at = self.column.get("id")
        self.reading = Cells(self)
        #: lines that were read when all of them were, and how often some were asked for by id
        self.lines = self.asked = 0
        if not self.column.keys() & {"id", "number", "email", "mobile", "name", "first_name"}:
            raise InputDataError(
                f"{shown}:1 has no column that could name a row: no id, e-mail, mobile or name",
                hint=f'say which one does: fields = {{ id = "{self.dialect.header[0]}" }}',
            )

    def heading(self, field: str) -> str:
        """The column's heading in the file, for people."""
        index = self.column.get(field)
        return self.dialect.header[index] if index is not None else field

    def record(self, line: int, cells: list[str], reading: Cells | None = None) -> Record | BadRow:
        """The row in canonical fields, its id settled."""
        reading = reading or self.reading
        if self.id_at is not None:
            record = reading.record(cells, at=line)
            return record if record.get("id") else BadRow(f"{self.shown}:{line}", self.heading("id"), "has no id")
        record = reading.unnamed(cells, line)
        if not (found := _fallback_id(record)):
            return BadRow(f"{self.shown}:{line}", "", "has no id: no e-mail, no mobile, no name")
        record["id"] = found
        return record

    def probe(self, query: Query) -> Probe | None:
        """The one test of ``query`` that can be made on a single cell, the most selective first."""
        if query.ids is not None and "id" in self.column:
            ids = query.ids
            return Probe(self.column["id"], lambda cell: cell in ids, among=ids)
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

    def seeks(self, query: Query) -> bool:
        """Whether the rows of ``query`` are better found by their places: asked for by id again, and few of many."""
        if query.ids is None or "id" not in self.column:
            return False
        self.asked += 1
        return self.asked > 1 and len(query.ids) * _SEEK < self.lines

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


class Cells(Reading):
    """The cells of a row as fields; a relation column becomes the related record where the app has its file."""

    def __init__(self, table: Table, related: Mapping[str, Related] | None = None) -> None:
        super().__init__(
            table.entity, table.canonical.converter, instead={name: _joined(others) for name, others in (related or {}).items()}
        )
        self._table = table
        #: how every row is read
        self.columns_of_all = self.columns([*((key, index) for index, key in enumerate(table.keys)), *table.extra])

    def values(self, row: Any) -> Mapping[str, Any]:
        """The cells by field."""
        values = dict(zip(self._table.keys, row, strict=True))
        for field, index in self._table.extra:
            values[field] = row[index]
        return values

    def raw(self, row: Any) -> Mapping[str, Any]:
        """The cells by heading."""
        return dict(zip(self._table.dialect.header, row, strict=True))

    def where(self, at: Any) -> str:
        """``clientes.csv:12``."""
        return f"{self._table.shown}:{at}"

    def kin(self, row: Any) -> Kin | None:  # noqa: ARG002 - all rows are alike
        """The columns."""
        return self.columns_of_all

    def unnamed(self, row: list[str], line: int) -> Record:
        """A record of a file without an id column, its id still to be found."""
        if self.columns_of_all is None:
            fields, problems = self.fields(self.values(row))
            return Record(self.entity, fields, raw=self.raw(row), where=self.where(line), problems=problems)
        record: LazyRecord = LazyRecord.of(self.columns_of_all, row)
        record.at = line
        return record


def _joined(others: Related) -> Callable[[Any], Any]:
    def join(value: Any) -> Any:
        key = unicodedata.normalize("NFC", value.strip())
        if (other := others.find(key)) is None:
            raise Unreadable(f"{key!r} is not in {others.shown}", instead=key)
        return other

    return join


def _fallback_id(record: Record) -> str:
    """Without an id column a row is named by its number, else e-mail, else mobile, else name and birth date."""
    for field in ("number", "email", "mobile"):
        if record.get(field):
            return str(record[field])
    return " ".join(str(record[field]) for field in ("name", "birth_date") if record.get(field)) if record.get("name") else ""


class Related:
    """Finds rows of a file by id, without holding them: an index of places, and the last few thousand records."""

    def __init__(self, table: Table) -> None:
        self.shown = table.shown
        self._table = table
        self._lock = threading.Lock()
        self._file = open_lines(table.path, table.shown, table.dialect.rewrite)
        self._kept: dict[str, Record | None] = {}
        self._ids: Ids | None = None
        #: no row is bad, no id stands in two rows: to find some by their places is as good as to read all
        self._sound = True

    def _index(self, file: BinaryIO) -> Ids:
        if self._ids is not None:
            return self._ids
        ids = self._ids = Ids(placed=True)
        table = self._table
        file.seek(table.dialect.start)
        rows = Rows(file, table.dialect, table.shown, line=table.dialect.line)
        column = table.column.get("id")
        offset, line = table.dialect.start, table.dialect.line
        for row in rows.read(placed=True):
            found = "" if isinstance(row, BadRow) else row[1][column].strip() if column is not None else _id_of(table.record(*row))
            if not found or not ids.add(found, offset, line):
                self._sound = False
            offset, line = file.tell(), rows.line
        return ids

    @contextlib.contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        if not self._file.closed:
            yield self._file
            return
        # a record that is kept beyond its source's end, and asked only now whom it belongs to
        with open_lines(self._table.path, self.shown, self._table.dialect.rewrite) as file:
            yield file

    def find(self, name: str) -> Record | None:
        """The record with that id, or None."""
        with self._lock:
            if name in self._kept:
                return self._kept[name]
            with self._open() as file:
                record = self._read(file, self._index(file).find(name), name, self._table.reading)
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[name] = record
            return record

    def pick(self, names: Iterable[str], reading: Cells) -> list[Record] | None:
        """The records with these ids, in the file's order; None where only a walk through all rows gives the same answer."""
        with self._lock, self._open() as file:
            ids = self._index(file)
            if not self._sound:
                return None
            places = sorted((place, name) for name in names if (place := ids.find(name)) is not None)
            return [record for place, name in places if (record := self._read(file, place, name, reading)) is not None]

    def _read(self, file: BinaryIO, place: tuple[int, int] | None, name: str, reading: Cells) -> Record | None:
        if place is None:
            return None
        file.seek(place[0])
        for row in Rows(file, self._table.dialect, self._table.shown, line=place[1]).read(placed=True):
            if not isinstance(row, BadRow):
                record = self._table.record(*row, reading)
                return record if isinstance(record, Record) and record.id == name else None
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _id_of(record: Record | BadRow) -> str:
    return record.id if isinstance(record, Record) else ""
