"""D1: a file of every released schema, full of data, is brought up to date; also when the machine dies at any statement of it."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlite_utils import Database as Utils

from libax_automate.engine.store import Store
from libax_automate.engine.store.database import VERSION
from libax_automate.engine.store.schema import migrations
from libax_automate.engine.store.upkeep import version_of
from libax_automate.errors import ProfileError
from tests.conftest import Cli
from tests.figures import Figure
from tests.harness.sink import Sink
from tests.harness.world import World

ROWS = 25
NAMES = [migration.name for migration in migrations._migrations]
OLD = list(range(1, VERSION))
#: columns whose words the program reads
WORDS = {
    ("messages", "state"): ("sent", "skipped", "cancelled", "expired", "rejected"),
    ("messages", "channel"): ("email", "sms"),
    ("messages", "payload"): ('{"text": "Olá"}',),
    ("tasks", "state"): ("done", "missed", "cancelled"),
    ("tasks", "trigger"): ("schedule", "manual"),
    ("errors", "closed_at"): (1.0,),
    ("batch_items", "before"): ("waiting",),
    ("attempts", "outcome"): ("sent",),
}


def of_schema(version: int, path: Path) -> None:
    """A file as the release with that schema left it: its tables and columns, filled with rows that keep every constraint."""
    with contextlib.closing(sqlite3.connect(path)) as conn:
        following = NAMES[version : version + 1]
        migrations.apply(Utils(conn), stop_before=following or None)
        conn.execute("PRAGMA foreign_keys = ON")
        tables = [
            str(row[0]) for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid") if row[0][0] != "_"
        ]
        for table in [name for name in tables if not name.startswith("sqlite_") and name != "meta"]:
            keys = {str(row[3]): str(row[2]) for row in conn.execute(f"PRAGMA foreign_key_list({table})")}
            columns = list(conn.execute(f"PRAGMA table_info({table})"))
            for number in range(1, ROWS + 1):
                values = [_value(table, str(name), str(kind), bool(key), str(name) in keys, number) for _, name, kind, _, _, key in columns]
                marks = ", ".join("?" * len(values))
                conn.execute(f"INSERT INTO {table}({', '.join(str(each[1]) for each in columns)}) VALUES ({marks})", values)
        meta = {"instance": "6f1c5a52-9d63-4a35-8f8e-0d8ad1f0a001", "machine": "", "runs": "7", "note": "çã"}
        conn.executemany("INSERT INTO meta(key, value) VALUES (?, ?)", meta.items())
        conn.execute(f"PRAGMA user_version = {version}")
        conn.commit()
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    path.chmod(0o600)


def _value(table: str, name: str, kind: str, key: bool, foreign: bool, number: int) -> object:
    if words := WORDS.get((table, name)):
        return words[number % len(words)]
    if foreign or (key and kind == "INTEGER"):
        return number
    if kind == "INTEGER":
        return number % 2
    if kind == "REAL":
        return 1_700_000_000.5 + number
    if kind == "BLOB":
        return bytes([number, 0, 255])
    return f"{name} {number} çã'\";--"


def facts(path: Path, like: Path | None = None) -> str:
    """A hash of all rows in the tables and columns that ``like`` (else the file itself) has."""
    found = hashlib.sha256()
    with contextlib.closing(sqlite3.connect(path)) as conn, contextlib.closing(sqlite3.connect(like or path)) as shape:
        for (table,) in shape.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY name"
        ):
            if table == "sqlite_sequence":
                continue
            columns = ", ".join(str(row[1]) for row in shape.execute(f"PRAGMA table_info({table})"))
            where = "WHERE key IN ('instance', 'runs', 'note')" if table == "meta" else ""
            for row in conn.execute(f"SELECT {columns} FROM {table} {where} ORDER BY {columns}"):
                found.update(repr((table, row)).encode())
    return found.hexdigest()


def sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with the file."""
    with contextlib.closing(sqlite3.connect(path)) as conn:
        return conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)] and conn.execute("PRAGMA foreign_key_check").fetchall() == []


