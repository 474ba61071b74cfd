"""Every request held against the vendor's own document, and what its answers mean; skipped where the document is not at hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from libax_connector_brevo import Brevo, BrevoOptions

import libax_automate as ax
from libax_automate.testing import LOOPBACK, SpecServer

ROOT = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts")
DOCUMENT = ROOT / "brevo" / "openapi.json"
pytestmark = pytest.mark.skipif(not DOCUMENT.is_file(), reason="no vendor document: set LIBAX_CONTRACTS to a folder of them")

KEY = "xkeysib-invented-0123456789"
UUID = "7d1c9a52-0000-4000-8000-000000000001"
MAIL = ax.Email(id="M1", key=UUID, to="ana@example.com", name="Ana", subject="Olá", text="Olá <Ana>\n🎂")
GOOD = {"senders": [{"id": 1, "name": "Padaria", "email": "geral@example.com", "active": True}]}
DOMAINS = {"domains": [{"id": "d1", "domain_name": "example.com", "authenticated": True, "verified": True}]}


def document() -> dict[str, Any]:
    """The vendor's document, and the list of domains that its reference describes elsewhere."""
    found: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    found["paths"]["/senders/domains"] = {
        "get": {
            "operationId": "domains",
            "responses": {"200": {"description": "the domains", "content": {"application/json": {"schema": {"type": "object"}}}}},
        }
    }
    return found


@pytest.fixture
def spec() -> Iterator[SpecServer]:
    with SpecServer(document()) as server:
        server.answer("Senders_listAll", body=GOOD)
        server.answer("domains", body=DOMAINS)
        yield server
        server.assert_valid()


@pytest.fixture
def brevo(spec: SpecServer) -> Iterator[Brevo]:
    options = BrevoOptions.model_validate(
        {
            "api_key": KEY,
            "base_url": spec.url,
            "sender": "Padaria <geral@example.com>",
            "sms_sender": "PADARIA",
            "whatsapp_sender": "+351911111111",
        }
    )
    connector = Brevo(options, ax.Place(allow_private=LOOPBACK))
    connector.open()
    yield connector
    connector.close()


def numbered(count: int, **fields: Any) -> list[ax.Email]:
    return [
        replace(MAIL, id=f"M{n}", key=f"7d1c9a52-0000-4000-8000-{n:012d}", to=f"p{n}@example.com", name=f"Pessoa {n}", **fields)
        for n in range(1, count + 1)
    ]


@pytest.mark.req("LX-07", "LX-78")
def test_an_email_of_our_own_words(spec: SpecServer, brevo: Brevo) -> None:
    sent = replace(MAIL, reply_to="loja@example.com", cc=("b@example.com",), attachments=(ax.Attachment("a.txt", b"abc", "text/plain"),))
    receipt = brevo.send(sent)
    assert receipt.id
    (call,) = spec.calls
    assert {name.lower(): value for name, value in call.headers.items()}["api-key"] == KEY
    assert call.body == {
        "sender": {"email": "geral@example.com", "name": "Padaria"},
        "to": [{"email": "ana@example.com", "name": "Ana"}],
        "cc": [{"email": "b@example.com"}],
        "replyTo": {"email": "loja@example.com"},
        "subject": "Olá",
        "textContent": "Olá <Ana>\n🎂",
        "htmlContent": '<div style="white-space:pre-wrap">Olá &lt;Ana&gt;\n🎂</div>',
        "attachment": [{"name": "a.txt", "content": "YWJj"}],
        "headers": {"idempotencyKey": UUID},
    }


@pytest.mark.req("LX-74")
def test_a_template_with_its_values(spec: SpecServer, brevo: Brevo) -> None:
    brevo.send(replace(MAIL, template="12", subject="", text="", params={"NOME": "Ana"}))
    assert spec.calls[0].body == {
        "templateId": 12,
        "sender": {"email": "geral@example.com", "name": "Padaria"},
        "to": [{"email": "ana@example.com", "name": "Ana"}],
        "params": {"NOME": "Ana"},
        "headers": {"idempotencyKey": UUID},
    }
    with pytest.raises(ax.SetupError, match="by its number"):
        brevo.send(replace(MAIL, template="Aniversário"))
    with pytest.raises(ax.SetupError, match="in order"):
        brevo.send(replace(MAIL, template="12", vars=("Ana",)))
    assert len(spec.calls) == 1


def test_a_batch_is_one_request_with_a_key_of_its_own(spec: SpecServer, brevo: Brevo) -> None:
    spec.answer("POST /smtp/email", status=201, body={"messageIds": ["<1@x>", "<2@x>"]})
    first, second = numbered(2, template="12", subject="", text="")
    pair = [replace(first, params={"NOME": "Ana"}), replace(second, params={"NOME": "Rui"})]
    assert brevo.batch_group(pair[0]) == brevo.batch_group(pair[1]) != brevo.batch_group(MAIL)
    outcomes = brevo.send_batch(pair)
    assert [outcome.id for outcome in outcomes if isinstance(outcome, ax.Receipt)] == ["<1@x>", "<2@x>"]
    body = spec.calls[0].body
    assert body["templateId"] == 12
    assert body["messageVersions"] == [
        {"to": [{"email": "p1@example.com", "name": "Pessoa 1"}], "params": {"NOME": "Ana"}},
        {"to": [{"email": "p2@example.com", "name": "Pessoa 2"}], "params": {"NOME": "Rui"}},
    ]
    brevo.send_batch(pair)
    brevo.send_batch(numbered(3, template="12", subject="", text=""))
    keys = [call.body["headers"]["idempotencyKey"] for call in spec.calls]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0] not in {message.key for message in pair}


