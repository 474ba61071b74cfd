"""The insurance broker's example: claims by stage, consent with a ledger, payment notes for partners; everything as the README says it."""

from __future__ import annotations

import json
import shutil
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli

ROOT = Path(__file__).parent.parent
BEFORE = "2026-11-20T09:00"


@pytest.fixture
def broker(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example's folder, which is the working folder."""
    made = home / "seguros"
    shutil.copytree(ROOT / "examples" / "seguros", made, ignore=shutil.ignore_patterns("saida", "*.db", "*.pdf"))
    (made / "profiles.toml").chmod(0o600)
    monkeypatch.chdir(made)
    return made


def run(cli: Cli, now: str) -> dict[str, Any]:
    done = cli("run", "--db", "a.db", "--now", now, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json
    return found


def change(folder: Path, file: str, *changes: tuple[str, str]) -> None:
    path = folder / file
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def mails(folder: Path) -> list[EmailMessage]:
    paths = sorted((folder / "saida").glob("*.eml"), key=lambda path: int(path.name[1:].split("_")[0]))
    read = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]
    return [mail for mail in read if mail["To"].addresses[0].addr_spec != "admin@example.com"]


def said(folder: Path) -> list[tuple[str, str]]:
    return [(mail["To"].addresses[0].addr_spec, mail["Subject"]) for mail in mails(folder)]


def texts(folder: Path) -> list[tuple[str, str]]:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "saida").glob("*.json"))]
    return [(text["to"], text["text"]) for text in found]


def moved(folder: Path) -> None:
    """The claims as the README lets them move."""
    change(
        folder,
        "participacoes.csv",
        ("301;Automóvel;Aberta;20/11/2026", "301;Automóvel;Peritagem;23/11/2026"),
        ("302;Multirriscos;Aberta;18/11/2026", "302;Multirriscos;Peritagem;23/11/2026"),
        ("304;Saúde;Aberta;19/11/2026", "304;Saúde;Paga;23/11/2026"),
    )


def test_the_profile_is_valid(broker: Path, cli: Cli) -> None:
    done = cli("check", "--now", BEFORE)
    assert (done.code, done.err) == (0, "")


@pytest.mark.req("LX-29")
def test_a_claim_that_reaches_a_stage_is_told_once_and_what_stood_there_before_is_not(broker: Path, cli: Cli) -> None:
    run(cli, BEFORE)
    moved(broker)
    run(cli, "2026-11-23T16:00")
    assert texts(broker) == [
        ("+351910000301", "Ana, a sua participação P-2026/101 (Automóvel) está em peritagem. O perito liga-lhe em 2 dias úteis.")
    ]
    assert said(broker) == [
        ("bento.faria@example.com", "A sua participação está em peritagem"),
        ("dario.gil@example.com", "A sua participação P-2026/105: Paga"),
    ]
    run(cli, "2026-11-24T09:50")
    assert (len(texts(broker)), len(said(broker))) == (1, 2)


@pytest.mark.req("LX-29")
def test_a_claim_that_comes_back_to_a_stage_speaks_again(broker: Path, cli: Cli) -> None:
    run(cli, BEFORE)
    moved(broker)
    run(cli, "2026-11-23T16:00")
    change(broker, "participacoes.csv", ("Peritagem;23/11/2026;AU-5501", "Aberta;24/11/2026;AU-5501"))
    run(cli, "2026-11-24T09:50")
    change(broker, "participacoes.csv", ("Aberta;24/11/2026;AU-5501", "Peritagem;25/11/2026;AU-5501"))
    run(cli, "2026-11-25T09:50")
    assert [to for to, _ in texts(broker)] == ["+351910000301"] * 2


@pytest.mark.req("LX-25")
def test_everybody_is_asked_once_and_answers_are_kept_with_date_channel_wording_and_source(broker: Path, cli: Cli) -> None:
    run(cli, BEFORE)
    run(cli, "2026-11-24T11:05")
    asked = [to for to, subject in said(broker) if "novidades" in subject]
    assert asked == ["ana.brito@example.com", "bento.faria@example.com", "dario.gil@example.com"]
    assert "https://example.com/rgpd?cliente=301" in mails(broker)[0].get_content()
    record = ("--text-version", "2026-01", "--db", "a.db", "--now", "2026-11-24T15:00")
    assert cli("consent", "record", "301", "sim", "--channel", "form", "--source", "formulário do site", *record).code == 0
    assert cli("consent", "record", "302", "não", "--channel", "phone", "--source", "chamada", *record).code == 0
    run(cli, "2026-11-25T11:05")
    assert len([to for to, subject in said(broker) if "novidades" in subject]) == 3
    items = cli("consent", "list", "--db", "a.db", "--json").json["items"]
    assert [(item["person"], item["answer"], item["channel"], item["text_version"], item["source"], item["at"][:10]) for item in items] == [
        ("301", "sim", "form", "2026-01", "formulário do site", "2026-11-24"),
        ("302", "não", "phone", "2026-01", "chamada", "2026-11-24"),
    ]


@pytest.mark.req("LX-25")
def test_a_year_later_who_never_answered_is_asked_again_and_who_answered_is_not(broker: Path, cli: Cli) -> None:
    run(cli, BEFORE)
    run(cli, "2026-11-24T11:05")
    assert cli("consent", "record", "302", "não", "--channel", "phone", "--db", "a.db", "--now", "2026-11-24T15:00").code == 0
    run(cli, "2027-11-23T11:05")
    assert len([to for to, subject in said(broker) if "novidades" in subject]) == 3
    run(cli, "2027-11-24T11:05")
    asked = [to for to, subject in said(broker) if "novidades" in subject]
    assert asked[3:] == ["ana.brito@example.com", "dario.gil@example.com"]


