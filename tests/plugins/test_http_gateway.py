"""The http connector against a real gateway on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from libax_automate.connector import Capability, Place
from libax_automate.errors import (
    AccountError,
    ConnectorError,
    ContentError,
    OutcomeUnknown,
    RateLimited,
    RecipientError,
    SetupError,
    Transient,
)
from libax_automate.message import Attachment, Channel, Email, Message, Receipt, Text
from libax_automate.options import Secret
from libax_automate.plugins.http_gateway import HttpGateway, HttpOptions
from libax_automate.testing.service import Fault, Reply, Service, refusing

KEY = "0190b5c4-7e7a-7000-8000-000000000001"
PLACE = Place(allow_private=("127.0.0.1/32",), locale="pt_PT", timezone="Europe/Lisbon")
SIMPLE = {"json": {"to": "{{ message.to }}", "text": "{{ message.text }}"}}


def sms(text: str = "Feliz aniversário, Ana!", **fields: Any) -> Text:
    return Text(id="M7", key=KEY, to="+351912345678", text=text, **fields)


@pytest.fixture
def service() -> Iterator[Service]:
    """The gateway."""
    with Service(default=Reply(202, {"id": "m-1"})) as running:
        yield running


@pytest.fixture
def gateway(service: Service) -> Iterator[Callable[..., HttpGateway]]:
    """Makes open connectors to the gateway, and closes them."""
    made: list[HttpGateway] = []

    def make(place: Place = PLACE, **options: Any) -> HttpGateway:
        one = HttpGateway(HttpOptions.model_validate({"url": f"{service.url}/send", "timeout": 1} | options), place)
        made.append(one)
        one.open()
        return one

    yield make
    for one in made:
        one.close()
        one.close()


def failure(connector: HttpGateway, message: Message | None = None) -> ConnectorError:
    with pytest.raises(ConnectorError) as raised:
        connector.send(message or sms())
    return raised.value


def test_a_text_becomes_one_request_and_its_reply_a_receipt(service: Service, gateway: Callable[..., HttpGateway]) -> None:
    options = {"headers": {"X-Api-Key": Secret("k-1"), "X-Ref": "{{ message.id }}"}, "id": "data.0.id", "sender": "Padaria"}
    body = {
        "from": "{{ message.sender }}",
        "number": "{{ message.to }}",
        "text": "[{{ message.sender }}] {{ message.text }}",
        "options": {"flash": False, "ttl": 60, "parts": ["{{ message.id }}", "x", 1.5, None]},
    }
    service.on("/send", Reply(200, {"data": [{"id": 4711}]}))
    assert gateway(json=body, **options).send(sms()) == Receipt(id="4711")
    (request,) = service.requests
    assert (request.method, request.path) == ("POST", "/send")
    assert request.json() == {
        "from": "Padaria",
        "number": "+351912345678",
        "text": "[Padaria] Feliz aniversário, Ana!",
        "options": {"flash": False, "ttl": 60, "parts": ["M7", "x", 1.5, None]},
    }
    assert (request.headers["x-api-key"], request.headers["x-ref"]) == ("k-1", "M7")


def test_a_lone_placeholder_keeps_lists_tables_and_null(service: Service, gateway: Callable[..., HttpGateway]) -> None:
    body = {
        "template": "{{ message.template }}",
        "vars": "{{ message.vars }}",
        "params": "{{message.params}}",
        "first": "{{ message.vars[0] }}",
        "sender": "{{ message.sender }}",
        "html": "{{ message.html }}",
        "subject": "{{ message.subject }}",
        "blank": "<{{ message.subject }}>",
        "channel": "{{ message.channel }}",
        "upper": "{{ message.to | upper }}",
    }
    message = sms("", template="aviso", vars=("Ana", "12,00 €"), params={"nome": "Ana"}, channel=Channel.WHATSAPP)
    gateway(json=body, channels=["sms", "whatsapp"]).send(message)
    assert service.requests[0].json() == {
        "template": "aviso",
        "vars": ["Ana", "12,00 €"],
        "params": {"nome": "Ana"},
        "first": "Ana",
        "sender": None,
        "html": None,
        "subject": "",
        "blank": "<>",
        "channel": "whatsapp",
        "upper": "+351912345678",
    }


def test_an_email_reaches_a_form_with_its_subject_and_html(service: Service, gateway: Callable[..., HttpGateway]) -> None:
    form = {
        "to": "{{ message.name }} <{{ message.to }}>",
        "subject": "{{ message.subject }}",
        "html": "{{ message.html }}",
        "key": Secret("f-1"),
    }
    message = Email(id="M8", key=KEY, to="ana@example.com", name="Ana", subject="Olá & adeus", html="<p>Olá & adeus</p>")
    gateway(form=form, query={"tag": ["a", "b"]}, channels="email").send(message)
    (request,) = service.requests
    assert request.form() == {"to": ["Ana <ana@example.com>"], "subject": ["Olá & adeus"], "html": ["<p>Olá & adeus</p>"], "key": ["f-1"]}
    assert request.query == {"tag": ["a", "b"]}


def test_a_get_gateway_gets_its_query(service: Service, gateway: Callable[..., HttpGateway]) -> None:
    gateway(method="GET", query={"n": "{{ message.to }}", "t": "{{ message.text }}"}).send(sms("a+b & ç"))
    (request,) = service.requests
    assert (request.method, request.query, request.body) == ("GET", {"n": ["+351912345678"], "t": ["a+b & ç"]}, b"")


def test_hostile_text_stays_a_value(service: Service, gateway: Callable[..., HttpGateway]) -> None:
    text = '"}, {{ 7 * 7 }} {% raw %} \\ \u2028 #FirstName# &to=+999'
    gateway(**SIMPLE, query={"t": "{{ message.text }}"}).send(sms(text))
    (request,) = service.requests
    assert request.json()["text"] == text
    assert request.query == {"t": [text]}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RecipientError),
        (404, RecipientError),
        (422, RecipientError),
        (401, AccountError),
        (402, AccountError),
        (403, AccountError),
        (405, SetupError),
        (302, SetupError),
        (409, ContentError),
        (413, ContentError),
        (429, RateLimited),
        (500, OutcomeUnknown),
        (502, OutcomeUnknown),
        (503, Transient),
    ],
)
@pytest.mark.req("LX-61")
def test_without_expressions_the_status_decides(
    service: Service, gateway: Callable[..., HttpGateway], status: int, kind: type[ConnectorError]
) -> None:
    service.on("/send", Reply(status, {"error": "no"}))
    error = failure(gateway(**SIMPLE))
    assert type(error) is kind
    assert error.status == status
    assert len(service.requests) == 1


RULES = {
    "success": "status == 200 and body.error == 0",
    "recipient_error": "body.error in [21, 22]",
    "account_error": "body.error == 9 or headers['x-balance'] == '0'",
}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(200, {"error": 0, "id": "x"}), None),
        (Reply(200, {"error": 21}), RecipientError),
        (Reply(500, {"error": 22}), RecipientError),
        (Reply(200, {"error": 9}), AccountError),
        (Reply(429, {"error": 1}, {"X-Balance": "0"}), AccountError),
        (Reply(200, {"error": 5}), ContentError),
        (Reply(200, {"id": "x"}), OutcomeUnknown),
        (Reply(200, "OK"), OutcomeUnknown),
        (Reply(200, b"{"), OutcomeUnknown),
        (Reply(201, {"error": 0}), ContentError),
        (Reply(400, {"error": 5}), ContentError),
        (Reply(404, "?"), SetupError),
        (Reply(401, {"error": 5}), SetupError),
        (Reply(429, {"error": 5}), RateLimited),
        (Reply(503, "down"), Transient),
        (Reply(302, {"error": 0}), SetupError),
    ],
)
def test_expressions_say_what_a_reply_means(
    service: Service, gateway: Callable[..., HttpGateway], reply: Reply, kind: type[ConnectorError] | None
) -> None:
    service.on("/send", reply)
    connector = gateway(**SIMPLE, **RULES, id="id")
    if kind is None:
        assert connector.send(sms()) == Receipt(id="x")
    else:
        assert type(failure(connector)) is kind


@pytest.mark.parametrize("body", [b"", b"OK", b"{", {"id": None}, {"id": {}}, {"other": 1}, [], {"id": True}, b"x" * (2 << 20)])
def test_an_accepted_message_whose_id_cannot_be_read_is_accepted(service: Service, gateway: Callable[..., HttpGateway], body: Any) -> None:
    service.on("/send", Reply(200, body))
    assert gateway(**SIMPLE, id="id").send(sms()) == Receipt(id=None)


@pytest.mark.parametrize("fault", [Fault.HANG_UP, Fault.HANG, Fault.CUT_BODY])
def test_a_gateway_that_breaks_off_leaves_the_message_in_doubt(service: Service, gateway: Callable[..., HttpGateway], fault: Fault) -> None:
    service.on("/send", fault)
    assert type(failure(gateway(**SIMPLE))) is OutcomeUnknown
    assert len(service.requests) == 1


def test_a_gateway_that_is_away_is_transient(gateway: Callable[..., HttpGateway]) -> None:
    with refusing() as url:
        assert type(failure(gateway(url=url, **SIMPLE))) is Transient


def test_a_gateway_in_the_own_network_needs_allow_private(service: Service, gateway: Callable[..., HttpGateway]) -> None:
    with pytest.raises(SetupError, match="loopback"):
        gateway(Place(), **SIMPLE)
    assert service.connections == 0


def test_the_idempotency_key_goes_into_its_header_and_lasts_as_configured(service: Service, gateway: Callable[..., HttpGateway]) -> None:
    connector = gateway(**SIMPLE, idempotency_header="Idempotency-Key", idempotency_ttl="2d")
    connector.send(sms())
    assert service.requests[0].headers["idempotency-key"] == KEY
    assert connector.key_ttl() == timedelta(days=2)
    assert connector.offers() == {Capability.SMS, Capability.IDEMPOTENCY_KEY}
    plain = gateway(**SIMPLE)
    assert plain.key_ttl() is None
    assert plain.offers() == {Capability.SMS}


def test_a_channel_that_is_not_configured_is_refused(service: Service, gateway: Callable[..., HttpGateway]) -> None:
    error = failure(gateway(**SIMPLE), Email(id="M1", key=KEY, to="ana@example.com"))
    assert type(error) is SetupError
    assert "carries sms, not email" in error.message
    letter = Email(id="M1", key=KEY, to="ana@example.com", attachments=(Attachment("a.pdf", b"x"),))
    assert type(failure(gateway(**SIMPLE, channels="email"), letter)) is ContentError
    assert service.requests == []


def test_a_probe_proves_the_account_and_no_probe_asks_nothing(service: Service, gateway: Callable[..., HttpGateway]) -> None:
    headers = {"X-Api-Key": Secret("k-1")}
    connector = gateway(**SIMPLE, headers=headers, probe=f"{service.url}/balance")
    assert connector.checks_account()
    connector.check()
    assert (service.requests[0].method, service.requests[0].path) == ("GET", "/balance")
    assert service.requests[0].headers["x-api-key"] == "k-1"
    service.on("/balance", Reply(401, {}))
    with pytest.raises(AccountError):
        connector.check()
    service.clear()
    silent = gateway(**SIMPLE, headers=headers)
    silent.check()
    assert not silent.checks_account()
    assert service.requests == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"json": {"a": {"b": ["{{ message.txet }}"]}}}, "json.a.b.0: unknown field 'message.txet' → did you mean message.text?"),
        ({"json": {"a": "x {{ first_name }}"}}, "json.a: unknown field 'first_name'"),
        ({"query": {"a": "{{ message.text"}}, "query.a: "),
        ({"form": {"a": "{{ message.text | nope }}"}}, "form.a: "),
        ({**SIMPLE, "headers": {"X-A": "{{ message.nope }}"}}, "headers.X-A: unknown field"),
        ({**SIMPLE, "success": "status ="}, "success: "),
        (
            {**SIMPLE, "recipient_error": "message.to == 'x'"},
            "recipient_error: unknown field 'message.to' → a reply has status, body and headers",
        ),
        ({**SIMPLE, "url": "https://10.0.0.1/send"}, "not a public address"),
        ({**SIMPLE, "url": "gateway.example.com"}, "url: "),
    ],
)
def test_a_wrong_option_is_named_when_the_app_opens(gateway: Callable[..., HttpGateway], options: dict[str, Any], words: str) -> None:
    with pytest.raises(SetupError) as raised:
        gateway(**options)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing says what to send"),
        ({"json": {}, "form": {}}, "a request has one body"),
        ({**SIMPLE, "idempotency_ttl": "soon"}, "such as 24h"),
        ({**SIMPLE, "channels": "fax"}, "channels"),
        ({**SIMPLE, "jsno": {}}, "jsno"),
        ({**SIMPLE, "method": "TRACE"}, "method"),
        ({**SIMPLE, "timeout": 600}, "timeout"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HttpOptions.model_validate({"url": "https://gateway.example.com"} | options)


@pytest.mark.parametrize("wrap", [str, Secret])
def test_no_secret_is_in_an_error_or_a_repr(service: Service, gateway: Callable[..., HttpGateway], wrap: Callable[[str], Any]) -> None:
    service.on(
        "/send/canary-url-1", lambda request: Reply(403, {"seen": [dict(request.headers), request.json(), request.path, request.query]})
    )
    connector = gateway(
        url=wrap(f"{service.url}/send/canary-url-1"),
        headers={"Authorization": wrap("Bearer canary-head-1"), "X-Mode": "live"},
        json={"login": {"api_key": wrap("canary-body-1")}, "to": "{{ message.to }}", "mode": "live"},
        query={"token": wrap("canary-query-1")},
    )
    error = failure(connector)
    assert type(error) is AccountError
    assert "canary" not in f"{error} {error!r} {error.body} {connector.options!r}"
    assert '"mode": "live"' in error.body
    assert list(connector.secrets()) == ["Bearer canary-head-1", "canary-body-1", "canary-query-1"]


def test_a_certificate_file_is_looked_for_beside_the_profile(gateway: Callable[..., HttpGateway], tmp_path: Path) -> None:
    place = Place(folder=tmp_path, allow_private=("127.0.0.1/32",))
    connector = gateway(place, **SIMPLE, ca_file="ca.pem", url="https://127.0.0.1:9/send")
    error = failure(connector)
    assert "ca_file 'ca.pem' cannot be read" in error.message
