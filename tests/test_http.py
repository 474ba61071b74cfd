"""The HTTP client on real sockets, over both transports, which must agree on every verdict."""

from __future__ import annotations

import base64
import gzip
import logging
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from pyreqwest import exceptions as pyreqwest_errors

from libax_automate._engines import choose
from libax_automate._engines.httpcore import HttpcoreTransport
from libax_automate._engines.pyreqwest import PyreqwestTransport, verdict
from libax_automate._engines.sockets import SocketTransport
from libax_automate.errors import (
    AccountError,
    ConnectorError,
    ContentError,
    InputDataError,
    OutcomeUnknown,
    RateLimited,
    SetupError,
    Transient,
)
from libax_automate.http import ApiClient, UnreadableReply, retry_after
from libax_automate.options import Secret
from libax_automate.testing.service import Fault, Reply, Request, Service, blackhole, refusing
from libax_automate.transport import InDoubt, NotSent

LOOPBACK = ("127.0.0.1/32",)


@pytest.fixture(params=["httpx", "httptools", "pyreqwest"])
def engine(request: pytest.FixtureRequest) -> str:
    """The transport under test."""
    return str(request.param)


@pytest.fixture
def service() -> Iterator[Service]:
    """A scripted server."""
    with Service() as running:
        yield running


@pytest.fixture
def client(engine: str) -> Iterator[Callable[..., ApiClient]]:
    """Makes clients that may talk to loopback, with short patience, and closes them."""
    made: list[ApiClient] = []

    def make(url: str | Secret, **options: Any) -> ApiClient:
        patience: dict[str, Any] = {"allow_private": LOOPBACK, "timeout": 0.8, "total_timeout": 1.5}
        one = ApiClient(url, transport=engine, **patience | options)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def failure(call: Callable[[], object]) -> ConnectorError:
    """The error that ``call`` ends in, with nothing of a library behind it."""
    with pytest.raises(ConnectorError) as raised:
        call()
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None
    return raised.value


# what leaves


def test_json_form_and_query_arrive_as_written(service: Service, client: Callable[..., ApiClient]) -> None:
    api = client(f"{service.url}/v1/", headers={"X-Api-Key": "k"}, query={"account": "é&="})
    api.post("/messages", json={"text": "Olá – 1 €", "due": date(2026, 12, 24), "amount": Decimal("1.50"), "tags": ["a"]})
    api.put("messages", form={"to": ["+1 555", "b"], "none": None, "yes": True, "n": 5})
    api.get("list?page=2", query=[("q", "a b"), ("q", "c")])
    api.get("search", json={"where": 1})
    api.post("raw", content=b"<x/>", headers={"Content-Type": "text/xml"})
    api.delete("messages/7")
    posted, put, listed, searched, raw, deleted = service.requests
    assert (posted.method, posted.path, posted.query) == ("POST", "/v1/messages", {"account": ["é&="]})
    assert posted.json() == {"text": "Olá – 1 €", "due": "2026-12-24", "amount": "1.50", "tags": ["a"]}
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["x-api-key"] == "k"
    assert posted.headers["host"] == f"127.0.0.1:{service.port}"
    assert put.form() == {"to": ["+1 555", "b"], "yes": ["true"], "n": ["5"]}
    assert listed.query == {"account": ["é&="], "page": ["2"], "q": ["a b", "c"]}
    assert (searched.method, searched.json()) == ("GET", {"where": 1})
    assert (raw.body, raw.headers["content-type"]) == (b"<x/>", "text/xml")
    assert (deleted.method, deleted.path) == ("DELETE", "/v1/messages/7")


def test_a_content_type_of_ones_own_wins(service: Service, client: Callable[..., ApiClient]) -> None:
    client(service.url, headers={"content-type": "application/vnd.api+json"}).post("/x", json={})
    client(service.url).post("/x", json={}, headers={"CONTENT-TYPE": "application/ld+json"})
    assert [request.headers["content-type"] for request in service.requests] == ["application/vnd.api+json", "application/ld+json"]


