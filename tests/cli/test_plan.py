"""``automate plan`` and ``automate explain``."""

from __future__ import annotations

import pytest

from tests.cli.business import CUSTOMERS, DAY, NOW, PROFILE, Business
from tests.conftest import Cli


@pytest.mark.req("LX-24", "LX-54")
def test_a_plan_says_who_gets_what_and_who_does_not_and_why(business: Business, cli: Cli) -> None:
    done = cli("plan", "birthday", "--on", DAY, "--json")
    assert done.code == 0
    assert (done.json["send"], done.json["excluded"], done.json["held"]) == (2, 2, 0)
    people = {item["person"]: item for item in done.json["items"]}
    assert set(people) == {"1", "2", "3", "4"}
    ana = people["1"]
    assert {key: ana[key] for key in ("name", "channel", "app", "to", "subject", "text", "verdict")} == {
        "name": "Ana Silva", "channel": "email", "app": "mail", "to": "ana@example.com", "subject": "Happy birthday, Ana!",
        "text": "Dear Ana, you are 46 now.", "verdict": "send",
    }  # fmt: skip
    assert (people["2"]["verdict"], people["2"]["reason"]) == ("excluded", "no e-mail")
    assert (people["4"]["verdict"], people["4"]["reason"]) == ("excluded", "a company")


def test_a_plan_sends_nothing_and_makes_no_database(business: Business, cli: Cli) -> None:
    cli("plan", "birthday", "--on", DAY)
    assert business.mails() == []
    assert not (business.folder / "state").exists()


def test_people_read_a_table_and_a_line_of_counts(business: Business, cli: Cli) -> None:
    done = cli("plan", "birthday", "--on", DAY)
    lines = done.out.splitlines()
    assert lines[0].split() == ["PERSON", "NAME", "CHANNEL", "APP", "TO", "SAYS", "VERDICT", "REASON"]
    assert "2 to send, 0 held, 2 excluded" in lines
    assert "Happy birthday, Carla!" in done.out


def test_rows_that_cannot_be_read_are_named_on_stderr(business: Business, cli: Cli) -> None:
    business.write(customers=CUSTOMERS + "9;Gil;31/02/1985;gil@example.com;;person;active\n;;;;;;\n;Nobody;24/12/1980;;;person;active\n")
    done = cli("plan", "birthday", "--on", DAY, "--json")
    assert done.code == 0
    assert done.json["bad_rows"] == len(done.err.splitlines()) > 0
    assert all(line.startswith("people.csv:") for line in done.err.splitlines())


def test_a_source_that_cannot_be_read_is_65(business: Business, cli: Cli) -> None:
    business.customers.unlink()
    done = cli("plan", "birthday", "--json")
    assert (done.code, done.error["kind"]) == (65, "data")


def test_a_date_that_is_none_is_2(business: Business, cli: Cli) -> None:
    done = cli("plan", "birthday", "--on", "24/12/2026", "--json")
    assert (done.code, done.error["hint"]) == (2, "write 2026-12-24")


def test_who_heard_already_is_excluded_with_the_message_that_says_so(shop: Business, cli: Cli) -> None:
    cli("run", "--now", NOW)
    done = cli("plan", "birthday", "--on", DAY, "--json")
    ana = next(item for item in done.json["items"] if item["person"] == "1")
    assert ana["verdict"] == "excluded"
    assert "already sent" in ana["reason"]


def test_quiet_hours_hold_and_say_until_when(business: Business, cli: Cli) -> None:
    business.write(PROFILE.replace("[apps.people]", 'quiet = "09:00-18:00"\n[apps.people]', 1))
    done = cli("plan", "birthday", "--now", NOW, "--json")
    assert done.json["held"] == 2
    assert {item["reason"] for item in done.json["items"] if item["verdict"] == "held"} != {""}


def test_a_customers_name_cannot_move_the_cursor(business: Business, cli: Cli) -> None:
    business.write(customers=CUSTOMERS.replace("Bruno Costa", "\x1b[2JBruno"))
    assert "\x1b" not in cli("plan", "birthday", "--on", DAY).out


# explain


def test_explain_names_each_filter_and_its_verdict(business: Business, cli: Cli) -> None:
    business.write(PROFILE.replace('channel = "email"', 'channel = "email"\nwhere = "id == \'1\'"'))
    done = cli("explain", "birthday", "Bruno Costa", "--on", DAY, "--json")
    assert done.code == 0
    assert done.json["person"] == "2"
    checks = {item["check"]: item["passes"] for item in done.json["items"]}
    assert checks["birthday"] is True
    assert checks["audience active"] is True
    assert checks["audience person"] is True
    assert checks["where"] is False
    assert checks["email for email"] is False
    assert done.json["verdict"] == "excluded"


def test_explain_knows_the_past_and_the_next_time(shop: Business, cli: Cli) -> None:
    cli("run", "--now", NOW)
    done = cli("explain", "birthday", "ana@example.com", "--now", f"{DAY}T11:00", "--json")
    assert [message["state"] for message in done.json["messages"]] == ["sent"]
    assert done.json["next_slot"] == "2027-12-24T09:30"
    text = cli("explain", "birthday", "1", "--now", f"{DAY}T11:00").out
    assert "next: 2027-12-24 09:30" in text


def test_explain_finds_nobody_where_there_is_nobody(business: Business, cli: Cli) -> None:
    done = cli("explain", "birthday", "Zoe", "--json")
    assert (done.code, done.error["kind"]) == (5, "not_found")


def test_explain_asks_which_of_two(business: Business, cli: Cli) -> None:
    business.write(customers=CUSTOMERS + "7;Ana Silva;02/02/1990;other@example.com;;person;active\n")
    done = cli("explain", "birthday", "ana silva", "--json")
    assert done.code == 2
    assert "1 (Ana Silva), 7 (Ana Silva)" in done.error["hint"]


def test_explain_says_that_a_model_is_off(shop: Business, cli: Cli) -> None:
    cli("models", "disable", "birthday")
    done = cli("explain", "birthday", "1", "--json")
    assert done.json["next"] is None
    assert any(item["check"] == "enabled" and item["passes"] is False for item in done.json["items"])
