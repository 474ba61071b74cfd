"""The scripted server does what its authors' tests are told it does; seen with raw sockets."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from libax_automate.testing.service import Fault, Reply, Request, Service, blackhole, refusing


@pytest.fixture
def service() -> Iterator[Service]:
    """A running server."""
    with Service() as running:
        yield running


def _connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=5)


def _ask(service: Service, path: str = "/x", body: bytes = b"", method: str = "POST") -> bytes:
    """One request, and everything that comes back until the server closes."""
    with _connect(service) as link:
        head = f"{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        link.sendall(head.encode() + body)
        seen = b""
        while piece := link.recv(65536):
            seen += piece
        return seen


def test_a_path_without_a_script_answers_200_and_is_recorded(service: Service) -> None:
    seen = _ask(service, "/a/b?x=1&x=2&y=", b'{"n": 1}')
    assert seen.startswith(b"HTTP/1.1 200 OK\r\n")
    assert seen.endswith(b"\r\n\r\n{}")
    (request,) = service.requests
    assert (request.method, request.path, request.query) == ("POST", "/a/b", {"x": ["1", "2"], "y": [""]})
    assert request.json() == {"n": 1}
    service.clear()
    assert service.requests == []


def test_replies_come_in_turn_and_the_last_stays(service: Service) -> None:
    service.on("/x", [Reply(503), Reply(200, "ok")])
    assert [_ask(service).split(b" ")[1] for _ in range(3)] == [b"503", b"200", b"200"]


def test_a_function_answers_the_request_it_is_given(service: Service) -> None:
    def echo(request: Request) -> Reply:
        return Reply(201, request.form(), {"X-A": "b"})

    service.on("/x", echo)
    seen = _ask(service, body=b"a=1&b=%C3%A9")
    assert b"X-A: b\r\n" in seen
    assert json.loads(seen.partition(b"\r\n\r\n")[2]) == {"a": ["1"], "b": ["é"]}


def test_a_connection_serves_many_requests(service: Service) -> None:
    with _connect(service) as link:
        for _ in range(3):
            link.sendall(b"GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
            assert link.recv(65536).endswith(b"{}")
    assert (len(service.requests), service.connections) == (3, 1)


def test_a_head_request_gets_no_body(service: Service) -> None:
    assert _ask(service, method="HEAD").endswith(b"Content-Length: 2\r\n\r\n")


def test_it_hangs_up_before_reading_once_for_each_fault_given(service: Service) -> None:
    service.next_connection(Fault.HANG_UP_BEFORE, Fault.RESET_BEFORE)
    for _ in range(2):
        try:
            assert _ask(service) == b""
        except OSError:
            continue
    assert _ask(service).startswith(b"HTTP/1.1 200")
    assert (len(service.requests), service.connections) == (1, 3)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Fault.HANG_UP, b""),
        (Fault.CUT_HEAD, b"HTTP/1.1 200 OK\r\nContent-Type:"),
        (Fault.GARBAGE, b"220 mail.example.com ESMTP\r\n\r\n"),
    ],
)
def test_a_fault_takes_the_whole_request_first(service: Service, fault: Fault, seen: bytes) -> None:
    service.on("/x", fault)
    assert _ask(service, body=b"abc") == seen
    assert service.requests[0].body == b"abc"


def test_a_cut_body_is_shorter_than_announced(service: Service) -> None:
    service.on("/x", Fault.CUT_BODY)
    head, _, body = _ask(service).partition(b"\r\n\r\n")
    assert b"Content-Length: 1000" in head
    assert body == b'{"id":'


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.RESET_BODY])
def test_a_reset_is_a_reset(service: Service, fault: Fault) -> None:
    service.on("/x", fault)
    with pytest.raises(ConnectionResetError):
        _ask(service)


@pytest.mark.parametrize("fault", [Fault.DRIP, Fault.DRIP_BODY, Fault.HANG, Fault.STALL])
def test_closing_ends_what_drips_and_hangs(fault: Fault) -> None:
    began = time.monotonic()
    with Service() as service:
        service.on("/x", fault)
        link = _connect(service)
        link.sendall(b"GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
        if fault is not Fault.HANG:
            assert link.recv(1)
    link.close()
    service.close()
    assert time.monotonic() - began < 4


def test_a_refusing_url_refuses_and_a_blackhole_swallows() -> None:
    with refusing() as url, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5)
    with blackhole() as url, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=0.3)
