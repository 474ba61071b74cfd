"""The exact requests, and what replies become; field names are held against the vendor's own collection where it is at hand."""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from libax_connector_ixc_provedor import IxcOptions, IxcProvedor

import libax_automate as ax
from libax_automate.testing import Reply, Request, Service

CONTRACT = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts") / "ixc-provedor"
MOMENT = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
API = "/webservice/v1"


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(default=Reply(200, {"type": "success", "message": "Registro inserido com sucesso!", "id": "372"})) as service:
        yield service


@pytest.fixture
def ixc(service: Service) -> Iterator[IxcProvedor]:
    ixc = made(service.url)
    yield ixc
    ixc.close()


def made(url: str, **options: Any) -> IxcProvedor:
    given = {"base_url": url, "token": "12:0a1b2c3d-never-shown", "ticket_subject": 1, "ticket_sector": 2, **options}
    ixc = IxcProvedor(IxcOptions.model_validate(given), ax.Place(allow_private=("127.0.0.0/8",), timezone="America/Sao_Paulo"))
    ixc.open()
    return ixc


def page(*rows: dict[str, Any], total: int | None = None) -> Reply:
    return Reply(200, {"page": "1", "total": str(len(rows) if total is None else total), "registros": list(rows)})


def act(ixc: IxcProvedor, kind: str, to: str = "2", **fields: Any) -> ax.Receipt:
    return ixc.act(ax.Action(id="M1", key="k", to=to, kind=kind, fields=fields, sent_at=MOMENT))


def test_a_list_is_a_get_with_a_body(service: Service, ixc: IxcProvedor) -> None:
    """The header that makes it a list, JSON inside JSON, the id behind which it goes on, Basic with the token's halves."""
    service.on(f"{API}/cliente", [page({"id": "2"}, total=2), page({"id": "9"})])
    query = ax.Query(since=ax.Since("changed_at", MOMENT), equals={"status": frozenset({"active"}), "person_type": frozenset({"person"})})
    assert len(list(ixc.fetch("contacts", query))) == 2
    first, second = service.requests
    assert (first.method, first.headers["ixcsoft"]) == ("GET", "listar")
    assert first.headers["authorization"] == "Basic MTI6MGExYjJjM2QtbmV2ZXItc2hvd24="
    body = first.json()
    assert json.loads(body.pop("grid_param")) == [
        {"TB": "cliente.ultima_atualizacao", "OP": ">=", "P": "20/11/2026"},
        {"TB": "cliente.ativo", "OP": "=", "P": "S"},
        {"TB": "cliente.tipo_pessoa", "OP": "=", "P": "F"},
    ]
    assert body == {
        "qtype": "cliente.id",
        "query": "0",
        "oper": ">",
        "page": "1",
        "rp": "500",
        "sortname": "cliente.id",
        "sortorder": "asc",
    }
    assert second.json()["query"] == "2"


