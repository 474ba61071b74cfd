"""A server made from a service's published contract: it checks every request against the document, and answers as the document does.

::

    with SpecServer("openapi.json") as server:
        connector = Postbox(PostboxOptions(base_url=server.url, ...))
        server.answer("sendMail", status=401)          # the documented 401, with the document's own body
        ...
        server.assert_valid()                          # no request broke the contract
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from libax_automate.testing.openapi import Document, Operation
from libax_automate.testing.violation import Incoming, Validator

#: a request larger than this is no request of ours (bytes)
_LARGEST_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SpecCall:
    """One request as it came in: ``body`` is decoded JSON, form fields, or bytes; ``status`` is what was answered (0 = hung up)."""

    operation: str
    method: str
    path: str
    path_parameters: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(repr=False)
    body: Any
    status: int
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Answer:
    status: int
    media_type: str
    body: bytes
    headers: Mapping[str, str]
    left: int | None


class SpecServer:
    """Serves ``document`` (an OpenAPI 3.0/3.1 or Swagger 2.0 file, JSON or YAML, or a mapping) on a free loopback port.

    Each request is held against the document: path, method, parameters, body, credentials (that they are there, in their place).
    What breaks it is kept in ``problems``, one line each, and answered 400 (404 for an unknown path, 401 without credentials). Parameters
    and body properties that the document does not know are problems too, save those named in ``lenient``: documents have gaps.
    """

    def __init__(self, document: Path | str | Mapping[str, Any], *, lenient: Iterable[str] = ()) -> None:
        self.document = Document(document)
        self.calls: list[SpecCall] = []
        self.problems: list[str] = []
        self._answers: dict[str, list[_Answer]] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._validator = Validator(self.document, self._origin, frozenset(lenient))
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the document's paths start: origin and base path, without a slash at the end. What a connector's ``base_url`` is set to."""
        return self._origin + self.document.base_path

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of all documented operations; ``METHOD /path`` for one without an ``operationId``."""
        return tuple(sorted({operation.name for operation in self.document.operations.values()}))

    def answer(
        self,
        operation: str,
        *,
        status: int | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
    ) -> None:
        """Answer ``operation`` with ``status`` from now on, or for the next ``times`` requests; answers are used in the order given.

        Without ``body`` it is the document's example for that status, or one made from its schema; bytes are sent as they are.
        Raises KeyError for an unknown operation, ValueError for a status that is not documented where no body is given.
        """
        found = self.document.operation(operation)
        answer = self._made(found, status, body, headers or {}, times)
        with self._lock:
            queue = self._answers.setdefault(found.label, [])
            # an answer without end gives way to the one given after it
            queue[:] = [*(earlier for earlier in queue if earlier.left is not None), answer]

    def hang_up(self, operation: str, *, times: int | None = None) -> None:
        """Take the request of ``operation`` whole, record it, and close the line without a word."""
        self.answer(operation, status=0, body=b"", times=times)

    def assert_valid(self) -> None:
        """Raise AssertionError listing every way in which a request broke the contract."""
        if self.problems:
            raise AssertionError("requests that break the service's contract:\n  " + "\n  ".join(self.problems))

    def start(self) -> Self:
        """Serve, on a thread of its own."""
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving; safe twice."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def _origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _made(self, operation: Operation, status: int | None, body: Any, headers: Mapping[str, str], times: int | None) -> _Answer:
        media_type = "application/json"
        if body is None:
            asked, status = status, self.document.success(operation) if status is None else status
            if asked is not None and self.document.response(operation, status) is None:
                documented = ", ".join(operation.statuses)
                raise ValueError(f"{operation.label} documents no {status}, only {documented}; give a body to answer it all the same")
            media_type, body = self.document.example(operation, status)
        elif status is None:
            status = self.document.success(operation)
        if isinstance(body, bytes):
            content = body
        elif isinstance(body, str) and "json" not in media_type:
            content = body.encode()
        else:
            content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        return _Answer(status, media_type, content, headers, times)

    def _reply(self, request: Incoming) -> _Answer:
        """Judge and record one request, and say what to answer."""
        path = request.path.removeprefix(self.document.base_path) if request.path.startswith(self.document.base_path) else ""
        found = self.document.find(request.method, path)
        if not found:
            problems: tuple[str, ...] = (f"{request.method} {request.path}: no such operation in the document",)
            answer = _Answer(404, "application/json", json.dumps({"message": problems[0]}).encode(), {}, None)
            return self._recorded(request, "", {}, answer, problems)
        judged = [
            (tuple(self._validator.problems(operation, parameters, request)), operation, parameters) for operation, parameters in found
        ]
        problems, operation, parameters = min(judged, key=lambda verdict: len(verdict[0]))
        with self._lock:
            if problems:
                answer = self._refusal(operation, problems)
            else:
                queue = self._answers.get(operation.label, [])
                answer = queue[0] if queue else self._made(operation, None, None, {}, None)
                if queue and answer.left is not None:
                    answer.left -= 1
                    if answer.left <= 0:
                        queue.pop(0)
        return self._recorded(request, operation.name, parameters, answer, problems)

    def _refusal(self, operation: Operation, problems: tuple[str, ...]) -> _Answer:
        status = 401 if any(problem.startswith(f"{operation.label}: credentials") for problem in problems) else 400
        documented = self.document.response(operation, status)
        body = None if documented and documented.get("content") else {"message": "; ".join(problems)}
        return self._made(operation, status, body, {}, None)

    def _recorded(self, request: Incoming, name: str, parameters: Mapping[str, str], answer: _Answer, problems: tuple[str, ...]) -> _Answer:
        call = SpecCall(
            name, request.method, request.path, parameters, request.query, request.headers, request.decoded(), answer.status, problems
        )
        with self._lock:
            self.calls.append(call)
            self.problems.extend(problems)
        return answer


def _handler(server: SpecServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One connection; every method goes the same way."""

        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:
                # a client that has its answer, or no longer wants it, may leave as it likes
                self.close_connection = True

        def _serve(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), _LARGEST_BODY)
            body = self._chunks() if "chunked" in self.headers.get("Transfer-Encoding", "").lower() else self.rfile.read(length)
            parts = urlsplit(self.path)
            query = tuple(parse_qsl(parts.query, keep_blank_values=True))
            answer = server._reply(Incoming(self.command, parts.path, query, dict(self.headers.items()), body))  # noqa: SLF001 - its other half
            if answer.status == 0:
                self.close_connection = True
                return
            # neither carries a body (RFC 9110 §15.3.5, §15.4.5), whatever a document shows for it
            content = b"" if answer.status in {204, 304} else answer.body
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.media_type and content and "Content-Type" not in answer.headers:
                self.send_header("Content-Type", answer.media_type)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815 - http.server's names

        def _chunks(self) -> bytes:
            body = b""
            while (size := int(self.rfile.readline().split(b";")[0] or b"0", 16)) and len(body) < _LARGEST_BODY:
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gave it
            """Say nothing: ``calls`` has it all."""

    return Handler
