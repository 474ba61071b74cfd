"""The pages of one list, in the six ways in which APIs turn them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.paging import rows_at
from libax_automate.reply import Reply
from libax_connector_rest.options import Entity, RestOptions

_LINK = re.compile(r"<([^>]*)>((?:[^\",<]|\"[^\"]*\")*)")
_NEXT = re.compile(r";\s*rel\s*=\s*(?:\"(?:[^\"]*\s)?next(?:\s[^\"]*)?\"|next\b)", re.IGNORECASE)

_NUMBERED = frozenset({"page", "offset"})


def at(body: Any, path: str) -> Any:
    """What stands at the dotted ``path``, a number for an item of a list; None where nothing does."""
    for key in path.split(".") if path else ():
        if isinstance(body, Mapping):
            body = body.get(key)
        elif isinstance(body, list) and key.isdigit() and int(key) < len(body):
            body = body[int(key)]
        else:
            return None
    return body


class Pages:
    """Asks for one list, page by page; every page once."""

    def __init__(self, api: ApiClient, options: RestOptions, table: Entity) -> None:
        self._api = api
        self._options = options
        self._table = table
        self._items = [part for part in (options.items if table.items is None else table.items).split(".") if part]
        self._param = options.page_param or {"offset": "offset", "cursor": "cursor"}.get(options.paging, "page")

    def __call__(self, query: Mapping[str, Any], *, size: int | None = None) -> Iterator[list[Any]]:
        """The pages of the list with these parameters; raises InputDataError for a page that comes again."""
        options, style = self._options, self._options.paging
        fixed = {**self._table.query, **query}
        if options.size_param and style != "none":
            fixed[options.size_param] = size or options.page_size
        token: Any = {"page": options.first_page, "offset": 0}.get(style)
        path, read, longest = self._table.path, 0, 0
        seen: set[Any] = set()
        while True:
            if style in {"link", "next-url"} and token is not None:
                reply = self._api.get(token, safe=True)
            else:
                reply = self._api.get(path, query={**fixed, self._param: token} if token is not None else fixed, safe=True)
            body = reply.data()
            rows = rows_at(body, *self._items)
            # the same rows under another number are the same page: a service that leaves out what it does not know
            mark = (len(rows), repr(rows[0]), repr(rows[-1])) if rows else None
            if mark is not None and mark in seen:
                raise _again()
            seen.add(mark)
            read += len(rows)
            following = self._following(reply, body) if style not in _NUMBERED else self._counted(body, rows, token, read, longest)
            if following is not None and following in seen:
                raise _again()
            yield rows
            if following is None:
                return
            seen.add(following)
            token, longest = following, max(longest, len(rows))

    def _following(self, reply: Reply, body: Any) -> str | None:
        """What the reply itself names as the next page; None after the last."""
        options = self._options
        if options.paging == "none":
            return None
        if options.paging == "link":
            return self._url(_next_link(reply.headers.get("link") or ""))
        if options.more is not None and not at(body, options.more):
            return None
        found = at(body, options.next)
        if options.paging == "next-url":
            return self._url(found)
        if found is None or found is False or found == "":
            return None
        if not isinstance(found, str | int):
            raise ax.InputDataError(f"the reply's {options.next} is no cursor", hint='next says where it sits: next = "meta.next"')
        return str(found)

    def _counted(self, body: Any, rows: list[Any], token: int, read: int, longest: int) -> int | None:
        """The number of the next page, or of the next page's first row; None after the last."""
        options = self._options
        if options.total is not None:
            total = at(body, options.total)
            if not str(total).isdigit():
                raise ax.InputDataError(f"the reply's {options.total} is no number", hint="total says where the count of all rows sits")
            ended = not rows or read >= int(str(total))
        elif options.more is not None:
            ended = not rows or not at(body, options.more)
        else:
            # a service may give fewer rows a page than asked: only a page shorter than another one is surely the last
            ended = not rows or (options.stop == "short" and len(rows) < longest)
        if ended:
            return None
        return token + (1 if options.paging == "page" else len(rows))

    def _url(self, found: Any) -> str | None:
        if not found:
            return None
        if not isinstance(found, str):
            raise ax.InputDataError(f"the reply's {self._options.next} is no URL", hint="next says where the next page's URL sits")
        base = self._options.base_url.rstrip("/") + "/"
        url = urljoin(base + self._table.path.lstrip("/"), found)
        # behind a proxy that ends TLS, services name themselves http
        return "https" + url[4:] if url.startswith("http:") and base.startswith("https:") else url


def _next_link(header: str) -> str:
    """The target of ``rel="next"`` in a Link header (RFC 8288); "" where there is none."""
    return next((found[1] for found in _LINK.finditer(header) if _NEXT.search(found[2])), "")


def _again() -> ax.InputDataError:
    return ax.InputDataError(
        "the service answers the same page again", hint="do paging and page_param say how it turns pages? if so, it is theirs to mend"
    )
