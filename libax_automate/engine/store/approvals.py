"""What waits for a person's yes: runs far above their usual size, and steps that are marked as grave."""

from __future__ import annotations

from dataclasses import dataclass

from libax_automate.engine.store.database import Database
from libax_automate.engine.store.rows import Changed

_SELECT = """
SELECT a.id, m.profile, m.name, a.task_id, a.why, a.opened_at, a.decided_at, a.verdict, a.notices,
  (SELECT count(*) FROM messages w WHERE w.approval_id = a.id AND w.state = 'waiting')
FROM approvals a JOIN models m ON m.id = a.model_id
"""


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One question to a person; ``waiting`` messages depend on the answer."""

    id: int
    profile: str
    model: str
    task_id: int | None
    why: str
    opened_at: float
    decided_at: float | None
    verdict: str | None
    notices: int
    waiting: int


class Approvals:
    """Verbs on approvals."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def open(self, model_id: int, task_id: int | None, why: str, now: float) -> int:
        """A new question; in the caller's transaction."""
        cursor = self.db.conn.execute(
            "INSERT INTO approvals(model_id, task_id, why, opened_at) VALUES (?, ?, ?, ?)", (model_id, task_id, why, now)
        )
        return int(cursor.lastrowid or 0)

    def withdraw(self, approval_id: int) -> None:
        """Nothing came to depend on it; in the caller's transaction."""
        self.db.conn.execute("DELETE FROM approvals WHERE id = ?", (approval_id,))

    def listed(self, *, profiles: frozenset[str] | None = None, decided: bool = False) -> list[ApprovalRow]:
        """Open questions (or all), oldest first."""
        rows = self.db.rows(_SELECT + ("" if decided else " WHERE a.decided_at IS NULL") + " ORDER BY a.id")
        return [ApprovalRow(*row) for row in rows if profiles is None or row[1] in profiles]

    def get(self, approval_id: int) -> ApprovalRow | None:
        """One question."""
        row = self.db.row(_SELECT + " WHERE a.id = ?", (approval_id,))
        return ApprovalRow(*row) if row else None

    def approve(self, approval_id: int, now: float) -> Changed | None:
        """Yes: its messages may leave. None if somebody decided before."""
        return self._decide(approval_id, "approved", now)

    def reject(self, approval_id: int, now: float) -> Changed | None:
        """No: its messages end as cancelled, in a batch that ``queue restore`` undoes. None if somebody decided before."""
        return self._decide(approval_id, "rejected", now)

    def _decide(self, approval_id: int, verdict: str, now: float) -> Changed | None:
        with self.db.write() as conn:
            changed = conn.execute(
                "UPDATE approvals SET decided_at = ?, verdict = ? WHERE id = ? AND decided_at IS NULL", (now, verdict, approval_id)
            ).rowcount
            if not changed:
                return None
            ids = [
                int(row[0])
                for row in conn.execute("SELECT id FROM messages WHERE approval_id = ? AND state = 'waiting' ORDER BY id", (approval_id,))
            ]
            done = Changed(messages=ids)
            if verdict == "approved":
                conn.executemany("UPDATE messages SET not_before = 0, approval_id = NULL, reason = '' WHERE id = ?", [(i,) for i in ids])
            elif ids:
                done.batch = int(
                    conn.execute("INSERT INTO batches(at, what) VALUES (?, ?)", (now, f"rejected A{approval_id}")).lastrowid or 0
                )
                conn.executemany(
                    "INSERT INTO batch_items(batch_id, message_id, before) VALUES (?, ?, 'waiting')", [(done.batch, i) for i in ids]
                )
                # once restored they leave without another question
                conn.executemany(
                    "UPDATE messages SET state = 'cancelled', ended_at = ?, reason = ?, not_before = 0, approval_id = NULL WHERE id = ?",
                    [(now, f"cleared by hand (B{done.batch})", i) for i in ids],
                )
            conn.execute(
                "INSERT INTO operations(at, verb, target, detail) VALUES (?, ?, ?, ?)",
                (now, verdict, f"A{approval_id}", f"{len(ids)} messages"),
            )
            return done

    def usual(self, model_id: int, *, runs: int = 10) -> list[int]:
        """How many messages the model's last runs queued, those with none apart; newest first."""
        rows = self.db.rows(
            "SELECT queued FROM tasks WHERE model_id = ? AND state = 'done' AND queued > 0 ORDER BY id DESC LIMIT ?", (model_id, runs)
        )
        return [int(row[0]) for row in rows]

    def due_notices(self) -> list[ApprovalRow]:
        """Questions of which nobody has heard yet."""
        return [ApprovalRow(*row) for row in self.db.rows(_SELECT + " WHERE a.decided_at IS NULL AND a.notices = 0 ORDER BY a.id")]

    def noticed(self, approval_id: int) -> None:
        """Its notice is in the queue; in the caller's transaction."""
        self.db.conn.execute("UPDATE approvals SET notices = notices + 1 WHERE id = ?", (approval_id,))
