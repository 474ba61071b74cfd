"""Reading a service's list page by page: every page once, to the last, and never round in a circle."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from libax_automate.errors import InputDataError

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
