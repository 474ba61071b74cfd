"""httpx's own engine, always there."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from libax_automate._engines.reasons import words
from libax_automate._engines.trust import ssl_context
from libax_automate.clock import SystemClock
from libax_automate.transport import IDLE, Answer, Headers, InDoubt, NotSent, Settings

if TYPE_CHECKING:
    import ssl


class HttpcoreTransport:
    """``httpcore``, the engine inside httpx, one connection per request under way; its pool's cost grows with the square of those."""

    def __init__(self, settings: Settings) -> None:
        import httpcore

        # its DEBUG lines quote every header of a reply, which may hold what nobody should read
        logging.getLogger("httpcore").setLevel(logging.INFO)
        self._core = httpcore
        place = settings.place
        self._origin = httpcore.Origin(place.scheme.encode(), place.host.encode(), place.port)
        self._ssl = ssl_context(settings.ca_file) if place.scheme == "https" else None
        fixed = [("Host", place.authority), *settings.headers]
        self._fixed = [(name.encode("ascii"), value.encode("ascii")) for name, value in fixed]
        self._names = [name.lower() for name, _ in fixed]
        self._timeouts = {"connect": settings.connect_timeout, "read": settings.timeout, "write": settings.timeout, "pool": None}
        self._total = settings.total_timeout
        self._max_body = settings.max_body
        self._monotonic = SystemClock().monotonic
        #: the moment each thread's current request must be over
        self._deadline = threading.local()
        self._address = settings.address
        self._idle: deque[tuple[str, Any]] = deque()
        self._closed = False

    def aim(self, address: str) -> None:
        """Connect to ``address`` from now on; idle connections to the old one are closed."""
        self._address = address
        self._drop_idle()

    def send(self, method: str, target: str, headers: Headers, content: bytes) -> Answer:
        """Send one request; raises NotSent when connecting failed, InDoubt when anything after that did."""
        if self._closed:
            raise NotSent("the client is closed")
        sent = self._headers(method, headers, content)
        url = self._core.URL(scheme=self._origin.scheme, host=self._origin.host, port=self._origin.port, target=target.encode("ascii"))
        request = self._core.Request(method, url, headers=sent, content=content, extensions={"timeout": self._timeouts})
        self._deadline.at = self._monotonic() + self._total
        address, connection = self._take()
        failure: NotSent | InDoubt
        try:
            response = connection.handle_request(request)
        except (self._core.ConnectError, self._core.ConnectTimeout) as error:
            failure = NotSent(words(error, "no connection"))
        except Exception as error:
            failure = InDoubt(words(error, "no reply"))
        else:
            return self._read(address, connection, response)
        connection.close()
        # raised out here, the library's own error (which may hold a URL) is not carried along as context
        raise failure

    def close(self) -> None:
        """Close what is idle now and what is under way when it ends; safe twice."""
        self._closed = True
        self._drop_idle()

    def _headers(self, method: str, headers: Headers, content: bytes) -> list[tuple[bytes, bytes]]:
        if headers:
            own = {name.lower() for name, _ in headers}
            fixed = [pair for pair, name in zip(self._fixed, self._names, strict=True) if name not in own]
            sent = [*fixed, *((name.encode("ascii"), value.encode("ascii")) for name, value in headers)]
        else:
            sent = list(self._fixed)
        if content or method not in {"GET", "HEAD", "DELETE"}:
            sent.append((b"Content-Length", b"%d" % len(content)))
        return sent

    def _take(self) -> tuple[str, Any]:
        while True:
            try:
                address, connection = self._idle.pop()
            except IndexError:
                backend: Any = _Pinned(self._core, self._address, self._deadline, self._monotonic)
                return self._address, self._core.HTTPConnection(
                    self._origin, ssl_context=self._ssl, keepalive_expiry=IDLE, network_backend=backend
                )
            if address == self._address and connection.is_available() and not connection.has_expired():
                return address, connection
            connection.close()

    def _read(self, address: str, connection: Any, response: Any) -> Answer:
        pieces: list[bytes] = []
        size, truncated, broken = 0, False, ""
        try:
            for piece in response.stream:
                pieces.append(piece)
                size += len(piece)
                if size > self._max_body:
                    truncated = True
                    break
        except Exception as error:
            broken = words(error, "the reply broke off")
        try:
            response.close()
        finally:
            fine = not truncated and not broken and connection.is_idle() and not _spoke_on(connection)
            if fine and address == self._address and not self._closed:
                self._idle.append((address, connection))
            else:
                connection.close()
        raw = response.headers
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return Answer.raw(response.status, raw, content[: self._max_body], truncated=truncated, broken=broken)

    def _drop_idle(self) -> None:
        while True:
            try:
                _, connection = self._idle.pop()
            except IndexError:
                return
            connection.close()


def _spoke_on(connection: Any) -> bool:
    """Whether the server said more than one reply: httpcore would take the rest for the answer to the next request."""
    state = getattr(getattr(connection, "_connection", None), "_h11_state", None)
    return state is None or bool(state.trailing_data[0])


class _Pinned:
    """httpcore's network backend, connecting to one checked address, each read and write bounded by the request's deadline."""

    def __init__(self, core: Any, address: str, deadline: threading.local, monotonic: Callable[[], float]) -> None:
        self._core = core
        self._address = address
        self._deadline = deadline
        self._monotonic = monotonic

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> _Bounded:
        del host  # the name is for the Host header and the TLS certificate; the address was checked
        stream = self._core.SyncBackend().connect_tcp(self._address, port, timeout, local_address, socket_options)
        return _Bounded(self._core, stream, self._deadline, self._monotonic)

    def sleep(self, seconds: float) -> None:
        """Only httpcore's own retries would wait, and there are none."""


class _Bounded:
    """A network stream on which no drip of bytes outlasts the request's deadline."""

    def __init__(self, core: Any, stream: Any, deadline: threading.local, monotonic: Callable[[], float]) -> None:
        self._core = core
        self._stream = stream
        self._deadline = deadline
        self._monotonic = monotonic

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._deadline.at - self._monotonic()
        if left <= 0:
            raise self._core.ReadTimeout("total timeout")
        data: bytes = self._stream.read(max_bytes, min(timeout, left) if timeout else left)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = self._deadline.at - self._monotonic()
        if left <= 0:
            raise self._core.WriteTimeout("total timeout")
        self._stream.write(buffer, min(timeout, left) if timeout else left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> _Bounded:
        return _Bounded(self._core, self._stream.start_tls(ssl_context, server_hostname, timeout), self._deadline, self._monotonic)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
