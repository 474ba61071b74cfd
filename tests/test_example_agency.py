"""The agency's example: one machine, two clients, who differ in who pays, whose keys, sender, time and language, and share nothing else."""

from __future__ import annotations

import json
import shutil
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from libax_automate.testing.service import Reply, Service
from tests.conftest import Cli

ROOT = Path(__file__).parent.parent
EVE, LISBON, SAO_PAULO = "2026-12-23T12:00Z", "2026-12-24T09:31Z", "2026-12-24T12:31Z"


@pytest.fixture
def agency(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example's folder with the keys that the second client handed over."""
    folder = home / "agencia"
    shutil.copytree(
        ROOT / "examples" / "agencia", folder, ignore=shutil.ignore_patterns("saida", "para-a-agencia", "chaves", "grupos.csv", "*.db")
    )
    for profile in (folder / "profiles").glob("*.toml"):
        profile.chmod(0o600)
    keys = folder / "profiles" / "estudio-serra" / "chaves"
    keys.mkdir(mode=0o700)
    (keys / "sms.key").write_text("not-a-key\n", encoding="utf-8")
    (keys / "sms.key").chmod(0o600)
    monkeypatch.setenv("SERRA_SMS_ACCOUNT", "not-an-account")
    monkeypatch.chdir(folder)
    return folder


def run(cli: Cli, now: str, *args: str) -> dict[str, Any]:
    done = cli("run", "--db", "a.db", "--now", now, "--json", *args)
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json
    return found


def mails(folder: Path) -> list[tuple[str, str]]:
    found = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in sorted(folder.glob("*.eml"))]
    return sorted((mail["To"].addresses[0].addr_spec, mail["From"].addresses[0].addr_spec) for mail in found)


def files(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def test_both_profiles_are_valid(agency: Path, cli: Cli) -> None:
    done = cli("check", "--now", EVE)
    assert (done.code, done.err) == (0, "")


@pytest.mark.req("LX-72")
def test_keys_that_were_not_handed_over_are_missed_by_line(agency: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    (agency / "profiles" / "estudio-serra" / "chaves" / "sms.key").unlink()
    monkeypatch.delenv("SERRA_SMS_ACCOUNT")
    done = cli("check")
    assert done.code == 78
    assert done.err.count("estudio-serra.toml:31:") == 2
    assert "sms.key" in done.err
    assert "SERRA_SMS_ACCOUNT" in done.err


@pytest.mark.req("LX-71", "LX-72")
def test_one_command_serves_every_client_at_the_clients_own_time_and_under_the_clients_own_name(agency: Path, cli: Cli) -> None:
    run(cli, EVE)
    mondego, serra = agency / "profiles" / "otica-mondego", agency / "profiles" / "estudio-serra"
    assert {item["profile"] for item in run(cli, LISBON)["items"]} == {"otica-mondego", "estudio-serra"}
    assert mails(mondego / "saida") == [
        ("ana.marques@example.com", "geral@otica-mondego.example.com"),
        ("bruno.teles@example.com", "geral@otica-mondego.example.com"),
    ]
    assert not serra.joinpath("saida").exists() or not files(serra / "saida")
    assert {item["profile"] for item in run(cli, SAO_PAULO)["items"]} == {"estudio-serra"}
    assert sorted(text["to"] for text in files(serra / "saida")) == ["+5511955500201", "+5511955500202"]
    assert len(mails(mondego / "saida")) == 2


@pytest.mark.req("LX-69")
def test_the_agency_gets_the_list_of_those_who_agreed_and_of_nobody_else(agency: Path, cli: Cli) -> None:
    run(cli, EVE)
    run(cli, LISBON)
    (call,) = files(agency / "profiles" / "otica-mondego" / "para-a-agencia")
    assert call["data"]["profile"] == "otica-mondego"
    assert [(person["name"], person.get("email")) for person in call["data"]["records"]] == [
        ("Ana Marques", "ana.marques@example.com"),
        ("Filipa Sá", None),
    ]


@pytest.mark.req("LX-26")
def test_the_groups_of_a_campaign_change_with_the_customers_and_not_otherwise(agency: Path, cli: Cli) -> None:
    run(cli, EVE)
    run(cli, LISBON)
    groups = agency / "profiles" / "otica-mondego" / "grupos.csv"
    lines = groups.read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0::4] + line.split(",")[5:] for line in lines[1:]] == [
        ["1", "autorizados", "2026-12-24"],
        ["3", "autorizados", "2026-12-24"],
        ["6", "autorizados", "2026-12-24"],
        ["1", "coimbra", "2026-12-24"],
        ["6", "coimbra", "2026-12-24"],
    ]
    customers = agency / "profiles" / "otica-mondego" / "clientes.csv"
    text = customers.read_text(encoding="utf-8")
    customers.write_text(text.replace("sim;Lousã", "sim;Coimbra"), encoding="utf-8")
    run(cli, "2026-12-25T09:31Z")
    assert "3,Clara Nobre,clara.nobre@example.com,+351910000103,coimbra,2026-12-25" in groups.read_text(encoding="utf-8").splitlines()
    assert set(lines) < set(groups.read_text(encoding="utf-8").splitlines())


