"""What a contract sees of a connector's requests: one answer after another, whatever the path, and every text that went out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

from libax_automate.testing.service import Answer, Fault, Reply, Request, Service


class Wire:
    """A loopback service that answers in turn, the last answer for ever; paths in ``elsewhere`` have their own and are not counted.

    After ``limit`` requests it hangs up: a connector that asks for ever ends, and is found out by the count.
    """

    def __init__(self, elsewhere: Mapping[str, Reply] | None = None, *, limit: int = 500) -> None:
        self._elsewhere = dict(elsewhere or {})
        self._answers: tuple[Answer, ...] = (Reply(200, {}),)
        self._limit = limit
        self._turn = 0
        self._lock = threading.Lock()
        self._service = Service(default=self._next)
        for path, reply in self._elsewhere.items():
            self._service.on(path, reply)

    @property
    def url(self) -> str:
        """Where it listens: ``http://127.0.0.1:PORT``."""
        return self._service.url

    @property
    def requests(self) -> list[Request]:
        """What came in since the answers were last set."""
        return [request for request in self._service.requests if request.path not in self._elsewhere]

    def answer(self, *answers: Answer, limit: int = 500) -> None:
        """Answer these in turn from now on, the last for ever, and forget the requests so far."""
        with self._lock:
            self._answers, self._turn, self._limit = answers, 0, limit
        self._service.clear()

    def _next(self, request: Request) -> Answer:
        del request
        with self._lock:
            self._turn += 1
            if self._turn > self._limit:
                return Fault.HANG_UP
            return self._answers[min(self._turn, len(self._answers)) - 1]

    def __enter__(self) -> Self:
        self._service.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._service.close()


def parts(request: Request) -> Iterator[tuple[str, str]]:
    r"""Every text of ``request`` with its place: path, query, headers, and body as JSON, form, multipart or plain text.

    Line ends are told as ``\n``: which of them a service wants is its own affair.
    """
    for place, text in _parts(request):
        yield place, text.replace("\r\n", "\n")


def _parts(request: Request) -> Iterator[tuple[str, str]]:
    yield "path", unquote(request.path)
    for name, values in request.query.items():
        yield from ((f"query:{name}", value) for value in values)
    yield from ((f"header:{name}", value) for name, value in request.headers.items())
    kind = request.headers.get("content-type", "").lower()
    if "form-urlencoded" in kind:
        for name, value in parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True):
            yield f"form:{name}", value
            # some services take JSON inside a form field
            yield from _json_inside(value, f"form:{name}")
        return
    try:
        yield from _leaves(json.loads(request.body), "json:")
    except ValueError:
        yield "body", request.body.decode("utf-8", "replace")


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield f"{place}.{name}", str(name)
            yield from _leaves(part, f"{place}.{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _leaves(part, f"{place}[{number}]")
    elif isinstance(value, str):
        yield place, value
        yield from _json_inside(value, place)


def _json_inside(value: str, place: str) -> Iterator[tuple[str, str]]:
    if value[:1] in {"{", "["}:
        try:
            inner = json.loads(value)
        except ValueError:
            return
        yield from _leaves(inner, f"{place}>json:")
