"""``automate queue``: what waits, and the one door."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.business import BAD_NUMBER, DAY, NO_BALANCE, NOW, Business
from tests.conftest import Cli

LATER = f"{DAY}T10:30"


@pytest.fixture
def stuck(shop: Business, cli: Cli) -> Business:
    """The gateway's account is empty: one text failed, two wait."""
    shop.answers(NO_BALANCE)
    assert cli("run", "--now", NOW).code == 3
    return shop


def queues(cli: Cli) -> dict[str, dict[str, Any]]:
    items: list[dict[str, Any]] = cli("queue", "list", "--json").json["items"]
    return {item["app"]: item for item in items}


def test_every_app_that_sends_is_listed_before_anything_ran(business: Business, cli: Cli) -> None:
    assert {name: item["state"] for name, item in queues(cli).items()} == {"mail": "running", "sms": "running"}
    assert not (business.folder / "state").exists()


def test_what_waits_and_what_is_stuck_is_counted(stuck: Business, cli: Cli) -> None:
    sms = queues(cli)["sms"]
    assert {key: sms[key] for key in ("state", "waiting", "sending", "in_doubt", "failed", "sent")} == {
        "state": "halted", "waiting": 2, "sending": 0, "in_doubt": 0, "failed": 1, "sent": 0,
    }  # fmt: skip
    assert sms["oldest"] == f"{DAY}T10:00:00Z"
    text = cli("queue", "list").out
    assert "halted" in text
    assert "E1: " in text


def test_show_lists_messages_in_the_order_in_which_they_leave(stuck: Business, cli: Cli) -> None:
    items = cli("queue", "show", "sms", "--json").json["items"]
    assert [(item["person"], item["state"]) for item in items] == [("1", "failed"), ("2", "waiting"), ("3", "waiting")]
    assert set(items[0]) >= {"id", "model", "person", "to", "state", "attempts", "not_before", "reason"}
    assert items[0]["attempts"] == 1


def test_show_tells_all_about_one_message(stuck: Business, cli: Cli) -> None:
    id_ = cli("queue", "show", "sms", "--json").json["items"][0]["id"]
    done = cli("queue", "show", id_, "--json").json
    assert done["payload"]["text"] == "Happy birthday, Ana!"
    assert [attempt["outcome"] for attempt in done["tries"]] == ["account"]
    assert "Happy birthday, Ana!" in cli("queue", "show", id_.lower()).out


@pytest.mark.req("LX-66")
def test_clear_cancels_what_waits_leaves_the_error_and_can_be_undone(stuck: Business, cli: Cli) -> None:
    done = cli("queue", "clear", "sms", "--yes", "--json")
    assert done.code == 0
    assert done.json["items"] == [{"app": "sms", "profile": "padaria", "cleared": 2, "batch": "B1"}]
    assert (queues(cli)["sms"]["waiting"], queues(cli)["sms"]["failed"]) == (0, 1)
    assert len(cli("errors", "list", "--json").json["items"]) == 1
    back = cli("queue", "restore", "B1", "--json")
    assert (back.code, back.json["restored"]) == (0, 2)
    assert queues(cli)["sms"]["waiting"] == 2
    assert cli("queue", "restore", "b1", "--json").json["restored"] == 0
    assert cli("queue", "restore", "B9").code == 5


@pytest.mark.req("LX-67")
def test_days_old_messages_are_cleared_and_the_error_resolved_in_one_go(stuck: Business, cli: Cli) -> None:
    stuck.answers(NO_BALANCE)
    young = cli("queue", "clear", "sms", "--older-than", "2d", "--yes", "--now", LATER, "--json")
    assert young.json["items"][0]["cleared"] == 0
    old = cli("queue", "clear", "sms", "--older-than", "2d", "--error", "E1", "--skip", "--yes", "--now", "2026-12-27T10:00", "--json")
    assert old.code == 0
    assert old.json["items"][0]["cleared"] == 2
    assert old.json["errors"][0]["state"] == "closed"
    assert queues(cli)["sms"]["state"] == "running"


def test_clear_by_model(stuck: Business, cli: Cli) -> None:
    assert cli("queue", "clear", "--model", "birthday", "--yes", "--json").json["items"] == []
    found = cli("queue", "clear", "--model", "birthday-sms", "--yes", "--json").json["items"]
    assert [(item["app"], item["cleared"]) for item in found] == [("sms", 2)]


def test_clear_asks_nobody_where_nobody_is(stuck: Business, cli: Cli) -> None:
    for arguments in (("sms",), ("--older-than", "0s"), ()):
        done = cli("queue", "clear", *arguments, "--now", "2026-12-27T10:00", "--json")
        assert (done.code, done.error["kind"]) == (2, "usage")
    assert queues(cli)["sms"]["waiting"] == 2


