"""The claim-stage model, through the command line: a claim at a stage writes once per entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cli

PROFILE = """
name = "seguros"
timezone = "Europe/Lisbon"
locale = "pt_PT"
activation = "immediate"

[defaults]
email = "saida"

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"
claims = "participacoes.csv"

[apps.saida]
connector = "folder"
path = "saida"

[models.peritagem]
use = "claim-stage"
source = "gestao"
stages = ["peritagem"]
at = "09:00"
text = "{{ contact.first_name }}, a participação {{ claim.number }} está em {{ stage }}."
"""
HEAD = "id,number,contact,stage,stage_changed_at\n"


@pytest.fixture
def office(home: Path) -> Path:
    (home / "profiles.toml").write_text(PROFILE, encoding="utf-8")
    (home / "clientes.csv").write_text("id,first_name,email\n1,Ana,ana@example.com\n2,Rui,rui@example.com\n", encoding="utf-8")
    (home / "participacoes.csv").write_text(HEAD + "10,P-10,1,peritagem,2026-11-01\n11,P-11,2,aberta,2026-11-02\n", encoding="utf-8")
    return home


def run(cli: Cli, at: str) -> int:
    done = cli("run", "--json", "--now", at, "--db", "a.db")
    assert done.code == 0, done.err
    sent: int = done.json["sent"]
    return sent


@pytest.mark.req("LX-29")
def test_a_claim_that_reaches_the_stage_writes_once(office: Path, cli: Cli) -> None:
    run(cli, "2026-11-20T08:00")
    assert run(cli, "2026-11-20T09:01") == 0  # P-10 stood there before anybody looked
    claims = office / "participacoes.csv"
    claims.write_text(HEAD + "10,P-10,1,peritagem,2026-11-01\n11,P-11,2,peritagem,2026-11-20T15:00\n", encoding="utf-8")
    assert run(cli, "2026-11-21T09:01") == 1
    assert run(cli, "2026-11-22T09:01") == 0
    text = next((office / "saida").glob("*.eml")).read_text(encoding="utf-8")
    assert "Rui, a participa" in text
    assert "P-11" in text


@pytest.mark.req("LX-29")
def test_who_leaves_the_stage_and_comes_back_hears_again_where_the_source_tells_when(office: Path, cli: Cli) -> None:
    claims = office / "participacoes.csv"
    run(cli, "2026-11-20T08:00")
    for day, (stage, at) in enumerate((("peritagem", "20T10:00"), ("aberta", "21T10:00"), ("peritagem", "22T10:00")), start=21):
        claims.write_text(HEAD + f"11,P-11,2,{stage},2026-11-{at}\n", encoding="utf-8")
        assert run(cli, f"2026-11-{day}T09:01") == (stage == "peritagem")


def test_without_a_date_each_stage_speaks_once_per_claim(office: Path, cli: Cli) -> None:
    claims = office / "participacoes.csv"
    run(cli, "2026-11-20T08:00")
    counts = []
    for day, stage in enumerate(("peritagem", "aberta", "peritagem"), start=21):
        claims.write_text(f"id,number,contact,stage\n11,P-11,2,{stage}\n", encoding="utf-8")
        counts.append(run(cli, f"2026-11-{day}T09:01"))
    assert counts == [1, 0, 0]


@pytest.mark.req("LX-29")
def test_any_record_with_stages_will_do(office: Path, cli: Cli) -> None:
    text = (office / "profiles.toml").read_text(encoding="utf-8")
    text = text.replace("claims =", "deals =").replace('stages = ["peritagem"]', 'stages = ["ganho"]\nentity = "deals"')
    text = text.replace("claim.number", "deal.title")
    (office / "profiles.toml").write_text(text, encoding="utf-8")
    (office / "participacoes.csv").write_text("id,title,contact,stage,stage_changed_at\n", encoding="utf-8")
    run(cli, "2026-11-20T08:00")
    (office / "participacoes.csv").write_text(
        "id,title,contact,stage,stage_changed_at\n7,Auto,1,ganho,2026-11-20T12:00\n", encoding="utf-8"
    )
    assert run(cli, "2026-11-21T09:01") == 1


def test_a_claim_of_nobody_is_named(office: Path, cli: Cli) -> None:
    (office / "participacoes.csv").write_text(HEAD + "12,P-12,99,peritagem,2026-11-24\n", encoding="utf-8")
    done = cli("plan", "peritagem", "--json", "--now", "2026-11-24T09:00", "--db", "a.db")
    assert [(item["verdict"], item["reason"]) for item in done.json["items"]] == [("excluded", "its contact 99 is not in the source")]
