"""The program itself, with a profile, against a server: from the open invoice to the message and back into the customer's history."""

import os
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from libax_automate.testing import Reply, Request, Service

ANA = {"id": "2", "razao": "Ana Silva", "ativo": "S", "tipo_pessoa": "F", "email": "ana@example.com"}
BILL = {"liberado": "S", "data_emissao": "2026-12-01", "data_vencimento": "2026-12-10", "valor": "1026.00", "valor_aberto": "1026.00"}
BILLS = [{**BILL, "id": "5", "id_cliente": "2", "documento": "72006", "status": "A"}, {**BILL, "id": "6", "id_cliente": "2", "status": "R"}]
TOKEN = "12:0a1b2c3d4e5f-never-shown"

PROFILE = """\
name       = "provedor"
timezone   = "America/Sao_Paulo"
locale     = "pt_BR"
activation = "immediate"

[apps.ixc]
connector     = "ixc-provedor"
base_url      = "{url}"
token         = {{ env = "IXC_TOKEN" }}
allow_private = ["127.0.0.1/32"]

[apps.saida]
connector = "folder"
path      = "saida"

[models.cobranca]
use      = "billing"
source   = "ixc"
at       = "09:30"
via      = "saida"
activity = true

[[models.cobranca.steps]]
stage   = "aviso"
when    = "due + 2d"
subject = "Fatura vencida"
text    = "Olá {{{{ customer.first_name }}}}, a fatura {{{{ invoice.number }}}} de {{{{ invoice.amount }}}} venceu em {{{{ invoice.due }}}}."
"""


def listed(rows: list[dict[str, Any]]) -> Reply:
    return Reply(200, {"page": "1", "total": str(len(rows)), **({"registros": rows} if rows else {})})


def server(request: Request) -> Reply:
    if request.path.endswith("/cliente"):
        return listed([ANA])
    if request.path.endswith("/fn_areceber"):
        return listed([bill for bill in BILLS if int(bill["id"]) > int(request.json()["query"])])
    return Reply(200, {"type": "success", "message": "Registro inserido com sucesso!", "id": "9"})


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(default=server) as service:
        yield service


def automate(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "IXC_TOKEN": TOKEN, "HOME": str(folder), "AUTOMATE_DB": str(folder / "automate.db")}
    command = [sys.executable, "-m", "libax_automate", *args]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.req("IC-12", "IC-10", "LX-55")
def test_an_open_invoice_is_chased_and_the_customer_has_it_in_the_history(service: Service, tmp_path: Path) -> None:
    """Name, number, money and date as they are written there; the paid one is left alone; nobody hears twice."""
    (tmp_path / "profiles.toml").write_text(PROFILE.format(url=service.url), encoding="utf-8")
    checked = automate(tmp_path, "check", "--connect")
    assert checked.returncode == 0, checked.stderr
    for now in ("2026-12-12T10:00:00Z", "2026-12-12T13:00:00Z", "2026-12-12T14:00:00Z"):
        run = automate(tmp_path, "run", "--now", now)
        assert run.returncode == 0, run.stderr
    (letter,) = (tmp_path / "saida").glob("*.eml")
    message = message_from_bytes(letter.read_bytes(), policy=policy.default)
    assert message["To"] == "Ana Silva <ana@example.com>"
    text = message.get_content().strip().replace("\u00a0", " ")
    assert text == "Olá Ana, a fatura 72006 de R$ 1.026,00 venceu em 10/12/2026."
    (entry,) = (request for request in service.requests if request.path.endswith("/cliente_contrato_historico"))
    assert entry.json()["id_cliente"] == "2"
    assert entry.json()["historico"].replace("\u00a0", " ") == text


def test_a_refused_address_is_named_before_a_run(service: Service, tmp_path: Path) -> None:
    """``check --connect`` says what is wrong and where to mend it, and shows no token."""
    service.on("/webservice/v1/cliente", Reply(200, {"type": "error", "message": "Seu IP não está liberado para efetuar login!"}))
    (tmp_path / "profiles.toml").write_text(PROFILE.format(url=service.url), encoding="utf-8")
    checked = automate(tmp_path, "check", "--connect")
    assert checked.returncode == 78
    assert "IP não está liberado" in checked.stderr
    assert "Redes permitidas" in checked.stderr
    assert TOKEN.partition(":")[2] not in checked.stdout + checked.stderr