@pytest.mark.parametrize(
    ("base", "path", "seen"),
    [
        ("", "", "/"),
        ("/hook/", "", "/hook/"),
        ("/hook", "", "/hook"),
        ("/v1", "a", "/v1/a"),
        ("/v1/", "/a/", "/v1/a/"),
        ("/v1", "a b/ç", "/v1/a%20b/%C3%A7"),
        ("/v1", "a%2Fb", "/v1/a%2Fb"),
        ("/v1/a:b@c", "(x)'!*", "/v1/a:b@c/(x)'!*"),
        ("/v1", 'a"<>^`{|}\\b', "/v1/a%22%3C%3E%5E%60%7B%7C%7D%5Cb"),
    ],
)
def test_both_transports_ask_for_the_same_path(service: Service, client: Callable[..., ApiClient], base: str, path: str, seen: str) -> None:
    client(service.url + base).get(path)
    assert service.requests[0].path == seen


@pytest.mark.parametrize("path", ["../admin", "a/../../b", "a/./b", "%2e%2e/b", ".%2E", ".."])
def test_a_path_cannot_climb(service: Service, client: Callable[..., ApiClient], path: str) -> None:
    assert isinstance(failure(lambda: client(f"{service.url}/v1/x").get(path)), ContentError)
    assert service.requests == []


def test_a_next_page_link_is_followed_within_the_server_only(service: Service, client: Callable[..., ApiClient]) -> None:
    api = client(f"{service.url}/v1", query={"key": "k"})
    api.get(f"{service.url}/v2/list?page=2")
    assert (service.requests[0].path, service.requests[0].query) == ("/v2/list", {"key": ["k"], "page": ["2"]})
    error = failure(lambda: api.get("https://elsewhere.example.com/list?page=2"))
    assert isinstance(error, SetupError)
    assert "elsewhere.example.com" in error.message


@pytest.mark.parametrize("header", [{"X-A": "a\r\nX-B: c"}, {"X-A": "a\0"}, {"X-A": "Olá"}, {"X A": "b"}, {"": "b"}, {"X-A\r\n": "b"}])
def test_no_header_can_be_broken_out_of(service: Service, client: Callable[..., ApiClient], header: dict[str, str]) -> None:
    assert isinstance(failure(lambda: client(service.url).post("/x", headers=header)), ContentError)
    assert isinstance(failure(lambda: client(service.url, headers=header)), ContentError)
    assert service.requests == []


def test_connections_are_reused_and_shared_by_threads(service: Service, client: Callable[..., ApiClient]) -> None:
    service.on("/echo", lambda request: Reply(200, {"n": request.json()["n"]}))
    api, wrong = client(service.url, timeout=10, total_timeout=20), []

    def work(worker: int) -> None:
        for turn in range(25):
            number = worker * 100 + turn
            if api.post("/echo", json={"n": number}).json() != {"n": number}:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(service.requests) == 200
    assert service.connections <= 8


def test_a_server_that_closes_after_each_reply_is_no_trouble(service: Service, client: Callable[..., ApiClient]) -> None:
    service.on("/x", Reply(200, {}, close=True))
    api = client(service.url)
    assert [api.post("/x").status for _ in range(5)] == [200] * 5


def test_no_proxy_of_the_environment_is_used(service: Service, client: Callable[..., ApiClient], monkeypatch: pytest.MonkeyPatch) -> None:
    with Service() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        client(service.url).post("/x")
        assert proxy.connections == 0
    assert len(service.requests) == 1


def test_close_is_safe_twice_and_a_request_after_it_is_not_sent(service: Service, client: Callable[..., ApiClient]) -> None:
    api = client(service.url)
    api.get("/x")
    api.close()
    api.close()
    assert isinstance(failure(lambda: api.get("/x")), Transient)
    fresh = client(service.url)
    fresh.close()
    assert isinstance(failure(lambda: fresh.get("/x")), Transient)
    assert len(service.requests) == 1


