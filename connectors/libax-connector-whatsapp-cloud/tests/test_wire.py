"""Every request held against Meta's own document; skipped where the document is not at hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from libax_connector_whatsapp_cloud import WhatsAppCloud, WhatsAppOptions

import libax_automate as ax
from libax_automate.testing import LOOPBACK, Reply, Service, SpecServer

ROOT = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts")
DOCUMENT = ROOT / "whatsapp-cloud" / "openapi.json"
TOKEN = "EAA-never-shown"
NUMBER, ACCOUNT = "106000000000000", "102000000000000"
#: in Meta's pages, not in its document
LENIENT = ("biz_opaque_callback_data", "parameter_name", "limit", "after", "User-Agent", "Content-Type", "Authorization")
TEXT = ax.Text(id="M1", key="k-1", to="+351912345678", channel=ax.Channel.WHATSAPP, text="Olá, Ana 🎂", language="pt_PT")


def made(url: str, locale: str = "pt_PT", **options: Any) -> WhatsAppCloud:
    values = {"base_url": url, "token": TOKEN, "phone_number_id": NUMBER, "account_id": ACCOUNT, **options}
    connector = WhatsAppCloud(WhatsAppOptions.model_validate(values), ax.Place(allow_private=LOOPBACK, locale=locale))
    connector.open()
    return connector


@pytest.fixture
def spec() -> Iterator[SpecServer]:
    if not DOCUMENT.is_file():
        pytest.skip("no vendor document: set LIBAX_CONTRACTS to a folder of them")
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    # as published, a text may not have the properties that every message must have
    del document["components"]["schemas"]["TextMessage"]["allOf"][1]["additionalProperties"]
    with SpecServer(document, lenient=LENIENT) as server:
        yield server
        server.assert_valid()


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


def test_a_text_within_the_day(spec: SpecServer) -> None:
    whatsapp = made(spec.url)
    whatsapp.send(TEXT)
    call = spec.calls[0]
    assert (call.path, call.headers["Authorization"]) == (f"/v23.0/{NUMBER}/messages", f"Bearer {TOKEN}")
    assert call.body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+351912345678",
        "biz_opaque_callback_data": "M1 k-1",
        "type": "text",
        "text": {"body": "Olá, Ana 🎂", "preview_url": False},
    }
    with pytest.raises(ax.ContentError, match="4096"):
        whatsapp.send(replace(TEXT, text="x" * 4097))
    whatsapp.close()


@pytest.mark.req("IC-09")
def test_a_template_with_values_in_order(spec: SpecServer) -> None:
    made(spec.url).send(replace(TEXT, template="aviso_cobranca", vars=("Ana", "R$ 123,00", "19/07/2026")))
    assert spec.calls[0].body["type"] == "template"
    assert spec.calls[0].body["template"] == {
        "name": "aviso_cobranca",
        "language": {"policy": "deterministic", "code": "pt_PT"},
        "components": [
            {
                "type": "body",
                "parameters": [
                    {"type": "text", "text": "Ana"},
                    {"type": "text", "text": "R$ 123,00"},
                    {"type": "text", "text": "19/07/2026"},
                ],
            }
        ],
    }


def test_a_template_with_named_values_and_a_header(spec: SpecServer) -> None:
    header = {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://example.com/bolo.png"}}]}
    made(spec.url).send(replace(TEXT, template="anos", params={"nome": "Ana"}, extra={"components": [header]}))
    assert spec.calls[0].body["template"]["components"] == [
        header,
        {"type": "body", "parameters": [{"type": "text", "parameter_name": "nome", "text": "Ana"}]},
    ]


def test_a_template_without_values_has_no_components(spec: SpecServer) -> None:
    made(spec.url).send(replace(TEXT, template="hello_world"))
    assert spec.calls[0].body["template"] == {"name": "hello_world", "language": {"policy": "deterministic", "code": "pt_PT"}}


@pytest.mark.parametrize(
    ("model", "app", "expected"),
    [("pt_PT", None, "pt_PT"), ("pt_PT", "pt_BR", "pt_BR"), ("en", "pt_BR", "en"), ("", None, "pt_PT"), ("", "es", "es")],
)
def test_the_language_is_the_models_else_the_apps_else_the_profiles(spec: SpecServer, model: str, app: str | None, expected: str) -> None:
    made(spec.url, language=app).send(replace(TEXT, template="anos", language=model))
    assert spec.calls[0].body["template"]["language"]["code"] == expected


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (replace(TEXT, template="anos", vars=("Ana",), params={"nome": "Ana"}), "not both"),
        (replace(TEXT, template="anos", extra={"components": "header"}), "no list"),
        (replace(TEXT, sender="+351911111111"), "no id of a number"),
        (replace(TEXT, channel=ax.Channel.SMS), "does not send sms"),
    ],
)
def test_what_cannot_go_is_said_before_anything_leaves(service: Service, message: ax.Text, words: str) -> None:
    with pytest.raises(ax.SetupError, match=words):
        made(service.url).send(message)
    assert service.requests == []


def test_templates_tell_status_language_and_values(spec: SpecServer) -> None:
    rows = [
        {
            "name": "aviso",
            "language": "pt_PT",
            "status": "APPROVED",
            "components": [{"type": "HEADER", "text": "Aviso {{1}}"}, {"type": "BODY", "text": "{{2}}, deve {{1}} a {{2}}"}],
        },
        {"name": "anos", "language": "pt_BR", "status": "PAUSED", "components": [{"type": "BODY", "text": "{{nome}} faz {{idade}}"}]},
        {"name": "odd", "language": "pt_BR", "status": "REJECTED", "components": None},
    ]
    spec.answer("GET /{Version}/{WABA-ID}/message_templates", body={"data": rows, "paging": {"cursors": {"after": "A"}}})
    found = list(made(spec.url).templates())
    assert [(one.id, one.language, one.active, one.variables) for one in found] == [
        ("aviso", "pt_PT", True, ("1", "2")),
        ("anos", "pt_BR", False, ("nome", "idade")),
        ("odd", "pt_BR", False, None),
    ]
    assert dict(spec.calls[0].query) == {"limit": "100"}


def test_pages_of_templates_follow_the_cursor_and_a_circle_is_noticed(service: Service) -> None:
    path = f"/v23.0/{ACCOUNT}/message_templates"
    more = {"paging": {"cursors": {"after": "A"}, "next": f"https://graph.facebook.com{path}?access_token=x&after=A"}}
    service.on(path, [Reply(200, {"data": [{"name": "a"}], **more}), Reply(200, {"data": [{"name": "b"}]})])
    whatsapp = made(service.url)
    assert [one.name for one in whatsapp.templates()] == ["a", "b"]
    assert [request.query.get("after") for request in service.requests] == [None, ["A"]]
    service.on(path, Reply(200, {"data": [{"name": "a"}], **more}))
    with pytest.raises(ax.InputDataError, match="again and again"):
        list(whatsapp.templates())
    whatsapp.close()


def test_without_the_account_templates_are_not_offered(service: Service) -> None:
    bare = made(service.url, account_id=None)
    assert ax.Capability.TEMPLATES not in bare.offers()
    with pytest.raises(ax.SetupError, match="account"):
        list(bare.templates())


def test_the_check_asks_for_the_number(spec: SpecServer) -> None:
    whatsapp = made(spec.url)
    whatsapp.check()
    assert spec.calls[0].path == f"/v23.0/{NUMBER}"
    spec.answer("getPhoneNumberById", status=401)
    with pytest.raises(ax.AccountError, match="190"):
        whatsapp.check()


def test_waits_and_hints(service: Service) -> None:
    path = f"/v23.0/{NUMBER}/messages"
    for code, kind, words in (
        (131047, ax.RecipientError, "24 hours"),
        (132000, ax.SetupError, "placeholders"),
        (131026, ax.RecipientError, "no WhatsApp"),
    ):
        service.on(path, Reply(400, {"error": {"code": code, "message": "no"}}))
        with pytest.raises(kind) as told:
            made(service.url).send(TEXT)
        assert (told.value.code, told.value.status) == (str(code), 400)
        assert words in told.value.hint
    service.on(path, Reply(400, {"error": {"code": 131056, "message": "pair"}}))
    with pytest.raises(ax.RateLimited) as slow:
        made(service.url).send(TEXT)
    assert slow.value.retry_after == 6.0
