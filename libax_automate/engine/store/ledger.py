"""Messages for people: looked at, cleared, restored, suppressed, thinned out. No verb here deletes what could still matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libax_automate.engine.store import lists
from libax_automate.engine.store.database import Database
from libax_automate.engine.store.rows import Changed, MessageRow, MessageState

_MESSAGE = """
SELECT m.id, s.profile, a.name, s.name, m.task_id, m.step, m.person, m.name, m.occasion, m.channel, m.recipient, m.payload, m.state,
  m.attempts, m.not_before, m.expires, m.error_id, m.provider_id, m.reason, m.created_at, m.ended_at, s.system
FROM messages m JOIN apps a ON a.id = m.app_id JOIN models s ON s.id = m.model_id
"""


def _message(row: Any) -> MessageRow:
    return MessageRow(*[*row[:12], MessageState(row[12]), *row[13:21], bool(row[21])])


def _clearable(app_id: int, model: str | None, before: float | None) -> tuple[str, list[object]]:
    where, values = "app_id = ? AND state = 'waiting'", list[object]([app_id])
    if model is not None:
        where += " AND model_id IN (SELECT id FROM models WHERE name = ?)"
        values.append(model)
    if before is not None:
        where += " AND created_at < ?"
        values.append(before)
    return where, values


class Ledger:
    """Verbs on what was, is and will be sent."""

    def __init__(self, db: Database) -> None:
        self.db = db
        #: how often this process has changed a suppression list
        self.edits = 0

    def get(self, message_id: int) -> MessageRow | None:
        """One message."""
        row = self.db.row(_MESSAGE + " WHERE m.id = ?", (message_id,))
        return _message(row) if row else None

    def attempts(self, message_id: int) -> list[tuple[int, str, float, float | None, str | None, str | None]]:
        """Its attempts: (n, key, started, ended, outcome, detail)."""
        return self.db.rows(
            "SELECT n, key, started_at, ended_at, outcome, detail FROM attempts WHERE message_id = ? ORDER BY n", (message_id,)
        )

    def listed(
        self, *, app_id: int | None = None, states: Sequence[MessageState] = (), model_id: int | None = None, person: str | None = None,
        task_id: int | None = None, limit: int = 1000,
    ) -> list[MessageRow]:  # fmt: skip
        """Messages in the order in which they leave: open ones first by id."""
        where, values = ["1"], list[object]()
        for column, value in (("m.app_id", app_id), ("m.model_id", model_id), ("m.person", person), ("m.task_id", task_id)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        if states:
            # literals, so that SQLite can use the partial indexes
            where.append(" OR ".join(f"m.state = '{MessageState(state)}'" for state in states).join("()"))
        return [_message(row) for row in self.db.rows(f"{_MESSAGE} WHERE {' AND '.join(where)} ORDER BY m.id LIMIT ?", (*values, limit))]

    def by_person(self, model_id: int, person: str) -> list[MessageRow]:
        """All that a person was or will be sent by a model, oldest first."""
        return self.listed(model_id=model_id, person=person)

    def waiting(self, profiles: frozenset[str] | None = None) -> int:
        """How many messages wait, notices apart."""
        return self.open_count(MessageState.WAITING, profiles)

    def open_count(self, state: MessageState, profiles: frozenset[str] | None = None) -> int:
        """How many messages are in an open state, notices apart."""
        if state is MessageState.WAITING:
            held = "INDEXED BY messages_waiting WHERE state = 'waiting'"
        else:
            # the index's own condition, so that SQLite may use it
            held = f"INDEXED BY messages_open WHERE state IN ('sending', 'failed', 'in_doubt') AND state = '{MessageState(state)}'"
        # out of the index alone, app by app: half the time of a GROUP BY; the program's own messages are few and found by model
        rows = self.db.rows(
            f"SELECT a.profile, (SELECT count(*) FROM messages {held} AND app_id = a.id) FROM apps a UNION ALL "
            "SELECT s.profile, -count(*) FROM models s CROSS JOIN messages m ON m.model_id = s.id "
            f"WHERE s.system = 1 AND m.state = '{MessageState(state)}' GROUP BY 1"
        )
        return sum(int(count) for profile, count in rows if profiles is None or profile in profiles)

    # -- clear and restore (LX-66, LX-67) ------------------------------------------------------------------------------

    def clear(self, app_id: int, now: float, *, model: str | None = None, before: float | None = None, what: str = "") -> Changed:
        """The dustbin: cancels what waits (of a model, or from before an instant) and leaves the error. A batch that ``restore`` undoes.

        Who was in a list that never left may be listed again.
        """
        where, values = _clearable(app_id, model, before)
        with self.db.write() as conn:
            ids = [int(row[0]) for row in conn.execute(f"SELECT id FROM messages WHERE {where} ORDER BY id", values)]
            if not ids:
                return Changed()
            batch = int(conn.execute("INSERT INTO batches(at, what) VALUES (?, ?)", (now, what)).lastrowid or 0)
            conn.executemany("INSERT INTO batch_items(batch_id, message_id, before) VALUES (?, ?, 'waiting')", [(batch, i) for i in ids])
            conn.executemany(
                "UPDATE messages SET state = 'cancelled', ended_at = ?, reason = ? WHERE id = ? AND state = 'waiting'",
                [(now, f"cleared by hand (B{batch})", i) for i in ids],
            )
            lists.release(conn, batch, ids, now)
            conn.execute(
                "INSERT INTO operations(at, verb, target, detail) VALUES (?, 'clear', ?, ?)",
                (now, f"B{batch}", f"{what}: {len(ids)} messages"),
            )
            return Changed(messages=ids, batch=batch)

    def clearable(self, app_id: int, *, model: str | None = None, before: float | None = None) -> int:
        """How many messages ``clear`` would cancel."""
        where, values = _clearable(app_id, model, before)
        return int(self.db.value(f"SELECT count(*) FROM messages WHERE {where}", values) or 0)

    def restore(self, batch: int, now: float) -> Changed | None:
        """Undo a clear: what it cancelled waits again, expiry dates and all.

        None if there is no such batch; no messages if it was restored already.
        """
        with self.db.write() as conn:
            if self.db.row("SELECT 1 FROM batches WHERE id = ?", (batch,)) is None:
                return None
            changed = conn.execute("UPDATE batches SET restored_at = ? WHERE id = ? AND restored_at IS NULL", (now, batch)).rowcount
            if not changed:
                return Changed(batch=batch)
            ids = [
                int(row[0])
                for row in conn.execute(
                    "SELECT b.message_id FROM batch_items b JOIN messages m ON m.id = b.message_id WHERE b.batch_id = ? AND m.state = 'cancelled' "
                    "AND m.reason = ? ORDER BY 1",
                    (batch, f"cleared by hand (B{batch})"),
                )
            ]
            ids = lists.take_back(conn, batch, ids)
            conn.executemany("UPDATE messages SET state = 'waiting', ended_at = NULL, reason = '' WHERE id = ?", [(i,) for i in ids])
            conn.execute(
                "INSERT INTO operations(at, verb, target, detail) VALUES (?, 'restore', ?, ?)", (now, f"B{batch}", f"{len(ids)} messages")
            )
            return Changed(messages=ids, batch=batch)

    # -- suppression ---------------------------------------------------------------------------------------------------

    def suppress(self, profile: str, channel: str, address: str, reason: str, now: float) -> bool:
        """Never write to this address again over this channel (``*`` = any); False if it was listed already."""
        self.edits += 1
        with self.db.write() as conn:
            return conn.execute(
                "INSERT OR IGNORE INTO suppressions(profile, channel, address, reason, at) VALUES (?, ?, ?, ?, ?)",
                (profile, channel, address.casefold(), reason, now),
            ).rowcount == 1  # fmt: skip

    def unsuppress(self, profile: str, channel: str, address: str) -> int:
        """Take an address off the list; returns how many entries went."""
        self.edits += 1
        with self.db.write() as conn:
            sql, values = "DELETE FROM suppressions WHERE profile = ? AND address = ?", [profile, address.casefold()]
            if channel != "*":
                sql, values = sql + " AND channel = ?", [*values, channel]
            return conn.execute(sql, values).rowcount

    def suppressions(self, profile: str) -> dict[tuple[str, str], str]:
        """The whole list of a profile: (channel, address) -> reason."""
        rows = self.db.rows("SELECT channel, address, reason FROM suppressions WHERE profile = ? ORDER BY at", (profile,))
        return {(str(channel), str(address)): str(reason) for channel, address, reason in rows}

    # -- retention -----------------------------------------------------------------------------------------------------

    def forget(self, profile: str, before: float, *, limit: int = 20_000) -> int:
        """Empty the wording of a profile's messages that ended before an instant, and their attempts; returns how many at once.

        The row stays: it is what keeps a person from hearing the same twice.
        """
        with self.db.write() as conn:
            ids = conn.execute(
                "SELECT m.id FROM messages m INDEXED BY messages_ended JOIN models s ON s.id = m.model_id "
                "WHERE m.ended_at < ? AND m.payload <> '{}' AND s.profile = ? LIMIT ?",
                (before, profile, limit),
            ).fetchall()
            conn.executemany("UPDATE messages SET payload = '{}', name = '' WHERE id = ?", ids)
            conn.executemany("DELETE FROM attempts WHERE message_id = ?", ids)
            conn.execute(
                "DELETE FROM remarks WHERE task_id IN (SELECT t.id FROM tasks t JOIN models s ON s.id = t.model_id "
                "WHERE t.ended_at < ? AND s.profile = ?)",
                (before, profile),
            )
            return len(ids)
