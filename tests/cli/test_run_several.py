"""Several clients on one machine: what is wrong with one profile stops no other, and what one was sending is its own to ask about."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from libax_automate.engine.store import Store
from tests.conftest import Cli

PROFILE = """\
name = "{name}"
timezone = "Europe/Lisbon"
locale = "pt_PT"
activation = "immediate"

[defaults]
sms = "pasta"

[apps.crm]
connector = "csv"
contacts = "pessoas.csv"

[apps.pasta]
connector = "folder"
path = "{name}"

[models.parabens]
use = "birthday"
source = "crm"
channel = "sms"
at = "09:30"
text = "{text}"
"""
BEFORE, DAY, AFTER = "2026-12-23T12:00", "2026-12-24T10:00", "2026-12-24T11:00"


@pytest.fixture
def clients(home: Path) -> Callable[..., None]:
    """Writes the profiles of two clients, a and b, with the same people."""
    folder = home / "profiles"
    folder.mkdir()
    (folder / "pessoas.csv").write_text("id,name,mobile,birth_date\n1,Ana,+351910000001,1980-12-24\n", encoding="utf-8")

    def write(**texts: str) -> None:
        for name, text in texts.items():
            path = folder / f"{name}.toml"
            path.write_text(PROFILE.format(name=name, text=text), encoding="utf-8")
            path.chmod(0o600)

    write(a="Olá {{ first_name }}", b="Olá {{ first_name }}")
    return write


def said(home: Path, name: str) -> list[str]:
    return [json.loads(path.read_text(encoding="utf-8"))["text"] for path in sorted((home / "profiles" / name).glob("*.json"))]


def test_the_others_have_their_pass_and_the_wrong_one_is_told(clients: Callable[..., None], cli: Cli, home: Path) -> None:
    assert cli("run", "--now", BEFORE).code == 0
    path = home / "profiles" / "b.toml"
    right = path.read_text(encoding="utf-8")
    path.write_text(right.replace('at = "09:30"', 'at = "25:30"'), encoding="utf-8")
    done = cli("run", "--now", DAY, "--json")
    assert done.code == 78
    (wrong,) = json.loads(done.err)["error"]["problems"]
    assert (Path(wrong["path"]).name, wrong["line"]) == ("b.toml", right.split('at = "')[0].count("\n") + 1)
    assert [item["profile"] for item in done.json["items"]] == ["a"]
    assert (said(home, "a"), said(home, "b")) == (["Olá Ana"], [])
    # put right, it goes on where it was: on the same day, nobody twice
    path.write_text(right, encoding="utf-8")
    assert cli("run", "--now", AFTER).code == 0
    assert (said(home, "a"), said(home, "b")) == (["Olá Ana"], ["Olá Ana"])


def test_with_nothing_right_nothing_runs(clients: Callable[..., None], cli: Cli, home: Path) -> None:
    for name in "ab":
        path = home / "profiles" / f"{name}.toml"
        path.write_text(path.read_text(encoding="utf-8").replace('"crm"', '"crn"'), encoding="utf-8")
    done = cli("run", "--now", BEFORE)
    assert done.code == 78
    assert "a.toml" in done.err
    assert "b.toml" in done.err


def test_of_two_with_one_name_neither_runs(clients: Callable[..., None], cli: Cli, home: Path) -> None:
    clients(c="Olá {{ first_name }}")
    path = home / "profiles" / "b.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('name = "b"', 'name = "a"'), encoding="utf-8")
    done = cli("run", "--now", BEFORE)
    assert done.code == 78
    assert "is called 'a' too" in done.err
    assert [item["profile"] for item in cli("models", "list", "--profile", "c", "--json").json["items"]] == ["c"]
    assert cli("run", "--now", DAY, "--profile", "c").code == 0
    assert (said(home, "a"), said(home, "c")) == ([], ["Olá Ana"])


def test_check_still_says_all_that_is_wrong(clients: Callable[..., None], cli: Cli, home: Path) -> None:
    path = home / "profiles" / "b.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"crm"\nchannel', '"crn"\nchannel'), encoding="utf-8")
    assert cli("check").code == 78
    assert cli("plan", "a/parabens", "--on", "2026-12-24").code == 78


def orphan(home: Path, db: Path, profile: str) -> None:
    """What a process leaves behind that dies while the profile's first message is with the provider."""
    with closing(Store(db)) as store, store.write() as conn:
        conn.execute("UPDATE messages SET not_before = 0")
        app = store.apps.find(profile, "pasta")
        assert app is not None
        assert len(store.queue.claim(app, 1, datetime.fromisoformat("2026-12-24T10:00:00+00:00").timestamp())) == 1


