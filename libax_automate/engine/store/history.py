"""What a span of time came to, for reports."""

from __future__ import annotations

from collections.abc import Iterator

from libax_automate.engine.store.database import Database


class History:
    """Reading verbs over what has ended. Spans are [start, end) in epoch seconds."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def messages(self, profile: str, start: float, end: float) -> list[tuple[str, str, int]]:
        """(app, state, how many) of the messages that ended in the span, notices apart."""
        rows = self.db.rows(
            "SELECT a.name, m.state, count(*) FROM messages m INDEXED BY messages_ended JOIN apps a ON a.id = m.app_id "
            "JOIN models s ON s.id = m.model_id "
            "WHERE m.ended_at >= ? AND m.ended_at < ? AND a.profile = ? AND s.system = 0 AND m.channel <> 'action' GROUP BY 1, 2",
            (start, end, profile),
        )
        return [(str(app), str(state), int(count)) for app, state, count in rows]

    def said(self, model_id: int) -> Iterator[tuple[str, str, str, float, int, str]]:
        """(step, occasion, state, instant, id, reason) of all that a model has to say or has said, or done, oldest first."""
        yield from self.db.conn.execute(
            "SELECT step, occasion, state, coalesce(ended_at, created_at), id, reason FROM messages "
            "WHERE model_id = ? AND (channel <> 'action' OR step NOT LIKE '%+activity') ORDER BY id",
            (model_id,),
        )

    def tasks(self, profile: str, start: float, end: float) -> list[tuple[str, str, int, int]]:
        """(model, state, how many, people left out) of the tasks whose slot lies in the span."""
        rows = self.db.rows(
            "SELECT s.name, t.state, count(*), sum(t.excluded) FROM tasks t JOIN models s ON s.id = t.model_id "
            "WHERE t.slot_at >= ? AND t.slot_at < ? AND s.profile = ? AND s.system = 0 GROUP BY 1, 2 ORDER BY 1, 2",
            (start, end, profile),
        )
        return [(str(model), str(state), int(count), int(excluded or 0)) for model, state, count, excluded in rows]

    def fires(self, model_id: int, start: float, end: float) -> list[tuple[float, int]]:
        """(slot, how many messages it made) of a model's scheduled tasks whose slot lies in the span."""
        rows = self.db.rows(
            "SELECT slot_at, queued FROM tasks WHERE model_id = ? AND slot_at >= ? AND slot_at < ? AND trigger = 'schedule' ORDER BY slot_at",
            (model_id, start, end),
        )
        return [(float(at), int(queued or 0)) for at, queued in rows]

    def volume(self, model_id: int, since: float) -> tuple[int, list[tuple[str, int]]]:
        """How often a model ran since an instant, and (app, how many) of the messages that it made then."""
        runs = self.db.value(
            "SELECT count(*) FROM tasks WHERE model_id = ? AND slot_at >= ? AND state = 'done' AND trigger <> 'manual'", (model_id, since)
        )
        rows = self.db.rows(
            "SELECT a.name, count(*) FROM messages m JOIN apps a ON a.id = m.app_id JOIN tasks t ON t.id = m.task_id "
            "WHERE m.model_id = ? AND t.slot_at >= ? AND t.trigger <> 'manual' AND m.step NOT LIKE '%+activity' AND m.state <> 'skipped' "
            "GROUP BY 1 ORDER BY 1",
            (model_id, since),
        )
        return int(runs or 0), [(str(app), int(count)) for app, count in rows]

    def missed(self, profile: str, start: float, end: float) -> list[tuple[str, float]]:
        """(model, slot) of the slots that nobody ran."""
        rows = self.db.rows(
            "SELECT s.name, t.slot_at FROM tasks t JOIN models s ON s.id = t.model_id "
            "WHERE t.slot_at >= ? AND t.slot_at < ? AND s.profile = ? AND t.state = 'missed' ORDER BY 2",
            (start, end, profile),
        )
        return [(str(model), float(at)) for model, at in rows]

    def excluded(self, profile: str, start: float, end: float) -> int:
        """People whom the span's tasks left out."""
        return int(
            self.db.value(
                "SELECT sum(t.excluded) FROM tasks t JOIN models s ON s.id = t.model_id WHERE t.ended_at >= ? AND t.ended_at < ? AND s.profile = ?",
                (start, end, profile),
            )
            or 0
        )
