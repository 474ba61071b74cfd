"""``automate check``, ``schema``, ``init`` and ``demo``."""

from __future__ import annotations

import time
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from libax_automate.testing.service import Reply
from tests.cli.business import PROFILE, Business
from tests.conftest import Cli, Finished


def found(done: Finished, severity: str = "problem") -> list[dict[str, Any]]:
    return [item for item in done.json["items"] if item["severity"] == severity]


def test_a_sound_profile_is_fine(business: Business, cli: Cli) -> None:
    done = cli("check")
    assert (done.code, done.err) == (0, "")
    assert done.out == "padaria: 3 apps, 2 models: fine\n"


def test_every_problem_is_named_at_once_with_its_place(business: Business, cli: Cli) -> None:
    business.write(
        PROFILE.replace("[models.birthday]\nuse", '[models.birthday]\ncolour = "red"\nuse').replace('at = "09:35"', 'at = "25:00"')
    )
    done = cli("check", "--json")
    assert done.code == 78
    assert done.error["kind"] == "profile"
    assert [(item["line"], "colour" in item["what"]) for item in found(done)] == [(29, True), (41, False)]
    lines = cli("check").err.splitlines()
    assert lines[0].startswith(f"{business.profile}:29:1: ")
    assert "→" in lines[0]


@pytest.mark.parametrize(
    ("old", "new", "key", "hint"),
    [
        ("{{{{ first_name }}}}, you", "(#FirstNam#), you", "unknown field 'first_nam'", "first_name"),
        ('audience = ["active", "person"]', "where = \"citty == 'Porto'\"", "unknown field 'citty'", "city"),
        ('text = "Dear {{{{ first_name }}}}', 'text = "Dear {{{{ first_name', "text", ""),
    ],
)
def test_texts_and_conditions_are_held_against_the_sources_fields(
    business: Business, cli: Cli, old: str, new: str, key: str, hint: str
) -> None:
    assert old in PROFILE
    business.write(PROFILE.replace(old, new, 1))
    done = cli("check", "--json")
    assert done.code == 78
    problem = found(done)[0]
    assert key in problem["what"]
    assert hint in problem["hint"]
    line = business.profile.read_text(encoding="utf-8").splitlines()[problem["line"] - 1]
    assert line.startswith(("text", "where", "subject"))


def test_an_entity_that_the_source_lacks(business: Business, cli: Cli) -> None:
    business.write(
        PROFILE
        + '\n[models.due]\nuse = "notice"\nsource = "people"\nentity = "invoices"\ndate_field = "due"\ncron = "0 9 * * *"\ntext = "x"\n'
    )
    done = cli("check", "--json")
    assert done.code == 78
    assert "no invoices" in found(done)[0]["what"]
    assert found(done)[0]["hint"] == "it has: contacts"


@pytest.mark.req("LX-48", "LX-49")
def test_who_will_never_be_reached_is_said(business: Business, cli: Cli) -> None:
    text = PROFILE.replace('audience = ["active", "person"]', 'audience = ["no-mobile"]')
    business.write(text.replace('audience = ["person"]', 'audience = ["no-email"]'))
    done = cli("check", "--json")
    assert done.code == 0
    assert any("reached by neither" in item["what"] for item in found(done, "warning"))
    business.write(text.replace("[models.birthday-sms]", "[models.birthday-sms]\nenabled = false"))
    assert any("never reached" in item["what"] for item in found(cli("check", "--json"), "warning"))


@pytest.mark.req("IC-25")
def test_two_models_at_one_time_are_a_warning(business: Business, cli: Cli) -> None:
    business.write(PROFILE.replace('at = "09:35"', 'at = "09:30"'))
    done = cli("check")
    assert done.code == 0
    assert "warning: " in done.err
    assert "fire at the same time" in done.err


@pytest.mark.req("LX-15")
def test_the_free_plan_is_said(business: Business, cli: Cli) -> None:
    business.write(PROFILE.replace('email = "mail"\n', ""))
    assert any("LX-15" in item["what"] for item in found(cli("check", "--json"), "warning"))


