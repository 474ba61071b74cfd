"""What leaves, as the options say. Nothing public says what should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from libax_connector_superlogica_sign import SignOptions, SuperlogicaSign

import libax_automate as ax
from libax_automate.testing import LOOPBACK, Request, Service


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


def act(service: Service, kind: str, to: str = "4711", options: dict[str, Any] | None = None, **fields: Any) -> Request:
    values = {"base_url": f"{service.url}/orders", "token": "token-never-shown", "app_token": "app-never-shown", **(options or {})}
    connector = SuperlogicaSign(SignOptions.model_validate(values), ax.Place(allow_private=LOOPBACK))
    connector.open()
    connector.act(ax.Action(id="M1", key="k-1", to=to, kind=kind, fields=fields))
    connector.close()
    return service.requests[-1]


@pytest.mark.req("PR-50", "PR-51", "PR-52", "PR-53", "PR-54")
@pytest.mark.parametrize("kind", ["quote", "approved-quote", "service-order"])
def test_a_quote_or_order(service: Service, kind: str) -> None:
    request = act(
        service,
        kind,
        name="Ana Silva",
        validity_days="15",
        delivery_days=30,
        discount_percent="7,5 %",
        register_company="não",
        register_person=True,
        notify="sim",
        description="Plano anual",
        payment="boleto",
        mrr="R$ 99,90",
        notes="Ligar antes\nde vir",
    )
    assert (request.method, request.path) == ("POST", "/orders")
    assert (request.headers["access_token"], request.headers["app_token"]) == ("token-never-shown", "app-never-shown")
    assert request.json() == {
        "type": kind,
        "reference": "k-1",
        "customer": "4711",
        "name": "Ana Silva",
        "validity_days": 15,
        "delivery_days": 30,
        "discount_percent": "7.5",
        "register_company": False,
        "register_person": True,
        "notify": True,
        "description": "Plano anual",
        "payment": "boleto",
        "mrr": "99.90",
        "notes": "Ligar antes\nde vir",
    }


def test_names_and_headers_are_what_the_app_says(service: Service) -> None:
    fields = {
        "validity_days": "proposta.validade",
        "delivery_days": "proposta.entrega",
        "type": "tipo",
        "reference": "ref",
        "customer": "cliente",
    }
    options = {"fields": fields, "header": "X-Token", "app_header": "X-App"}
    request = act(service, "quote", options=options, validity_days=15, delivery_days=30, colour=None)
    assert request.headers["x-token"] == "token-never-shown"
    assert request.json() == {"tipo": "quote", "ref": "k-1", "cliente": "4711", "proposta": {"validade": 15, "entrega": 30}}
    with pytest.raises(ax.SetupError, match="which is a value"):
        act(service, "quote", options={"fields": {"notes": "type.x"}}, notes="a")
    with pytest.raises(ValueError, match="dots between"):
        SignOptions.model_validate({"base_url": "https://example.com", "token": "t", "app_token": "a", "fields": {"notes": "a..b"}})


@pytest.mark.parametrize(
    ("to", "fields", "error"),
    [
        ("4711", {"validity_days": "soon"}, ax.SetupError),
        ("4711", {"delivery_days": -1}, ax.SetupError),
        ("4711", {"discount_percent": 101}, ax.SetupError),
        ("4711", {"notify": "perhaps"}, ax.SetupError),
        (" ", {}, ax.RecipientError),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_leaves(
    service: Service, to: str, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        act(service, "quote", to, **fields)
    assert service.requests == []
