"""Open causes: one row per cause, not per message; resolved by a person's verb or by a probe that passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libax_automate.engine.store.database import Database
from libax_automate.engine.store.queue import Queue
from libax_automate.engine.store.rows import Changed, ErrorRow, Outcome

_SELECT = """
SELECT e.id, e.profile, a.name, e.app_id, e.credential_id, e.class, e.cause, e.hint, e.detail, e.message_id, e.opened_at, e.closed_at,
  e.resolution, e.notices, e.next_notice
FROM errors e JOIN apps a ON a.id = e.app_id
"""

#: how many message ids one error shows
_SHOWN = 1000


class Errors:
    """Verbs on errors."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def open(self, outcome: Outcome, *, profile: str, credential_id: int | None, now: float) -> tuple[int, bool]:
        """The open error of this cause, made if there is none: (app or credential, class, cause key) is unique while open.

        Returns its id and whether it is new.
        """
        conn = self.db.conn
        if credential_id is not None:
            found = self.db.value(
                "SELECT id FROM errors WHERE closed_at IS NULL AND credential_id = ? AND class = ?", (credential_id, outcome.cls)
            )
        else:
            found = self.db.value(
                "SELECT id FROM errors WHERE closed_at IS NULL AND app_id = ? AND class = ? AND cause_key = ?",
                (outcome.row.app_id, outcome.cls, outcome.cause_key),
            )
        if found is not None:
            return int(found), False
        cursor = conn.execute(
            "INSERT INTO errors(profile, app_id, credential_id, class, cause, cause_key, hint, detail, message_id, opened_at, next_notice) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                profile, outcome.row.app_id, credential_id, outcome.cls, outcome.cause, outcome.cause_key, outcome.hint, outcome.trace,
                outcome.row.id or None, now, now,
            ),
        )  # fmt: skip
        return int(cursor.lastrowid or 0), True

    def listed(self, *, profiles: frozenset[str] | None = None, app_id: int | None = None, closed: bool = False) -> list[ErrorRow]:
        """Errors, oldest first; open ones unless ``closed``."""
        rows = self.db.rows(_SELECT + ("" if closed else " WHERE e.closed_at IS NULL") + " ORDER BY e.id")
        return [
            self._filled(row) for row in rows if (profiles is None or row[1] in profiles) and (app_id is None or self._halts(row, app_id))
        ]

    def _halts(self, row: tuple[Any, ...], app_id: int) -> bool:
        if row[3] == app_id:
            return True
        return row[4] is not None and self.db.value("SELECT 1 FROM apps WHERE id = ? AND credential_id = ?", (app_id, row[4])) is not None

    def belongs(self, reference: str, profiles: frozenset[str]) -> bool:
        """Whether ``E12`` or ``T77`` is of one of these profiles (or of none any more)."""
        table = {
            "E": "errors",
            "T": "tasks t JOIN models ON models.id = t.model_id",
            "A": "approvals t JOIN models ON models.id = t.model_id",
        }.get(reference[:1])
        if table is None:
            return True
        column, key = ("profile", "id") if table == "errors" else ("models.profile", "t.id")
        found = self.db.value(f"SELECT {column} FROM {table} WHERE {key} = ?", (reference[1:],))
        return found is None or found in profiles

    def get(self, error_id: int) -> ErrorRow | None:
        """One error, open or closed."""
        row = self.db.row(_SELECT + " WHERE e.id = ?", (error_id,))
        return self._filled(row) if row else None

    def _filled(self, row: Any) -> ErrorRow:
        messages = tuple(
            int(r[0])
            for r in self.db.rows(
                "SELECT id FROM messages WHERE error_id = ? AND state IN ('failed', 'in_doubt') ORDER BY id LIMIT ?", (row[0], _SHOWN)
            )
        )
        waiting = 0
        if row[11] is None:
            where, value = ("app_id = ?", row[3]) if row[4] is None else ("app_id IN (SELECT id FROM apps WHERE credential_id = ?)", row[4])
            waiting = int(self.db.value(f"SELECT count(*) FROM messages WHERE {where} AND state = 'waiting'", (value,)) or 0)
        return ErrorRow(*[*row, messages, waiting])

    # -- an operator's verbs: compare-and-set, recorded, repeat-safe ---------------------------------------------------

    def retry(self, error_id: int, now: float, *, message: int | None = None) -> Changed:
        """LX-64, "apagar o erro": its messages go back to the head of the queue.

        A failed one gets a new idempotency key, for the provider did answer; one in doubt keeps its key, so that a
        provider that remembers it does not deliver twice.
        """
        with self.db.write() as conn:
            ids = self._held(error_id, message)
            done = Changed(messages=ids)
            conn.executemany(
                "UPDATE messages SET generation = generation + (state = 'failed'), state = 'waiting', tries = 0, not_before = 0, error_id = NULL, "
                "reason = '' WHERE id = ? AND state IN ('failed', 'in_doubt')",
                [(i,) for i in ids],
            )
            self._recount(ids)
            self._finish(done, error_id, "retry", now)
            return done

    def skip(self, error_id: int, now: float, *, message: int | None = None) -> Changed:
        """LX-65, "apagar erro e ignorar mensagem": its messages end as skipped, the rest goes on."""
        return self._end(error_id, "skip", "skipped", now, message)

    def sent(self, error_id: int, now: float, *, message: int | None = None) -> Changed:
        """For messages in doubt that did arrive: they end as sent."""
        return self._end(error_id, "sent", "sent", now, message)

    def _end(self, error_id: int, verb: str, state: str, now: float, message: int | None) -> Changed:
        with self.db.write() as conn:
            ids = self._held(error_id, message)
            done = Changed(messages=ids)
            conn.executemany(
                "UPDATE messages SET state = ?, ended_at = ?, reason = ?, error_id = NULL WHERE id = ? AND state IN ('failed', 'in_doubt')",
                [(state, now, f"{verb} by hand (E{error_id})", i) for i in ids],
            )
            if state == "sent":
                self._recount(ids)
                conn.executemany(
                    "UPDATE tasks SET sent = sent + 1 WHERE id = (SELECT task_id FROM messages WHERE id = ?)", [(i,) for i in ids]
                )
                conn.executemany(
                    "UPDATE apps SET sent = sent + 1 WHERE id = (SELECT app_id FROM messages WHERE id = ?)", [(i,) for i in ids]
                )
                Queue(self.db).follow_up(ids, now)
            self._finish(done, error_id, verb, now)
            return done

    def _held(self, error_id: int, message: int | None) -> list[int]:
        sql = "SELECT id FROM messages WHERE error_id = ? AND state IN ('failed', 'in_doubt')"
        values: tuple[int, ...] = (error_id,)
        if message is not None:
            sql, values = sql + " AND id = ?", (error_id, message)
        return [int(row[0]) for row in self.db.rows(sql + " ORDER BY id", values)]

    def _recount(self, ids: Sequence[int]) -> None:
        self.db.many(
            "UPDATE tasks SET failed = max(failed - 1, 0) WHERE id = (SELECT task_id FROM messages WHERE id = ?)", [(i,) for i in ids]
        )

    def _finish(self, done: Changed, error_id: int, verb: str, now: float) -> None:
        if not self._held(error_id, None) and self.close(error_id, verb, now):
            done.errors.append(error_id)
        self.db.conn.execute(
            "INSERT INTO operations(at, verb, target, detail) VALUES (?, ?, ?, ?)",
            (now, verb, f"E{error_id}", f"{len(done.messages)} messages"),
        )

    def close(self, error_id: int, resolution: str, now: float) -> bool:
        """Compare-and-set from open to closed; False if another was faster."""
        conn = self.db.conn
        changed = conn.execute(
            "UPDATE errors SET closed_at = ?, resolution = ? WHERE id = ? AND closed_at IS NULL", (now, resolution, error_id)
        )
        if changed.rowcount != 1:
            return False
        # a person (or a probe) says it can go on: the back-off of the past does not hold it up, refusals count anew
        for row in self.db.rows("SELECT app_id, credential_id FROM errors WHERE id = ?", (error_id,)):
            conn.execute("UPDATE apps SET throttled_until = 0, refused = '' WHERE id = ? OR credential_id = ?", row)
        return True

    def due_notices(self, now: float) -> list[ErrorRow]:
        """Open errors of which somebody should hear now."""
        rows = self.db.rows(_SELECT + " WHERE e.closed_at IS NULL AND e.next_notice <= ? ORDER BY e.id", (now,))
        return [self._filled(row) for row in rows]

    def noticed(self, error_id: int, next_notice: float) -> None:
        """One more notice went out; the next one is due at ``next_notice``."""
        self.db.conn.execute("UPDATE errors SET notices = notices + 1, next_notice = ? WHERE id = ?", (next_notice, error_id))
