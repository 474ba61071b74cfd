"""Every request held against the vendor's own document; skipped where it is not at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from libax_connector_zenvia import Zenvia, ZenviaOptions

import libax_automate as ax
from libax_automate.testing import LOOPBACK, SpecServer

ROOT = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts")
DOCUMENT = ROOT / "zenvia" / "openapi.json"
pytestmark = pytest.mark.skipif(not DOCUMENT.is_file(), reason="no vendor document: set LIBAX_CONTRACTS to a folder of them")

TEXT = ax.Text(id="M7", key="k7", to="+351912345678", text="Olá Ana 🎂")
WHATSAPP = replace(TEXT, channel=ax.Channel.WHATSAPP)


@pytest.fixture
def spec() -> Iterator[SpecServer]:
    with SpecServer(DOCUMENT) as server:
        yield server
        server.assert_valid()


@pytest.fixture
def zenvia(spec: SpecServer) -> Iterator[Zenvia]:
    options = {"token": "invented-0123456789", "sms_sender": "PADARIA", "whatsapp_sender": "+351910000001", "base_url": spec.url}
    connector = Zenvia(ZenviaOptions.model_validate(options), ax.Place(allow_private=LOOPBACK))
    connector.open()
    yield connector
    connector.close()


def test_an_sms(spec: SpecServer, zenvia: Zenvia) -> None:
    spec.answer("POST /channels/sms/messages", status=200, body={"id": "z-1"})
    assert zenvia.send(TEXT) == ax.Receipt(ax.Status.QUEUED, "z-1")
    assert spec.calls[0].body == {
        "from": "PADARIA",
        "to": "351912345678",
        "externalId": "M7",
        "contents": [{"type": "text", "text": "Olá Ana 🎂"}],
    }


def test_a_whatsapp_template(spec: SpecServer, zenvia: Zenvia) -> None:
    spec.answer("POST /channels/whatsapp/messages", status=200, body={"id": "z-2"})
    assert zenvia.send(replace(WHATSAPP, text="", template="t1", params={"nome": "Ana"})).id == "z-2"
    assert spec.calls[0].body == {
        "from": "351910000001",
        "to": "351912345678",
        "externalId": "M7",
        "contents": [{"type": "template", "templateId": "t1", "fields": {"nome": "Ana"}}],
    }


def test_what_cannot_go_is_said_before_anything_leaves(spec: SpecServer, zenvia: Zenvia) -> None:
    with pytest.raises(ax.SetupError, match="in order"):
        zenvia.send(replace(WHATSAPP, template="t1", vars=("Ana",)))
    bare = Zenvia(ZenviaOptions.model_validate({"token": "invented-0123456789"}))
    assert not {ax.Capability.SMS, ax.Capability.WHATSAPP} & bare.offers()
    bare.open()
    with pytest.raises(ax.SetupError, match="no sender of sms"):
        bare.send(TEXT)
    bare.close()
    assert spec.calls == []


def rows(first: int, count: int, status: str = "APPROVED") -> list[dict[str, Any]]:
    return [{"id": f"t{n}", "name": f"modelo {n}", "status": status, "fields": ["nome"]} for n in range(first, first + count)]


def test_templates_page_by_page(spec: SpecServer, zenvia: Zenvia) -> None:
    spec.answer("GET /templates", status=200, body=rows(0, 500), times=1)
    spec.answer("GET /templates", status=200, body=rows(500, 1, "REJECTED"), times=1)
    found = list(zenvia.templates(ax.Channel.WHATSAPP))
    assert len(found) == 501
    assert (found[0].active, found[500].active, found[0].variables) == (True, False, ("nome",))
    assert [dict(call.query) for call in spec.calls] == [{"channel": "WHATSAPP", "page": n, "size": "500"} for n in ("1", "2")]
    spec.answer("GET /templates", status=200, body=rows(0, 500))
    with pytest.raises(ax.InputDataError, match="again and again"):
        list(zenvia.templates(ax.Channel.SMS))
    assert list(zenvia.templates(ax.Channel.EMAIL)) == []


def test_check_asks_without_sending(spec: SpecServer, zenvia: Zenvia) -> None:
    zenvia.check()
    spec.answer("GET /templates", status=401, body={"code": "AUTHENTICATION_ERROR", "message": "no token"})
    with pytest.raises(ax.AccountError):
        zenvia.check()
    assert [call.method for call in spec.calls] == ["GET", "GET"]