def test_words_of_one_person_never_reach_another(spec: SpecServer, brevo: Brevo) -> None:
    first, second, third = numbered(3)
    brevo.send_batch([first, replace(second, text="Olá Rui"), third])
    body = spec.calls[0].body
    assert [one.get("textContent", body["textContent"]) for one in body["messageVersions"]] == [first.text, "Olá Rui", third.text]
    assert [one.get("subject", body["subject"]) for one in body["messageVersions"]] == ["Olá"] * 3
    with pytest.raises(ax.ContentError):
        brevo.send_batch([first, replace(second, text="", html="<p>Rui</p>")])


def test_what_is_too_large_for_one_request_is_said_before_it_leaves(spec: SpecServer, brevo: Brevo) -> None:
    with pytest.raises(ax.ContentError, match="recipients"):
        brevo.send(replace(MAIL, cc=tuple(f"c{n}@example.com" for n in range(99))))
    with pytest.raises(ax.ContentError, match="bytes"):
        brevo.send(replace(MAIL, template="1", params={"X": "x" * 100_001}))
    with pytest.raises(ax.ContentError, match="2000"):
        brevo.send_batch(numbered(1000, cc=("a@example.com", "b@example.com")))
    with pytest.raises(ax.ContentError, match="together"):
        brevo.send_batch(numbered(1000, template="1", params={"X": "x" * 1100}))
    assert spec.calls == []


def test_a_repeat_under_the_same_key_was_accepted_before(spec: SpecServer, brevo: Brevo) -> None:
    spec.answer("POST /smtp/email", status=400, body={"code": "duplicate_parameter", "message": "idempotencyKey was used before"})
    receipt = brevo.send(MAIL)
    assert receipt.id is None
    assert "before" in receipt.detail
    assert [type(outcome) for outcome in brevo.send_batch(numbered(3))] == [ax.Receipt] * 3


@pytest.mark.parametrize(("text", "wide"), [("Olá à Ana, 5 €", True), ("Ola a todos: 5 € é pouco", False), ("🎂", True)])
def test_an_sms(spec: SpecServer, brevo: Brevo, text: str, wide: bool) -> None:
    brevo.send(ax.Text(id="M7", key=UUID, to="+351912345678", text=text))
    assert spec.calls[0].body == {
        "sender": "PADARIA",
        "recipient": "351912345678",
        "content": text,
        "type": "transactional",
        "tag": "M7",
        "unicodeEnabled": wide,
    }


def test_a_whatsapp_template(spec: SpecServer, brevo: Brevo) -> None:
    whatsapp = ax.Text(id="M7", key=UUID, to="+351912345678", channel=ax.Channel.WHATSAPP, template="235", params={"NOME": "Ana"})
    assert brevo.send(whatsapp).id
    body = spec.calls[0].body
    assert body == {"senderNumber": "351911111111", "contactNumbers": ["351912345678"], "templateId": 235, "params": {"NOME": "Ana"}}


@pytest.mark.req("LX-79")
def test_templates_are_asked_once_and_tell_the_inactive(spec: SpecServer, brevo: Brevo) -> None:
    mail = list(brevo.templates(ax.Channel.EMAIL))
    assert [(one.id, one.active) for one in mail] == [("5", False), ("12", True)]
    both = list(brevo.templates())
    assert [(one.id, one.active) for one in both if one.channel is ax.Channel.WHATSAPP] == [("235", True), ("124", False)]
    assert list(brevo.templates()) == both
    assert len(spec.calls) == 2, "100 requests an hour are soon used up"


def test_all_pages_of_templates_are_read_and_a_circle_is_noticed(spec: SpecServer, brevo: Brevo) -> None:
    def page(first: int, count: int) -> dict[str, Any]:
        html = "<p>{{ params.NOME }} {{params.NOME}} {{ params.idade }}</p>"
        return {
            "count": 1002,
            "templates": [{"id": n, "name": f"t{n}", "isActive": True, "htmlContent": html} for n in range(first, first + count)],
        }

    spec.answer("GET /smtp/templates", body=page(0, 1000), times=1)
    spec.answer("GET /smtp/templates", body=page(1000, 2))
    found = list(brevo.templates(ax.Channel.EMAIL))
    assert len(found) == 1002
    assert found[0].variables == ("NOME", "idade")
    assert [dict(call.query).get("offset") for call in spec.calls] == ["0", "1000"]
    again = Brevo(brevo.options, brevo.place)
    again.open()
    spec.answer("GET /smtp/templates", body=page(0, 1000))
    with pytest.raises(ax.InputDataError, match="again and again"):
        list(again.templates(ax.Channel.EMAIL))
    again.close()


