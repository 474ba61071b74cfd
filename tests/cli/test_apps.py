"""``automate apps``, ``connectors``, ``plugins`` and ``suppress``."""

from __future__ import annotations

from email import message_from_bytes
from pathlib import Path

import pytest

from tests.cli.business import DAY, NO_BALANCE, NOW, PROFILE, Business
from tests.conftest import Cli


@pytest.mark.req("LX-13", "LX-14")
def test_apps_show_the_defaults_and_what_waits(shop: Business, cli: Cli) -> None:
    shop.answers(NO_BALANCE)
    cli("run", "--now", NOW)
    apps = {item["app"]: item for item in cli("apps", "list", "--json").json["items"]}
    assert (apps["sms"]["default"], apps["sms"]["waiting"], apps["sms"]["state"]) == (["sms"], 2, "halted")
    assert (apps["mail"]["default"], apps["mail"]["waiting"], apps["mail"]["state"]) == (["email"], 0, "running")
    assert apps["people"]["capabilities"] == ["source"]


@pytest.mark.req("LX-15")
def test_without_a_default_the_free_plan_is_listed(business: Business, cli: Cli) -> None:
    business.write(PROFILE.replace('email = "mail"\n', ""))
    apps = {item["app"]: item for item in cli("apps", "list", "--json").json["items"]}
    assert apps["free-plan"]["default"] == ["email"]


def test_an_app_is_tried_without_and_with_a_message(business: Business, cli: Cli) -> None:
    assert cli("apps", "test", "mail").code == 0
    assert business.mails() == []
    assert not (business.folder / "state").exists()
    done = cli("apps", "test", "mail", "--to", "Me@Example.com")
    assert done.code == 0
    assert "in no queue" in done.out
    assert "Test" in message_from_bytes(business.mails()[0].read_bytes())["Subject"]
    assert cli("apps", "test", "sms", "--to", "912 345 678", "--json").json["to"] == "+351912345678"
    assert business.texts() == ["+351912345678"]
    assert cli("queue", "show", "sms", "--json").json["items"] == []


def test_what_a_test_cannot_do_is_said(business: Business, cli: Cli) -> None:
    assert cli("apps", "test", "people", "--to", "a@example.com").code == 2
    assert cli("apps", "test", "sms", "--to", "a@example.com").code == 2
    assert cli("apps", "test", "sms", "--to", "12").code == 2
    assert cli("apps", "templates", "mail").code == 2
    business.answers(NO_BALANCE)
    done = cli("apps", "test", "sms", "--to", "912345678", "--json")
    assert (done.code, done.error["kind"]) == (78, "account")


# connectors and plugins


@pytest.mark.req("LX-08", "LX-11")
def test_connectors_show_what_they_can_and_how_to_get_credentials(home: Path, cli: Cli) -> None:
    listed = {item["name"]: item for item in cli("connectors", "list", "--json").json["items"]}
    assert {"csv", "folder", "http", "smtp", "webhook"} <= set(listed)
    assert listed["smtp"]["capabilities"] == ["email"] or "email" in listed["smtp"]["capabilities"]
    shown = cli("connectors", "show", "smtp", "--json").json
    options = {option["option"]: option for option in shown["options"]}
    assert options["password"]["type"] == "secret"
    assert options["host"]["description"]
    assert "Credentials" in cli("connectors", "show", "smtp").out


def test_a_connector_that_is_not_installed_is_named_with_a_guess(home: Path, cli: Cli) -> None:
    done = cli("connectors", "show", "smpt", "--json")
    assert done.code == 5
    assert "smtp" in done.error["message"]


def test_plugins_are_listed_by_kind(home: Path, cli: Cli) -> None:
    kinds = {item["name"]: item["kind"] for item in cli("plugins", "list", "--json").json["items"]}
    assert (kinds["csv"], kinds["birthday"]) == ("connector", "model")


def test_a_plugin_package_is_written(home: Path, cli: Cli) -> None:
    done = cli("plugins", "new", "connector", "postbox", "--json")
    assert done.code == 0
    assert all(Path(name).is_file() for name in done.json["files"])
    assert cli("plugins", "new", "model", "quiet-customers").code == 0
    assert cli("plugins", "new", "sandwich", "x").code == 2


# suppress


def test_whoever_is_on_the_list_is_not_written_to(shop: Business, cli: Cli) -> None:
    assert cli("suppress", "add", "ANA@example.com", "--reason", "asked not to").code == 0
    assert cli("suppress", "add", "ana@example.com", "--json").json == {"profile": "padaria", "added": [], "known": 1}
    plan = cli("plan", "birthday", "--on", DAY, "--json").json["items"]
    assert next(item["reason"] for item in plan if item["person"] == "1") == "asked not to"
    cli("run", "--now", NOW)
    assert len(shop.mails()) == 1
    listed = cli("suppress", "list", "--json").json["items"]
    assert listed == [{"profile": "padaria", "address": "ana@example.com", "channel": "all", "reason": "asked not to"}]
    assert cli("suppress", "remove", "ana@example.com", "--json").json["removed"] == 1
    assert cli("suppress", "list").out == "nobody is on the list\n"


def test_a_list_is_imported_and_bad_lines_are_named(business: Business, cli: Cli) -> None:
    file = business.folder / "stop.csv"
    file.write_text("address;since\na@example.com;2026\n912345678;2026\nnonsense;2026\n", encoding="utf-8")
    done = cli("suppress", "import", file, "--json")
    assert done.code == 0
    assert done.json["added"] == ["a@example.com", "+351912345678"]
    assert "stop.csv:4" in done.err
    assert cli("suppress", "import", business.folder / "none.csv").code == 65
    assert cli("suppress", "add", "nonsense").code == 2
    assert cli("suppress", "add", "a@example.com", "--channel", "pigeon").code == 2