def test_what_another_profile_was_sending_is_left_for_its_own_run(clients: Callable[..., None], cli: Cli, home: Path) -> None:
    for name in "ab":
        path = home / "profiles" / f"{name}.toml"
        path.write_text(path.read_text(encoding="utf-8") + 'quiet = "09:00-23:00"\n', encoding="utf-8")
    db = home / "automate.db"
    common = ("--db", str(db))
    assert cli("run", "--now", BEFORE, *common).code == 0
    assert cli("run", "--now", DAY, *common).code == 0
    orphan(home, db, "b")

    def states() -> dict[str, str]:
        items = cli("queue", "list", "--json", *common).json["items"]
        return {
            item["profile"]: next(state for state in ("waiting", "sending", "in_doubt") if item[state])
            for item in items
            if item["app"] == "pasta"
        }

    assert states() == {"a": "waiting", "b": "sending"}
    assert cli("run", "--now", AFTER, "--profile", "a", *common).code == 0
    assert states() == {"a": "waiting", "b": "sending"}
    # its own run asks about it: the folder has no such file, so it was not sent
    assert cli("run", "--now", AFTER, "--profile", "b", *common).code == 0
    assert states() == {"a": "waiting", "b": "waiting"}


def test_nobody_waits_for_a_profile_that_never_comes_back(clients: Callable[..., None], cli: Cli, home: Path) -> None:
    path = home / "profiles" / "b.toml"
    path.write_text(path.read_text(encoding="utf-8") + 'quiet = "09:00-23:00"\n', encoding="utf-8")
    db = home / "automate.db"
    common = ("--db", str(db))
    cli("run", "--now", BEFORE, *common)
    cli("run", "--now", DAY, *common)
    orphan(home, db, "b")
    path.unlink()
    assert cli("run", "--now", AFTER, *common).code == 0
    cli("run", "--now", "2026-12-26T10:00", *common)
    errors = cli("errors", "list", "--json", *common).json["items"]
    assert [(error["class"], error["profile"]) for error in errors] == [("in_doubt", "b")]


def test_a_service_goes_on_with_what_is_right_and_with_the_last_good_of_what_is_not(
    clients: Callable[..., None], start_process: Callable[..., subprocess.Popen[str]], home: Path, cli: Cli
) -> None:
    """b is wrong at the start and a works; b is put right and works; then a is broken, and its last good text is what leaves."""
    cli("run", "--now", BEFORE)
    path = home / "profiles" / "b.toml"
    right = path.read_text(encoding="utf-8")
    path.write_text(right.replace('at = "09:30"', 'at = "25:30"'), encoding="utf-8")
    process = start_process("run", "--loop", "--now", DAY)
    try:
        _until(lambda: said(home, "a") == ["Olá Ana"])
        assert said(home, "b") == []
        path.write_text(right, encoding="utf-8")
        _until(lambda: said(home, "b") == ["Olá Ana"])
        other = home / "profiles" / "a.toml"
        other.write_text(other.read_text(encoding="utf-8").replace('"crm"\nchannel', '"crn"\nchannel'), encoding="utf-8")
        time.sleep(2.5)
        assert process.poll() is None
    finally:
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "b.toml:" in err
    assert "their last good ones stay in force" in err
    assert "a.toml:" in err


def _until(seen: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.05)
