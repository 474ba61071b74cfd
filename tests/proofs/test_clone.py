"""R11: a database that was restored from a backup, or cloned to another machine, sends nothing until a person releases it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.figures import Figure
from tests.harness.sink import Sink
from tests.harness.world import World

PEOPLE = 6
EARLY = "2026-12-24T09:00:00+00:00"
NOW = "2026-12-24T10:00:00+00:00"
LATER = "2026-12-24T10:05:00+00:00"


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A gateway that counts."""
    with Sink() as running:
        yield running


def call(cli: Cli, world: World, *args: str, now: str = LATER) -> object:
    """A command over the world; answers its JSON."""
    done = cli(*args, "--profiles", world.profile, "--db", world.db, "--now", now, "--json")
    assert done.code in (0, 3), done
    return done.json


def restore(world: World, backup: Path, cli: Cli, _: pytest.MonkeyPatch) -> None:
    """The program's own way."""
    done = cli("db", "restore", backup, "--yes", "--db", world.db, "--json")
    assert done.code == 0, done
    assert done.json["fenced"] is True
    assert Path(done.json["kept"]).exists()


def copied(world: World, backup: Path, cli: Cli, _: pytest.MonkeyPatch) -> None:
    """A person's way: the old file over the new one."""
    shutil.copy(backup, world.db)


def machine(world: World, backup: Path, cli: Cli, patch: pytest.MonkeyPatch) -> None:
    """The disk's data on another machine, lock file and all."""
    patch.setenv("AUTOMATE_MACHINE_ID", "another-machine")


def machine_and_old(world: World, backup: Path, cli: Cli, patch: pytest.MonkeyPatch) -> None:
    """An old copy on another machine, without the lock file."""
    shutil.copy(backup, world.db)
    world.db.with_name(world.db.name + ".lock").unlink()
    patch.setenv("AUTOMATE_MACHINE_ID", "another-machine")


def no_lock(world: World, backup: Path, cli: Cli, _: pytest.MonkeyPatch) -> None:
    """Restored by the program into an empty folder: no lock file remembers anything."""
    for each in world.db.parent.iterdir():
        each.unlink()
    done = cli("db", "restore", backup, "--yes", "--db", world.db)
    assert done.code == 0, done


WAYS = [restore, copied, machine, machine_and_old, no_lock]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("waiting", [False, True], ids=["before the slot", "with a queue"])
def test_nothing_is_sent_until_a_person_releases_it(
    way: Callable[..., None],
    waiting: bool,
    sink: Sink,
    tmp_path: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    figure: Figure,
) -> None:
    monkeypatch.setenv("AUTOMATE_MACHINE_ID", "this-machine")
    world = World(tmp_path / "w", sink.url, count=PEOPLE)
    world.run(EARLY)
    if waiting:
        with world.store() as store:
            app = next(row.id for row in store.apps.rows(0.0) if row.name == "sms")
            store.apps.pause(app, 0.0)
        world.run(NOW)
        with world.store() as store:
            store.apps.resume(app)
    backup = tmp_path / "old.db"
    assert cli("db", "backup", backup, "--db", world.db).code == 0
    if way is not machine:
        # life goes on after the backup: everybody hears
        world.run(NOW)
        assert len(sink.delivered) == PEOPLE
    sent = sum(sink.delivered.values())

    way(world, backup, cli, monkeypatch)

    for minute in range(6, 12):
        done = cli("run", "--profiles", world.profile, "--db", world.db, "--now", f"2026-12-24T10:{minute:02}:00+00:00")
        assert done.code == 3
        assert done.err == ""
        assert ("queue resume" in done.out) == (minute == 6), done.out  # said once, not every minute
    assert sum(sink.delivered.values()) == sent
    assert world.mail() == []
    shown = call(cli, world, "queue", "list")
    assert {item["state"] for item in shown["items"] if item["app"] == "sms"} <= {"fenced"}  # type: ignore[index]
    # it still plans and explains
    assert call(cli, world, "plan", "parabens")["items"]  # type: ignore[index]

    released = cli("queue", "resume", "--db", world.db, "--profiles", world.profile)
    assert released.code == 0, released
    again = cli("run", "--profiles", world.profile, "--db", world.db, "--now", "2026-12-24T10:20:00+00:00")
    assert again.code == 0, again
    # the person took the word for it: what this copy knows of leaves once, and on the next pass nothing more
    after = sum(sink.delivered.values())
    world.run("2026-12-24T10:25:00+00:00")
    assert sum(sink.delivered.values()) == after
    assert world.states() == {"sent": PEOPLE}
    figure(f"R11 {way.__name__} ({'with' if waiting else 'without'} a queue): 0 sent in 6 passes while fenced")


def test_a_restore_that_is_cut_short_leaves_the_old_file_or_the_new_one(sink: Sink, tmp_path: Path, cli: Cli) -> None:
    world = World(tmp_path / "w", sink.url, count=PEOPLE)
    world.run(EARLY)
    before = world.db.read_bytes()
    for content in (b"", b"no database", b"SQLite format 3\0" + b"\0" * 5000):
        broken = tmp_path / "broken.db"
        broken.write_bytes(content)
        done = cli("db", "restore", broken, "--yes", "--db", world.db)
        assert "Traceback" not in done.err
        if done.code:
            assert done.code == 74, done
            assert world.db.read_bytes() == before
        else:
            # an empty file is a database before its first page
            assert content == b""
            world.db.write_bytes(before)
    missing = cli("db", "restore", tmp_path / "missing.db", "--yes", "--db", world.db)
    assert missing.code == 5
    assert world.db.read_bytes() == before


def test_a_running_pass_is_not_overrun_by_a_restore(sink: Sink, tmp_path: Path, cli: Cli) -> None:
    from libax_automate.engine.lock import RunLock

    world = World(tmp_path / "w", sink.url, count=PEOPLE)
    world.run(EARLY)
    backup = tmp_path / "old.db"
    assert cli("db", "backup", backup, "--db", world.db).code == 0
    lock = RunLock(world.db)
    with world.space(EARLY) as space:
        lock.acquire(space.clock.now())
        done = cli("db", "restore", backup, "--yes", "--db", world.db)
        lock.release()
    assert done.code == 11, done
    with sqlite3.connect(world.db) as conn:
        assert conn.execute("SELECT count(*) FROM meta WHERE key = 'fenced'").fetchone() == (0,)
