"""The database as a file: what it holds, how to shrink it, how to put an older one in its place."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from libax_automate.engine.store.database import VERSION, Database, _quote, _translate, journal_mode
from libax_automate.errors import NotFound, StoreError

#: what SQLite keeps beside a database; a restored file must not meet the old one's
_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Info:
    """What a database file is; sizes in bytes."""

    path: Path
    size: int
    #: what ``vacuum`` would give back
    free: int
    schema: int
    #: the schema that this program writes
    latest: int
    sqlite: str
    journal: str
    #: the journal mode that this build of SQLite should use
    wanted_journal: str
    instance: str
    runs: int
    fenced: str
    messages: dict[str, int]
    tasks: dict[str, int]
    open_errors: int


def version_of(path: Path) -> int:
    """The schema version of a file, without changing it; raises StoreError where it is no database."""
    if not path.exists():
        raise NotFound(f"{path}: no such file", hint="correct the path")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{_quote(path)}?mode=ro", uri=True)) as conn:
            return int(conn.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise _translate(error, path) from None


def info(db: Database) -> Info:
    """Look at an open database; counts every message once, so it takes a moment on a large one."""
    pages = [int(db.value(f"PRAGMA {name}") or 0) for name in ("page_count", "page_size", "freelist_count")]
    return Info(
        path=db.path,
        size=pages[0] * pages[1],
        free=pages[2] * pages[1],
        schema=int(db.value("PRAGMA user_version") or 0),
        latest=VERSION,
        sqlite=sqlite3.sqlite_version,
        journal=str(db.value("PRAGMA journal_mode")).upper(),
        wanted_journal=journal_mode(sqlite3.sqlite_version_info),
        instance=db.get("instance"),
        runs=int(db.get("runs", "0")),
        fenced=db.get("fenced"),
        messages={str(state): int(count) for state, count in db.rows("SELECT state, count(*) FROM messages GROUP BY state ORDER BY state")},
        tasks={str(state): int(count) for state, count in db.rows("SELECT state, count(*) FROM tasks GROUP BY state ORDER BY state")},
        open_errors=int(db.value("SELECT count(*) FROM errors WHERE closed_at IS NULL") or 0),
    )


def vacuum(db: Database) -> tuple[int, int]:
    """Give unused space back to the disk; answers the file's size before and after. Needs as much free space again while it works."""
    before = db.path.stat().st_size
    try:
        db.conn.execute("VACUUM")
        db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise _translate(error, db.path) from None
    return before, db.path.stat().st_size


def restore(source: Path, target: Path, why: str) -> Path | None:
    """Put the backup ``source`` in the place of ``target``, fenced with ``why``; answers where the file it replaces is kept.

    Only for the holder of the run lock. Everything is prepared beside the target and then renamed: it is the old file or the new one.
    """
    version_of(source)
    partial = target.with_name(target.name + ".restoring")
    kept = target.with_name(target.name + ".before-restore") if target.exists() else None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for suffix in ("", *_BESIDE):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(source, partial)
        partial.chmod(0o600)
    except OSError as error:
        raise StoreError(f"{partial}: cannot be written ({error.strerror})", hint="free some space, or check the folder's mode") from None
    db = Database(partial)
    try:
        if found := db.problems():
            raise StoreError(f"{source}: is damaged ({found[0]})", hint="take another backup")
        with db.write():
            db.set("fenced", why)
    except BaseException:
        db.close()
        partial.unlink(missing_ok=True)
        raise
    db.close()
    if kept is not None:
        old = Database(target)
        try:
            old.backup(kept)
        finally:
            old.close()
    for suffix in _BESIDE:
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    partial.replace(target)
    return kept