@pytest.mark.req("LX-75", "LX-78")
def test_the_sender_is_proven(spec: SpecServer, brevo: Brevo) -> None:
    brevo.check()
    assert [call.path.removeprefix("/v3") for call in spec.calls] == ["/account", "/senders", "/senders/domains"]
    brevo.check()
    assert len(spec.calls) == 4, "the account is asked anew, what it has is remembered"

    for senders, domains, words in [
        ({"senders": []}, DOMAINS, "is not a sender of this Brevo account"),
        ({"senders": [{**GOOD["senders"][0], "active": False}]}, DOMAINS, "is not verified"),
        (GOOD, {"domains": []}, "is not authenticated"),
        (GOOD, {"domains": [{**DOMAINS["domains"][0], "authenticated": False}]}, "is not authenticated"),
    ]:
        spec.answer("Senders_listAll", body=senders)
        spec.answer("domains", body=domains)
        fresh = Brevo(brevo.options, brevo.place)
        fresh.open()
        with pytest.raises(ax.SetupError, match=words) as told:
            fresh.check()
        assert "https://app.brevo.com/" in told.value.hint
        fresh.close()


@pytest.mark.req("LX-76", "LX-77")
def test_a_refused_address_and_a_refused_key_are_told_apart(spec: SpecServer, brevo: Brevo) -> None:
    said = "We have detected you are using an unrecognised IP address 192.0.2.7. If you performed this action make sure to add it."
    spec.answer("GET /account", status=401, body={"code": "unauthorized", "message": said})
    with pytest.raises(ax.AccountError, match=r"does not accept requests from the address 192\.0\.2\.7") as told:
        brevo.check()
    assert "authorise the address 192.0.2.7" in told.value.hint
    spec.answer("GET /account", status=401, body={"code": "unauthorized", "message": "Key not found"})
    with pytest.raises(ax.AccountError) as told:
        brevo.check()
    assert "refuses the API key" in told.value.hint


def test_the_wait_that_brevo_asks_for(spec: SpecServer, brevo: Brevo) -> None:
    spec.answer("POST /smtp/email", status=429, body={"message": "slow"}, headers={"x-sib-ratelimit-reset": "1800"})
    with pytest.raises(ax.RateLimited) as told:
        brevo.send(MAIL)
    assert told.value.retry_after == 1800


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (
            ax.Action(id="M1", key=UUID, to="ana@example.com", kind="list-add", fields={"list": "7, 8"}),
            ("POST", "/v3/contacts", {"email": "ana@example.com", "listIds": [7, 8], "updateEnabled": True}),
        ),
        (
            ax.Action(id="M1", key=UUID, to="+351912345678", kind="contact-update", fields={"firstname": "Ana"}),
            ("POST", "/v3/contacts", {"attributes": {"FIRSTNAME": "Ana", "SMS": "+351912345678"}, "updateEnabled": True}),
        ),
        (ax.Action(id="M1", key=UUID, to="4711", kind="list-add", fields={"list": 7}), ("PUT", "/v3/contacts/4711", {"listIds": [7]})),
        (
            ax.Action(id="M1", key=UUID, to="ana+x@example.com", kind="list-remove", fields={"list": [7]}),
            ("PUT", "/v3/contacts/ana%2Bx@example.com", {"unlinkListIds": [7]}),
        ),
    ],
)  # fmt: skip
def test_actions_on_contacts(spec: SpecServer, brevo: Brevo, action: ax.Action, expected: tuple[str, str, Any]) -> None:
    brevo.act(action)
    assert [(call.method, call.path, call.body) for call in spec.calls] == [expected]


def test_a_list_without_a_number_is_said_before_anything_leaves(spec: SpecServer, brevo: Brevo) -> None:
    for fields in ({}, {"list": "clientes"}, {"list": []}):
        with pytest.raises(ax.SetupError, match="has a number"):
            brevo.act(ax.Action(id="M1", key=UUID, to="ana@example.com", kind="list-add", fields=fields))
    assert spec.calls == []


def test_what_is_not_set_up_is_not_offered() -> None:
    bare = Brevo(BrevoOptions.model_validate({"api_key": KEY}))
    assert not {ax.Capability.SMS, ax.Capability.WHATSAPP} & bare.offers()
    assert ax.Capability.EMAIL in bare.offers()
    with pytest.raises(ValueError, match="not an e-mail address"):
        BrevoOptions.model_validate({"api_key": KEY, "sender": "nobody"})


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"templates": 1}', b'{"templates": [1, null, {"id": 1}]}'])
def test_a_list_nobody_can_read_is_an_error_or_empty(spec: SpecServer, brevo: Brevo, body: bytes) -> None:
    spec.answer("GET /smtp/templates", status=200, body=body)
    try:
        found = list(brevo.templates(ax.Channel.EMAIL))
    except ax.InputDataError:
        return
    assert all(one.id for one in found)
