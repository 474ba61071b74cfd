"""A scripted HTTP server on loopback: it records what arrives, answers what it is told, and fails the way servers fail."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came over the line; header names are lower-case, ``path`` is without the query."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def form(self) -> dict[str, list[str]]:
        """The body as URL-encoded form fields."""
        return parse_qs(self.body.decode("utf-8"), keep_blank_values=True)


class Fault(Enum):
    """How a server fails. Those marked *before* need :meth:`Service.next_connection`: no path is known yet."""

    #: before: closes a fresh connection without reading
    HANG_UP_BEFORE = "hang up before reading"
    #: before: the same with a TCP reset
    RESET_BEFORE = "reset before reading"
    #: takes the whole request, closes without a word
    HANG_UP = "hang up after reading"
    #: takes the whole request, resets the connection
    RESET = "reset after reading"
    #: takes the whole request, closes in the middle of the headers
    CUT_HEAD = "cut in the headers"
    #: sends a 200 and half of the body it announced, then closes
    CUT_BODY = "cut in the body"
    #: the same with a TCP reset
    RESET_BODY = "reset in the body"
    #: sends a 200 and half of the body it announced, then nothing more
    STALL = "stall in the body"
    #: takes the request and never answers
    HANG = "hang"
    #: sends a 200 byte by byte, ten a second
    DRIP = "drip"
    #: the body of a 200 byte by byte, ten a second
    DRIP_BODY = "drip the body"
    #: answers something that is not HTTP
    GARBAGE = "garbage"
    #: a chunked body with a broken chunk size
    BAD_CHUNK = "bad chunk"


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer. ``body``: bytes and str go as they are, anything else as JSON. ``close`` ends the connection after it."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    close: bool = False

    def wire(self) -> bytes:
        """The reply as bytes, Content-Length and all."""
        kind = "application/json"
        if isinstance(self.body, bytes):
            content, kind = self.body, "application/octet-stream"
        elif isinstance(self.body, str):
            content, kind = self.body.encode("utf-8"), "text/plain; charset=utf-8"
        else:
            content = json.dumps(self.body).encode("utf-8")
        reason = HTTPStatus(self.status).phrase if self.status in HTTPStatus._value2member_map_ else "Unheard Of"
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), **self.headers}
        if self.close:
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + content


Answer: TypeAlias = Reply | Fault
#: one answer for ever, answers in turn (the last for ever), or a function of the request
Script: TypeAlias = Answer | Sequence[Answer] | Callable[[Request], Answer]


class Service:
    """A real HTTP/1.1 server on 127.0.0.1, a context manager. Paths without a script answer ``default`` (200, ``{}``).

    ``requests`` holds what arrived, in order; one that the server hung up on unread is counted in ``connections`` only.
    """

    def __init__(self, *, default: Script | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._default: Script = default if default is not None else Reply(200, {})
        self._tls = tls
        self._scripts: dict[str, Script] = {}
        self._turns: dict[str, int] = {}
        self._before: list[Fault] = []
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, or https where it speaks TLS."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Request]:
        """A copy of all requests so far."""
        with self._lock:
            return list(self._requests)

    def on(self, path: str, script: Script) -> None:
        """Answer ``script`` to requests for ``path`` from now on; a path starts with ``/`` and has no query."""
        with self._lock:
            self._scripts[path] = script
            self._turns.pop(path, None)

    def next_connection(self, *faults: Fault) -> None:
        """Fail the next connections, before anything is read, one after the other."""
        with self._lock:
            self._before.extend(faults)

    def clear(self) -> None:
        """Forget the requests so far."""
        with self._lock:
            self._requests.clear()

    def close(self) -> None:
        """Close every connection and wait for the threads; safe twice."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            still = list(self._open)
            threads = list(self._threads)
        for connection in still:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)

    def _spawn(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        with self._lock:
            self._threads = [one for one in self._threads if one.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                fault = self._before.pop(0) if self._before else None
                self._open.add(connection)
            self._spawn(self._serve, connection, fault)

    def _serve(self, raw: socket.socket, fault: Fault | None) -> None:
        connection = raw
        try:
            # without it Nagle and delayed acknowledgements cost 40 ms a reply
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if fault is Fault.RESET_BEFORE:
                _reset(raw)
            if fault is not None:
                return
            if self._tls is not None:
                connection = self._tls.wrap_socket(raw, server_side=True)
                with self._lock:
                    self._open.add(connection)
            with connection.makefile("rb") as stream:
                while (request := _read(stream)) is not None:
                    if not self._respond(connection, request):
                        return
        except (OSError, ValueError):
            pass  # the client went away, or does not speak HTTP: that is its test's business
        finally:
            with self._lock:
                self._open -= {raw, connection}
            connection.close()
            raw.close()

    def _respond(self, connection: socket.socket, request: Request) -> bool:
        """Answer one request; False when the connection is to end."""
        with self._lock:
            self._requests.append(request)
            script = self._scripts.get(request.path, self._default)
            if isinstance(script, Sequence):
                turn = self._turns.get(request.path, 0)
                self._turns[request.path] = turn + 1
                script = script[min(turn, len(script) - 1)]
        answer = script(request) if callable(script) else script
        if isinstance(answer, Fault):
            self._fail(connection, answer)
            return False
        assert isinstance(answer, Reply)
        wire = answer.wire()
        if request.method == "HEAD":
            wire = wire[: wire.index(b"\r\n\r\n") + 4]
        connection.sendall(wire)
        return not answer.close and request.headers.get("connection", "").lower() != "close"

    def _fail(self, connection: socket.socket, fault: Fault) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        if fault is Fault.RESET:
            _reset(connection)
        elif fault is Fault.CUT_HEAD:
            connection.sendall(head[:30])
        elif fault in {Fault.CUT_BODY, Fault.RESET_BODY}:
            connection.sendall(head + b'{"id":')
            if fault is Fault.RESET_BODY:
                self._over.wait(0.1)  # so that the client has read the head before the reset discards it
                _reset(connection)
        elif fault in {Fault.HANG, Fault.STALL}:
            if fault is Fault.STALL:
                connection.sendall(head + b'{"id":')
            self._over.wait(120)
        elif fault is Fault.GARBAGE:
            connection.sendall(b"220 mail.example.com ESMTP\r\n\r\n")
        elif fault is Fault.BAD_CHUNK:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
        elif fault in {Fault.DRIP, Fault.DRIP_BODY}:
            slowly = head + b" " * 1000
            if fault is Fault.DRIP_BODY:
                connection.sendall(head)
                slowly = b" " * 1000
            for byte in slowly:
                connection.sendall(bytes((byte,)))
                if self._over.wait(0.1):
                    return


def _read(stream: Any) -> Request | None:
    """The next request of a connection; None where it ended."""
    line = stream.readline(65536).decode("latin-1")
    if not line.strip():
        return None
    method, target, _ = line.split(" ", 2)
    headers: dict[str, str] = {}
    while (line := stream.readline(65536).decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    size = int(headers.get("content-length") or 0)
    body = stream.read(size)
    if len(body) < size:
        return None
    parts = urlsplit(target)
    return Request(method, parts.path, parse_qs(parts.query, keep_blank_values=True), headers, body)


def _reset(connection: socket.socket) -> None:
    """Make close() send RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextlib.contextmanager
def refusing() -> Any:
    """A URL that refuses connections for as long as the context lasts: its port is taken, and nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextlib.contextmanager
def blackhole() -> Any:
    """A URL whose packets go nowhere: a listener whose backlog is full, so that connecting only times out."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