def shape_of(path: Path) -> list[tuple[object, ...]]:
    """What makes the schema: each object and its statement, without white space."""
    with contextlib.closing(sqlite3.connect(path)) as conn:
        rows = conn.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name").fetchall()
    return [(kind, name, " ".join(str(sql).split())) for kind, name, sql in rows]


def test_each_migration_has_its_version() -> None:
    assert len(NAMES) == VERSION
    assert [name[:5] for name in NAMES] == [f"m{number:03}_" for number in range(1, VERSION + 1)]


@pytest.mark.parametrize("version", OLD)
def test_every_released_schema_is_brought_up_to_date_with_its_data(version: int, tmp_path: Path, cli: Cli, figure: Figure) -> None:
    path, fresh = tmp_path / "old" / "automate.db", tmp_path / "fresh.db"
    path.parent.mkdir()
    of_schema(version, path)
    before = facts(path)
    old = Path(shutil.copy(path, tmp_path / "as-it-was.db"))
    done = cli("db", "migrate", "--db", path, "--json")
    assert done.code == 0, done
    assert (done.json["before"], done.json["after"]) == (version, VERSION)
    backup = Path(done.json["backup"])
    assert facts(path, like=old) == before
    assert facts(backup) == before
    assert version_of(backup) == version
    assert backup.stat().st_mode & 0o777 == 0o600
    assert sound(path)
    assert sound(backup)
    # the same shape as a file that was made today, column by column
    Store(fresh).close()
    with contextlib.closing(sqlite3.connect(path)) as one, contextlib.closing(sqlite3.connect(fresh)) as two:
        for (table,) in two.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            assert one.execute(f"PRAGMA table_info({table})").fetchall() == two.execute(f"PRAGMA table_info({table})").fetchall(), table
    assert [row[:2] for row in shape_of(path)] == [row[:2] for row in shape_of(fresh)]
    again = cli("db", "migrate", "--db", path, "--json")
    assert (again.code, again.json["before"]) == (0, VERSION)
    figure(f"D1 schema {version} → {VERSION}: data hash equal, backup kept, file sound")


#: opens the file in a child that kills itself before the N-th statement; one line per N with what became of the child
ZYGOTE = """
import os, shutil, signal, sqlite3, sys
from pathlib import Path
import sqlite_utils
from libax_automate.engine.store import Store, database, schema

folder, most = Path(sys.argv[1]), int(sys.argv[2])
connect = sqlite3.connect
for number in range(most):
    target = folder / str(number)
    shutil.copytree(folder / "base", target)
    child = os.fork()
    if not child:
        count = 0
        def count_down(_statement):
            global count
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
        def traced(*args, **options):
            conn = connect(*args, **options)
            conn.set_trace_callback(count_down)
            return conn
        database.sqlite3.connect = traced
        Store(target / "automate.db").close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
    if not status:
        break
"""


def interrupted(base: Path, folder: Path) -> list[int]:
    """Copies of ``base``, each left by a process that died one statement later; the last one was not killed."""
    shutil.copytree(base, folder / "base")
    done = subprocess.run([sys.executable, "-c", ZYGOTE, str(folder), "400"], capture_output=True, text=True, timeout=110, check=True)
    codes = [int(line) for line in done.stdout.split()]
    assert codes[-1] == 0, "the upgrade has more than 400 statements"
    assert set(codes[:-1]) == {-signal.SIGKILL}
    return codes


