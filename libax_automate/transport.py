"""How bytes leave: a small interface, and two HTTP engines behind it that must agree on every verdict.

``pyreqwest`` (extra ``fast``) lets other threads run while it works; ``httpx``'s own engine, ``httpcore``, is always
there. Both send one request per call, know no proxy, follow no redirect, decompress nothing, and connect to the address
they are told, whatever the name in the URL resolves to.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from libax_automate.address import Place
from libax_automate.clock import SystemClock
from libax_automate.errors import SetupError

if TYPE_CHECKING:
    import ssl

#: seconds an unused connection is kept: shorter than the 5 s after which many servers drop theirs
IDLE = 4.0
#: bytes asked of a body at a time
_PIECE = 65536
#: how libraries decorate an operating system's reason
_NUMBERS = re.compile(r"^\[Errno -?\d+\] | \(os error \d+\)$")

Headers: TypeAlias = Sequence[tuple[str, str]]


class NotSent(Exception):
    """Nothing of the request left this machine (no connection, no TLS session)."""


class InDoubt(Exception):
    """The request, or a part of it, left, and no complete status line and headers came back."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a transport is made for; times are in seconds, ``headers`` go with every request."""

    place: Place
    #: the checked address to begin with
    address: str
    headers: Headers = ()
    connect_timeout: float = 10.0
    timeout: float = 30.0
    total_timeout: float = 60.0
    max_body: int = 1 << 20
    #: a PEM file of certificate authorities to trust besides the well-known ones
    ca_file: Path | None = None


class Answer:
    """What came back: ``status``, ``headers``, and at most ``max_body`` bytes of the body as they came over the line.

    ``truncated`` says that there was more; ``broken`` says why the body ended early, and is empty when it did not.
    """

    __slots__ = ("_pairs", "broken", "content", "header", "status", "truncated")

    def __init__(
        self,
        status: int,
        header: Callable[[str], str | None],
        pairs: Callable[[], Iterable[tuple[str, str]]],
        content: bytes,
        *,
        truncated: bool = False,
        broken: str = "",
    ) -> None:
        self.status = status
        #: the first value of a header, by name in any case
        self.header = header
        self._pairs = pairs
        self.content = content
        self.truncated = truncated
        self.broken = broken

    def pairs(self) -> Iterable[tuple[str, str]]:
        """All headers, in order."""
        return self._pairs()


class Transport(Protocol):
    """Sends one request to one place; serves many threads at once."""

    def aim(self, address: str) -> None:
        """Connect to ``address`` from now on; requests under way end where they began."""

    def send(self, method: str, target: str, headers: Headers, content: bytes) -> Answer:
        """Send one request; raises NotSent or InDoubt, with a reason that names no URL."""

    def close(self) -> None:
        """Let go of every connection; safe twice."""


class HttpcoreTransport:
    """``httpcore``, the engine inside httpx, one connection per request under way; its pool's cost grows with the square of those."""

    def __init__(self, settings: Settings) -> None:
        import httpcore

        # its DEBUG lines quote every header of a reply, which may hold what nobody should read
        logging.getLogger("httpcore").setLevel(logging.INFO)
        self._core = httpcore
        place = settings.place
        self._origin = httpcore.Origin(place.scheme.encode(), place.host.encode(), place.port)
        self._ssl = _ssl_context(settings.ca_file) if place.scheme == "https" else None
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
            failure = NotSent(_words(error, "no connection"))
        except Exception as error:
            failure = InDoubt(_words(error, "no reply"))
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
            broken = _words(error, "the reply broke off")
        try:
            response.close()
        finally:
            if not truncated and not broken and connection.is_idle() and address == self._address and not self._closed:
                self._idle.append((address, connection))
            else:
                connection.close()
        raw = response.headers
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)

        def header(name: str) -> str | None:
            wanted = name.lower().encode("ascii")
            return next((value.decode("latin-1") for key, value in raw if key.lower() == wanted), None)

        def pairs() -> Iterable[tuple[str, str]]:
            return [(key.decode("latin-1"), value.decode("latin-1")) for key, value in raw]

        return Answer(response.status, header, pairs, content[: self._max_body], truncated=truncated, broken=broken)

    def _drop_idle(self) -> None:
        while True:
            try:
                _, connection = self._idle.pop()
            except IndexError:
                return
            connection.close()


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