def test_invoices_hold_their_customers_record(service: Service, ixc: IxcProvedor) -> None:
    """One request for all customers of a page; amounts are exact; what is not released is not asked for."""
    invoice = {"liberado": "S", "status": "A", "data_emissao": "2026-11-08", "data_vencimento": "2026-11-21", "valor": "26.00"}
    rows = [
        {**invoice, "id": "5", "id_cliente": "2", "documento": "72006", "valor_aberto": "1.234", "gerencianet_token": "x"},
        {**invoice, "id": "6", "id_cliente": "2", "status": "R", "pagamento_data": "2026-11-20"},
        {**invoice, "id": "7", "id_cliente": "8", "status": "C", "pagamento_data": "0000-00-00"},
    ]
    service.on(f"{API}/fn_areceber", page(*rows))
    service.on(f"{API}/cliente", page({"id": "2", "razao": "Ana Silva", "senha": "segredo"}))
    query = ax.Query(span=ax.Span("due", date(2026, 11, 1), date(2026, 11, 30)), equals={"status": frozenset({"open"})})
    first, second, third = (record for record in ixc.fetch("invoices", query) if isinstance(record, ax.Record))
    assert (first["number"], first["status"], str(first["amount"]), str(first["balance"])) == ("72006", "open", "26.00", "1.234")
    assert (first["amount"].currency, first["due"], first["customer"]["name"]) == ("BRL", date(2026, 11, 21), "Ana Silva")
    assert (second["number"], second["status"], second["paid_at"]) == ("6", "paid", date(2026, 11, 20))
    assert (third["status"], third["paid_at"], third["customer"]) == ("cancelled", None, "8")
    assert "not to be found" in third.problems["customer"]
    assert "segredo" not in f"{first['customer']} {first['customer'].raw}"
    assert "gerencianet_token" not in {**first, **first.raw}
    invoices, customers = (json.loads(request.json()["grid_param"]) for request in service.requests)
    assert invoices == [
        {"TB": "fn_areceber.data_vencimento", "OP": "BE", "P": "01/11/2026", "P2": "30/11/2026"},
        {"TB": "fn_areceber.status", "OP": "!=", "P": "R", "P2": "C"},
        {"TB": "fn_areceber.liberado", "OP": "=", "P": "S"},
    ]
    assert customers == [{"TB": "cliente.id", "OP": "IN", "P": "2,8"}]


def test_ids_go_five_hundred_at_a_time(service: Service, ixc: IxcProvedor) -> None:
    """One condition takes so many; an id that is no number is nobody's."""
    service.on(f"{API}/cliente", Reply(200, {"page": "1", "total": 0}))
    assert list(ixc.fetch("contacts", ax.Query(ids=frozenset(map(str, range(1, 502))) | {"x"}))) == []
    sizes = [json.loads(request.json()["grid_param"])[0]["P"].count(",") + 1 for request in service.requests]
    assert sizes == [500, 1]
    assert list(ixc.fetch("contacts", ax.Query(ids=frozenset({"x"})))) == []
    assert len(service.requests) == 2


def test_old_servers_write_latin_1(service: Service, ixc: IxcProvedor) -> None:
    """With or without saying so; a name keeps its accents."""
    text = '{"page":"1","total":"1","registros":[{"id":"2","razao":"João Ção","data_nascimento":"0000-00-00","ultima_atualizacao":"2024-11-12 01:02:08"}]}'
    for kind in ("text/html; charset=ISO-8859-1", "text/x-json"):
        service.on(f"{API}/cliente", Reply(200, text.encode("latin-1"), {"Content-Type": kind}))
        (record,) = ixc.fetch("contacts", ax.Query())
        assert isinstance(record, ax.Record)
        assert (record["name"], record["birth_date"], record.problems) == ("João Ção", None, {})
        assert record["changed_at"].isoformat() == "2024-11-12T01:02:08-03:00"


def test_a_red_box_says_what_it_says(service: Service, ixc: IxcProvedor) -> None:
    """A read is tried again, a write is in doubt; the words come without their tags."""
    box = Reply(200, '<div style="background:#FF0000">Ocorreu um erro: manutenção</div>'.encode("latin-1"), {"Content-Type": "text/html"})
    service.on(f"{API}/cliente", box)
    with pytest.raises(ax.Transient, match="Ocorreu um erro: manutenção"):
        list(ixc.fetch("contacts", ax.Query()))
    service.on(f"{API}/su_ticket", box)
    with pytest.raises(ax.OutcomeUnknown, match="Ocorreu um erro: manutenção"):
        act(ixc, "ticket", subject="a", text="b")


def test_a_refusal_of_a_list_is_no_empty_list(service: Service, ixc: IxcProvedor) -> None:
    """HTTP 200 and type error: an address that is not allowed halts the account."""
    service.on(f"{API}/cliente", Reply(200, {"type": "error", "message": "Seu IP não está liberado para efetuar login!"}))
    with pytest.raises(ax.AccountError, match="IP não está liberado") as caught:
        ixc.check()
    assert "Redes permitidas" in caught.value.hint


