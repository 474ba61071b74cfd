"""``pyreqwest``, reqwest's blocking client (extra ``fast``)."""

from __future__ import annotations

import importlib
import sys
import threading
from datetime import timedelta
from typing import Any

from libax_automate._engines.reasons import causes, words
from libax_automate._engines.trust import certificates
from libax_automate.transport import IDLE, Answer, Headers, InDoubt, NotSent, Settings

#: bytes asked of a body at a time
_PIECE = 65536


class PyreqwestTransport:
    """``pyreqwest``'s blocking client; the interpreter is free while a request is under way."""

    def __init__(self, settings: Settings) -> None:
        load()
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
            broken = words(error, "the reply broke off")
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
            for certificate in certificates(settings.ca_file):
                builder = builder.add_root_certificate_pem(certificate)
        return builder.build()


def verdict(error: Any) -> NotSent | InDoubt:
    """What a pyreqwest error means. Only a cause ``client error (Connect)`` proves that nothing was sent.

    Its names do not: a server that takes the request and drops the line raises ``ConnectError``, and one that takes it
    and hangs ``ConnectTimeoutError`` (seen on 0.15.1).
    """
    said = words(error, "no reply")
    if any(cause.get("message") == "client error (Connect)" for cause in causes(error)):
        return NotSent(said)
    return InDoubt(said)


def load() -> None:
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