class PyreqwestTransport:
    """``pyreqwest``'s blocking client; the interpreter is free while a request is under way."""

    def __init__(self, settings: Settings) -> None:
        from pyreqwest import exceptions
        from pyreqwest.client import SyncClientBuilder

        self._builder = SyncClientBuilder
        self._error = exceptions.PyreqwestError
        self._settings = settings
        self._origin = settings.place.origin
        self._fixed = dict(settings.headers)
        self._max_body = settings.max_body
        self._closed = False
        self._client = self._build(settings.address)

    def aim(self, address: str) -> None:
        """Connect to ``address`` from now on; the old client ends what it has under way, then its connections idle out."""
        if not self._closed:
            self._client = self._build(address)

    def send(self, method: str, target: str, headers: Headers, content: bytes) -> Answer:
        """Send one request; raises what :func:`verdict` says, NotSent also where the request could not even be built."""
        failure: NotSent | InDoubt
        if self._closed:
            raise NotSent("the client is closed")
        try:
            request = self._client.request(method, self._origin + target)
            if headers:
                request = request.headers(headers)
            if content or method not in {"GET", "HEAD", "DELETE"}:
                request = request.body_bytes(content)
            # a limit of 0: otherwise the body is read with the headers, and its failure hides the status
            built = request.streamed_read_buffer_limit(0).build_streamed()
        except (ValueError, self._error) as error:
            failure = NotSent(f"no such request can be made ({type(error).__name__})")
            raise failure from None
        try:
            with built as response:
                return self._read(response)
        except self._error as error:
            failure = verdict(error)
        # raised out here, the library's own error (which holds the URL) is not carried along as context
        raise failure

    def close(self) -> None:
        """Close every connection; a request still under way ends in doubt. Safe twice."""
        self._closed = True
        self._client.close()

    def _read(self, response: Any) -> Answer:
        headers = response.headers
        truncated, broken = False, ""
        size = headers.get("content-length")
        pieces: list[bytes] = []
        try:
            if size is not None and len(size) < 12 and int(size) <= self._max_body:
                pieces.append(bytes(response.bytes()))
            else:
                reader, left = response.body_reader, self._max_body + 1
                while left > 0 and (piece := reader.read(min(_PIECE, left))) is not None:
                    pieces.append(bytes(piece))
                    left -= len(piece)
                truncated = left <= 0
        except (ValueError, self._error) as error:
            broken = _words(error, "the reply broke off")
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return Answer(response.status, headers.get, headers.items, content[: self._max_body], truncated=truncated, broken=broken)

    def _build(self, address: str) -> Any:
        settings, place = self._settings, self._settings.place
        builder = (
            self._builder()
            .no_proxy()
            .follow_redirects(False)
            .referer(False)
            .http1_only()
            .gzip(False)
            .deflate(False)
            .brotli(False)
            .zstd(False)
            .default_headers(self._fixed)
            .connect_timeout(timedelta(seconds=settings.connect_timeout))
            .read_timeout(timedelta(seconds=settings.timeout))
            .timeout(timedelta(seconds=settings.total_timeout))
            .pool_idle_timeout(timedelta(seconds=IDLE))
            .min_tls_version("TLSv1.2")
        )
        if place.literal is None:
            builder = builder.resolve(place.host, address, place.port)
        if settings.ca_file is not None:
            for certificate in _certificates(settings.ca_file):
                builder = builder.add_root_certificate_pem(certificate)
        return builder.build()


def verdict(error: Any) -> NotSent | InDoubt:
    """What a pyreqwest error means. Only a cause ``client error (Connect)`` proves that nothing was sent.

    Its names do not: a server that takes the request and drops the line raises ``ConnectError``, and one that takes it
    and hangs ``ConnectTimeoutError`` (seen on 0.15.1).
    """
    words = _words(error, "no reply")
    if any(cause.get("message") == "client error (Connect)" for cause in _causes(error)):
        return NotSent(words)
    return InDoubt(words)


def _causes(error: Any) -> Sequence[Mapping[str, str]]:
    details = getattr(error, "details", None)
    return (details.get("causes") or ()) if isinstance(details, dict) else ()


def _words(error: BaseException, otherwise: str) -> str:
    """The innermost reason an HTTP library gives, without the URL it may quote."""
    causes = [cause["message"] for cause in _causes(error) if "://" not in cause["message"]]
    text = causes[-1] if causes else str(getattr(error, "message", error))
    text = _NUMBERS.sub("", " ".join(text.split()))[:200]
    return text if text and "://" not in text else otherwise


def _certificates(path: Path) -> list[bytes]:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a PEM file"
        raise SetupError(f"ca_file {path.name!r} cannot be read: {why}", hint="name a PEM file of certificates") from None
    found = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    if not found:
        raise SetupError(f"ca_file {path.name!r} holds no certificate", hint="name a PEM file of certificates")
    return [certificate.encode("ascii") for certificate in found]


def _ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    import httpx

    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(cadata=b"\n".join(_certificates(ca_file)).decode("ascii"))
    return context


#: by the names that ``AUTOMATE_HTTP`` knows
TRANSPORTS: Mapping[str, Callable[[Settings], Transport]] = {"httpx": HttpcoreTransport, "pyreqwest": PyreqwestTransport}


def choose(name: str | None = None) -> Callable[[Settings], Transport]:
    """The transport called ``name``; else what ``AUTOMATE_HTTP`` says; else ``pyreqwest`` where it is installed, ``httpx`` where not."""
    wanted = name or os.environ.get("AUTOMATE_HTTP") or ("pyreqwest" if importlib.util.find_spec("pyreqwest") else "httpx")
    if wanted not in TRANSPORTS:
        raise SetupError(f"there is no HTTP transport {wanted!r}", hint=f"AUTOMATE_HTTP is one of {', '.join(TRANSPORTS)}")
    if wanted == "pyreqwest" and importlib.util.find_spec("pyreqwest") is None:
        raise SetupError("the HTTP transport pyreqwest is not installed", hint='pip install "libax_automate[fast]"')
    if wanted == "pyreqwest":
        _load_pyreqwest()
    return TRANSPORTS[wanted]


def _load_pyreqwest() -> None:
    """Import ``pyreqwest`` in a thread that never ends.

    Its allocator (mimalloc) ties itself to the thread that loads the library: when that one is a worker and ends,
    the next call from any other thread is a segmentation fault (seen on 0.15.1, Python 3.11).
    """
    if "pyreqwest" in sys.modules:
        return
    if threading.current_thread() is threading.main_thread():
        importlib.import_module("pyreqwest.client")
        return
    loaded = threading.Event()

    def keep() -> None:
        try:
            importlib.import_module("pyreqwest.client")
        finally:
            loaded.set()
        threading.Event().wait()

    threading.Thread(target=keep, name="pyreqwest", daemon=True).start()
    loaded.wait()
