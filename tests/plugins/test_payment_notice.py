"""The payment-notice model, through the command line: who owes hears of it, with the amounts, and not after paying."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli

PROFILE = """
name = "padaria"
timezone = "Europe/Lisbon"
locale = "pt_PT"
activation = "immediate"

[defaults]
email = "saida"

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"
invoices = "faturas.csv"

[apps.saida]
connector = "folder"
path = "saida"

[models.avisos]
use = "payment-notice"
source = "gestao"
at = "09:00"
OPTIONS
text = "{{ customer.first_name }}: {{ debt }} por {{ count }} desde {{ oldest_due }}:{% for each in invoices %} {{ each.number }}{% endfor %}."
"""
HEAD = "id,number,customer,amount,balance,currency,due,status\n"
ROWS = {
    "10": "FT 10,1,100.00,100.00,EUR,2026-11-10,open",
    "11": "FT 11,1,50.00,20.50,EUR,2026-11-02,open",
    "12": "FT 12,2,30.00,30.00,EUR,2026-11-15,open",
    "13": "FT 13,2,70.00,70.00,EUR,2026-12-24,open",
    "14": "FT 14,3,9.00,0.00,EUR,2026-11-01,open",
    "15": "FT 15,3,9.00,9.00,EUR,2026-11-01,paid",
}


class Shop:
    """A bakery with three customers and the invoices that a test gives it."""

    def __init__(self, home: Path, cli: Cli) -> None:
        self.home, self.cli = home, cli
        people = "id,first_name,email\n1,Ana,ana@example.com\n2,Rui,rui@example.com\n3,Eva,eva@example.com\n"
        (home / "clientes.csv").write_text(people, encoding="utf-8")
        self.options()
        self.invoices()

    def options(self, text: str = "") -> None:
        (self.home / "profiles.toml").write_text(PROFILE.replace("OPTIONS", text), encoding="utf-8")

    def invoices(self, **changed: str) -> None:
        rows = {**ROWS, **{name[1:]: row for name, row in changed.items()}}
        lines = "".join(f"{name},{row}\n" for name, row in rows.items() if row)
        (self.home / "faturas.csv").write_text(HEAD + lines, encoding="utf-8")

    def run(self, at: str) -> int:
        done = self.cli("run", "--json", "--now", at, "--db", "a.db")
        assert done.code == 0, done.err
        sent: int = done.json["sent"]
        return sent

    def plan(self, at: str) -> list[Any]:
        done = self.cli("plan", "avisos", "--json", "--now", at, "--db", "a.db")
        assert done.code == 0, done.err
        items: list[Any] = done.json["items"]
        return items

    def reasons(self, at: str) -> list[tuple[str, str]]:
        return [(item["verdict"], item["reason"]) for item in self.plan(at)]

    def texts(self) -> list[str]:
        parser = BytesParser(policy=policy.default)
        found = [parser.parsebytes(path.read_bytes()).get_body() for path in (self.home / "saida").glob("*.eml")]
        return sorted(body.get_content().strip().replace("\xa0", " ") for body in found if body is not None)


@pytest.fixture
def shop(home: Path, cli: Cli) -> Shop:
    return Shop(home, cli)


@pytest.mark.req("LX-27")
def test_each_customer_in_debt_gets_one_notice_with_the_amounts(shop: Shop) -> None:
    shop.run("2026-11-20T08:00")
    assert shop.run("2026-11-20T09:01") == 2
    assert shop.texts() == ["Ana: 120,50 € por 2 desde 02/11/2026: FT 11 FT 10.", "Rui: 30,00 € por 1 desde 15/11/2026: FT 12."]
    assert shop.run("2026-11-21T09:01") == 0


@pytest.mark.req("LX-27")
def test_a_new_invoice_is_news_and_a_payment_is_none(shop: Shop) -> None:
    shop.run("2026-11-20T08:00")
    assert shop.run("2026-11-20T09:01") == 2
    shop.invoices(_11="FT 11,1,50.00,0.00,EUR,2026-11-02,paid", _16="FT 16,2,5.00,5.00,EUR,2026-11-20,open")
    assert shop.run("2026-11-21T09:01") == 1
    assert shop.texts()[-1] == "Rui: 35,00 € por 2 desde 15/11/2026: FT 12 FT 16."
    assert [verdict for verdict, _ in shop.reasons("2026-11-22T09:00")] == ["excluded", "excluded"]
    assert shop.reasons("2026-11-22T09:00")[0][1].startswith("told on 2026-11-20 (M")


@pytest.mark.req("LX-27")
def test_with_repeat_it_writes_at_every_run_until_the_debt_is_gone(shop: Shop) -> None:
    shop.options('repeat = true\ngroup = "invoice"')
    shop.run("2026-11-20T08:00")
    assert shop.run("2026-11-20T09:01") == 3
    assert shop.reasons("2026-11-20T15:00")[0][1].startswith("told on 2026-11-20")
    assert shop.run("2026-11-21T09:01") == 3
    shop.invoices(_10="FT 10,1,100.00,0.00,EUR,2026-11-10,paid")
    assert shop.run("2026-11-22T09:01") == 2


def test_nobody_is_told_twice_in_a_day_of_a_debt_that_grew(shop: Shop) -> None:
    shop.options("repeat = true")
    shop.run("2026-11-20T08:00")
    assert shop.run("2026-11-20T09:01") == 2
    shop.invoices(_16="FT 16,1,5.00,5.00,EUR,2026-11-19,open")
    assert shop.reasons("2026-11-20T15:00")[0][0] == "excluded"
    assert shop.reasons("2026-11-21T09:00")[0][0] == "send"


@pytest.mark.req("LX-27")
def test_who_pays_while_the_notice_waits_hears_only_of_what_is_left(shop: Shop) -> None:
    shop.options('quiet = "08:30-10:00"')
    shop.run("2026-11-20T08:00")
    assert shop.run("2026-11-20T09:01") == 0
    shop.invoices(_11="FT 11,1,50.00,0.00,EUR,2026-11-02,paid", _12="FT 12,2,30.00,0.00,EUR,2026-11-15,paid")
    assert shop.run("2026-11-20T10:30") == 0
    shop.options()
    assert shop.run("2026-11-21T09:01") == 1
    assert shop.texts() == ["Ana: 100,00 € por 1 desde 10/11/2026: FT 10."]


@pytest.mark.req("LX-27")
def test_small_debts_and_what_is_not_yet_due_are_as_the_profile_says(shop: Shop) -> None:
    shop.options('when = "open"\nmin_debt = 101')
    shop.run("2026-11-20T08:00")
    found = {item["person"]: (item["verdict"], item["reason"]) for item in shop.plan("2026-11-20T09:00")}
    assert found["1"][0] == "send"
    assert found["2"] == ("excluded", "debt 100.00 is below 101")
    assert "3" not in found


def test_two_currencies_are_never_added_up(shop: Shop) -> None:
    shop.invoices(_11="FT 11,1,50.00,50.00,USD,2026-11-02,open")
    shop.run("2026-11-20T08:00")
    assert shop.run("2026-11-20T09:01") == 3
    assert len([text for text in shop.texts() if text.startswith("Ana")]) == 2


def test_what_cannot_be_read_is_named_and_the_rest_is_said(shop: Shop) -> None:
    shop.invoices(
        _11="FT 11,1,50.00,fifty,EUR,2026-11-02,open", _12="FT 12,2,30.00,30.00,EUR,,open", _16="FT 16,99,1.00,1.00,EUR,2026-11-02,open"
    )
    shop.run("2026-11-20T08:00")
    found = {reason.partition(" (")[0].partition(": ")[0] for verdict, reason in shop.reasons("2026-11-20T09:00") if verdict == "excluded"}
    assert found == {"balance not valid", "has no due date", "its contact 99 is not in the source"}
    assert shop.run("2026-11-20T09:01") == 1


def test_an_invoice_without_a_balance_is_owed_in_full(shop: Shop) -> None:
    (shop.home / "faturas.csv").write_text("id,number,customer,amount,currency,due,status\n1,A 1,1,7.50,EUR,2026-11-02,open\n", "utf-8")
    shop.run("2026-11-20T08:00")
    assert shop.run("2026-11-20T09:01") == 1
    assert shop.texts() == ["Ana: 7,50 € por 1 desde 02/11/2026: A 1."]


def test_explain_tells_what_was_said_of_each_invoice(shop: Shop) -> None:
    shop.run("2026-11-20T08:00")
    shop.run("2026-11-20T09:01")
    told = shop.cli("explain", "avisos", "1", "--now", "2026-11-21T09:00", "--db", "a.db").out
    assert "FT 11" in told
    assert "told on 2026-11-20" in told
