"""Records with the person each belongs to: joined by the source, or fetched by id, many with one query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from libax_automate.model import Run
from libax_automate.record import Query, Record

#: records whose people are fetched with one query
_CHUNK = 200
#: fields in which records name the person they belong to
_PEOPLE = ("customer", "contact")


def with_people(run: Run, records: Iterable[Record]) -> Iterator[tuple[Record, Record | None, str | None]]:
    """Each record with the person it belongs to (None: it is itself the one), or with the reason why there is none.

    The person is who the source joined in ``customer`` or ``contact``; an id is looked up in the source's contacts.
    """
    waiting = iter(records)
    while chunk := list(islice(waiting, _CHUNK)):
        people = [person_of(record) for record in chunk]
        ids = frozenset(person for person in people if isinstance(person, str))
        found = {person.id: person for person in run.fetch("contacts", Query(ids=ids))} if ids else {}
        for record, person in zip(chunk, people, strict=True):
            if isinstance(person, str):
                yield record, found.get(person, record), None if person in found else f"its contact {person} is not in the source"
            elif person is None and record.entity not in ("contacts", "partners", "users") and not _reachable(record):
                yield record, record, "has neither customer nor contact"
            else:
                yield record, person, None


def person_of(record: Record) -> Record | str | None:
    """The person a record names: the record that its source joined, or an id; None for a record that names nobody."""
    if record.entity == "contacts":
        return None
    for name in _PEOPLE:
        value = record.get(name)
        if isinstance(value, Record):
            return value
        if isinstance(value, Mapping):
            return Record("contacts", value, where=record.where)
        if value:
            return str(value)
    return None


def _reachable(record: Record) -> bool:
    return bool(record.get("email") or record.get("mobile"))