@pytest.mark.req("LX-24", "LX-25")
def test_only_who_said_yes_is_congratulated(broker: Path, cli: Cli) -> None:
    run(cli, BEFORE)
    for person, answer in (("301", "sim"), ("302", "não")):
        assert cli("consent", "record", person, answer, "--channel", "form", "--db", "a.db", "--now", "2026-11-24T15:00").code == 0
    run(cli, "2026-11-26T09:50")
    run(cli, "2026-11-26T10:05")
    assert [to for to, subject in said(broker) if "Feliz" in subject] == ["ana.brito@example.com"]
    planned = cli("plan", "aniversario", "--on", "2026-11-26", "--db", "a.db", "--now", "2026-11-26T09:00", "--json").json["items"]
    reasons = {item["name"]: item["reason"] for item in planned if item["verdict"] == "excluded"}
    assert "não" in reasons["Bento Faria"]
    assert reasons["Elsa Prata"] == "inactive"


# payment notes


@pytest.mark.req("LX-30")
def test_the_month_becomes_one_numbered_note_per_partner_which_leaves_as_a_pdf_by_e_mail(broker: Path, cli: Cli) -> None:
    pypdf = pytest.importorskip("pypdf")
    run(cli, BEFORE)
    run(cli, "2026-12-01T10:00")
    notes = [mail for mail in mails(broker) if "Nota" in mail["Subject"]]
    assert [(mail["To"].addresses[0].addr_spec, mail["Subject"]) for mail in notes] == [
        ("farol@example.com", "Nota de pagamento NP 2026/1"),
        ("rita.sol@example.com", "Nota de pagamento NP 2026/2"),
    ]
    body = notes[0].get_body()
    assert body is not None
    assert "de 01/11/2026 a 30/11/2026: 45,17\xa0€ por 3 comissões" in body.get_content()
    (file,) = notes[0].iter_attachments()
    assert (file.get_content_type(), file.get_filename()) == ("application/pdf", "NP-2026-1.pdf")
    (broker / "got.pdf").write_bytes(file.get_content())
    page = "".join(page.extract_text() for page in pypdf.PdfReader(broker / "got.pdf").pages).replace("\xa0", " ")
    # 50,40 + 15 % of 185,50 - 18,00 = 60,23, less 25 % = 15,06
    for word in ("NP 2026/1", "Mediação Farol", "Atlântico Seguros, Lda.", "R-8801", "27,83", "60,23", "15,06", "45,17"):
        assert word in page
    assert "R-8700" not in page


@pytest.mark.req("LX-30")
def test_a_note_is_had_again_byte_for_byte(broker: Path, cli: Cli) -> None:
    run(cli, BEFORE)
    run(cli, "2026-12-01T10:00")
    sent = {mail["Subject"].removeprefix("Nota de pagamento "): mail for mail in mails(broker) if "Nota" in mail["Subject"]}
    listed = cli("documents", "list", "--db", "a.db", "--json").json["items"]
    assert [(item["number"], item["name"], item["total"], item["state"]) for item in listed] == [
        ("NP 2026/2", "Rita Sol", "103.16", "sent"),
        ("NP 2026/1", "Mediação Farol", "45.17", "sent"),
    ]
    # whatever the data and the profile say by then
    change(broker, "comissoes.csv", ("50,40", "99,99"))
    change(broker, "profiles.toml", ("withholding = 25", "withholding = 10"))
    for number, mail in sent.items():
        done = cli("documents", "regenerate", number, "--db", "a.db", "--to", "again.pdf", "--force")
        assert done.code == 0, done.err
        (file,) = mail.iter_attachments()
        assert (broker / "again.pdf").read_bytes() == file.get_content()


@pytest.mark.req("LX-30")
def test_what_is_too_little_waits_for_the_next_note_and_the_numbers_go_on(broker: Path, cli: Cli) -> None:
    run(cli, BEFORE)
    run(cli, "2026-12-01T10:00")
    with (broker / "comissoes.csv").open("a", encoding="utf-8") as file:
        file.write("C8;M3;306;R-8900;10/12/2026;200,00;10;20,00;EUR\n")
    run(cli, "2027-01-01T10:00")
    listed = cli("documents", "list", "--db", "a.db", "--json").json["items"]
    assert (listed[0]["number"], listed[0]["name"], listed[0]["total"]) == ("NP 2027/1", "Tomás Ria", "19.50")
    shown = cli("documents", "show", "NP 2027/1", "--db", "a.db", "--json").json
    assert sorted(shown["records"]) == ["C6", "C8"]


def test_explain_tells_a_partner_which_commission_is_on_which_note(broker: Path, cli: Cli) -> None:
    run(cli, BEFORE)
    run(cli, "2026-12-01T10:00")
    told = cli("explain", "notas", "M1", "--db", "a.db", "--now", "2026-12-01T11:00").out
    assert told.startswith("Mediação Farol (M1, mediadores.csv:2)")
    assert "R-8801: 50.40 EUR: on NP 2026/1" in told
    assert "R-8700: 36.00 EUR: before 2026-11-01, on no note" in told
    assert "below 10" in cli("explain", "notas", "Tomás Ria", "--db", "a.db", "--now", "2026-12-01T11:00").out


def test_a_second_run_sends_nothing(broker: Path, cli: Cli) -> None:
    run(cli, BEFORE)
    run(cli, "2026-12-01T10:00")
    before = sorted(path.name for path in (broker / "saida").iterdir())
    run(cli, "2026-12-01T10:30")
    assert sorted(path.name for path in (broker / "saida").iterdir()) == before
