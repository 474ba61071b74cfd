"""The webhook connector: the signature of Standard Webhooks, and what a receiver's answer means."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from libax_automate.connector import Capability, Place
from libax_automate.errors import AccountError, ConnectorError, ContentError, OutcomeUnknown, RateLimited, SetupError, Transient
from libax_automate.message import Call, Receipt
from libax_automate.options import Secret
from libax_automate.plugins.webhook import Webhook, WebhookOptions, key_of, signature
from libax_automate.testing.service import Fault, Reply, Service

RAW = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(RAW).decode()
KEY = "0190b5c4-7e7a-7000-8000-000000000001"
AT = datetime(2026, 12, 24, 9, 30, tzinfo=timezone(timedelta(hours=1)))


def call(**fields: Any) -> Call:
    given: dict[str, Any] = {
        "id": "M1",
        "key": KEY,
        "to": "crm",
        "type": "contact.created",
        "data": {"items": [{"name": "Ana é"}]},
        "at": AT,
    }
    return Call(**given | fields)


@pytest.fixture
def service() -> Iterator[Service]:
    """The receiver."""
    with Service() as running:
        yield running


@pytest.fixture
def webhook(service: Service) -> Iterator[Callable[..., Webhook]]:
    """Makes open webhook apps, and closes them."""
    made: list[Webhook] = []

    def make(**options: Any) -> Webhook:
        given = {"url": f"{service.url}/hook", "secret": SECRET, "timeout": 1} | options
        one = Webhook(WebhookOptions.model_validate(given), Place(allow_private=("127.0.0.1/32",)))
        one.open()
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()
        one.close()


def failure(app: Webhook, message: Call | None = None) -> ConnectorError:
    with pytest.raises(ConnectorError) as raised:
        app.send(message or call())
    return raised.value


def _vectors() -> list[dict[str, Any]]:
    root = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[3] / "shared" / "contracts")
    path = root / "standard-webhooks" / "test-vectors.json"
    if not path.is_file():
        return []
    read = json.loads(path.read_text(encoding="utf-8"))
    return [vector | {"secret": read["secret"]} for vector in read["vectors"]]


def test_the_signature_is_the_one_that_others_compute() -> None:
    """An invented vector, computed by ``openssl dgst -sha256 -mac HMAC``."""
    body = b'{"a":1}'
    assert signature(RAW, "msg_1", 1700000000, body) == "v1,AMaOha7DUT/0J0JMycRuYOBSvbx3WtwLd2khXXbaVj4="
    assert key_of(SECRET) == key_of(SECRET.removeprefix("whsec_")) == RAW


@pytest.mark.skipif(not _vectors(), reason="the vendor's vectors are not here: set LIBAX_CONTRACTS")
def test_the_vendors_vectors_hold() -> None:
    for vector in _vectors():
        ours = signature(key_of(vector["secret"]), vector["id"], vector["timestamp"], vector["payload"].encode())
        assert (ours in vector["signature"].split()) is vector["valid"], vector["name"]


@pytest.mark.req("LX-17", "LX-19")
def test_a_list_leaves_as_one_signed_call(service: Service, webhook: Callable[..., Webhook]) -> None:
    app = webhook(headers={"X-Tenant": "padaria"})
    data = {"items": [{"name": "Ana é", "amount": Decimal("1.50"), "birth_date": AT.date()}], "page": 1}
    assert app.send(call(data=data)) == Receipt()
    (request,) = service.requests
    assert (request.method, request.path) == ("POST", "/hook")
    assert request.json() == {
        "type": "contact.created",
        "timestamp": "2026-12-24T08:30:00Z",
        "data": {"items": [{"name": "Ana é", "amount": "1.50", "birth_date": "2026-12-24"}], "page": 1},
    }
    assert (request.headers["content-type"], request.headers["x-tenant"]) == ("application/json", "padaria")
    stamp = request.headers["webhook-timestamp"]
    assert abs(int(stamp) - time.time()) < 60
    assert request.headers["webhook-id"] == KEY
    signed = f"{KEY}.{stamp}.".encode() + request.body
    expected = base64.b64encode(hmac.new(RAW, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"


def test_every_try_has_the_same_id_and_the_same_bytes(service: Service, webhook: Callable[..., Webhook]) -> None:
    app = webhook()
    app.send(call(sent_at=datetime(2026, 12, 24, 9, 31, tzinfo=UTC)))
    app.send(call(sent_at=datetime(2026, 12, 24, 9, 36, tzinfo=UTC)))
    first, second = service.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, SetupError),
        (302, SetupError),
        (400, ContentError),
        (401, AccountError),
        (404, SetupError),
        (410, SetupError),
        (413, ContentError),
        (429, RateLimited),
        (500, Transient),
        (502, RateLimited),
        (503, Transient),
        (504, RateLimited),
    ],
)
def test_a_receivers_status_decides(service: Service, webhook: Callable[..., Webhook], status: int, kind: type[ConnectorError]) -> None:
    service.on("/hook", Reply(status, {}))
    error = failure(webhook())
    assert type(error) is kind
    assert error.status == status
    assert len(service.requests) == 1


def test_an_endpoint_that_is_gone_says_so(service: Service, webhook: Callable[..., Webhook]) -> None:
    service.on("/hook", Reply(410))
    assert "the endpoint says that it is gone" in failure(webhook()).message


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_retry_after_is_honoured(service: Service, webhook: Callable[..., Webhook], status: int) -> None:
    service.on("/hook", Reply(status, {}, {"Retry-After": "120"}))
    error = failure(webhook())
    assert type(error) is RateLimited
    assert error.retry_after == 120


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_success_whatever_it_says(service: Service, webhook: Callable[..., Webhook], status: int) -> None:
    service.on("/hook", Reply(status, b"" if status == 204 else b"<html>thanks"))
    assert webhook().send(call()) == Receipt()


def test_a_receiver_that_does_not_answer_is_in_doubt_and_may_be_asked_again_under_the_same_id(
    service: Service, webhook: Callable[..., Webhook]
) -> None:
    service.on("/hook", Fault.HANG_UP)
    app = webhook()
    assert type(failure(app)) is OutcomeUnknown
    ttl = app.key_ttl()
    assert ttl is not None
    assert Webhook.retry_schedule is not None
    assert ttl.total_seconds() > sum(Webhook.retry_schedule)
    assert Capability.IDEMPOTENCY_KEY in app.offers()


@pytest.mark.parametrize("kind", ["", "contact created", "contact..created", ".x", "é", "a-b", "a\n"])
def test_an_event_type_is_dotted_words(service: Service, webhook: Callable[..., Webhook], kind: str) -> None:
    assert type(failure(webhook(), call(type=kind))) is ContentError
    assert service.requests == []


def test_a_value_that_json_cannot_hold_is_named(service: Service, webhook: Callable[..., Webhook]) -> None:
    assert "object does not go into JSON" in failure(webhook(), call(data={"x": object()})).message
    assert service.requests == []


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_short", "whsec_" + base64.b64encode(bytes(23)).decode(), "whsec_" + base64.b64encode(bytes(65)).decode(), "whsec_é",
     "whsk_" + base64.b64encode(bytes(32)).decode(), SECRET + "!"],
)  # fmt: skip
def test_a_secret_that_is_none_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValidationError) as raised:
        WebhookOptions.model_validate({"url": "https://crm.example.com/hook", "secret": secret})
    if len(secret) > 8:
        assert secret not in str(raised.value)


def test_check_resolves_and_calls_nothing(service: Service, webhook: Callable[..., Webhook]) -> None:
    app = webhook()
    app.check()
    assert not app.checks_account()
    assert service.connections == 0


@pytest.mark.parametrize("url", ["http://93.184.215.14/hook", "https://127.0.0.1/hook", "https://10.0.0.1/", "ftp://crm.example.com/"])
def test_only_encrypted_public_addresses_are_called_by_default(url: str) -> None:
    app = Webhook(WebhookOptions.model_validate({"url": url, "secret": SECRET}), Place())
    with pytest.raises(SetupError):
        app.open()


def test_no_secret_is_in_an_error_or_a_repr(service: Service, webhook: Callable[..., Webhook]) -> None:
    service.on("/hook", lambda request: Reply(500, {"seen": dict(request.headers), "secret": SECRET}))
    app = webhook(headers={"X-Token": "canary-head-2"}, url=Secret(f"{service.url}/hook"))
    error = failure(app)
    text = f"{error} {error!r} {error.body} {app.options!r}"
    assert SECRET not in text
    assert "canary" not in text
