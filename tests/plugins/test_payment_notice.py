"""The payment-notice model, through the command line: who owes hears of it, with the amounts, and not after paying."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest

from libax_automate.engine.run import run_pass
from libax_automate.engine.store import Store
from libax_automate.engine.workspace import Workspace
from libax_automate.testing.clock import FakeClock
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


# -- payment references ---------------------------------------------------------------------------------------------------

OFFLINE = '[apps.mb]\nconnector = "ifthenpay"\nentity = "11604"\nsubentity = "999"\n\n[models.avisos]'
REFERENCED = 'references = "mb"\ngroup = "invoice"'


def with_references(shop: Shop, options: str = REFERENCED, text: str = "{{ number }}: {{ entity }} {{ reference }} {{ debt }}") -> None:
    made = PROFILE.replace("OPTIONS", options).replace("[models.avisos]", OFFLINE)
    made = made[: made.index("text = ")] + f'text = "{text}"\n'
    (shop.home / "profiles.toml").write_text(made, encoding="utf-8")


def said(shop: Shop, at: str) -> list[str]:
    return sorted(item["text"].replace("\xa0", " ") for item in shop.plan(at) if item["verdict"] == "send")


@pytest.mark.req("LX-28")
def test_each_invoice_gets_one_reference_once_ever(shop: Shop) -> None:
    pytest.importorskip("libax_connector_ifthenpay")
    with_references(shop, REFERENCED + "\nrepeat = true")
    shop.run("2026-11-20T08:00")
    assert said(shop, "2026-11-20T09:00")[0] == "FT 10: (created at run) (created at run) 100,00 €"
    assert shop.run("2026-11-20T09:01") == 3
    first = shop.texts()
    assert [text[:14] for text in first] == ["FT 10: 11604 9", "FT 11: 11604 9", "FT 12: 11604 9"]
    assert said(shop, "2026-11-21T09:00") == first
    assert shop.run("2026-11-21T09:01") == 3
    assert shop.texts() == sorted([*first, *first])


@pytest.mark.req("LX-28")
def test_a_customer_reads_a_reference_for_each_invoice(shop: Shop) -> None:
    pytest.importorskip("libax_connector_ifthenpay")
    loop = "{% for each in payments %}{{ each.number }} {{ each.entity }} {{ each.reference }} {{ each.amount }};{% endfor %}"
    with_references(shop, 'references = "mb"', loop)
    shop.run("2026-11-20T08:00")
    assert shop.run("2026-11-20T09:01") == 2
    text = next(text for text in shop.texts() if "FT 10" in text)
    assert text.startswith("FT 11 11604 999")
    assert text.count("11604") == 2


@pytest.mark.req("LX-28")
def test_references_are_asked_for_at_the_pace_of_their_app_and_the_next_process_keeps_it(shop: Shop) -> None:
    pytest.importorskip("libax_connector_ifthenpay")
    with_references(shop)
    file = shop.home / "profiles.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('subentity = "999"', 'subentity = "999"\nrate = "30/min"'), encoding="utf-8")
    clock = FakeClock(datetime(2026, 11, 20, 8, tzinfo=UTC))

    def run() -> list[float]:
        clock.slept.clear()
        with Workspace.open(profiles=file, db=shop.home / "a.db", clock=clock, environ={}) as space:
            run_pass(space)
        return clock.slept

    run()
    clock.move(hours=1, minutes=1)
    assert run() == [2.0, 2.0]
    shop.invoices(_16="FT 16,1,5.00,5.00,EUR,2026-11-20,open")
    clock.set(datetime(2026, 11, 21, 9, 1, tzinfo=UTC))
    with Store(shop.home / "a.db") as store, store.write():
        store.apps.keep_pace(store.apps.credential(store.apps.find("padaria", "mb") or 0), clock.now().timestamp() + 1.5, succeeded=False)
    assert run() == [1.5]
    assert len(shop.texts()) == 4


def test_a_reference_for_another_amount_than_is_owed_is_not_said(shop: Shop) -> None:
    pytest.importorskip("libax_connector_ifthenpay")
    with_references(shop, REFERENCED + "\nrepeat = true")
    shop.run("2026-11-20T08:00")
    assert shop.run("2026-11-20T09:01") == 3
    shop.invoices(_10="FT 10,1,100.00,60.00,EUR,2026-11-10,open")
    assert shop.run("2026-11-21T09:01") == 2
    reasons = [reason for verdict, reason in shop.reasons("2026-11-22T09:00") if verdict == "excluded"]
    assert len(reasons) == 1
    assert reasons[0].endswith("of FT 10 is for 100.00, and 60.00 is owed")


@pytest.mark.req("LX-28")
def test_a_call_of_which_nobody_saw_the_end_makes_no_second_reference(shop: Shop) -> None:
    """As a process leaves it that dies between the call and the commit: the intention is there, the reference is not."""
    pytest.importorskip("libax_connector_ifthenpay")
    with_references(shop)
    shop.run("2026-11-20T08:00")
    with Store(shop.home / "a.db") as store:
        store.payments.intend("padaria", "mb", "10", 1_700_000_000.0)
    assert shop.run("2026-11-20T09:01") == 2
    with_references(shop, REFERENCED + '\nretry_references = ["10"]')
    assert shop.run("2026-11-21T09:01") == 1
    assert len(set(shop.texts())) == 3


def test_an_invoice_the_operator_cannot_take_is_named_and_no_intention_is_left(shop: Shop) -> None:
    pytest.importorskip("libax_connector_ifthenpay")
    with_references(shop)
    shop.invoices(_11="FT 11,1,50.00,50.00,USD,2026-11-02,open")
    shop.run("2026-11-20T08:00")
    assert shop.run("2026-11-20T09:01") == 2
    with Store(shop.home / "a.db") as store:
        assert store.payments.get("padaria", "mb", "11") is None
        kept = store.payments.get("padaria", "mb", "10")
        assert kept is not None
        assert kept.reference is not None


def test_an_app_that_makes_no_references_is_refused(shop: Shop) -> None:
    shop.options('references = "saida"')
    done = shop.cli("plan", "avisos", "--now", "2026-11-20T09:00", "--db", "a.db")
    assert done.code == 78
    assert "makes no payment references" in done.err
    checked = shop.cli("check", "--json", "--now", "2026-11-20T09:00", "--db", "a.db")
    assert checked.code == 78
    assert "makes no payment references" in checked.out + checked.err


def test_check_and_a_test_send_know_references(shop: Shop) -> None:
    pytest.importorskip("libax_connector_ifthenpay")
    with_references(shop)
    assert shop.cli("check", "--now", "2026-11-20T09:00", "--db", "a.db").code == 0
    done = shop.cli("models", "test", "avisos", "--to", "me@example.com", "--as", "10", "--now", "2026-11-20T09:00", "--db", "a.db")
    assert done.code == 0, done.err
    assert shop.texts() == ["FT 10: 12345 123456789 100,00 €"]
    with_references(shop, 'references = "nobody"')
    assert "no app is named" in shop.cli("check", "--now", "2026-11-20T09:00", "--db", "a.db").err


@pytest.mark.req("LX-28")
def test_an_applied_plan_says_the_reference_and_not_that_there_will_be_one(shop: Shop) -> None:
    pytest.importorskip("libax_connector_ifthenpay")
    with_references(shop)
    shop.run("2026-11-20T08:00")
    assert shop.cli("plan", "avisos", "--save", "p.json", "--now", "2026-11-20T09:00", "--db", "a.db").code == 0
    done = shop.cli("apply", "p.json", "--now", "2026-11-20T09:00", "--db", "a.db")
    assert done.code == 0, done.err
    shop.run("2026-11-20T09:01")
    assert len(shop.texts()) == 3
    assert not any("created at run" in text for text in shop.texts())


#: a connector that dies as soon as the operator has made a reference, before anybody here knows of it
DYING = """
import os, signal, sys
from libax_connector_ifthenpay import Ifthenpay
made = Ifthenpay.create_reference
def die(self, our_id, *args, **named):
    made(self, our_id, *args, **named)
    os.kill(os.getpid(), signal.SIGKILL)
Ifthenpay.create_reference = die
from libax_automate.__main__ import main
sys.argv = ["automate", "run", "--now", "2026-11-20T09:01", "--db", "a.db"]
main()
"""


@pytest.mark.req("LX-28")
def test_a_process_that_dies_between_the_call_and_the_commit_leaves_its_intention(shop: Shop) -> None:
    pytest.importorskip("libax_connector_ifthenpay")
    with_references(shop)
    shop.run("2026-11-20T08:00")
    died = subprocess.run([sys.executable, "-c", DYING], cwd=shop.home, capture_output=True, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    with Store(shop.home / "a.db") as store:
        kept = store.payments.get("padaria", "mb", "10")
        assert kept is not None
        assert kept.reference is None
    assert shop.run("2026-11-20T09:30") == 2
    assert not any("FT 10" in text for text in shop.texts())
