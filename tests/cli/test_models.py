"""``automate models``, ``calendar``, ``status``, ``report``."""

from __future__ import annotations

import pytest

from tests.cli.business import DAY, NO_BALANCE, NOW, PROFILE, Business
from tests.conftest import Cli


def test_models_are_listed_with_their_schedule_and_way(business: Business, cli: Cli) -> None:
    items = {item["model"]: item for item in cli("models", "list", "--now", NOW, "--json").json["items"]}
    assert items["birthday-sms"] | {"last": None} == {
        "model": "birthday-sms", "profile": "padaria", "use": "birthday", "description": "", "enabled": True, "schedule": "09:35 daily", "source": "people",
        "channel": "sms", "app": "sms", "audience": ["person"], "next": "2026-12-25T09:35:00Z", "last": None, "last_slot": None,
        "last_state": None,
    }  # fmt: skip


@pytest.mark.req("LX-53")
def test_the_fields_of_a_model_are_listed_with_a_sample(business: Business, cli: Cli) -> None:
    fields = {item["field"]: item["sample"] for item in cli("models", "fields", "birthday", "--json").json["items"]}
    assert fields["first_name"] == "Ana"
    assert fields["age"] == "46"
    assert "{{ first_name }}" in cli("models", "fields", "birthday").out


def test_a_model_is_switched_off_and_on_again(shop: Business, cli: Cli) -> None:
    off = cli("models", "disable", "birthday", "--json")
    assert off.json == {"model": "birthday", "profile": "padaria", "enabled": False, "changed": True}
    assert cli("models", "disable", "birthday", "--json").json["changed"] is False
    cli("run", "--now", NOW)
    assert shop.mails() == []
    assert cli("models", "enable", "birthday", "--now", f"{DAY}T12:00", "--json").json["changed"] is True
    cli("run", "--now", f"{DAY}T12:05")
    assert shop.mails() == []  # what was missed while it was off is not made up for


def test_a_model_runs_by_hand_and_nobody_hears_twice(shop: Business, cli: Cli) -> None:
    done = cli("models", "run", "birthday", "--now", f"{DAY}T08:30", "--json")
    assert (done.code, done.json["sent"]) == (0, 2)
    assert cli("run", "--model", "birthday", "--now", NOW, "--json").json["sent"] == 0
    assert len(shop.mails()) == 2


# calendar


@pytest.mark.req("IC-25")
def test_a_calendar_shows_what_fires_and_what_collides(business: Business, cli: Cli) -> None:
    business.write(PROFILE.replace('at = "09:35"', 'at = "09:30"'))
    done = cli("calendar", "2026-12", "--json").json
    assert len(done["items"]) == 62
    assert done["items"][0] == {
        "at": "2026-12-01T09:30:00Z", "slot": "2026-12-01T09:30", "profile": "padaria", "model": "birthday", "collides": True, "note": "",
    }  # fmt: skip
    assert "collides with another model" in cli("calendar", "2026-12").out


def test_a_calendar_names_the_nights_on_which_clocks_change(business: Business, cli: Cli) -> None:
    business.write(PROFILE.replace('at = "09:35"', 'at = "01:30"'))
    done = cli("calendar", "2027-03", "--json").json
    assert [change["day"] for change in done["changes"]] == ["2027-03-28"]
    assert any("does not exist" in item["note"] for item in done["items"])
    assert "2027-03-28" in cli("calendar", "2027-03").out


def test_a_month_that_is_none_is_2(business: Business, cli: Cli) -> None:
    assert cli("calendar", "2026-13").code == 2


# status


def test_status_before_anything_ran(business: Business, cli: Cli) -> None:
    done = cli("status", "--json").json
    assert (done["waiting"], done["halted"], done["last_run"]) == (0, [], None)
    assert done["next_run"]
    assert {item["app"] for item in done["items"]} == {"mail", "sms"}


def test_status_says_what_halted_and_when_it_ran(shop: Business, cli: Cli) -> None:
    shop.answers(NO_BALANCE)
    cli("run", "--now", NOW)
    done = cli("status", "--now", NOW, "--json").json
    assert done["halted"] == ["sms"]
    assert done["waiting"] == 2
    assert done["last_run"] == f"{DAY}T10:00:00Z"
    assert done["next_run"] == "2026-12-25T09:30:00Z"
    text = cli("status", "--now", NOW).out
    assert "automate queue clear" in text
    assert "next run: 2026-12-25T09:30 birthday" in text


# report


@pytest.mark.req("LX-58")
def test_the_report_of_a_week(shop: Business, cli: Cli) -> None:
    cli("run", "--now", NOW)
    shown = cli("report", "--week", "2026-W52", "--json").json["items"][0]
    assert (shown["first"], shown["last"], shown["queued"]) == ("2026-12-21", "2026-12-27", None)
    assert "birthday" in shown["text"]
    assert "<" in cli("report", "--week", "2026-W52", "--html").out
    assert cli("report", "--week", "52").code == 2
    assert cli("report", "--week", "2026-W52", "--send").code == 2  # notifies nobody


def test_the_report_is_sent_once(business: Business, cli: Cli) -> None:
    business.write(PROFILE.replace('activation = "immediate"', 'activation = "immediate"\nnotify = ["admin@example.com"]'))
    cli("run", "--now", f"{DAY}T08:00")
    assert cli("report", "--send", "--week", "2026-W51", "--now", NOW, "--json").json["items"][0]["queued"] == 1
    assert cli("report", "--send", "--week", "2026-W51", "--now", NOW, "--json").json["items"][0]["queued"] == 0
    cli("run", "--model", "birthday-sms", "--now", NOW)
    assert any("admin@example.com" in mail.read_text(encoding="utf-8") for mail in business.mails())


def test_a_report_before_anything_ran_is_5(business: Business, cli: Cli) -> None:
    assert cli("report").code == 5
