"""``automate errors``: what halts an app, and the three ways out."""

from __future__ import annotations

import pytest

from libax_automate.testing.service import Fault, Reply
from tests.cli.business import BAD_NUMBER, DAY, NO_BALANCE, NOW, Business
from tests.conftest import Cli

LATER = f"{DAY}T10:30"


def test_an_error_names_app_class_cause_age_and_what_waits(shop: Business, cli: Cli) -> None:
    shop.answers(NO_BALANCE)
    cli("run", "--now", NOW)
    items = cli("errors", "list", "--json").json["items"]
    assert len(items) == 1
    error = items[0]
    assert set(error) >= {"id", "app", "class", "cause", "since", "message", "messages", "waiting", "hint", "profile"}
    assert (error["id"], error["app"], error["class"], error["waiting"]) == ("E1", "sms", "account", 2)
    assert error["since"] == f"{DAY}T10:00:00Z"
    assert error["messages"] == [error["message"]]
    assert cli("errors", "list", "--app", "mail", "--json").json["items"] == []
    assert "E1" in cli("errors", "list", "--app", "sms").out


def test_show_gives_the_ways_out(shop: Business, cli: Cli) -> None:
    shop.answers(BAD_NUMBER)
    cli("run", "--now", NOW)
    text = cli("errors", "show", "1").out
    assert "automate errors retry E1" in text
    assert "+351912345671" in text
    assert cli("errors", "show", "E1", "--json").json["held"][0]["person"] == "1"


@pytest.mark.req("LX-64")
def test_retry_sends_it_again_and_the_rest_follows(shop: Business, cli: Cli) -> None:
    shop.answers([NO_BALANCE, Reply(200, {})])
    cli("run", "--now", NOW)
    done = cli("errors", "retry", "E1", "--json")
    assert done.code == 0
    assert done.json["items"][0]["state"] == "closed"
    assert cli("run", "--now", LATER).code == 0
    assert shop.texts() == ["+351912345671", "+351912345671", "+351912345672", "+351912345673"]


@pytest.mark.req("LX-65")
def test_skip_leaves_one_message_out_and_goes_on(shop: Business, cli: Cli) -> None:
    shop.answers([BAD_NUMBER, Reply(200, {})])
    cli("run", "--now", NOW)
    assert cli("errors", "skip", "e1").code == 0
    assert cli("run", "--now", LATER).code == 0
    assert shop.texts() == ["+351912345671", "+351912345672", "+351912345673"]
    skipped = cli("queue", "show", "sms", "--state", "skipped", "--json").json["items"]
    assert [item["person"] for item in skipped] == ["1"]


def test_sent_marks_what_did_arrive(shop: Business, cli: Cli) -> None:
    shop.answers([Fault.HANG_UP, Reply(200, {})])
    cli("run", "--now", NOW)
    error = cli("errors", "list", "--json").json["items"][0]
    assert error["class"] == "in_doubt"
    assert "automate errors sent" in cli("errors", "show", error["id"]).out
    assert cli("errors", "sent", error["id"]).code == 0
    assert cli("run", "--now", LATER).code == 0
    # asked once for each: nothing in doubt was sent again
    assert shop.texts() == ["+351912345671", "+351912345672", "+351912345673"]


def test_a_verb_repeated_says_so_and_harms_nothing(shop: Business, cli: Cli) -> None:
    shop.answers(NO_BALANCE)
    cli("run", "--now", NOW)
    cli("errors", "retry", "E1")
    again = cli("errors", "skip", "E1", "--json")
    assert again.code == 0
    assert again.json["items"][0] | {"app": ""} == {
        "id": "E1", "profile": "padaria", "app": "", "verb": "skip", "messages": [], "changed": False, "state": "closed", "resolution": "retry",
    }  # fmt: skip
    assert "resolved already" in cli("errors", "skip", "E1").out


def test_all_open_errors_at_once(shop: Business, cli: Cli) -> None:
    shop.answers(BAD_NUMBER)
    cli("run", "--now", NOW)
    done = cli("errors", "skip", "--all", "--json")
    assert [item["id"] for item in done.json["items"]] == ["E1"]
    assert cli("errors", "skip", "--all", "--json").json["items"] == []


def test_one_message_of_an_error(shop: Business, cli: Cli) -> None:
    shop.answers(BAD_NUMBER)
    cli("run", "--now", NOW)
    message = cli("errors", "list", "--json").json["items"][0]["message"]
    assert cli("errors", "skip", "E1", "--message", "M1").code == 5
    assert cli("errors", "skip", "--message", message).code == 0
    assert cli("errors", "list", "--json").json["items"] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("retry",), 2),
        (("retry", "E9"), 5),
        (("show", "T1"), 2),
        (("show", "x"), 2),
        (("retry", "E1", "--all"), 2),
        (("list", "--app", "no"), 5),
    ],
)
def test_what_does_not_exist_or_makes_no_sense(shop: Business, cli: Cli, arguments: tuple[str, ...], code: int) -> None:
    done = cli("errors", *arguments, "--json")
    assert done.code == done.error["code"] == code
    assert done.error["hint"]


def test_no_errors_is_an_answer(business: Business, cli: Cli) -> None:
    assert cli("errors", "list").out == "no errors\n"
    assert cli("errors", "list", "--json").json == {"items": []}
