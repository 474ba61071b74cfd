"""``automate db`` and ``automate doctor``."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.cli.business import DAY, EARLY, NO_BALANCE, NOW, Business
from tests.conftest import Cli


@pytest.fixture
def file(business: Business) -> Path:
    return business.folder / "state" / "automate.db"


def test_info_and_check(shop: Business, cli: Cli, file: Path) -> None:
    cli("run", "--now", NOW)
    info = cli("db", "info", "--json").json
    assert (info["path"], info["messages"], info["schema"]) == (str(file), {"sent": 5}, info["latest_schema"])
    assert cli("db", "check", "--json").json == {"items": [], "sound": True}


def test_without_a_database_the_answer_is_5(business: Business, cli: Cli) -> None:
    for verb in ("info", "check", "vacuum", "migrate"):
        assert cli("db", verb).code == 5
    assert cli("db", "backup", "x.db").code == 5


def test_a_restored_backup_is_fenced_until_a_person_resumes(shop: Business, cli: Cli, file: Path) -> None:
    assert cli("db", "backup", "early.db").code == 0
    assert cli("db", "backup", "early.db").code == 2
    assert (shop.folder / "early.db").stat().st_mode & 0o777 == 0o600
    cli("run", "--now", NOW)
    restored = cli("db", "restore", "early.db", "--json")
    assert restored.code == 0
    assert Path(restored.json["kept"]).exists()
    # what has left already would leave again: nothing leaves
    assert cli("run", "--now", f"{DAY}T10:05").code == 3
    assert len(shop.mails()) == 2
    assert cli("status", "--json").json["fence"]
    assert cli("queue", "resume", "--json").json["changed"] is True
    assert cli("run", "--now", f"{DAY}T10:10", "--json").json["sent"] == 5


def test_what_is_no_backup_is_refused_and_nothing_is_lost(shop: Business, cli: Cli, file: Path) -> None:
    (shop.folder / "junk.db").write_bytes(b"not a database at all" * 100)
    before = file.read_bytes()
    assert cli("db", "restore", "junk.db").code == 74
    assert cli("db", "restore", "missing.db").code == 5
    assert file.read_bytes() == before


def test_vacuum_and_migrate_leave_what_matters(shop: Business, cli: Cli) -> None:
    cli("run", "--now", NOW)
    assert cli("db", "vacuum", "--older-than", "1d", "--now", "2027-03-01T10:00", "--json").json["forgotten"] == 5
    migrated = cli("db", "migrate", "--json").json
    assert migrated["before"] == migrated["after"]
    # the keys stay: nobody hears twice
    assert cli("models", "run", "birthday", "--now", f"{DAY}T11:00", "--json").json["sent"] == 0


def test_a_damaged_database_is_74(shop: Business, cli: Cli, file: Path) -> None:
    file.write_bytes(b"garbage" * 1000)
    for suffix in ("-wal", "-shm", "-journal"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    for arguments in (("queue", "list"), ("run",), ("status",)):
        done = cli(*arguments, "--json")
        assert (done.code, done.error["kind"]) == (74, "store")
    assert cli("doctor").code == 74


def test_a_database_of_a_newer_program_is_refused(shop: Business, cli: Cli, file: Path) -> None:
    with sqlite3.connect(file) as conn:
        conn.execute("PRAGMA user_version = 999")
    conn.close()
    assert cli("errors", "list").code == 78


# doctor


def states(cli: Cli, *arguments: str) -> dict[str, dict[str, Any]]:
    items: list[dict[str, Any]] = cli("doctor", *arguments, "--json").json["items"]
    return {item["check"]: item for item in reversed(items)}


def test_a_healthy_installation(shop: Business, cli: Cli) -> None:
    cli("run", "--now", NOW)
    done = cli("doctor", "--now", f"{DAY}T10:05", "--json")
    assert done.code == 0, done.out
    assert done.json["healthy"] is True
    found = states(cli, "--now", f"{DAY}T10:05")
    assert {"disk", "database", "journal", "clock", "schedule", "tasks", "queue", "plugins", "profiles"} <= set(found)
    assert found["schedule"]["state"] == "ok"


def test_before_the_first_run(business: Business, cli: Cli) -> None:
    assert cli("doctor").code == 0
    assert states(cli)["database"]["state"] == "warn"
    assert not (business.folder / "state").exists()


def test_what_should_have_fired_and_did_not(shop: Business, cli: Cli) -> None:
    done = cli("doctor", "--now", "2026-12-26T12:00")
    assert done.code == 3
    assert "should have fired and did not: padaria/birthday at 2026-12-24T09:30" in done.out
    assert states(cli, "--now", f"{DAY}T09:45")["schedule"]["state"] == "ok"  # cron may be on its way


def test_a_clock_that_went_back(shop: Business, cli: Cli) -> None:
    assert states(cli, "--now", "2026-12-01T10:00")["clock"]["state"] == "bad"


def test_a_halted_app_needs_a_person(shop: Business, cli: Cli) -> None:
    shop.answers(NO_BALANCE)
    cli("run", "--now", NOW)
    done = cli("doctor", "--now", NOW)
    assert done.code == 3
    assert "automate queue clear" in done.out


def test_a_file_that_others_can_read(shop: Business, cli: Cli, file: Path) -> None:
    file.chmod(0o644)
    assert states(cli, "--now", EARLY)["file mode"]["hint"] == f"chmod 600 {file}"


def test_a_broken_profile_does_not_stop_the_examination(shop: Business, cli: Cli) -> None:
    shop.profile.write_text("[models.x]\nuse = 1\n", encoding="utf-8")
    done = cli("doctor", "--now", EARLY + ":00Z", "--json")
    assert done.code == 78
    checks = {item["check"] for item in done.json["items"]}
    assert {"profile", "database"} <= checks
