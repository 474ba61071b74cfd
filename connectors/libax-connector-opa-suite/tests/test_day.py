"""A consultant's day with Opa! Suite through the command line: set up, look, correct, send."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libax_automate.testing import Reply, Request, Service

CHANNEL = "64f0c0ffee00000000000001"
TEMPLATE = "64f0c0ffee00000000000002"
PEOPLE = "id,name,mobile,birth_date\n1,Ana Silva,+5511987654321,1980-12-24\n2,Rui Costa,+5511987654322,1975-12-24\n"
PROFILE = """
name       = "loja"
timezone   = "America/Sao_Paulo"
locale     = "pt_BR"
activation = "immediate"

[defaults]
whatsapp = "opa"

[apps.pessoas]
connector = "csv"
contacts  = "pessoas.csv"

[apps.opa]
connector          = "opa-suite"
base_url           = "{url}"
token              = {{ env = "OPA_TOKEN" }}
channel            = "{channel}"
allow_private      = ["127.0.0.0/8"]
on_recipient_error = "skip"

[models.aniversario]
use      = "birthday"
source   = "pessoas"
at       = "07:30"
channel  = "whatsapp"
template = "64f0c0ffee00000000000002"
vars     = {vars}
"""


def ok(data: Any) -> Reply:
    return Reply(200, {"status": "success", "code": 200, "data": data})


def take(request: Request) -> Reply:
    if request.json()["contato"]["canalCliente"].endswith("2"):
        return Reply(400, {"status": "error", "data": {"message": "Este contato já está em atendimento com a loja"}})
    return ok({"message": "sent", "messageSentId": "64f0c0ffee00000000000009"})


@pytest.fixture
def opa() -> Iterator[Service]:
    with Service() as service:
        channels = "/api/v1/canal-comunicacao"
        service.on(channels, ok([{"_id": CHANNEL, "nome": "Loja", "status": "A", "canal": "Whatsapp"}]))
        texts = [{"_id": TEMPLATE, "texto": "Olá {{1}}, parabéns pelos {{2}} anos!", "atalho": "anos"}]
        service.on(f"{channels}/{CHANNEL}/template", ok(texts))
        service.on(f"{channels}/{CHANNEL}/template/limites-diarios-envio", Reply(200, {"availableAmount": 999}))
        service.on("/api/v1/template/send", take)
        yield service


class Desk:
    """The command line in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pessoas.csv").write_text(PEOPLE, encoding="utf-8")

    def write(self, url: str, channel: str = CHANNEL, values: str = '["#FirstName#"]') -> None:
        (self.folder / "profiles.toml").write_text(PROFILE.format(url=url, channel=channel, vars=values), encoding="utf-8")

    def __call__(self, *words: str) -> tuple[int, str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTOMATE_")}
        done = subprocess.run(
            [sys.executable, "-m", "libax_automate", *words],
            cwd=self.folder, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
            env={**clean, "OPA_TOKEN": "s3cret-never-shown", "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr


@pytest.mark.req("IB-01", "IB-03", "IB-05", "IB-06", "IB-07", "IB-08", "IC-02", "IC-03", "IC-04", "IC-05", "IC-08", "IC-09")
def test_from_the_wrong_address_to_the_first_message(opa: Service, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.write(f"{opa.url}/atendente")
    code, _, told = desk("check")
    assert code == 78
    assert (
        f"profiles.toml:16:22: base_url: {opa.url}/atendente is the page that agents work on, not the API: write {opa.url}/api/v1" in told
    )

    desk.write(f"{opa.url}/api/v1", channel="")
    code, _, told = desk("apps", "test", "opa")
    assert code == 78
    assert f"active WhatsApp channels: {CHANNEL} (Loja)" in told

    desk.write(f"{opa.url}/api/v1")
    code, told, _ = desk("apps", "templates", "opa", "--json")
    assert code == 0
    (template,) = json.loads(told)["items"]
    assert (template["id"], template["active"], template["variables"]) == (TEMPLATE, True, ["1", "2"])
    assert template["text"] == "Olá {{1}}, parabéns pelos {{2}} anos!"
    code, _, told = desk("check", "--connect")
    assert code == 78
    assert "wants 2 values (1, 2), not 1" in told

    desk.write(f"{opa.url}/api/v1", values='["#FirstName#", "#Age#"]')
    assert desk("check", "--connect")[0] == 0
    assert desk("run", "--db", "a.db", "--now", "2026-12-24T08:00:00Z")[0] == 0
    assert desk("run", "--db", "a.db", "--now", "2026-12-24T12:00:00Z")[0] == 0
    sent = [request.json() for request in opa.requests if request.path == "/api/v1/template/send"]
    assert [(one["contato"]["nome"], one["template"]["variaveis"]) for one in sent] == [
        ("Ana Silva", ["Ana", "46"]),
        ("Rui Costa", ["Rui", "51"]),
    ]
    assert {one["canal"] for one in sent} == {CHANNEL}
    code, told, _ = desk("queue", "list", "--db", "a.db", "--json")
    (row,) = json.loads(told)["items"]
    assert (row["state"], row["sent"], row["waiting"], row["in_doubt"]) == ("running", 1, 0, 0), "whom somebody attends to is skipped"