@pytest.mark.parametrize("flags", [("--retry",), ("--error", "E1"), ("--error", "E1", "--retry", "--skip")])
def test_clear_refuses_what_contradicts_itself(stuck: Business, cli: Cli, flags: tuple[str, ...]) -> None:
    assert cli("queue", "clear", *flags).code == 2


@pytest.mark.req("LX-64")
def test_an_error_is_resolved_through_the_one_door(stuck: Business, cli: Cli) -> None:
    from libax_automate.testing.service import Reply

    stuck.answers(Reply(200, {}))
    assert cli("queue", "clear", "--error", "E1", "--retry").code == 0
    assert cli("run", "--now", LATER).code == 0
    assert queues(cli)["sms"]["sent"] == 3


def test_pause_and_resume_are_repeat_safe_and_known_before_the_first_message(business: Business, cli: Cli) -> None:
    assert cli("queue", "pause", "sms", "--json").json["changed"] is True
    assert cli("queue", "pause", "sms", "--json").json["changed"] is False
    assert queues(cli)["sms"]["state"] == "paused"
    assert cli("queue", "resume", "sms", "--json").json["changed"] is True
    assert cli("queue", "resume", "sms").code == 0
    assert queues(cli)["sms"]["state"] == "running"


def test_a_paused_app_sends_nothing_and_others_do(shop: Business, cli: Cli) -> None:
    cli("queue", "pause", "sms")
    cli("run", "--now", NOW)
    assert (len(shop.mails()), shop.texts()) == (2, [])
    cli("queue", "resume", "sms")
    cli("run", "--now", LATER)
    assert len(shop.texts()) == 3


def test_an_app_that_does_not_exist_is_5(business: Business, cli: Cli) -> None:
    done = cli("queue", "show", "smss", "--json")
    assert (done.code, done.error["hint"]) == (5, "did you mean 'sms'?")


def test_a_broken_profile_keeps_no_admin_from_the_queue(stuck: Business, cli: Cli) -> None:
    stuck.profile.write_text("name = ", encoding="utf-8")
    assert queues(cli)["sms"]["waiting"] == 2
    assert cli("queue", "clear", "sms", "--yes").code == 0
    assert cli("errors", "skip", "E1").code == 0


# the one door, with a person before it


def at_terminal(typed: str, *arguments: str) -> tuple[int, str]:
    """Run the program on a pseudo-terminal, type, and read the screen."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "libax_automate", *arguments], stdin=slave, stdout=slave, stderr=slave, close_fds=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"},
    )  # fmt: skip
    os.close(slave)
    os.write(master, typed.encode())
    screen = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        screen += part
    os.close(master)
    return process.wait(timeout=30), screen.decode("utf-8", "replace")


@pytest.mark.req("LX-64", "LX-67")
def test_an_admin_walks_through_what_has_stopped(stuck: Business, cli: Cli, home: Path) -> None:
    code, screen = at_terminal("clear\n\nyes\nretry\n", "queue", "clear", "--now", "2026-12-27T10:00")
    assert code == 0, screen
    assert "E1 account" in screen
    assert "2 waiting behind" in screen
    assert "clear first" in screen
    assert "automate queue restore B1" in screen
    assert "will be tried again" in screen
    sms = queues(cli)["sms"]
    assert (sms["state"], sms["waiting"], sms["failed"]) == ("running", 1, 0)


def test_leaving_changes_nothing(stuck: Business, cli: Cli) -> None:
    before = queues(cli)
    code, _ = at_terminal("\n", "queue", "clear")
    assert code == 0
    assert queues(cli) == before


@pytest.mark.req("LX-65")
def test_a_bad_number_is_skipped_and_the_rest_goes_on(shop: Business, cli: Cli) -> None:
    from libax_automate.testing.service import Reply

    shop.answers([BAD_NUMBER, Reply(200, {})])
    assert cli("run", "--now", NOW).code == 3
    code, screen = at_terminal("skip\n", "queue", "clear")
    assert code == 0, screen
    assert "E1 recipient" in screen
    assert cli("run", "--now", LATER).code == 0
    assert shop.texts() == ["+351912345671", "+351912345672", "+351912345673"]


def test_a_clear_on_a_terminal_is_confirmed(stuck: Business, cli: Cli) -> None:
    assert at_terminal("no\n", "queue", "clear", "sms")[0] == 0
    assert queues(cli)["sms"]["waiting"] == 2
    assert at_terminal("y\n", "queue", "clear", "sms")[0] == 0
    assert queues(cli)["sms"]["waiting"] == 0


def test_on_a_terminal_lists_are_tables(stuck: Business) -> None:
    code, screen = at_terminal("", "queue", "list")
    assert code == 0
    assert "halted" in screen
    assert "\u2500" in screen or "---" in screen
