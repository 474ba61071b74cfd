"""A task's messages on their way into the queue: gathered first, inserted in one transaction."""

from __future__ import annotations

import json
from typing import Any

from libax_automate.engine.outbox import Draft, dump
from libax_automate.engine.store.database import Database

#: the instant until which a message waits that a person has to approve: later than any clock
UNDECIDED = 1e11

_COLUMNS = "app_id, model_id, task_id, step, person, occasion, channel, recipient, name, payload, state, not_before, expires, reason, \
created_at, ended_at, activity, still, approval_id"
_INSERT = f"INSERT OR IGNORE INTO messages({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

#: drafts that one task keeps in memory; beyond, they go to a temporary table on disk
_IN_MEMORY = 20_000

_HELD = "(:approval IS NOT NULL AND state = 'waiting' AND (:brake OR approve))"
_FROM_SPOOL = f"""
INSERT OR IGNORE INTO messages({_COLUMNS})
SELECT :app_id, :model, :task, step, person, occasion, channel, recipient, name, payload, state,
  CASE WHEN {_HELD} THEN :far ELSE not_before END, expires, CASE WHEN {_HELD} THEN :why ELSE reason END, :now, :ended, activity, still,
  CASE WHEN {_HELD} THEN :approval END
FROM temp.spool WHERE app = :app AND state = :state ORDER BY rowid
"""


class Spool:
    """A task's messages before they are committed, in the order in which they came."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._rows: list[tuple[Any, ...]] = []
        self._spilt = False
        self.count = 0
        #: how many of them wait for a person
        self.approve = 0

    def add(self, draft: Draft) -> None:
        """Keep one draft; ``baseline`` ones are recorded as skipped."""
        if not draft.baseline:
            self.count += 1
            self.approve += draft.approve
        self._rows.append(
            (
                draft.app,
                draft.step,
                draft.person,
                draft.occasion,
                str(draft.channel),
                draft.to,
                draft.name,
                dump(draft.payload),
                "skipped" if draft.baseline else "waiting",
                draft.not_before.timestamp() if draft.not_before else 0.0,
                draft.expires.timestamp() if draft.expires else None,
                draft.reason,
                json.dumps([*draft.activity], ensure_ascii=False) if draft.activity else None,
                _still(draft),
                draft.approve,
            )
        )
        if len(self._rows) >= _IN_MEMORY:
            self._spill()

    def _spill(self) -> None:
        conn = self._db.conn
        if not self._spilt:
            conn.execute(
                "CREATE TEMP TABLE spool(app, step, person, occasion, channel, recipient, name, payload, state, not_before, expires, reason, "
                "activity, still, approve)"
            )
            self._spilt = True
        # BEGIN without IMMEDIATE: a transaction that writes only temporary tables takes no lock on the database
        inside = conn.in_transaction
        if not inside:
            conn.execute("BEGIN")
        conn.executemany("INSERT INTO temp.spool VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._rows)
        if not inside:
            conn.execute("COMMIT")
        self._rows.clear()

    def enqueue(
        self, *, model_id: int, task_id: int | None, apps: dict[str, int], now: float, approval: tuple[int, str] | None = None,
        brake: bool = False,
    ) -> int:  # fmt: skip
        """Insert all of them in the caller's transaction; what is already in the ledger is left alone. Returns how many are new and waiting.

        With ``approval`` (its id, and why) those drafts that ask for it, or with ``brake`` all of them, wait until a person decides.
        """
        approval_id, why = approval or (None, "")
        kept = 0
        if self._spilt:
            self._spill()
            values = {"model": model_id, "task": task_id, "now": now, "approval": approval_id, "why": why, "brake": brake, "far": UNDECIDED}
            for app, app_id in apps.items():
                for state, ended in (("waiting", None), ("skipped", now)):
                    changed = self._db.conn.execute(
                        _FROM_SPOOL, {**values, "app": app, "app_id": app_id, "state": state, "ended": ended}
                    ).rowcount
                    kept += changed if state == "waiting" else 0
            return kept
        for state, ended in (("waiting", None), ("skipped", now)):
            rows = []
            for row in self._rows:
                if row[8] == state:
                    held = approval_id is not None and state == "waiting" and (brake or row[14])
                    timed = (UNDECIDED, row[10], why) if held else row[9:12]
                    rows.append(
                        (apps[row[0]], model_id, task_id, *row[1:9], *timed, now, ended, *row[12:14], approval_id if held else None)
                    )
            if rows:
                changed = self._db.many(_INSERT, rows)
                kept += changed if state == "waiting" else 0
        return kept

    def close(self) -> None:
        """Let go of what was kept."""
        self._rows.clear()
        if self._spilt:
            self._db.conn.execute("DROP TABLE temp.spool")
            self._spilt = False


def _still(draft: Draft) -> str | None:
    if draft.still is None:
        return None
    app, entity, record, fields = draft.still
    condition = {"app": app, "entity": entity, "id": record, "fields": {name: sorted(values) for name, values in fields.items()}}
    return dump({**condition, "also": list(draft.also)} if draft.also else condition)
