"""What leaves together: a note beside the database for each batch under way.

A provider that knows a batch by its key refuses the second handing over of the very same batch, and of no other. Who was in it is decided when
it leaves, so it is written down then: after a crash the batch can be put together again. A note that is missing costs a person's time, for
its messages are then in doubt; one too many costs nothing, for it fits no message.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from libax_automate.engine.store.rows import Claimed


class Parcels:
    """``<database>.parcels/APP/``: one small file per batch, holding the ids and attempts of its messages in their order."""

    def __init__(self, database: Path, app_id: int) -> None:
        self._folder = database.with_name(f"{database.name}.parcels") / str(app_id)

    def note(self, rows: Sequence[Claimed]) -> Path | None:
        """Write down that ``rows`` leave together; None where the disk takes nothing."""
        path = self._folder / f"{rows[0].id}-{rows[0].n}-{len(rows)}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("w", encoding="ascii") as file:
                json.dump([[row.id, row.n] for row in rows], file)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self.forget(path)
            return None
        return path

    @staticmethod
    def forget(path: Path | None) -> None:
        """The batch was provably not accepted, or all of it is in the database."""
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def found(self, rows: Sequence[Claimed]) -> list[list[Claimed]]:
        """The batches of which every message is among ``rows``, in the very attempt that was written down."""
        left = {(row.id, row.n): row for row in rows}
        batches = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                members = [(int(id_), int(n)) for id_, n in json.loads(path.read_bytes())]
            except (OSError, ValueError, TypeError):
                continue  # cut off by the crash: the batch had not left yet
            if members and len(set(members)) == len(members) and all(member in left for member in members):
                batches.append([left.pop(member) for member in members])
        return batches

    def clear(self) -> None:
        """Nothing is under way any more."""
        for path in self._folder.glob("*.json"):
            self.forget(path)
