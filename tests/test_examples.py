"""The examples are programs, not prose: the complete profile and the bakery run as they lie in the repository."""

from __future__ import annotations

import base64
import json
import shutil
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from libax_automate.engine.profile import keys
from libax_automate.engine.profile.scope import names_of
from libax_automate.testing.mailbox import Mailbox
from libax_automate.testing.service import Reply, Service
from tests.conftest import Cli

ROOT = Path(__file__).parent.parent
SECRETS = {"SMTP_PASSWORD": "not-a-secret", "SMS_KEY": "not-a-key", "WEBHOOK_SECRET": "whsec_" + base64.b64encode(bytes(32)).decode()}
#: nothing from before a model's first sight ever fires, so each day begins with a run that sees it
MORNING, CHRISTMAS_EVE = "2026-12-24T09:00", "2026-12-24T10:00"


@pytest.fixture
def complete(home: Path) -> Path:
    """``profiles.example.toml`` and what it names, for its owner alone."""
    shutil.copytree(ROOT / "examples", home / "examples")
    copied = Path(shutil.copy(ROOT / "profiles.example.toml", home))
    copied.chmod(0o600)
    return copied


@pytest.fixture
def padaria(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bakery's folder, which is the working folder."""
    folder = home / "padaria"
    shutil.copytree(ROOT / "examples" / "padaria", folder, ignore=shutil.ignore_patterns("saida"))
    (folder / "profiles.toml").chmod(0o600)
    monkeypatch.chdir(folder)
    return folder


def mails(folder: Path) -> list[EmailMessage]:
    return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in sorted(folder.glob("*.eml"))]


# the complete profile


def test_the_complete_profile_has_every_key_there_is() -> None:
    text = (ROOT / "profiles.example.toml").read_text(encoding="utf-8")
    written = {line.lstrip("# ").partition("=")[0].strip() for line in text.splitlines() if "=" in line}
    tables = (keys.ProfileKeys, keys.DefaultsKeys, keys.AppKeys, keys.ModelKeys, keys.StepKeys, keys.TactKeys)
    assert {key for table in tables for key in names_of(table)} - written == set()


