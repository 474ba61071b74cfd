"""Outcomes that the database could not take: written into space set aside beforehand, replayed at the next start.

A provider has answered and the disk is full: without this, what was accepted would look like a crash in the middle
and be in doubt. The file is allocated before anything is sent, so writing into it needs no space.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from libax_automate.engine.store.rows import Claimed, End, Outcome
from libax_automate.errors import StoreError

_SIZE = 256 * 1024


class Journal:
    """``<database>.outcomes``: JSON lines, then NULs up to its fixed size."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".outcomes")

    def prepare(self) -> None:
        """Set the space aside; raises StoreError where there is none: then nothing may be sent."""
        if self.path.exists() and self.path.stat().st_size >= _SIZE and os.access(self.path, os.W_OK):
            return
        try:
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                # zeros written, not a hole: a hole needs space when it is filled; a file that an earlier full disk cut short goes on at its end
                while (missing := _SIZE - os.lseek(descriptor, 0, os.SEEK_END)) > 0:
                    os.write(descriptor, b"\0" * missing)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}", hint="free some space: nothing was sent") from None

    def write(self, outcomes: Sequence[Outcome]) -> int:
        """Keep outcomes, those of calls that were made first; returns how many could be kept (0 where the disk takes nothing at all)."""
        kept, lines = 0, b""
        for outcome in sorted(outcomes, key=lambda each: each.end is End.RELEASED):
            row = {**asdict(outcome.row), "payload": "", "still": None}
            line = json.dumps({**asdict(outcome), "row": row, "trace": ""}, ensure_ascii=False).encode() + b"\n"
            if len(lines) + len(line) > _SIZE:
                break
            lines += line
            kept += 1
        try:
            with self.path.open("r+b") as handle:
                handle.write(lines)
                handle.flush()
                os.fsync(handle.fileno())
        except OSError:
            # the database's own error is being raised and says what to do; what is not kept here is found in doubt by the next run
            return 0
        return kept

    def read(self) -> list[Outcome]:
        """What an earlier process could not commit."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return []
        found = []
        for line in content.rstrip(b"\0").split(b"\n"):
            try:
                values = json.loads(line)
                row = Claimed(**values.pop("row"))
                found.append(Outcome(row, **{**values, "end": End(values["end"])}))
            except (ValueError, TypeError, KeyError):
                continue  # a half-written last line: that attempt stays in doubt
        return found

    def clear(self) -> None:
        """They are in the database now."""
        if self.path.exists():
            try:
                with self.path.open("r+b") as handle:
                    handle.write(b"\0" * _SIZE)
                    handle.flush()
                    os.fsync(handle.fileno())
            except OSError as error:
                raise StoreError(
                    f"{self.path}: {error.strerror}", hint="check the disk (dmesg, free space): nothing new was sent"
                ) from None
