"""Every request held against the vendor's own documents; skipped where they are not at hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from libax_connector_sendgrid import Sendgrid, SendgridOptions

import libax_automate as ax
from libax_automate.testing import LOOPBACK, SpecServer

ROOT = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts") / "sendgrid"
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="no vendor documents: set LIBAX_CONTRACTS to a folder of them")

SEND = "POST /v3/mail/send"
UUID = "7d1c9a52-0000-4000-8000-000000000001"
MAIL = ax.Email(id="M1", key=UUID, to="ana@example.com", name="Ana", subject="Olá", text="Olá Ana\n🎂", html="<p>Olá Ana</p>")
ARGS = {"automate_id": "M1", "automate_key": UUID}


@pytest.fixture
def spec(request: pytest.FixtureRequest) -> Iterator[SpecServer]:
    with SpecServer(ROOT / getattr(request, "param", "openapi.json")) as server:
        yield server
        server.assert_valid()


@pytest.fixture
def sendgrid(spec: SpecServer) -> Iterator[Sendgrid]:
    options = {"api_key": "SG.invented-0123456789", "sender": "Padaria <geral@example.com>", "base_url": spec.url}
    connector = Sendgrid(SendgridOptions.model_validate(options), ax.Place(allow_private=LOOPBACK))
    connector.open()
    yield connector
    connector.close()


@pytest.mark.req("LX-16")
def test_an_email_of_our_own_words(spec: SpecServer, sendgrid: Sendgrid) -> None:
    spec.answer(SEND, status=202, body=b"", headers={"X-Message-Id": "m-1"})
    attached = (ax.Attachment("a.txt", b"abc", "text/plain"),)
    sent = replace(MAIL, reply_to="loja@example.com", cc=("b@example.com",), headers={"X-Loja": "1"}, attachments=attached)
    assert sendgrid.send(sent).id == "m-1"
    assert spec.calls[0].body == {
        "personalizations": [
            {
                "to": [{"email": "ana@example.com", "name": "Ana"}],
                "cc": [{"email": "b@example.com"}],
                "subject": "Olá",
                "headers": {"X-Loja": "1"},
                "custom_args": ARGS,
            }
        ],
        "from": {"email": "geral@example.com", "name": "Padaria"},
        "reply_to": {"email": "loja@example.com"},
        "content": [{"type": "text/plain", "value": "Olá Ana\n🎂"}, {"type": "text/html", "value": "<p>Olá Ana</p>"}],
        "attachments": [{"filename": "a.txt", "type": "text/plain", "content": "YWJj"}],
    }


def test_a_batch_of_one_template(spec: SpecServer, sendgrid: Sendgrid) -> None:
    spec.answer(SEND, status=202, body=b"", headers={"X-Message-Id": "m-1"})
    messages = [
        replace(
            MAIL, id=f"M{n}", key=f"k{n}", to=f"p{n}@example.com", subject="", text="", html=None, template="d-12", params={"nome": f"P{n}"}
        )
        for n in range(1, 1001)
    ]
    assert len({sendgrid.batch_group(message) for message in messages}) == 1
    outcomes = sendgrid.send_batch(messages)
    assert len(outcomes) == 1000
    (call,) = spec.calls
    assert call.body["template_id"] == "d-12"
    assert "content" not in call.body
    told = call.body["personalizations"]
    assert [one["to"][0]["email"] for one in told] == [message.to for message in messages]
    assert told[998] == {
        "to": [{"email": "p999@example.com", "name": "Ana"}],
        "dynamic_template_data": {"nome": "P999"},
        "custom_args": {"automate_id": "M999", "automate_key": "k999"},
    }


def test_words_of_one_person_never_reach_another(spec: SpecServer, sendgrid: Sendgrid) -> None:
    other = replace(MAIL, id="M2", to="rui@example.com", text="Olá Rui")
    assert sendgrid.batch_group(MAIL) != sendgrid.batch_group(other)
    with pytest.raises(ax.ContentError):
        sendgrid.send_batch([MAIL, other])
    with pytest.raises(ax.ContentError, match="recipients"):
        sendgrid.send_batch([replace(MAIL, cc=("c@example.com",))] * 501)
    with pytest.raises(ax.ContentError, match="empty"):
        sendgrid.send(replace(MAIL, text="", html=None))
    with pytest.raises(ax.SetupError, match="in order"):
        sendgrid.send(replace(MAIL, template="d-1", vars=("Ana",)))
    assert spec.calls == []


@pytest.mark.parametrize("spec", ["openapi-templates.json"], indirect=True)
def test_templates_page_by_page(spec: SpecServer, sendgrid: Sendgrid) -> None:
    def page(name: str, active: int, following: str) -> dict[str, Any]:
        rows = [{"id": name, "name": name, "generation": "dynamic", "versions": [{"active": active, "subject": "Olá"}]}]
        return {"result": rows, "_metadata": {"next": f"{spec.url}/v3/templates?page_token={following}"} if following else {}}

    spec.answer("ListTemplate", body=page("d-1", 1, "two"), times=1)
    spec.answer("ListTemplate", body=page("d-2", 0, ""), times=1)
    assert [(one.id, one.active, one.text) for one in sendgrid.templates()] == [("d-1", True, "Olá"), ("d-2", False, "")]
    assert [dict(call.query).get("page_token") for call in spec.calls] == [None, "two"]
    spec.answer("ListTemplate", body=page("d-1", 1, "two"))
    with pytest.raises(ax.InputDataError, match="again and again"):
        list(sendgrid.templates())
    assert list(sendgrid.templates(ax.Channel.SMS)) == []


def test_a_key_that_may_not_send_is_told() -> None:
    document = {
        "openapi": "3.0.0",
        "info": {"title": "scopes", "version": "1"},
        "paths": {"/v3/scopes": {"get": {"operationId": "scopes", "responses": {"200": {"description": "the scopes"}}}}},
    }
    with SpecServer(document) as server:
        options = {"api_key": "SG.invented-0123456789", "sender": "geral@example.com", "base_url": server.url}
        connector = Sendgrid(SendgridOptions.model_validate(options), ax.Place(allow_private=LOOPBACK))
        connector.open()
        server.answer("scopes", body={"scopes": ["mail.send", "templates.read"]})
        connector.check()
        server.answer("scopes", body={"scopes": ["templates.read"]})
        with pytest.raises(ax.AccountError, match="may not send"):
            connector.check()
        server.answer("scopes", status=200, body=json.dumps([]).encode())
        connector.check()
        connector.close()
