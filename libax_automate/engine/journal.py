"""Outcomes that the database could not take: written into space set aside beforehand, replayed at the next start.

A provider has answered and the disk is full: without this, what was accepted would look like a crash in the middle
and be in doubt. The file is allocated before anything is sent, so writing into it needs no space.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from libax_automate.engine.store.rows import Claimed, End, Outcome
from libax_automate.errors import StoreError

_SIZE = 256 * 1024
#: no outcome takes more than this, in bytes: so much is set aside for each message that may be under way at once
_LINE = 2048
_TEXTS = ("detail", "cause", "cause_key", "hint")
_FIELDS = ("provider_id", "detail", "cls", "cause", "cause_key", "hint", "delay", "shared")


class Journal:
    """``<database>.outcomes``: JSON lines, then NULs up to its size. An outcome names its message and attempt; the database knows the rest."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".outcomes")
        self._size = _SIZE
        #: where this process writes on
        self._end = 0

    def prepare(self, room: int = 0) -> None:
        """Set space aside for ``room`` outcomes at least; raises StoreError where there is none: then nothing may be sent."""
        self._size = max(self._size, -(-room * _LINE // _SIZE) * _SIZE)
        if self.path.exists() and self.path.stat().st_size >= self._size and os.access(self.path, os.W_OK):
            return
        try:
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                # zeros written, not a hole: a hole needs space when it is filled; a file that an earlier full disk cut short goes on at its end
                while (missing := self._size - os.lseek(descriptor, 0, os.SEEK_END)) > 0:
                    os.write(descriptor, b"\0" * min(missing, _SIZE))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}", hint="free some space: nothing was sent") from None

    def write(self, outcomes: Sequence[Outcome]) -> int:
        """Keep outcomes, those of calls that were made first; returns how many could be kept (0 where the disk takes nothing at all)."""
        lines = [_line(outcome) for outcome in sorted(outcomes, key=lambda each: each.end is End.RELEASED)]
        try:
            with self.path.open("r+b") as handle:
                handle.seek(self._end)
                handle.write(b"".join(lines))
                handle.flush()
                os.fsync(handle.fileno())
                self._end = handle.tell()
        except OSError:
            # the database's own error is being raised and says what to do; what is not kept here is found in doubt by the next run
            return 0
        return len(lines)

    def filled(self) -> bool:
        """Whether an earlier process left something here."""
        try:
            with self.path.open("rb") as handle:
                return handle.read(1) not in (b"", b"\0")
        except OSError:
            return False

    def read(self, orphans: Sequence[Claimed]) -> list[Outcome]:
        """What an earlier process could not commit, of the messages that are still as it left them."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return []
        rows = {(row.id, row.n): row for row in orphans}
        found = []
        for line in content.rstrip(b"\0").split(b"\n"):
            try:
                values: dict[str, Any] = json.loads(line)
                # the row as a whole: what earlier versions wrote
                named = values.get("row", values)
                row = rows.pop((named["id"], named["n"]), None)
                if row is not None:
                    found.append(Outcome(row, End(values["end"]), **{key: values[key] for key in _FIELDS if key in values}))
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # a half-written last line: that attempt stays in doubt
        return found

    def clear(self) -> None:
        """They are in the database now."""
        self._end = 0
        if self.path.exists():
            try:
                with self.path.open("r+b") as handle:
                    # to its end, however large an earlier process has made it
                    handle.write(b"\0" * max(self._size, os.fstat(handle.fileno()).st_size))
                    handle.flush()
                    os.fsync(handle.fileno())
            except OSError as error:
                raise StoreError(
                    f"{self.path}: {error.strerror}", hint="check the disk (dmesg, free space): nothing new was sent"
                ) from None


def _line(outcome: Outcome) -> bytes:
    values: dict[str, Any] = {"id": outcome.row.id, "n": outcome.row.n, "end": str(outcome.end)}
    values |= {key: value for key in _FIELDS if (value := getattr(outcome, key))}
    line = _encoded(values)
    for longest in (200, 50):
        if len(line) > _LINE:
            line = _encoded(values := {key: value[:longest] if key in _TEXTS else value for key, value in values.items()})
    # what the provider calls it may be of any length
    return line if len(line) <= _LINE else _encoded({key: value for key, value in values.items() if key != "provider_id"})


def _encoded(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
