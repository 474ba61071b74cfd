"""The gdpr model and the consent ledger, through the command line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.conftest import Cli

PROFILE = """
name = "loja"
timezone = "Europe/Lisbon"
locale = "pt_PT"
activation = "immediate"
[defaults]
email = "saida"
[apps.gestao]
connector = "csv"
contacts = "clientes.csv"
[apps.saida]
connector = "folder"
path = "saida"
[models.rgpd]
use = "gdpr"
source = "gestao"
at = "09:00"
text_version = "2026-01"
link = "https://example.com/rgpd?p={person}"
text = "Olá {{ first_name }}, diga-nos em {{ consent_link }} se podemos escrever-lhe."
"""


@pytest.fixture
def shop(home: Path) -> Path:
    (home / "profiles.toml").write_text(PROFILE, encoding="utf-8")
    (home / "clientes.csv").write_text(
        "id,first_name,email,consent\n1,Ana,ana@example.com,\n2,Rui,rui@example.com,\n3,Eva,eva@example.com,não\n", encoding="utf-8"
    )
    return home


def run(cli: Cli, at: str) -> int:
    done = cli("run", "--json", "--now", at, "--db", "a.db")
    assert done.code == 0, done.err
    sent: int = done.json["sent"]
    return sent


def reasons(cli: Cli, at: str) -> dict[str, str]:
    done = cli("plan", "rgpd", "--json", "--now", at, "--db", "a.db")
    assert done.code == 0, done.err
    return {item["name"]: item["verdict"] if item["verdict"] == "send" else item["reason"] for item in done.json["items"]}


@pytest.mark.req("LX-25")
def test_everybody_without_an_answer_is_asked_once(shop: Path, cli: Cli) -> None:
    run(cli, "2026-11-20T08:00")
    assert run(cli, "2026-11-20T09:01") == 2
    assert run(cli, "2026-11-21T09:01") == 0
    assert reasons(cli, "2026-11-21T10:00") == {
        "Ana": "asked on 2026-11-20 (M1)",
        "Rui": "asked on 2026-11-20 (M2)",
        "Eva": "has answered: não",
    }
    assert any("p=3D1" in path.read_text(encoding="utf-8") for path in (shop / "saida").glob("*.eml"))


@pytest.mark.req("LX-25")
def test_an_answer_is_kept_with_its_date_channel_text_and_source(shop: Path, cli: Cli) -> None:
    done = cli(
        "consent", "record", "1", "sim", "--channel", "email", "--text-version", "2026-01", "--source", "reply of 3 Nov", "--db", "a.db", "--json",
        "--now", "2026-11-20T08:00",
    )  # fmt: skip
    assert done.json["answer"] == "sim"
    cli("consent", "record", "1", "não", "--db", "a.db")
    items = cli("consent", "list", "--person", "1", "--db", "a.db", "--json").json["items"]
    assert [(item["answer"], item["channel"], item["text_version"], item["source"]) for item in items] == [
        ("sim", "email", "2026-01", "reply of 3 Nov"), ("não", "", "", "by hand"),
    ]  # fmt: skip
    assert items[0]["at"] == "2026-11-20T08:00:00Z"
    assert reasons(cli, "2026-11-20T09:00")["Ana"] == "has answered: não"


def test_who_did_not_answer_is_asked_again_only_where_the_profile_says_so(shop: Path, cli: Cli) -> None:
    text = PROFILE.replace('text_version = "2026-01"', 'text_version = "2026-01"\nagain = "365d"')
    (shop / "profiles.toml").write_text(text, encoding="utf-8")
    run(cli, "2026-11-20T08:00")
    assert run(cli, "2026-11-20T09:01") == 2
    assert run(cli, "2027-11-19T09:01") == 0
    cli("consent", "record", "2", "sim", "--db", "a.db")
    assert run(cli, "2027-11-20T09:01") == 1
    assert run(cli, "2027-11-21T09:01") == 0


def test_answers_come_from_a_file_and_leave_in_one(shop: Path, cli: Cli) -> None:
    Path("answers.csv").write_text("person;answer;channel\n1;sim;form\n;sim;form\n2;=1+1;form\n", encoding="utf-8")
    done = cli("consent", "import", "answers.csv", "--text-version", "2026-01", "--db", "a.db", "--json")
    assert (done.code, done.json["answers"], done.json["left_out"]) == (0, 2, 1)
    assert "answers.csv:3: has no person" in done.err
    assert cli("consent", "export", "all.csv", "--db", "a.db").code == 0
    with Path("all.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["person"], row["answer"], row["source"]) for row in rows] == [("1", "sim", "answers.csv"), ("2", "'=1+1", "answers.csv")]
    assert cli("consent", "export", "one.csv", "--person", "1", "--db", "a.db", "--json").json["answers"] == 1


@pytest.mark.parametrize(("content", "code"), [("a;b\n1;2\n", 65), (None, 65)])
def test_a_file_without_answers_is_refused(shop: Path, cli: Cli, content: str | None, code: int) -> None:
    if content is not None:
        Path("x.csv").write_text(content, encoding="utf-8")
    assert cli("consent", "import", "x.csv", "--db", "a.db").code == code
