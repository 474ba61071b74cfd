"""The exact requests. There is no vendor document to hold them against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from libax_connector_lahar import Lahar, LaharOptions

import libax_automate as ax
from libax_automate.testing import LOOPBACK, Reply, Request, Service


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(default=Reply(200, {"status": "sucesso"})) as service:
        yield service


def made(url: str, **options: Any) -> Lahar:
    values = {"token": "lahar-never-shown", "base_url": f"{url}/api", **options}
    connector = Lahar(LaharOptions.model_validate(values), ax.Place(allow_private=LOOPBACK))
    connector.open()
    return connector


def act(service: Service, kind: str, to: str = "ana@example.com", options: dict[str, Any] | None = None, **fields: Any) -> Request:
    made(service.url, **(options or {})).act(ax.Action(id="M1", key="k", to=to, kind=kind, fields=fields))
    return service.requests[-1]


@pytest.mark.req("PR-55")
def test_which_values_are_sent_is_chosen(service: Service) -> None:
    values = {"name": "Ana", "mobile": "+5511987654321", "city": "Campinas", "uNuQarKCor": "fibra", "notes": None}
    request = act(service, "conversion", options={"form": "venda", "origin": "https://example.com"}, send="name, uNuQarKCor", **values)
    assert (request.method, request.path) == ("POST", "/api/conversions")
    assert request.json() == {
        "token_api_lahar": "lahar-never-shown",
        "email_contato": "ana@example.com",
        "nome_formulario": "venda",
        "nome_contato": "Ana",
        "uNuQarKCor": "fibra",
        "url_origem": "https://example.com",
    }
    everything = act(service, "conversion", form="venda", tags=["vip", "porto"], **values).json()
    assert (everything["tel_celular"], everything["cidade"], everything["tags"]) == ("+5511987654321", "Campinas", "vip, porto")
    assert "anotacoes" not in everything


@pytest.mark.parametrize(("stage", "number"), [("lead", 1), ("Oportunidade", 2), ("client", 3), (3, 3)])
def test_a_stage(service: Service, stage: Any, number: int) -> None:
    request = act(service, "stage", stage=stage)
    assert (request.method, request.path) == ("PUT", "/api/leads")
    assert request.json() == {"token_api_lahar": "lahar-never-shown", "email_contato": "ana@example.com", "estagio_lead": number}


@pytest.mark.parametrize(
    ("kind", "to", "fields", "error"),
    [
        ("conversion", "ana@example.com", {}, ax.SetupError),
        ("conversion", "ana@example.com", {"form": "x", "send": "age"}, ax.SetupError),
        ("conversion", "ana@example.com", {"form": "x", "tags": "x" * 101}, ax.ContentError),
        ("conversion", "4711", {"form": "x"}, ax.RecipientError),
        ("stage", "ana@example.com", {"stage": "vip"}, ax.SetupError),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_leaves(
    service: Service, kind: str, to: str, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        act(service, kind, to, **fields)
    assert service.requests == []