@pytest.mark.req("LX-55")
def test_an_activity_is_an_entry_in_the_customers_history(service: Service, ixc: IxcProvedor) -> None:
    """With the day of the server's own zone."""
    assert act(ixc, "activity", message="M9", channel="email", subject="Feliz aniversário", text="Olá, Ana").id == "372"
    (request,) = service.requests
    assert (request.method, request.path) == ("POST", f"{API}/cliente_contrato_historico")
    assert "ixcsoft" not in request.headers
    assert request.json() == {
        "tipo": "Feliz aniversário",
        "data": "20/11/2026",
        "historico": "Olá, Ana",
        "id_cliente": "2",
        "id_contrato": "",
    }


def test_a_change_writes_the_whole_record_back(service: Service, ixc: IxcProvedor) -> None:
    """What a PUT leaves out IXC empties; so every field goes back, the password among them, and a date that is none goes empty."""
    now = {"id": "2", "razao": "Ana Silva", "email": "a@example.com", "senha": "segredo", "data_nascimento": "0000-00-00"}
    service.on(f"{API}/cliente", page(now))
    act(ixc, "client-update", email="b@example.com")
    read, write = service.requests
    assert (read.method, write.method, write.path) == ("GET", "PUT", f"{API}/cliente/2")
    assert write.json() == {"razao": "Ana Silva", "email": "b@example.com", "senha": "segredo", "data_nascimento": ""}


def test_what_is_not_there_is_not_written(service: Service, ixc: IxcProvedor) -> None:
    """A record that is gone, a field that the table lacks, nothing to change: no PUT."""
    service.on(f"{API}/cliente", [page(), page({"id": "2", "email": "a"}), page({"id": "3"})])
    for error, fields in ((ax.RecipientError, {"email": "b"}), (ax.ContentError, {"e_mail": "b"}), (ax.RecipientError, {"email": "b"})):
        with pytest.raises(error):
            act(ixc, "client-update", **fields)
    for error, kind, to, given in (
        (ax.ContentError, "client-update", "2", {}),
        (ax.RecipientError, "activity", "ana", {"text": "a"}),
        (ax.ContentError, "activity", "2", {}),
    ):
        with pytest.raises(error):
            act(ixc, kind, to, **given)
    assert {request.method for request in service.requests} == {"GET"}


def test_a_token_that_is_half_is_refused_unseen() -> None:
    """IXC shows it whole: a number, a colon and a code."""
    with pytest.raises(ValueError, match="a number, a colon") as caught:
        IxcOptions.model_validate({"base_url": "https://ixc.example.com", "token": "0a1b2c3d-never-shown"})
    assert "0a1b2c3d" not in str(caught.value)


def test_names_are_those_of_the_vendors_collection(service: Service, ixc: IxcProvedor) -> None:
    """Tables, methods and fields of what is written, held against the collection's own requests."""
    if not CONTRACT.exists():
        pytest.skip("the vendor's collection is not at hand (LIBAX_CONTRACTS)")
    documented = dict(requests(json.loads((CONTRACT / "postman-collection.json").read_text(encoding="utf-8"))["item"]))
    service.on(f"{API}/cliente", page({"id": "2", "email": "a"}))
    act(ixc, "activity", text="a")
    act(ixc, "ticket", subject="a", text="b")
    list(ixc.fetch("contacts", ax.Query()))

    def known(request: Request) -> set[str]:
        return documented[request.method, request.path.removeprefix(f"{API}/")]

    for request in service.requests:
        assert set(request.json()) <= known(request), f"{request.path}: {set(request.json()) - known(request)}"


def requests(items: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], set[str]]]:
    """Method and table of every request of a collection, with the names in its body; bodies hold comments and are no JSON."""
    for item in items:
        if "item" in item:
            yield from requests(item["item"])
        else:
            request = item["request"]
            url = request["url"] if isinstance(request["url"], str) else request["url"]["raw"]
            names = set(re.findall(r'"(\w+)"\s*:', (request.get("body") or {}).get("raw") or ""))
            yield (request["method"], url.partition("/webservice/v1/")[2].strip("/")), names
