"""``automate run``."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from libax_automate.testing.service import Fault
from tests.cli.business import DAY, NO_BALANCE, NOW, PROFILE, Business
from tests.conftest import Cli, RunProcess


def test_a_pass_sends_what_is_due_and_its_json_says_so(shop: Business, cli: Cli) -> None:
    done = cli("run", "--now", NOW, "--json")
    assert done.code == 0
    assert done.json["sent"] == 5
    assert done.json["waiting"] == 0
    assert done.json["halted"] == []
    tasks = {task["model"]: task for task in done.json["items"]}
    assert tasks["birthday"] | {"id": ""} == {
        "id": "", "profile": "padaria", "model": "birthday", "slot": f"{DAY}T09:30", "state": "done", "planned": 4, "excluded": 2,
        "queued": 2, "sent": 2, "failed": 0, "bad_rows": 0, "reason": "",
    }  # fmt: skip
    assert re.fullmatch(r"T\d+", tasks["birthday"]["id"])
    assert len(shop.mails()) == 2
    assert shop.texts() == ["+351912345671", "+351912345672", "+351912345673"]


def test_a_second_pass_sends_nothing(shop: Business, cli: Cli) -> None:
    cli("run", "--now", NOW)
    again = cli("run", "--now", f"{DAY}T11:00", "--json")
    assert (again.code, again.json["items"], again.json["sent"]) == (0, [], 0)
    assert len(shop.mails()) == 2


def test_without_a_terminal_it_is_silent_when_all_is_well(shop: Business, cli: Cli) -> None:
    done = cli("run", "--now", NOW)
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.req("LX-61", "LX-63")
def test_an_empty_account_halts_its_app_alone_and_is_told_once(shop: Business, cli: Cli) -> None:
    shop.answers(NO_BALANCE)
    first = cli("run", "--now", NOW)
    assert first.code == 3
    assert len(first.out.splitlines()) == 1
    assert "sms" in first.out
    assert "automate queue clear" in first.out
    assert len(shop.mails()) == 2
    again = cli("run", "--now", f"{DAY}T10:01")
    assert (again.code, again.out, again.err) == (3, "", "")
    assert cli("run", "--now", f"{DAY}T10:02", "--json").json["halted"] == ["sms"]
    assert len(shop.gateway.requests) == 1


def test_one_model_alone(shop: Business, cli: Cli) -> None:
    done = cli("run", "--model", "birthday", "--now", NOW, "--json")
    assert [task["model"] for task in done.json["items"]] == ["birthday"]
    assert shop.texts() == []


def test_a_model_that_does_not_exist_is_named_with_a_guess(shop: Business, cli: Cli) -> None:
    done = cli("run", "--model", "brithday", "--json")
    assert done.code == 5
    assert done.error["kind"] == "not_found"
    assert "birthday" in done.error["hint"]


def test_a_second_run_at_the_same_time_names_the_first(
    shop: Business, start_process: Callable[..., subprocess.Popen[str]], cli: Cli
) -> None:
    shop.answers(Fault.HANG)
    first = start_process("run", "--now", NOW)
    deadline = time.monotonic() + 30
    while not shop.gateway.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    second = cli("run", "--json")
    assert second.code == 11
    assert second.error["kind"] == "locked"
    assert str(first.pid) in second.error["message"]


def test_sigterm_lets_what_is_in_flight_finish_and_leaves_the_rest_waiting(
    shop: Business, start_process: Callable[..., subprocess.Popen[str]], cli: Cli
) -> None:
    def slow(_request: object) -> object:
        time.sleep(1.0)
        from libax_automate.testing.service import Reply

        return Reply(200, {})

    shop.answers(slow)  # type: ignore[arg-type]
    process = start_process("run", "--now", NOW, "--json")
    deadline = time.monotonic() + 30
    while not shop.gateway.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    assert process.returncode == 143
    queue = {item["app"]: item for item in cli("queue", "list", "--json").json["items"]}
    assert queue["sms"]["sending"] == queue["sms"]["in_doubt"] == 0
    assert queue["sms"]["sent"] == len(shop.gateway.requests)
    assert queue["sms"]["waiting"] == 3 - queue["sms"]["sent"] > 0


def test_now_is_the_profiles_wall_time(shop: Business, cli: Cli) -> None:
    shop.write(PROFILE.replace("Europe/Lisbon", "America/Sao_Paulo"))
    assert cli("run", "--now", f"{DAY}T09:29", "--json").json["items"] == []
    assert cli("run", "--now", f"{DAY}T12:31:00Z", "--json").json["sent"] == 2  # 09:31 there


def test_a_moment_that_is_none_is_a_usage_error(shop: Business, cli: Cli) -> None:
    done = cli("run", "--now", "tomorrow", "--json")
    assert (done.code, done.error["code"]) == (2, 2)


def test_a_loop_does_what_is_due_and_ends_when_told(shop: Business, start_process: Callable[..., subprocess.Popen[str]]) -> None:
    process = start_process("run", "--loop", "--now", NOW)
    deadline = time.monotonic() + 30
    while len(shop.mails()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert len(shop.mails()) == 2


def test_a_loop_takes_no_model(shop: Business, cli: Cli) -> None:
    assert cli("run", "--loop", "--model", "birthday").code == 2


def test_the_program_runs_as_a_process_of_its_own(shop: Business, run_process: RunProcess) -> None:
    done = run_process("run", "--now", NOW, "--json", LANG="C", COLUMNS="40")
    assert done.code == 0
    assert done.json["sent"] == 5


def test_ctrl_c_ends_with_130(shop: Business, start_process: Callable[..., subprocess.Popen[str]], home: Path) -> None:
    shop.answers(Fault.HANG)
    process = start_process("run", "--now", NOW)
    deadline = time.monotonic() + 30
    while not shop.gateway.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    assert process.wait(timeout=30) == 130
