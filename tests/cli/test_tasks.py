"""``automate tasks``: history and counter."""

from __future__ import annotations

import pytest

from tests.cli.business import DAY, NOW, Business
from tests.conftest import Cli


@pytest.mark.req("LX-32", "LX-59")
def test_the_history_lists_tasks_newest_first(shop: Business, cli: Cli) -> None:
    cli("run", "--now", NOW)
    items = cli("tasks", "list", "--json").json["items"]
    assert [(item["model"], item["slot"], item["state"]) for item in items] == [
        ("birthday-sms", f"{DAY}T09:35", "done"),
        ("birthday", f"{DAY}T09:30", "done"),
    ]
    assert items[0]["started"] == f"{DAY}T10:00:00Z"
    assert [item["model"] for item in cli("tasks", "list", "--model", "birthday", "--json").json["items"]] == ["birthday"]
    assert cli("tasks", "list", "--state", "failed", "--json").json["items"] == []
    assert cli("tasks", "list", "--state", "gone").code == 2


@pytest.mark.req("LX-56")
def test_a_task_remembers_who_was_left_out_and_why(shop: Business, cli: Cli) -> None:
    cli("run", "--now", NOW)
    task = cli("tasks", "list", "--model", "birthday", "--json").json["items"][0]["id"]
    remarks = cli("tasks", "show", task, "--json").json["remarks"]
    assert [(remark["person"], remark["what"]) for remark in remarks] == [("2", "no e-mail"), ("4", "a company")]
    assert "a company" in cli("tasks", "show", task.lower()).out


@pytest.mark.req("LX-33")
def test_the_counter_starts_again_with_the_month(shop: Business, cli: Cli) -> None:
    cli("run", "--now", NOW)
    found = cli("tasks", "counter", "--now", "2026-12-31T23:59", "--json").json["items"]
    assert found == [{"profile": "padaria", "month": "2026-12", "tasks": 2, "current": True}]
    next_year = cli("tasks", "counter", "--now", "2027-01-01T00:00", "--json").json["items"]
    assert [(item["month"], item["tasks"]) for item in next_year] == [("2027-01", 0), ("2026-12", 2)]
    assert cli("tasks", "counter", "--month", "December").code == 2


def test_a_failed_task_runs_again_when_a_person_says_so(shop: Business, cli: Cli) -> None:
    text = shop.customers.read_text(encoding="utf-8")
    shop.customers.unlink()
    failed = cli("run", "--model", "birthday", "--now", NOW)
    assert failed.code == 3
    assert "automate tasks retry" in failed.out
    task = cli("tasks", "list", "--model", "birthday", "--json").json["items"][0]
    assert task["state"] == "failed"
    assert "people.csv" in task["reason"]
    shop.customers.write_text(text, encoding="utf-8")
    assert cli("tasks", "retry", task["id"], "--json").json["items"][0]["changed"] is True
    assert cli("run", "--model", "birthday", "--now", f"{DAY}T10:05").code == 0
    assert len(shop.mails()) == 2
    again = cli("tasks", "retry", task["id"])
    assert again.code == 0
    assert "nothing to do" in again.out


def test_a_task_can_be_called_off(shop: Business, cli: Cli) -> None:
    shop.customers.unlink()
    cli("run", "--model", "birthday", "--now", NOW)
    task = cli("tasks", "list", "--model", "birthday", "--json").json["items"][0]["id"]
    assert cli("tasks", "cancel", task).code == 0
    assert cli("tasks", "show", task, "--json").json["state"] == "cancelled"
    assert cli("tasks", "cancel", "T99").code == 5