@pytest.mark.parametrize("version", [0, *OLD])
def test_a_machine_that_dies_at_any_statement_of_an_upgrade_loses_nothing(version: int, tmp_path: Path, figure: Figure) -> None:
    base = tmp_path / "base"
    base.mkdir()
    if version:
        of_schema(version, base / "automate.db")
    before = facts(base / "automate.db") if version else ""
    codes = interrupted(base, tmp_path / "work")
    wrong: list[str] = []
    for number in range(len(codes)):
        path = tmp_path / "work" / str(number) / "automate.db"
        first = _backups(path)
        held = {each: facts(each) for each in first if version}
        Store(path).close()
        Store(path).close()
        if version_of(path) != VERSION or not sound(path):
            wrong.append(f"{number}: not up to date")
        if version and facts(path, like=base / "automate.db") != before:
            wrong.append(f"{number}: data")
        for each in _backups(path) if version else ():
            if facts(each) != before or version_of(each) != version:
                wrong.append(f"{number}: {each.name} is not the file as it was")
            if each in held and held[each] != facts(each):
                wrong.append(f"{number}: {each.name} was overwritten")
        if version and not _backups(path):
            wrong.append(f"{number}: no backup")
    figure(f"D1 schema {version} → {VERSION}: killed at each of {len(codes) - 1} statements, {len(wrong)} wrong")
    assert wrong == []


def _backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.backup"))


def test_a_half_upgraded_file_does_not_replace_the_backup_of_the_whole_one(tmp_path: Path) -> None:
    """Several migrations behind: the first is committed, the machine dies in the second."""
    for version in OLD:
        path = tmp_path / str(version) / "automate.db"
        path.parent.mkdir()
        of_schema(version, path)
        backup = path.with_name(f"automate.db.schema{version}.backup")
        shutil.copy(path, backup)
        before = facts(backup), version_of(backup), shape_of(backup)
        with contextlib.closing(sqlite3.connect(path)) as conn:
            migrations.apply(Utils(conn))  # all committed, the version not yet written
            conn.commit()
        Store(path).close()
        assert version_of(path) == VERSION
        assert (facts(backup), version_of(backup), shape_of(backup)) == before


def test_several_processes_upgrade_at_once_and_one_does_it(tmp_path: Path) -> None:
    for version in OLD or [0]:
        path = tmp_path / str(version) / "automate.db"
        path.parent.mkdir()
        if version:
            of_schema(version, path)
        script = "import sys; from pathlib import Path; from libax_automate.engine.store import Store; Store(Path(sys.argv[1])).close()"
        running = [subprocess.Popen([sys.executable, "-c", script, str(path)], stderr=subprocess.PIPE, text=True) for _ in range(4)]
        ended: Iterable[tuple[int, str]] = [(process.wait(60), process.communicate()[1]) for process in running]
        assert [*ended] == [(0, "")] * 4
        assert version_of(path) == VERSION
        assert sound(path)


def test_an_upgraded_business_goes_on_where_it_was(tmp_path: Path) -> None:
    """A file of each old schema under a real profile: a pass runs, and the ledger of before still counts."""
    for version in OLD:
        with Sink() as sink:
            world = World(tmp_path / str(version), sink.url, count=3)
            world.db.parent.mkdir()
            of_schema(version, world.db)
            before = facts(world.db)
            kept = tmp_path / f"kept{version}.db"
            shutil.copy(world.db, kept)
            with contextlib.closing(sqlite3.connect(world.db)) as conn:
                conn.execute("DELETE FROM meta WHERE key = 'machine'")
                conn.commit()
            world.run("2026-12-24T09:00:00+00:00")
            world.finish()
            assert len(sink.delivered) == 3
        old = facts(kept)
        assert old == before
        with world.store() as store:
            assert store.db.value("SELECT count(*) FROM attempts") >= ROWS + 3
            assert store.db.problems() == []


def test_a_file_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "automate.db"
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(ProfileError) as refused:
        Store(path)
    assert "upgrade" in refused.value.hint
    done = cli("db", "migrate", "--db", path)
    assert (done.code, done.out) == (78, "")
    assert len(done.err.strip().splitlines()) == 1
    assert path.read_bytes() == before
