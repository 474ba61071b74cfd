"""One SQLite file, opened safely: journal mode by library version, one writer at a time, errors that say what to do."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from libax_automate.errors import ProfileError, StoreError, TemporaryError

#: ``PRAGMA user_version`` of this program's files: the number of migrations in ``schema.py`` (a test holds them equal)
VERSION = 4

#: A writer waits this long for another one, in milliseconds. The longest transaction is one task's insert.
_BUSY_MS = 30_000

#: Builds with the fix for the WAL-reset race, by branch: (minor release, first fixed patch). 3.51.3 and all later have it.
_WAL_FIXED = {(3, 44): 6, (3, 50): 7, (3, 51): 3}


def journal_mode(version: tuple[int, int, int]) -> str:
    """WAL only where SQLite carries the WAL-reset fix (≥ 3.51.3, or 3.50.7+, 3.44.6+ of those branches), else TRUNCATE."""
    major_minor = version[:2]
    if major_minor > (3, 51):
        return "WAL"
    first = _WAL_FIXED.get(major_minor)
    return "WAL" if first is not None and version[2] >= first else "TRUNCATE"


def machine_id(environ: dict[str, str] | None = None) -> str:
    """A name for this machine that a clone of its disk's data on another machine does not share; "" where there is none.

    ``AUTOMATE_MACHINE_ID`` overrides it (containers that get a new one at every start).
    """
    given = (environ if environ is not None else dict(os.environ)).get("AUTOMATE_MACHINE_ID")
    if given:
        return given
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            if text := Path(path).read_text(encoding="ascii").strip():
                return text
    return os.uname().nodename


def _translate(error: sqlite3.Error, path: Path) -> StoreError | TemporaryError:
    text = str(error)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return TemporaryError(f"{path}: another process is writing to the database ({text})", hint="try again in a minute")
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"{path}: the disk or the database is full", hint="free some space, then run again: nothing was lost")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH):
        return StoreError(f"{path}: cannot be opened for writing ({text})", hint="check owner and mode of the file and of its folder")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(f"{path}: is damaged or not a database ({text})", hint="keep the file, then: automate db restore BACKUP")
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(f"{path}: the disk failed ({text})", hint="check the disk (dmesg, free space), then: automate db check")
    return StoreError(f"{path}: {text}", hint="see: automate db check")


class Database:
    """A connection. All instants in it are REAL seconds since the epoch, UTC."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self.readonly = readonly
        self._depth = 0
        try:
            if not readonly:
                path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path.parent}: cannot be made ({error.strerror})", hint="give another place: --db PATH") from None
        if readonly and not path.exists():
            raise StoreError(f"{path}: no such database", hint="it is made by the first: automate run")
        fresh = not path.exists()
        try:
            target = f"file:{_quote(path)}?mode={'ro' if readonly else 'rwc'}"
            self.conn = sqlite3.connect(target, uri=True, isolation_level=None, timeout=_BUSY_MS / 1000, check_same_thread=False)
            if fresh and not readonly:
                # names and addresses of customers live here: the owner's eyes only
                path.chmod(0o600)
            self._prepare()
        except sqlite3.Error as error:
            raise _translate(error, path) from None
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}", hint="check owner and mode of the file and of its folder") from None

    def _prepare(self) -> None:
        execute = self.conn.execute
        execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        version = int(execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise ProfileError(
                f"{self.path}: was written by a newer program (schema {version}, this one knows {VERSION})",
                hint="pip install --upgrade libax_automate, or automate db restore an older backup",
            )
        if not self.readonly:
            wanted = journal_mode(sqlite3.sqlite_version_info)
            if str(execute("PRAGMA journal_mode").fetchone()[0]).upper() != wanted:
                execute(f"PRAGMA journal_mode = {wanted}")
            execute("PRAGMA synchronous = FULL")
        execute("PRAGMA foreign_keys = ON")
        execute("PRAGMA temp_store = FILE")
        execute("PRAGMA cache_size = -16000")
        if version < VERSION:
            if self.readonly:
                raise StoreError(f"{self.path}: has an older shape", hint="automate db migrate")
            self.migrate()

    def migrate(self) -> Path | None:
        """Bring the file to this program's shape; returns the automatic backup's path, if there was anything to back up.

        Several processes may come at once: the first holds a file lock, the others find the work done.
        """
        import fcntl

        from sqlite_utils import Database as Utils

        from libax_automate.engine.store.schema import migrations

        with self.path.with_name(self.path.name + ".migrate.lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            version = int(self.conn.execute("PRAGMA user_version").fetchone()[0])
            if version >= VERSION:
                return None
            backup = None
            if self.conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'messages'").fetchone():
                backup = self.path.with_name(f"{self.path.name}.schema{version}.backup")
                # an attempt that was cut short has a backup of the file as it was: this one is half new already and does not replace it
                if len(migrations.applied(Utils(self.conn))) <= version or not backup.exists():
                    self.backup(backup)
            utils = Utils(self.conn)
            migrations.apply(utils)
            with self.write():
                self.set_default("instance", str(uuid.uuid4()))
                self.set_default("machine", machine_id())
                self.set_default("runs", "0")
                self.conn.execute(f"PRAGMA user_version = {VERSION}")
            return backup

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, ``BEGIN IMMEDIATE``; nested calls join the outer one. Database errors come out as ours."""
        if self._depth:
            self._depth += 1
            try:
                yield self.conn
            finally:
                self._depth -= 1
            return
        try:
            self.conn.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _translate(error, self.path) from None
        self._depth = 1
        try:
            yield self.conn
            self.conn.execute("COMMIT")
        except sqlite3.Error as error:
            self._rollback()
            raise _translate(error, self.path) from None
        except BaseException:
            self._rollback()
            raise
        finally:
            self._depth = 0

    def _rollback(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK")

    def rows(self, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a reading statement."""
        try:
            return self.conn.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _translate(error, self.path) from None

    def row(self, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        try:
            found: tuple[Any, ...] | None = self.conn.execute(sql, values).fetchone()
        except sqlite3.Error as error:
            raise _translate(error, self.path) from None
        return found

    def value(self, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """The first column of the first row, or None."""
        found = self.row(sql, values)
        return found[0] if found else None

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run a writing statement for each row; returns how many rows changed."""
        return self.conn.executemany(sql, rows).rowcount

    def insert(self, into: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows of equal width with few statements: ``into`` is the statement up to VALUES.

        In pieces whose size is a power of two, so that a handful of prepared statements serves every number of rows.
        """
        at, size = 0, 64
        while at < len(rows):
            while size > len(rows) - at:
                size //= 2
            piece = rows[at : at + size]
            one = f"({', '.join('?' * len(piece[0]))})"
            self.conn.execute(f"{into} VALUES {', '.join([one] * size)}", [*chain.from_iterable(piece)])
            at += size

    def get(self, key: str, default: str = "") -> str:
        """A value of ``meta``."""
        return str(self.value("SELECT value FROM meta WHERE key = ?", (key,)) or default)

    def set(self, key: str, value: str) -> None:
        """Write a value of ``meta``; inside ``write()``."""
        self.conn.execute("INSERT INTO meta(key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", (key, value))

    def set_default(self, key: str, value: str) -> None:
        """Write a value of ``meta`` unless there is one."""
        self.conn.execute("INSERT OR IGNORE INTO meta(key, value) VALUES (?, ?)", (key, value))

    def version(self) -> int:
        """A number that changes when another connection has committed."""
        return int(self.value("PRAGMA data_version"))

    def backup(self, target: Path) -> None:
        """A consistent copy, made while others may write; readable by the owner only, complete or absent."""
        partial = target.with_name(target.name + ".partial")
        try:
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            os.close(descriptor)
            with contextlib.closing(sqlite3.connect(partial)) as copy:
                self.conn.backup(copy, pages=1000)
            with partial.open("rb") as handle:
                os.fsync(handle.fileno())
            partial.replace(target)
        except OSError as error:
            raise StoreError(f"{target}: cannot be written ({error.strerror})", hint="give another place or free some space") from None
        except sqlite3.Error as error:
            partial.unlink(missing_ok=True)
            raise _translate(error, target) from None

    def problems(self) -> list[str]:
        """What ``PRAGMA integrity_check`` and the foreign keys say; empty = sound."""
        found = [str(row[0]) for row in self.rows("PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"{row[0]} row {row[1]} points at a missing {row[2]}" for row in self.rows("PRAGMA foreign_key_check")]
        return found

    def close(self) -> None:
        """Let go of the file; safe twice."""
        self.conn.close()


def _quote(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path.absolute()))
