"""The exact requests, and what rows mean. There is no vendor document to hold them against."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from libax_connector_superlogica import Superlogica, SuperlogicaOptions

import libax_automate as ax
from libax_automate.testing import LOOPBACK, Reply, Request, Service

#: still the 22nd in São Paulo
NOW = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(default=Reply(200, [{"status": "200", "msg": "", "data": {"id_planocliente_plc": "8"}}])) as service:
        yield service


def made(url: str, **options: Any) -> Superlogica:
    values = {"app_token": "app-never-shown", "access_token": "access-never-shown", "base_url": f"{url}/v2/financeiro", **options}
    connector = Superlogica(SuperlogicaOptions.model_validate(values), ax.Place(allow_private=LOOPBACK, timezone="America/Sao_Paulo"))
    connector.open()
    return connector


def act(service: Service, kind: str, to: str = "371", options: dict[str, Any] | None = None, **fields: Any) -> Request:
    made(service.url, **(options or {})).act(ax.Action(id="M1", key="k-1", to=to, kind=kind, fields=fields, sent_at=NOW))
    return service.requests[-1]


@pytest.mark.req("PR-47", "PR-48", "PR-50")
def test_a_customer(service: Service) -> None:
    request = act(
        service,
        "customer",
        "4711",
        {"due_day": 10, "payment": "3"},
        name="Ana Silva",
        email="ana@example.com",
        tax_id="00000000000",
        ST_RG_SAC="1",
    )
    assert (request.method, request.path) == ("POST", "/v2/financeiro/clientes")
    assert (request.headers["app_token"], request.headers["access_token"]) == ("app-never-shown", "access-never-shown")
    assert request.json() == {
        "ST_SINCRO_SAC": "4711",
        "identificador": "4711",
        "ST_NOME_SAC": "Ana Silva",
        "ST_NOMEREF_SAC": "Ana Silva",
        "ST_EMAIL_SAC": "ana@example.com",
        "ST_CGC_SAC": "00000000000",
        "ST_RG_SAC": "1",
        "ST_DIAVENCIMENTO_SAC": "10",
        "FL_PAGAMENTOPREF_SAC": "3",
    }
    assert act(service, "customer", options={"due_day": 10}, name="Ana", due_day=20).json()["ST_DIAVENCIMENTO_SAC"] == "20"
    request = act(service, "customer-update", "371", city="Campinas")
    assert (request.method, request.json()) == ("PUT", {"ID_SACADO_SAC": "371", "ST_CIDADE_SAC": "Campinas"})


@pytest.mark.req("PR-48", "PR-49")
def test_a_subscription(service: Service) -> None:
    request = act(service, "subscription", plan=12, start="2026-12-01", notify=True, products="7 x 2, 9", installments=3)
    assert (request.method, request.path) == ("POST", "/v2/financeiro/assinaturas")
    assert request.json() == {
        "PLANOS": [
            {
                "ID_SACADO_SAC": "371",
                "ID_PLANO_PLA": "12",
                "DT_CONTRATO_PLC": "12/01/2026",
                "ST_IDENTIFICADOR_PLC": "k-1",
                "FL_NOTIFICARCLIENTE": 1,
                "QUANT_PARCELAS_ADESAO": "3",
            }
        ],
        "ADICIONAIS": [{"ID_PRODUTO_PRD": "7", "NM_QNTD_PLP": "2"}, {"ID_PRODUTO_PRD": "9", "NM_QNTD_PLP": "1"}],
    }
    plan = act(service, "subscription", plan=12).json()["PLANOS"][0]
    assert (plan["DT_CONTRATO_PLC"], plan["FL_NOTIFICARCLIENTE"]) == ("11/22/2026", 0)
    assert act(service, "subscription", options={"notify": True}, plan=12).json()["PLANOS"][0]["FL_NOTIFICARCLIENTE"] == 1
    request = act(service, "subscription-cancel", "8", on=date(2026, 12, 24), at_once="sim")
    assert (request.method, request.json()) == (
        "PUT",
        {"ID_PLANOCLIENTE_PLC": "8", "DT_CANCELAMENTO_PLC": "12/24/2026", "FL_CANCELAMENTOIMEDIATO": 1},
    )


@pytest.mark.req("PR-50")
def test_a_charge(service: Service) -> None:
    request = act(service, "charge", product=7, value="R$ 61,50", quantity=2, due="24/12/2026", description="Instalação", payment=3)
    assert (request.method, request.path) == ("POST", "/v2/financeiro/cobranca")
    assert request.json() == {
        "ID_SACADO_SAC": "371",
        "COMPO_RECEBIMENTO": [{"ID_PRODUTO_PRD": "7", "NM_QUANTIDADE_COMP": "2", "VL_UNITARIO_PRD": "61.50"}],
        "VL_EMITIDO_RECB": "123.00",
        "DT_VENCIMENTO_RECB": "12/24/2026",
        "ST_OBSERVACAOEXTERNA_RECB": "Instalação",
        "ID_FORMAPAGAMENTO_RECB": "3",
    }


@pytest.mark.parametrize(
    ("kind", "to", "fields", "error"),
    [
        ("customer", "4711", {}, ax.SetupError),
        ("customer", "4711", {"name": "Ana", "colour": "red"}, ax.SetupError),
        ("customer", "", {"name": "Ana"}, ax.RecipientError),
        ("subscription", "371", {}, ax.SetupError),
        ("subscription", "371", {"plan": 1, "start": "soon"}, ax.SetupError),
        ("subscription", "371", {"plan": 1, "products": "many"}, ax.SetupError),
        ("charge", "371", {"product": 1, "value": "much", "due": "2026-12-24"}, ax.SetupError),
        ("charge", "371", {"product": 1}, ax.SetupError),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_leaves(
    service: Service, kind: str, to: str, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        act(service, kind, to, **fields)
    assert service.requests == []


def test_a_reply_that_says_neither_is_in_doubt(service: Service) -> None:
    for body in ({}, [], b"<html>", [{"data": 1}]):
        service.on("/v2/financeiro/clientes", Reply(200, body))
        with pytest.raises(ax.OutcomeUnknown):
            act(service, "customer", name="Ana")


def test_rows_in_canonical_fields(service: Service) -> None:
    service.on(
        "/v2/financeiro/clientes",
        Reply(
            200,
            [
                {
                    "id_sacado_sac": 371,
                    "st_nome_sac": "Ana Silva",
                    "st_celular_sac": "(11) 98765-4321",
                    "st_cgc_sac": "000.000.000-00",
                    "dt_nascimento_sac": "12/24/1980",
                    "dt_cadastro_sac": "07/01/2019",
                    "dt_desativacao_sac": "",
                },
                {"id_sacado_sac": 372, "st_nome_sac": "Loja Ltda", "st_cgc_sac": "00.000.000/0001-00", "dt_nascimento_sac": "31/12/1980"},
            ],
        ),
    )
    ana, shop = (row for row in made(service.url).fetch("contacts", ax.Query()) if isinstance(row, ax.Record))
    assert (ana["mobile"], ana["birth_date"], ana["person_type"], ana["status"]) == (
        "+5511987654321",
        date(1980, 12, 24),
        "person",
        "active",
    )
    assert (ana["created_at"], ana["first_name"]) == (date(2019, 7, 1), "Ana")
    assert shop["person_type"] == "company"
    assert shop["birth_date"] is None
    assert "birth_date" in shop.problems, "a date that is not month first is named, not guessed"


@pytest.mark.parametrize(
    ("more", "status", "balance"),
    [
        ({}, "open", "60.18"),
        ({"dt_liquidacao_recb": "05/20/2019"}, "paid", "0.00"),
        ({"dt_cancelamento_recb": "05/20/2019"}, "cancelled", "60.18"),
    ],
)
def test_charges(service: Service, more: dict[str, str], status: str, balance: str) -> None:
    row = {"id_recebimento_recb": "9", "id_sacado_sac": "1", "vl_emitido_recb": "59.00", "vl_total_recb": "60.18"}
    service.on(
        "/v2/financeiro/cobranca", Reply(200, [{**row, "dt_vencimento_recb": "05/16/2019", "link_2via": "https://example.com/2", **more}])
    )
    (found,) = made(service.url).fetch("invoices", ax.Query(ids=frozenset({"9"})))
    assert isinstance(found, ax.Record)
    assert (found["due"], found["status"], str(found["balance"]), found["amount"].currency) == (date(2019, 5, 16), status, balance, "BRL")
    assert service.requests[-1].query == {"pagina": ["1"], "itensPorPagina": ["50"], "id": ["9"]}
