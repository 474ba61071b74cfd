"""One runner per database: an operating-system lock that dies with its process, and a note of how often it ran."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from libax_automate.errors import LockHeld, StoreError


class RunLock:
    """Held for a whole pass. The kernel frees it with the process, so whoever holds it knows that every ``sending`` row is an orphan.

    The lock file beside the database also remembers which database ran here and how many passes it had seen: a
    file that has seen fewer was restored from a backup (see :meth:`older`).
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".lock")
        self._handle: IO[str] | None = None
        self.noted: Mapping[str, Any] = {}

    def acquire(self, now: datetime) -> None:
        """Take the lock at once or raise LockHeld with the holder's pid and start time."""
        try:
            handle = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}", hint="the database's folder must be writable") from None
        handle.seek(0)
        try:
            note = json.loads(handle.read() or "{}")
        except ValueError:
            note = {}
        self.noted = note if isinstance(note, dict) else {}
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            pid, since = self.noted.get("pid", "?"), self.noted.get("started", "?")
            raise LockHeld(
                f"another run holds {self.path.name}: pid {pid}, started {since}", hint="wait for it, or end that process"
            ) from None
        # read again: between the first look and the lock another run may have come and gone
        handle.seek(0)
        try:
            self.noted = json.loads(handle.read() or "{}")
        except ValueError:
            self.noted = {}
        self._handle = handle
        self._write({**self.noted, "pid": os.getpid(), "started": now.isoformat(timespec="seconds")})

    def older(self, instance: str, runs: int) -> bool:
        """Whether this very database has run here more often than the file knows: it came out of a backup."""
        return self.noted.get("instance") == instance and int(self.noted.get("runs", 0)) > runs

    def note(self, instance: str, runs: int) -> None:
        """Remember that this database has now run ``runs`` times."""
        self._write({**self.noted, "pid": os.getpid(), "instance": instance, "runs": runs})

    def _write(self, note: Mapping[str, Any]) -> None:
        assert self._handle is not None
        self.noted = dict(note)
        # written over the old note and then cut to length: a full disk must not leave an empty file, which would have forgotten the passes
        content, descriptor = json.dumps(note).encode(), self._handle.fileno()
        try:
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}", hint="check the disk (dmesg, free space): nothing was sent") from None

    def release(self) -> None:
        """Give it up; safe twice."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None
