"""Reading a service's list page by page: every page once, to the last, and never round in a circle."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from libax_automate.errors import InputDataError
from libax_automate.record import BadRow, Record

_Row = TypeVar("_Row")
_Token = TypeVar("_Token", bound=Hashable)

_HINT = "is the base URL the vendor's API?"


def walk(ask: Callable[[_Token], tuple[Sequence[_Row], _Token | None]], first: _Token) -> Iterator[_Row]:
    """The rows of all pages from ``first`` on. ``ask`` reads one page and answers its rows and what names the next, None after the last.

    A page is asked for when the one before it is used up. Raises InputDataError, before any of its rows is answered, for a page
    that names one already read as the next: a service that loops must neither be asked for ever nor give its people twice.
    """
    token, seen = first, {first}
    while True:
        rows, following = ask(token)
        if following is not None and following in seen:
            raise InputDataError(
                f"the service answers page {str(following)[:40]!r} again and again", hint="it is theirs to mend: report it to the vendor"
            )
        yield from rows
        if following is None:
            return
        seen.add(following)
        token = following


def rows_at(body: Any, *path: str) -> list[Any]:
    """The list of rows that stands at ``path`` in a page; raises InputDataError where none does: no reply is ever taken for an empty list."""
    for key in path:
        body = body.get(key) if isinstance(body, Mapping) else None
    if not isinstance(body, list):
        raise InputDataError(f"the reply holds no list {'.'.join(path)}" if path else "the reply is no list", hint=_HINT)
    return body


#: related records held at once by one walk
_HELD = 20_000


def related(
    rows: Iterator[Record | BadRow], lookups: Mapping[str, Callable[[frozenset[str]], Iterable[Record | BadRow]]], *, batch: int
) -> Iterator[Record | BadRow]:
    """``rows``, with the record that a relation names in place of its id, so that ``customer.name`` and ``owner.email`` have values.

    ``lookups`` answers the records of some ids, by the name of the relation; it is asked once for every ``batch`` rows, for ids not met
    before. An id that it does not answer stays an id and is named in ``Record.problems``.
    """
    known: dict[str, dict[str, Record | None]] = {name: {} for name in lookups}
    while some := list(islice(rows, batch)):
        for name, ask in lookups.items():
            met = known[name]
            wanted = frozenset(str(row[name]) for row in some if isinstance(row, Record) and isinstance(row.get(name), str))
            if len(met) > _HELD:
                met.clear()
            if missing := wanted - met.keys():
                met.update(dict.fromkeys(missing))
                met.update({found.id: found for found in ask(frozenset(missing)) if isinstance(found, Record) and found.id in missing})
            for row in some:
                if isinstance(row, Record) and isinstance(one := row.get(name), str):
                    if (record := met[one]) is not None:
                        row[name] = record
                    else:
                        row.problems = {**row.problems, name: f"{one!r} is not to be found"}
        yield from some
