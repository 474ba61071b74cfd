"""One entity's JSON rows as canonical records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import libax_automate as ax
from libax_automate.normalise import Canonical, heading_of
from libax_automate.reading import Kin, LazyRecord, Reading
from libax_automate.record import ENTITIES, FieldType
from libax_connector_rest.pages import at

#: kinds of rows that are remembered
_KINDS = 512


class _Plain(Reading):
    """Rows whose values stand under one key each."""

    def __init__(
        self, entity: str, canonical: Canonical, field_of: Callable[[str], str | None], relations: Iterable[str], place: str
    ) -> None:
        super().__init__(entity, canonical.converter)
        self._field_of = field_of
        self._relations = frozenset(relations)
        self._place = place
        self._known: dict[tuple[str, ...], tuple[Kin, str] | None] = {}

    def known(self, keys: tuple[str, ...]) -> tuple[Kin, str] | None:
        """How rows with these keys are read, and the key of their id; None for two keys of one field, a record inside, or no id."""
        try:
            return self._known[keys]
        except KeyError:
            pass
        if len(self._known) >= _KINDS:
            self._known.clear()
        pairs = [(field, key) for key in keys if (field := self._field_of(key)) is not None]
        kin = None if any(field in self._relations for field, _ in pairs) else self.columns(pairs)
        found = self._known[keys] = (kin, kin[1]["id"][0]) if kin is not None and "id" in kin[1] else None
        return found

    def values(self, row: Any) -> Mapping[str, Any]:
        """The row's values by field."""
        return {field: value for key, value in row.items() if (field := self._field_of(key)) is not None}

    def raw(self, row: Any) -> Mapping[str, Any]:
        """The row as it came."""
        return row  # type: ignore[no-any-return]

    def where(self, at: Any) -> str:
        """``erp contacts 4711``."""
        return f"{self._place} {at}"


class Seen:
    """The ids of a walk. Numbers are kept as such while all are numbers, for that takes a third of the time."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._names: set[str] | None = None

    def numbers(self, ids: list[int]) -> bool:
        """Take in the ids of a page; False, and none is taken, where one has been there before or ids have been other than numbers."""
        if self._names is not None:
            return False
        new = set(ids)
        if len(new) < len(ids) or not self._numbers.isdisjoint(new):
            return False
        self._numbers |= new
        return True

    def add(self, name: str) -> bool:
        """Take in one id; False where it has been there before."""
        if self._names is None:
            self._names = set(map(str, self._numbers))
            self._numbers.clear()
        if name in self._names:
            return False
        self._names.add(name)
        return True


class Rows:
    """Knows which field each key of a row is: as the profile says, else by its name; what is no field rides along."""

    def __init__(self, entity: str, fields: Mapping[str, str], *, app: str, country: str, timezone: str) -> None:
        self.canonical = Canonical(entity, country=country, timezone=timezone)
        self._entity = entity
        self._where = f"{app} {entity}"
        self._plain = {path: field for field, path in fields.items() if "." not in path and "." not in field}
        #: the rest: a path, a field of a related record, a second field out of the same key
        self._deep = [(field, path) for field, path in fields.items() if self._plain.get(path) != field]
        self._named = set(fields) | {field.partition(".")[0] for field in fields}
        self._keys: dict[str, str | None] = {}
        known = ENTITIES.get(entity, {})
        self._relations = {
            name: Canonical(field.entity, country=country, timezone=timezone)
            for name, field in known.items()
            if field.type is FieldType.RECORD
        }

        #: how most rows become records; None where the profile takes values from inside of others
        self._plain_rows = None if self._deep else _Plain(entity, self.canonical, self._key, self._relations, self._where)

    def records(self, page: Iterable[Any], seen: Seen | None) -> Sequence[ax.Record | ax.BadRow]:
        """The rows of a page; those whose id is in ``seen`` are left out, and the others' ids go into it."""
        rows = page if isinstance(page, list) else list(page)
        if (alike := self._alike(rows, seen)) is not None:
            return alike
        found: list[ax.Record | ax.BadRow] = []
        for row in rows:
            record = self.record(row)
            if seen is None or not isinstance(record, ax.Record) or seen.add(record.id):
                found.append(record)
        return found

    def _alike(self, rows: list[Any], seen: Seen | None) -> Sequence[ax.Record | ax.BadRow] | None:
        """The records of a page whose rows have the same keys and numbers for ids, as most have; None for any other."""
        reading = self._plain_rows
        if reading is None or set(map(type, rows)) != {dict} or len(kinds := set(map(tuple, rows))) != 1:
            return None
        if (known := reading.known(*kinds)) is None:
            return None
        kin, key = known
        ids = [row[key] for row in rows]
        if set(map(type, ids)) != {int} or (seen is not None and not seen.numbers(ids)):
            return None
        found: Sequence[ax.Record] = LazyRecord.all_of(kin, rows)
        return found

    def sieve(self, field: str, keeps: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """A test of raw rows by their value of ``field``; it keeps what is no row, to be named."""
        for path, other in ((path, name) for name, path in self._deep):
            if other == field:
                return lambda row: not isinstance(row, Mapping) or keeps(at(row, path))

        def test(row: Any) -> bool:
            if not isinstance(row, Mapping):
                return True
            for key in keys:
                if key in row:
                    return keeps(row[key])
            # a row with other keys than the first ones had
            found = [key for key in row if self._key(key) == field]
            keys.extend(found)
            return keeps(row[found[0]]) if found else keeps(None)

        keys: list[str] = []
        return test

    def _key(self, key: str) -> str | None:
        """The field that a row's key is; None for one whose field the profile takes from elsewhere."""
        if key not in self._keys:
            field = self._plain.get(key)
            if field is None:
                field = heading_of(self._entity, key)
                if field in self._named:
                    field = None
            self._keys[key] = field
        return self._keys[key]

    def record(self, row: Any) -> ax.Record | ax.BadRow:
        """The row in canonical fields."""
        if not isinstance(row, Mapping):
            return ax.BadRow(self._where, "", f"is no record: {str(row)[:40]!r}")
        known = self._keys
        values: dict[str, Any] = {}
        for key, value in row.items():
            field = known[key] if key in known else self._key(key)
            if field is not None and values.get(field) is None:
                values[field] = value
        for field, path in self._deep:
            relation, dot, part = field.partition(".")
            if dot:
                inner = values.get(relation)
                values[relation] = {**(inner if isinstance(inner, Mapping) else {"id": inner} if inner else {}), part: at(row, path)}
            else:
                values[field] = at(row, path)
        name = values.get("id")
        if name is None or isinstance(name, dict | list | bool) or name == "":
            return ax.BadRow(self._where, "id", "has no id")
        for relation, canonical in self._relations.items():
            inner = values.get(relation)
            if isinstance(inner, Mapping):
                other = {heading_of(canonical.entity, key): value for key, value in inner.items()}
                known_of_it = any(value is not None for value in other.values())
                values[relation] = canonical(other, where=f"{self._where} {name}") if known_of_it else None
        return self.canonical(values, raw=row, where=f"{self._where} {name}")
