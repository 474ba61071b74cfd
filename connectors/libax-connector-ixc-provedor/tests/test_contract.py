"""The promises of every source and every actor; see what each check wants in ``libax_automate.testing``."""

from typing import Any

from libax_connector_ixc_provedor import IxcProvedor

import libax_automate as ax
from libax_automate.testing import ActionContract, Reply, SourceContract

ANA = {
    "id": "2",
    "razao": "Ana Silva",
    "ativo": "S",
    "tipo_pessoa": "F",
    "data_nascimento": "1980-12-24",
    "email": "ana@example.com",
    "senha": "123",
}
RUI = {
    "id": "7",
    "razao": "Rui Costa",
    "ativo": "N",
    "tipo_pessoa": "F",
    "data_nascimento": "0000-00-00",
    "telefone_celular": "(49) 99999-5555",
}
EVA = {"id": "9", "razao": "Padaria Central", "ativo": "S", "tipo_pessoa": "J", "ultima_atualizacao": "2024-11-12 01:02:08"}


def page(*rows: dict[str, Any], total: object) -> Reply:
    return Reply(200, {"page": "1", "total": total, "registros": list(rows)}, {"Content-Type": "text/x-json; charset=utf-8"})


def red(text: str) -> Reply:
    return Reply(200, f'<div style="background:#FF0000">{text}</div>'.encode("latin-1"), {"Content-Type": "text/html; charset=ISO-8859-1"})


class Wiring:
    def options(self, url: str) -> dict[str, Any]:
        return {"base_url": f"{url}/webservice/v1", "token": "12:0a1b2c3d-never-shown", "ticket_subject": 1, "ticket_sector": 2}

    checked = page(ANA, total="1")


class TestContacts(Wiring, SourceContract):
    source = IxcProvedor
    pages = (page(ANA, RUI, total="3"), page(EVA, total=1))
    ids = ("2", "7", "9")
    empty = Reply(200, {"page": "1", "total": "0"})
    bad_row = page(ANA, {"razao": "Nobody"}, EVA, total=3)


class TestActions(Wiring, ActionContract):
    actor = IxcProvedor
    to = "2"
    actions = {
        "activity": {"text": "Parabéns"},
        "ticket": {"subject": "Ligar", "text": "Ouvir o cliente"},
        "client-update": {"email": "nova@example.com"},
        "contract-update": {"email": "nova@example.com"},
        "invoice-update": {"email": "nova@example.com"},
    }
    # a change reads the whole record first
    elsewhere = {f"/webservice/v1/{table}": page(ANA, total="1") for table in ("cliente", "cliente_contrato", "fn_areceber_altera")}
    accepted = Reply(200, {"type": "success", "message": "Registro inserido com sucesso!", "id": "372"})
    receipt_id = "372"
    rejected = Reply(200, {"type": "error", "message": "Parcela já está recebida ou cancelada!<br />"})
    rejected_as = ax.ContentError
    verdict_in_body = True
    refusals = (
        (Reply(200, {"type": "error", "message": "Seu IP não está liberado para efetuar login!"}), ax.AccountError),
        (Reply(200, {"type": "error", "message": "Recurso rad não está disponível!"}), ax.SetupError),
        (Reply(200, {"type": "error", "message": "Você não tem permissão"}), ax.SetupError),
        (red("Ocorreu um erro ao processar. Contate o suporte."), ax.OutcomeUnknown),
    )

    # the check of the credential asks the table of customers, which is elsewhere here
    no_check = "TestContacts proves it"
