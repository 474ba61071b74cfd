"""The exact requests, and what replies mean; held against a description of the API where one is at hand."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from libax_connector_opa_suite import OpaOptions, OpaSuite
from pydantic import ValidationError

import libax_automate as ax
from libax_automate.testing import LOOPBACK, Reply, Request, Service, SpecServer

ROOT = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts")
DOCUMENT = ROOT / "opa-suite" / "openapi.derived.json"
CHANNEL = "64f0c0ffee00000000000001"
TEMPLATE = "64f0c0ffee00000000000002"
LIMITS = f"/api/v1/canal-comunicacao/{CHANNEL}/template/limites-diarios-envio"
TEXT = ax.Text(
    id="M1",
    key="k-1",
    to="+5511987654321",
    channel=ax.Channel.WHATSAPP,
    name="Ana",
    template=TEMPLATE,
    vars=("Ana", "R$ 123,00", "19/07/2026"),
)
SENT = Reply(200, {"status": "success", "code": 200, "data": {"messageSentId": "64f0c0ffee00000000000009"}})


def made(url: str, **options: Any) -> OpaSuite:
    values = {"base_url": f"{url}/api/v1", "token": "s3cret-never-shown", "channel": CHANNEL, **options}
    connector = OpaSuite(OpaOptions.model_validate(values), ax.Place(allow_private=LOOPBACK))
    connector.open()
    return connector


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        service.on("/api/v1/template/send", SENT)
        yield service


@pytest.fixture
def spec() -> Iterator[SpecServer]:
    if not DOCUMENT.is_file():
        pytest.skip("no description of the API: set LIBAX_CONTRACTS to a folder of them")
    document = copy.deepcopy(json.loads(DOCUMENT.read_text(encoding="utf-8")))
    document["servers"] = [{"url": "https://example.com/api/v1"}]
    # lists are asked by GET with a JSON body, which OpenAPI 3.0 has no words for
    document["paths"]["/canal-comunicacao"]["get"]["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    with SpecServer(document) as server:
        yield server
        server.assert_valid()


@pytest.mark.req("IB-01", "IB-03", "IC-09")
def test_a_template_with_its_values_in_order(spec: SpecServer) -> None:
    spec.answer("channelDailyLimits", body={"status": "success", "data": {"messagesSent": 1, "dailyLimit": 9, "availableAmount": 8}})
    opa = made(spec.url.removesuffix("/api/v1"))
    opa.send(TEXT)
    call = spec.calls[-1]
    assert (call.method, call.path, call.headers["Authorization"]) == ("POST", "/api/v1/template/send", "Bearer s3cret-never-shown")
    assert call.body == {
        "contato": {"canalCliente": "+5511987654321", "nome": "Ana"},
        "template": {"_id": TEMPLATE, "variaveis": ["Ana", "R$ 123,00", "19/07/2026"]},
        "canal": CHANNEL,
        "metadata": {"id": "M1", "key": "k-1"},
    }
    opa.send(replace(TEXT, vars=(), params={"valor": "123.00", "tipoPagamento": "pix"}, extra={"media": "https://example.com/a.png"}))
    assert spec.calls[-1].body["template"] == {
        "_id": TEMPLATE,
        "variaveis": {"valor": "123.00", "tipoPagamento": "pix"},
        "midiaAlternativa": "https://example.com/a.png",
    }
    opa.close()


@pytest.mark.req("IC-04")
@pytest.mark.parametrize(
    "wrong",
    [
        "https://empresa.example.com/atendente",
        "https://empresa.example.com/atendente/",
        "https://empresa.example.com/atendente/inicio?x=1",
        "https://empresa.example.com",
        "https://empresa.example.com/api",
        "https://empresa.example.com/api/v1/atendente",
    ],
)
def test_the_agents_page_is_refused_with_the_right_address(wrong: str) -> None:
    with pytest.raises(ValidationError, match=r"write https://empresa\.example\.com/api/v1 ") as told:
        OpaOptions.model_validate({"base_url": wrong, "token": "s3cret-never-shown"})
    said = told.value.errors()[0]["msg"]
    assert said.endswith("write https://empresa.example.com/api/v1")
    assert ("agents" in said) == ("/atendente" in wrong)


def test_the_right_address_is_taken_with_or_without_a_slash() -> None:
    for right in ("https://empresa.example.com/api/v1", "https://empresa.example.com/api/v1/"):
        assert OpaOptions.model_validate({"base_url": right, "token": "t"}).base_url == "https://empresa.example.com/api/v1"


@pytest.mark.req("IB-05", "IC-02", "IC-08")
def test_the_channel_is_proven_and_without_one_those_there_are_are_listed(spec: SpecServer) -> None:
    rows = [
        {"_id": CHANNEL, "nome": "Loja", "status": "A", "canal": "Whatsapp"},
        {"_id": "64f0c0ffee00000000000003", "nome": "Antigo", "status": "I", "canal": "Whatsapp"},
    ]
    spec.answer("listChannels", body={"status": "success", "code": 200, "data": rows})
    url = spec.url.removesuffix("/api/v1")
    made(url).check()
    assert spec.calls[0].body == {"filter": {"canal": "Whatsapp"}, "options": {"limit": 100, "skip": 0}}
    for channel, words in (("", "no channel is set"), ("64f0c0ffee00000000000003", "not active"), ("64f0c0ffee00000000000004", "has no")):
        with pytest.raises(ax.SetupError, match=words) as told:
            made(url, channel=channel).check()
        assert f"{CHANNEL} (Loja)" in told.value.hint
        assert "Antigo" not in told.value.hint


def test_every_page_of_channels_is_read_and_a_list_that_ignores_skip_ends(service: Service) -> None:
    rows = [{"_id": f"{number:024x}", "nome": f"c{number}", "status": "A"} for number in range(150)]

    def page(request: Request) -> Reply:
        skip = request.json()["options"]["skip"]
        return Reply(200, {"status": "success", "data": rows[skip : skip + 100]})

    service.on("/api/v1/canal-comunicacao", page)
    opa = made(service.url)
    assert len(list(opa.channels())) == 150
    assert len(service.requests) == 2
    service.on("/api/v1/canal-comunicacao", Reply(200, {"status": "success", "data": rows}))
    assert len(list(opa.channels())) == 150
    assert len(service.requests) == 4
    opa.close()


@pytest.mark.req("IB-06", "IB-07", "IB-08", "IC-09")
def test_templates_tell_their_text_and_values(spec: SpecServer) -> None:
    rows = [
        {"_id": TEMPLATE, "texto": "Olá {{1}}! Fatura de {{2}} até {{3}}", "atalho": "aviso"},
        {"_id": "64f0c0ffee00000000000005", "texto": "Olá {{ nome }}, {{data}}, {{nome}}", "atalho": "anos", "status": "I"},
        {"_id": "64f0c0ffee00000000000006", "texto": "{{2}} e {{1}}"},
    ]
    spec.answer("listChannelTemplates", body={"status": "success", "code": 200, "data": rows})
    found = list(made(spec.url.removesuffix("/api/v1")).templates(ax.Channel.WHATSAPP))
    assert [(one.id, one.name, one.active, one.variables) for one in found] == [
        (TEMPLATE, "aviso", True, ("1", "2", "3")),
        ("64f0c0ffee00000000000005", "anos", False, ("nome", "data")),
        ("64f0c0ffee00000000000006", "64f0c0ffee00000000000006", True, ("1", "2")),
    ]
    assert found[0].text == "Olá {{1}}! Fatura de {{2}} até {{3}}"
    assert spec.calls[0].path == f"/api/v1/canal-comunicacao/{CHANNEL}/template"


def test_a_contact_in_attendance(service: Service) -> None:
    service.on("/api/v1/template/send", Reply(400, {"status": "error", "data": {"message": "Este contato ja esta em atendimento com Rui"}}))
    with pytest.raises(ax.RecipientError) as told:
        made(service.url).send(TEXT)
    assert "in_attendance" in told.value.hint
    service.on("/api/v1/template/send", SENT)
    made(service.url, in_attendance="send").send(TEXT)
    assert service.requests[-1].json()["allowSendingToStartedCustomerService"] is True


def test_the_days_allowance_is_asked_once_counted_down_and_waited_for(service: Service) -> None:
    service.on(LIMITS, [Reply(200, {"availableAmount": 2}), Reply(200, {"availableAmount": 0})])
    opa = made(service.url)
    opa.send(TEXT)
    opa.send(TEXT)
    assert [request.path for request in service.requests] == [LIMITS, *["/api/v1/template/send"] * 2]
    with pytest.raises(ax.RateLimited) as told:
        opa.send(TEXT)
    assert told.value.retry_after == 3600
    assert [request.path for request in service.requests].count("/api/v1/template/send") == 2, "nothing leaves that would be refused"
    opa.close()
    service.clear()
    free = made(service.url, daily_limit=False)
    free.send(TEXT)
    assert len(service.requests) == 1
    free.close()


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        (Reply(200, {"messagesSent": 1, "dailyLimit": 1000, "availableAmount": 999}), Decimal(999)),
        (Reply(200, {"status": "success", "data": {"availableAmount": 5}}), Decimal(5)),
        (Reply(200, {"status": "success", "data": {}}), None),
        (Reply(200, {}), None),
        (Reply(404, {"error": "NOT_FOUND_ERROR", "message": "no limit"}), None),
    ],
)
def test_what_is_left_of_the_day(service: Service, reply: Reply, left: Decimal | None) -> None:
    service.on(LIMITS, reply)
    assert made(service.url).balance() == left


@pytest.mark.parametrize("reply", [Reply(200, b"<html>"), Reply(200, []), Reply(400, {"message": "no templates here"}), Reply(404, {})])
def test_a_channel_without_a_readable_allowance_is_not_limited(service: Service, reply: Reply) -> None:
    service.on(LIMITS, reply)
    opa = made(service.url)
    assert opa.send(TEXT).id
    assert opa.send(TEXT).id
    assert [request.path for request in service.requests].count(LIMITS) == 1


@pytest.mark.parametrize(("status", "error"), [(401, ax.AccountError), (429, ax.RateLimited), (503, ax.Transient), (500, ax.Transient)])
def test_an_account_that_fails_when_asked_for_its_allowance_sends_nothing(service: Service, status: int, error: type[Exception]) -> None:
    service.on(LIMITS, Reply(status, {}))
    with pytest.raises(error):
        made(service.url).send(TEXT)
    assert {request.path for request in service.requests} == {LIMITS}


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (replace(TEXT, template=None), "template only"),
        (replace(TEXT, template="aviso"), "by its id"),
        (replace(TEXT, sender="Loja"), "no channel's id"),
        (replace(TEXT, channel=ax.Channel.SMS), "does not send sms"),
    ],
)
def test_what_cannot_go_is_said_before_anything_leaves(service: Service, message: ax.Text, words: str) -> None:
    with pytest.raises(ax.SetupError, match=words):
        made(service.url).send(message)
    assert service.requests == []


def test_another_channel_for_one_message(service: Service) -> None:
    other = "64f0c0ffee00000000000007"
    made(service.url, channel="").send(replace(TEXT, sender=other))
    assert service.requests[-1].json()["canal"] == other