@pytest.mark.req("LX-72")
def test_the_keys_that_were_handed_over_reach_the_clients_gateway_alone(agency: Path, cli: Cli, automate_service: Service) -> None:
    profile = agency / "profiles" / "estudio-serra.toml"
    text = profile.read_text(encoding="utf-8")
    for old, new in (
        ('sms      = "saida"', 'sms      = "gateway"'),
        ('"https://sms.example.com/v1/messages"', f'"{automate_service.url}/v1/messages"\nallow_private = ["127.0.0.1/32"]'),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    profile.write_text(text, encoding="utf-8")
    automate_service.on("/v1/messages", Reply(202, {"id": "g-1"}))
    for now in (EVE, LISBON, SAO_PAULO):
        run(cli, now)
    assert sorted(request.json()["to"] for request in automate_service.requests) == ["+5511955500201", "+5511955500202"]
    assert {(request.headers["x-api-key"], request.headers["x-account"]) for request in automate_service.requests} == {
        ("not-a-key", "not-an-account")
    }
    written = b"".join(path.read_bytes() for path in agency.glob("a.db*") if path.is_file())
    assert b"not-a-key" not in written


@pytest.mark.req("LX-71", "LX-72")
def test_who_is_a_customer_of_both_is_two_people(agency: Path, cli: Cli) -> None:
    assert cli("suppress", "add", "ana.marques@example.com", "--db", "a.db", "--profile", "otica-mondego").code == 0
    for now in (EVE, LISBON, SAO_PAULO):
        run(cli, now)
    assert [to for to, _ in mails(agency / "profiles" / "otica-mondego" / "saida")] == ["bruno.teles@example.com"]
    assert "+5511955500201" in {text["to"] for text in files(agency / "profiles" / "estudio-serra" / "saida")}
    listed = {
        profile: cli("suppress", "list", "--db", "a.db", "--json", "--profile", profile).json["items"]
        for profile in ("otica-mondego", "estudio-serra")
    }
    assert (len(listed["otica-mondego"]), listed["estudio-serra"]) == (1, [])


def test_a_model_that_two_clients_have_is_named_with_its_profile(agency: Path, cli: Cli) -> None:
    done = cli("plan", "aniversario", "--on", "2026-12-24")
    assert done.code == 2
    assert "estudio-serra/aniversario, otica-mondego/aniversario" in done.err
    assert cli("plan", "estudio-serra/aniversario", "--on", "2026-12-24", "--json").json["send"] == 2
    assert cli("plan", "aniversario", "--on", "2026-12-24", "--profile", "otica-mondego", "--json").json["send"] == 2


def test_tasks_are_counted_by_client(agency: Path, cli: Cli) -> None:
    for now in (EVE, LISBON, SAO_PAULO):
        run(cli, now)
    counted = {
        item["profile"]: item["tasks"] for item in cli("tasks", "counter", "--db", "a.db", "--json", "--now", SAO_PAULO).json["items"]
    }
    assert counted == {"otica-mondego": 3, "estudio-serra": 2}


def test_a_mistake_in_one_clients_file_does_not_stop_another(agency: Path, cli: Cli) -> None:
    run(cli, EVE)
    broken = agency / "profiles" / "otica-mondego.toml"
    broken.write_text(broken.read_text(encoding="utf-8").replace("timezone ", "timezon "), encoding="utf-8")
    done = cli("run", "--db", "a.db", "--now", SAO_PAULO, "--json")
    assert done.code == 78
    assert "did you mean 'timezone'" in done.err
    assert done.json["sent"] == 2


def test_errors_are_told_to_whom_each_profile_names(agency: Path, cli: Cli) -> None:
    """The owner and the agency in the first scenario, the agency alone in the second."""
    from libax_automate.engine.workspace import Workspace

    with Workspace.open(db=agency / "a.db", cwd=agency) as space:
        told = {profile.name: tuple(profile.notify) for profile in space.profiles}
    assert told == {
        "otica-mondego": ("dona@otica-mondego.example.com", "apoio@agencia.example.com"),
        "estudio-serra": ("apoio@agencia.example.com",),
    }
