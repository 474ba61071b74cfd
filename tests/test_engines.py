"""The HTTP engines against replies written byte by byte: what they make of each is the same, however the bytes are cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from libax_automate._engines import ENGINES, choose
from libax_automate.address import place
from libax_automate.clock import SystemClock
from libax_automate.transport import InDoubt, NotSent, Settings, Transport

#: what a server may say -> (status, body, whether the body is known to be short), or None where it is no reply at all
REPLIES: dict[str, tuple[bytes, tuple[int, bytes, bool] | None]] = {
    "a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, b"ok", False)),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", (200, b"ok", False)),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", (200, b"ok", False)),
    "chunks with trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nX-Late: 1\r\n\r\n",
        (200, b"ok", False),
    ),
    "chunks that break off": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", (200, b"ok", True)),
    "a chunk of no length": (b"HTTP/1.1 422 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n", (422, b"", True)),
    "to the end of the line": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", (200, b"ok", False)),
    "an old server": (b"HTTP/1.0 200 OK\r\n\r\nok", (200, b"ok", False)),
    "shorter than it says": (b"HTTP/1.1 402 Pay\r\nContent-Length: 9\r\n\r\nok", (402, b"ok", True)),
    "nothing in it": (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", False)),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", (304, b"", False)),
    "continue first": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, b"ok", False)),
    "hints first": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        (429, b"", False),
    ),
    "only a promise": (b"HTTP/1.1 100 Continue\r\n\r\n", None),
    "nothing": (b"", None),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-", None),
    "no HTTP": (b"SSH-2.0-OpenSSH_9\r\n", None),
    "a page without a head": (b"<html>maintenance</html>\r\n\r\n", None),
    "a status of letters": (b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n", None),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\nok", None),
    "a length of letters": (b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", None),
}


@contextlib.contextmanager
def saying(data: bytes, *, piece: int) -> Iterator[str]:
    """A server that reads one request, says ``data`` in pieces and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            line, _ = listener.accept()
            with line, contextlib.suppress(OSError):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                asked = b""
                while not asked.endswith(b"\r\n\r\n"):
                    asked += line.recv(65536)
                for at in range(0, len(data), piece):
                    line.sendall(data[at : at + piece])
                    SystemClock().sleep(0.0005 if piece < len(data) else 0)
                line.shutdown(socket.SHUT_WR)
                while line.recv(65536):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(5)


@contextlib.contextmanager
def engine(name: str, url: str) -> Iterator[Transport]:
    """An engine that talks to ``url``."""
    there = place(url)
    made = choose(name)(Settings(place=there, address="127.0.0.1", connect_timeout=1, timeout=2, total_timeout=4))
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("piece", [1 << 20, 7, 1], ids=["whole", "sevens", "bytes"])
@pytest.mark.parametrize("name", ENGINES)
def test_engines_agree_on_what_a_reply_is(name: str, piece: int) -> None:
    wrong = {}
    for what, (data, meant) in REPLIES.items():
        with saying(data, piece=piece) as url, engine(name, url) as made:
            try:
                answer = made.send("GET", "/", (), b"")
            except InDoubt:
                seen = None
            else:
                # what is left of a body that broke off is worth nothing: one engine keeps it, another does not
                seen = (answer.status, meant[1] if meant and answer.broken else answer.content, bool(answer.broken))
        if seen != meant:
            wrong[what] = (seen, meant)
    assert not wrong


@pytest.mark.parametrize("name", ENGINES)
def test_nothing_unasked_becomes_the_next_reply(name: str) -> None:
    """A server that answers once too often does not get its second answer believed by the next message."""
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for reply in (first + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nX", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"):
                line, _ = listener.accept()
                with contextlib.suppress(OSError):
                    line.recv(65536)
                    line.sendall(reply)
                kept.append(line)

        kept: list[socket.socket] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with engine(name, f"http://127.0.0.1:{listener.getsockname()[1]}/") as made:
            answers = [made.send("GET", "/", (), b"").content for _ in range(2)]
        thread.join(5)
        for line in kept:
            line.close()
    assert answers == [b"a", b"b"]


@pytest.mark.parametrize("header", [("X-A", "b\r\nX-C: d"), ("X-A", "b\nX-C: d"), ("X-A\r\nX-C", "d"), ("X-A", "é")])
def test_a_head_that_cannot_be_written_is_not_sent(header: tuple[str, str]) -> None:
    with engine("httptools", "http://127.0.0.1:9/") as made, pytest.raises(NotSent, match="its head holds"):
        made.send("GET", "/", (header,), b"")


def test_the_head_of_a_reply_has_an_end() -> None:
    long = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (1 << 20) + b"\r\n\r\n"
    with saying(long, piece=1 << 20) as url, engine("httptools", url) as made, pytest.raises(InDoubt, match="too long"):
        made.send("GET", "/", (), b"")
