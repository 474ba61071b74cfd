"""Guard rails, through the command line: caps, tact, consent, brake, approval, test sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cli

PROFILE = """
name = "loja"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
activation = "immediate"
notify = ["admin@example.com"]

[defaults]
email = "saida"
{defaults}

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"

[apps.saida]
connector = "folder"
path = "saida"

[models.parabens]
use = "birthday"
source = "gestao"
at = "10:00"
text = "Parabéns, {{{{ first_name }}}}!"
{birthday}

[models.aviso]
use = "notice"
source = "gestao"
at = "09:00"
class = "billing"
text = "Um aviso, {{{{ first_name }}}}."
where = "city == 'Porto'"
{notice}
"""
ROWS = "id,first_name,birth_date,email,city,consent\n"
ANA = "1,Ana,1980-12-24,ana@example.com,Porto,sim\n"
RUI = "2,Rui,1990-12-24,rui@example.com,Lisboa,\n"
EVA = "3,Eva,1970-12-24,eva@example.com,Porto,não\n"


class Shop:
    """A profile in the home folder and the program over it."""

    def __init__(self, cli: Cli, home: Path) -> None:
        self.cli, self.home = cli, home

    def write(self, *, rows: str = ANA + RUI + EVA, defaults: str = "", birthday: str = "", notice: str = "", more: str = "") -> None:
        text = PROFILE.format(defaults=defaults, birthday=birthday, notice=notice)
        (self.home / "profiles.toml").write_text(text + more, encoding="utf-8")
        (self.home / "profiles.toml").chmod(0o600)
        (self.home / "clientes.csv").write_text(ROWS + rows, encoding="utf-8")

    def run(self, at: str) -> dict[str, object]:
        done = self.cli("run", "--json", "--now", at, "--db", "a.db")
        assert done.code in (0, 3), done.err
        found: dict[str, object] = done.json
        return found | {"code": done.code}

    def plan(self, model: str, at: str) -> dict[str, tuple[str, str]]:
        done = self.cli("plan", model, "--json", "--now", at, "--db", "a.db")
        assert done.code == 0, done.err
        return {item["name"] or item["person"]: (item["verdict"], item["reason"]) for item in done.json["items"]}

    def mails(self) -> list[str]:
        return sorted(path.name for path in (self.home / "saida").glob("*.eml")) if (self.home / "saida").exists() else []


@pytest.fixture
def shop(cli: Cli, home: Path) -> Shop:
    return Shop(cli, home)


def test_consent_lets_only_those_hear_who_agreed(shop: Shop) -> None:
    shop.write(birthday="consent = true")
    plan = shop.plan("parabens", "2026-12-24T10:00")
    assert plan["Ana"][0] == "send"
    assert plan["Rui"] == ("excluded", "has not agreed: no consent on record")
    assert plan["Eva"] == ("excluded", "has not agreed: consent is 'não'")


def test_a_cap_over_all_models_leaves_out_what_would_expire_before_it_frees(shop: Shop) -> None:
    shop.write(defaults='cap = "1 per 7d"')
    shop.run("2026-12-24T08:00")
    first = shop.run("2026-12-24T09:01")
    assert first["sent"] == 2  # the notice to the two of Porto
    plan = shop.plan("parabens", "2026-12-24T10:00")
    assert plan["Rui"][0] == "send"
    assert plan["Ana"] == ("excluded", "capped: 1 per 7d, 1 already; expires before it may be said")
    assert shop.run("2026-12-24T10:01")["sent"] == 1


def test_a_cap_by_class_does_not_count_other_classes(shop: Shop) -> None:
    shop.write(defaults='cap = { courtesy = "1 per 7d" }')
    shop.run("2026-12-24T08:00")
    shop.run("2026-12-24T09:01")
    assert shop.run("2026-12-24T10:01")["sent"] == 3


def test_a_model_may_stand_outside_the_cap(shop: Shop) -> None:
    shop.write(defaults='cap = "1 per 7d"', birthday='cap = "none"')
    shop.run("2026-12-24T08:00")
    shop.run("2026-12-24T09:01")
    assert shop.run("2026-12-24T10:01")["sent"] == 3


def test_what_is_over_the_cap_and_does_not_expire_waits_until_the_cap_frees(shop: Shop) -> None:
    shop.write(defaults='cap = "1 per 2d"')
    text = (shop.home / "profiles.toml").read_text(encoding="utf-8").replace('at = "09:00"', 'at = "11:00"')
    (shop.home / "profiles.toml").write_text(text, encoding="utf-8")
    shop.run("2026-12-24T08:00")
    assert shop.run("2026-12-24T10:01")["sent"] == 3
    assert shop.plan("aviso", "2026-12-24T11:00")["Ana"][0] == "held"
    later = shop.run("2026-12-24T11:01")
    assert (later["sent"], later["waiting"]) == (0, 2)
    assert shop.run("2026-12-26T09:00")["sent"] == 0
    assert shop.run("2026-12-26T10:30")["sent"] == 2


def test_tact_keeps_one_model_silent_after_another(shop: Shop) -> None:
    shop.write(more='[[tact]]\nhold = "parabens"\nnear = "aviso"\nwithin = "30d"\n')
    shop.run("2026-12-24T08:00")
    shop.run("2026-12-24T09:01")
    plan = shop.plan("parabens", "2026-12-24T10:00")
    assert plan["Ana"] == ("excluded", "tact: aviso on 2026-12-24")
    assert plan["Rui"][0] == "send"


def test_tact_makes_dunning_wait_until_the_day_after_a_birthday(shop: Shop) -> None:
    shop.write(more='[[tact]]\nhold = "billing"\non = "birth_date"\n')
    shop.run("2026-12-24T08:00")
    assert shop.plan("aviso", "2026-12-24T09:00")["Ana"] == ("held", "tact: birth_date is today")
    assert shop.run("2026-12-24T09:01")["sent"] == 0
    assert shop.run("2026-12-25T00:01")["sent"] == 2


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('[[tact]]\nhold = "parabenz"\non = "birth_date"\n', "parabens"),
        ('[[tact]]\nhold = "parabens"\nnear = "nobody"\n', "there is no model"),
        ('[[tact]]\nhold = "parabens"\n', "either near or on"),
        ('[[tact]]\nhold = "parabens"\nnear = "aviso"\nsteps = ["x"]\n', "no step"),
    ],
)
def test_a_wrong_rule_of_tact_is_named_with_its_place(shop: Shop, more: str, says: str) -> None:
    shop.write(more=more)
    done = shop.cli("check")
    assert done.code == 78
    assert says in done.err
    assert "profiles.toml:" in done.err


def test_a_run_far_above_its_usual_size_waits_for_a_person(shop: Shop, cli: Cli) -> None:
    few = "".join(f"{i},P{i},1980-12-{20 + i % 3},p{i}@example.com,Faro,\n" for i in range(1, 10))
    many = "".join(f"{i},P{i},1980-12-24,p{i}@example.com,Faro,\n" for i in range(100, 140))
    shop.write(rows=few + many, birthday='brake = "3x"')
    shop.run("2026-12-19T10:00")
    for day in (20, 21, 22):
        assert shop.run(f"2026-12-{day}T10:01")["sent"] == 3
    held = shop.run("2026-12-24T10:01")
    assert (held["sent"], held["waiting"], held["code"]) == (0, 40, 3)
    assert "13.3 times the usual 3" in str(held["news"])
    waiting = cli("approve", "--json", "--db", "a.db").json["items"]
    assert [(item["id"], item["waiting"]) for item in waiting] == [("A1", 40)]
    assert any("admin" in name for name in shop.mails())  # the notice
    assert cli("approve", "A1", "--db", "a.db").code == 0
    assert shop.run("2026-12-24T10:30")["sent"] == 40
    assert "already" in cli("approve", "A1", "--db", "a.db").out


def test_what_is_rejected_is_cancelled_and_can_be_taken_back(shop: Shop, cli: Cli) -> None:
    shop.write(birthday="approve = true")
    assert shop.plan("parabens", "2026-12-24T10:00")["Ana"] == ("held", "waits for approval")
    shop.run("2026-12-24T08:00")
    assert shop.run("2026-12-24T10:01")["waiting"] == 5 - 2  # the notice left
    done = cli("approve", "A1", "--reject", "--db", "a.db", "--json")
    assert done.json["items"][0]["messages"] == 3
    assert shop.run("2026-12-24T10:05")["sent"] == 0
    assert cli("queue", "restore", done.json["items"][0]["batch"], "--db", "a.db").code == 0
    assert shop.run("2026-12-24T10:10")["sent"] == 3


def test_an_unknown_approval_is_not_found(shop: Shop, cli: Cli) -> None:
    shop.write()
    done = cli("approve", "A9", "--db", "a.db")
    assert done.code == 5
    assert "automate approve" in done.err


def test_a_test_send_has_their_data_my_address_and_leaves_no_trace(shop: Shop, cli: Cli) -> None:
    shop.write(birthday="consent = true")
    done = cli("models", "test", "parabens", "--to", "me@example.com", "--as", "2", "--db", "a.db", "--json")
    assert (done.code, done.json["to"]) == (0, "me@example.com")
    assert "Rui" in done.json["text"]
    assert len(shop.mails()) == 1
    shop.run("2026-12-24T08:00")
    assert shop.plan("parabens", "2026-12-24T10:00")["Ana"][0] == "send"


def test_a_test_send_as_nobody_says_so(shop: Shop, cli: Cli) -> None:
    shop.write()
    assert cli("models", "test", "parabens", "--to", "me@example.com", "--as", "99", "--db", "a.db").code == 5
    assert cli("models", "test", "parabens", "--to", "not an address", "--as", "1", "--db", "a.db").code == 2
