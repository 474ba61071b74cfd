"""The catalogue of fields behind placeholders and conditions: what a model may name, where each comes from, and what is misspelt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from libax_automate.engine.paper import NUMBERED
from libax_automate.record import ENTITIES, FieldType, Record

if TYPE_CHECKING:
    from libax_automate.model import Model

#: the recipient, by name, in every model
RECIPIENT = ("contact", "customer")
TODAY = "today"
_MISSING: Any = object()
_DATE_PARTS = frozenset({"year", "month", "day", "hour", "minute"})
_SINGULAR = {"contacts": "contact", "invoices": "invoice"}


def singular(entity: str) -> str:
    """What one record of ``entity`` is called in placeholders: ``invoices`` → ``invoice``."""
    return _SINGULAR.get(entity) or entity.removesuffix("s")


class Names:
    """What the names in one model mean.

    ``available`` are the fields of the source's records, ``people`` those of its contacts where the records are others; None where it
    cannot tell.
    """

    def __init__(
        self,
        entity: str,
        placeholders: Mapping[str, str],
        available: frozenset[str] | None,
        people: frozenset[str] | None = None,
        *,
        reader: str = "contacts",
    ) -> None:
        self.people = people
        #: the entity of those who are written to
        self.reader = reader
        self.entity = entity
        self.own = singular(entity)
        self.placeholders = placeholders
        self.available = available
        self._heads = frozenset((self.own, *RECIPIENT))
        #: fields that stand for another record
        self.relations = frozenset(name for name, field in ENTITIES.get(entity, {}).items() if field.type is FieldType.RECORD)
        #: names that may be missing from a record, and are then empty rather than unknown
        self.optional = frozenset({*ENTITIES.get(entity, ()), *ENTITIES["contacts"], *placeholders, *(available or ())})

    @classmethod
    def of(cls, recipe: Model[Any], available: frozenset[str] | None, people: frozenset[str] | None = None) -> Names:
        """The names of a model that uses ``recipe``."""
        placeholders = recipe.placeholders if recipe.stationery() is None else {**recipe.placeholders, **NUMBERED}
        return cls(recipe.entity_name(), placeholders, available, people, reader=recipe.people)

    def context(self, names: Iterable[str], record: Record, recipient: Record, extra: Mapping[str, Any], today: date) -> dict[str, Any]:
        """The values of the top-level ``names``: what the recipe adds, then the record's own fields, then the recipient's."""
        made: dict[str, Any] = {}
        for name in names:
            if name in extra:
                made[name] = extra[name]
            elif name in self._heads:
                made[name] = record if name == self.own else recipient
            elif (value := record.get(name, _MISSING)) is not _MISSING:
                made[name] = recipient if name in self.relations and isinstance(value, str) and value == recipient.id else value
            elif (value := recipient.get(name, _MISSING)) is not _MISSING:
                made[name] = value
            elif name == TODAY:
                made[name] = today
            elif name in self.optional:
                made[name] = None
        return made

    def problem(self, field: str) -> str | None:
        """What is wrong with naming ``field``; None when it is right, or cannot be told before records are read."""
        head, *rest = field.split(".")
        if head in self.placeholders or head == TODAY:
            return None
        if head == self.own:
            return self._inside(self.entity, rest, field)
        if head in RECIPIENT:
            return self._inside("contacts", rest, field)
        for entity in (self.entity, "contacts"):
            if head in ENTITIES.get(entity, ()):
                return self._inside(entity, [head, *rest], field)
        if self.available is None or head in self.available:
            return None
        return self._unknown(field, [*self.optional, self.own, *RECIPIENT, TODAY])

    def _inside(self, entity: str, path: list[str], field: str) -> str | None:
        if not path:
            return None
        known = ENTITIES.get(entity, {})
        head, *rest = path
        found = known.get(head)
        if found is None:
            custom = self.available if entity == self.entity else self.people if entity == "contacts" else None
            if custom is None or head in custom:
                return None
            prefix = field[: len(field) - len(".".join(path))]
            return self._unknown(field, [prefix + name for name in (*known, *custom)])
        if not rest:
            return None
        if found.type is FieldType.RECORD:
            return self._inside(found.entity, rest, field)
        if found.type in (FieldType.DATE, FieldType.INSTANT) and rest[0] in _DATE_PARTS:
            return None
        if found.type is FieldType.AMOUNT and rest[0] == "currency":
            return None
        return f"unknown field {field!r}: {head} has no {rest[0]!r}"

    @staticmethod
    def _unknown(field: str, known: Iterable[str]) -> str:
        close = get_close_matches(field, sorted(set(known)), 1)
        return f"unknown field {field!r}; did you mean {close[0]!r}?" if close else f"unknown field {field!r}"

    def samples(self, fields: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Each placeholder with a sample value (LX-53): the recipe's, the record's, the source's own columns, the recipient's."""
        yield from self.placeholders.items()
        known = ENTITIES.get(self.entity, {})
        for name, field in known.items():
            if field.type is not FieldType.RECORD:
                yield (name if self.entity == "contacts" else f"{self.own}.{name}"), field.sample
        for name in sorted({*fields, *(self.available or ())} - {*known, *ENTITIES["contacts"], *self.placeholders}):
            yield name, ""
        if self.reader not in ("contacts", self.entity):
            for name, field in ENTITIES.get(self.reader, {}).items():
                yield f"{singular(self.reader)}.{name}", field.sample
        elif self.entity != "contacts" and any(name in known for name in RECIPIENT):
            head = "customer" if "customer" in known else "contact"
            for name, field in ENTITIES["contacts"].items():
                yield f"{head}.{name}", field.sample