def test_an_attachment_that_is_not_there(business: Business, cli: Cli) -> None:
    business.write(PROFILE.replace('channel = "email"', 'channel = "email"\nattachments = ["card.pdf"]'))
    assert "card.pdf" in found(cli("check", "--json"))[0]["what"]


def test_a_model_that_has_ended(business: Business, cli: Cli) -> None:
    business.write(PROFILE.replace('at = "09:35"', 'at = "09:35"\nstart = 2020-01-01\nend = 2020-12-31'))
    assert any("ended on 2020-12-31" in item["what"] for item in found(cli("check", "--json"), "warning"))


def test_connect_proves_the_credentials(business: Business, cli: Cli) -> None:
    assert cli("check", "--connect").code == 0
    blocked = business.folder / "out"
    if blocked.is_dir():
        blocked.rmdir()
    blocked.write_text("a file where a folder should be", encoding="utf-8")
    done = cli("check", "--connect", "--json")
    assert done.code == 78
    assert any(item["what"].startswith("mail") for item in found(done))


def test_no_secret_leaves_check(business: Business, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "s3cret-never-shown")
    business.answers(Reply(401, {"error": "bad key s3cret-never-shown"}))
    headers = '\nheaders = {{ Authorization = {{ env = "KEY" }} }}'
    business.write(PROFILE.replace('channels = ["sms"]', 'channels = ["sms"]' + headers))
    for arguments in (
        ("check", "--connect", "-vv"),
        ("check", "--json"),
        ("run", "-vv"),
        ("apps", "test", "sms", "--to", "912345678", "-vv"),
    ):
        done = cli(*arguments)
        assert "s3cret-never-shown" not in done.out + done.err


def test_no_profile_at_all_says_how_to_get_one(home: Path, cli: Cli) -> None:
    done = cli("check", "--json")
    assert done.code == 78
    assert "automate init" in done.error["hint"]


# schema, init, demo


def test_the_schema_knows_the_plugins_options(home: Path, cli: Cli) -> None:
    done = cli("schema")
    assert done.code == 0
    assert done.json == cli("schema", "--json").json
    assert "birth" in done.out
    assert "contacts" in done.out


def test_a_newcomers_first_five_minutes(home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    done = cli("init", "acme")
    assert done.code == 0
    assert "automate plan aniversario --on 2026-12-24" in done.err
    monkeypatch.chdir(home / "acme")
    monkeypatch.setenv("AUTOMATE_DB", str(home / "acme" / "automate.db"))
    assert cli("check").code == 0
    plan = cli("plan", "aniversario", "--on", "2026-12-24", "--json")
    assert (plan.code, plan.json["send"] > 0, plan.json["excluded"] > 0) == (0, True, True)
    assert cli("run").code == 0
    again = cli("init", ".", "--json")
    assert (again.code, again.error["kind"]) == (2, "usage")


def test_init_in_english(home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    done = cli("init", "Corner Shop!", "--language", "en", "--timezone", "Europe/London", "--json")
    assert done.code == 0
    monkeypatch.chdir(home / "Corner Shop!")
    assert cli("check", "--json").json["profiles"] == ["corner-shop"]


@pytest.mark.parametrize("language", ["pt", "en"])
def test_the_demo_works_offline_and_says_who_got_what_and_who_did_not(home: Path, cli: Cli, language: str) -> None:
    begun = time.monotonic()
    done = cli("demo", str(home / "demo"), "--language", language, "--json")
    assert time.monotonic() - begun < 5
    assert done.code == 0
    mails = [Path(name) for name in done.json["files"] if name.endswith(".eml")]
    assert len(mails) == done.json["sent"] == 4
    senders = {item["name"] for item in done.json["items"] if item["verdict"] == "send"}
    assert len(senders) == 4
    assert {item["reason"] for item in done.json["items"] if item["verdict"] == "excluded"} >= {"no e-mail", "a company", "inactive"}
    assert all(message_from_bytes(mail.read_bytes())["Subject"] for mail in mails)


def test_the_demo_leaves_the_persons_own_state_alone(business: Business, cli: Cli) -> None:
    done = cli("demo", str(business.folder / "demo"))
    assert done.code == 0
    assert "Happy" not in done.out
    assert not (business.folder / "state").exists()
    assert "no e-mail" in done.out
    assert ".eml" in done.out
