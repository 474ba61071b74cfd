"""One entity's JSON rows as canonical records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import libax_automate as ax
from libax_automate.normalise import Canonical, heading_of
from libax_automate.record import ENTITIES, FieldType
from libax_connector_rest.pages import at


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