def test_the_complete_profile_is_valid(complete: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    done = cli("--profiles", complete, "check")
    assert (done.code, done.err) == (0, "")


def test_without_its_secrets_every_place_that_lacks_one_is_named(complete: Path, cli: Cli) -> None:
    done = cli("--profiles", complete, "check")
    assert done.code == 78
    for name in SECRETS:
        assert name in done.err
    assert done.err.count("profiles.example.toml:") == len(SECRETS)


def test_the_complete_profile_plans_its_birthdays(complete: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    done = cli("--profiles", complete, "plan", "aniversario", "--on", "2026-12-24", "--json")
    assert done.code == 0, done.err
    verdicts = {item["name"]: item["verdict"] for item in done.json["items"]}
    assert verdicts["João Conceição"] in {"send", "held"}
    assert verdicts["Ana Silva"] == "excluded"  # she has a mobile: the twin writes to her
    text = next(item["text"] for item in done.json["items"] if item["name"] == "João Conceição")
    assert text == "Olá João, feliz aniversário ao completar 51 anos."


@pytest.mark.req("LX-10", "LX-13", "LX-16", "LX-47", "LX-50", "LX-54")
def test_the_complete_profile_sends_to_a_mail_server_and_a_gateway(
    complete: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, automate_mailbox: Mailbox, automate_service: Service
) -> None:
    text = complete.read_text(encoding="utf-8")
    for old, new in (
        ('host      = "mail.example.com"', f'host = "127.0.0.1"\nport = {automate_mailbox.port}\nsecurity = "none"'),
        ('username  = "geral@example.com"\n', ""),
        ('password  = { env = "SMTP_PASSWORD" } ', ""),
        (
            'url       = "https://sms.example.com/v1/messages"',
            f'url = "{automate_service.url}/v1/messages"\nallow_private = ["127.0.0.0/8"]',
        ),
        ('activation = "next-day" ', 'activation = "immediate"'),
        ('quiet       = "20:00-10:00"', 'quiet = "20:00-09:00"'),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    complete.write_text(text, encoding="utf-8")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    automate_service.on("/v1/messages", Reply(202, {"id": "g-1"}))
    assert cli("--profiles", complete, "run", "--now", MORNING).code == 0
    done = cli("--profiles", complete, "run", "--now", CHRISTMAS_EVE)
    assert done.code == 0, done.err
    delivery = automate_mailbox.messages[0]
    assert len(automate_mailbox.messages) == 1
    assert sorted(delivery.recipients) == ["arquivo@example.com", "joao.conceicao@example.com", "loja@example.com"]
    mail = delivery.parsed()
    assert mail["Subject"] == "Feliz aniversário, João!"
    assert mail["Reply-To"] == "geral@example.com"
    assert "Bcc" not in mail
    calls = [request.json() for request in automate_service.requests]
    assert {call["to"]: call["text"] for call in calls} == {
        "+351910000001": "Feliz aniversário, Ana! Padaria Central",
        "+351910000003": "Feliz aniversário, Inês! Padaria Central",
    }
    assert all(request.headers["x-api-key"] == SECRETS["SMS_KEY"] for request in automate_service.requests)


# the bakery


def test_the_bakery_is_valid(padaria: Path, cli: Cli) -> None:
    done = cli("check")
    assert done.code == 0, done.err


@pytest.mark.req("LX-24", "LX-48", "LX-54", "IB-11", "IB-17")
def test_on_christmas_eve_each_person_hears_once_by_one_way(padaria: Path, cli: Cli) -> None:
    assert cli("run", "--now", MORNING).code == 0
    done = cli("run", "--now", CHRISTMAS_EVE)
    assert done.code == 0, done.err
    sent = mails(padaria / "saida")
    assert [(mail["To"].addresses[0].addr_spec, mail["Subject"]) for mail in sent if "aniversário" in mail["Subject"]] == [
        ("joao.conceicao@example.com", "Feliz aniversário, João!")
    ]
    texts = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((padaria / "saida").glob("*.json"))]
    assert {text["to"]: text["text"] for text in texts} == {
        "+351910000001": "Olá Ana, a Padaria Central deseja-lhe um feliz aniversário!",
        "+351910000003": "Olá Inês, a Padaria Central deseja-lhe um feliz aniversário!",
    }


def test_a_second_run_sends_nothing(padaria: Path, cli: Cli) -> None:
    assert cli("run", "--now", MORNING).code == 0
    assert cli("run", "--now", CHRISTMAS_EVE).code == 0
    before = {path.name: path.stat().st_mtime_ns for path in (padaria / "saida").iterdir()}
    done = cli("run", "--now", "2026-12-24T18:30", "--json")
    assert done.code == 0, done.err
    assert done.json["sent"] == 0
    assert {path.name: path.stat().st_mtime_ns for path in (padaria / "saida").iterdir()} == before


@pytest.mark.req("IB-10", "IB-11", "LX-49")
def test_everyone_left_out_is_named_with_the_reason(padaria: Path, cli: Cli) -> None:
    done = cli("plan", "aniversario-sms", "--on", "2026-12-24", "--json")
    assert done.code == 0, done.err
    reasons = {item["name"]: item["reason"] for item in done.json["items"] if item["verdict"] == "excluded"}
    assert reasons.keys() == {"João Conceição", "Manuel Gonçalves", "Café Avenida, Lda.", "Rui Araújo"}
    assert all(reasons.values())


def test_a_date_that_does_not_exist_is_named_by_file_line_and_column(padaria: Path, cli: Cli) -> None:
    done = cli("plan", "aniversario", "--on", "2026-12-24")
    assert "clientes.csv:11" in done.out + done.err
    assert "31/02/1985" in done.out + done.err


def test_cards_that_end_in_fifteen_days_are_announced(padaria: Path, cli: Cli) -> None:
    done = cli("plan", "cartao", "--on", "2026-12-31", "--json")
    assert done.code == 0, done.err
    assert [item["name"] for item in done.json["items"] if item["verdict"] != "excluded"] == ["João Conceição"]


@pytest.mark.req("LX-23")
def test_a_new_customer_is_welcomed_and_the_old_ones_are_not(padaria: Path, cli: Cli) -> None:
    assert cli("run", "--now", "2026-12-01T12:00").code == 0
    with (padaria / "clientes.csv").open("ab") as file:
        row = "1026;Marta;Órfão;Particular;Ativo;marta.orfao@example.com;910 000 026;10/10/1991;02/12/2026;Porto;;\r\n"
        file.write(row.encode("cp1252"))
    done = cli("run", "--now", "2026-12-02T18:00")
    assert done.code == 0, done.err
    welcomed = [mail["To"].addresses[0].addr_spec for mail in mails(padaria / "saida") if "Bem-vindo" in mail["Subject"]]
    assert welcomed == ["marta.orfao@example.com"]