# what comes back


def test_a_reply_is_read_in_its_own_character_set(service: Service, client: Callable[..., ApiClient]) -> None:
    service.on("/latin", Reply(200, "Olá".encode("latin-1"), {"Content-Type": "text/plain; charset=ISO-8859-1"}))
    service.on("/json", Reply(200, '{"n":"é"}'.encode("latin-1"), {"Content-Type": "application/json; charset=latin-1"}))
    service.on("/odd", Reply(200, "Olá", {"Content-Type": "text/plain; charset=klingon", "X-A": "1"}))
    api = client(service.url)
    assert api.get("/latin").text == "Olá"
    assert api.get("/json").json() == {"n": "é"}
    odd = api.get("/odd")
    assert (odd.text, odd.headers["x-a"], odd.headers.get("X-B")) == ("Olá", "1", None)
    assert dict(odd.headers)["x-a"] == "1"
    assert len(odd.headers) == 3


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"id":', b"[" * 5000 + b"]" * 5000, b"\xff\xfe\xfa", b'{"n": ' + b"9" * 5000 + b"}"])
def test_a_2xx_that_is_not_json_is_still_a_2xx(service: Service, client: Callable[..., ApiClient], body: bytes) -> None:
    service.on("/x", Reply(200, body))
    reply = client(service.url).post("/x")
    assert reply.status == 200
    assert isinstance(reply.text, str)
    with pytest.raises(UnreadableReply):
        reply.json()
    with pytest.raises(InputDataError):
        reply.data()


def test_a_2xx_of_ten_mebibytes_is_cut_and_never_an_error(service: Service, client: Callable[..., ApiClient]) -> None:
    service.on("/x", Reply(200, b"[" + b"1," * (5 << 20) + b"1]"))
    api = client(service.url, timeout=10, total_timeout=20)
    reply = api.post("/x")
    assert reply.truncated
    assert len(reply.content) == 1 << 20
    with pytest.raises(UnreadableReply, match="larger than 1048576 bytes"):
        reply.json()
    exact = client(service.url, max_body=20)
    service.on("/y", Reply(200, b"1" * 20))
    service.on("/z", Reply(200, b"1" * 21))
    assert not exact.get("/y").truncated
    assert exact.get("/z").truncated


def test_a_body_without_a_length_is_read_to_its_end_and_bounded(service: Service, client: Callable[..., ApiClient]) -> None:
    chunked = {"Transfer-Encoding": "chunked"}
    service.on("/x", lambda _: _Raw(chunked, b"5\r\n[1,2,\r\n2\r\n3]\r\n0\r\n\r\n"))
    service.on("/big", lambda _: _Raw(chunked, (b"10000\r\n" + b" " * 65536 + b"\r\n") * 20 + b"0\r\n\r\n"))
    api = client(service.url, timeout=5, total_timeout=10)
    assert api.get("/x").json() == [1, 2, 3]
    big = api.get("/big")
    assert (big.truncated, len(big.content)) == (True, 1 << 20)


class _Raw(Reply):
    """A reply whose body bytes are written as they are, without a Content-Length."""

    def __init__(self, headers: dict[str, str], raw: bytes) -> None:
        super().__init__(200, raw, headers)

    def wire(self) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + bytes(self.body)


def test_compressed_replies_are_inflated_within_bounds(service: Service, client: Callable[..., ApiClient]) -> None:
    service.on("/x", Reply(200, gzip.compress(b'{"id":1}'), {"Content-Encoding": "gzip"}))
    service.on("/bomb", Reply(200, gzip.compress(b" " * (200 << 20)), {"Content-Encoding": "gzip"}))
    service.on("/bad", Reply(200, b"no gzip", {"Content-Encoding": "gzip"}))
    api = client(service.url, timeout=5, total_timeout=10)
    assert api.get("/x").json() == {"id": 1}
    bomb = api.get("/bomb")
    assert (bomb.truncated, len(bomb.content)) == (True, 1 << 20)
    assert api.get("/bad").status == 200


# verdicts: nothing was sent


def test_a_refused_connection_was_not_sent(client: Callable[..., ApiClient]) -> None:
    with refusing() as url:
        error = failure(lambda: client(url).post("/x", json={}))
    assert type(error) is Transient
    assert error.message == "POST 127.0.0.1: not sent: Connection refused"


def test_a_connection_that_only_times_out_was_not_sent(client: Callable[..., ApiClient]) -> None:
    with blackhole() as url:
        began = time.monotonic()
        assert type(failure(lambda: client(url).post("/x", json={}))) is Transient
        assert time.monotonic() - began < 1.5


def test_a_name_that_does_not_resolve_was_not_sent(client: Callable[..., ApiClient]) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    error = failure(lambda: client("https://api.example.com", resolve=resolve).post("/x"))
    assert type(error) is Transient
    assert "Temporary failure in name resolution" in error.message


def test_after_a_refused_address_the_next_try_goes_to_another(service: Service, client: Callable[..., ApiClient]) -> None:
    names = ["::1", "127.0.0.1"]
    api = client(f"http://api.example.com:{service.port}", allow_private=["127.0.0.1/32", "::1/128"], resolve=lambda host, port: names)
    assert type(failure(lambda: api.post("/x"))) is Transient
    assert api.post("/x").status == 200


def test_a_name_is_connected_to_as_it_was_resolved(service: Service, client: Callable[..., ApiClient]) -> None:
    api = client(f"http://api.example.com:{service.port}/v1", resolve=lambda host, port: ["127.0.0.1"])
    assert api.post("/x").status == 200
    assert service.requests[0].headers["host"] == f"api.example.com:{service.port}"


def test_a_request_to_an_inner_address_never_leaves(service: Service, engine: str) -> None:
    with pytest.raises(SetupError, match="loopback"):
        ApiClient(service.url, transport=engine)
    with ApiClient(f"http://api.example.com:{service.port}", transport=engine, resolve=lambda host, port: ["127.0.0.1"]) as api:
        for call in (api.post, api.resolve):
            with pytest.raises(SetupError, match=r"api\.example\.com is at 127\.0\.0\.1"):
                call()
    assert service.connections == 0


@pytest.fixture
def authority() -> trustme.CA:
    """A certificate authority that nobody knows."""
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> Iterator[Service]:
    """A server that proves to be api.example.com to those who trust ``authority``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.example.com").configure_cert(context)
    with Service(tls=context) as running:
        yield running


def test_an_unknown_certificate_was_not_sent(tls: Service, client: Callable[..., ApiClient]) -> None:
    api = client(f"https://api.example.com:{tls.port}", resolve=lambda host, port: ["127.0.0.1"])
    assert type(failure(lambda: api.post("/x", json={}))) is Transient
    assert tls.requests == []


def test_a_certificate_for_another_name_was_not_sent(
    tls: Service, client: Callable[..., ApiClient], authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    api = client(f"https://other.example.com:{tls.port}", ca_file=tmp_path / "ca.pem", resolve=lambda host, port: ["127.0.0.1"])
    assert type(failure(lambda: api.post("/x", json={}))) is Transient
    assert tls.requests == []


def test_a_certificate_authority_can_be_added(
    tls: Service, client: Callable[..., ApiClient], authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    api = client(f"https://api.example.com:{tls.port}", ca_file=tmp_path / "ca.pem", resolve=lambda host, port: ["127.0.0.1"])
    assert [api.post("/x", json={}).status for _ in range(3)] == [200] * 3
    assert tls.connections == 1


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff\xfe"])
def test_a_certificate_file_that_is_none_is_named(client: Callable[..., ApiClient], tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    api = client("https://api.example.com", ca_file=tmp_path / "ca.pem", resolve=lambda host, port: ["93.184.215.14"])
    with pytest.raises(SetupError, match=r"ca\.pem"):
        api.get()


def test_a_server_that_does_not_speak_tls_was_not_sent(service: Service, client: Callable[..., ApiClient]) -> None:
    assert type(failure(lambda: client(service.url.replace("http:", "https:")).post("/x"))) is Transient


# verdicts: in doubt


@pytest.mark.parametrize("fault", [Fault.HANG_UP_BEFORE, Fault.RESET_BEFORE])
@pytest.mark.parametrize("size", [1, 5_000_000])
def test_a_connection_that_breaks_before_the_request_is_read_is_in_doubt(
    service: Service, client: Callable[..., ApiClient], fault: Fault, size: int
) -> None:
    service.next_connection(fault)
    error = failure(lambda: client(service.url, timeout=5, total_timeout=10).post("/x", content=b"x" * size))
    if fault is Fault.RESET_BEFORE and type(error) is Transient:
        assert "not sent: Connection reset by peer" in error.message  # the reset came before the first byte left
    else:
        assert type(error) is OutcomeUnknown
    assert service.connections == 1


@pytest.mark.parametrize("fault", [fault for fault in Fault if "before" not in fault.value])
def test_a_reply_that_does_not_come_or_breaks_off_is_in_doubt(service: Service, client: Callable[..., ApiClient], fault: Fault) -> None:
    service.on("/x", fault)
    began = time.monotonic()
    error = failure(lambda: client(service.url).post("/x", json={"a": 1}))
    assert type(error) is OutcomeUnknown
    assert "may have been accepted" in error.message
    assert time.monotonic() - began < 1.5 + 1
    assert len(service.requests) == 1


@pytest.mark.parametrize("fault", [Fault.HANG_UP, Fault.HANG, Fault.CUT_BODY, Fault.GARBAGE])
def test_a_read_in_doubt_is_merely_transient(service: Service, client: Callable[..., ApiClient], fault: Fault) -> None:
    service.on("/x", fault)
    assert type(failure(lambda: client(service.url).get("/x", safe=True))) is Transient


def test_a_server_that_drips_for_ever_ends_with_the_total_timeout(service: Service, client: Callable[..., ApiClient]) -> None:
    service.on("/x", Fault.DRIP_BODY)
    api = client(service.url, timeout=10, total_timeout=1)
    began = time.monotonic()
    assert type(failure(lambda: api.post("/x"))) is OutcomeUnknown
    assert 0.9 < time.monotonic() - began < 2


def test_waits_add_up_to_no_more_than_the_total_timeout(service: Service, client: Callable[..., ApiClient]) -> None:
    def late(request: Request) -> Fault:
        time.sleep(0.8)
        return Fault.STALL

    service.on("/x", late)
    api = client(service.url, timeout=1.3, total_timeout=1.4)
    began = time.monotonic()
    assert type(failure(lambda: api.post("/x"))) is OutcomeUnknown
    assert time.monotonic() - began < 1.9


def test_a_refusal_whose_body_breaks_off_is_still_a_refusal(service: Service, client: Callable[..., ApiClient]) -> None:
    service.on("/x", lambda _: Reply(401, b"no", {"Content-Length": "100"}, close=True))
    error = failure(lambda: client(service.url).post("/x"))
    assert type(error) is AccountError
    assert error.status == 401


def test_one_call_is_one_request_also_on_a_connection_that_went_stale(service: Service, client: Callable[..., ApiClient]) -> None:
    service.on("/x", [Reply(200, {}), Fault.HANG_UP, Reply(200, {})])
    api = client(service.url)
    assert api.post("/x").status == 200
    assert type(failure(lambda: api.post("/x"))) is OutcomeUnknown
    assert len(service.requests) == 2
    assert api.post("/x").status == 200


# verdicts: what a status means

STATUSES = {
    100 + 99: SetupError, 300: SetupError, 301: SetupError, 302: SetupError, 303: SetupError, 304: SetupError, 307: SetupError, 308: SetupError,
    400: ContentError, 401: AccountError, 402: AccountError, 403: AccountError, 404: SetupError, 405: SetupError, 408: Transient, 409: ContentError,
    410: SetupError, 413: ContentError, 415: SetupError, 422: ContentError, 425: Transient, 429: RateLimited, 451: ContentError,
    500: OutcomeUnknown, 501: SetupError, 502: OutcomeUnknown, 503: Transient, 504: OutcomeUnknown, 505: SetupError, 520: OutcomeUnknown,
}  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), [item for item in STATUSES.items() if item[0] != 199])
def test_a_status_decides_the_class(service: Service, client: Callable[..., ApiClient], status: int, kind: type[ConnectorError]) -> None:
    service.on("/x", Reply(status, b"" if status == 304 else {"error": "no"}))
    error = failure(lambda: client(service.url).post("/x"))
    assert type(error) is kind
    assert error.status == status
    assert error.body == ("" if status == 304 else '{"error": "no"}')
    assert error.message.startswith(f"POST 127.0.0.1: HTTP {status}")
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 504, 520])
def test_a_server_error_is_transient_where_declared_or_for_a_read(service: Service, client: Callable[..., ApiClient], status: int) -> None:
    service.on("/x", Reply(status, {}))
    assert type(failure(lambda: client(service.url, server_errors_not_processed=True).post("/x"))) is Transient
    assert type(failure(lambda: client(service.url).get("/x", safe=True))) is Transient


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), ("-5", 0), ("1.5", 1.5), ("999999999999999999999", 21600), ("9" * 5000, 21600), ("  30  ", 30)],
)
def test_a_retry_after_in_seconds_is_believed_within_bounds(
    service: Service, client: Callable[..., ApiClient], status: int, header: str, seconds: float
) -> None:
    service.on("/x", Reply(status, {}, {"Retry-After": header}))
    error = failure(lambda: client(service.url).post("/x"))
    assert type(error) is RateLimited
    assert error.retry_after == seconds


@pytest.mark.parametrize(("delta", "low", "high"), [(90, 80, 90), (-90, 0, 0), (10 * 86400, 21600, 21600)])
def test_a_retry_after_as_a_date_is_believed_within_bounds(
    service: Service, client: Callable[..., ApiClient], delta: int, low: float, high: float
) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=delta), usegmt=True)
    service.on("/x", Reply(429, {}, {"Retry-After": moment}))
    error = failure(lambda: client(service.url).post("/x"))
    assert error.retry_after is not None
    assert low <= error.retry_after <= high


@pytest.mark.parametrize("header", ["", "soon", "1e9", "NaN", "Mon, 99 Foo 2026 99:99:99 GMT", "0x10", None])
def test_a_retry_after_that_says_nothing_is_none(header: str | None) -> None:
    assert retry_after(header) is None


def test_a_redirect_is_not_followed_and_names_the_host_only(service: Service, client: Callable[..., ApiClient]) -> None:
    with Service() as other:
        service.on("/x", Reply(302, b"", {"Location": f"{other.url}/y?token=sekret"}))
        error = failure(lambda: client(service.url).post("/x"))
        assert other.connections == 0
    assert type(error) is SetupError
    assert "redirects to 127.0.0.1" in error.message
    assert "sekret" not in str(error)


def test_a_caller_may_take_other_statuses_or_all(service: Service, client: Callable[..., ApiClient]) -> None:
    service.on("/x", Reply(409, {"id": "m-1"}))
    api = client(service.url)
    assert api.post("/x", ok={200, 409}).json() == {"id": "m-1"}
    reply = api.post("/x", classify=False)
    assert type(api.refusal(reply, "POST")) is ContentError
    service.on("/x", Reply(204))
    assert type(failure(lambda: api.post("/x", ok={200}))) is SetupError


def test_a_page_of_html_is_not_quoted(service: Service, client: Callable[..., ApiClient]) -> None:
    service.on("/x", Reply(404, "<html>Not Found</html>", {"Content-Type": "text/html"}))
    error = failure(lambda: client(service.url).post("/x"))
    assert (error.message, error.body) == ("POST 127.0.0.1: HTTP 404", "")


# secrets


def _echo(request: Request) -> Reply:
    return Reply(500, {"path": request.path, "query": dict(request.query), "headers": dict(request.headers)})


@pytest.mark.parametrize(
    "script", [_echo, Fault.HANG_UP, Fault.GARBAGE, Reply(302, b"", {"Location": "https://x.example.com/canary-url-7f"})]
)
def test_no_secret_is_in_any_message_repr_log_or_traceback(
    service: Service, client: Callable[..., ApiClient], script: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = "/services/canary-url-7f/hook"
    api = client(
        Secret(f"{service.url}{path}?k=canary-query-7f"),
        headers={"Authorization": "Bearer canary-bearer-7f", "X-Api-Key": Secret("canary/key+7f"), "Accept-Language": "pt"},
        secrets=["canary named=7f"],
    )
    service.on(path, script)
    error = failure(lambda: api.post(query={"also": "canary named=7f"}))
    seen = [str(error), repr(error), repr(error.args), error.body, repr(api), caplog.text]
    seen += [line for line in traceback.format_exception(error) if "tests/test_http.py" not in line]  # which quotes this very code
    assert "canary" not in "\n".join(seen)
    if script is _echo:
        assert "***" in error.body
        assert '"accept-language": "pt"' in error.body


def test_basic_credentials_are_sent_and_redacted(service: Service, client: Callable[..., ApiClient]) -> None:
    service.on("/x", _echo)
    error = failure(lambda: client(service.url, auth=("user", Secret("canary-pass"))).post("/x"))
    sent = service.requests[0].headers["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"user:canary-pass"
    assert sent.removeprefix("Basic ") not in error.body
    assert "canary" not in error.body


# which transport


def test_the_transport_is_chosen_by_name_then_environment_then_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOMATE_HTTP", raising=False)
    assert choose() is SocketTransport
    monkeypatch.setenv("AUTOMATE_HTTP", "httpx")
    assert choose() is HttpcoreTransport
    assert choose("pyreqwest") is PyreqwestTransport
    monkeypatch.setenv("AUTOMATE_HTTP", "curl")
    with pytest.raises(SetupError, match="curl"):
        choose()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delenv("AUTOMATE_HTTP")
    assert choose() is HttpcoreTransport
    with pytest.raises(SetupError, match="not installed"):
        choose("pyreqwest")


@pytest.mark.parametrize(
    ("kind", "causes", "meaning"),
    [
        ("ConnectError", ["client error (Connect)", "tcp connect error", "Connection refused (os error 111)"], NotSent),
        ("ConnectError", ["client error (SendRequest)", "connection closed before message completed"], InDoubt),
        ("ConnectError", [], InDoubt),
        ("ConnectTimeoutError", ["operation timed out"], InDoubt),
        ("ConnectTimeoutError", ["client error (Connect)", "deadline has elapsed"], NotSent),
        ("PoolTimeoutError", None, InDoubt),
        ("RequestPanicError", None, InDoubt),
    ],
)
def test_only_a_cause_that_says_connect_proves_that_nothing_was_sent(kind: str, causes: list[str] | None, meaning: type) -> None:
    details = {
        "causes": None
        if causes is None
        else [{"message": "error sending request for url (https://k@h/)"}, *({"message": c} for c in causes)]
    }
    told = verdict(getattr(pyreqwest_errors, kind)("connection error", details))
    assert type(told) is meaning
    assert "://" not in str(told)
