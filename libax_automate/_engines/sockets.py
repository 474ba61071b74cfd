"""Blocking sockets, replies read by ``httptools`` (llhttp, the parser of Node.js; extra ``fast``): the least work per request.

A request costs a third of the CPU time of pyreqwest's, whose every call wakes a thread of its own (``benchmarks/README.md``).
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from libax_automate._engines.reasons import words
from libax_automate._engines.trust import ssl_context
from libax_automate.clock import SystemClock
from libax_automate.transport import IDLE, Answer, Headers, InDoubt, NotSent, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

#: bytes asked of the line at a time
_PIECE = 65536
#: the longest head of a reply; more is no reply
_HEAD = 131072
#: heads of requests kept ready
_READY = 256
#: what may not stand in a head but as its own line break
_BREAK = re.compile(r"[^\x20-\x7e]")
_TIME = struct.Struct("ll")
#: a line that was used a moment ago (seconds) is not looked at before it is used again, once so many looks have found nothing:
#: each look lets other threads in, and costs as much as the rest of a request to a server next door
_MOMENT, _LOOKS = 0.01, 64
#: look without taking, without waiting (joined once: enumerations are slow to join)
_LOOK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)


class SocketTransport:
    """One plain or TLS connection per request under way, kept for the next while the server keeps it."""

    def __init__(self, settings: Settings) -> None:
        place = settings.place
        self._host, self._port = place.host, place.port
        self._ssl = ssl_context(settings.ca_file) if place.scheme == "https" else None
        self._fixed = (("Host", place.authority), *settings.headers)
        self._settings = settings
        self._monotonic = SystemClock().monotonic
        self._address = settings.address
        self._heads: dict[tuple[str, str, Headers], bytes] = {}
        self._idle: deque[_Connection] = deque()
        self._closed = False
        #: looks at kept lines that found nothing; below zero: a kept line was found closed, so each is looked at
        self._quiet = 0
        # as the other engines do: a client that nobody closed lets go of its lines without a word
        weakref.finalize(self, _let_go, self._idle)

    def aim(self, address: str) -> None:
        """Connect to ``address`` from now on; idle connections to the old one are closed."""
        self._address = address
        self._drop_idle()

    def send(self, method: str, target: str, headers: Headers, content: bytes) -> Answer:
        """Send one request; raises NotSent when connecting failed, InDoubt when anything after that did."""
        if self._closed:
            raise NotSent("the client is closed")
        ours = (method, target, tuple(headers))
        head = self._heads.get(ours) or self._head(ours)
        if content or method not in {"GET", "HEAD", "DELETE"}:
            head += b"Content-Length: %d\r\n\r\n" % len(content)
            head += content
        else:
            head += b"\r\n"
        end = self._monotonic() + self._settings.total_timeout
        failure: NotSent | InDoubt
        connection = self._take()
        fresh = connection is None
        if connection is None:
            try:
                connection = self._connect()
                connection.hurry(end)
            except OSError as error:  # ssl.SSLError and timeouts are OSErrors
                failure = NotSent(words(error, "no connection"))
        if connection is not None:
            try:
                connection.send(head, end)
                answer = connection.answer(end, empty=method == "HEAD")
            except (OSError, _NoReply) as error:
                failure = InDoubt("timed out" if isinstance(error, BlockingIOError) else words(error, "no reply"))
                if not fresh:
                    self._quiet = -1
            else:
                if connection.reusable and not self._closed and connection.address == self._address:
                    connection.idle_since = self._monotonic()
                    self._idle.append(connection)
                else:
                    connection.close()
                return answer
            connection.close()
        # raised out here, the library's own error is not carried along as context
        raise failure

    def close(self) -> None:
        """Close what is idle now and what is under way when it ends; safe twice."""
        self._closed = True
        self._drop_idle()

    def _head(self, ours: tuple[str, str, Headers]) -> bytes:
        method, target, headers = ours
        own = {name.lower() for name, _ in headers}
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self._fixed if name.lower() not in own]
        lines += [f"{name}: {value}" for name, value in headers]
        if any(_BREAK.search(line) for line in lines):
            raise NotSent("no such request can be made: its head holds a line break or a character beyond ASCII")
        head = "\r\n".join((*lines, "")).encode("ascii")
        if len(self._heads) >= _READY:
            self._heads.clear()
        self._heads[ours] = head
        return head

    def _take(self) -> _Connection | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            idle = self._monotonic() - connection.idle_since
            if connection.address == self._address and idle < IDLE:
                if idle < _MOMENT and self._quiet >= _LOOKS:
                    return connection
                if connection.quiet():
                    self._quiet += self._quiet >= 0
                    return connection
                self._quiet = -1
            connection.close()

    def _connect(self) -> _Connection:
        address, patience = self._address, self._settings.connect_timeout
        line = socket.create_connection((address, self._port), timeout=patience)
        try:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._ssl is not None:
                line = self._ssl.wrap_socket(line, server_hostname=self._host)
            return _Connection(address, line, self._settings, self._monotonic)
        except BaseException:
            line.close()
            raise

    def _drop_idle(self) -> None:
        _let_go(self._idle)


def _let_go(idle: deque[_Connection]) -> None:
    while True:
        try:
            idle.pop().close()
        except IndexError:
            return


class _NoReply(Exception):
    """The line ended, or what came over it is no HTTP reply, before the status and the headers were complete."""


class _Connection:
    """One line to a server, and the reply that is being read from it. ``httptools`` calls the ``on_…`` methods."""

    def __init__(self, address: str, line: socket.socket, settings: Settings, monotonic: Callable[[], float]) -> None:
        self.address = address
        self.idle_since = 0.0
        self.reusable = True
        self._line = line
        self._timeout = settings.timeout
        self._max_body = settings.max_body
        self._monotonic = monotonic
        self._secure = settings.place.scheme == "https"
        self._parser = HttpResponseParser(self)
        self._status = 0
        self._complete = False
        self._pairs: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._size = 0
        if not self._secure:
            # the kernel's own timeouts: with Python's, each send and receive would be two calls, and give the interpreter away twice
            line.settimeout(None)
        self._patience = 0.0
        self._wait(self._timeout)

    def quiet(self) -> bool:
        """Whether the server has neither hung up nor said anything unasked."""
        try:
            if self._secure:
                self._line.settimeout(0)
                try:
                    self._line.recv(1)
                finally:
                    self._line.settimeout(self._patience)
            else:
                self._line.recv(1, _LOOK)
        except OSError as error:
            return isinstance(error, BlockingIOError) or type(error).__name__ == "SSLWantReadError"
        return False

    def hurry(self, end: float) -> None:
        """Connecting took its time: what is left until ``end`` may be less than one wait's patience."""
        if (left := self._left(end)) < self._patience:
            self._wait(max(left, 0.001))

    def send(self, data: bytes, end: float) -> None:
        """Send all of ``data`` before the moment ``end``; raises OSError."""
        sent = self._line.send(data)
        while sent < len(data):
            left = self._left(end)
            if left <= 0:
                raise TimeoutError("timed out")
            self._wait(min(self._timeout, left))
            sent += self._line.send(memoryview(data)[sent:])

    def answer(self, end: float, *, empty: bool) -> Answer:
        """Read one reply, of a ``HEAD`` (``empty``) without a body; raises OSError or _NoReply before its headers are complete."""
        self._status, self._complete, self._pairs, self._pieces, self._size = 0, False, [], [], 0
        broken, heard = "", 0
        receive, feed = self._line.recv, self._parser.feed_data
        try:
            while True:
                data = receive(_PIECE)
                if not data:
                    if not self._status:
                        raise _NoReply("the server closed the connection")
                    self.reusable = False
                    if self._framed():
                        broken = "the server closed the connection"
                    break
                heard += len(data)
                feed(data)
                if self._complete:
                    break
                if empty and self._status:
                    self.reusable = False  # where its body would begin, nobody has told the parser
                    break
                if not self._status and heard > _HEAD:
                    raise _NoReply("the head of the reply is too long")
                if self._size > self._max_body:
                    self.reusable = False
                    break
                left = self._left(end)
                if left <= 0:
                    raise TimeoutError("timed out")
                if left < self._patience:
                    self._wait(left)
        except (OSError, HttpParserError, HttpParserUpgrade) as error:
            if not self._status:
                if isinstance(error, OSError):
                    raise
                raise _NoReply("the reply is not HTTP") from None
            self.reusable = False
            if not self._complete and not isinstance(error, HttpParserUpgrade):
                late = isinstance(error, BlockingIOError)
                broken = "timed out" if late else words(error, "the reply broke off") if isinstance(error, OSError) else "a broken body"
        if self.reusable and self._patience != self._timeout:
            self._wait(self._timeout)
        pairs, pieces = self._pairs, self._pieces
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        truncated = len(content) > self._max_body
        if truncated:
            self.reusable = False
        return Answer.raw(self._status, pairs, content[: self._max_body], truncated=truncated, broken=broken)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._line.close()

    # -- what the parser says ------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._status:  # later ones are the trailers of a chunked body
            self._pairs.append((name, value))

    def on_headers_complete(self) -> None:
        if self._complete:
            self.reusable = False  # a second reply to one request
            return
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            self._pairs = []  # 100 and 103: the reply is still to come
        else:
            self._status = status

    def on_body(self, data: bytes) -> None:
        if not self._complete:
            self._pieces.append(data)
            self._size += len(data)

    def on_message_complete(self) -> None:
        if self._status:
            self._complete = True
            self.reusable = self.reusable and self._parser.should_keep_alive()

    # -- time ----------------------------------------------------------------------------------------------------------

    def _left(self, end: float) -> float:
        return end - self._monotonic()

    def _wait(self, seconds: float) -> None:
        """Wait at most so long for the other side from now on."""
        self._patience = seconds
        if self._secure:
            self._line.settimeout(seconds)
            return
        limit: Any = _TIME.pack(int(seconds), int(seconds % 1 * 1_000_000) or (0 if seconds >= 1 else 1))
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def _framed(self) -> bool:
        """Whether the reply said where its body ends; else the end of the connection is its end (RFC 9112 §6.3)."""
        return any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in self._pairs)
